"""Distributions a preset may draw a number from, written in YAML as `{uniform: [-0.35, 0.35]}` and the like."""

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat, PlainSerializer, PlainValidator, model_validator

from lenssim.errors import unknown

__all__ = ["LogUniform", "Normal", "PowerLaw", "Uniform", "Value", "sample"]


class Distribution(BaseModel, ABC):
    """Base of the distributions: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """`n` independent draws, float64 (n,)."""


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


class LogUniform(_Interval):
    """10**u with u uniform between two exponents."""

    key = "log10_uniform"
    log10_uniform: tuple[FiniteFloat, FiniteFloat]

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:  # noqa: D102
        return 10.0 ** rng.uniform(*self.log10_uniform, size=n)


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


_BY_KEY = {"uniform": Uniform, "log10_uniform": LogUniform, "normal": Normal, "power_law": PowerLaw}


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


Value = Annotated[float | Uniform | LogUniform | Normal | PowerLaw, PlainValidator(_parse), PlainSerializer(_write)]


def sample(value: Any, rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` draws (n,) of a `Value`: a plain number is drawn as itself."""
    return value.sample(rng, n) if isinstance(value, Distribution) else np.full(n, float(value))
