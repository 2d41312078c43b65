"""Families of distributions: uniform, normal, power law, and their logarithmic forms."""

import math
from typing import ClassVar

import numpy as np
from pydantic import FiniteFloat, model_validator

from lenssim.simulate.distribution import Distribution

__all__ = [
    "ExponentialNormal",
    "LogNormal",
    "LogUniform",
    "Normal",
    "PowerLaw",
    "Quantiles",
    "TruncatedNormal",
    "Uniform",
]

_MAX_DEX = 100.0  # powers of ten; larger numbers have no meaning
_MOST_QUANTILES = 200
_MAX_SLOPE = 8.0  # steeper power laws have integrals that overflow


class _Interval(Distribution):
    key: ClassVar[str]
    max_end: ClassVar[float]

    @property
    def interval(self) -> tuple[float, float]:
        return getattr(self, self.key)

    @model_validator(mode="after")
    def _ordered(self) -> "_Interval":
        low, high = self.interval
        if not low <= high:
            raise ValueError(f"the lower end {low:g} lies above the upper end {high:g}")
        if max(-low, high) > self.max_end:
            raise ValueError(
                f"its ends must lie in -{self.max_end:g}..{self.max_end:g}, got {low:g} and {high:g}"
            )
        return self


class Uniform(_Interval):
    """Uniform distribution between two numbers."""

    key = "uniform"
    max_end = 1e100
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
    """Distribution of 10**u with u uniform between two exponents."""

    key = "log10_uniform"
    max_end = _MAX_DEX
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
    """Normal distribution with a mean and a standard deviation."""

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
    """Normal distribution cut to an interval, by inversion: [mean, deviation, low, high]."""

    numbers: ClassVar[str] = "[mean, deviation, low, high]"
    truncated_normal: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _possible(self) -> "TruncatedNormal":
        mean, deviation, low, high = self.truncated_normal
        if deviation <= 0 or not low < high:
            raise ValueError(
                "truncated_normal is [mean, deviation, low, high] with deviation above 0 and "
                f"low < high, got {list(self.truncated_normal)}"
            )
        if max(low - mean, mean - high) > 5 * deviation:
            raise ValueError(
                f"the interval {low:g}..{high:g} lies more than 5 deviations from the mean {mean:g}"
            )
        return self

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        from scipy.special import ndtr, ndtri

        mean, deviation, low, high = self.truncated_normal
        start = ndtr((low - mean) / deviation)
        stop = ndtr((high - mean) / deviation)
        numbers = mean + deviation * ndtri(start + rng.uniform(size=n) * (stop - start))
        return np.clip(numbers, low, high)

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
    """Distribution of 10**x with x normal: [mean, standard deviation] of log10, in dex."""

    numbers: ClassVar[str] = "[mean, deviation] of log10"
    tails: ClassVar[bool] = True
    log10_normal: tuple[FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _positive(self) -> "LogNormal":
        if self.log10_normal[1] < 0:
            raise ValueError(f"the standard deviation {self.log10_normal[1]:g} is negative")
        if max(abs(self.log10_normal[0]), self.log10_normal[1]) > _MAX_DEX:
            raise ValueError(
                f"mean and deviation of log10 must lie in -{_MAX_DEX:g}..{_MAX_DEX:g}"
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
    """Power law dN/dm ~ m**slope between two positive masses, by inversion."""

    numbers: ClassVar[str] = "[slope, low, high]"
    power_law: tuple[FiniteFloat, FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _range(self) -> "PowerLaw":
        slope, low, high = self.power_law
        if not 0 < low < high:
            raise ValueError(
                f"power_law is [slope, low, high] with 0 < low < high, "
                f"got low {low:g} and high {high:g}"
            )
        if abs(slope) > _MAX_SLOPE or low < 1e-30 or high > 1e30:
            raise ValueError(
                "power_law is [slope, low, high] with a slope in "
                f"-{_MAX_SLOPE:g}..{_MAX_SLOPE:g} and ends in 1e-30..1e30, "
                f"got {list(self.power_law)}"
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
        integral = math.log(high / low)
        if k != 0.0:
            integral = (high**k - low**k) / k
        clipped = np.clip(x, low, high)
        density = slope * np.log(clipped) - math.log(integral)
        return np.where(clipped == x, density, -np.inf)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return self.power_law[1:]


class ExponentialNormal(Distribution):
    """Sum of a normal and an exponential draw: [mean, deviation, tail].

    `tail` is the mean of the exponential part. Below 0, the tail is one of small numbers.
    """

    numbers: ClassVar[str] = "[mean, deviation, tail]"
    tails: ClassVar[bool] = True
    exponential_normal: tuple[FiniteFloat, FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _possible(self) -> "ExponentialNormal":
        _, deviation, tail = self.exponential_normal
        if deviation <= 0 or tail == 0:
            raise ValueError(
                "exponential_normal is [mean, deviation, tail] with deviation above 0 and a "
                f"tail that is not 0, got {list(self.exponential_normal)}"
            )
        return self

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        mean, deviation, tail = self.exponential_normal
        return rng.normal(mean, deviation, size=n) + tail * rng.exponential(size=n)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        from scipy import stats

        mean, deviation, tail = self.exponential_normal
        shape = abs(tail) / deviation
        sign = np.sign(tail)
        return stats.exponnorm.logpdf(sign * (x - mean), shape, 0.0, deviation)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return -math.inf, math.inf


class Quantiles(Distribution):
    """Distribution by its quantiles at evenly spaced probabilities, straight between them.

    The first number is the smallest that is drawn, and the last one the largest.
    """

    numbers: ClassVar[str] = (
        "[smallest, ..., largest], two numbers or more in ascending order"
    )
    quantiles: tuple[FiniteFloat, ...]

    @model_validator(mode="after")
    def _ascending(self) -> "Quantiles":
        steps = np.diff(self.quantiles)
        if not 2 <= len(self.quantiles) <= _MOST_QUANTILES or (steps <= 0).any():
            raise ValueError(
                f"quantiles are 2 to {_MOST_QUANTILES} numbers in ascending order, "
                f"got {list(self.quantiles)[:6]}"
            )
        return self

    @property
    def _probabilities(self) -> np.ndarray:
        return np.linspace(0.0, 1.0, len(self.quantiles))

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        return np.interp(rng.uniform(size=n), self._probabilities, self.quantiles)

    def log_density(self, x: np.ndarray) -> np.ndarray:  # noqa: D102
        edges = np.asarray(self.quantiles)
        cell = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
        density = -np.log(np.diff(edges)[cell] * (len(edges) - 1))
        return np.where((x >= edges[0]) & (x <= edges[-1]), density, -np.inf)

    @property
    def support(self) -> tuple[float, float]:  # noqa: D102
        return self.quantiles[0], self.quantiles[-1]
