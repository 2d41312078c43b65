"""How well two samples of images can be told apart, also where one of them is small."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold

__all__ = ["ranked_auc", "score_interval", "separation"]

_FOLDS = 10
_REPEATS = 10
_IMAGES_PER_FOLD = 2  # of the smaller sample, at least
_COMPONENTS = 24  # of wide features
_WIDENED = 1.6  # folds share training images, so that their scores are correlated
_NORMAL_95 = 1.959964
_TOLERANCE = 1e-9  # an AUC of 1 has a deviation of 0, and so solves the equation itself


def score_interval(
    auc: float, positives: int, negatives: int, widened: float = 1.0
) -> tuple[float, float]:
    """Return the 95 % interval of an AUC, as Newcombe (2006) does.

    Its ends are those AUCs from which the observed one lies 1.96 standard deviations. So the
    interval of an AUC of 1 has a width, which that of a bootstrap does not. The variance is
    that of Hanley & McNeil (1982), whose larger term is taken for the smaller sample.

    Args:
        auc: The observed AUC.
        positives: Number of positive samples.
        negatives: Number of negative samples.
        widened: Factor of the standard deviation.

    Returns:
        Lower and upper end.

    Example:
        >>> low, high = score_interval(1.0, 16, 1000)
        >>> round(low, 2), high
        (0.9, 1.0)
    """

    small, large = sorted((positives, negatives))

    def excess(true_auc: float, sign: float) -> float:
        shares = (true_auc / (2 - true_auc), 2 * true_auc**2 / (1 + true_auc))
        low, high = (share - true_auc**2 for share in sorted(shares))
        pairs = true_auc * (1 - true_auc) + (large - 1) * high + (small - 1) * low
        deviation = (max(pairs, 0.0) / (small * large)) ** 0.5
        return sign * (auc - true_auc) - widened * _NORMAL_95 * deviation

    ends = [0.0, 1.0]
    if auc > _TOLERANCE:
        ends[0] = float(brentq(excess, 0.0, auc - _TOLERANCE, args=(1.0,)))
    if auc < 1 - _TOLERANCE:
        ends[1] = float(brentq(excess, auc + _TOLERANCE, 1.0, args=(-1.0,)))
    return ends[0], ends[1]


def ranked_auc(real: np.ndarray, simulated: np.ndarray) -> float:
    """Return the share of pairs in which the real image has the larger value; ties count half.

    Example:
        >>> ranked_auc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        0.875
    """
    truth = np.repeat([True, False], [len(real), len(simulated)])
    return float(roc_auc_score(truth, np.concatenate([real, simulated])))


def separation(
    real: np.ndarray, simulated: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """Return the AUC of a linear classifier of real and simulated images, with its interval.

    Features become normal scores of their ranks, and the squares of these are features too.
    Linear discriminants with shrunk covariances (Ledoit & Wolf 2004) and equal priors learn
    from all folds but one. AUCs of ten folds, or of folds with two images of the smaller sample,
    are averaged, and so are ten divisions into folds. Scores of several folds are never
    compared: this would bias the AUC of a small sample.

    Args:
        real: Features (n, k) of real images.
        simulated: Features (m, k) of simulated images.
        seed: Seed of the folds.

    Returns:
        AUC, and both ends of its 95 % interval.
    """
    features = np.concatenate([real, simulated])
    truth = np.repeat([True, False], [len(real), len(simulated)])
    scores = _normal_scores(features)
    if scores.shape[1] > 2 * _COMPONENTS:
        scores = PCA(_COMPONENTS, random_state=seed).fit_transform(scores)
        scores = _normal_scores(scores)
    columns = np.concatenate([scores, scores**2], axis=1)
    folds = min(_FOLDS, min(len(real), len(simulated)) // _IMAGES_PER_FOLD)
    division = RepeatedStratifiedKFold(
        n_splits=folds, n_repeats=_REPEATS, random_state=seed
    )
    areas = []
    for training, test in division.split(columns, truth):
        model = LinearDiscriminantAnalysis(
            solver="lsqr", shrinkage="auto", priors=[0.5, 0.5]
        )
        model.fit(columns[training], truth[training])
        areas.append(roc_auc_score(truth[test], model.decision_function(columns[test])))
    auc = float(np.mean(areas))
    return auc, *score_interval(auc, len(real), len(simulated), _WIDENED)


def _normal_scores(features: np.ndarray) -> np.ndarray:
    """Return normal scores of the ranks of features (N, k); missing ones are in the middle."""
    missing = ~np.isfinite(features)
    median = np.nanmedian(np.where(missing, np.nan, features), axis=0)
    filled = np.where(missing, np.nan_to_num(median), features)
    ranks = rankdata(filled, axis=0)
    return ndtri((ranks - 0.5) / len(filled))
