"""Leak audit: do statistics that ignore substructure tell the classes apart?"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split

from lenssim.data.format.files import read_json, write_json
from lenssim.data.generation.dataset_card import LEAK_AUDIT
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.labels import labels_of
from lenssim.errors import ConfigError, DataError
from lenssim.learn.scores.classification import auc_interval
from lenssim.learn.scores.leak_statistics import EDGE, STATISTICS, statistics

__all__ = [
    "EDGE",
    "STATISTICS",
    "Leak",
    "audit",
    "check_classes",
    "leaks",
    "statistics",
    "stored_audit",
    "verdict",
]

_IMAGES_PER_CHUNK = 512
MIN_IMAGES_PER_CLASS = 50

Features = Mapping[str, np.ndarray]
Sample = tuple[Features, np.ndarray]


@dataclass(frozen=True)
class Leak:
    """How well one statistic, learned from some images, tells two classes apart in others.

    Attributes:
        statistic: Name of the statistic.
        classes: The two classes.
        auc: The area under the ROC curve.
        low: Lower end of its 95 % bootstrap interval.
        high: Upper end of the interval.
        leaks: Whether even the lower end, widened for the number of pairs and statistics, lies
            above 0.5.
    """

    statistic: str
    classes: tuple[str, str]
    auc: float
    low: float
    high: float
    leaks: bool

    def document(self) -> dict[str, Any]:
        """Return the fields as a JSON document."""
        return asdict(self)


def check_classes(labels: np.ndarray, classes: tuple[str, ...]) -> None:
    """Check that an audit has at least two classes with enough images.

    Args:
        labels: Classes (N,) of the images.
        classes: Names of the classes.

    Raises:
        DataError: There is a single class, or one has fewer than 50 images.
    """
    if len(classes) < 2:
        raise DataError(
            "a leak audit compares classes; this data set has only "
            f"{', '.join(classes) or 'none'}",
            code="too-few-classes",
        )
    counts = np.bincount(labels, minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if count < MIN_IMAGES_PER_CLASS:
            raise DataError(
                f"class {name!r} has {count} images; a leak audit needs at least "
                f"{MIN_IMAGES_PER_CLASS} of each class",
                code="too-few-images",
                name=name,
                count=count,
            )


def leaks(
    features: Features,
    labels: np.ndarray,
    classes: tuple[str, ...],
    *,
    judges: Sample | None = None,
    seed: int = 0,
) -> Iterator[Leak]:
    """Test every statistic, and all but the edges combined, on every pair of classes.

    A classifier learns from one half of each pair's images and is tested on the other. With
    `judges` it learns from all images and is tested on the judges.

    Args:
        features: Features (N, k) by statistic.
        labels: Classes (N,).
        classes: Names of the classes.
        judges: Features and labels of other images.
        seed: Seed of splits, classifiers and intervals.

    Yields:
        One result for each pair and statistic.

    Raises:
        DataError: As `check_classes`.
    """
    check_classes(labels, classes)
    if judges is not None:
        check_classes(judges[1], classes)
    pairs = list(combinations(range(len(classes)), 2))
    tail = 0.025 / ((len(features) + 1) * len(pairs))
    for negative, positive in pairs:
        training = _pair((features, labels), negative, positive)
        if judges is None:
            training, test = _halves(training, seed)
        else:
            test = _pair(judges, negative, positive)
        for name in training[0]:
            score = _scores(training[0][name], training[1], test[0][name], seed)
            auc, (low, high, widened) = auc_interval(
                test[1], score, (0.025, 0.975, tail), seed
            )
            pair = (classes[negative], classes[positive])
            yield Leak(name, pair, auc, low, high, widened > 0.5)


def _pair(sample: Sample, negative: int, positive: int) -> Sample:
    """Return the features of two classes, with a combined one, and whether each is positive."""
    features, labels = sample
    combined = np.concatenate(
        [columns for name, columns in features.items() if name != EDGE], axis=1
    )
    rows = (labels == negative) | (labels == positive)
    features = {**features, "all but edges": combined}
    return _rows_of(features, rows), labels[rows] == positive


def _halves(sample: Sample, seed: int) -> tuple[Sample, Sample]:
    """Split a sample in two random halves of the same classes."""
    features, truth = sample
    training, test = train_test_split(
        np.arange(len(truth)), test_size=0.5, stratify=truth, random_state=seed
    )
    return (
        (_rows_of(features, training), truth[training]),
        (_rows_of(features, test), truth[test]),
    )


def _rows_of(features: Features, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: columns[rows] for name, columns in features.items()}


def _scores(
    training: np.ndarray, truth: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    """Score test features with a classifier that learns from training features.

    The samples are two halves rather than folds. Predictions of folds share training images, so the
    AUC of all of them scatters by up to the square root of two more than a bootstrap of them says.
    """
    model = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=8, learning_rate=0.1, random_state=seed
    )
    return model.fit(training, truth).predict_proba(test)[:, 1]


def verdict(results: Iterable[Leak]) -> str:
    """Summarise an audit in one line: each statistic that leaks, with its best separated pair.

    Args:
        results: The results of `leaks`.

    Returns:
        The summary, `no leak found` where none leaks.

    Example:
        >>> verdict([Leak("flux", ("no_sub", "axion"), 0.9, 0.88, 0.92, True)])
        'leaks: flux (AUC 0.900, no_sub / axion)'
    """
    worst: dict[str, Leak] = {}
    for leak in results:
        if not leak.leaks:
            continue
        if leak.statistic not in worst or leak.auc > worst[leak.statistic].auc:
            worst[leak.statistic] = leak
    texts = [
        f"{name} (AUC {leak.auc:.3f}, {' / '.join(leak.classes)})"
        for name, leak in worst.items()
    ]
    if not texts:
        return "no leak found"
    return f"leaks: {', '.join(texts)}"


def audit(
    dataset: ShardDataset, limit: int | None = None, judge: ShardDataset | None = None
) -> tuple[dict[str, Any], list[Leak]]:
    """Run the leak audit of a data set.

    Args:
        dataset: The data set.
        limit: How many images of each class to use, None for all.
        judge: A data set of other samples of the same classes. If given, the classifiers learn from
            `dataset` and are tested on `judge`.

    Returns:
        The audit as a JSON document, and its results.

    Raises:
        DataError: As `check_classes` and `statistics`.
        ConfigError: The judge has other classes, or the same samples.
    """
    judges = None
    if judge is not None:
        _check_judge(dataset, judge)
    sample = _measured(dataset, limit)
    if judge is not None:
        judges = _measured(judge, limit)
    features, labels = sample
    results = list(leaks(features, labels, dataset.classes, judges=judges))
    counts = np.bincount(labels, minlength=len(dataset.classes)).tolist()
    document: dict[str, Any] = {"fingerprint": dataset.fingerprint}
    if judge is not None:
        document["judged_by"] = judge.fingerprint
    document |= {
        "images": dict(zip(dataset.classes, counts, strict=True)),
        "verdict": verdict(results),
        "leaks": [leak.document() for leak in results],
    }
    return document, results


def _check_judge(dataset: ShardDataset, judge: ShardDataset) -> None:
    same_samples = judge.fingerprint == dataset.fingerprint
    if judge.classes == dataset.classes and not same_samples:
        return
    message = (
        f"a data set is judged by other samples of its classes "
        f"({', '.join(dataset.classes)}), such as those of another seed; {judge.folder} "
        f"holds {', '.join(judge.classes)}"
    )
    if same_samples:
        message += ", and the same samples"
    raise ConfigError(message, code="data-differ")


def _measured(dataset: ShardDataset, limit: int | None) -> Sample:
    """Return features and labels of the first `limit` images of each class."""
    labels = labels_of(dataset)
    rows_by_class = [  # not the first rows of all: imported data sets are sorted by class
        np.flatnonzero(labels == label)[:limit] for label in range(len(dataset.classes))
    ]
    rows = np.sort(np.concatenate([*rows_by_class, np.arange(0)]))
    check_classes(labels[rows], dataset.classes)  # before a long read
    chunks = [
        statistics(dataset.images(rows[start : start + _IMAGES_PER_CHUNK]))
        for start in range(0, len(rows), _IMAGES_PER_CHUNK)
    ]
    features = {
        name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]
    }
    return features, labels[rows]


def stored_audit(dataset: ShardDataset, limit: int | None = None) -> dict[str, Any]:
    """Return the audit in a data set's folder; run and store a missing one first.

    Args:
        dataset: The data set.
        limit: How many images of each class a new audit uses.

    Returns:
        The audit as a JSON document.

    Raises:
        DataError: As `audit`.
    """
    path = dataset.folder / LEAK_AUDIT
    try:
        document = read_json(path)
        if document["fingerprint"] == dataset.fingerprint:
            return document
    except (DataError, KeyError):
        pass
    document, _ = audit(dataset, limit)
    write_json(path, document)
    return document
