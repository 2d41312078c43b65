"""Variable projection: chi2 of nonlinear parameters, with all amplitudes solved for."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lenssim.simulate.fit.amplitudes import RIDGE, amplitudes
from lenssim.simulate.fit.gaussians import (
    clump_slopes,
    gaussians,
    radius_squared_slopes,
)
from lenssim.simulate.fit.multipoles import MULTIPOLES, bent
from lenssim.simulate.fit.stamps import Stamps
from lenssim.simulate.fit.tracing import MASS, SLOPE, trace_slopes

__all__ = ["PARAMETERS", "Evaluation", "GaussianModel", "Prior", "number_of"]

PARAMETERS = (
    *MASS,
    *("source_x", "source_y", "source_e1", "source_e2"),
    *("light_x", "light_y", "light_e1", "light_e2", "light_e1_b", "light_e2_b"),
    *MULTIPOLES,
    "slope",  # gamma - 2 of a power law
)
_MASS = slice(0, 7)
_SOURCE = slice(7, 11)
_LIGHT = slice(11, 17)
_MULTIPOLES = slice(17, 21)


def number_of(name: str) -> int:
    """Return the column of a parameter in tables of values (N, 22)."""
    return PARAMETERS.index(name)


@dataclass(frozen=True)
class Prior:
    """Normal priors of the parameters; an infinite width is none.

    Attributes:
        mean: (N, 22).
        width: (N, 22).
    """

    mean: Tensor
    width: Tensor

    def take(self, rows: Tensor) -> "Prior":
        """Return the priors of some rows."""
        return Prior(self.mean[rows], self.width[rows])

    def pulls(self, values: Tensor) -> Tensor:
        """Return (values - mean) / width (N, 22), 0 where there is no prior."""
        return (values - self.mean) / self.width


@dataclass
class Evaluation:
    """What a model is at some values, a row each.

    Attributes:
        objective: chi2 plus the squared pulls of the prior (N,).
        chi2: (N,).
        residual: (data - model) / sigma (N, P).
        slopes: Derivatives of the model over sigma by the free parameters (N, F, P), with
            what amplitudes can follow projected out (Kaufman 1975).
        amplitudes: Of all columns (N, K).
        active: Which columns are in use (N, K).
    """

    objective: Tensor
    chi2: Tensor
    residual: Tensor
    slopes: Tensor
    amplitudes: Tensor
    active: Tensor

    def put(self, rows: Tensor, other: "Evaluation", chosen: Tensor) -> None:
        """Replace some rows by chosen rows of another evaluation."""
        for name in ("objective", "chi2", "residual", "slopes", "amplitudes", "active"):
            getattr(self, name)[rows] = getattr(other, name)[chosen]


@dataclass(frozen=True)
class GaussianModel:
    """A lens light, a constant sky and a lensed source, all sums of Gaussians.

    Attributes:
        stamps: Stamps, a row for each row of values.
        prior: Priors of the rows.
        light: Standard deviations of the first set of Gaussians [arcsec].
        light_b: Those of a second set with its own ellipticity.
        source: Those of the source; empty: there is none.
        rays: Rays a pixel side through the lens.
        fixed_light: Weighted columns (N, K, P) of the lens light, where its shape is fixed.
        companions: Columns (N, C, P) of light that is not lensed and whose shape is fixed, such
            as neighbours; without weights.
        clumps: Round Gaussians (N, C, 3) beside those of the source: x and y from its centre,
            and their standard deviations [arcsec]; NaN: there is none.
        has_multipoles: Whether the mass has multipoles.
        has_slope: Whether the mass is a power law, which need not be isothermal.
    """

    stamps: Stamps
    prior: Prior
    light: tuple[float, ...] = ()
    light_b: tuple[float, ...] = ()
    source: tuple[float, ...] = ()
    rays: int = 1
    fixed_light: Tensor | None = None
    companions: Tensor | None = None
    clumps: Tensor | None = None
    has_multipoles: bool = False
    has_slope: bool = False

    @property
    def light_count(self) -> int:
        """The number of columns before the sky."""
        return len(self.light) + len(self.light_b)

    @property
    def source_columns(self) -> slice:
        """The columns of the source, behind those of lens light and sky."""
        first = self.light_count + 1
        return slice(first, first + len(self.source))

    @property
    def clump_columns(self) -> slice:
        """The columns of the clumps, behind those of the source."""
        first = self.source_columns.stop
        count = 0 if self.clumps is None else self.clumps.shape[1]
        return slice(first, first + count)

    def take(self, rows: Tensor) -> "GaussianModel":
        """Return the model of some rows."""
        fixed_light = None if self.fixed_light is None else self.fixed_light[rows]
        companions = None if self.companions is None else self.companions[rows]
        clumps = None if self.clumps is None else self.clumps[rows]
        return replace(
            self,
            stamps=self.stamps.take(rows),
            prior=self.prior.take(rows),
            fixed_light=fixed_light,
            companions=companions,
            clumps=clumps,
        )

    def is_free(self) -> Tensor:
        """Return which columns (K,) may be negative: the sky alone."""
        count = self.clump_columns.stop
        if self.companions is not None:
            count += self.companions.shape[1]
        free = torch.zeros(count, dtype=torch.bool, device=self.stamps.data.device)
        free[self.light_count] = True
        return free

    def evaluate(
        self, values: Tensor, free: list[int], start: Tensor | None = None
    ) -> Evaluation:
        """Return chi2, residuals and slopes.

        Args:
            values: Parameters (N, 22).
            free: The columns of values whose slopes are wanted.
            start: Amplitudes (N, K) that are likely in use.
        """
        light_columns, light_parts = self._light(values)
        source_columns, source_parts = self._source(values)
        sky = self.stamps.weights[:, None]
        groups = [light_columns, sky, source_columns]
        if self.companions is not None:
            groups.append(self.companions * sky)
        columns = torch.cat(groups, dim=1)
        solved, active = amplitudes(columns, self.stamps.data, self.is_free(), start)
        residual = self.stamps.data - (solved[:, None] @ columns)[:, 0]
        chi2 = residual.square().sum(1)
        pulls = self.prior.pulls(values)
        slopes = residual.new_zeros(len(values), 0, residual.shape[1])
        if free:
            raw = self._slopes(free, solved, light_parts, source_parts)
            slopes = _projected(raw, columns, active)
        objective = chi2 + pulls.square().sum(1)
        return Evaluation(objective, chi2, residual, slopes, solved, active)

    def images(self, values: Tensor, solved: Tensor) -> tuple[Tensor, Tensor]:
        """Return the light of lens, sky and companions, and of the arcs, (N, P), unweighted."""
        plain = replace(self.stamps, weights=torch.ones_like(self.stamps.weights))
        model = replace(self, stamps=plain, fixed_light=None)
        light_columns, _ = model._light(values)
        source_columns, _ = model._source(values)
        count = self.light_count
        light = (solved[:, None, :count] @ light_columns)[:, 0]
        light = light + solved[:, count : count + 1]
        if self.companions is not None:
            beside = solved[:, None, self.clump_columns.stop :]
            light = light + (beside @ self.companions)[:, 0]
        lensed = slice(self.source_columns.start, self.clump_columns.stop)
        arcs = (solved[:, None, lensed] @ source_columns)[:, 0]
        return light, arcs

    def light_columns(self, values: Tensor) -> Tensor:
        """Return the weighted columns of lens light, sky and companions (N, K, P)."""
        columns, _ = self._light(values)
        sky = self.stamps.weights[:, None]
        groups = [columns, sky]
        if self.companions is not None:
            groups.append(self.companions * sky)
        return torch.cat(groups, dim=1)

    def _light(self, values: Tensor) -> tuple[Tensor, list[tuple]]:
        """Return the columns of the lens light, and the parts of their slopes."""
        if self.fixed_light is not None:
            return self.fixed_light, []
        x, y = self.stamps.rays()
        dx = x - values[:, 11:12]
        dy = y - values[:, 12:13]
        pixel2 = self.stamps.pixel_scale**2 / 12
        parts = []
        columns = []
        for sigmas, first in ((self.light, 13), (self.light_b, 15)):
            if not sigmas:
                continue
            variances = values.new_tensor(sigmas) ** 2 + pixel2
            e1 = values[:, first : first + 1]
            e2 = values[:, first + 1 : first + 2]
            radius2, *slopes = radius_squared_slopes(dx, dy, e1, e2)
            brightness = gaussians(radius2, variances)
            columns.append(brightness)
            parts.append((brightness, variances, slopes, first))
        if not columns:
            return values.new_zeros(len(values), 0, self.stamps.data.shape[1]), parts
        return self.stamps.blur(torch.cat(columns, dim=1)), parts

    def _source(self, values: Tensor) -> tuple[Tensor, tuple]:
        """Return the columns of the source, and the parts of their slopes."""
        if not self.source:
            return values.new_zeros(len(values), 0, self.stamps.data.shape[1]), ()
        x, y = self.stamps.rays(self.rays)
        beta_x, beta_y, *mass_slopes = self._rays(values, x, y)
        dx = beta_x - values[:, 7:8]
        dy = beta_y - values[:, 8:9]
        radius2, *slopes = radius_squared_slopes(dx, dy, values[:, 9:10], values[:, 10:11])
        variances = values.new_tensor(self.source) ** 2
        brightness = gaussians(radius2, variances)
        clumps = () if self.clumps is None else clump_slopes(dx, dy, self.clumps)
        lensed = torch.cat([brightness, clumps[0]], dim=1) if clumps else brightness
        parts = (brightness, variances, slopes, mass_slopes, clumps)
        return self.stamps.blur(lensed), parts

    def _rays(self, values: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Return where rays end, and derivatives by mass, multipoles and slope, in this order."""
        mass = values[:, _MASS]
        if self.has_slope:
            mass = torch.cat([mass, values[:, SLOPE:]], dim=1)
        beta_x, beta_y, slopes_x, slopes_y = trace_slopes(x, y, mass)
        if not self.has_multipoles:
            return beta_x, beta_y, slopes_x, slopes_y
        terms = values[:, _MULTIPOLES]
        return bent(x, y, values[:, _MASS], terms, beta_x, beta_y, slopes_x, slopes_y)

    def _slopes(
        self, free: list[int], solved: Tensor, light_parts: list, source_parts: tuple
    ) -> Tensor:
        """Return the derivatives (N, F, P) at fixed amplitudes, over sigma."""
        on_sky = [number for number in free if _LIGHT.start <= number < _LIGHT.stop]
        through_lens = [number for number in free if number not in on_sky]
        slopes = []
        if through_lens:
            parts = self._source_slopes(through_lens, solved, source_parts)
            slopes.append(self.stamps.blur(parts))
        if on_sky:
            slopes.append(self.stamps.blur(self._light_slopes(on_sky, solved, light_parts)))
        order = through_lens + on_sky
        every = torch.cat(slopes, dim=1)
        return every[:, [order.index(number) for number in free]]

    def _source_slopes(self, numbers: list[int], solved: Tensor, parts: tuple) -> Tensor:
        brightness, variances, (by_x, by_y, by_e1, by_e2), (mass_x, mass_y), clumps = parts
        weights = solved[:, self.source_columns] * (-0.5 / variances)
        by_radius2 = (weights[:, None] @ brightness)[:, 0]
        gradient_x = by_radius2 * by_x
        gradient_y = by_radius2 * by_y
        if clumps:
            _, clump_x, clump_y = clumps
            beside = solved[:, None, self.clump_columns]
            gradient_x = gradient_x + (beside @ clump_x)[:, 0]
            gradient_y = gradient_y + (beside @ clump_y)[:, 0]
        of_source = (-gradient_x, -gradient_y, by_radius2 * by_e1, by_radius2 * by_e2)
        rows = []
        for number in numbers:
            if _SOURCE.start <= number < _SOURCE.stop:
                rows.append(of_source[number - 7])
                continue
            column = number if number < 7 else number - 10  # multipoles follow the mass
            if number == SLOPE:
                column = -1
            row = gradient_x * mass_x[:, column] + gradient_y * mass_y[:, column]
            rows.append(row)
        return torch.stack(rows, dim=1)

    def _light_slopes(self, numbers: list[int], solved: Tensor, parts: list) -> Tensor:
        gradients = {}
        first = 0
        shift_x = torch.zeros_like(self.stamps.data)
        shift_y = torch.zeros_like(self.stamps.data)
        for brightness, variances, (by_x, by_y, by_e1, by_e2), number in parts:
            weights = solved[:, first : first + len(variances)] * (-0.5 / variances)
            by_radius2 = (weights[:, None] @ brightness)[:, 0]
            shift_x = shift_x - by_radius2 * by_x
            shift_y = shift_y - by_radius2 * by_y
            gradients[number] = by_radius2 * by_e1
            gradients[number + 1] = by_radius2 * by_e2
            first += len(variances)
        gradients[11] = shift_x
        gradients[12] = shift_y
        return torch.stack([gradients[number] for number in numbers], dim=1)


def _projected(slopes: Tensor, columns: Tensor, active: Tensor) -> Tensor:
    """Return slopes (N, F, P) without their part along the active columns (N, K, P)."""
    used = torch.where(active[..., None], columns, 0.0)
    lengths = used.square().sum(-1).sqrt()
    inverse = torch.where(lengths > 0, 1 / lengths, 0.0)
    units = used * inverse[..., None]
    gram = units @ units.mT
    diagonal = gram.diagonal(dim1=-2, dim2=-1)
    diagonal.add_(RIDGE)
    diagonal.add_(torch.where(lengths > 0, 0.0, 1.0))
    lower, _ = torch.linalg.cholesky_ex(gram)
    along = torch.cholesky_solve(units @ slopes.mT, lower)
    return slopes - along.mT @ units
