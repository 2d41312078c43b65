"""The choice among minima: by the evidence of a source on pixels."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.fit.minima import Minimum, distinct
from lenssim.simulate.fit.pixel_source import PixelFit, PixelSource
from lenssim.simulate.fit.projection import GaussianModel
from lenssim.simulate.fit.search import SearchResult
from lenssim.simulate.fit.threads import one_thread
from lenssim.simulate.fit.tracing import SLOPE, mass_of, trace

__all__ = ["chosen_by_evidence"]

_MAX_CANDIDATES = 3
_SEPARATION = 0.08  # of a parameter of the lens: nearer minima are one
_MARGIN = 1.1  # of the source's pixels over the arcs
_MIN_HALF = 0.25  # arcsec
_MAX_HALF = 0.7
_DEFAULT_HALF = 0.4
_BRIGHT = 3.0  # sigma: arcs of lenses without light
_MIN_ARC = 20  # pixels
_FREE = [0, 1, 2, 3, 4, 5, 6]


@one_thread
def chosen_by_evidence(result: SearchResult) -> tuple[SearchResult, list[PixelFit]]:
    """Return a search with its minima ordered by the evidence of a source on pixels.

    All minima of a lens get source pixels of the same size, or their evidences would not
    compare.

    Args:
        result: What the search found.

    Returns:
        The search with the best minimum in front, and the fits in the same order.
    """
    minima = distinct(result.minima, _MAX_CANDIDATES, _SEPARATION)
    model = result.model()
    half = min(_half(result, model, minimum) for minimum in minima)
    fits = [
        _fit(model, row, minimum, float(np.clip(_MARGIN * half, _MIN_HALF, _MAX_HALF)))
        for row, minimum in enumerate(minima)
    ]
    order = sorted(range(len(fits)), key=lambda row: -fits[row].log_evidence)
    ordered = tuple(minima[row] for row in order)
    return replace(result, minima=ordered), [fits[row] for row in order]


def _fit(model: GaussianModel, row: int, minimum: Minimum, half: float) -> PixelFit:
    part = model.take(torch.tensor([row]))
    columns = part.light_columns(minimum.values[None])[0]
    is_used = minimum.amplitudes[: part.light_count] > 0
    always = torch.ones(len(columns) - len(is_used), dtype=torch.bool)
    is_used = torch.cat([is_used, always])
    centre = (float(minimum.values[7]), float(minimum.values[8]))
    source = PixelSource(part.stamps, columns[is_used], part.prior, centre, half)
    free = [*_FREE, SLOPE] if bool(minimum.values[SLOPE] != 0) else _FREE
    return source.fit(minimum.values, free)


def _half(result: SearchResult, model: GaussianModel, minimum: Minimum) -> float:
    """Return the half side that holds 90 per cent of the traced pixels of the arcs."""
    arcs = _arcs(result, model)
    if int(arcs.sum()) < _MIN_ARC:
        return _DEFAULT_HALF
    x, y = model.stamps.rays()
    beta_x, beta_y = trace(x[arcs], y[arcs], mass_of(minimum.values[None]))
    offsets = torch.maximum(
        (beta_x - minimum.values[7]).abs(), (beta_y - minimum.values[8]).abs()
    )
    return float(torch.quantile(offsets, 0.9))


def _arcs(result: SearchResult, model: GaussianModel) -> Tensor:
    stamps = model.stamps
    if result.light is None:
        return stamps.data[0] > _BRIGHT
    return result.light.arcs[0] & (stamps.weights[0] > 0)
