"""What a preset may say: the recipe of a sky and a camera, checked before any draw."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from lenssim.errors import ConfigError, from_validation, unknown
from lenssim.names import name_fault, printable, shown, twin_names
from lenssim.record import Record
from lenssim.simulate.backgrounds import Background
from lenssim.simulate.bounds import Bounds
from lenssim.simulate.camera_choice import (
    PresetCamera,
    check_colours,
    check_fluxes,
    check_spectrum,
)
from lenssim.simulate.class_shares import check_shares, split_shares
from lenssim.simulate.component_choice import ComponentChoice
from lenssim.simulate.composites import CHOICES
from lenssim.simulate.cosmology import Cosmology, MassConvention
from lenssim.simulate.darkmatter import DarkMatter
from lenssim.simulate.distributions import Value
from lenssim.simulate.galaxy_sources import galaxy_sources
from lenssim.simulate.instruments import Supersampling, parse_sampling
from lenssim.simulate.instruments.facts import check_units
from lenssim.simulate.lens_table import LensTable
from lenssim.simulate.noise import NOISES
from lenssim.simulate.placement import Placement
from lenssim.simulate.problems import explain_key
from lenssim.simulate.profiles import COLOUR, PARAMETERS
from lenssim.simulate.redshift_order import check_order
from lenssim.simulate.scenes import Component, Role
from lenssim.simulate.shared_numbers import with_shared_numbers
from lenssim.simulate.sources.galaxies import Galaxies, check_shown

__all__ = ["Preset", "parse_preset"]


def _sampling(value: Any) -> Supersampling:
    try:
        return parse_sampling(str(value))
    except ConfigError as error:
        raise ValueError(str(error)) from None


class Preset(Record):
    """A recipe: camera, cosmology, lens, source and the dark-matter classes, in the order of their labels."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    summary: str = ""
    reference: str = ""
    instrument: PresetCamera
    noise: tuple[str, ...] = ("nominal", "none")
    supersampling: Annotated[Supersampling, PlainValidator(_sampling)] = 1
    exposure_time: Value | None = None
    cosmology: Cosmology
    z_lens: Value
    z_source: Value
    z_source_convention: Value | None = None
    masses: MassConvention = MassConvention()
    lens: tuple[ComponentChoice, ...] = Field(min_length=1, max_length=64)
    lens_light: tuple[ComponentChoice, ...] = Field(default=(), max_length=64)
    source: tuple[ComponentChoice, ...] = Field(min_length=1, max_length=64)
    galaxies: Galaxies | None = None
    placement: Placement | None = None
    classes: dict[str, DarkMatter] = Field(min_length=1, max_length=1000)
    shares: dict[str, Annotated[float, Field(gt=0, le=1)]] | None = None
    background: Background | None = None
    lenses: LensTable | None = None

    @model_serializer(mode="wrap")
    def _stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not stated, as documents of version 0.1 do."""
        document: dict[str, Any] = handler(self)
        for name in ("shares", "background", "lenses"):
            if getattr(self, name) is None:
                document.pop(name, None)
        return document

    @field_validator("classes")
    @classmethod
    def _named(cls, classes: dict[str, DarkMatter]) -> dict[str, DarkMatter]:
        for name in classes:
            if fault := name_fault(name, "the class"):
                raise ValueError(fault)
        return classes

    @model_validator(mode="after")
    def _consistent(self) -> "Preset":
        check_shares(self.shares, self.classes)
        for kind in self.noise:
            if kind not in NOISES:
                raise ValueError(str(unknown("noise", printable(kind), NOISES)))
        if not self.noise:
            raise ValueError("noise needs at least one kind")
        columns = [
            prefix + key for prefix, choice in self.prefixed() for key in choice.parameters
        ]
        if twice := {column for column in columns if columns.count(column) > 1}:
            raise ValueError(
                f"columns named twice: {', '.join(sorted(twice))}; give one of the components a `name`"
            )
        for _, choice in self.prefixed():
            check_colours(self.instrument, choice.colours)
            check_spectrum(self.instrument, choice.spectrum, choice.magnitude_band)
        if self.exposure_time is not None and self.instrument.band_names:
            raise ValueError(
                "exposure_time is that of an instrument of one band; "
                "state it for each of the camera's bands"
            )
        if self.lenses is not None and self.placement is not None:
            raise ValueError("`lenses` of a table have their places: leave `placement` out")
        shown = [choice for choice in self.source if choice.profile == "interpolated"]
        check_shown(self.galaxies, [choice.parameters for choice in shown], self.placement)
        try:
            components = self.components()
            if self.placement is not None:
                self.placement.check(components)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def check(self) -> None:
        """Refuse what a new data set must not be made of: names that are none, numbers sure to leave their bounds.

        Data sets of earlier releases may hold such presets, and still open. What is drawn is checked once more.

        Raises:
            ConfigError: The first of what is wrong, by its key or column.
        """
        if fault := name_fault(self.instrument.name, "the instrument's name"):
            raise ConfigError(fault, code="bad-name", name=self.instrument.name)
        if twins := twin_names(self.classes):
            raise ConfigError(
                f"the classes {twins[0]} and {twins[1]} differ by capitals alone: some disks mix them up",
                code="class-names",
                twin=twins[0],
                name=twins[1],
            )
        of_parts = [
            (prefix + key, choice.parameters[key], PARAMETERS[key].bounds)
            for prefix, choice in self.prefixed()
            for key in choice.undrawn
        ]
        for column, value, bounds in (*self.drawn(), *self.colours(), *of_parts):
            bounds.check_value(column, value)
        for name, model in self.classes.items():
            for key, bounds in model.limits().items():
                if getattr(model, key) is not None:
                    bounds.check_value(f"classes.{name}.{key}", getattr(model, key))
        check_units(self.instrument)
        check_fluxes(self.instrument, [name for name, _ in self.parameters()])
        behind = {name: getattr(self, name) for name in ("z_source", "z_source_convention")}
        check_order(self.z_lens, behind | {"masses.z_source": self.masses.z_source})

    def _scene_numbers(self) -> list[tuple[str, Any]]:
        names = ("z_lens", "z_source", "z_source_convention", "exposure_time")
        return [
            (name, getattr(self, name)) for name in names if getattr(self, name) is not None
        ]

    def drawn(self) -> list[tuple[str, Any, Bounds]]:
        """(column, value or distribution, bounds) of all that lens and source are drawn from, in that order."""
        numbers = [
            (name, value, PARAMETERS[name].bounds) for name, value in self._scene_numbers()
        ]
        for prefix, choice in self.prefixed():
            profile = CHOICES[choice.profile]
            numbers += [
                (prefix + key, value, profile.bounds(key))
                for key, value in choice.parameters.items()
                if not key.startswith(COLOUR) and key not in choice.undrawn
            ]
        return numbers

    def colours(self) -> list[tuple[str, Any, Bounds]]:
        """(column, value or distribution, bounds) of the colours of light, in the order in which they are drawn."""
        return [
            (f"{prefix}{COLOUR}{band}", value, PARAMETERS["colour"].bounds)
            for prefix, choice in self.prefixed()
            for band, value in choice.colours.items()
        ]

    def prefixed(self) -> list[tuple[str, ComponentChoice]]:
        """Prefix and choice of each component of lens, lens light and source."""
        default = {"lens": "", "lens_light": "lens_light_", "source": "source_"}
        return [
            (f"{choice.name}_" if choice.name else default[role], choice)
            for role in default
            for choice in getattr(self, role)
        ]

    def components(self) -> tuple[Component, ...]:
        """The components of every scene this preset draws, in the order lens, lens light, source."""
        roles: list[Role] = ["lens"] * len(self.lens)
        roles += ["lens_light"] * len(self.lens_light)
        roles += ["source"] * len(self.source)
        return tuple(
            Component(role, profile, prefix + suffix)
            for role, (prefix, choice) in zip(roles, self.prefixed(), strict=True)
            for suffix, profile in choice.parts
        )

    def parameters(self) -> list[tuple[str, Any]]:
        """(column, value or distribution) of all component parameters, in the order in which they are drawn."""
        return [
            (prefix + key, value)
            for prefix, choice in self.prefixed()
            for key, value in choice.parameters.items()
            if key not in choice.undrawn
        ]

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Yield what a notebook shows: not every distribution."""
        yield "name", self.name
        yield "summary", self.summary
        yield "instrument", self.instrument.name
        yield "classes", self.class_names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Bands, rows and columns (C, H, W) of the images."""
        camera = self.instrument
        return (len(camera.instruments), camera.num_pix, camera.num_pix)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return tuple(self.classes)

    def label(self, name: str) -> int:
        """Label of a class; `ConfigError` with a suggestion for an unknown one."""
        if name not in self.classes:
            raise unknown("class", name, self.classes, code="unknown-class")
        return self.class_names.index(name)

    def with_classes(self, names: Sequence[str]) -> "Preset":
        """This preset with some of its classes, which take their labels in the order of `names`.

        A name such as `lens=0.4` states the class's share of the samples. Then all names do,
        or the preset does.

        Raises:
            ConfigError: The preset has no such class, one is named twice, or a share is none.
        """
        names, stated = split_shares(names)
        if len(set(names)) < len(names) or not names:
            raise ConfigError(
                f"preset {self.name}: name each class once, got {', '.join(names) or 'none'}",
                code="class-names",
                name=self.name,
            )
        for name in names:
            self.label(name)
        shares = stated
        if stated is None and self.shares is not None:
            shares = {name: self.shares[name] for name in names}
        classes = {name: self.classes[name] for name in names}
        return self.model_copy(update={"classes": classes, "shares": shares})

    @property
    def has_dark_sources(self) -> bool:
        """Whether a class has no source, so that images may show no lens at all."""
        return not all(model.has_source for model in self.classes.values())

    def with_galaxies(self, path: str | Path | dict[str, Any]) -> "Preset":
        """This preset with images of galaxies in place of each sersic source, of its size and magnitude, turned anyhow.

        A preset that shows galaxies already, such as that of a data set, shows the same ones, which lie at `path` now;
        other contents are refused once they are read.

        Raises:
            ConfigError: Sources have no magnitude, or the files hold no galaxies.
        """
        galaxies = path if isinstance(path, dict) else {"path": str(path)}
        if self.galaxies is not None:
            return self.model_copy(update={"galaxies": self.galaxies.at(galaxies["path"])})
        sources = galaxy_sources(self.name, self.source)
        document = self.model_dump(mode="json", exclude={"source"})
        return parse_preset(
            document | {"source": sources, "galaxies": galaxies}, f"preset {self.name}"
        )

    def with_lenses(self, table: str | Path | dict[str, Any]) -> "Preset":
        """Return this preset with the lenses of a table in place of drawn ones.

        A preset that has a table already, such as that of a data set, has the same one, which
        lies at `table` now.

        Args:
            table: The file of the table, or its record.

        Raises:
            ConfigError: There is no such table.
        """
        record = table if isinstance(table, dict) else {"path": str(table)}
        if self.lenses is not None:
            return self.model_copy(update={"lenses": self.lenses.at(record["path"])})
        document = self.model_dump(mode="json", exclude={"placement"})
        return parse_preset(document | {"lenses": record}, f"preset {self.name}")

    def with_shared(self, names: Sequence[str]) -> "Preset":
        """This preset with numbers of its dark matter, by their keys, the same in each block of 64 sample numbers.

        `ConfigError` for a key that no class has, or that no class draws.
        """
        document = with_shared_numbers(self.model_dump(mode="json"), names)
        return parse_preset(document, f"preset {self.name}")

    def noise_kind(self, kind: str | None) -> str:
        """The noise asked for, or this preset's default; `ConfigError` if it does not offer that kind."""
        if kind is None:
            return self.noise[0]
        if kind not in self.noise:
            raise unknown(
                f"noise of preset {self.name}", kind, self.noise, code="unknown-noise"
            )
        return kind


def parse_preset(data: Any, where: str = "preset", folder: Path = Path()) -> Preset:
    """A preset from a parsed YAML or JSON document; files it names lie in `folder`. `ConfigError` as `load_preset`."""
    if not isinstance(data, dict):
        content = "nothing" if data is None else shown(data)
        raise ConfigError(
            f"{where} must be a mapping of keys to values, got {content}",
            code="settings-invalid",
            where=where,
        )
    try:
        return Preset.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        raise from_validation(error, where, explain=_explain) from None


def _explain(problem: dict[str, Any]) -> str:
    return explain_key(problem, list(Preset.model_fields))
