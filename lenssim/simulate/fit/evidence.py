"""Linear inversion with a prior: the brightness of source pixels, and the evidence."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky

__all__ = ["Inversion", "curvature", "invert"]

_FLOOR = 1e-3  # of the identity beside the curvature
_RIDGE = 1e-5  # of the Gram matrix of unit columns without a prior


@dataclass(frozen=True)
class Inversion:
    """The most probable amplitudes of columns under a prior.

    Attributes:
        amplitudes: (K,).
        chi2: Squared residuals.
        penalty: lambda s R s.
        log_evidence: Logarithm of the evidence, without terms of the data alone.
        lower: Cholesky factor (K, K) of the system.
        strength: lambda.
    """

    amplitudes: np.ndarray
    chi2: float
    penalty: float
    log_evidence: float
    lower: np.ndarray
    strength: float


def curvature(side: int) -> np.ndarray:
    """Return the prior R (side^2, side^2) of a square of pixels: squared second differences.

    Args:
        side: Pixels a side.

    Example:
        >>> curvature(3).shape
        (9, 9)
    """
    second = np.diff(np.eye(side + 2), 2, axis=0)[:, 1:-1]
    eye = np.eye(side)
    along = np.kron(eye, second)
    across = np.kron(second, eye)
    return along.T @ along + across.T @ across + _FLOOR * np.eye(side * side)


def invert(
    gram: np.ndarray,
    projection: np.ndarray,
    norm2: float,
    prior: np.ndarray,
    log_det_prior: float,
    strength: float,
) -> Inversion:
    """Return amplitudes and evidence (Suyu et al. 2006) for one strength of the prior.

    The first columns may have no prior; they get a small ridge.

    Args:
        gram: A A^T (K, K) of the weighted columns.
        projection: A d (K,).
        norm2: d d.
        prior: R (M, M) of the last M columns.
        log_det_prior: Logarithm of the determinant of R.
        strength: lambda.

    Example:
        >>> one = invert(np.eye(1), np.ones(1), 1.0, np.eye(1), 0.0, 1.0)
        >>> one.amplitudes.round(3).tolist(), round(float(one.log_evidence), 3)
        ([0.5], -0.597)
    """
    count = len(prior)
    free = len(gram) - count
    system = gram.copy()
    system[free:, free:] += strength * prior
    system[np.arange(free), np.arange(free)] *= 1 + _RIDGE
    lower = cholesky(system, lower=True, check_finite=False)
    amplitudes = cho_solve((lower, True), projection, check_finite=False)
    chi2 = float(norm2 - 2 * amplitudes @ projection + amplitudes @ gram @ amplitudes)
    source = amplitudes[free:]
    penalty = float(strength * source @ prior @ source)
    log_det = 2 * float(np.log(np.diag(lower)).sum())
    complexity = log_det - log_det_prior - count * np.log(strength)
    evidence = -0.5 * (chi2 + penalty + complexity)
    return Inversion(amplitudes, chi2, penalty, evidence, lower, strength)
