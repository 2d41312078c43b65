"""Resimulation: stored samples are compared, bit for bit, with samples made from the plan."""

from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.digests import read_verified
from lenssim.data.format.manifest import CATALOGUE, SHARDS, Plan, read_plan, shard_name
from lenssim.data.format.shard import Samples
from lenssim.data.generation.simulation import make_samples
from lenssim.data.streaming.locations import open_complete
from lenssim.errors import ConfigError
from lenssim.simulate.spec import current_versions

__all__ = ["resimulate"]


def resimulate(
    folder: Path | str,
    count: int,
    seed: int = 0,
    *,
    galaxies: Path | None = None,
    background: Path | None = None,
    lenses: Path | None = None,
) -> tuple[list[int], list[str]]:
    """Make samples of a data set again and compare them with what is stored.

    Args:
        folder: Folder or URL of a complete data set.
        count: The number of samples to make.
        seed: Seed of the choice of these samples.
        galaxies: Where the images of galaxies lie that its sources show.
        background: Where the cut-outs of sky lie that its images show.
        lenses: Where its table of lenses lies; None: in the folder.

    Returns:
        The numbers of the samples, and lines that say what differs, by shard and dataset.

    Raises:
        ConfigError: The data were imported, its galaxies are not there, or the libraries
            are others than those that the
            data set was made with.
        VerificationError: A shard does not hold what was written.
    """
    place = open_complete(folder)
    plan = read_plan(place.folder)
    if not plan.is_simulated:
        raise ConfigError(
            f"{folder} was imported: there is nothing to make it again from",
            code="imported-data",
            folder=folder,
        )
    if count < 1:
        raise ConfigError(
            f"the number of samples to resimulate must be at least 1, got {count}",
            code="option-range",
            option="number",
            value=count,
        )
    _check_versions(folder, plan)
    if lenses is None and (place.folder / CATALOGUE).is_file():
        lenses = place.folder / CATALOGUE
    places = {"galaxies": galaxies, "background": background, "lenses": lenses}
    hints = {name: str(path.resolve()) for name, path in places.items() if path is not None}
    if hints:
        plan = plan.model_copy(update={"hints": hints})
    _check_files(plan)
    numbers = np.sort(
        np.random.default_rng(seed).choice(plan.n, min(count, plan.n), replace=False)
    )
    problems = []
    for shard in np.unique(numbers // plan.shard_size):
        stored = read_verified(place.path(int(shard)), place.record(int(shard)))
        for number in numbers[numbers // plan.shard_size == shard]:
            problems += _differences(plan, stored, int(shard), int(number))
    return numbers.tolist(), problems


def _check_versions(folder: Path | str, plan: Plan) -> None:
    """Refuse libraries of other versions than those that made the data set."""
    spec = plan.spec
    lines = [
        f"{name} {spec.versions.get(name)} there, {version} here"
        for name, version in current_versions(spec.engine).items()
        if spec.versions.get(name) != version
    ]
    if lines:
        raise ConfigError(
            f"{folder} was made with other libraries, whose bits may differ: "
            f"{', '.join(lines)}",
            code="libraries-differ",
            folder=folder,
        )


def _check_files(plan: Plan) -> None:
    """Read the galaxies of a plan, so that missing files stop everything."""
    preset = plan.spec.preset
    if preset.galaxies is not None:
        preset.galaxies.images()
    elif "galaxies" in plan.hints:
        raise ConfigError(
            f"preset {preset.name} shows no galaxies: leave --galaxies out",
            code="no-galaxies",
            preset=preset.name,
        )
    if preset.background is None and "background" in plan.hints:
        raise ConfigError(
            f"preset {preset.name} shows no background: leave --background out",
            code="no-background",
            preset=preset.name,
        )
    if preset.lenses is None and "lenses" in plan.hints:
        raise ConfigError(
            f"preset {preset.name} has no table of lenses: leave --lenses out",
            code="no-lens-table",
            preset=preset.name,
        )


def _differences(plan: Plan, stored: Samples, shard: int, number: int) -> list[str]:
    """Return a line for each dataset of a shard that does not hold the sample made remade."""
    remade, _ = make_samples(plan, range(number, number + 1))
    row = number - plan.rows(shard)[0]
    return [
        f"{SHARDS}/{shard_name(shard)}: dataset {name} of sample {number} is not what its provenance makes"
        for name, (entry, remade_column) in _pairs(stored, row, remade).items()
        if np.asarray(entry).tobytes() != np.asarray(remade_column).tobytes()
    ]


def _pairs(stored: Samples, row: int, remade: Samples) -> dict[str, tuple[Any, Any]]:
    """Return each entry of a stored row beside that of the sample made again, by dataset."""
    pairs: dict[str, tuple[Any, Any]] = {
        "images": (stored.images[row], remade.images[0]),
        "labels": (stored.labels[row], remade.labels[0]),
        "index": (stored.index[row], remade.index[0]),
    }
    if stored.scale is not None and remade.scale is not None:
        pairs["scale"] = (stored.scale[row], remade.scale[0])
    for name, pictures in stored.truth.items():
        pairs[name] = (pictures[row], remade.truth[name][0])
    missing = np.array([np.nan])  # a column may be there for another sample's sake
    for name, column in stored.params.items():
        pairs[f"params/{name}"] = (column[row], remade.params.get(name, missing)[0])
    for kind, table in stored.perturbers.items():
        entries = slice(table.offset[row], table.offset[row + 1])
        for name, column in table.columns.items():
            remade_column = np.array([])
            if kind in remade.perturbers:
                remade_column = remade.perturbers[kind].columns[name]
            pairs[f"perturbers/{kind}/{name}"] = (column[entries], remade_column)
    return pairs
