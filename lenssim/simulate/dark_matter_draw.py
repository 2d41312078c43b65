"""The dark matter of a block of systems, drawn class by class."""

import numpy as np

from lenssim.simulate.class_order import labels
from lenssim.simulate.columns import Columns
from lenssim.simulate.plane import TRUTH_UNITS, LensPlane
from lenssim.simulate.preset import Preset
from lenssim.simulate.scenes import Perturbers
from lenssim.simulate.streams import BLOCK, DARK_MATTER, block_numbers, generator

__all__ = ["draw_dark_matter"]


def draw_dark_matter(
    preset: Preset, seed: int, split: str, block: int, columns: Columns, plane: LensPlane
) -> tuple[dict[str, Perturbers], dict[str, str]]:
    """Draw the dark matter of a block: each class draws for its own rows.

    Columns that a class does not know stay NaN, kinds that it does not have stay empty.

    Args:
        preset: The preset with its classes.
        seed: Seed of all random numbers.
        split: Name of the split.
        block: Number of the block.
        columns: The columns of lens and source, which take those of the dark matter.
        plane: The lens plane of the block.

    Returns:
        The perturbers by kind, and the units of the columns of the dark matter.
    """
    numbers = block_numbers(block)
    label = labels(preset, numbers)
    tables: dict[str, list[tuple[np.ndarray, Perturbers]]] = {}
    units: dict[str, str] = {}
    for k, model in enumerate(preset.classes.values()):
        rows = np.flatnonzero(label == k)
        class_columns = Columns(
            len(rows),
            generator(seed, split, DARK_MATTER, block, k),
            columns.fixed,
            numbers=numbers[rows],
        )
        perturbers = model.perturb(class_columns, plane.take(rows))
        for kind in model.kinds:
            tables.setdefault(kind, []).append((rows, perturbers[kind]))
        class_units = dict(model.units)
        if plane.truth:
            class_units |= TRUTH_UNITS
        for name in class_units:
            target = columns.values.setdefault(name, np.full(BLOCK, np.nan))
            target[rows] = class_columns.values[name]
        units |= class_units
        columns.laws |= class_columns.laws
    return {kind: _merge(parts) for kind, parts in tables.items()}, units


def _merge(parts: list[tuple[np.ndarray, Perturbers]]) -> Perturbers:
    """One table for the whole block from tables of some of its rows."""
    merged = Perturbers.concatenate([table for _, table in parts])
    # rows that no part owns point to an empty row at the end
    sources = np.full(BLOCK, len(merged))
    sources[np.concatenate([rows for rows, _ in parts])] = np.arange(len(merged))
    padded = Perturbers(np.append(merged.offset, merged.offset[-1]), merged.columns)
    return padded.take(sources)
