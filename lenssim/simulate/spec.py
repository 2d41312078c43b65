"""The specification of simulated images: everything that their bits depend on."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

import lenssim
from lenssim.errors import ConfigError, unknown
from lenssim.record import Record
from lenssim.simulate.backgrounds import background_of
from lenssim.simulate.engines import check_adaptive, engine_settings, engine_versions
from lenssim.simulate.engines.batched.settings import with_far_field
from lenssim.simulate.instruments import Supersampling, check_sampling, parse_sampling
from lenssim.simulate.maps import (
    FIT_MODULES,
    ResidualStart,
    check_detectability,
    check_maps,
)
from lenssim.simulate.noise import noise_model
from lenssim.simulate.noise.deviates import EARLIEST, NEWEST, check_stream
from lenssim.simulate.preset import Preset, parse_preset
from lenssim.simulate.streams import check_seed, split_code

__all__ = ["KIND", "SimulationSpec", "current_versions"]

KIND = "simulated"  # of a config


def current_versions(engine: str) -> dict[str, str]:
    """Return the versions, on this machine, of all that an engine's images depend on."""
    return {"lenssim": lenssim.__version__, **engine_versions(engine)}


class SimulationSpec(Record):
    """Everything that simulated images depend on besides their sample numbers.

    Nothing is left open in it: defaults are resolved, and the preset holds the classes,
    shared numbers and galaxies that were asked for. `config` is its document, which a plan
    stores and hashes; `of` and `SimulationRequest` make one from what a user says.

    Example:
        >>> from lenssim.simulate.preset import load_preset
        >>> spec = SimulationSpec.of(load_preset("III"), noise="none", engine="lenstronomy")
        >>> spec.noise, spec.supersampling
        ('none', 1)
        >>> SimulationSpec.from_config(spec.config()) == spec
        True
    """

    preset: Preset
    seed: int = 0
    split: str = "train"
    noise: str
    noise_stream: str = Field(
        default=NEWEST,
        description="random stream of the noise; old data sets go on with their own",
    )
    engine: str
    engine_settings: dict[str, Any]
    supersampling: Supersampling
    versions: dict[str, str]
    detectability: bool = False
    maps: tuple[str, ...] = ()
    residual_from: ResidualStart = Field(
        default="truth", description="where the fit behind the map residual starts"
    )
    keeps_path: bool = Field(
        default=False,
        description="whether the config names the path of its galaxies, as old ones do",
    )
    keys: tuple[str, ...] = Field(
        default=(), description="order of the config's keys, where it is not the usual one"
    )

    @classmethod
    def of(
        cls,
        preset: Preset,
        *,
        seed: int = 0,
        split: str = "train",
        noise: str | None = None,
        noise_stream: str = NEWEST,
        far_field: str | None = None,
        engine: str = "batched",
        precision: str | None = None,
        device: str | None = None,
        supersampling: Supersampling | str | None = None,
        maps: tuple[str, ...] = (),
        residual_from: ResidualStart = "truth",
        detectability: bool = False,
        **stored: Any,
    ) -> Self:
        """Return the checked specification of images of a preset.

        Args:
            preset: What is drawn.
            seed: Seed of all random numbers.
            split: "train", "validation" or "test".
            noise: Kind of noise; None for the preset's first.
            noise_stream: Name of the random stream of the noise.
            far_field: Which masses are points from afar; None for the newest choice.
            engine: Name of the engine.
            precision: "float32" or "float64"; None for the engine's default.
            device: "cpu", "cuda" or "auto"; None for the engine's default.
            supersampling: Rays a pixel side, or "adaptive"; None for the preset's.
            maps: Names of maps to compute beside the images.
            residual_from: Where the fit behind the map `residual` starts: "truth" or "search".
            detectability: Whether to compute each sample's expected delta chi2.
            **stored: Further fields of a subclass.

        Raises:
            ConfigError: A name is unknown, or the choices exclude each other.
        """
        check_seed(seed)
        preset.check()
        rays = preset.supersampling
        if supersampling is not None:
            rays = parse_sampling(str(supersampling))
        split_code(split)
        check_sampling(preset.instrument, rays)
        check_adaptive(engine, rays)
        kind = preset.noise_kind(noise)
        _check_background(preset, maps, kind, detectability)
        settings = engine_settings(engine, precision, device)
        if engine == "batched":
            kinds = {kind for model in preset.classes.values() for kind in model.kinds}
            settings = with_far_field(settings, kinds, far_field)
        if detectability:
            check_detectability(engine, settings)
        return cls(
            preset=preset,
            seed=seed,
            split=split,
            noise=kind,
            noise_stream=_stream(kind, noise_stream),
            engine=engine,
            engine_settings=settings,
            supersampling=rays,
            versions=current_versions(engine),
            detectability=detectability,
            maps=check_maps(maps, engine, settings, kind),
            residual_from=_residual_start(residual_from, maps),
            **stored,
        )

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        galaxies: str | None = None,
        background: str | None = None,
        lenses: str | None = None,
    ) -> Self:
        """Return the specification that a config holds, whatever version wrote it.

        Args:
            config: The config of a plan, as `config` returns it.
            galaxies: Where the galaxies of its sources lie on this machine, if known.
            background: Where its backgrounds lie on this machine, if known.
            lenses: Where its table of lenses lies on this machine, if known.

        Raises:
            ConfigError: The config is not one of simulated images, or its preset cannot be.
        """
        if config.get("kind") != KIND:
            raise ConfigError(
                "the data were imported: there is nothing to simulate", code="imported-data"
            )
        preset = parse_preset(config["preset"], "the plan's preset")
        keeps_path = preset.galaxies is not None and "path" in config["preset"]["galaxies"]
        if preset.galaxies is not None and galaxies:
            preset = preset.with_galaxies(galaxies)
        if preset.background is not None and background:
            moved = preset.background.at(background)
            preset = preset.model_copy(update={"background": moved})
        if preset.lenses is not None and lenses:
            preset = preset.with_lenses(lenses)
        spec = cls(preset=preset, keeps_path=keeps_path, **cls._stated(config))
        if list(spec.config()) == list(config):
            return spec
        return spec.model_copy(update={"keys": tuple(config)})

    @classmethod
    def _stated(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that a config states, without its preset."""
        names = ("seed", "split", "noise", "engine", "engine_settings", "supersampling")
        values = {name: config[name] for name in (*names, "versions")}
        values["noise_stream"] = check_stream(config.get("noise_stream", EARLIEST))
        values["detectability"] = config.get("detectability", False)
        values["maps"] = tuple(config.get("truth", ()))
        values["residual_from"] = config.get("residual_from", "truth")
        return values

    @property
    def has_arc_columns(self) -> bool:
        """Whether samples say how well arcs show: where a class has none, or arcs are a map."""
        return self.preset.has_dark_sources or "arcs" in self.maps

    @property
    def has_image_columns(self) -> bool:
        """Whether parameters follow from images, so that only a rendering knows them."""
        return bool(self.maps) or self.detectability or self.has_arc_columns

    def config(self) -> dict[str, Any]:
        """Return the document of the specification.

        It is hashed with the order of its keys, and holds no key of what is not asked for,
        so that the hashes of data sets of all versions stay.
        """
        document: dict[str, Any] = {
            "kind": KIND,
            "preset": self._preset_document(),
            "seed": self.seed,
            "split": self.split,
            "noise": self.noise,
            "engine": self.engine,
            "engine_settings": dict(self.engine_settings),
            "supersampling": self.supersampling,
            "versions": dict(self.versions),
        }
        document |= self._noise_document()
        document |= self._storage_document() | self._maps_document()
        return {name: document[name] for name in self.keys or document if name in document}

    def _preset_document(self) -> dict[str, Any]:
        """Return the preset's document, which knows galaxies by their contents alone."""
        document = self.preset.model_dump(mode="json")
        galaxies = document["galaxies"]
        if galaxies is not None and not self.keeps_path:
            document["galaxies"] = {
                name: value for name, value in galaxies.items() if name != "path"
            }
        if "background" in document:
            document["background"] = background_of(document["background"])
        if "lenses" in document:
            document["lenses"].pop("path")
        return document

    def _noise_document(self) -> dict[str, Any]:
        """Return what the config says of the random stream of the noise, if it has one."""
        if self.noise_stream == EARLIEST:
            return {}
        return {"noise_stream": self.noise_stream}

    def _storage_document(self) -> dict[str, Any]:
        """Return what a subclass says of the storage of images."""
        return {}

    def _maps_document(self) -> dict[str, Any]:
        """Return what the config says of maps and detectability."""
        document: dict[str, Any] = {}
        if self.detectability:
            document["detectability"] = True
        if self.maps:
            document["truth"] = list(self.maps)
        if self.residual_from != "truth":
            document["residual_from"] = self.residual_from
        return document


def _residual_start(start: ResidualStart, maps: tuple[str, ...]) -> ResidualStart:
    """Return where residuals start; without residuals nothing does.

    Raises:
        ConfigError: There is no such start, or no residual that could have it.
    """
    if start not in FIT_MODULES:
        raise unknown("residual_from", start, FIT_MODULES, code="residual-start")
    if start != "truth" and "residual" not in maps:
        raise ConfigError(
            f"residual_from {start} says how residuals are fitted, and none are asked for; "
            "give --truth residual, or leave it out",
            code="residual-start",
            name=start,
        )
    return start


def _stream(noise: str, stream: str) -> str:
    """Return the stream of a kind of noise: the earliest where it has no choice of them."""
    if noise_model(noise).has_streams:
        return check_stream(stream)
    return EARLIEST


def _check_background(
    preset: Preset, maps: tuple[str, ...], noise: str, detectability: bool
) -> None:
    """Refuse what knows the camera's own noise alone, where the sky is real."""
    if preset.background is None:
        return
    requests = [
        *(name for name in maps if name == "residual"),
        *["delta chi2"] * detectability,
    ]
    if noise == "published":
        requests = ["the published noise"]
    if requests:
        raise ConfigError(
            f"{requests[0]} knows the noise of the camera, and not that of a background; leave it "
            "or the background out",
            code="background-noise",
            what=requests[0],
        )
