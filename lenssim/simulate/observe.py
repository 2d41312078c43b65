"""Observation: from the expected image to the noisy one. Engines render the former; only this module adds noise."""

from collections.abc import Callable

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.streams import NOISE, blocks, generator

__all__ = ["NOISES", "noise_sigma", "observe"]

_MOST_COUNTS = 1e18  # numpy's Poisson numbers end at 9.2e18


def noise_sigma(expected: np.ndarray, scenes: Scenes, instrument: Instrument) -> np.ndarray:
    """Rms of the nominal noise, e-/s per pixel, same shape and type as `expected` (N, C, H, W).

    sigma^2 = sigma_background^2 + max(expected, 0) / T: lenstronomy's `noise_for_model`, with the exposure drawn for
    the scene where there is one.
    """
    return _sigma(expected, *_exposure(scenes, instrument, expected.dtype))


def _sigma(expected: np.ndarray, total: np.ndarray, background: np.ndarray) -> np.ndarray:
    variance = np.maximum(expected, 0)
    variance /= total
    variance += background**2
    return np.sqrt(variance, out=variance)


def _exposure(
    scenes: Scenes, instrument: Instrument, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    drawn = scenes.params.get("exposure_time")
    total = np.broadcast_to(instrument.total_exposure(drawn), len(scenes))
    background = np.broadcast_to(instrument.background(drawn), len(scenes))
    return total.astype(dtype)[:, None, None, None], background.astype(dtype)[
        :, None, None, None
    ]


def _none(
    expected: np.ndarray,
    scenes: Scenes,
    instrument: Instrument,
    numbers: np.ndarray,
    seed: int,
    split: str,
) -> np.ndarray:
    return expected


def _nominal(
    expected: np.ndarray,
    scenes: Scenes,
    instrument: Instrument,
    numbers: np.ndarray,
    seed: int,
    split: str,
) -> np.ndarray:
    noisy = np.empty_like(expected)
    total, background = _exposure(scenes, instrument, expected.dtype)
    for block, positions, rows in blocks(
        numbers
    ):  # block by block, so that nothing leaves the cache
        rng = generator(seed, split, NOISE, block)
        drawn = rng.standard_normal(
            (rows.max() + 1, *expected.shape[1:]), dtype=np.float32
        )[rows]
        own = expected[positions]
        noisy[positions] = own + drawn * _sigma(
            own, total[positions], background[positions]
        )
    return noisy


def _published(
    expected: np.ndarray,
    scenes: Scenes,
    instrument: Instrument,
    numbers: np.ndarray,
    seed: int,
    split: str,
) -> np.ndarray:
    """DeepLenseSim's Model I: Poisson(clip(T (image + shot + background), 0)), in e-; shot noise counts twice."""
    total, background = _exposure(scenes, instrument, np.dtype(np.float64))
    counts = np.empty(expected.shape, np.float64)
    for block, positions, rows in blocks(numbers):
        for position, row in zip(positions, rows, strict=True):
            # a stream a sample: how many numbers a Poisson draw takes depends on the image
            rng = generator(seed, split, NOISE, block, int(row))
            image = expected[position].astype(np.float64)
            shot = rng.standard_normal(image.shape) * np.sqrt(
                np.abs(image) / total[position]
            )
            sky = rng.standard_normal(image.shape) * background[position]
            mean = np.maximum(total[position] * (image + shot + sky), 0)
            if mean.max() > _MOST_COUNTS:
                raise ConfigError(
                    f"sample {numbers[position]}: {mean.max():.2g} e- in a pixel are more than Poisson "
                    "noise can count; give a fainter source, a shorter exposure_time, or --noise nominal"
                )
            counts[position] = rng.poisson(mean)
    return counts


Noise = Callable[[np.ndarray, Scenes, Instrument, np.ndarray, int, str], np.ndarray]
NOISES: dict[str, Noise] = {"none": _none, "nominal": _nominal, "published": _published}


def observe(
    expected: np.ndarray,
    scenes: Scenes,
    instrument: Instrument,
    noise: str,
    *,
    numbers: np.ndarray,
    seed: int,
    split: str = "train",
) -> np.ndarray:
    """Noisy images, float32 (N, C, H, W), of `expected` ones in e-/s.

    `numbers` (N,) are the sample numbers: with `seed` and `split` they decide the noise. Kinds: `none`; `nominal`,
    Gaussian noise of `noise_sigma`; `published`, Model I's double shot noise, which leaves counts in e-.
    """
    if noise not in NOISES:
        raise unknown("noise", noise, NOISES)
    numbers = np.asarray(numbers, dtype=np.int64)
    return NOISES[noise](expected, scenes, instrument, numbers, seed, split).astype(
        np.float32
    )
