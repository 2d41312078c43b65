"""Distributions a preset may draw a number from, written in YAML as `{uniform: [-0.35, 0.35]}` and the like."""

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import FiniteFloat, PlainSerializer, PlainValidator, model_validator
from pydantic_core import ValidationError

from lenssim.errors import unknown
from lenssim.names import printable
from lenssim.simulate.distribution import Distribution

__all__ = [
    "LogNormal",
    "LogUniform",
    "Normal",
    "PowerLaw",
    "Shared",
    "TruncatedNormal",
    "Uniform",
    "Value",
    "has_tails",
    "log_density",
    "sample",
    "support",
]


_MOST_DEX = 100.0  # powers of ten beyond are no number of a sky
_STEEPEST = 8.0  # slope of a power law, so that its integral is a float


class _Interval(Distribution):
    key: ClassVar[str]
    most: ClassVar[float]

    @property
    def interval(self) -> tuple[float, float]:
        return getattr(self, self.key)

    @model_validator(mode="after")
    def _ordered(self) -> "_Interval":
        low, high = self.interval
        if not low <= high:
            raise ValueError(f"the lower end {low:g} lies above the upper end {high:g}")
        if max(-low, high) > self.most:
            raise ValueError(
                f"its ends must lie in -{self.most:g}..{self.most:g}, got {low:g} and {high:g}"
            )
        return self


class Uniform(_Interval):
    """Uniform between two numbers."""

    key = "uniform"
    most = 1e100
    numbers = "[low, high]"
    uniform: tuple[FiniteFloat, FiniteFloat]

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        return rng.uniform(*self.uniform, size=n)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        from scipy import stats

        low, high = self.uniform
        return stats.uniform.logpdf(x, low, high - low)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return self.uniform


class LogUniform(_Interval):
    """10**u with u uniform between two exponents."""

    key = "log10_uniform"
    most = _MOST_DEX
    numbers = "[low, high] of log10"
    log10_uniform: tuple[FiniteFloat, FiniteFloat]

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        return 10.0 ** rng.uniform(*self.log10_uniform, size=n)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        from scipy import stats

        return stats.loguniform.logpdf(x, *self.support)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        low, high = self.log10_uniform
        return 10.0**low, 10.0**high


