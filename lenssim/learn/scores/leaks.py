"""Leak audit: can a classifier tell the classes apart by statistics that know nothing of substructure?"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.ndimage import laplace
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split

from lenssim.data.format.files import read_json, write_json
from lenssim.data.generation.dataset_card import LEAK_AUDIT
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.source import labels_of
from lenssim.errors import ConfigError, DataError
from lenssim.learn.scores.classification import auc_interval

__all__ = [
    "EDGE",
    "STATISTICS",
    "Leak",
    "audit",
    "check_classes",
    "kept_audit",
    "leaks",
    "statistics",
    "verdict",
]

_BATCH = 512  # images in memory at a time
LEAST = 50  # images a class


def _grid(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axes = [np.arange(side) - (side - 1) / 2 for side in images.shape[-2:]]
    y, x = np.meshgrid(*axes, indexing="ij")
    return x, y


def _flux(images: np.ndarray) -> np.ndarray:
    return np.stack([images.sum((1, 2)), images.max((1, 2))], axis=1)


def _ring(images: np.ndarray) -> np.ndarray:
    """Radius of the light about the middle of the stamp, and its width, in pixels."""
    radius = np.hypot(*_grid(images))
    light = np.maximum(images, 0)
    total = light.sum((1, 2)) + 1e-30
    mean = (light * radius).sum((1, 2)) / total
    return np.stack(
        [mean, np.sqrt(np.maximum((light * radius**2).sum((1, 2)) / total - mean**2, 0))],
        axis=1,
    )


def _moments(images: np.ndarray) -> np.ndarray:
    """Centroid and second moments of the light, in pixels."""
    x, y = _grid(images)
    light = np.maximum(images, 0)
    total = light.sum((1, 2)) + 1e-30
    middle_x, middle_y = (light * x).sum((1, 2)) / total, (light * y).sum((1, 2)) / total
    second = [(light * a * b).sum((1, 2)) / total for a, b in ((x, x), (x, y), (y, y))]
    return np.stack([middle_x, middle_y, *second], axis=1)


def _noise(images: np.ndarray) -> np.ndarray:
    """Noise of the corners, by the median absolute difference of neighbours, and their median."""
    side = max(2, min(images.shape[1:]) // 8)
    corners = np.concatenate(
        [
            images[:, rows, columns]
            for rows in (slice(side), slice(-side, None))
            for columns in (slice(side), slice(-side, None))
        ],
        axis=2,
    )
    difference = np.abs(np.diff(corners, axis=1)).reshape(len(images), -1)
    return np.stack(
        [np.median(difference, axis=1), np.median(corners, axis=(1, 2))], axis=1
    )


def _layout(images: np.ndarray) -> np.ndarray:
    """How numbers were written: share of exact zeros, of whole numbers, and the smallest and largest."""
    flat = images.reshape(len(images), -1)
    return np.stack(
        [
            (flat == 0).mean(1),
            (flat == np.round(flat)).mean(1),
            flat.min(1),
            (flat == flat.max(1)[:, None]).mean(1),
        ],
        axis=1,
    )


def _edges(images: np.ndarray) -> np.ndarray:
    """Sharpness against the peak: tails of second and of fourth differences, which point masses and beads raise."""
    second = np.stack([laplace(image) for image in images])
    fourth = np.abs(np.stack([laplace(image) for image in second])).reshape(len(images), -1)
    tails = np.quantile(
        second.reshape(len(images), -1), [0, 0.001, 0.01, 0.1, 0.9, 0.99, 0.999, 1], axis=1
    )
    sharp = np.quantile(fourth, [0.5, 0.9, 0.99, 0.999, 1], axis=1)
    return (
        np.concatenate([tails, sharp, fourth.mean(1)[None]]) / (images.max((1, 2)) + 1e-30)
    ).T


# What a network could use instead of substructure. Each takes images (N, H, W) and gives features (N, k).
STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "flux": _flux,
    "ring": _ring,
    "moments": _moments,
    "noise": _noise,
    "layout": _layout,
}
EDGE = (
    "edges"  # knows substructure, as a careless network would: told apart from the others
)


@dataclass(frozen=True)
class Leak:
    """How well one statistic, learned from some images, tells two classes apart in others.

    AUC with 95 % bootstrap interval.

    `leaks` where even the interval's lower end, widened for the number of pairs and statistics, lies above 0.5.
    """

    statistic: str
    classes: tuple[str, str]
    auc: float
    low: float
    high: float
    leaks: bool

    def document(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def statistics(images: np.ndarray) -> dict[str, np.ndarray]:
    """Features (N, k) by name, of images (N, C, H, W), channels averaged; `DataError` for NaN or infinite pixels."""
    grey = np.asarray(images, dtype=np.float64).mean(1)
    if bad := int((~np.isfinite(grey).all((1, 2))).sum()):
        raise DataError(
            f"{bad} images hold NaN or infinite pixels; lenssim verify names their shards"
        )
    return {name: function(grey) for name, function in {**STATISTICS, EDGE: _edges}.items()}


def check_classes(labels: np.ndarray, classes: tuple[str, ...]) -> None:
    """`DataError` where a class has too few of the labels (N,) to judge it, or is alone."""
    if len(classes) < 2:
        raise DataError(
            f"a leak audit compares classes; this data set has only {', '.join(classes) or 'none'}"
        )
    counts = np.bincount(labels, minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if count < LEAST:
            raise DataError(
                f"class {name!r} has {count} images; a leak audit needs at least {LEAST} of each class"
            )


def leaks(
    features: dict[str, np.ndarray],
    labels: np.ndarray,
    classes: tuple[str, ...],
    *,
    judges: tuple[dict[str, np.ndarray], np.ndarray] | None = None,
    seed: int = 0,
) -> Iterator[Leak]:
    """Every statistic (N, k), and all but the edges together, on every pair of classes; `labels` (N,).

    Learned from one half of each pair's images and judged by the other, or learned from all of them and judged by
    `judges`, the features and labels of other images. Errors as `check_classes`.
    """
    for each in (labels, *([judges[1]] if judges else [])):
        check_classes(each, classes)
    pairs = list(combinations(range(len(classes)), 2))
    tail = 0.025 / ((len(features) + 1) * len(pairs))
    for first, second in pairs:
        known, truth = _pair(features, labels, first, second)
        if judges is None:
            learn, judge = train_test_split(
                np.arange(len(truth)), test_size=0.5, stratify=truth, random_state=seed
            )
            others, answer = (
                {name: columns[judge] for name, columns in known.items()},
                truth[judge],
            )
            known, truth = (
                {name: columns[learn] for name, columns in known.items()},
                truth[learn],
            )
        else:
            others, answer = _pair(*judges, first, second)
        for name, columns in known.items():
            score = _scores(columns, truth, others[name], seed)
            auc, (low, high, least) = auc_interval(
                answer, score, (0.025, 0.975, tail), seed
            )
            yield Leak(name, (classes[first], classes[second]), auc, low, high, least > 0.5)


def _pair(
    features: dict[str, np.ndarray], labels: np.ndarray, first: int, second: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features of the images of two classes, all but the edges together among them, and whether each is the second."""
    together = np.concatenate(
        [columns for name, columns in features.items() if name != EDGE], axis=1
    )
    own = (labels == first) | (labels == second)
    judged = {**features, "all but edges": together}
    return {name: columns[own] for name, columns in judged.items()}, labels[own] == second


