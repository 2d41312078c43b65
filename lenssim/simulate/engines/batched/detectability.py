"""Detectability: how far substructure stands above the noise, before and after the smooth model may give way to it."""

from dataclasses import replace

import numpy as np

from lenssim.simulate.engines.batched.engine import SCENES, Batched
from lenssim.simulate.engines.batched.gradients import differentiable, jacobian, regular
from lenssim.simulate.instruments import Instrument, Supersampling
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.scenes import Scenes

__all__ = ["UNITS", "detectability"]

UNITS = {"delta_chi2_fixed": "", "delta_chi2": ""}
_DEPENDENT = 1e-5  # of its length: what is left of a derivative after the others when it is rounding, in float32


def detectability(
    scenes: Scenes,
    instrument: Instrument,
    *,
    supersampling: Supersampling = 1,
    precision: str = "float32",
    kernels: str = "compiled",
) -> dict[str, np.ndarray]:
    """Expected delta chi2 (N,) of each scene's perturbers at the nominal noise, against the same lens without them.

    With d the difference of the two expected images and W the inverse variance of the noise of the perturbed one::

        delta_chi2_fixed = d^T W d
        delta_chi2       = min_p (d - J p)^T W (d - J p)

    where J are the derivatives of the smooth image by all parameters of lens, lens light and source (linearised: valid
    while the parameters would move little; in between, an upper limit). Zero where there are no perturbers. Adaptive
    images are differentiated on a regular grid of at least two rays a pixel side. Vegetti & Koopmans 2009
    (arXiv:0805.0201) and later searches compare models by the same number.
    """
    columns = {name: np.zeros(len(scenes)) for name in UNITS}
    perturbed = np.flatnonzero(
        sum((table.counts for table in scenes.perturbers.values()), np.zeros(len(scenes)))
    )
    for start in range(
        0, len(perturbed), SCENES
    ):  # bounds memory: derivatives are many images a scene
        rows = perturbed[start : start + SCENES]
        fixed, free = _step(
            scenes.take(rows), instrument, supersampling, precision, kernels
        )
        columns["delta_chi2_fixed"][rows], columns["delta_chi2"][rows] = fixed, free
    return columns


def _step(
    scenes: Scenes,
    instrument: Instrument,
    supersampling: Supersampling,
    precision: str,
    kernels: str,
) -> tuple[np.ndarray, np.ndarray]:
    engine, smooth = Batched(precision, "cpu", kernels), replace(scenes, perturbers={})
    images = [
        engine.render(each, instrument, supersampling=supersampling)
        for each in (scenes, smooth)
    ]
    images = [image.astype(np.float64) for image in images]
    sigma = noise_sigma(images[0], scenes, instrument)
    difference = ((images[0] - images[1]) / sigma).reshape(len(scenes), -1)
    rays = regular(instrument, supersampling)
    slopes = jacobian(
        smooth,
        instrument,
        differentiable(scenes.components),
        supersampling=rays,
        precision=precision,
        kernels=kernels,
    )
    slopes = (slopes / sigma).reshape(len(scenes), slopes.shape[1], -1)
    free = np.array([_unexplained(*each) for each in zip(difference, slopes, strict=True)])
    return (difference**2).sum(1), free


def _unexplained(difference: np.ndarray, slopes: np.ndarray) -> float:
    """Square of what of `difference` (P,) is no combination of `slopes` (parameters, P).

    Gram-Schmidt, every step twice, in plain sums: the bits of a linear algebra library depend on its threads.
    """
    lengths = np.sqrt((slopes**2).sum(1))
    basis = np.empty((0, len(difference)))
    for slope, length in zip(slopes, lengths, strict=True):
        if length == 0:  # the image does not know this parameter
            continue
        own = _without(slope / length, basis)
        if (left := np.sqrt((own**2).sum())) > _DEPENDENT:
            basis = np.concatenate([basis, [own / left]])
    return float((_without(difference, basis) ** 2).sum())


def _without(vector: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """What is left of a vector (P,) outside the span of orthonormal ones (K, P)."""
    for _ in range(2):
        vector = vector - ((basis * vector).sum(1)[:, None] * basis).sum(0)
    return vector
