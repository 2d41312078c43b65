"""Einstein radii of fits beside the true ones: uv run python benchmarks/fit_radii.py R... [--published CSV]

R is the folder of a `lenssim fit`. Simulated lenses have their true radius in models.csv. With --published, a table
with the columns name and theta_E_SIE has it, and theta_E_effective is compared, too.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

LIMITS = (0.01, 0.02, 0.05, 0.10)


def main() -> None:
    """Print the shares of radii within some limits, and how many of the others have flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fits", type=Path, nargs="+", help="folders of fits")
    parser.add_argument("--published", type=Path, help="CSV: name, theta_E_SIE")
    options = parser.parse_args()
    rows = [row for fit in options.fits for row in read_rows(fit / "models.csv")]
    if options.published is None:
        print_shares(rows, "theta_E", radii(rows, "true_theta_E"))
        return
    table = {row["name"]: row["theta_E_SIE"] for row in read_rows(options.published)}
    published = np.array([float(table[row["name"]]) for row in rows])
    for column in ("theta_E", "theta_E_effective"):
        print_shares(rows, column, published)
    print_lenses(rows, published)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with path.open() as file:
        return list(csv.DictReader(file))


def radii(rows: list[dict[str, str]], column: str) -> np.ndarray:
    """Return a column (N,) of radii; NaN where there is none."""
    return np.array([float(row[column] or "nan") for row in rows])


def print_shares(rows: list[dict[str, str]], column: str, truth: np.ndarray) -> None:
    """Print how many radii are near the true ones, and what the flags say of them."""
    errors = np.abs(radii(rows, column) / truth - 1)
    errors = np.where(np.isfinite(errors), errors, np.inf)
    flagged = np.array([bool(row["flags"]) for row in rows])
    shares = ", ".join(
        f"{(errors <= limit).sum()} within {100 * limit:g} %" for limit in LIMITS
    )
    print(f"{column}: {len(rows)} lenses; {shares}")
    wrong = errors > LIMITS[-1]
    print(
        f"  flagged {flagged.sum()}; beyond 10 %: {wrong.sum()}, of them flagged "
        f"{(wrong & flagged).sum()}; unflagged and beyond 10 %: {(wrong & ~flagged).sum()} of "
        f"{(~flagged).sum()}, beyond 5 %: {((errors > 0.05) & ~flagged).sum()}"
    )


def print_lenses(rows: list[dict[str, str]], truth: np.ndarray) -> None:
    """Print a line of a table for each lens."""
    columns = [radii(rows, name) for name in ("theta_E", "theta_E_effective")]
    for row, radius, effective, published in zip(rows, *columns, truth, strict=True):
        errors = [100 * (value / published - 1) for value in (radius, effective)]
        flags = row["flags"].replace(" ", ", ")
        print(
            f"| {row['name']} | {radius:.3f} | {errors[0]:+.1f} | {errors[1]:+.1f} | {flags} |"
        )


if __name__ == "__main__":
    main()
