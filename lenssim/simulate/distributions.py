"""Distributions that a preset may draw a number from, in YAML as `{uniform: [-0.35, 0.35]}`."""

import contextlib
import math
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import PlainSerializer, PlainValidator
from pydantic_core import ValidationError

from lenssim.errors import unknown
from lenssim.names import printable
from lenssim.simulate.distribution import Distribution
from lenssim.simulate.distribution_families import (
    ExponentialNormal,
    LogNormal,
    LogUniform,
    Normal,
    PowerLaw,
    Quantiles,
    TruncatedNormal,
    Uniform,
)

__all__ = [
    "ExponentialNormal",
    "LogNormal",
    "LogUniform",
    "Normal",
    "PowerLaw",
    "Quantiles",
    "Shared",
    "TruncatedNormal",
    "Uniform",
    "Value",
    "has_tails",
    "log_density",
    "sample",
    "support",
]


class Shared(Distribution):
    """One draw of another distribution for all systems of a block of 64 samples: a population.

    It consumes as many random numbers as if each system had its own draw, so other draws do
    not change.
    """

    numbers: ClassVar[str] = "another distribution"
    shared: "Value"

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        return np.repeat(sample(self.shared, rng, n)[:1], n)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        return log_density(self.shared, x)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return support(self.shared)


_BY_KEY: dict[str, type[Distribution]] = {
    "uniform": Uniform,
    "log10_uniform": LogUniform,
    "normal": Normal,
    "truncated_normal": TruncatedNormal,
    "log10_normal": LogNormal,
    "power_law": PowerLaw,
    "quantiles": Quantiles,
    "exponential_normal": ExponentialNormal,
    "shared": Shared,
}


def _parse(value: Any) -> Any:
    if isinstance(value, Distribution):
        return value
    if isinstance(value, dict):
        return _distribution(value)
    number = math.nan
    if not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = float(value)
    if not np.isfinite(number):
        raise ValueError(
            f"expected a finite number or a distribution such as {{uniform: [0, 1]}}, "
            f"got {_short(value)}"
        )
    return number


def _distribution(document: dict[str, Any]) -> "Distribution":
    """Return the distribution that a mapping of one key names; raise `ValueError` in one line."""
    if len(document) != 1:
        raise ValueError(
            f"a distribution is one key and its numbers, such as {{uniform: [0, 1]}}; "
            f"got {_short(document)}"
        )
    (key,) = document
    if key not in _BY_KEY:
        raise ValueError(str(unknown("distribution", printable(str(key)), _BY_KEY)))
    kind = _BY_KEY[key]
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problem = error.errors()[0]
        if problem["type"] == "value_error":
            raise ValueError(str(problem["ctx"]["error"])) from None
        raise ValueError(
            f"{key} takes {kind.numbers}, finite numbers; got {_short(document[key])}"
        ) from None


def _short(value: Any) -> str:
    text = printable(repr(value))
    if len(text) > 60:
        return text[:57] + "..."
    return text


def _write(value: Any) -> Any:
    if isinstance(value, Distribution):
        return value.model_dump()
    return value


Value = Annotated[
    float
    | Uniform
    | LogUniform
    | Normal
    | TruncatedNormal
    | LogNormal
    | PowerLaw
    | ExponentialNormal
    | Quantiles
    | Shared,
    PlainValidator(_parse),
    PlainSerializer(_write),
]


def sample(value: Any, rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw `n` numbers (n,) of a `Value`; a plain number is repeated.

    Args:
        value: A number or a distribution.
        rng: Generator of random numbers.
        n: How many to draw.

    Example:
        >>> sample(2.0, np.random.default_rng(0), 3)
        array([2., 2., 2.])
    """
    if isinstance(value, Distribution):
        return value.sample(rng, n)
    return np.full(n, float(value))


def log_density(value: Any, x: np.ndarray) -> np.ndarray:
    """Return the logarithm of the density of a `Value` at x, of the same shape.

    For a plain number it is infinite at the number, and -inf elsewhere.
    """
    if isinstance(value, Distribution):
        return value.log_density(x)
    return np.where(x == value, np.inf, -np.inf)


def support(value: Any) -> tuple[float, float]:
    """Return the smallest and largest number of a `Value`; both are a plain number itself.

    Example:
        >>> support(Uniform(uniform=(0, 1))), support(3)
        ((0.0, 1.0), (3.0, 3.0))
    """
    if isinstance(value, Distribution):
        return value.support
    return float(value), float(value)


def has_tails(value: Any) -> bool:
    """Return whether draws of a `Value` have no bounds, so that only draws can be checked."""
    while isinstance(value, Shared):
        value = value.shared
    return isinstance(value, Distribution) and value.tails


Shared.model_rebuild()
