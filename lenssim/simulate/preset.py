"""What a preset may say: the whole recipe of a data set's sky and camera, checked before anything is drawn."""

import math
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.cosmology import Cosmology, MassConvention
from lenssim.simulate.darkmatter import DARK_MATTER_MODELS, DarkMatter
from lenssim.simulate.distributions import Value
from lenssim.simulate.instruments import Instrument, Supersampling, instrument, instruments, parse_sampling
from lenssim.simulate.observe import NOISES
from lenssim.simulate.placement import Placement
from lenssim.simulate.profiles import GALAXY, POLAR, PROFILES
from lenssim.simulate.scenes import Component
from lenssim.simulate.sources.galaxies import Galaxies

__all__ = ["ComponentChoice", "Preset", "load_preset", "parse_preset", "preset_text", "presets"]

_NUMBERS = TypeAdapter(dict[str, Value])
_MODELS = {model.model_fields["model"].annotation.__args__[0]: model for model in DARK_MATTER_MODELS}


class ComponentChoice(BaseModel):
    """One profile of the lens or source and the value or distribution of each of its parameters.

    In YAML the parameters stand beside `profile`; `name` sets the prefix of their columns. Axis ratio and position
    angle, `q` and `phi` [rad], may stand for e1 and e2. An `interpolated` source shows one of the preset's galaxies, of
    the half-light radius `R_half` [arcsec].
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str
    name: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    parameters: dict[str, Value]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "parameters" in data:
            return data
        numbers = {str(key): value for key, value in data.items() if key not in ("profile", "name")}
        profile = PROFILES.get(str(data.get("profile")))
        if profile is None:
            raise ValueError(str(unknown("profile", str(data.get("profile")), PROFILES)))
        given = [
            (own, told)
            for own, told in ((("e1", "e2"), POLAR), (("image", "scale"), GALAXY))
            if own[0] in profile.required and (told == GALAXY or any(key in numbers for key in told))
        ]
        hidden, told = ([key for pair in given for key in pair[i]] for i in range(2))
        known = [key for key in profile.parameters if key not in hidden] + told
        for key in numbers:
            if key not in known:
                raise ValueError(str(unknown(f"parameter of {profile.name}", key, known)))
        values = _NUMBERS.validate_python({**dict(profile.defaults), **numbers})
        needed = [key for key in profile.required if key in known] + told
        if missing := [key for key in needed if key not in values]:
            raise ValueError(f"{profile.name} needs {', '.join(missing)}")
        if profile.one_of and len([key for key in profile.one_of if key in values]) != 1:
            raise ValueError(f"{profile.name} needs exactly one of {', '.join(profile.one_of)}")
        return {"profile": profile.name, "name": data.get("name"), "parameters": values}


def _sampling(value: Any) -> Supersampling:
    try:
        return parse_sampling(str(value))
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _resolve_instrument(data: Any) -> Any:
    if isinstance(data, str):
        data = {"name": data}
    if isinstance(data, dict) and data.get("name") in instruments():
        return {**instrument(data["name"]).model_dump(), **data}
    if isinstance(data, dict) and "pixel_scale" not in data:
        raise ValueError(str(unknown("instrument", str(data.get("name")), instruments())))
    return data


class Preset(BaseModel):
    """A recipe: camera, cosmology, lens, source and the dark-matter classes, in the order of their labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    summary: str = ""
    reference: str = ""
    instrument: Annotated[Instrument, BeforeValidator(_resolve_instrument)]
    noise: tuple[str, ...] = ("nominal", "none")
    supersampling: Annotated[Supersampling, PlainValidator(_sampling)] = 1
    exposure_time: Value | None = None
    cosmology: Cosmology
    z_lens: Value
    z_source: Value
    z_source_convention: Value | None = None
    masses: MassConvention = MassConvention()
    lens: tuple[ComponentChoice, ...] = Field(min_length=1)
    lens_light: tuple[ComponentChoice, ...] = ()
    source: tuple[ComponentChoice, ...] = Field(min_length=1)
    galaxies: Galaxies | None = None
    placement: Placement | None = None
    classes: dict[str, DarkMatter] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> "Preset":
        for kind in self.noise:
            if kind not in NOISES:
                raise ValueError(str(unknown("noise", kind, NOISES)))
        if not self.noise:
            raise ValueError("noise needs at least one kind")
        columns = [prefix + key for prefix, choice in self._prefixed() for key in choice.parameters]
        if twice := {column for column in columns if columns.count(column) > 1}:
            raise ValueError(f"columns named twice: {', '.join(sorted(twice))}; give one of the components a `name`")
        shown = [choice for choice in self.source if choice.profile == "interpolated"]
        if (self.galaxies is None) == bool(shown) or any("amp" in choice.parameters for choice in shown):
            raise ValueError("`galaxies` go with a source of profile interpolated that has R_half and magnitude")
        try:
            components = self.components()
            if self.placement is not None:
                self.placement.check(components)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def _prefixed(self) -> list[tuple[str, ComponentChoice]]:
        default = {"lens": "", "lens_light": "lens_light_", "source": "source_"}
        return [
            (f"{choice.name}_" if choice.name else default[role], choice)
            for role in default
            for choice in getattr(self, role)
        ]

    def components(self) -> tuple[Component, ...]:
        """The components of every scene this preset draws, in the order lens, lens light, source."""
        roles = [role for role in ("lens", "lens_light", "source") for _ in getattr(self, role)]
        return tuple(
            Component(role, choice.profile, prefix)
            for role, (prefix, choice) in zip(roles, self._prefixed(), strict=True)
        )

    def parameters(self) -> list[tuple[str, Any]]:
        """(column, value or distribution) of all component parameters, in the order in which they are drawn."""
        return [
            (prefix + key, value) for prefix, choice in self._prefixed() for key, value in choice.parameters.items()
        ]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return tuple(self.classes)

    def label(self, name: str) -> int:
        """Label of a class; `ConfigError` with a suggestion for an unknown one."""
        if name not in self.classes:
            raise unknown("class", name, self.classes)
        return self.class_names.index(name)

    def with_classes(self, names: Sequence[str]) -> "Preset":
        """This preset with some of its classes, which take their labels in the order of `names`.

        `ConfigError` for a class that it has not, or one named twice.
        """
        if len(set(names)) < len(names) or not names:
            raise ConfigError(f"preset {self.name}: name each class once, got {', '.join(names) or 'none'}")
        for name in names:
            self.label(name)
        return self.model_copy(update={"classes": {name: self.classes[name] for name in names}})

    def with_galaxies(self, path: str | Path) -> "Preset":
        """This preset with images of galaxies in place of each sersic source, of its size and magnitude, turned anyhow.

        A preset that shows galaxies already, such as that of a data set, shows the same ones, which lie at `path` now;
        other contents are refused once they are read.

        Raises:
            ConfigError: Sources have no magnitude, or the files hold no galaxies.
        """
        if self.galaxies is not None:
            return self.model_copy(update={"galaxies": self.galaxies.at(path)})
        sources = []
        for choice in self.source:
            values = choice.parameters
            if choice.profile != "sersic" or "magnitude" not in values:
                raise ConfigError(f"preset {self.name}: galaxies stand for sersic sources that have a magnitude")
            kept = {name: values[name] for name in ("magnitude", "center_x", "center_y") if name in values}
            turned = {"R_half": values["R_sersic"], "phi_G": {"uniform": [0.0, 2 * math.pi]}}
            sources.append({"profile": "interpolated", "name": choice.name} | kept | turned)
        document = self.model_dump(mode="json", exclude={"source"})
        return parse_preset(document | {"source": sources, "galaxies": str(path)}, f"preset {self.name}")

    def with_shared(self, names: Sequence[str]) -> "Preset":
        """This preset with numbers of its dark matter, by their keys, the same in each block of 64 sample numbers.

        `ConfigError` for a key that no class has, or that no class draws.
        """
        document = self.model_dump(mode="json")
        for name in names:
            own = [model for model in document["classes"].values() if isinstance(model.get(name), dict)]
            if not own:
                drawn = {key for model in document["classes"].values() for key in model if isinstance(model[key], dict)}
                raise unknown(f"number that dark matter of preset {self.name} draws", name, sorted(drawn))
            for model in own:
                model[name] = {"shared": model[name]}
        return parse_preset(document, f"preset {self.name}")

    def noise_kind(self, kind: str | None) -> str:
        """The noise asked for, or this preset's default; `ConfigError` if it does not offer that kind."""
        if kind is None:
            return self.noise[0]
        if kind not in self.noise:
            raise unknown(f"noise of preset {self.name}", kind, self.noise)
        return kind


