"""The specification of a simulated data set: of its images, and of how they are stored."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, override

from pydantic import Field

from lenssim.data.format.dither import EARLIEST_DITHER, NEWEST_DITHER, check_dither
from lenssim.data.format.galaxy_records import without_paths
from lenssim.data.format.storage import check_storage
from lenssim.simulate.engines.batched.settings import FAR_SERIES, FAR_SOLITONS
from lenssim.simulate.preset import Preset
from lenssim.simulate.spec import KIND, SimulationSpec

__all__ = [
    "COMPRESSION",
    "DEFAULT_STORAGE",
    "GenerationSpec",
    "asked_for",
    "dither_of",
    "earlier_configs",
    "maps_of",
    "spec_of",
    "storage_config",
    "storage_of",
]

DEFAULT_STORAGE = "float32"
COMPRESSION = "bitshuffle-lz4"
# keys of random streams that earlier versions did not name, the newest first
_STREAMS = ("dither_stream", "noise_stream")


class GenerationSpec(SimulationSpec):
    """Everything that the bytes of a simulated data set depend on.

    Example:
        >>> from lenssim.simulate.preset import load_preset
        >>> spec = GenerationSpec.of(load_preset("III"), storage="float16")
        >>> spec.config()["storage"]
        'float16'
    """

    storage: str = DEFAULT_STORAGE
    compress: bool = False
    dither_stream: str = Field(
        default=EARLIEST_DITHER,
        description="random stream of the rounding; old data sets go on with their own",
    )

    @override
    @classmethod
    def of(cls, preset: Preset, **options: Any) -> Self:
        """Return the checked specification; `options` may also hold the fields of this class."""
        storage = options.pop("storage", None) or DEFAULT_STORAGE
        compress = options.pop("compress", False)
        stream = check_dither(options.pop("dither_stream", NEWEST_DITHER))
        check_storage(storage, compress)
        if storage == DEFAULT_STORAGE:
            stream = EARLIEST_DITHER  # nothing is rounded, so the config names none
        stored = {"storage": storage, "compress": compress, "dither_stream": stream}
        return super().of(preset, **stored, **options)

    @override
    @classmethod
    def _stated(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        values = super()._stated(config)
        values["storage"] = storage_of(config)
        values["compress"] = bool(config.get("compress"))
        values["dither_stream"] = dither_of(config)
        return values

    @override
    def _storage_document(self) -> dict[str, Any]:
        return storage_config(self.storage, self.compress, self.dither_stream)


def spec_of(config: Mapping[str, Any], lenses: Path | None = None) -> GenerationSpec | None:
    """Return the specification that a config states; None for images that were not simulated.

    Args:
        config: The config.
        lenses: Where its table of lenses is, if it is there.

    Example:
        >>> spec_of({"kind": "imported"}) is None
        True
    """
    if config.get("kind") != KIND:
        return None
    table = str(lenses) if lenses is not None and lenses.is_file() else None
    return GenerationSpec.from_config(config, lenses=table)


def storage_of(config: Mapping[str, Any]) -> str:
    """Return how the images are stored, simulated or imported.

    Example:
        >>> storage_of({"kind": "imported"}), storage_of({"storage": "int16"})
        ('float32', 'int16')
    """
    return str(config.get("storage", DEFAULT_STORAGE))


def dither_of(config: Mapping[str, Any]) -> str:
    """Return the random stream by which the images were rounded.

    Raises:
        ConfigError: This version knows none of that name.

    Example:
        >>> dither_of({"storage": "int16"})
        'sfc64'
    """
    return check_dither(config.get("dither_stream", EARLIEST_DITHER))


def maps_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the maps beside the images, simulated or imported.

    Example:
        >>> maps_of({"truth": ["clean"]}), maps_of({})
        (('clean',), ())
    """
    return tuple(config.get("truth", ()))


def asked_for(config: dict[str, Any]) -> dict[str, Any]:
    """Return what of a config a user chooses: stored ones go on with their streams and far field."""
    chosen = {name: value for name, value in config.items() if name not in _STREAMS}
    settings = chosen.get("engine_settings")
    if isinstance(settings, dict):
        chosen["engine_settings"] = {
            name: value for name, value in settings.items() if name != "far_field"
        }
    return without_paths(chosen)


def earlier_configs(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield how earlier versions stated the same request: without the keys that came later.

    Images of such a config have the streams and the far field of its version.

    Args:
        config: The config of today's version.

    Example:
        >>> list(earlier_configs({"seed": 0, "noise_stream": "philox"}))
        [{'seed': 0}]
    """
    settings = config.get("engine_settings")
    if isinstance(settings, dict) and settings.get("far_field") == FAR_SERIES:
        before = {**config, "engine_settings": {**settings, "far_field": FAR_SOLITONS}}
        yield before
        yield from earlier_configs(before)
    elif isinstance(settings, dict) and "far_field" in settings:
        older_settings = {
            name: value for name, value in settings.items() if name != "far_field"
        }
        without_far_field = {**config, "engine_settings": older_settings}
        yield without_far_field
        yield from earlier_configs(without_far_field)
    for place, stream in enumerate(_STREAMS):
        if stream in config:
            later = _STREAMS[: place + 1]
            yield {name: value for name, value in config.items() if name not in later}


def storage_config(
    storage: str, compress: bool, dither_stream: str = NEWEST_DITHER
) -> dict[str, Any]:
    """Return what a config says of a storage: nothing of defaults that are older.

    Example:
        >>> storage_config("int16", compress=False)
        {'storage': 'int16', 'dither_stream': 'philox'}
    """
    document: dict[str, Any] = {}
    if storage != DEFAULT_STORAGE:
        document["storage"] = storage
    if compress:
        document["compress"] = COMPRESSION
    if storage != DEFAULT_STORAGE and dither_stream != EARLIEST_DITHER:
        document["dither_stream"] = dither_stream
    return document
