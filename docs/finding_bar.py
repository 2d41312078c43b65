"""How well boosted trees on hand-made features find lenses: the bar that a network has to beat.

python docs/finding_bar.py DATA [STAMPS]
"""

import sys

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.scores.finding import intervals
from lenssim.learn.scores.hand_made import hand_made_features

POSITIVE = "lens"
MAX_LISTED = 40  # images whose probabilities are printed
SCORES = ("auc", "tpr0", "tpr10")


def features_and_truth(data: ShardDataset, split: str | None) -> tuple[np.ndarray, ...]:
    """Return features (N, k) of a split, and whether each image is a lens (N,)."""
    rows = data.rows(split)
    assert data.labels is not None
    truth = data.labels[rows] == data.classes.index(POSITIVE)
    return hand_made_features(data.images(rows)), truth


def main(folder: str, *stamps: str) -> None:
    """Train on the train blocks; print the scores of the test blocks and of other data."""
    data = ShardDataset(folder)
    trees = HistGradientBoostingClassifier(
        max_iter=300, learning_rate=0.06, l2_regularization=1.0, random_state=0
    )
    trees.fit(*features_and_truth(data, "train"))
    for name, (features, truth) in {
        "test blocks": features_and_truth(data, "test"),
        **{place: features_and_truth(ShardDataset(place), None) for place in stamps},
    }.items():
        probability = trees.predict_proba(features)[:, 1]
        scores = intervals(truth, [probability], 0.5)
        texts = [
            f"{key} {scores[key]['value']:.4f} "
            f"[{scores[key]['low']:.4f}, {scores[key]['high']:.4f}]"
            for key in SCORES
        ]
        print(f"{name}, {len(truth)} images: {', '.join(texts)}")
        if len(truth) <= MAX_LISTED:
            for is_lens, p in zip(truth, probability, strict=True):
                print(f"  {POSITIVE if is_lens else 'other'} {p:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