def presets() -> list[str]:
    """Names of the presets that come with lenssim."""
    files = resources.files("lenssim.simulate").joinpath("presets").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def preset_text(model: str | Path) -> str:
    """The text of a preset, by name or by the path of a .yaml file, or of a data set's plan.json."""
    if str(model).endswith((".yaml", ".yml", ".json")):
        try:
            return Path(model).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the preset {model}: {error}") from None
    if str(model) not in presets():
        raise unknown("model", str(model), presets())
    return resources.files("lenssim.simulate").joinpath("presets", f"{model}.yaml").read_text(encoding="utf-8")


@lru_cache(maxsize=32)
def _load_text(text: str, where: str, folder: Path) -> Preset:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML: {error}") from None
    if where.endswith(".json"):
        if not isinstance(data, dict) or "preset" not in (data.get("config") or {}):
            raise ConfigError(f"{where} is not the plan.json of a simulated data set")
        data = data["config"]["preset"]
    return parse_preset(data, where, folder)


def load_preset(model: str | Path) -> Preset:
    """The preset of that name or file, or that a plan.json holds; `ConfigError` lists what is wrong, key by key."""
    return _load_text(preset_text(model), f"preset {model}", Path(model).parent)


def parse_preset(data: Any, where: str = "preset", folder: Path = Path()) -> Preset:
    """A preset from a parsed YAML or JSON document; files it names lie in `folder`. `ConfigError` as `load_preset`."""
    if not isinstance(data, dict):
        raise ConfigError(f"{where} must be a mapping of keys to values, got {type(data).__name__}")
    try:
        return Preset.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        problems = error.errors()
        if len(problems) > 1:  # a list whose entries are wrong is also reported as too short
            problems = [problem for problem in problems if problem["type"] != "too_short"]
        lines = sorted({_explain(dict(problem)) for problem in problems})
        raise ConfigError(f"{where}: " + "; ".join(lines)) from None


