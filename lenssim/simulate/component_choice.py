"""ComponentChoice: one profile of a preset and the distribution of each of its parameters."""

from collections.abc import Iterable
from typing import Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
    model_validator,
)

from lenssim.errors import unknown
from lenssim.names import printable
from lenssim.record import Record
from lenssim.simulate.composites import CHOICES, COMPOSITES, Composite
from lenssim.simulate.distributions import Value
from lenssim.simulate.profiles import COLOUR, GALAXY, POLAR, Profile
from lenssim.simulate.sources.colours import GALAXY_TYPES, filters

__all__ = ["ComponentChoice"]

_NUMBERS = TypeAdapter(dict[str, Value])
_NOT_PARAMETERS = ("profile", "name", "filter", "colours", "spectrum", "magnitude_band")
_STATED = ("filter", "spectrum", "magnitude_band")  # left out of documents where empty


class ComponentChoice(Record):
    """One profile of the lens or source and the value or distribution of each of its parameters.

    In YAML the parameters stand beside `profile`; `name` sets the prefix of their columns.
    Axis ratio and position angle, `q` and `phi` [rad], may stand for e1 and e2. An
    `interpolated` source shows one of the preset's galaxies, with the half-light radius
    `R_half` [arcsec]. `colours` of light are magnitudes by band less `magnitude`, such as
    `{g: 0.8}`; each is the parameter `colour_<band>`. A composite such as `clumpy` becomes
    several profiles. `filter` names the filter of light that fits its mass, where the
    instrument's name does not. `spectrum` names kinds of galaxies, one of which each image
    draws: its colours follow at the light's redshift, and `magnitude` is that in
    `magnitude_band`, the first band unless stated.

    Example:
        >>> shear = {"profile": "shear", "gamma1": 0, "gamma2": 0.1}
        >>> ComponentChoice.model_validate(shear).parameters
        {'gamma1': 0.0, 'gamma2': 0.1}
    """

    profile: str
    name: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    parameters: dict[str, Value]
    filter: str = ""
    spectrum: tuple[str, ...] = ()
    magnitude_band: str = ""

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "parameters" in data:
            return data
        numbers = {
            str(key): value for key, value in data.items() if key not in _NOT_PARAMETERS
        }
        profile = _profile_named(str(data.get("profile")))
        values = _checked_values(profile, numbers)
        if data.get("colours") is not None:
            values |= _colours(profile, values, data["colours"])
        choice = {"profile": profile.name, "name": data.get("name"), "parameters": values}
        if data.get("filter"):
            choice["filter"] = _known_filter(profile, data["filter"])
        return choice | _spectrum(profile, values, data)

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not stated, as documents of version 0.1 do."""
        document: dict[str, Any] = handler(self)
        for name in _STATED:
            if not getattr(self, name):
                document.pop(name, None)
        return document

    @property
    def composite(self) -> Composite | None:
        """The composite that it names, None if it names a profile of its own."""
        return COMPOSITES.get(self.profile)

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The suffix of the prefix, and the profile, of each part that engines see."""
        if self.composite is None:
            return [("", self.profile)]
        return self.composite.parts(self.parameters)

    @property
    def undrawn(self) -> tuple[str, ...]:
        """Names of numbers that are no columns, since each part draws its own."""
        return () if self.composite is None else self.composite.undrawn

    @property
    def colours(self) -> dict[str, Any]:
        """Values or distributions of the colours, by band."""
        return {
            name.removeprefix(COLOUR): value
            for name, value in self.parameters.items()
            if name.startswith(COLOUR)
        }

    @property
    def of_bands(self) -> dict[str, Any]:
        """What the preset states of the light's colours, by key."""
        stated = {
            "colours": self.colours,
            "spectrum": self.spectrum,
            "magnitude_band": self.magnitude_band,
        }
        return {key: value for key, value in stated.items() if value}


def _colours(profile: Profile, values: dict[str, Any], colours: Any) -> dict[str, Any]:
    """Return the parsed colours of a component's light, as parameters."""
    if "magnitude" not in values and not isinstance(profile, Composite):
        raise ValueError(
            f"colours go with a magnitude, and this {profile.name} has none: they are "
            "magnitudes by band less that one"
        )
    if not isinstance(colours, dict):
        raise ValueError("colours are a mapping of bands to magnitudes, such as {g: 0.8}")
    return _NUMBERS.validate_python(
        {f"{COLOUR}{band}": value for band, value in colours.items()}
    )


def _spectrum(
    profile: Profile, values: dict[str, Any], data: dict[str, Any]
) -> dict[str, Any]:
    """Return the kinds of galaxies that a component's light is of, and its band."""
    spectrum = data.get("spectrum")
    if spectrum is None:
        if data.get("magnitude_band"):
            raise ValueError("magnitude_band goes with a spectrum")
        return {}
    if "magnitude" not in values or data.get("colours") is not None:
        raise ValueError("a spectrum goes with a magnitude, and without colours")
    kinds = _known_kinds(spectrum)
    return {"spectrum": kinds, "magnitude_band": data.get("magnitude_band") or ""}


def _known_kinds(spectrum: Any) -> tuple[str, ...]:
    kinds = [spectrum] if isinstance(spectrum, str) else spectrum
    if not isinstance(kinds, list | tuple) or not kinds:
        raise ValueError(
            f"spectrum is one of {', '.join(GALAXY_TYPES)}, or a list of these"
        )
    for kind in kinds:
        if kind not in GALAXY_TYPES:
            raise ValueError(str(unknown("spectrum", printable(str(kind)), GALAXY_TYPES)))
    return tuple(kinds)


def _profile_named(name: str) -> Profile:
    if name not in CHOICES:
        raise ValueError(str(unknown("profile", printable(name), CHOICES)))
    return CHOICES[name]


def _known_filter(profile: Profile, name: Any) -> str:
    """Return the name of a filter, for light whose magnitude follows from its mass."""
    if profile.one_of or profile.kind != "light":
        raise ValueError(f"{profile.name} takes no filter: it states its magnitude itself")
    if name not in filters():
        raise ValueError(str(unknown("filter", printable(str(name)), filters())))
    return str(name)


def _checked_values(profile: Profile, numbers: dict[str, Any]) -> dict[str, Any]:
    """Return the parsed parameters of a profile, with its defaults."""
    names = _allowed_names(profile, numbers)
    for key in numbers:
        if key not in names:
            raise ValueError(
                str(unknown(f"parameter of {profile.name}", printable(key), names))
            )
    values = _NUMBERS.validate_python({**dict(profile.defaults), **numbers})
    substitutes = [key for key in names if key not in profile.parameters]
    needed = [key for key in profile.required if key in names] + substitutes
    if missing := [key for key in needed if key not in values]:
        raise ValueError(f"{profile.name} needs {', '.join(missing)}")
    if profile.one_of and len([key for key in profile.one_of if key in values]) != 1:
        raise ValueError(f"{profile.name} needs exactly one of {', '.join(profile.one_of)}")
    return values


def _allowed_names(profile: Profile, numbers: Iterable[str]) -> list[str]:
    """Return the names of the parameters that may be stated.

    POLAR may stand for e1 and e2. GALAXY stands for image and scale, unless the scale of a
    stamp's own pixels is stated.
    """
    names = list(profile.parameters)
    if "e1" in profile.required and any(key in numbers for key in POLAR):
        names = [key for key in names if key not in ("e1", "e2")] + list(POLAR)
    if "image" in profile.required:
        names.remove("image")
        if "scale" not in numbers:
            names = [key for key in names if key != "scale"] + list(GALAXY)
    return names
