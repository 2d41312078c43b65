"""Distributions a preset may draw a number from, written in YAML as `{uniform: [-0.35, 0.35]}` and the like."""

import math
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat, PlainSerializer, PlainValidator, model_validator

from lenssim.errors import unknown

__all__ = [
    "LogNormal",
    "LogUniform",
    "Normal",
    "PowerLaw",
    "Shared",
    "TruncatedNormal",
    "Uniform",
    "Value",
    "log_density",
    "sample",
    "support",
]


class Distribution(BaseModel, ABC):
    """Base of the distributions: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` draws, float64 (n,); independent, but for those of `Shared`."""

    @abstractmethod
    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Logarithm of the density at x, of the same shape; -inf where nothing is drawn."""

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Ends of where numbers are drawn."""


class _Interval(Distribution):
    key: ClassVar[str]

    @property
    def interval(self) -> tuple[float, float]:
        return getattr(self, self.key)

    @model_validator(mode="after")
    def _ordered(self) -> "_Interval":
        low, high = self.interval
        if not low <= high:
            raise ValueError(f"the lower end {low:g} lies above the upper end {high:g}")
        return self


class Uniform(_Interval):
    """Uniform between two numbers."""

    key = "uniform"
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
            raise ValueError(f"the interval {low:g}..{high:g} lies more than 5 deviations from the mean {mean:g}")
        return self

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        from scipy.special import ndtr, ndtri

        mean, deviation, low, high = self.truncated_normal
        first, last = ndtr((low - mean) / deviation), ndtr((high - mean) / deviation)
        drawn = mean + deviation * ndtri(first + rng.uniform(size=n) * (last - first))
        return np.clip(drawn, low, high)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        from scipy import stats

        mean, deviation, low, high = self.truncated_normal
        return stats.truncnorm.logpdf(x, (low - mean) / deviation, (high - mean) / deviation, mean, deviation)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return self.truncated_normal[2:]


class LogNormal(Distribution):
    """10**x with x normal: [mean, standard deviation] of log10, in dex."""

    log10_normal: tuple[FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _positive(self) -> "LogNormal":
        if self.log10_normal[1] < 0:
            raise ValueError(f"the standard deviation {self.log10_normal[1]:g} is negative")
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

    power_law: tuple[FiniteFloat, FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _range(self) -> "PowerLaw":
        _, low, high = self.power_law
        if not 0 < low < high:
            raise ValueError(f"power_law is [slope, low, high] with 0 < low < high, got low {low:g} and high {high:g}")
        return self

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        slope, low, high = self.power_law
        u, k = rng.uniform(size=n), slope + 1.0
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
        if len(value) != 1:
            raise ValueError(f"a distribution is one key and its numbers, such as {{uniform: [0, 1]}}; got {value}")
        (key,) = value
        if key not in _BY_KEY:
            raise ValueError(str(unknown("distribution", str(key), _BY_KEY)))
        return _BY_KEY[key].model_validate(value)
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise ValueError(f"expected a finite number or a distribution such as {{uniform: [0, 1]}}, got {value!r}")
    return number


def _write(value: Any) -> Any:
    return value.model_dump() if isinstance(value, Distribution) else value


Value = Annotated[
    float | Uniform | LogUniform | Normal | TruncatedNormal | LogNormal | PowerLaw | Shared,
    PlainValidator(_parse),
    PlainSerializer(_write),
]


def sample(value: Any, rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` draws (n,) of a `Value`: a plain number is drawn as itself."""
    return value.sample(rng, n) if isinstance(value, Distribution) else np.full(n, float(value))


def log_density(value: Any, x: np.ndarray) -> np.ndarray:
    """Logarithm of the density of a `Value` at x, of the same shape; infinite at a plain number, -inf elsewhere."""
    return value.log_density(x) if isinstance(value, Distribution) else np.where(x == value, np.inf, -np.inf)


def support(value: Any) -> tuple[float, float]:
    """Ends of where a `Value` is drawn: both are a plain number itself."""
    return value.support if isinstance(value, Distribution) else (float(value), float(value))


Shared.model_rebuild()
