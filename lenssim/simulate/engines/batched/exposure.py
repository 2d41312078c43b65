"""Nominal noise on the device of the engine, so that images leave it as they are observed.

The words and the normal deviates are those of the stream `philox`. Each step is one operation
that IEEE 754 rounds, and torch runs each by itself. So in float32 the bits are those of numpy on
every device that rounds so.
"""

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.engines.batched.engine import Batched, numpy_dtype
from lenssim.simulate.instruments import AnyCamera, Supersampling
from lenssim.simulate.noise.deviates import COSINE, LOGARITHM, SINE
from lenssim.simulate.noise.model import NoiseIdentity
from lenssim.simulate.noise.philox import MULTIPLIERS, ROUNDS, WEYL, philox_key
from lenssim.simulate.noise.variance import camera_columns, pixel_variance
from lenssim.simulate.scenes import Scenes

__all__ = ["deviates", "exposed"]

_MASK = 0xFFFFFFFF


def exposed(
    renderer: Batched,
    scenes: Scenes,
    instrument: AnyCamera,
    identity: NoiseIdentity,
    *,
    supersampling: Supersampling = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Render scenes and add nominal noise where they are rendered.

    Args:
        renderer: The engine.
        scenes: N scenes.
        instrument: The camera.
        identity: What decides the noise; its stream is `philox`.
        supersampling: Rays a side of a pixel, or "adaptive".

    Returns:
        Expected images (N, C, H, W) in e-/s, and observed ones, float32.

    Raises:
        ConfigError: As `Batched.render`.
    """
    size = instrument.num_pix
    shape = (len(scenes), len(instrument.instruments), size, size)
    expected = np.empty(shape, numpy_dtype(renderer.dtype))
    observed = np.empty(shape, np.float32)
    time, background = camera_columns(
        instrument, scenes.params.get("exposure_time"), len(scenes), expected.dtype
    )
    key = philox_key(identity.seed, identity.split)
    with torch.inference_mode():
        for part, band, flux in renderer.steps(scenes, instrument, supersampling):
            noise = deviates(identity.numbers[part], band, (size, size), key, flux.device)
            columns = (background[part, band] ** 2, time[part, band])
            placed = (torch.from_numpy(column).to(flux.device) for column in columns)
            variance = pixel_variance(flux, *placed)
            noisy = flux + noise * _root(variance)
            expected[part, band] = flux.cpu().numpy()
            observed[part, band] = noisy.float().cpu().numpy()
    return expected, observed


def deviates(
    numbers: np.ndarray,
    band: int,
    shape: tuple[int, int],
    key: tuple[int, int],
    device: torch.device | str,
) -> Tensor:
    """Return the normal deviates of one band of samples, those of the stream `philox`.

    Args:
        numbers: Sample numbers (N,) int64.
        band: Number of the band.
        shape: Shape (H, W) of an image.
        key: Key of the stream, see `philox_key`.
        device: Where they are drawn.

    Returns:
        Deviates float32 (N, H, W) on the device.

    Example:
        >>> deviates(np.arange(3), 0, (4, 4), (1, 2), "cpu").shape
        torch.Size([3, 4, 4])
    """
    pixels = shape[0] * shape[1]
    quarter = -(-pixels // 4)
    sample = torch.as_tensor(numbers, dtype=torch.int64, device=device)[:, None]
    pixel = torch.arange(quarter, dtype=torch.int64, device=device)
    counters = (pixel, torch.full_like(pixel, band), sample & _MASK, (sample >> 32) & _MASK)
    words = _philox([*torch.broadcast_tensors(*counters)], key)
    lanes = [*_box_muller(words[0], words[1]), *_box_muller(words[2], words[3])]
    return torch.cat(lanes, dim=1)[:, :pixels].reshape(-1, *shape)


def _philox(words: list[Tensor], key: tuple[int, int]) -> list[Tensor]:
    """Return random words from counters, both int64 of 32 bits; see `philox4x32`."""
    keys = list(key)
    for _ in range(ROUNDS):
        product0 = words[0] * MULTIPLIERS[0]  # its lower 64 bits, whatever their sign
        product1 = words[2] * MULTIPLIERS[1]
        words = [
            ((product1 >> 32) & _MASK) ^ words[1] ^ keys[0],
            product1 & _MASK,
            ((product0 >> 32) & _MASK) ^ words[3] ^ keys[1],
            product0 & _MASK,
        ]
        keys = [(word + step) & _MASK for word, step in zip(keys, WEYL, strict=True)]
    return words


def _box_muller(length: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return two deviates from two words (Box & Muller 1958); see the functions of numpy."""
    uniform = (length.float() + 0.5) * 2.0**-32
    radius = _root((_logarithm(uniform) * -2.0).clamp(min=0))
    turn = ((angle << 33) >> 32).float() * 2.0**-32  # 31 bits, signed
    square = turn * turn
    cosine = _horner(COSINE, square)
    sine = _horner(SINE, square) * turn
    is_turned = angle >= 1 << 31
    return (
        _negated(radius * cosine, is_turned),
        _negated(radius * sine, is_turned),
    )


def _root(values: Tensor) -> Tensor:
    """Return square roots as IEEE 754 rounds them; torch's own in single precision do not."""
    return values.double().sqrt().to(values.dtype)


def _logarithm(values: Tensor) -> Tensor:
    """Return ln of positive normal float32."""
    bits = values.view(torch.int32)
    exponent = (bits - 0x3F3504F3) >> 23
    x = (bits - (exponent << 23)).view(torch.float32) - 1.0
    e = exponent.float()
    square = x * x
    y = _horner(LOGARITHM, x) * x * square
    y = y + e * -2.12194440e-4
    y = y - square * 0.5
    return x + y + e * 0.693359375


def _horner(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """Return a polynomial in single precision, the highest power first."""
    result = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


def _negated(values: Tensor, where: Tensor) -> Tensor:
    return torch.where(where, -values, values)
