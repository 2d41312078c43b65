"""What a user asks for: a request of simulated images, on a command line and elsewhere.

The command line reads the options of its commands from these fields. So this module imports
neither numpy nor what simulates.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field

from lenssim.errors import ConfigError
from lenssim.record import Record

if TYPE_CHECKING:
    from lenssim.simulate.preset import Preset
    from lenssim.simulate.spec import SimulationSpec

__all__ = ["SimulationRequest"]

SPOKEN_OF_PRESET = ("model", "classes", "galaxies", "lenses", "shared")
Supersampling = int | Literal["adaptive"]


def _names(value: Any) -> Any:
    """Split names that a command line joins with commas."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(","))
    return value


def _sampling(value: Any) -> Any:
    """Read a supersampling as a command line writes it."""
    if value is None:
        return None
    from lenssim.simulate.instruments import parse_sampling

    try:
        return parse_sampling(str(value))
    except ConfigError as error:
        raise ValueError(str(error)) from None


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class SimulationRequest(Record):
    """What a user says of simulated images: on a command line, in a recipe, of live data.

    Every way to simulate takes these fields, under these names. Those that are None are
    left to the preset or the engine.

    Example:
        >>> request = SimulationRequest(model="III", classes=("no_sub", "cdm"))
        >>> request.spec().preset.class_names
        ('no_sub', 'cdm')
    """

    model_config = ConfigDict(populate_by_name=True)

    model: str = Field(
        description="preset (lenssim models lists them), or the path of a YAML file",
        json_schema_extra={"options": ["-m"]},
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**128 - 1,
        title="the seed",
        description="with preset, split and number it decides every sample",
    )
    split: str = Field(
        default="train",
        description="which of three disjoint random streams: train, validation or test",
    )
    noise: str | None = Field(
        default=None,
        description="kind of noise: nominal, none, published or telescope",
        json_schema_extra={"unset": "the preset's first"},
    )
    classes: Names | None = Field(
        default=None,
        description="only these of the preset's classes, such as axion; lens=1,non_lens=3 "
        "states their shares",
    )
    galaxies: Annotated[str | None, BeforeValidator(lambda path: path and str(path))] = (
        Field(
            default=None,
            description="images of galaxies as sources: .npy, .fits, GalSim's catalogue, "
            "or a folder",
        )
    )
    lenses: Annotated[str | None, BeforeValidator(lambda path: path and str(path))] = Field(
        default=None,
        description="a table of lenses, .csv or .fits: image i has the numbers of row i in "
        "place of drawn ones",
    )
    shared: Names | None = Field(
        default=None,
        description="for populations: numbers of dark matter, such as f_sub,slope, that "
        "are drawn once for each 64 images",
    )
    engine: str = Field(
        default="batched",
        description="what renders: batched (fast), lenstronomy (the reference) or autolens",
    )
    precision: str | None = Field(
        default=None,
        description="precision of the pixels: float32 or float64",
        json_schema_extra={"unset": "the engine's"},
    )
    device: str | None = Field(
        default=None,
        description="where images are rendered: cpu, cuda or auto",
        json_schema_extra={"unset": "auto in commands, else cpu"},
    )
    supersampling: Annotated[Supersampling | None, BeforeValidator(_sampling)] = Field(
        default=None,
        description="rays a pixel side, 1 to 12, or adaptive",
        json_schema_extra={"unset": "the preset's"},
    )
    maps: Names | None = Field(
        default=None,
        validation_alias=AliasChoices("maps", "truth"),
        description="maps to keep beside each image: clean (no noise), kappa (the "
        "perturbers'), residual (of the best smooth lens), sigma (the noise map), mask (1 "
        "where a pixel was seen), arcs (light of the sources alone), "
        "twin (the image without its source), or several: clean,arcs",
        json_schema_extra={"options": ["--truth"], "unset": "none"},
    )
    residual_from: Literal["truth", "search"] = Field(
        default="truth",
        description="where the fit behind the map residual starts: truth (the true lens) or "
        "search (from scratch, as on the sky)",
    )
    detectability: bool = Field(
        default=False,
        description="store each sample's expected delta chi2 (batched engine, CPU)",
    )

    def preset(self, base: Preset | None = None) -> Preset:
        """Return what is drawn, with the classes, galaxies and shared numbers asked for.

        Args:
            base: A preset in place of the one that `model` names.

        Raises:
            ConfigError: There is no such preset, or it does not have what is asked for.
        """
        from lenssim.simulate.preset import load_preset

        preset = base or load_preset(self.model)
        if self.classes is not None:
            preset = preset.with_classes(self.classes)
        if self.galaxies is not None:
            preset = preset.with_galaxies(Path(self.galaxies).resolve())
        if self.lenses is not None:
            preset = preset.with_lenses(Path(self.lenses).resolve())
        if self.shared is not None:
            preset = preset.with_shared(self.shared)
        return preset

    def options(self) -> dict[str, Any]:
        """Return the arguments of `SimulationSpec.of` besides the preset."""
        names = set(SimulationRequest.model_fields).difference(SPOKEN_OF_PRESET)
        values = {name: getattr(self, name) for name in sorted(names)}
        return values | {"maps": self.maps or ()}

    def spec(self, base: Preset | None = None) -> SimulationSpec:
        """Return the checked specification; arguments as `preset`, errors as `SimulationSpec.of`."""
        from lenssim.simulate.spec import SimulationSpec

        return SimulationSpec.of(self.preset(base), **self.options())
