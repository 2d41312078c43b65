"""Convergence maps: the mass of the perturbers in each pixel, by Gauss's theorem."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.engines.batched.deflections import Deflections
from lenssim.simulate.engines.batched.engine import numpy_dtype
from lenssim.simulate.engines.batched.steps import SCENES
from lenssim.simulate.engines.batched.tiles import scattered_rows
from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.scenes import Scenes

__all__ = ["convergence"]

_EDGE_POINTS = 4  # nodes of Gauss and Legendre on an edge of a pixel


def convergence(
    scenes: Scenes,
    instrument: AnyCamera,
    *,
    precision: str = "float32",
    device: str = "cpu",
    kernels: str = "compiled",
) -> np.ndarray:
    """Return the convergence of all perturbers, sheets included, as the source sees it.

    It is the truth less the smooth lens: the mean over each pixel, in units of the critical
    surface density for a source at `z_source`. It follows from the deflection along the
    pixel's edges, kappa = 1 / (2 A) closed integral of alpha dn. So points and lines have
    their mass too, and pixels add up to the mass inside them all. The quadrature has four
    points an edge; mass that it takes from a pixel at a cusp goes to the neighbour.

    Args:
        scenes: N scenes.
        instrument: The camera, which sets the pixels.
        precision: "float32" or "float64".
        device: "cpu" or "cuda".
        kernels: "compiled" or "eager".

    Returns:
        Maps (N, 1, H, W).
    """
    size = instrument.num_pix
    dtype = getattr(torch, precision)
    points = torch.from_numpy(_edges(size, instrument.pixel_scale)).to(dtype).to(device)
    deflections = Deflections(points.dtype, points.device, kernels == "compiled")
    maps = np.zeros((len(scenes), 1, size, size), numpy_dtype(dtype))
    counts = (table.counts for table in scenes.perturbers.values())
    perturbed = np.flatnonzero(sum(counts, np.zeros(len(scenes))))
    with torch.inference_mode():
        for start in range(0, len(perturbed), SCENES):
            rows = perturbed[start : start + SCENES]
            part = scenes.take(rows)
            leaving = _flux_through_edges(part, points, size, deflections)
            scale = part.deflection_scale() / (2 * instrument.pixel_scale)
            factor = torch.from_numpy(scale).to(points)[:, None, None]
            maps[rows, 0] = (factor * leaving).cpu().numpy()
    return maps


def _flux_through_edges(
    scenes: Scenes, points: Tensor, size: int, deflections: Deflections
) -> Tensor:
    """Return the deflection (N, size, size) that leaves each pixel through its edges.

    It is the sum over edges of the mean outward component.
    """
    count = len(scenes)
    scene = torch.arange(count, device=points.device).repeat_interleave(len(points))
    rows, groups = scattered_rows(points.repeat(count, 1, 1), scene, count)
    alpha = deflections(scenes, rows).unflatten(2, (-1, 2 * _EDGE_POINTS))
    alpha = alpha.transpose(1, 2).flatten(0, 1)[groups]
    alpha = alpha.unflatten(0, (count, size + 1, size + 1))
    weights = torch.from_numpy(_quadrature()[1]).to(points)
    # means of alpha_x on left edges and of alpha_y on lower edges
    across_x = (alpha[..., 0, :_EDGE_POINTS] * weights).sum(-1)[:, :-1]
    across_y = (alpha[..., 1, _EDGE_POINTS:] * weights).sum(-1)[:, :, :-1]
    return across_x.diff(dim=2) + across_y.diff(dim=1)


def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes in -1/2..1/2 and weights of sum 1."""
    nodes, weights = np.polynomial.legendre.leggauss(_EDGE_POINTS)
    return nodes / 2, weights / 2


@lru_cache(maxsize=8)
def _edges(size: int, step: float) -> np.ndarray:
    """Return points (pixels, 2, 2 * _EDGE_POINTS) [arcsec] on edges of (size + 1)^2 pixels.

    They are on the left and the lower edge of each pixel, row by row.
    """
    offsets = _quadrature()[0] * step
    middle = (np.arange(size + 1) - (size - 1) / 2) * step
    y, x = (axis.ravel()[:, None] for axis in np.meshgrid(middle, middle, indexing="ij"))
    flat = np.zeros_like(offsets)
    on_left = (x - step / 2 + flat, y + offsets)
    on_lower = (x + offsets, y - step / 2 + flat)
    return np.stack(
        [np.concatenate(pair, axis=1) for pair in zip(on_left, on_lower, strict=True)],
        axis=1,
    )
