"""Images, and what the best smooth lens leaves of them: uv run python docs/residuals.py DATA [--out PNG]"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lenssim.data.streaming.dataset import ShardDataset

PER_CLASS = 3


def main() -> None:
    """Draw the figure and print chi2 by class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "data", type=Path, help="made with lenssim generate --truth residual"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/images/residuals.png"))
    options = parser.parse_args()
    dataset = ShardDataset(options.data)
    rows = np.concatenate(
        [
            np.flatnonzero(dataset.labels == k)[:PER_CLASS]
            for k in range(len(dataset.classes))
        ]
    )
    images, residuals = dataset.images(rows)[:, 0], dataset.read_map("residual", rows)[:, 0]
    figure = Figure(figsize=(1.3 * len(rows), 3.1), dpi=110, layout="constrained")
    axes = figure.subplots(2, len(rows))
    for column, (row, image, residual) in enumerate(
        zip(rows, images, residuals, strict=True)
    ):
        axes[0, column].imshow(
            np.arcsinh(8 * image / image.max()), cmap="magma", origin="lower"
        )
        axes[0, column].set_title(dataset.classes[dataset.labels[row]], fontsize=9)
        shown = axes[1, column].imshow(
            residual, cmap="RdBu_r", vmin=-5, vmax=5, origin="lower"
        )
        axes[1, column].set_title(f"chi2 {dataset.params['chi2'][row]:,.0f}", fontsize=8)
    for axis in axes.ravel():
        axis.set_axis_off()
    figure.colorbar(shown, ax=axes[1].tolist(), shrink=0.8, pad=0.01).set_label(
        "sigma", fontsize=8
    )
    figure.savefig(options.out)
    chi2 = dataset.params["chi2"]
    for k, name in enumerate(dataset.classes):
        low, middle, high = np.percentile(chi2[dataset.labels == k], [16, 50, 84])
        print(
            f"{name}: chi2 {middle:,.0f} ({low:,.0f} to {high:,.0f}) of {residuals[0].size:,} pixels"
        )
    print(options.out)


if __name__ == "__main__":
    main()
