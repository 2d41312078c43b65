"""Detectability of substructure: its signal to noise, with the smooth model fixed or free."""

from dataclasses import replace

import numpy as np

from lenssim.simulate.bands import band_views
from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.engines.batched.gradients import (
    band_columns,
    band_jacobian,
    regular,
)
from lenssim.simulate.engines.batched.steps import SCENES
from lenssim.simulate.instruments import AnyCamera, Supersampling
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.scenes import Scenes

__all__ = ["UNITS", "detectability", "unexplained"]

UNITS = {"delta_chi2_fixed": "", "delta_chi2": ""}
# A derivative that is the sum of others leaves less than this share of its length: rounding,
# in float32.
_MAX_ROUNDING = 1e-5


def detectability(
    scenes: Scenes,
    instrument: AnyCamera,
    *,
    supersampling: Supersampling = 1,
    precision: str = "float32",
    kernels: str = "compiled",
) -> dict[str, np.ndarray]:
    """Return the expected delta chi2 (N,) of each scene's perturbers, at the nominal noise.

    The comparison is with the same lens without them. With d the difference of the two
    expected images and W the inverse variance of the noise of the perturbed one::

        delta_chi2_fixed = d^T W d
        delta_chi2       = min_p (d - J p)^T W (d - J p)

    J are the derivatives of the smooth image by all parameters of lens, lens light and
    source. Images of several bands count together; light has an amplitude of its own in
    each of them. This is linearised: valid while the parameters would move little, otherwise an
    upper limit. Both are zero where there are no perturbers. Adaptive images are
    differentiated on a regular grid of at least two rays a pixel side. Vegetti & Koopmans
    2009 (arXiv:0805.0201) and later searches compare models by the same number.

    Args:
        scenes: N scenes.
        instrument: The camera.
        supersampling: Rays a side of a pixel, or "adaptive".
        precision: "float32" or "float64".
        kernels: "compiled" or "eager".

    Returns:
        Columns (N,) by the names of `UNITS`.
    """
    columns = {name: np.zeros(len(scenes)) for name in UNITS}
    counts = (table.counts for table in scenes.perturbers.values())
    perturbed = np.flatnonzero(sum(counts, np.zeros(len(scenes))))
    # steps bound the memory: derivatives are many images a scene
    for start in range(0, len(perturbed), SCENES):
        rows = perturbed[start : start + SCENES]
        fixed, free = _step(
            scenes.take(rows), instrument, supersampling, precision, kernels
        )
        columns["delta_chi2_fixed"][rows] = fixed
        columns["delta_chi2"][rows] = free
    return columns


def _step(
    scenes: Scenes,
    instrument: AnyCamera,
    supersampling: Supersampling,
    precision: str,
    kernels: str,
) -> tuple[np.ndarray, np.ndarray]:
    engine = Batched(precision, "cpu", kernels)
    smooth = replace(scenes, perturbers={})
    perturbed_images, smooth_images = (
        engine.render(table, instrument, supersampling=supersampling).astype(np.float64)
        for table in (scenes, smooth)
    )
    sigma = noise_sigma(perturbed_images, scenes, instrument)
    difference = ((perturbed_images - smooth_images) / sigma).reshape(len(scenes), -1)
    slopes = band_jacobian(
        band_views(smooth, instrument),
        band_columns(scenes.components, sigma.shape[1]),
        supersampling=regular(instrument, supersampling),
        precision=precision,
        kernels=kernels,
    )
    slopes = (slopes / sigma[:, None]).reshape(len(scenes), slopes.shape[1], -1)
    pairs = zip(difference, slopes, strict=True)
    free = np.array([unexplained(*pair) for pair in pairs])
    return (difference**2).sum(1), free


def unexplained(difference: np.ndarray, slopes: np.ndarray) -> float:
    """Return the square of the part of `difference` (P,) outside the span of `slopes` (K, P).

    Gram-Schmidt, every step twice, in plain sums: the bits of a linear algebra library
    depend on its threads.

    Args:
        difference: A vector (P,).
        slopes: K vectors (K, P), of any lengths.

    Example:
        >>> unexplained(np.array([3.0, 4.0]), np.array([[2.0, 0.0]]))
        16.0
    """
    lengths = np.sqrt((slopes**2).sum(1))
    basis = np.empty((0, len(difference)))
    for slope, length in zip(slopes, lengths, strict=True):
        if length == 0:  # the image does not depend on this parameter
            continue
        remainder = _without(slope / length, basis)
        norm = np.sqrt((remainder**2).sum())
        if norm > _MAX_ROUNDING:
            basis = np.concatenate([basis, [remainder / norm]])
    return float((_without(difference, basis) ** 2).sum())


def _without(vector: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return the part of a vector (P,) outside the span of orthonormal ones (K, P)."""
    for _ in range(2):
        vector = vector - ((basis * vector).sum(1)[:, None] * basis).sum(0)
    return vector
