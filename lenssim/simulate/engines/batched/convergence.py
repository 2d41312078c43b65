"""Convergence maps: how much mass of the perturbers each pixel holds, by Gauss's theorem, for every profile alike."""

from functools import lru_cache

import numpy as np
import torch

from lenssim.simulate.engines.batched.deflections import Deflections
from lenssim.simulate.engines.batched.engine import SCENES
from lenssim.simulate.engines.batched.tiles import scattered_rows
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.scenes import Scenes

__all__ = ["convergence"]

_POINTS = 4  # of Gauss and Legendre on an edge of a pixel


def convergence(
    scenes: Scenes,
    instrument: Instrument,
    *,
    precision: str = "float32",
    device: str = "cpu",
    kernels: str = "compiled",
) -> np.ndarray:
    """Convergence (N, 1, H, W) of all perturbers, sheets included, as the source sees it: truth less smooth lens.

    The mean over each pixel, in units of the critical surface density for a source at `z_source`. It follows from the
    deflection along the pixel's edges, kappa = 1 / (2 A) closed integral of alpha dn, so that points and lines have
    their mass too, and pixels add up to what is inside them all: what the quadrature (four points an edge) takes from
    a pixel at a cusp its neighbour has.
    """
    size = instrument.num_pix
    edges = (
        torch.from_numpy(_edges(size, instrument.pixel_scale))
        .to(getattr(torch, precision))
        .to(device)
    )
    deflections = Deflections(edges.dtype, edges.device, kernels == "compiled")
    weights = torch.from_numpy(_quadrature()[1]).to(edges)
    maps = np.zeros(
        (len(scenes), 1, size, size),
        np.float32 if edges.dtype == torch.float32 else np.float64,
    )
    perturbed = np.flatnonzero(
        sum((table.counts for table in scenes.perturbers.values()), np.zeros(len(scenes)))
    )
    with torch.inference_mode():
        for start in range(0, len(perturbed), SCENES):
            own = scenes.take(perturbed[start : start + SCENES])
            scene = torch.arange(len(own), device=edges.device).repeat_interleave(
                len(edges)
            )
            rows, place = scattered_rows(edges.repeat(len(own), 1, 1), scene, len(own))
            alpha = (
                deflections(own, rows)
                .unflatten(2, (-1, 2 * _POINTS))
                .transpose(1, 2)
                .flatten(0, 1)[place]
            )
            alpha = alpha.unflatten(0, (len(own), size + 1, size + 1))
            across_x = (alpha[..., 0, :_POINTS] * weights).sum(-1)[
                :, :-1
            ]  # mean of alpha_x on left edges
            across_y = (alpha[..., 1, _POINTS:] * weights).sum(-1)[
                :, :, :-1
            ]  # of alpha_y on lower edges
            leaving = across_x.diff(dim=2) + across_y.diff(dim=1)
            scale = torch.from_numpy(
                own.deflection_scale() / (2 * instrument.pixel_scale)
            ).to(edges)
            maps[perturbed[start : start + SCENES], 0] = (
                (scale[:, None, None] * leaving).cpu().numpy()
            )
    return maps


def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Places in -1/2..1/2 and weights of sum 1."""
    places, weights = np.polynomial.legendre.leggauss(_POINTS)
    return places / 2, weights / 2


@lru_cache(maxsize=8)
def _edges(size: int, step: float) -> np.ndarray:
    """Points (pixels, 2, 2 * _POINTS) [arcsec] on the left and the lower edge of (size + 1)^2 pixels, row by row."""
    places = _quadrature()[0] * step
    middle = (np.arange(size + 1) - (size - 1) / 2) * step
    y, x = (axis.ravel()[:, None] for axis in np.meshgrid(middle, middle, indexing="ij"))
    flat = np.zeros_like(places)
    left = (x - step / 2 + flat, y + places)
    lower = (x + places, y - step / 2 + flat)
    return np.stack(
        [np.concatenate(pair, axis=1) for pair in zip(left, lower, strict=True)], axis=1
    )
