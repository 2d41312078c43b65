"""Minima: from candidates to the distinct minima of each lens, on binned and on all pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.fit.additions import (
    GOOD,
    Fits,
    joined,
    plain_fits,
    polished,
    with_additions,
)
from lenssim.simulate.fit.companions import MAX_COMPANIONS, companion_columns
from lenssim.simulate.fit.lens_light import LIGHT, LIGHT_B, LensLight, start_values
from lenssim.simulate.fit.marquardt import minimise
from lenssim.simulate.fit.projection import Evaluation, GaussianModel, Prior
from lenssim.simulate.fit.scan import Candidate, candidates
from lenssim.simulate.fit.settings import Priors, Search
from lenssim.simulate.fit.stamps import Stamps
from lenssim.simulate.fit.tracing import SLOPE

__all__ = [
    "FINE_SOURCE",
    "Minimum",
    "coarse_minima",
    "distinct",
    "fine_minima",
    "light_values",
    "priors_of",
    "source_model",
    "starts_of",
]

COARSE_SOURCE = (0.03, 0.07, 0.15, 0.3, 0.6)  # arcsec
FINE_SOURCE = tuple(float(sigma) for sigma in np.geomspace(0.015, 0.7, 8))
_COARSE_FREE = (0, 1, 2, 5, 6, 7, 8, 9, 10)
_LENS_FREE = tuple(range(11))
_LIGHT_FREE = (11, 12, 13, 14, 15, 16)
_MULTIPOLES = (17, 18, 19, 20)
_SHEAR = (5, 6)


@dataclass(frozen=True)
class Minimum:
    """One minimum of one lens.

    Attributes:
        values: Parameters (22,), about the (0, 0) of the stamp.
        amplitudes: Of light, sky and source (K,).
        companions: x, y, e1 and e2 (C, 4) of galaxies beside the lens.
        clumps: x, y and standard deviation (D, 3) of spots of the source.
        chi2: With the noise of the search.
        objective: chi2 and the squared pulls of the priors.
        has_shear: Whether the shear was free.
    """

    values: Tensor
    amplitudes: Tensor
    chi2: float
    objective: float
    has_shear: bool
    companions: Tensor = field(default_factory=lambda: torch.empty(0, 4))
    clumps: Tensor = field(default_factory=lambda: torch.empty(0, 3))


Rivals = Callable[[int], tuple[Minimum, ...]]


def light_values(light: LensLight | None, count: int) -> Tensor:
    """Return the values (L, 22) of the light of lenses, or of round lenses without light."""
    return start_values(count) if light is None else light.values


def priors_of(values: Tensor, light: LensLight | None, widths: Priors) -> Prior:
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
    width[:, 17:21] = widths.multipoles
    width[:, SLOPE] = widths.slope
    return Prior(mean, width)


def source_model(
    stamps: Stamps, prior: Prior, settings: Search, source: tuple[float, ...], rays: int
) -> GaussianModel:
    """Return the model of stamps with a source of Gaussians."""
    if settings.has_light:
        return GaussianModel(stamps, prior, LIGHT, LIGHT_B, source, rays)
    return GaussianModel(stamps, prior, (), (), source, rays)


def starts_of(
    stamps: Stamps,
    values: Tensor,
    prior: Prior,
    settings: Search,
    guesses: Sequence[Sequence[Candidate]],
) -> list[list[Candidate]]:
    """Return the candidates of each lens: those of the scan, and those from outside."""
    columns = source_model(stamps, prior, settings, (), 1).light_columns(values)
    starts = []
    for row, group in enumerate(guesses):
        stamp = stamps.take(torch.tensor([row]))
        scanned = candidates(stamp, columns[row], settings.grid, settings.starts)
        starts.append([*scanned, *group])
    return starts


def coarse_minima(
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
    model = source_model(stamps, prior, settings, COARSE_SOURCE, 1)
    columns = model.light_columns(values)[:, : model.light_count]
    model = replace(model, fixed_light=columns).take(owners)
    shears = torch.tensor([has_shear for _, has_shear in moves], device=values.device)
    fixed = _fixed(_COARSE_FREE, shears)
    values, state = minimise(model, start, list(_COARSE_FREE), fixed=fixed, steps=12)
    fits = plain_fits(values, state)
    return _by_lens(rows, fits, shears, len(starts), settings.minima)


def _put(values: Tensor, candidate: Candidate, has_shear: bool) -> None:
    """Set the lens and the source of a start, about the centre of the light."""
    x, y = values[11:13].tolist()
    shear = (candidate.gamma1 * has_shear, candidate.gamma2 * has_shear)
    source = (candidate.source_x + x, candidate.source_y + y, 0.0, 0.0)
    start = (candidate.theta_E, candidate.e1, candidate.e2, x, y, *shear, *source)
    values[:11] = values.new_tensor(start)


def _fixed(free: tuple[int, ...], shears: Tensor) -> Tensor:
    """Return which free parameters (N, F) must not move: the shear of fits without shear."""
    is_shear = torch.tensor([number in _SHEAR for number in free], device=shears.device)
    return ~shears[:, None] & is_shear


def fine_minima(
    stamps: Stamps,
    prior: Prior,
    settings: Search,
    minima: list[tuple[Minimum, ...]],
    expected: Sequence[float],
    rivals: Rivals | None = None,
) -> list[tuple[Minimum, ...]]:
    """Fit the minima of each lens at full resolution, with all parameters free.

    Args:
        stamps: The lenses (L, P).
        prior: Their priors.
        settings: How they are searched.
        minima: Their coarse minima.
        expected: Chi2 a pixel of each lens that noise alone gives.
        rivals: Further coarse minima of a lens, by its row. Only lenses that a smooth source
            does not explain are asked for them.
    """
    free = list(_LENS_FREE)
    if settings.has_light:
        free += _LIGHT_FREE
    table = _Rows(stamps, prior, settings, free)
    noise = stamps.data.new_tensor(list(expected))
    owners, shears, fits = table.fitted(minima)
    if settings.adds and rivals is not None:
        poor = _poor(fits, owners, noise * (stamps.weights > 0).sum(1))
        rival_minima = [rivals(row) if row in poor else () for row in range(len(minima))]
        if any(rival_minima):
            rival_rows = table.fitted(rival_minima)
            owners = torch.cat([owners, rival_rows[0]])
            shears = torch.cat([shears, rival_rows[1]])
            fits = joined(fits, rival_rows[2])
    model = table.model(owners)
    if settings.adds:
        fixed = _fixed(tuple(free), shears)
        fits = with_additions(model, fits, owners, free, fixed, noise[owners])
    if settings.has_multipoles or settings.has_slope:
        free += _MULTIPOLES * settings.has_multipoles + (SLOPE,) * settings.has_slope
        model = replace(
            model, has_multipoles=settings.has_multipoles, has_slope=settings.has_slope
        )
        fits = polished(model, fits, owners, free, _fixed(tuple(free), shears))
    return _by_lens(owners.tolist(), fits, shears, len(minima), settings.minima)


def _poor(fits: Fits, owners: Tensor, expected: Tensor) -> set[int]:
    """Return the lenses whose best fit is not near the chi2 (L,) that noise gives."""
    best = torch.full_like(expected, torch.inf)
    best = best.scatter_reduce(0, owners, fits.state.chi2, "amin")
    return set(torch.nonzero(best > GOOD * expected)[:, 0].tolist())


@dataclass(frozen=True)
class _Rows:
    """Fits at full resolution of rows that several lenses own.

    Attributes:
        stamps: The lenses (L, P).
        prior: Their priors.
        settings: How they are searched.
        free: Columns of values that may move.
    """

    stamps: Stamps
    prior: Prior
    settings: Search
    free: list[int]

    def model(self, owners: Tensor) -> GaussianModel:
        """Return the model of rows of some lenses (N,)."""
        settings = self.settings
        model = source_model(self.stamps, self.prior, settings, FINE_SOURCE, settings.rays)
        return model.take(owners)

    def fitted(self, minima: Sequence[Sequence[Minimum]]) -> tuple[Tensor, Tensor, Fits]:
        """Return the lenses of all minima, whether their shear is free, and their fits."""
        rows = [row for row, group in enumerate(minima) for _ in group]
        listed = [minimum for group in minima for minimum in group]
        owners = torch.tensor(rows, device=self.stamps.data.device)
        shears = [minimum.has_shear for minimum in listed]
        free_shear = torch.tensor(shears, device=owners.device)
        start = torch.stack([minimum.values for minimum in listed]).to(self.stamps.data)
        fixed = _fixed(tuple(self.free), free_shear)
        fit = _beside(self.model(owners), start, self.free, fixed, listed)
        return owners, free_shear, plain_fits(*fit)


def _beside(
    model: GaussianModel,
    start: Tensor,
    free: list[int],
    fixed: Tensor,
    minima: Sequence[Minimum],
) -> tuple[Tensor, Evaluation, Tensor]:
    """Fit minima beside the companions (N, C, 4) that they have already."""
    companions = start.new_full((len(minima), MAX_COMPANIONS, 4), torch.nan)
    for row, minimum in enumerate(minima):
        companions[row, : len(minimum.companions)] = minimum.companions
    if not bool(companions.isfinite().any()):
        return *minimise(model, start, free, fixed=fixed, steps=15), companions
    columns = companion_columns(model.stamps, companions[:, :1])
    beside = replace(model, companions=columns)
    values, state = minimise(beside, start, free, fixed=fixed, steps=15)
    count = model.source_columns.stop
    state.amplitudes = state.amplitudes[:, :count]
    state.active = state.active[:, :count]
    return values, state, companions


def _by_lens(
    rows: list[int], fits: Fits, shears: Tensor, lenses: int, count: int
) -> list[tuple[Minimum, ...]]:
    """Return the distinct minima of each lens, the best first."""
    groups: list[list[Minimum]] = [[] for _ in range(lenses)]
    for number, row in enumerate(rows):
        companions = fits.companions[number]
        clumps = fits.clumps[number]
        minimum = Minimum(
            fits.values[number].cpu(),
            fits.state.amplitudes[number].cpu(),
            float(fits.state.chi2[number]),
            float(fits.objective[number]),
            bool(shears[number]),
            companions[companions[:, 0].isfinite()].cpu(),
            clumps[clumps[:, 0].isfinite()].cpu(),
        )
        groups[row].append(minimum)
    ordered = [sorted(group, key=lambda minimum: minimum.objective) for group in groups]
    return [distinct(group, count) for group in ordered]


def distinct(
    minima: Sequence[Minimum], count: int, separation: float = 0.05
) -> tuple[Minimum, ...]:
    """Return the first minima that differ from each other, in a parameter or in theta_E."""
    chosen: list[Minimum] = []
    for minimum in minima:
        if all(_apart(minimum.values, rival.values, separation) for rival in chosen):
            chosen.append(minimum)
        if len(chosen) == count:
            break
    return tuple(chosen)


def _apart(a: Tensor, b: Tensor, separation: float) -> bool:
    return bool(
        torch.log(a[0] / b[0]).abs() > 0.02
        or (a[1:7] - b[1:7]).abs().max() > separation
        or (a[7:9] - b[7:9]).abs().max() > separation
    )
