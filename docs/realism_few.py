"""Where a few real lenses lie among simulated ones, statistic by statistic.

python docs/realism_few.py SIM REAL     data sets of the same pixels and bands, in the same order

An audit needs eight real images. Two cannot say that a simulation is right, but that it is wrong.
"""

import sys
from pathlib import Path

import numpy as np

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.evaluation.realism import statistics_of

UNITS = (
    "background rms",
    "background level",
    "flux",
    "peak ",
)  # need the same unit of flux
CENTRAL = 0.95


def main(simulated: Path, real: Path) -> None:
    """Print a table: real values, the central 95 % of the simulated ones, and what lies outside."""
    tables = [statistics_of(ShardDataset(folder)) for folder in (simulated, real)]
    names = zip(*(list(table) for table in tables), strict=True)
    inside, total = 0, 0
    print("| statistic | simulated, central 95 % | real |")
    print("|---|---|---|")
    for name, name_of_real in names:
        if f"{name} ".startswith(UNITS):
            continue
        column = tables[0][name]
        column = column[np.isfinite(column)]
        if len(column) < len(tables[0][name]) / 2:
            continue
        low, high = np.quantile(column, [(1 - CENTRAL) / 2, (1 + CENTRAL) / 2])
        cells = []
        for value in tables[1][name_of_real]:
            if not np.isfinite(value):
                continue
            is_inside = low <= value <= high
            inside += is_inside
            total += 1
            cells.append(f"{value:.3g}" if is_inside else f"**{value:.3g}**")
        print(f"| {name} | {low:.3g} to {high:.3g} | {', '.join(cells)} |")
    print(f"\n{inside} of {total} values lie in the central {CENTRAL:.0%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
