"""How alike images of one population err: the intraclass correlation of what a network says of them.

Posteriors that are right one by one may still err together, where lenses with the same numbers mislead a network in the
same way: averaging does not lessen that error. N images whose errors correlate by r then count as N / (1 + (N - 1) r)
(the design effect of Kish 1965), and the combined likelihood is taken to that share of its power.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from lenssim.learn.population.inference import Prior, log_likelihood, power, spread_points
from lenssim.learn.scores.average import AveragePosterior
from lenssim.learn.scores.posterior import Posterior

__all__ = ["correlation"]

_SIZES = tuple(
    4**k for k in range(1, 16)
)  # numbers of images that the correlation is fitted to, and all
_POINTS = 512  # of each proposal


def correlation(
    populations: Sequence[tuple[Posterior, np.ndarray]],
    prior: Prior,
    said: AveragePosterior | None = None,
    seed: int = 0,
) -> float:
    """That under which the shared truths (T,) of populations are most probable, between 0 and 1.

    Each population is taken as a whole and by its first 4, 16, 64, ... images.
    """
    rng = np.random.default_rng(seed)
    largest = max(len(posterior.mean) for posterior, _ in populations)
    parts: list[tuple[int, float, Callable[[float], float]]] = []
    for posterior, truth in populations:
        count = len(posterior.mean)
        for size in sorted({size for size in _SIZES if size < count} | {count} - {1}):
            likelihood = partial(
                log_likelihood, posterior.of(slice(size)), prior, said=said
            )
            parts.append(
                (
                    size,
                    float(likelihood(truth[None])[0]),
                    _evidence(likelihood, prior, size, rng),
                )
            )

    def surprise(logarithm: float) -> float:
        shared = np.expm1(logarithm) / (largest - 1)
        powers = [power(size, shared) for size, _, _ in parts]
        return -sum(
            own * true - evidence(own)
            for own, (_, true, evidence) in zip(powers, parts, strict=True)
        )

    if not parts:
        return 0.0
    found = float(
        minimize_scalar(surprise, bounds=(0.0, np.log(largest)), method="bounded").x
    )
    return (
        float(np.expm1(found) / (largest - 1)) if surprise(found) < surprise(0.0) else 0.0
    )


def _evidence(
    likelihood: Callable[[np.ndarray], np.ndarray],
    prior: Prior,
    images: int,
    rng: np.random.Generator,
) -> Callable[[float], float]:
    """Logarithm of the integral of prior times likelihood to a power between 1 / `images` and one, by that power."""
    _, known, found = spread_points(likelihood, prior, images, 1.0, _POINTS, rng)
    return lambda own: float(logsumexp(known + own * found) - np.log(len(known)))
