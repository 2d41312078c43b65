"""The order of classes: which class a sample number has."""

from collections.abc import Mapping

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.preset_model import Preset

__all__ = ["class_name_of", "labels", "number_of"]

# The golden ratio times 2^64. Multiples of it modulo 2^64 are as even as numbers can be.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = 65536
_MOST_SEARCHED = 10_000_000


def labels(preset: Preset, numbers: np.ndarray) -> np.ndarray:
    """Return the class (N,) of each sample.

    It is the number modulo the number of classes. If the preset states shares, multiples of
    the golden ratio decide. So every prefix is balanced, or has those shares.

    Args:
        preset: The preset with its classes.
        numbers: Sample numbers (N,).

    Example:
        >>> from lenssim.simulate.preset import load_preset
        >>> labels(load_preset("III"), np.arange(5)).tolist()
        [0, 1, 2, 0, 1]
    """
    numbers = np.asarray(numbers, dtype=np.int64)
    if preset.shares is None:
        return numbers % len(preset.classes)
    return _label_by_share(preset.shares, numbers)


def _label_by_share(shares: Mapping[str, float], numbers: np.ndarray) -> np.ndarray:
    """Return the label (N,) of numbers (N,) by shares of the classes, in their order."""
    share = np.fromiter(shares.values(), np.float64)
    edges = np.cumsum(share / share.sum())[:-1]
    even = (numbers.astype(np.uint64) * _GOLDEN).astype(np.float64) / 2.0**64
    return np.searchsorted(edges, even, side="right").astype(np.int64)


def number_of(preset: Preset, label: int, count: int) -> int:
    """Return the sample number of a class's sample number `count`, from 0.

    Args:
        preset: The preset with its classes.
        label: Label of the class.
        count: How many samples of that class come before.

    Raises:
        ConfigError: The preset states shares, and the number is too large to search for.
    """
    if preset.shares is None:
        return label + count * len(preset.classes)
    passed = 0
    for start in range(0, _MOST_SEARCHED, _CHUNK):
        numbers = np.arange(start, start + _CHUNK)
        of_class = numbers[labels(preset, numbers) == label]
        if count < passed + len(of_class):
            return int(of_class[count - passed])
        passed += len(of_class)
    raise ConfigError(
        f"class {preset.class_names[label]} has {passed} samples among the first "
        f"{_MOST_SEARCHED}, got the number {count}",
        code="option-range",
        option="number",
        value=count,
    )


def class_name_of(preset: Preset, number: int) -> str:
    """Return the name of the class of one sample number."""
    return preset.class_names[int(labels(preset, np.array([number]))[0])]
