"""Scores of a finder: few objects among many negatives, ranked by one number.

TPR0 and TPR10 are those of the Gravitational Lens Finding Challenge (Metcalf et al. 2019): the
share of lenses with a score above that of every non-lens, and the share above all but nine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lenssim.learn.scores.classification import auc_interval

__all__ = [
    "FALSE_POSITIVES",
    "Ranking",
    "completeness_by",
    "intervals",
    "log_odds",
    "mean_thresholds",
    "operating_point",
    "shifted",
    "threshold_at",
]

FALSE_POSITIVES = {"tpr0": 0, "tpr10": 9}  # that each of these scores allows
_RATES = {"tpr_1e-2": 1e-2, "tpr_1e-3": 1e-3}  # false-positive rates
_LEVEL = (2.5, 97.5)  # percentiles
_WEIGHTS_PER_CHUNK = 2**22
_TINY = 1e-12
_HALF = 0.5  # completeness at which purity is stated


def shifted(probability: np.ndarray, share: float, prevalence: float) -> np.ndarray:
    """Return probabilities of a calibrated finder at another prevalence (Saerens et al. 2002).

    Args:
        probability: Probabilities at `share`.
        share: Share of lenses for which they are calibrated.
        prevalence: Share of lenses among the images in question.

    Returns:
        The probabilities at `prevalence`.

    Example:
        >>> round(float(shifted(np.array(0.5), 0.5, 0.001)), 6)
        0.001
    """
    lens = np.asarray(probability, np.float64) * (prevalence / share)
    other = (1 - np.asarray(probability, np.float64)) * ((1 - prevalence) / (1 - share))
    return lens / (lens + other)


def log_odds(share: float) -> float:
    """Return the logarithm of the odds of a share.

    Example:
        >>> log_odds(0.5)
        0.0
    """
    return float(np.log(share) - np.log1p(-share))


def mean_thresholds(
    thresholds: Sequence[Mapping[str, float]], shares: Sequence[float], share: float
) -> dict[str, float]:
    """Return the mean thresholds of several networks, for one share of lenses.

    Args:
        thresholds: The thresholds of each network, by the rate of false positives.
        shares: The share of lenses that each network is calibrated for.
        share: That of the answer.
    """
    rates = set.intersection(*map(set, thresholds))
    means = {}
    for rate in sorted(rates, reverse=True):
        odds = [
            log_odds(np.clip(of_network[rate], _TINY, 1 - _TINY)) - log_odds(calibrated)
            for of_network, calibrated in zip(thresholds, shares, strict=True)
        ]
        means[rate] = float(1 / (1 + np.exp(-(np.mean(odds) + log_odds(share)))))
    return means


@dataclass(frozen=True)
class Ranking:
    """Images in the order of their scores, equal scores in one group.

    Attributes:
        order: Rows (N,), the highest score first.
        starts: Position (G,) in `order` at which each group of equal scores begins.
        positive: Whether each image in this order is a lens, bool (N,).
        thresholds: The score (G,) of each group.
    """

    order: np.ndarray
    starts: np.ndarray
    positive: np.ndarray
    thresholds: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, score: np.ndarray) -> "Ranking":
        """Rank images by their scores (N,); `truth` (N,) says which are lenses."""
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        return cls(order, starts, truth[order].astype(bool), ranked[starts])

    def counts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return lenses and non-lenses (B, G) with at least the score of each group.

        Args:
            weights: How often each image counts, (B, N).
        """
        ranked = weights[:, self.order].astype(np.float64)
        lenses = np.add.reduceat(ranked * self.positive, self.starts, axis=1)
        negatives = np.add.reduceat(ranked * ~self.positive, self.starts, axis=1)
        return lenses.cumsum(1), negatives.cumsum(1)

    def rates(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the true- and false-positive rates (G,) at each threshold."""
        lenses, negatives = self.counts(np.ones((1, len(self.order))))
        return lenses[0] / lenses[0, -1], negatives[0] / negatives[0, -1]

    def scores(
        self, weights: np.ndarray | None = None, prevalence: float = 0.5
    ) -> dict[str, np.ndarray]:
        """Return the scores (B,) of a finder; NaN without lenses or without negatives.

        Args:
            weights: How often each image counts, (B, N); None for once.
            prevalence: Share of lenses for which purity is stated.

        Returns:
            `auc`, `tpr0`, `tpr10`, the rates `tpr_1e-2` and `tpr_1e-3` of lenses found at these
            rates of false positives, and `purity_50`, the purity at which half of the lenses
            are found.
        """
        if weights is None:
            weights = np.ones((1, len(self.order)))
        lenses, negatives = self.counts(weights)
        lens_total = np.where(lenses[:, -1:] > 0, lenses[:, -1:], np.nan)
        negative_total = np.where(negatives[:, -1:] > 0, negatives[:, -1:], np.nan)
        tpr = lenses / lens_total
        fpr = negatives / negative_total
        steps = np.diff(tpr, axis=1, prepend=0.0)
        lower = 1 - fpr + np.diff(fpr, axis=1, prepend=0.0) / 2
        scores = {"auc": (steps * lower).sum(1)}
        for name, limit in FALSE_POSITIVES.items():
            scores[name] = _highest(tpr, negatives <= limit)
        for name, rate in _RATES.items():
            scores[name] = _highest(tpr, fpr <= rate)
        half = (tpr >= _HALF).argmax(1)[:, None]
        lens_weight = prevalence * np.take_along_axis(tpr, half, 1)[:, 0]
        negative_weight = (1 - prevalence) * np.take_along_axis(fpr, half, 1)[:, 0]
        scores["purity_50"] = lens_weight / (lens_weight + negative_weight)
        return scores

    def curve(self, prevalence: float) -> dict[str, np.ndarray]:
        """Return threshold, completeness, false-positive rate and purity (G,)."""
        tpr, fpr = self.rates()
        lens_weight = prevalence * tpr
        negative_weight = (1 - prevalence) * fpr
        purity = np.divide(
            lens_weight,
            lens_weight + negative_weight,
            out=np.ones_like(fpr),
            where=fpr > 0,
        )
        return {
            "threshold": self.thresholds,
            "completeness": tpr,
            "fpr": fpr,
            "purity": purity,
        }


def _highest(tpr: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return the highest rate (B,) among the allowed thresholds, 0 where there are none."""
    undefined = np.isnan(tpr[:, -1])
    highest = np.where(allowed, tpr, 0.0).max(1)
    return np.where(undefined, np.nan, highest)


def intervals(
    truth: np.ndarray,
    scores: Sequence[np.ndarray],
    prevalence: float,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, float | None]]:
    """Return scores of one or more rankings of the same images, with 95 % intervals.

    Each bootstrap sample draws images. With several rankings, as of networks that differ in their
    seed, it draws one of the rankings, too: the interval is that of one network, over images and
    seeds.

    Args:
        truth: Whether each image is a lens, bool (N,).
        scores: Scores (N,) of each ranking.
        prevalence: Share of lenses for which purity is stated.
        resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap samples.

    Returns:
        `value` (the mean over rankings), `low` and `high` of each score of `Ranking.scores`.
    """
    rankings = [Ranking.of(truth, score) for score in scores]
    rng = np.random.default_rng(seed)
    size = len(truth)
    chunk = max(1, _WEIGHTS_PER_CHUNK // size)
    resampled: dict[str, list[np.ndarray]] = {}
    chosen = np.sort(rng.integers(len(rankings), size=resamples))
    for number, ranking in enumerate(rankings):
        count = int((chosen == number).sum())
        for start in range(0, count, chunk):
            draws = min(chunk, count - start)
            weights = _image_counts(rng, draws, size)
            for name, values in ranking.scores(weights, prevalence).items():
                resampled.setdefault(name, []).append(values)
    scores_of_each = [ranking.scores(None, prevalence) for ranking in rankings]
    return {
        name: _interval(
            [ranking_scores[name][0] for ranking_scores in scores_of_each],
            np.concatenate(values),
        )
        for name, values in resampled.items()
    }


def _image_counts(rng: np.random.Generator, draws: int, size: int) -> np.ndarray:
    """Return how often each of the images is drawn, (draws, size)."""
    rows = rng.integers(size, size=(draws, size))
    return np.stack([np.bincount(row, minlength=size) for row in rows])


def _interval(values: Sequence[float], resampled: np.ndarray) -> dict[str, float | None]:
    """Return mean and percentiles; None where a score is not defined."""
    value = float(np.mean(values))
    defined = resampled[~np.isnan(resampled)]
    if np.isnan(value) or not len(defined):
        return {"value": None, "low": None, "high": None}
    low, high = np.percentile(defined, _LEVEL)
    return {"value": value, "low": float(low), "high": float(high)}


def threshold_at(truth: np.ndarray, score: np.ndarray, rate: float) -> float:
    """Return the lowest threshold whose scores above it hold at most a rate of false positives.

    Args:
        truth: Whether each image is a lens, bool (N,).
        score: Scores (N,).
        rate: The false-positive rate.

    Returns:
        A threshold: images with a higher score are found.

    Example:
        >>> threshold_at(np.zeros(4, bool), np.array([0.1, 0.2, 0.3, 0.4]), 0.25)
        0.3
    """
    negatives = np.sort(score[~truth])[::-1]
    return float(negatives[min(int(rate * len(negatives)), len(negatives) - 1)])


def operating_point(
    truth: np.ndarray, score: np.ndarray, threshold: float, prevalence: float
) -> dict[str, Any]:
    """Return what is found above a threshold: counts, rates, and purity at a prevalence."""
    selected = score > threshold
    true_positives = int((selected & truth).sum())
    false_positives = int((selected & ~truth).sum())
    lenses = int(truth.sum())
    negatives = int((~truth).sum())
    tpr = true_positives / lenses if lenses else None
    fpr = false_positives / negatives if negatives else None
    purity = None
    if true_positives + false_positives and lenses and negatives:
        weight = prevalence * true_positives / lenses
        purity = weight / (weight + (1 - prevalence) * false_positives / negatives)
    return {
        "threshold": threshold,
        "found": true_positives,
        "wrong": false_positives,
        "completeness": tpr,
        "fpr": fpr,
        "purity": purity,
    }


def completeness_by(
    truth: np.ndarray,
    score: np.ndarray,
    threshold: float,
    properties: Mapping[str, np.ndarray],
    bins: int = 5,
) -> dict[str, list[dict[str, Any]]]:
    """Return how well lenses are found by their properties, in bins of as many lenses each.

    Args:
        truth: Whether each image is a lens, bool (N,).
        score: Scores (N,).
        threshold: Images with a higher score are found.
        properties: Values (N,) of each property, by name.
        bins: Number of bins of a property.

    Returns:
        For each property the bins, with their ends, number of lenses `n`, `completeness`, and
        `auc` of these lenses against all others with its interval.
    """
    tables = {}
    for name, values in properties.items():
        lenses = np.flatnonzero(truth & np.isfinite(values))
        if len(np.unique(values[lenses])) < 2:
            continue
        lenses = lenses[np.argsort(values[lenses], kind="stable")]
        parts = [part for part in np.array_split(lenses, bins) if len(part)]
        tables[name] = [_bin(truth, score, threshold, values, part) for part in parts]
    return tables


def _bin(
    truth: np.ndarray,
    score: np.ndarray,
    threshold: float,
    values: np.ndarray,
    lenses: np.ndarray,
) -> dict[str, Any]:
    """Return how well some lenses are found."""
    negatives = np.flatnonzero(~truth)
    entry: dict[str, Any] = {
        "low": float(values[lenses[0]]),
        "high": float(values[lenses[-1]]),
        "n": len(lenses),
        "completeness": float((score[lenses] > threshold).mean()),
        "auc": None,
    }
    if len(negatives):
        rows = np.concatenate([lenses, negatives])
        auc, ends = auc_interval(truth[rows], score[rows])
        entry["auc"] = {"value": auc, "low": ends[0], "high": ends[1]}
    return entry
