"""Sources that show galaxies of a user in place of Sersic profiles."""

import math
from collections.abc import Sequence
from typing import Any

from lenssim.errors import ConfigError
from lenssim.simulate.component_choice import ComponentChoice

__all__ = ["galaxy_sources"]

_REPLACED = ("sersic", "clumpy")


def galaxy_sources(preset: str, sources: Sequence[ComponentChoice]) -> list[dict[str, Any]]:
    """Return documents of sources that show galaxies, of the sizes and magnitudes of Sersics.

    Args:
        preset: Name of the preset, for the message.
        sources: Its sources.

    Raises:
        ConfigError: A source is no Sersic or clumpy galaxy, or has no magnitude.
    """
    documents = []
    for choice in sources:
        values = choice.parameters
        if choice.profile not in _REPLACED or "magnitude" not in values:
            raise ConfigError(
                f"preset {preset}: galaxies stand for sersic sources that have a magnitude",
                code="no-galaxies",
                name=preset,
            )
        kept: dict[str, Any] = {
            name: values[name]
            for name in ("magnitude", "center_x", "center_y")
            if name in values
        }
        kept |= choice.of_bands
        turned: dict[str, Any] = {
            "R_half": values["R_sersic"],
            "phi_G": {"uniform": [0.0, 2 * math.pi]},
        }
        documents.append({"profile": "interpolated", "name": choice.name} | kept | turned)
    return documents
