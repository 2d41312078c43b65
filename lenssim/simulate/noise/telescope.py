"""The noise of a telescope's images: sky, reads, dark, light, lost pixels, resampling."""

from dataclasses import replace
from typing import override

import numpy as np

from lenssim.simulate.instruments import AnyCamera, Instrument
from lenssim.simulate.noise.correlated import correlate, resampling_margin
from lenssim.simulate.noise.coverage import exposure_share, has_losses
from lenssim.simulate.noise.deviates import normal_deviates
from lenssim.simulate.noise.model import NoiseIdentity, NoiseModel
from lenssim.simulate.noise.shot import gaussian_shot, poisson_shot
from lenssim.simulate.noise.variance import camera_columns, noise_sigma
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.streams import COVERAGE, NOISE, SHOT, blocks, generator

__all__ = ["MASKED_SIGMA", "TelescopeNoise", "covered_sigma"]

MASKED_SIGMA = 1e8  # of pixels that no exposure saw, as noise maps of SLACS have it


class TelescopeNoise(NoiseModel):
    """Layers of noise that the instrument states, each on random streams of its own.

    The background is Gaussian: sky, reads and dark current. The light's own noise is Gaussian
    or Poisson. Where cosmic rays or dead pixels cost exposures, both grow. Resampling then
    correlates their sum. `sigma` is that of the weight map, as telescopes give it: it is the
    noise before resampling, and a pixel's rms is `pixel_loss` of it.
    """

    name = "telescope"
    has_streams = True

    @override
    def sigma(
        self, expected: np.ndarray, scenes: Scenes, instrument: AnyCamera
    ) -> np.ndarray:
        return noise_sigma(expected, scenes, instrument)

    @override
    def coverage(
        self,
        expected: np.ndarray,
        scenes: Scenes,
        instrument: AnyCamera,
        identity: NoiseIdentity,
    ) -> np.ndarray | None:
        bands = instrument.instruments
        saturates = any(band.saturation is not None for band in bands)
        if not saturates and not any(has_losses(band) for band in bands):
            return None
        share = np.ones(expected.shape, np.float32)
        exposure_time = scenes.params.get("exposure_time")
        for number, band in enumerate(bands):
            times = np.broadcast_to(
                band.exposure_time if exposure_time is None else exposure_time,
                len(expected),
            )
            if has_losses(band):
                for block, positions, rows in blocks(identity.numbers):
                    for position, row in zip(positions, rows, strict=True):
                        rng = generator(
                            identity.seed, identity.split, COVERAGE, block, number, int(row)
                        )
                        time = float(times[position])
                        share[position, number] = exposure_share(band, time, rng)
            if band.saturation is not None:
                limit = band.saturation_flux(times)[:, None, None]
                share[:, number][expected[:, number] > limit] = 0
        return share

    @override
    def sample(
        self,
        expected: np.ndarray,
        scenes: Scenes,
        instrument: AnyCamera,
        identity: NoiseIdentity,
    ) -> np.ndarray:
        margin = max(resampling_margin(band) for band in instrument.instruments)
        share = self.coverage(expected, scenes, instrument, identity)
        exposure_time = scenes.params.get("exposure_time")
        columns = camera_columns(instrument, exposure_time, len(scenes), np.float32)
        observed = np.empty(expected.shape, np.float32)
        for block, positions, rows in blocks(identity.numbers):
            flux = _padded(expected[positions].astype(np.float32), margin)
            part = replace(identity, numbers=identity.numbers[positions])
            camera = [column[positions] for column in columns]
            white = _white(flux, instrument, camera, part, block, rows)
            if share is not None:
                white /= np.sqrt(_padded(_without_masked(share[positions]), margin))
            for number, band in enumerate(instrument.instruments):
                noise = _resampled(white[:, number], band, margin)
                observed[positions, number] = expected[positions, number] + noise
        if share is not None:
            observed[share == 0] = 0
        return observed


def _white(
    flux: np.ndarray,
    instrument: AnyCamera,
    columns: list[np.ndarray],
    identity: NoiseIdentity,
    block: int,
    rows: np.ndarray,
) -> np.ndarray:
    """Return the noise of some samples of a block before resampling, in all bands.

    Args:
        flux: Expected images (N, C, H, W) in e-/s.
        instrument: The camera.
        columns: Total exposures in s and background in e-/s, each (N, C, 1, 1).
        identity: What decides the noise of these samples.
        block: Number of the block.
        rows: Rows (N,) of the samples in the block.
    """
    seed = identity.seed
    split = identity.split
    shape = flux.shape[1:]
    samples = (identity.stream, identity.numbers)
    total, background = columns
    white = normal_deviates(*samples, shape, seed=seed, split=split, purpose=NOISE)
    white *= background
    bands = instrument.instruments
    if any(band.shot_noise == "gaussian" for band in bands):
        deviates = normal_deviates(*samples, shape, seed=seed, split=split, purpose=SHOT)
    for number, band in enumerate(bands):
        light = flux[:, number]
        time = total[:, number]
        if band.shot_noise == "gaussian":
            white[:, number] += gaussian_shot(light, time, deviates[:, number])
            continue
        for i, row in enumerate(rows):
            rng = generator(seed, split, SHOT, block, number, int(row))
            white[i, number] += poisson_shot(light[i], float(time[i, 0, 0]), rng)
    return white


def covered_sigma(sigma: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the sigma (N, C, H, W) of pixels that a share of the exposures saw."""
    covered = sigma / np.sqrt(share.clip(min=1e-6))
    return np.where(share > 0, covered, MASKED_SIGMA).astype(sigma.dtype)


def _without_masked(share: np.ndarray) -> np.ndarray:
    """Return shares of the exposures, 1 where a pixel is masked: its neighbours need a noise."""
    return np.where(share > 0, share, np.ones_like(share))


def _padded(images: np.ndarray, margin: int) -> np.ndarray:
    """Return images (N, C, H, W) whose edges are continued on the far sides."""
    if margin == 0:
        return images
    return np.pad(images, ((0, 0), (0, 0), (0, margin), (0, margin)), mode="edge")


def _resampled(white: np.ndarray, band: Instrument, margin: int) -> np.ndarray:
    """Return the correlated noise (N, H, W) of one band, of white noise with a margin."""
    side = white.shape[-1] - margin + resampling_margin(band)
    return correlate(np.ascontiguousarray(white[:, :side, :side]), band)
