"""Shared numbers: numbers of dark matter that all samples of a population have in common."""

from collections.abc import Iterable, Sequence
from typing import Any

from lenssim.errors import unknown

__all__ = ["with_shared_numbers"]


def with_shared_numbers(document: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the document of a preset whose dark matter draws some numbers once a block.

    Args:
        document: The document of a preset.
        names: Keys of numbers that its dark matter draws.

    Raises:
        ConfigError: No class draws such a number.
    """
    for name in names:
        models = document["classes"].values()
        drawing = [model for model in models if isinstance(model.get(name), dict)]
        if not drawing:
            raise unknown(
                f"number that dark matter of preset {document['name']} draws",
                name,
                _drawn_keys(models),
                code="unknown-target",
            )
        for model in drawing:
            model[name] = {"shared": model[name]}
    return document


def _drawn_keys(models: Iterable[dict[str, Any]]) -> list[str]:
    """Return the keys under which models of dark matter, as documents, hold a distribution."""
    keys = {key for model in models for key in model if isinstance(model[key], dict)}
    return sorted(keys)
