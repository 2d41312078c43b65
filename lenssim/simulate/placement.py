"""Placement: sources inside the caustics of their lens; kept is what it magnifies and what the frame holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lenssim.errors import ConfigError
from lenssim.record import Record
from lenssim.simulate.columns import Columns
from lenssim.simulate.isothermal import Isothermal
from lenssim.simulate.scenes import Component
from lenssim.simulate.sources.light import GalaxyLight, Light, SersicLight
from lenssim.simulate.sources.sersic import unit_flux

__all__ = ["Placement"]


class Placement(Record):
    """Where sources lie: a point even over the area inside the caustics of a sie, with or without shear.

    Centres of the source's components are relative to it. Systems whose magnification is below `magnification`, or
    with less than `in_frame` of the images' flux inside the stamp, are drawn again. As in the training sets of Hezaveh,
    Perreault Levasseur & Marshall 2017 (arXiv:1708.08842).

    With `within` the source lies evenly in a circle instead. Its radius is that many times the largest distance of a
    caustic from the middle of the caustics, so that some sources have one image. The column `n_images` counts them.
    """

    magnification: float = Field(default=1.0, ge=0, le=1e4)
    in_frame: float = Field(default=0.0, ge=0, le=1)
    within: float | None = Field(default=None, gt=0, le=1e3)

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a radius that is not stated, as documents of version 0.1 do."""
        document: dict[str, Any] = handler(self)
        if self.within is None:
            document.pop("within")
        return document

    def check(self, components: Sequence[Component]) -> None:
        """`ConfigError` unless the lens is one sie, with or without shear, and the source of sersics or galaxies."""
        of = {
            role: [component.profile for component in components if component.role == role]
            for role in ("lens", "source")
        }
        if (
            of["lens"].count("sie") != 1
            or set(of["lens"]) - {"sie", "shear"}
            or set(of["source"]) - set(_LIGHTS)
        ):
            raise ConfigError(
                "placement knows the caustics of one sie with or without shear, and sersic or interpolated light; "
                f"got lens {', '.join(of['lens'])} and source {', '.join(of['source'])}",
                code="placement-profiles",
            )

    def place(
        self,
        columns: Columns,
        components: Sequence[Component],
        scale: np.ndarray,
        frame: float,
        galaxies: np.ndarray | None = None,
    ) -> np.ndarray:
        """Put the sources and the column `magnification`, of the smooth lens; returns which systems (n,) to keep.

        `scale` (n,) is what the source sees of the stated deflections, `frame` [arcsec] half the side of the stamp,
        `galaxies` (K, H, W) what interpolated sources show.
        """
        values = columns.values
        sources = [component for component in components if component.role == "source"]
        lens = _lens(columns, components, scale)
        if self.within is None:
            x, y = lens.place(columns.rng)
        else:
            x, y = lens.place_within(columns.rng, self.within)
            about = (x - lens.origin[0])[:, None], (y - lens.origin[1])[:, None]
            columns.put("n_images", lens.images(*about)[:, 0].astype(np.float64))
        for source in sources:
            prefix = source.prefix
            columns.put(f"{prefix}center_x", values[f"{prefix}center_x"] + x)
            columns.put(f"{prefix}center_y", values[f"{prefix}center_y"] + y)
        if self.within is not None and not self.magnification and not self.in_frame:
            return np.ones(columns.n, bool)  # images tell the magnification faster
        magnification, inside = lens.magnification(
            _light(columns, sources, galaxies), frame
        )
        columns.put("magnification", magnification)
        return (magnification >= self.magnification) & (inside >= self.in_frame)


def _lens(
    columns: Columns, components: Sequence[Component], scale: np.ndarray
) -> Isothermal:
    (sie,) = _prefixes(components, "sie")
    shears = _prefixes(components, "shear")
    gamma1, gamma2 = (
        sum((columns.values[prefix + name] for prefix in shears), np.zeros(columns.n))
        * scale
        for name in ("gamma1", "gamma2")
    )
    values = {
        name: columns.values[sie + name] for name in ("e1", "e2", "center_x", "center_y")
    }
    theta_E = columns.values[sie + "theta_E"] * scale
    return Isothermal(theta_E=theta_E, **values, gamma1=gamma1, gamma2=gamma2)


def _prefixes(components: Sequence[Component], profile: str) -> list[str]:
    return [component.prefix for component in components if component.profile == profile]


def _light(
    columns: Columns, sources: Sequence[Component], galaxies: np.ndarray | None
) -> list[Light]:
    """The components of a source of unit flux in all."""
    parameters = [_parameters(columns, source.prefix) for source in sources]
    fluxes = [_flux(values) for values in parameters]
    return [
        _LIGHTS[source.profile](flux / sum(fluxes), values, galaxies)
        for source, values, flux in zip(sources, parameters, fluxes, strict=True)
    ]


def _parameters(columns: Columns, prefix: str) -> dict[str, np.ndarray]:
    """Return the columns of a component, by the names of its profile's parameters."""
    return {
        name.removeprefix(prefix): column
        for name, column in columns.values.items()
        if name.startswith(prefix)
    }


def _flux(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the flux (n,) of a component, in any unit that all share."""
    if "magnitude" in values:
        return 10 ** (-0.4 * values["magnitude"])
    return values["amp"] * unit_flux(values["R_sersic"], values["n_sersic"])


def _sersic(
    part: np.ndarray, values: Mapping[str, np.ndarray], _: np.ndarray | None
) -> Light:
    names = ("R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")
    return SersicLight(part, *(values[name] for name in names))


def _galaxy(
    part: np.ndarray, values: Mapping[str, np.ndarray], galaxies: np.ndarray | None
) -> Light:
    assert galaxies is not None
    names = ("image", "R_half", "phi_G", "center_x", "center_y")
    return GalaxyLight(part, galaxies, *(values[name] for name in names))


_LIGHTS = {"sersic": _sersic, "interpolated": _galaxy}
