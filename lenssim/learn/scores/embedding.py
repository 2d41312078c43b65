"""Scores of features: what a linear layer, neighbours or a few labels make of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lenssim.errors import DataError

__all__ = ["SHOTS", "few_shot_scores", "projections", "representation_scores"]

SHOTS = (1, 5, 20, 100)
"""Labelled images of each class, by default."""
_FOLDS = 5
_NEIGHBOURS = 10
_PENALTY = 1.0  # inverse, of logistic regressions of standardised features
_LEVEL = (2.5, 97.5)
_MOST_POINTS = 2000  # points of a t-SNE
_WIDE = 50  # components that t-SNE sees at most
_FEWEST = 10  # images of a class


def _checked(labels: np.ndarray, classes: Sequence[str], needed: int) -> None:
    """Raise `DataError` unless two classes and more have enough images."""
    counts = np.bincount(labels, minlength=len(classes))
    present = counts[counts > 0]
    if len(present) < 2:
        raise DataError(
            "features are judged by classes that they tell apart; these images have one class "
            "only",
            code="too-few-classes",
        )
    if present.min() < needed:
        raise DataError(
            f"the smallest class has {present.min()} images; {needed} are needed to judge "
            "features by it",
            code="too-few-images",
            count=int(present.min()),
            needed=needed,
        )


def _area(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the AUC, or the mean over classes of one against the others."""
    from sklearn.metrics import roc_auc_score

    if probabilities.shape[1] == 2:
        return float(roc_auc_score(labels, probabilities[:, 1]))
    return float(roc_auc_score(labels, probabilities, multi_class="ovr"))


def representation_scores(
    features: np.ndarray, labels: np.ndarray, classes: Sequence[str], seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score features by five folds: each is judged by what the other four teach.

    Args:
        features: Features (N, D).
        labels: Classes (N,) of the images.
        classes: Names of the classes.
        seed: Seed of the folds.

    Returns:
        `probe` and `probe_auc` of a logistic regression, `neighbours` of the ten nearest images
        by cosine, each with the range of the folds' mean; and facts with the largest class's
        share.

    Raises:
        DataError: There is one class, or one with fewer than ten images.
    """
    from sklearn.model_selection import StratifiedKFold

    _checked(labels, classes, _FEWEST)
    present, numbers = np.unique(labels, return_inverse=True)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    results: dict[str, list[float]] = {"probe": [], "probe_auc": [], "neighbours": []}
    for training, test in folds.split(features, numbers):
        probabilities = _probed(features[training], numbers[training], features[test])
        truth = numbers[test]
        results["probe"].append(float((probabilities.argmax(1) == truth).mean()))
        results["probe_auc"].append(_area(truth, probabilities))
        voted = _voted(features[training], numbers[training], features[test])
        results["neighbours"].append(float((voted == truth).mean()))
    metrics = {name: _mean_of_folds(np.array(values)) for name, values in results.items()}
    majority = float(np.bincount(numbers).max() / len(numbers))
    facts = {"majority": majority, "classes": [classes[k] for k in present]}
    return metrics, facts


def _mean_of_folds(values: np.ndarray) -> dict[str, Any]:
    """Return the mean with the interval of two standard errors over folds."""
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return {"value": mean, "low": mean - 2 * error, "high": mean + 2 * error}


def _probed(training: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return probabilities (M, K) of a logistic regression of standardised features."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(training)
    return _fitted(scaler.transform(training), labels, scaler.transform(test))


def _fitted(training: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return probabilities (M, K) of a logistic regression of features (N, D)."""
    from sklearn.linear_model import LogisticRegression

    layer = LogisticRegression(C=_PENALTY, max_iter=2000)
    return layer.fit(training, labels).predict_proba(test)


def _unit(features: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norm, 1e-12)


def _voted(training: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the most frequent class (M,) of the nearest images."""
    from sklearn.neighbors import KNeighborsClassifier

    count = min(_NEIGHBOURS, len(training))
    voters = KNeighborsClassifier(count).fit(_unit(training), labels)
    return voters.predict(_unit(test))


def few_shot_scores(
    features: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    shots: Sequence[int] = SHOTS,
    draws: int = 100,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the AUC that a few labelled images of each class reach.

    Each draw takes other images as labelled. All images that are not drawn judge. Prototypes are
    the mean features of a class, compared by cosine. All images, without their labels, give the
    mean and one scale of the features: a few of them could not.

    Args:
        features: Features (N, D).
        labels: Classes (N,) of the images.
        classes: Names of the classes.
        shots: Labelled images of each class.
        draws: Number of draws.
        seed: Seed of the draws.

    Returns:
        For each number of labels `shots`, and `prototypes` and `logistic`: mean over draws, and
        the range of 95 % of them.

    Raises:
        DataError: There is one class, or one with too few images.
    """
    _checked(labels, classes, max(shots) + 1)
    numbers = np.unique(labels, return_inverse=True)[1]
    centred = features - features.mean(axis=0)
    features = centred / max(float(centred.std()), 1e-12)
    rng = np.random.default_rng(seed)
    rows = []
    for count in shots:
        areas: dict[str, list[float]] = {"prototypes": [], "logistic": []}
        for _ in range(draws):
            chosen = _drawn(numbers, count, rng)
            judges = np.setdiff1d(np.arange(len(numbers)), chosen)
            teachers = features[chosen], numbers[chosen]
            similar = _similar(*teachers, features[judges])
            areas["prototypes"].append(_area(numbers[judges], similar))
            probabilities = _fitted(*teachers, features[judges])
            areas["logistic"].append(_area(numbers[judges], probabilities))
        rows.append({"shots": count} | {name: _over_draws(a) for name, a in areas.items()})
    return rows


def _drawn(numbers: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of `count` images of each class."""
    groups = [np.flatnonzero(numbers == k) for k in range(numbers.max() + 1)]
    return np.concatenate([rng.choice(group, count, replace=False) for group in groups])


def _similar(training: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return shares (M, K) of a softmax of cosines with the mean features of each class."""
    unit = _unit(training)
    means = [unit[labels == k].mean(axis=0) for k in range(labels.max() + 1)]
    cosines = _unit(test) @ _unit(np.stack(means)).T
    weights = np.exp(10 * (cosines - cosines.max(axis=1, keepdims=True)))
    return weights / weights.sum(axis=1, keepdims=True)


def _over_draws(areas: Sequence[float]) -> dict[str, float]:
    low, high = np.percentile(areas, _LEVEL)
    return {"value": float(np.mean(areas)), "low": float(low), "high": float(high)}


def projections(features: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Return features (N, D) in two dimensions: `pca`, and `tsne` of the first 2,000.

    Points beyond these have no t-SNE: their entries are NaN.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count = min(_WIDE, *features.shape)
    components = PCA(count, svd_solver="full").fit_transform(features.astype(np.float64))
    planes = {"pca": components[:, :2], "tsne": np.full((len(features), 2), np.nan)}
    if components.shape[1] < 2:
        planes["pca"] = np.column_stack([components[:, 0], np.zeros(len(features))])
    plotted = components[:_MOST_POINTS]
    if len(plotted) > 4:
        perplexity = min(30.0, (len(plotted) - 1) / 3)
        solver = TSNE(perplexity=perplexity, init="pca", random_state=seed)
        planes["tsne"][: len(plotted)] = solver.fit_transform(plotted)
    return planes
