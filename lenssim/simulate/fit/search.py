"""The search: from an image to its minima, without a start from outside."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lenssim.simulate.fit.companions import brightest_companion, companion_columns
from lenssim.simulate.fit.critical_curve import image_count
from lenssim.simulate.fit.lens_light import LensLight, fit_light, light_residual
from lenssim.simulate.fit.marquardt import HIGHEST, LOWEST
from lenssim.simulate.fit.minima import (
    FINE_SOURCE,
    Minimum,
    coarse_minima,
    distinct,
    fine_minima,
    light_values,
    priors_of,
    source_model,
    starts_of,
)
from lenssim.simulate.fit.preparation import FLOOR, Prepared, stamps_of
from lenssim.simulate.fit.projection import GaussianModel, Prior
from lenssim.simulate.fit.scan import Candidate
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.fit.stamps import Stamps
from lenssim.simulate.fit.threads import one_thread
from lenssim.simulate.fit.tracing import mass_of

__all__ = ["SearchResult", "at_bound", "doubts", "search"]

_BIN = 2
_MAX_CHI2_PER_PIXEL = 3.0
_COMPANION_RADIUS = 0.6  # arcsec
_ONE_IMAGE = 1.1  # a minimum with two images of the source may be worse by so much
_CLOSE_CHI2 = 10.0
_CLOSE_THETA_E = 0.04


@dataclass(frozen=True)
class SearchResult:
    """What the search found of one lens.

    Attributes:
        prepared: The stamp that was fitted.
        search: How it was searched.
        minima: The distinct minima, the best first.
        light: The lens light (one row); None without light.
        pixels: The number of pixels that were fitted.
        escalated: Why the search was repeated on the finer grid; empty if it was not.
    """

    prepared: Prepared
    search: Search
    minima: tuple[Minimum, ...]
    light: LensLight | None
    pixels: int
    escalated: tuple[str, ...] = ()

    @property
    def best(self) -> Minimum:
        """The best minimum."""
        return self.minima[0]

    def model(self, *, floor: float = FLOOR, rays: int | None = None) -> GaussianModel:
        """Return the model of the minima, one row each.

        Args:
            floor: Share of the flux that is added to the noise.
            rays: Rays a pixel side; None: those of the search.
        """
        stamps = stamps_of([self.prepared], floor=floor)
        rows = torch.zeros(len(self.minima), dtype=torch.long)
        values = light_values(self.light, 1)
        prior = priors_of(values, self.light, self.search.widths).take(rows)
        stamps = stamps.take(rows)
        rays = rays or self.search.rays
        model = source_model(stamps, prior, self.search, FINE_SOURCE, rays)
        model = replace(
            model,
            has_multipoles=self.search.has_multipoles,
            has_slope=self.search.has_slope,
        )
        clumps = _stacked([minimum.clumps for minimum in self.minima])
        companions = _stacked([minimum.companions for minimum in self.minima])
        if clumps is not None:
            model = replace(model, clumps=clumps)
        if companions is not None:
            model = replace(model, companions=companion_columns(stamps, companions))
        return model


def _stacked(tables: Sequence[Tensor]) -> Tensor | None:
    """Return tables (C, K) of rows as one (N, C, K), NaN beyond their ends; None: all empty."""
    count = max(len(table) for table in tables)
    if not count:
        return None
    shape = (len(tables), count, tables[0].shape[1])
    stacked = torch.full(shape, torch.nan, dtype=torch.float64)
    for row, table in enumerate(tables):
        stacked[row, : len(table)] = table
    return stacked


@one_thread
def search(
    lenses: Sequence[Prepared],
    settings: Search,
    extra: Sequence[Sequence[Candidate]] | None = None,
    device: str = "cpu",
) -> list[SearchResult]:
    """Return the minima of lenses whose stamps and PSFs have one size.

    On a CPU give one lens at a time: then its bits depend on no other lens.

    Args:
        lenses: The stamps.
        settings: How they are searched.
        extra: Further candidates of each lens, as from a network or a catalogue.
        device: "cpu" or "cuda".

    Returns:
        A result for each lens.
    """
    light = None
    if settings.has_light:
        light = fit_light(stamps_of(list(lenses), floor=FLOOR, device=device))
    guesses = extra or [()] * len(lenses)
    results = _searched(lenses, settings, light, guesses, device)
    if not settings.escalates:
        return results
    finer = replace(settings, grid=settings.fine_grid, starts=settings.fine_starts)
    for number, result in enumerate(results):
        reasons = doubts(result)
        if not reasons:
            continue
        rows = slice(number, number + 1)
        part = None
        if light is not None:
            part = LensLight(light.values[rows], light.ellipticity[rows], light.arcs[rows])
        escalated = _searched([lenses[number]], finer, part, [guesses[number]], device)[0]
        results[number] = _joined(result, escalated, reasons)
    return results


def doubts(result: SearchResult) -> tuple[str, ...]:
    """Return why a result is not sure: a poor fit, another minimum, a bound."""
    best = result.best
    is_poor = best.chi2 > _MAX_CHI2_PER_PIXEL * result.pixels
    has_rival = any(_rivals(best, minimum) for minimum in result.minima[1:])
    is_bound = at_bound(best.values)
    checks = {"poor-fit": is_poor, "another-minimum": has_rival, "bound": is_bound}
    return tuple(name for name, applies in checks.items() if applies)


def _rivals(best: Minimum, rival: Minimum) -> bool:
    distance = abs(float(torch.log(rival.values[0] / best.values[0])))
    return rival.objective - best.objective < _CLOSE_CHI2 and distance > _CLOSE_THETA_E


def at_bound(values: Tensor) -> bool:
    """Return whether a parameter of the lens sits at its bound."""
    lens = values[:7].tolist()
    bounds = zip(lens, LOWEST, HIGHEST, strict=False)
    outside = [not low + 1e-6 < value < high - 1e-6 for value, low, high in bounds]
    return any(outside) or float(torch.hypot(values[1], values[2])) > 0.649


def _joined(
    quick: SearchResult, fine: SearchResult, reasons: tuple[str, ...]
) -> SearchResult:
    every = _ordered((*quick.minima, *fine.minima))
    return replace(fine, minima=distinct(every, quick.search.minima), escalated=reasons)


def _searched(
    lenses: Sequence[Prepared],
    settings: Search,
    light: LensLight | None,
    guesses: Sequence[Sequence[Candidate]],
    device: str,
) -> list[SearchResult]:
    """Scan, fit all candidates on binned pixels, and the best of them on all pixels."""
    coarse = stamps_of(list(lenses), floor=FLOOR, bin=_BIN, device=device)
    fine = stamps_of(list(lenses), floor=FLOOR, device=device)
    values = light_values(light, len(lenses)).to(device)
    prior = priors_of(values, light, settings.widths)
    expected = tuple(lens.noise.variance for lens in lenses)
    work = _Work(coarse, fine, light, prior, settings)
    starts = starts_of(coarse, values, prior, settings, guesses)
    minima = coarse_minima(coarse, values, prior, settings, starts)
    finest = fine_minima(
        fine,
        prior,
        settings,
        minima,
        expected,
        lambda row: _without_brightest(work.take(row)),
    )
    counts = (fine.weights > 0).sum(1).tolist()
    return [
        SearchResult(lens, settings, _ordered(group), _row(light, number), counts[number])
        for number, (lens, group) in enumerate(zip(lenses, finest, strict=True))
    ]


@dataclass(frozen=True)
class _Work:
    """Lenses of one size, and what their fits start from."""

    coarse: Stamps
    fine: Stamps
    light: LensLight | None
    prior: Prior
    settings: Search

    def take(self, row: int) -> "_Work":
        """Return the work of one lens."""
        rows = torch.tensor([row], device=self.fine.data.device)
        light = self.light
        if light is not None:
            light = LensLight(light.values[rows], light.ellipticity[rows], light.arcs[rows])
        coarse = self.coarse.take(rows)
        fine = self.fine.take(rows)
        return _Work(coarse, fine, light, self.prior.take(rows), self.settings)


def _without_brightest(work: _Work) -> tuple[Minimum, ...]:
    """Return coarse minima of one lens where the brightest spot is masked as a companion.

    A neighbour that outshines the arcs leads every candidate of the scan to itself. Where a
    smooth source alone explains the image, no such neighbour is asked for: it may take an
    image of the source away, and always fits about as well.
    """
    light = work.light
    if light is None:
        return ()
    shape = brightest_companion(work.fine, light_residual(work.fine, light))
    if not bool(shape.isfinite().all()):
        return ()
    x, y = work.coarse.rays()
    is_near = torch.hypot(x - shape[0], y - shape[1]) < _COMPANION_RADIUS
    masked = work.coarse.weighted(torch.where(is_near, 0.0, work.coarse.weights))
    settings = work.settings
    fewer = replace(settings, starts=settings.starts // 2, minima=2)
    starts = starts_of(masked, light.values, work.prior, fewer, [()])
    (minima,) = coarse_minima(masked, light.values, work.prior, fewer, starts)
    companions = shape[None].cpu()
    return tuple(replace(minimum, companions=companions) for minimum in minima)


def _ordered(minima: Sequence[Minimum]) -> tuple[Minimum, ...]:
    """Return minima, the best first; one image explains no more than light on the sky does."""
    return tuple(sorted(minima, key=_rank))


def _rank(minimum: Minimum) -> float:
    source = minimum.values[7:9].tolist()
    has_images = image_count(mass_of(minimum.values[None])[0], *source) > 1
    return minimum.objective * (1.0 if has_images else _ONE_IMAGE)


def _row(light: LensLight | None, number: int) -> LensLight | None:
    if light is None:
        return None
    rows = slice(number, number + 1)
    parts = (light.values[rows], light.ellipticity[rows], light.arcs[rows])
    return LensLight(*(part.cpu() for part in parts))
