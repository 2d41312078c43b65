"""Detectability predicts what a classifier sees: uv run python docs/detectability.py FOLDER

FOLDER holds the two data sets named in docs/physics.md. Prints the table and draws docs/images/detectability.png.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier

from lenssim.data.streaming.dataset import ShardDataset

EDGES = 10.0 ** np.array([-3, -1, 0, 0.5, 1, 1.5, 2, 3, 5])


def standardised(dataset: ShardDataset, smooth: ShardDataset) -> np.ndarray:
    """Pixels (N, P) of a data set in units of the scatter of the smooth images of another, about their mean."""
    pixels, known = (
        each.images(np.arange(len(each.labels))).reshape(len(each.labels), -1)
        for each in (dataset, smooth)
    )
    known = known[smooth.labels == 0].astype(np.float64)
    return (pixels - known.mean(0)) / known.std(0)


def detected(train: ShardDataset, test: ShardDataset) -> np.ndarray:
    """Whether a small classifier, trained on one data set, says of each image (N,) of another that it has a vortex.

    Boosted trees on 64 principal components of the vortices' images and the sum of squares of all pixels.
    """
    pixels = standardised(train, train)
    components = PCA(64, random_state=0).fit(pixels[train.labels == 1])

    def features(images: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [components.transform(images), (images**2).sum(1, keepdims=True)], axis=1
        )

    trees = HistGradientBoostingClassifier(max_iter=200, random_state=0)
    return (
        trees.fit(features(pixels), train.labels).predict(
            features(standardised(test, train))
        )
        == 1
    )


def main(folder: Path) -> None:
    """Accuracy in bins of delta chi2, beside that of one who knows the vortex and asks only whether it is there."""
    train, test = ShardDataset(folder / "train"), ShardDataset(folder / "test")
    said, vortex = detected(train, test), test.labels == 1
    delta = np.asarray(test.params["delta_chi2_fixed"])
    wrong = said[~vortex].mean()
    print(
        f"{len(train.labels):,} images to learn from, {len(test.labels):,} to judge; "
        f"of the smooth ones {wrong:.3f} taken for a vortex"
    )
    rows = []
    for low, high in pairwise(EDGES):
        own = vortex & (delta >= low) & (delta < high)
        if own.sum() < 20:
            continue
        right, middle = said[own].mean(), np.exp(np.log(delta[own]).mean())
        error = 0.5 * np.sqrt(
            right * (1 - right) / own.sum() + wrong * (1 - wrong) / (~vortex).sum()
        )
        ideal = norm.cdf(np.sqrt(delta[own]) / 2).mean()
        rows.append((middle, (right + 1 - wrong) / 2, 1.96 * error))
        print(
            f"{low:8.3g} .. {high:<8.3g} {own.sum():5d} vortices: "
            f"{rows[-1][1]:.3f} ± {rows[-1][2]:.3f}, ideal {ideal:.3f}"
        )
    x, y, error = np.array(rows).T
    figure = Figure(figsize=(5.6, 3.6), layout="constrained", facecolor="white")
    axis = figure.subplots()
    line = np.geomspace(EDGES[0], EDGES[-1], 300)
    axis.semilogx(
        line,
        norm.cdf(np.sqrt(line) / 2),
        color="0.5",
        label=r"vortex known: $\Phi(\sqrt{\Delta\chi^2}/2)$",
    )
    axis.errorbar(
        x,
        y,
        error,
        fmt="o",
        ms=4,
        capsize=2,
        color="C3",
        label="small classifier, 95 % intervals",
    )
    axis.axhline(0.5, color="0.8", lw=0.8)
    axis.axvline(1, color="0.8", lw=0.8)
    axis.set(
        xlabel=r"expected $\Delta\chi^2$ of the vortex",
        ylabel="accuracy",
        ylim=(0.45, 1.02),
        xlim=(1e-2, 1e5),
    )
    axis.legend(frameon=False, fontsize=9)
    figure.savefig(Path(__file__).parent / "images" / "detectability.png", dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