class Normal(Distribution):
    """Normal with a mean and a standard deviation."""

    numbers: ClassVar[str] = "[mean, deviation]"
    tails: ClassVar[bool] = True
    normal: tuple[FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _positive(self) -> "Normal":
        if self.normal[1] < 0:
            raise ValueError(f"the standard deviation {self.normal[1]:g} is negative")
        return self

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        return rng.normal(*self.normal, size=n)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        from scipy import stats

        return stats.norm.logpdf(x, *self.normal)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return -math.inf, math.inf


class TruncatedNormal(Distribution):
    """Normal with a mean and a standard deviation, cut to an interval: [mean, deviation, low, high]; by inversion."""

    numbers: ClassVar[str] = "[mean, deviation, low, high]"
    truncated_normal: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _possible(self) -> "TruncatedNormal":
        mean, deviation, low, high = self.truncated_normal
        if deviation <= 0 or not low < high:
            raise ValueError(
                f"truncated_normal is [mean, deviation, low, high] with deviation above 0 and low < high, "
                f"got {list(self.truncated_normal)}"
            )
        if max(low - mean, mean - high) > 5 * deviation:
            raise ValueError(
                f"the interval {low:g}..{high:g} lies more than 5 deviations from the mean {mean:g}"
            )
        return self

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        from scipy.special import ndtr, ndtri

        mean, deviation, low, high = self.truncated_normal
        first = ndtr((low - mean) / deviation)
        last = ndtr((high - mean) / deviation)
        drawn = mean + deviation * ndtri(first + rng.uniform(size=n) * (last - first))
        return np.clip(drawn, low, high)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        from scipy import stats

        mean, deviation, low, high = self.truncated_normal
        return stats.truncnorm.logpdf(
            x, (low - mean) / deviation, (high - mean) / deviation, mean, deviation
        )

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return self.truncated_normal[2:]


class LogNormal(Distribution):
    """10**x with x normal: [mean, standard deviation] of log10, in dex."""

    numbers: ClassVar[str] = "[mean, deviation] of log10"
    tails: ClassVar[bool] = True
    log10_normal: tuple[FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _positive(self) -> "LogNormal":
        if self.log10_normal[1] < 0:
            raise ValueError(f"the standard deviation {self.log10_normal[1]:g} is negative")
        if max(abs(self.log10_normal[0]), self.log10_normal[1]) > _MOST_DEX:
            raise ValueError(
                f"mean and deviation of log10 must lie in -{_MOST_DEX:g}..{_MOST_DEX:g}"
            )
        return self

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        return 10.0 ** rng.normal(*self.log10_normal, size=n)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        from scipy import stats

        mean, deviation = self.log10_normal
        return stats.lognorm.logpdf(x, deviation * math.log(10), scale=10.0**mean)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return 0.0, math.inf


class PowerLaw(Distribution):
    """dN/dm proportional to m**slope between two positive masses, by inversion of its cumulative distribution."""

    numbers: ClassVar[str] = "[slope, low, high]"
    power_law: tuple[FiniteFloat, FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _range(self) -> "PowerLaw":
        slope, low, high = self.power_law
        if not 0 < low < high:
            raise ValueError(
                f"power_law is [slope, low, high] with 0 < low < high, got low {low:g} and high {high:g}"
            )
        if abs(slope) > _STEEPEST or low < 1e-30 or high > 1e30:
            raise ValueError(
                f"power_law is [slope, low, high] with a slope in -{_STEEPEST:g}..{_STEEPEST:g} and ends in "
                f"1e-30..1e30, got {list(self.power_law)}"
            )
        return self

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        slope, low, high = self.power_law
        u = rng.uniform(size=n)
        k = slope + 1.0
        if k == 0.0:
            return low * (high / low) ** u
        return (low**k + u * (high**k - low**k)) ** (1.0 / k)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        slope, low, high = self.power_law
        k = slope + 1.0
        whole = math.log(high / low) if k == 0.0 else (high**k - low**k) / k
        inside = np.clip(x, low, high)
        return np.where(inside == x, slope * np.log(inside) - math.log(whole), -np.inf)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return self.power_law[1:]


class Shared(Distribution):
    """One draw of another distribution for all systems of a block of 64 sample numbers: a population.

    As many random numbers are spent as if each had its own, so that nothing else moves.
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


_BY_KEY = {
    "uniform": Uniform,
    "log10_uniform": LogUniform,
    "normal": Normal,
    "truncated_normal": TruncatedNormal,
    "log10_normal": LogNormal,
    "power_law": PowerLaw,
    "shared": Shared,
}


def _parse(value: Any) -> Any:
    if isinstance(value, Distribution):
        return value
    if isinstance(value, dict):
        return _distribution(value)
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not np.isfinite(number):
        raise ValueError(
            f"expected a finite number or a distribution such as {{uniform: [0, 1]}}, got {_short(value)}"
        )
    return number


def _distribution(document: dict[str, Any]) -> "Distribution":
    """The distribution that a mapping of one key names; `ValueError` in one line."""
    if len(document) != 1:
        raise ValueError(
            f"a distribution is one key and its numbers, such as {{uniform: [0, 1]}}; got {_short(document)}"
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
    return text if len(text) <= 60 else text[:57] + "..."


def _write(value: Any) -> Any:
    return value.model_dump() if isinstance(value, Distribution) else value


Value = Annotated[
    float | Uniform | LogUniform | Normal | TruncatedNormal | LogNormal | PowerLaw | Shared,
    PlainValidator(_parse),
    PlainSerializer(_write),
]


def sample(value: Any, rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` draws (n,) of a `Value`: a plain number is drawn as itself."""
    return (
        value.sample(rng, n)
        if isinstance(value, Distribution)
        else np.full(n, float(value))
    )


def log_density(value: Any, x: np.ndarray) -> np.ndarray:
    """Logarithm of the density of a `Value` at x, of the same shape; infinite at a plain number, -inf elsewhere."""
    return (
        value.log_density(x)
        if isinstance(value, Distribution)
        else np.where(x == value, np.inf, -np.inf)
    )


def support(value: Any) -> tuple[float, float]:
    """Ends of where a `Value` is drawn: both are a plain number itself."""
    return (
        value.support if isinstance(value, Distribution) else (float(value), float(value))
    )


def has_tails(value: Any) -> bool:
    """Whether a `Value` is drawn without ends, so that bounds can be checked only once it is drawn."""
    while isinstance(value, Shared):
        value = value.shared
    return isinstance(value, Distribution) and value.tails


Shared.model_rebuild()
