"""The covariance of few samples, shrunk towards that of independent features."""

import numpy as np

__all__ = ["shrunk_covariance"]


def shrunk_covariance(deviations: np.ndarray) -> np.ndarray:
    """Return the covariance of Ledoit & Wolf (2004, eqs 6 to 14).

    It is (1 - s) S + s mu 1 with the sample covariance S and mu = tr(S) / F. The shrinkage s
    minimises the expected squared error. scikit-learn has the same estimator, which a test
    compares with this one. Its import would take longer than a short training.

    Args:
        deviations: Samples float64 (N, F) with a mean of zero.

    Returns:
        The covariance float64 (F, F).

    Example:
        >>> shrunk_covariance(np.array([[1.0, 1.0], [-1.0, -1.0]])).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    count, features = deviations.shape
    covariance = deviations.T @ deviations / count
    squares = deviations**2
    mu = np.trace(covariance) / features
    size = (covariance**2).sum()
    spread = ((squares.T @ squares).sum() / count - size) / count
    distance = size - features * mu**2
    shrinkage = 0.0
    if features > 1 and spread > 0 and distance > 0:
        shrinkage = min(1.0, spread / distance)
    return (1 - shrinkage) * covariance + shrinkage * mu * np.eye(features)