def _explain(problem: dict[str, Any]) -> str:
    loc = problem["loc"]
    tagged = len(loc) > 2 and loc[0] == "classes" and str(loc[2]) in _MODELS  # pydantic names the model chosen
    path = [str(part) for i, part in enumerate(loc) if not (tagged and i == 2)]
    where = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return str(unknown(f"key in {'.'.join(path[:-1]) or 'the preset'}:", path[-1], _keys_at(problem["loc"])))
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        given = problem["ctx"].get("tag", "")
        return f"{where}: " + str(unknown("dark-matter model", str(given), _MODELS))
    if problem["type"] == "missing":
        return f"{where} is missing"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{where or 'preset'}: {message}" if problem["type"] == "value_error" else f"{where}: must be {message}"


def _keys_at(loc: tuple[Any, ...]) -> list[str]:
    """Keys that a mapping at the parent of `loc` may have, for a suggestion."""
    owners: dict[str, type[BaseModel]] = {
        "instrument": Instrument,
        "cosmology": Cosmology,
        "masses": MassConvention,
        "placement": Placement,
        "galaxies": Galaxies,
    }
    for part in reversed(loc[:-1]):
        if str(part) in _MODELS:
            return list(_MODELS[str(part)].model_fields)
        if str(part) in owners:
            return list(owners[str(part)].model_fields)
    return list(Preset.model_fields)
