"""Scenes: a table of lens systems, the hinge between drawing and rendering.

A scene is plain numbers: one column a parameter for what every system has (main lens, shear, source), and ragged
tables for what systems have in differing numbers (perturbers). Engines render it; they draw nothing.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.bounds import OutOfBoundsError
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.profiles import (
    COLOUR,
    PARAMETERS,
    PROFILES,
    UNITS,
    Profile,
    check_bounds,
    parameter_of,
)
from lenssim.simulate.psf.choice import PSF_COLUMNS, band_column
from lenssim.simulate.sources.frame import check_images
from lenssim.simulate.sources.sersic import unit_flux

__all__ = ["REDSHIFTS", "Component", "Perturbers", "Role", "Scenes", "check_redshifts"]

Role = Literal["lens", "lens_light", "source"]
REDSHIFTS = ("z_lens", "z_source", "z_source_convention")
_KIND = {"lens": "mass", "lens_light": "light", "source": "light"}


@dataclass(frozen=True)
class Component:
    """One profile that every scene has; its parameters are the columns `prefix + parameter`."""

    role: Role
    profile: str
    prefix: str = ""

    def __post_init__(self) -> None:
        if self.role not in _KIND:
            raise unknown("role", self.role, _KIND, code="unknown-role")
        fitting = [
            name for name, profile in PROFILES.items() if profile.kind == _KIND[self.role]
        ]
        if self.profile not in fitting:
            raise unknown(
                f"{_KIND[self.role]} profile", self.profile, fitting, code="unknown-profile"
            )


@dataclass(frozen=True)
class Perturbers:
    """Ragged table of one kind of mass profile: system i owns rows `offset[i]:offset[i + 1]` of every column."""

    offset: np.ndarray  # (N + 1,) int64
    columns: dict[str, np.ndarray]  # each (M,) float64

    @classmethod
    def from_counts(cls, counts: np.ndarray, **columns: np.ndarray) -> "Perturbers":
        """A table from the number of perturbers of each system, (N,), and flat columns in the order of systems."""
        return cls(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), columns)

    def __len__(self) -> int:
        return len(self.offset) - 1

    @property
    def counts(self) -> np.ndarray:
        """Number of perturbers of each system, (N,)."""
        return np.diff(self.offset)

    def of(self, i: int) -> dict[str, np.ndarray]:
        """The perturbers of system `i`: each column (n_i,)."""
        return {
            name: column[self.offset[i] : self.offset[i + 1]]
            for name, column in self.columns.items()
        }

    def take(self, rows: np.ndarray) -> "Perturbers":
        """The table of the systems `rows` (K,), in that order."""
        counts = self.counts[rows]
        starts = np.repeat(
            self.offset[:-1][rows] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts
        )
        flat = starts + np.arange(counts.sum())
        return Perturbers.from_counts(
            counts, **{name: column[flat] for name, column in self.columns.items()}
        )

    @staticmethod
    def concatenate(tables: "Iterable[Perturbers]") -> "Perturbers":
        """Tables of consecutive systems as one."""
        tables = list(tables)
        names = tables[0].columns
        return Perturbers.from_counts(
            np.concatenate([table.counts for table in tables]),
            **{
                name: np.concatenate([table.columns[name] for table in tables])
                for name in names
            },
        )


@dataclass(frozen=True)
class Scenes:
    """N lens systems of one structure: the same components, each with its own numbers.

    `params` holds float64 columns (N,); `images` what interpolated sources show. Angles are in arcsec; ellipticities,
    shear and centres follow lenstronomy's conventions. Every Einstein radius and shear is stated for a source at
    `z_source_convention`; a source at `z_source` sees the deflections scaled by `deflection_scale()`. Columns that
    no component uses (masses, the axion's mass) are truth that travels along, NaN where a system has no such number.
    """

    components: tuple[Component, ...]
    params: dict[str, np.ndarray]
    perturbers: dict[str, Perturbers] = field(default_factory=dict)
    cosmology: Cosmology = field(
        default_factory=lambda: Cosmology(H0=70, Om0=0.3, Ob0=0.05)
    )
    units: dict[str, str] = field(default_factory=dict)
    # (K, H, W) per arcsec^2: what the column `image` counts, from 0
    images: np.ndarray | None = None

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.params.values()} | {
            len(t) for t in self.perturbers.values()
        }
        if len(lengths) > 1:
            raise ConfigError(
                f"the columns of a scene table have different lengths: {sorted(lengths)}",
                code="scene-columns",
            )
        for name in ("z_lens", "z_source"):
            if name not in self.params:
                raise ConfigError(
                    f"a scene table needs the column {name!r}",
                    code="scene-columns",
                    name=name,
                )
        check_redshifts(self.params)
        for component in self.components:
            _check(component, self.params)
            if component.profile == "interpolated":
                check_images(self.params[component.prefix + "image"], self.images)
        for kind, table in self.perturbers.items():
            _check_perturbers(_profile_of(kind, table), table)

    def __len__(self) -> int:
        return len(self.params["z_lens"])

    def take(self, rows: np.ndarray | slice) -> "Scenes":
        """The systems `rows`, in that order; the scenes themselves if these are all."""
        everything = np.arange(len(self))
        rows = everything[rows]
        if np.array_equal(rows, everything):
            return self
        part = copy(self)  # of what was checked: nothing is checked again
        part.__dict__["params"] = {name: col[rows] for name, col in self.params.items()}
        tables = {kind: table.take(rows) for kind, table in self.perturbers.items()}
        part.__dict__["perturbers"] = tables
        return part

    @staticmethod
    def concatenate(tables: "Iterable[Scenes]") -> "Scenes":
        """Tables of the same structure as one."""
        tables = list(tables)
        return replace(
            tables[0],
            params={
                name: np.concatenate([t.params[name] for t in tables])
                for name in tables[0].params
            },
            perturbers={
                kind: Perturbers.concatenate([t.perturbers[kind] for t in tables])
                for kind in tables[0].perturbers
            },
        )

    def of(
        self, component: Component, zero_point: float | None = None
    ) -> dict[str, np.ndarray]:
        """The profile parameters (N,) of one component, ready for an engine.

        A magnitude becomes an amplitude in e-/s/arcsec^2 with the instrument's `zero_point`. A mass or a
        velocity dispersion has become an Einstein radius when the scene was drawn. `ConfigError` if a
        magnitude meets no zero point.
        """
        profile = PROFILES[component.profile]
        names = [
            name
            for name in profile.parameters
            if component.prefix + name in self.params and name not in ("mass", "sigma_v")
        ]
        values = {name: self.params[component.prefix + name] for name in names}
        if "magnitude" in values:
            magnitude = values.pop("magnitude")
            if zero_point is None:
                raise ConfigError(
                    f"{component.prefix}magnitude needs an instrument with a zero point; "
                    f"give {component.prefix}amp instead, or another instrument",
                    code="no-zero-point",
                    prefix=component.prefix,
                )
            values["amp"] = 10 ** (-0.4 * (magnitude - zero_point)) / self.unit_flux(
                component, values
            )
        return values

    def unit_flux(
        self, component: Component, values: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the flux (N,) [arcsec^2] of a component's light of amplitude 1, of `of`'s values."""
        if component.profile in ("sersic", "spiral"):
            return unit_flux(values["R_sersic"], values["n_sersic"])
        assert self.images is not None
        return values["scale"] ** 2 * self.images[values["image"].astype(np.int64)].sum(
            (1, 2), dtype=np.float64
        )

    def in_band(self, band: str, number: int = 0) -> "Scenes":
        """Return the scenes as one band sees them: magnitudes include the band's colours.

        A component without a colour in the band has its `magnitude` there. The column of
        the band's PSF loses the band's name. What is dark, such as a clump that a galaxy does
        not have, stays as dark as magnitudes go. Of images of several bands the one of this
        `number` is shown.
        """
        params = dict(self.params)
        for component in self.components:
            magnitude = component.prefix + "magnitude"
            colour = f"{component.prefix}{COLOUR}{band}"
            if magnitude in params and colour in params:
                in_band = params[magnitude] + params[colour]
                params[magnitude] = np.minimum(in_band, PARAMETERS["magnitude"].bounds.high)
        for column in PSF_COLUMNS:
            if band_column(column, band) in params:
                params[column] = params[band_column(column, band)]
        images = self.images
        if images is not None and images.ndim == 4:
            images = images[:, number]
        return replace(self, params=params, images=images)

    def deflection_scale(self) -> np.ndarray:
        """Factor (N,) by which the source sees the stated deflections scaled (1 in a single-convention scene)."""
        convention = self.params.get("z_source_convention", self.params["z_source"])
        return self.cosmology.deflection_scale(
            self.params["z_lens"], self.params["z_source"], convention
        )

    def unit(self, name: str) -> str:
        """Unit of a column, "" if it has none."""
        if name in self.units:
            return self.units[name]
        prefixes = [c.prefix for c in self.components if c.prefix]
        stems = [name.removeprefix(p) for p in prefixes if name.startswith(p)]
        parameters = [parameter_of(stem) for stem in [*stems, name]]
        return next((UNITS[stem] for stem in parameters if stem in UNITS), "")


def _check(component: Component, params: Mapping[str, np.ndarray]) -> None:
    profile, prefix = PROFILES[component.profile], component.prefix
    named = [*profile.required, *(name for name, _ in profile.defaults)]
    for name in named:
        if prefix + name not in params:
            raise ConfigError(
                f"the {component.role} {component.profile!r} needs the column {prefix + name!r}",
                code="scene-columns",
                role=component.role,
                profile=component.profile,
            )
    given = [name for name in profile.one_of if prefix + name in params]
    if profile.one_of and not given:
        raise ConfigError(
            f"the {component.role} {component.profile!r} needs one of the columns "
            f"{', '.join(prefix + name for name in profile.one_of)}",
            code="scene-columns",
            role=component.role,
            profile=component.profile,
        )
    check_bounds(
        profile, {name: params[prefix + name] for name in (*named, *given)}, prefix
    )


def _profile_of(kind: str, table: Perturbers) -> Profile:
    """Return the profile of a kind of perturbers; `ConfigError` if the table does not fit it."""
    profile = PROFILES.get(kind)
    if profile is None or profile.kind != "mass":
        masses = [profile.name for profile in PROFILES.values() if profile.kind == "mass"]
        raise unknown("kind of perturber", kind, masses, code="unknown-profile")
    if set(table.columns) != set(profile.parameters):
        raise ConfigError(
            f"perturbers of kind {kind!r} have the columns {', '.join(sorted(profile.parameters))}; "
            f"got {', '.join(sorted(table.columns)) or 'none'}",
            code="scene-columns",
            kind=kind,
        )
    return profile


def _check_perturbers(profile: Profile, table: Perturbers) -> None:
    """Bounds of a table's columns; an error's row is that of the system."""
    try:
        check_bounds(profile, table.columns, f"{profile.name} perturbers: ")
    except OutOfBoundsError as error:
        if error.row is None:
            raise
        owner = int(np.searchsorted(table.offset, error.row, side="right")) - 1
        raise OutOfBoundsError(error.complaint, owner) from None


def check_redshifts(params: Mapping[str, np.ndarray]) -> None:
    """Check that every source, and the one that deflections are stated for, lies behind its lens.

    Raises:
        OutOfBoundsError: A redshift is none, or one of a source is not above `z_lens`; the error has its row.
    """
    for name in REDSHIFTS:
        if name in params:
            PARAMETERS[name].bounds.check(name, params[name])
    for name in ("z_source", "z_source_convention"):
        if name not in params:
            continue
        in_front = params[name] <= params["z_lens"]
        if in_front.any():
            row = int(np.argmax(in_front))
            complaint = (
                f"{name} must lie behind z_lens, got z_lens {params['z_lens'][row]:.4g}"
            )
            complaint += f" and {name} {params[name][row]:.4g}"
            raise OutOfBoundsError(complaint, row, ": give them ranges that do not overlap")
