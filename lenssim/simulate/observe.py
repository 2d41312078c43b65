"""Observation: from the expected image to the noisy one. Engines render the former."""

import numpy as np

from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.noise import NOISES, noise_model
from lenssim.simulate.noise.deviates import NEWEST
from lenssim.simulate.noise.model import NoiseIdentity
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.scenes import Scenes

__all__ = ["NOISES", "noise_sigma", "observe"]


def observe(
    expected: np.ndarray,
    scenes: Scenes,
    instrument: AnyCamera,
    noise: str,
    *,
    numbers: np.ndarray,
    seed: int,
    split: str = "train",
    stream: str = NEWEST,
) -> np.ndarray:
    """Add noise to expected images.

    Args:
        expected: Images (N, C, H, W) in e-/s.
        scenes: The N scenes that they show.
        instrument: The camera.
        noise: Name of the kind of noise, in `NOISES`.
        numbers: Sample numbers (N,). With `seed` and `split` they decide the noise.
        seed: Seed of the data set.
        split: Split of the data set.
        stream: Name of the stream of normal deviates that the data set names.

    Returns:
        Images float32 (N, C, H, W), in e-/s or what the kind of noise leaves.

    Raises:
        ConfigError: There is no such kind, or the numbers are too large for it.
    """
    numbers = np.asarray(numbers, dtype=np.int64)
    model = noise_model(noise)
    images = model.sample(
        expected,
        scenes,
        instrument,
        NoiseIdentity(numbers, seed, split, stream),
    )
    return images.astype(np.float32, copy=images is expected)
