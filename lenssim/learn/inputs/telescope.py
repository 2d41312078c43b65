"""The layers of a telescope's noise on the training device, as the simulator has them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lenssim.errors import DataError
from lenssim.names import printable
from lenssim.simulate.instruments import AnyCamera, Instrument
from lenssim.simulate.noise.correlated import resampling_margin
from lenssim.simulate.noise.coverage import lost_share
from lenssim.simulate.resampling.correlation import drizzle_taps

__all__ = ["drizzled_noise", "filter_by_taps", "telescope_noise"]


def filter_by_taps(white: Tensor, taps: np.ndarray) -> Tensor:
    """Return noise filtered along both axes.

    Args:
        white: Noise (..., H + K - 1, W + K - 1).
        taps: Weights (K,).

    Returns:
        Noise (..., H, W): sum_kl taps_k taps_l white_(y + k)(x + l).
    """
    length = len(taps)
    weights = torch.as_tensor(taps.copy(), dtype=white.dtype, device=white.device)
    rows = white.unfold(-1, length, 1) @ weights
    return rows.unfold(-2, length, 1) @ weights


def drizzled_noise(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return noise of rms 1, correlated as that of pixels drizzled on pixels of their size.

    Args:
        images: Images (N, C, H, W), for shape, type and device.
        generator: Random generator on their device.
    """
    taps = drizzle_taps(1.0)
    margin = len(taps) - 1
    height, width = images.shape[-2:]
    shape = (*images.shape[:-2], height + margin, width + margin)
    white = torch.randn(
        shape, generator=generator, dtype=images.dtype, device=images.device
    )
    return filter_by_taps(white, taps)


def telescope_noise(
    expected: Tensor, camera: AnyCamera, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return observed images of a telescope, and their noise map.

    The layers are those of the noise `telescope`. Lost pixels are independent of each other:
    a cosmic ray's track has no shape here.

    Args:
        expected: Expected images (N, C, H, W) in e-/s, such as the map `clean`.
        camera: The camera of C bands. The noise of each band is independent of that of the
            others.
        generator: Random generator on the device of the images.

    Returns:
        Observed images and noise maps (N, C, H, W) in e-/s. Where no exposure saw a pixel,
        the image is 0 and the noise map infinite.

    Raises:
        DataError: The images have another number of bands than the camera.

    Example:
        >>> from lenssim.simulate.instruments import instrument
        >>> clean = torch.zeros(8, 1, 64, 64)
        >>> camera = instrument("hst_acs_f814w")
        >>> generator = torch.Generator().manual_seed(0)
        >>> observed, sigma = telescope_noise(clean, camera, generator)
        >>> round(float((observed / sigma).std()), 2)
        0.67
    """
    bands = camera.instruments
    if expected.shape[1] != len(bands):
        raise DataError(
            f"images of {expected.shape[1]} bands, and {printable(camera.name)} has {len(bands)}",
            code="image-shape",
            shape=tuple(expected.shape),
        )
    exposures = [
        _noise_of_band(expected[:, [number]], band, generator)
        for number, band in enumerate(bands)
    ]
    observed, sigma = (torch.cat(images, dim=1) for images in zip(*exposures, strict=True))
    return observed, sigma


def _noise_of_band(
    expected: Tensor, instrument: Instrument, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return observed images and noise maps (N, 1, H, W) of one band."""
    options: Any = {"dtype": expected.dtype, "device": expected.device}
    total = float(instrument.total_exposure())
    background = float(instrument.background())
    margin = resampling_margin(instrument)
    flux = _padded(expected, margin)
    light = flux.clamp(min=0)
    white = background * torch.randn(flux.shape, generator=generator, **options)
    if instrument.shot_noise == "poisson":
        white += torch.poisson(light * total, generator=generator) / total - light
    else:
        deviates = torch.randn(flux.shape, generator=generator, **options)
        white += deviates * (light / total).sqrt()
    coverage = _exposure_share(expected, instrument, generator)
    share = _padded(
        torch.where(coverage > 0, coverage, 1), margin
    )  # neighbours need a noise
    noise = _resampled(white / share.sqrt(), instrument)
    sigma = ((background**2 + expected.clamp(min=0) / total) / coverage).sqrt()
    return torch.where(coverage > 0, expected + noise, 0), sigma


def _padded(images: Tensor, margin: int) -> Tensor:
    """Return images (N, C, H, W) whose edges are continued on the far sides."""
    return torch.nn.functional.pad(images, (0, margin, 0, margin), mode="replicate")


def _resampled(white: Tensor, instrument: Instrument) -> Tensor:
    """Return white noise with a margin as resampling leaves it, without the margin."""
    measured = instrument.resampling.measured
    if measured is None:
        return filter_by_taps(white, instrument.taps * np.sqrt(instrument.pixel_loss))
    amplitude = torch.as_tensor(measured.amplitude(white.shape[-1]).copy()).to(white)
    noise = torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=white.shape[-2:])
    window = slice(None, white.shape[-1] - measured.margin)
    return noise[..., window, window] * measured.loss


def _exposure_share(
    expected: Tensor, instrument: Instrument, generator: torch.Generator
) -> Tensor:
    """Draw the share of the exposures that saw each pixel, of the shape of `expected`."""
    share = torch.ones_like(expected)
    lost = lost_share(instrument, instrument.exposure_time)
    if lost > 0:
        count = torch.full_like(expected, float(instrument.num_exposures))
        losses = torch.binomial(count, torch.full_like(expected, lost), generator=generator)
        share -= losses / count
    shares = instrument.exposure_shares()
    if shares is not None:
        share *= torch.as_tensor(shares.copy()).to(share)
    if instrument.saturation is not None:
        limit = float(instrument.saturation_flux(instrument.exposure_time))
        share[expected > limit] = 0
    return share
