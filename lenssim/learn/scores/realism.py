"""Realism audit: do statistics of images tell simulated and real ones apart?"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import ks_2samp

from lenssim.errors import DataError
from lenssim.learn.scores.separation import ranked_auc, score_interval, separation

__all__ = [
    "ALL_STATISTICS",
    "MIN_REAL",
    "MIN_SIMULATED",
    "Difference",
    "Separation",
    "check_counts",
    "compare",
    "realism_verdict",
    "separate",
]

ALL_STATISTICS = "all statistics"
MIN_REAL = 8
MIN_SIMULATED = 50
_ERROR_RATE = 0.05  # of all statistics together
_ASYMPTOTIC_IMAGES = 50  # images, from which on the asymptotic distribution is used
_MIN_VALUES = 5  # of a statistic in either sample

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """How one statistic differs between real and simulated images.

    Attributes:
        statistic: Name of the statistic.
        real: Its median in real images.
        simulated: Its median in simulated images.
        auc: The share of pairs that it orders correctly, at least 0.5.
        low: Lower end of the 95 % interval of the AUC.
        high: Upper end of the interval.
        distance: Largest difference of the cumulative shares, Kolmogorov and Smirnov's.
        p: Probability of such a distance between samples of one distribution.
        betrays: Whether p is below 0.05, divided by the number of statistics.
    """

    statistic: str
    real: float
    simulated: float
    auc: float
    low: float
    high: float
    distance: float
    p: float
    betrays: bool

    def document(self) -> dict[str, Any]:
        """Return the fields as a JSON document."""
        return asdict(self)


@dataclass(frozen=True)
class Separation:
    """How well a linear classifier tells real and simulated images apart.

    Attributes:
        name: What the classifier sees.
        auc: The area under its ROC curve, on images that it did not learn from.
        low: Lower end of the 95 % interval.
        high: Upper end of the interval.
    """

    name: str
    auc: float
    low: float
    high: float

    @property
    def betrays(self) -> bool:
        """Whether even the lower end lies above 0.5."""
        return self.low > 0.5

    def document(self) -> dict[str, Any]:
        """Return the fields as a JSON document."""
        return asdict(self) | {"betrays": self.betrays}


def check_counts(real: int, simulated: int, is_halved: bool = False) -> None:
    """Check that there are enough images to compare.

    Args:
        real: Number of real images.
        simulated: Number of simulated images.
        is_halved: Whether both are halves of one data set, which is compared with itself.

    Raises:
        DataError: There are fewer than 8 real or 50 simulated images.
    """
    if is_halved and min(real, simulated) < MIN_SIMULATED:
        total = real + simulated
        raise DataError(
            f"the data set is compared with itself, so its {total} images become two halves of "
            f"{simulated} and {real}; each half needs at least {MIN_SIMULATED}. Give a data set "
            "of simulated images first, and the real one by --real",
            code="too-few-images",
            name="all",
            count=total,
        )
    counts = {"real": (real, MIN_REAL), "simulated": (simulated, MIN_SIMULATED)}
    for name, (count, minimum) in counts.items():
        if count < minimum:
            raise DataError(
                f"there are {count} {name} images; a realism audit needs at least {minimum}",
                code="too-few-images",
                name=name,
                count=count,
            )


def compare(real: Values, simulated: Values) -> list[Difference]:
    """Compare each statistic of real and simulated images, the most different first.

    Statistics that fewer than five images of a sample have are left out, such as those of
    noise maps where there are none.

    Args:
        real: A number (n,) an image by statistic.
        simulated: The same of simulated images, (m,).

    Returns:
        The differences, by falling distance.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> values = {"flux": rng.normal(size=40), "peak": rng.normal(size=40)}
        >>> brighter = {**values, "flux": values["flux"] + 3}
        >>> [(row.statistic, row.betrays) for row in compare(brighter, values)]
        [('flux', True), ('peak', False)]
    """
    finite = {
        name: (real[name][np.isfinite(real[name])], values[np.isfinite(values)])
        for name, values in simulated.items()
    }
    enough = {
        name: pair for name, pair in finite.items() if min(map(len, pair)) >= _MIN_VALUES
    }
    rows = [_difference(name, *pair, len(enough)) for name, pair in enough.items()]
    return sorted(rows, key=lambda row: -row.distance)


def _difference(
    name: str, real: np.ndarray, simulated: np.ndarray, comparisons: int
) -> Difference:
    auc = ranked_auc(real, simulated)
    auc = max(auc, 1 - auc)
    low, high = score_interval(auc, len(real), len(simulated))
    test = _kolmogorov_smirnov(real, simulated)
    return Difference(
        name,
        float(np.median(real)),
        float(np.median(simulated)),
        auc,
        low,
        high,
        float(test.statistic),
        float(test.pvalue),
        bool(test.pvalue < _ERROR_RATE / comparisons),
    )


def _kolmogorov_smirnov(real: np.ndarray, simulated: np.ndarray) -> Any:
    """Return the test of two samples, by the exact distribution where one of them is small."""
    method: Literal["exact", "asymp"] = "asymp"
    if min(len(real), len(simulated)) < _ASYMPTOTIC_IMAGES:
        method = "exact"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # tiny p are asymptotic in any case
        return ks_2samp(real, simulated, method=method)


def separate(name: str, real: np.ndarray, simulated: np.ndarray) -> Separation:
    """Return how well a linear classifier tells features (n, k) and (m, k) apart."""
    return Separation(name, *separation(real, simulated))


def realism_verdict(
    differences: Sequence[Difference], separations: Sequence[Separation], real: int
) -> str:
    """Summarise an audit in one line.

    Args:
        differences: The statistics, the most different first.
        separations: The classifiers.
        real: Number of real images.

    Returns:
        Whether real and simulated images can be told apart, how well, and by what.

    Example:
        >>> realism_verdict([], [Separation("all statistics", 0.55, 0.41, 0.68)], 16)
        'not told apart from 16 real images: all statistics (AUC 0.55 [0.41, 0.68])'
    """
    areas = [
        f"{row.name} (AUC {row.auc:.2f} [{row.low:.2f}, {row.high:.2f}])"
        for row in separations
    ]
    betraying = [row for row in differences if row.betrays]
    is_told = bool(betraying) or any(row.betrays for row in separations)
    text = f"told apart from {real} real images: {', '.join(areas)}"
    if not is_told:
        text = "not " + text
    if betraying:
        names = ", ".join(row.statistic for row in betraying[:4])
        text += f"; most by {names}"
    return text
