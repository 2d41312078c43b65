"""Shares of classes, as people write them beside the names: `lens=0.4`."""

from collections.abc import Iterable, Mapping, Sequence

from lenssim.errors import ConfigError
from lenssim.names import printable

__all__ = ["check_shares", "split_shares"]


def check_shares(shares: Mapping[str, float] | None, classes: Iterable[str]) -> None:
    """Check that a preset states the share of each of its classes, in their order, or none.

    Raises:
        ValueError: It does not.
    """
    names = list(classes)
    if shares is not None and list(shares) != names:
        raise ValueError(
            f"shares are those of the classes {', '.join(names)}, in this order; "
            f"got {', '.join(shares)}"
        )


def split_shares(
    names: Sequence[str],
) -> tuple[tuple[str, ...], dict[str, float] | None]:
    """Return the names of classes, and the share that each of them states.

    Args:
        names: Names such as `lens`, or `lens=0.4` with a share.

    Returns:
        The names, and their shares, None if no name states one.

    Raises:
        ConfigError: A share is no number above 0, or some names state one and others do not.

    Example:
        >>> split_shares(["non_lens=3", "lens=1"])
        (('non_lens', 'lens'), {'non_lens': 0.75, 'lens': 0.25})
        >>> split_shares(["lens"])
        (('lens',), None)
    """
    pairs = [name.partition("=") for name in names]
    classes = tuple(name.strip() for name, _, _ in pairs)
    stated = [share for _, sign, share in pairs if sign]
    if not stated:
        return classes, None
    if len(stated) < len(pairs):
        raise ConfigError(
            f"state the share of every class, or of none; got {printable(', '.join(names))}",
            code="class-shares",
            names=list(names),
        )
    weights = [_number(text, names) for text in stated]
    total = sum(weights)
    shares = [weight / total for weight in weights]
    return classes, dict(zip(classes, shares, strict=True))


def _number(text: str, names: Sequence[str]) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < 1e9:
        raise ConfigError(
            "the share of a class is a number above 0, such as lens=0.4; got "
            f"{printable(', '.join(names))}",
            code="class-shares",
            names=list(names),
        )
    return weight
