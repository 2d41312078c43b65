"""The order of redshifts in a preset: no source may lie in front of its lens."""

from collections.abc import Mapping
from typing import Any

from lenssim.errors import ConfigError
from lenssim.simulate.distributions import has_tails, support

__all__ = ["check_order"]


def check_order(z_lens: Any, behind: Mapping[str, Any]) -> None:
    """Refuse redshifts of sources that may lie in front of the lens.

    Args:
        z_lens: Redshift of the lens, a number or distribution.
        behind: Redshifts that must lie behind it, by name; None where one is not stated.

    Raises:
        ConfigError: The ranges of two redshifts overlap.

    Example:
        >>> check_order(0.5, {"z_source": 1.0, "z_source_convention": None})
    """
    farthest = support(z_lens)[1]
    for name, value in behind.items():
        if value is None or has_tails(value) or has_tails(z_lens):
            continue
        nearest = support(value)[0]
        drawn = support(value)[1] > nearest or support(z_lens)[0] < farthest
        if nearest < farthest or (nearest == farthest and not drawn):
            what = f"got z_lens {'up to ' * drawn}{farthest:g} and {name} {'from ' * drawn}{nearest:g}"
            raise ConfigError(
                f"{name} must lie behind z_lens, {what}: give them ranges that do not overlap",
                code="lens-planes",
                name=name,
                what=what,
            )