def verdict(found: Iterable[Leak]) -> str:
    """One line: each statistic that leaks with the pair that it tells apart best, or `no leak found`."""
    worst: dict[str, Leak] = {}
    for leak in found:
        if leak.leaks and (
            leak.statistic not in worst or leak.auc > worst[leak.statistic].auc
        ):
            worst[leak.statistic] = leak
    texts = [
        f"{name} (AUC {leak.auc:.3f}, {' / '.join(leak.classes)})"
        for name, leak in worst.items()
    ]
    return f"leaks: {', '.join(texts)}" if texts else "no leak found"


def _scores(
    features: np.ndarray, truth: np.ndarray, others: np.ndarray, seed: int
) -> np.ndarray:
    """Scores of `others` by a classifier that learned from `features`, images of which none is among the others.

    Two halves rather than folds: predictions of folds share what they learned from, and the AUC of all of them scatters
    by up to the square root of two more than a bootstrap of them says.
    """
    model = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=8, learning_rate=0.1, random_state=seed
    )
    return model.fit(features, truth).predict_proba(others)[:, 1]


def audit(
    dataset: ShardDataset, limit: int | None = None, judge: ShardDataset | None = None
) -> tuple[dict[str, Any], list[Leak]]:
    """The leak audit of a data set by the first `limit` images of each class: as JSON, and what was found.

    With `judge`, a data set of other samples of the same classes, all images teach and all of `judge`'s are judged.
    Errors as `check_classes` and `statistics`, and `ConfigError` for a judge that is none.
    """
    if judge is not None and (
        judge.classes != dataset.classes or judge.fingerprint == dataset.fingerprint
    ):
        raise ConfigError(
            f"a data set is judged by other samples of its classes ({', '.join(dataset.classes)}), such as those of "
            f"another seed; {judge.folder} holds {', '.join(judge.classes)}"
            + (", and the same samples" if judge.fingerprint == dataset.fingerprint else "")
        )
    features, labels = _measured(dataset, limit)
    judges = None if judge is None else _measured(judge, limit)
    found = list(leaks(features, labels, dataset.classes, judges=judges))
    counts = np.bincount(labels, minlength=len(dataset.classes)).tolist()
    document = {
        "fingerprint": dataset.fingerprint,
        **({} if judge is None else {"judged_by": judge.fingerprint}),
        "images": dict(zip(dataset.classes, counts, strict=True)),
        "verdict": verdict(found),
        "leaks": [leak.document() for leak in found],
    }
    return document, found


def _measured(
    dataset: ShardDataset, limit: int | None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features and labels of the first `limit` images of each class."""
    labels = labels_of(dataset)
    first = [
        np.flatnonzero(labels == label)[:limit] for label in range(len(dataset.classes))
    ]  # imports are in order
    rows = np.sort(np.concatenate([*first, np.arange(0)]))
    check_classes(labels[rows], dataset.classes)  # before a long read
    parts = [
        statistics(dataset.images(rows[start : start + _BATCH]))
        for start in range(0, len(rows), _BATCH)
    ]
    return {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }, labels[rows]


def kept_audit(dataset: ShardDataset, limit: int | None = None) -> dict[str, Any]:
    """The audit that lies in a data set's folder, made and kept there if there is none of these contents."""
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
