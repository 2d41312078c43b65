"""The search: from an image to its minima, without a start from outside."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.fit.lens_light import (
    LIGHT,
    LIGHT_B,
    LensLight,
    fit_light,
    start_values,
)
from lenssim.simulate.fit.marquardt import HIGHEST, LOWEST, minimise
from lenssim.simulate.fit.preparation import FLOOR, Prepared, stamps_of
from lenssim.simulate.fit.projection import Evaluation, GaussianModel, Prior
from lenssim.simulate.fit.scan import FINE, QUICK, Candidate, ScanGrid, candidates
from lenssim.simulate.fit.stamps import Stamps
from lenssim.simulate.fit.threads import one_thread

__all__ = ["Minimum", "Priors", "Search", "SearchResult", "search"]

COARSE_SOURCE = (0.03, 0.07, 0.15, 0.3, 0.6)  # arcsec
FINE_SOURCE = tuple(float(sigma) for sigma in np.geomspace(0.015, 0.7, 8))
_COARSE_FREE = (0, 1, 2, 5, 6, 7, 8, 9, 10)
_LENS_FREE = tuple(range(11))
_LIGHT_FREE = (11, 12, 13, 14, 15, 16)
_SHEAR = (5, 6)
_BIN = 2
_MAX_CHI2_PER_PIXEL = 3.0
_CLOSE_CHI2 = 10.0
_CLOSE_THETA_E = 0.04


@dataclass(frozen=True)
class Priors:
    """Widths of the normal priors of a lens.

    Attributes:
        ellipticity: Of e1 and e2, about the ellipticity of the light if the lens shines.
        shear: Of gamma1 and gamma2, about 0.
        centre: Of the centre of the mass, about that of the light [arcsec].
        source_ellipticity: Of the source, about 0.
        source_centre: Of the source, about the lens [arcsec].
    """

    ellipticity: float = 0.08
    shear: float = 0.03
    centre: float = 0.03
    source_ellipticity: float = 0.25
    source_centre: float = 0.5


WITH_LIGHT = Priors()
WITHOUT_LIGHT = Priors(ellipticity=0.15, shear=0.06)


@dataclass(frozen=True)
class Search:
    """How a lens is searched for.

    Attributes:
        has_light: Whether the lens shines.
        priors: Widths of the priors; None: those of lenses with or without light.
        grid: Masses and sources of the scan.
        fine_grid: Those of an escalated search.
        starts: Candidates of the scan, which are each fitted.
        fine_starts: Those of an escalated search.
        kept: Minima that are fitted at full resolution.
        rays: Rays a pixel side of the last fit.
        escalates: Whether a search that looks unsure is repeated on the finer grid.
    """

    has_light: bool = True
    priors: Priors | None = None
    grid: ScanGrid = QUICK
    fine_grid: ScanGrid = FINE
    starts: int = 6
    fine_starts: int = 12
    kept: int = 4
    rays: int = 2
    escalates: bool = True

    @property
    def widths(self) -> Priors:
        """The widths of the priors."""
        if self.priors is not None:
            return self.priors
        return WITH_LIGHT if self.has_light else WITHOUT_LIGHT


@dataclass(frozen=True)
class Minimum:
    """One minimum of one lens.

    Attributes:
        values: Parameters (17,), about the (0, 0) of the stamp.
        amplitudes: Of light, sky and source (K,).
        chi2: With the noise of the search.
        objective: chi2 and the squared pulls of the priors.
        has_shear: Whether the shear was free.
    """

    values: Tensor
    amplitudes: Tensor
    chi2: float
    objective: float
    has_shear: bool


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
        values = _light_values(self.light, 1)
        prior = _prior(values, self.light, self.search.widths).take(rows)
        return _model(
            stamps.take(rows), prior, self.search, FINE_SOURCE, rays or self.search.rays
        )


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
    further = extra or [()] * len(lenses)
    results = _searched(lenses, settings, light, further, device)
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
        again = _searched([lenses[number]], finer, part, [further[number]], device)[0]
        results[number] = _joined(result, again, reasons)
    return results


def doubts(result: SearchResult) -> tuple[str, ...]:
    """Return why a result is not sure: a poor fit, another minimum, a bound."""
    reasons = []
    best = result.best
    if best.chi2 > _MAX_CHI2_PER_PIXEL * result.pixels:
        reasons.append("poor-fit")
    if any(_rivals(best, minimum) for minimum in result.minima[1:]):
        reasons.append("another-minimum")
    if at_bound(best.values):
        reasons.append("bound")
    return tuple(reasons)


def _rivals(best: Minimum, other: Minimum) -> bool:
    distance = abs(float(torch.log(other.values[0] / best.values[0])))
    return other.objective - best.objective < _CLOSE_CHI2 and distance > _CLOSE_THETA_E


def at_bound(values: Tensor) -> bool:
    """Return whether a parameter of the lens sits at its bound."""
    lens = values[:7].tolist()
    bounds = zip(lens, LOWEST, HIGHEST, strict=False)
    outside = [not low + 1e-6 < value < high - 1e-6 for value, low, high in bounds]
    return any(outside) or float(torch.hypot(values[1], values[2])) > 0.649


def _joined(
    first: SearchResult, second: SearchResult, reasons: tuple[str, ...]
) -> SearchResult:
    every = sorted((*first.minima, *second.minima), key=lambda minimum: minimum.objective)
    return replace(second, minima=_distinct(every, first.search.kept), escalated=reasons)


def _searched(
    lenses: Sequence[Prepared],
    settings: Search,
    light: LensLight | None,
    further: Sequence[Sequence[Candidate]],
    device: str,
) -> list[SearchResult]:
    """Scan, fit all candidates on binned pixels, and the best of them on all pixels."""
    coarse = stamps_of(list(lenses), floor=FLOOR, bin=_BIN, device=device)
    values = _light_values(light, len(lenses)).to(device)
    prior = _prior(values, light, settings.widths)
    starts = _starts(coarse, values, prior, settings, further)
    minima = _coarse_minima(coarse, values, prior, settings, starts)
    fine = stamps_of(list(lenses), floor=FLOOR, device=device)
    finest = _fine_minima(fine, prior, settings, minima)
    counts = (fine.weights > 0).sum(1).tolist()
    return [
        SearchResult(lens, settings, found, _row(light, number), counts[number])
        for number, (lens, found) in enumerate(zip(lenses, finest, strict=True))
    ]


def _row(light: LensLight | None, number: int) -> LensLight | None:
    if light is None:
        return None
    rows = slice(number, number + 1)
    parts = (light.values[rows], light.ellipticity[rows], light.arcs[rows])
    return LensLight(*(part.cpu() for part in parts))


def _light_values(light: LensLight | None, count: int) -> Tensor:
    return start_values(count) if light is None else light.values


def _prior(values: Tensor, light: LensLight | None, widths: Priors) -> Prior:
    """Return the priors of lenses about the centre and the ellipticity of their light."""
    mean = torch.zeros_like(values)
    mean[:, 3:5] = values[:, 11:13]
    mean[:, 7:9] = values[:, 11:13]
    mean[:, 11:13] = values[:, 11:13]
    if light is not None:
        mean[:, 1:3] = light.ellipticity.to(mean)
    width = torch.full_like(values, float("inf"))
    width[:, 1:3] = widths.ellipticity
    width[:, 3:5] = widths.centre
    width[:, 5:7] = widths.shear
    width[:, 7:9] = widths.source_centre
    width[:, 9:11] = widths.source_ellipticity
    width[:, 11:13] = 0.05
    width[:, 13:17] = 0.3
    return Prior(mean, width)


def _model(
    stamps: Stamps, prior: Prior, settings: Search, source: tuple[float, ...], rays: int
) -> GaussianModel:
    if settings.has_light:
        return GaussianModel(stamps, prior, LIGHT, LIGHT_B, source, rays)
    return GaussianModel(stamps, prior, (), (), source, rays)


def _starts(
    stamps: Stamps,
    values: Tensor,
    prior: Prior,
    settings: Search,
    further: Sequence[Sequence[Candidate]],
) -> list[list[Candidate]]:
    """Return the candidates of each lens: those of the scan, and those from outside."""
    columns = _model(stamps, prior, settings, (), 1).light_columns(values)
    starts = []
    for row, others in enumerate(further):
        one = stamps.take(torch.tensor([row]))
        scanned = candidates(one, columns[row], settings.grid, settings.starts)
        starts.append([*scanned, *others])
    return starts


def _coarse_minima(
    stamps: Stamps,
    values: Tensor,
    prior: Prior,
    settings: Search,
    starts: list[list[Candidate]],
) -> list[tuple[Minimum, ...]]:
    """Fit every candidate with and without shear; return the distinct minima of each lens."""
    rows = [row for row, group in enumerate(starts) for _ in (*group, *group)]
    owners = torch.tensor(rows, device=values.device)
    start = values[owners].clone()
    moves = [
        (candidate, has_shear)
        for group in starts
        for candidate in group
        for has_shear in (True, False)
    ]
    for number, (candidate, has_shear) in enumerate(moves):
        _put(start[number], candidate, has_shear)
    model = _model(stamps, prior, settings, COARSE_SOURCE, 1)
    columns = model.light_columns(values)[:, : model.light_count]
    model = replace(model, fixed_light=columns).take(owners)
    shears = torch.tensor([has_shear for _, has_shear in moves], device=values.device)
    fixed = _fixed(_COARSE_FREE, shears)
    ended, state = minimise(model, start, list(_COARSE_FREE), fixed=fixed, steps=12)
    return _by_lens(rows, ended, state, shears, len(starts), settings.kept)


def _put(values: Tensor, candidate: Candidate, has_shear: bool) -> None:
    """Set the lens and the source of a start, about the centre of the light."""
    centre = values[11:13].clone()
    values[0] = candidate.theta_E
    values[1] = candidate.e1
    values[2] = candidate.e2
    values[3:5] = centre
    values[5] = candidate.gamma1 * has_shear
    values[6] = candidate.gamma2 * has_shear
    values[7] = candidate.source_x + centre[0]
    values[8] = candidate.source_y + centre[1]
    values[9:11] = 0.0


def _fixed(free: tuple[int, ...], shears: Tensor) -> Tensor:
    """Return which free parameters (N, F) must not move: the shear of fits without shear."""
    is_shear = torch.tensor([number in _SHEAR for number in free], device=shears.device)
    return ~shears[:, None] & is_shear


def _fine_minima(
    stamps: Stamps, prior: Prior, settings: Search, minima: list[tuple[Minimum, ...]]
) -> list[tuple[Minimum, ...]]:
    """Fit the minima of each lens at full resolution, with all parameters free."""
    rows = [row for row, group in enumerate(minima) for _ in group]
    every = [minimum for group in minima for minimum in group]
    owners = torch.tensor(rows, device=stamps.data.device)
    start = torch.stack([minimum.values for minimum in every]).to(stamps.data.device)
    free = list(_LENS_FREE)
    if settings.has_light:
        free += _LIGHT_FREE
    shears = torch.tensor([minimum.has_shear for minimum in every], device=start.device)
    model = _model(stamps, prior, settings, FINE_SOURCE, settings.rays).take(owners)
    fixed = _fixed(tuple(free), shears)
    ended, state = minimise(model, start, free, fixed=fixed, steps=15)
    return _by_lens(rows, ended, state, shears, len(minima), settings.kept)


def _by_lens(
    rows: list[int],
    values: Tensor,
    state: Evaluation,
    shears: Tensor,
    count: int,
    kept: int,
) -> list[tuple[Minimum, ...]]:
    """Return the distinct minima of each lens, the best first."""
    groups: list[list[Minimum]] = [[] for _ in range(count)]
    for number, row in enumerate(rows):
        minimum = Minimum(
            values[number].cpu(),
            state.amplitudes[number].cpu(),
            float(state.chi2[number]),
            float(state.objective[number]),
            bool(shears[number]),
        )
        groups[row].append(minimum)
    ordered = [sorted(group, key=lambda minimum: minimum.objective) for group in groups]
    return [_distinct(group, kept) for group in ordered]


def _distinct(minima: Sequence[Minimum], kept: int) -> tuple[Minimum, ...]:
    """Return the first minima that differ from each other."""
    chosen: list[Minimum] = []
    for minimum in minima:
        if all(_apart(minimum.values, other.values) for other in chosen):
            chosen.append(minimum)
        if len(chosen) == kept:
            break
    return tuple(chosen)


def _apart(a: Tensor, b: Tensor) -> bool:
    return bool(
        torch.log(a[0] / b[0]).abs() > 0.02
        or (a[1:7] - b[1:7]).abs().max() > 0.05
        or (a[7:9] - b[7:9]).abs().max() > 0.05
    )
