"""What a regressor's outputs say of targets in their own units, and whether the truth agrees."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from lenssim.learn.heads import NORMAL, Base, Head
from lenssim.learn.heads.head import standardised

__all__ = ["DRAWS", "LEVELS", "Posterior", "recalibrated"]

DRAWS = 255
"""Of each posterior, among which the truth is ranked."""

LEVELS = {k: math.erf(k / math.sqrt(2)) for k in (1, 2, 3)}
"""Shares of a normal distribution within 1, 2, 3 sigma: 68.3, 95.4, 99.7 %."""

_WIDEST = 8.0  # of the logarithm of a width
_ROUNDS = 2  # of a calibration
_OUTLIER = 5.0  # sigma
_CHUNK = 2**22  # numbers that are worked on at a time
_ROWS = 512  # images whose moments are


@dataclass(frozen=True)
class Posterior:
    """N probabilities of T targets: passes of outputs (P, N, K) count alike, each read by a head.

    Whitened targets times `spread` plus `centre` (T,) are in their own units. The mean is `slopes` (T,) times what the
    outputs say, from the centre, and errors are `widths` (T,) times what they say, about the mean.
    """

    head: Head
    outputs: Tensor
    centre: np.ndarray
    spread: np.ndarray
    widths: np.ndarray
    slopes: np.ndarray

    def of(self, rows: slice | np.ndarray) -> "Posterior":
        """Those of some of the N."""
        return replace(self, outputs=self.outputs[:, rows])

    @property
    def uncalibrated(self) -> "Posterior":
        """As the outputs say it."""
        one = np.ones(len(self.widths))
        return replace(self, head=self._plain, widths=one, slopes=one)

    @property
    def _plain(self) -> Head:
        return replace(self.head, base=NORMAL)

    @cached_property
    def _means(self) -> np.ndarray:
        return np.stack([self._by_parts(self.head.mean, one) for one in self.outputs])

    @property
    def _scale(self) -> np.ndarray:
        return self.spread * self.widths

    @property
    def told(self) -> np.ndarray:
        """The mean (N, T) before slopes."""
        return self._means.mean(0) * self.spread + self.centre

    @property
    def mean(self) -> np.ndarray:
        """(N, T)."""
        return self._means.mean(0) * self.slopes * self.spread + self.centre

    @cached_property
    def aleatoric(self) -> np.ndarray:
        """What the image leaves open, (N, T, T): the mean of the passes' covariances."""
        each = sum(self._by_parts(self.head.covariance, one) for one in self.outputs)
        return each / len(self.outputs) * self._scale[:, None] * self._scale

    @cached_property
    def epistemic(self) -> np.ndarray:
        """What the training left open, (N, T, T): the covariance of the passes' means; zero of a single pass."""
        apart = (self._means - self._means.mean(0)) * self._scale
        return np.einsum("pni,pnj->nij", apart, apart) / len(apart)

    @property
    def covariance(self) -> np.ndarray:
        """(N, T, T), the law of total covariance: aleatoric and epistemic together."""
        return self.aleatoric + self.epistemic

    @property
    def sigma(self) -> np.ndarray:
        """(N, T)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    def log_density(self, targets: np.ndarray) -> np.ndarray:
        """Logarithm (..., N) of the density at targets (..., N, T), in the targets' own units."""
        white = self._whitened(targets)
        each = torch.stack(
            [self.head.log_prob(one, white) for one in self.outputs.double()]
        )
        return (each.logsumexp(0) - math.log(len(each))).numpy() - np.log(self._scale).sum()

    def chi2(self, truth: np.ndarray) -> np.ndarray:
        """Squared sum (N,) of independent normal numbers that stand for the truth (N, T).

        Of a single pass, those of the head itself; of several, those that mean and covariance give. The calibrated base
        of a head is made normal again.
        """
        return (
            self.head.base.normal_radius(torch.from_numpy(self._radii(truth))).numpy() ** 2
        )

    def _radii(self, truth: np.ndarray) -> np.ndarray:
        """Size (N,) of the head's own numbers before they are made normal."""
        if len(self.outputs) == 1:
            numbers = self._plain.normalised(
                self.outputs[0].double(), self._whitened(truth)
            )
        else:
            plain = replace(self, head=self._plain)
            numbers = standardised(
                torch.from_numpy(truth - plain.mean), torch.from_numpy(plain.covariance)
            )
        return numbers.norm(dim=-1).numpy()

    def _whitened(self, targets: np.ndarray) -> Tensor:
        """Targets (..., N, T) as the head knows them."""
        said = self._means.mean(0)
        return torch.from_numpy(
            said
            + ((targets - self.centre) / self.spread - said * self.slopes) / self.widths
        )

    def _by_parts(self, moment: Callable[[Tensor], Tensor], outputs: Tensor) -> np.ndarray:
        """A moment of outputs (N, K), of some of the N at a time: those of a flow take many points each."""
        return torch.cat([moment(part.double()) for part in outputs.split(_ROWS)]).numpy()

    def sample(self, draws: int, seed: int = 0) -> np.ndarray:
        """Random targets (draws, N, T). A draw takes the same pass for all N."""
        draw = torch.Generator().manual_seed(seed)
        passes = torch.randint(len(self.outputs), (draws,), generator=draw)
        parts = [
            self.head.sample(one, int((passes == p).sum()), draw).numpy()
            for p, one in enumerate(self.outputs)
            if (passes == p).any()
        ]
        said = self._means.mean(0)
        return (
            said * self.slopes + (np.concatenate(parts) - said) * self.widths
        ) * self.spread + self.centre

    def ranks(self, truth: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """How many of `DRAWS` lie below each truth (N, T), and how many are more probable than it (N,).

        Both are uniform in 0 ... `DRAWS` if the probabilities are right: simulation-based calibration (Talts et al.
        2018), and the coverage of regions of highest density (Hermans et al. 2022).
        """
        parts = [
            (
                (drawn < own_truth).sum(0),
                (own.log_density(drawn) > own.log_density(own_truth)).sum(0),
            )
            for own, own_truth, drawn in self._drawn(truth, seed)
        ]
        below, likelier = zip(*parts, strict=True)
        return np.concatenate(below), np.concatenate(likelier)

    def shares(self, truth: np.ndarray, seed: int = 0) -> np.ndarray:
        """Probability (N, T) of the central interval of each target that ends at the truth, by `DRAWS`.

        Uniform in 0 ... 1 if the probabilities are right, whatever their shape: places between draws are drawn evenly.
        """
        rng = np.random.default_rng(seed)
        below = np.concatenate(
            [(drawn < own_truth).sum(0) for _, own_truth, drawn in self._drawn(truth, seed)]
        )
        return np.abs(2 * (below + rng.random(below.shape)) / (DRAWS + 1) - 1)

    def _drawn(
        self, truth: np.ndarray, seed: int
    ) -> Iterator[tuple["Posterior", np.ndarray, np.ndarray]]:
        """Some of the N with their truths and draws (DRAWS, n, T), until all were."""
        step = max(1, _CHUNK // (DRAWS * self.outputs.shape[-1]))
        for start in range(0, len(truth), step):
            part = slice(start, start + step)
            own = self.of(part)
            yield own, truth[part], own.sample(DRAWS, seed + start)


def recalibrated(posterior: Posterior, truth: np.ndarray, seed: int = 0) -> Posterior:
    """With the slopes, widths and base that bring the answers to N images closest to their truths (N, T).

    Slopes are those of the truth by the answer's mean, between 0 and 1: answers that differ for no reason differ
    less. Then, by turns: the width of each target for which the truth's place among draws of the posterior is most even
    (Cramer and von Mises' statistic), and the base whose radii are those of all targets together. A few outliers move
    none of them, unlike the mean of chi2, which the likelihood would have.
    """
    plain = posterior.uncalibrated
    found = replace(plain, slopes=_fitted_slopes(plain, truth))
    for _ in range(_ROUNDS):
        found = replace(found, widths=np.ones(len(found.widths)))
        found = replace(found, widths=_fitted_widths(found, truth, seed))
        found = replace(
            found,
            head=replace(found.head, base=Base.fit(found._radii(truth), truth.shape[1])),
        )
    return found


def _fitted_slopes(posterior: Posterior, truth: np.ndarray) -> np.ndarray:
    """Of truths by means, both from the centre, of answers that are not far off."""
    from_centre, off = posterior.mean - posterior.centre, posterior.mean - truth
    usual = np.abs(off) < _OUTLIER * np.median(np.abs(off), axis=0) / 0.6745
    squares = (from_centre**2 * usual).sum(0)
    excess = np.divide(
        (from_centre * off * usual).sum(0),
        squares,
        where=squares > 0,
        out=np.zeros(len(squares)),
    )
    return (1 - excess).clip(0, 1)


def _fitted_widths(posterior: Posterior, truth: np.ndarray, seed: int) -> np.ndarray:
    """By draws of the posterior, whose own widths are one."""
    count, targets = truth.shape
    mean = posterior.mean
    even = (np.arange(count) + 0.5) / count
    drawn = np.concatenate([own for _, _, own in posterior._drawn(truth, seed)], axis=1)
    typical = np.median(
        np.abs(truth - mean) / np.median(np.abs(drawn - mean), axis=0), axis=0
    )
    start = np.log(np.maximum(typical, 1e-300)).clip(-_WIDEST, _WIDEST)
    ties = np.random.default_rng(seed).random(count)

    def width(k: int) -> float:
        middle, off = mean[:, k], truth[:, k] - mean[:, k]
        own = np.ascontiguousarray(drawn[..., k])

        def misfit(logarithm: float) -> float:
            below = ((own < middle + off * np.exp(-logarithm)).sum(0) + ties) / (DRAWS + 1)
            return float(((np.sort(below) - even) ** 2).sum())

        return float(
            np.exp(
                minimize_scalar(
                    misfit, bounds=(start[k] - 1, start[k] + 1), method="bounded"
                ).x
            )
        )

    return np.array([width(k) for k in range(targets)])
