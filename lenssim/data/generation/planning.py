"""Planning: build the plan of a data set from the wishes of a user, and check them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lenssim.data.format.manifest import PLAN, Plan, check_size, read_plan
from lenssim.data.format.spec import GenerationSpec
from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.instruments import Supersampling
from lenssim.simulate.preset import Preset, former_preset
from lenssim.simulate.streams import BLOCK

__all__ = ["begun_with", "default_shard_size", "make_plan", "plan_of"]

SHARD_BYTES = 64 * 2**20  # default limit on the images of a shard
MAX_SHARD_BYTES = 16 * 2**30  # a shard is built in memory
MAX_SHARD_SIZE = 2048  # default limit on the samples of a shard
MIN_SHARDS = 8  # default, if there are enough samples


def make_plan(
    preset: Preset,
    n: int,
    *,
    engine_name: str = "batched",
    truth: Sequence[str] = (),
    shard_size: int | None = None,
    folder: Path | None = None,
    supersampling: Supersampling | str | None = None,
    **options: Any,
) -> Plan:
    """Return the plan of a data set that is simulated from a preset.

    Args:
        preset: What is drawn.
        n: Number of samples.
        engine_name: Name of the engine.
        truth: Names of maps to keep beside the images.
        shard_size: Number of samples in a shard, see `plan_of`.
        folder: Folder of the data set, see `plan_of`.
        supersampling: Rays along each side of a pixel, or "adaptive".
        **options: Further arguments of `GenerationSpec.of`.

    Raises:
        ConfigError: A number is out of range, or a name is unknown.

    Example:
        >>> from lenssim.simulate.preset import load_preset
        >>> make_plan(load_preset("III"), 1000, seed=3, noise="none").shard_size
        128
    """
    for name, value in (("n", n), ("the shard size", shard_size)):
        if value is not None and value < 1:
            raise ConfigError(
                f"{name} must be at least 1, got {value}",
                code="option-range",
                option=name,
                value=value,
            )
    spec = GenerationSpec.of(
        preset,
        engine=engine_name,
        maps=tuple(truth),
        supersampling=supersampling,
        **options,
    )
    return plan_of(spec, n, shard_size, folder)


def plan_of(
    spec: GenerationSpec,
    n: int,
    shard_size: int | None = None,
    folder: Path | None = None,
) -> Plan:
    """Return the plan of a data set.

    Args:
        spec: What to simulate and how to store it.
        n: Number of samples.
        shard_size: Number of samples in a shard. By default a data set that exists in
            `folder` keeps its shard size, and a new one has `default_shard_size`.
        folder: Folder of the data set. For a new data set the first sample is drawn now, so
            that impossible physics raises an error before the folder is made.

    Raises:
        ConfigError: The shards are too many or too large, or the first sample cannot be
            drawn.
    """
    if folder is not None and not (folder / PLAN).exists():
        draw(spec.preset, [0], seed=spec.seed, split=spec.split)
    elif folder is not None and shard_size is None:
        shard_size = read_plan(folder).shard_size
    if spec.preset.lenses is not None:
        spec.preset.lenses.check_count(n)
    shard_size = shard_size or default_shard_size(n, spec.preset)
    check_size(n, shard_size)
    _check_shard_bytes(min(n, shard_size), spec.preset)
    return Plan(
        n=n,
        shard_size=shard_size,
        classes=spec.preset.class_names,
        config=spec.config(),
        hints=_hints(spec.preset),
    )


def begun_with(model: str, folder: Path) -> Preset | None:
    """Return the preset that a data set in `folder` began with, where its name has another now.

    Args:
        model: Name of the preset that is asked for.
        folder: Folder of the data set.

    Returns:
        The former preset of that name, if the data set has its lens and light; else None.
    """
    former = former_preset(model)
    if former is None or not (folder / PLAN).exists():
        return None
    stored = read_plan(folder).config.get("preset")
    document = former.model_dump(mode="json")
    if not isinstance(stored, dict):
        return None
    same = all(stored.get(key) == document[key] for key in ("name", "lens", "lens_light"))
    return former if same else None


def default_shard_size(n: int, preset: Preset) -> int:
    """Return the default number of samples in a shard.

    It is a multiple of 64 with at most 64 MiB of images, unless one block of 64 is larger. With
    enough samples a data set has at least eight shards.
    """
    image_bytes = 4 * math.prod(preset.image_shape)
    max_blocks = max(1, min(MAX_SHARD_SIZE, SHARD_BYTES // image_bytes) // BLOCK)
    blocks = max(1, -(-n // (MIN_SHARDS * BLOCK)))
    return BLOCK * min(max_blocks, blocks)


def _check_shard_bytes(rows: int, preset: Preset) -> None:
    """Raise `ConfigError` if the images of a shard would not fit into memory."""
    image_bytes = 4 * math.prod(preset.image_shape)
    if rows * image_bytes > MAX_SHARD_BYTES:
        raise ConfigError(
            f"{rows:,} images a shard take {rows * image_bytes / 2**30:,.0f} GiB of "
            f"memory; a shard has at most {MAX_SHARD_BYTES >> 30} GiB of images: "
            "choose a smaller --shard-size",
            code="shard-too-large",
            rows=rows,
        )


def _hints(preset: Preset) -> dict[str, str]:
    """Return paths on this machine of the files that a preset names; no plan on disk has them."""
    hints = {}
    for name in ("galaxies", "background", "lenses"):
        record = getattr(preset, name)
        if record is not None and record.path:
            hints[name] = record.path
    return hints
