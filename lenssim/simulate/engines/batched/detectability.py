"""Detectability: how far substructure stands above the noise, before and after the smooth model may give way to it."""

from dataclasses import replace

import numpy as np

from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.engines.batched.gradients import differentiable, jacobian
from lenssim.simulate.instruments import ADAPTIVE, Instrument, Supersampling
from lenssim.simulate.observe import noise_sigma
from lenssim.simulate.scenes import Scenes

__all__ = ["UNITS", "detectability"]

UNITS = {"delta_chi2_fixed": "", "delta_chi2": ""}
RCOND = (
    1e-6  # singular values below this part of the largest are directions the image does not know (float32 gradients)
)


def detectability(
    scenes: Scenes, instrument: Instrument, *, supersampling: Supersampling = 1, kernels: str = "compiled"
) -> dict[str, np.ndarray]:
    """Expected delta chi2 (N,) of each scene's perturbers at the nominal noise, against the same lens without them.

    With d the difference of the two expected images and W the inverse variance of the noise of the perturbed one::

        delta_chi2_fixed = d^T W d
        delta_chi2       = min_p (d - J p)^T W (d - J p)

    where J are the derivatives of the smooth image by all parameters of lens, lens light and source (linearised: valid
    while the parameters would move little; in between, an upper limit). Zero where there are no perturbers. Vegetti &
    Koopmans 2009 (arXiv:0805.0201) and later searches compare models by the same number.
    """
    engine = Batched("float32", "cpu", kernels)
    fixed, free = np.zeros(len(scenes)), np.zeros(len(scenes))
    perturbed = np.flatnonzero(sum((table.counts for table in scenes.perturbers.values()), np.zeros(len(scenes))))
    if len(perturbed):
        own = scenes.take(perturbed)
        smooth = replace(own, perturbers={})
        images = [engine.render(each, instrument, supersampling=supersampling) for each in (own, smooth)]
        sigma = noise_sigma(images[0], own, instrument)
        difference = ((images[0] - images[1]) / sigma).reshape(len(own), -1).astype(np.float64)
        rays = 1 if supersampling == ADAPTIVE else supersampling
        slopes = jacobian(smooth, instrument, differentiable(own.components), supersampling=rays, kernels=kernels)
        slopes = (slopes / sigma).reshape(len(own), slopes.shape[1], -1)
        fixed[perturbed] = (difference**2).sum(1)
        free[perturbed] = [_unexplained(*each) for each in zip(difference, slopes, strict=True)]
    return {"delta_chi2_fixed": fixed, "delta_chi2": free}


def _unexplained(difference: np.ndarray, slopes: np.ndarray) -> float:
    """Square of what of `difference` (P,) is no combination of `slopes` (parameters, P)."""
    lengths = np.linalg.norm(slopes, axis=1)
    scaled = slopes[lengths > 0] / lengths[lengths > 0, None]
    _, size, directions = np.linalg.svd(scaled, full_matrices=False)
    known = directions[size > RCOND * size[0]] if len(size) else directions
    return float(np.sum((difference - known.T @ (known @ difference)) ** 2))
