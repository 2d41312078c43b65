"""A finder's preset beside the truth table of the lens-finding challenge; see docs/results/challenge-calibration.md.

python docs/challenge_calibration.py TRUTH.csv [--model challenge-space] [-n 20000] [--picture PICTURE.png]

TRUTH.csv has the columns is_lens, Einstein_area, numb_pix_lensed_image and flux_lensed_image_in_sigma.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from lenssim.learn.figures.style import save
from lenssim.simulate.arcs import arc_columns, render_arcs
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine, engine_settings
from lenssim.simulate.preset import load_preset

PROBABILITIES = np.array([5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99])
QUANTITIES = {"theta_E": "theta_E [arcsec]", "npix": "pixels", "flux": "flux [sigma]"}
PAIRS = (("theta_E", "flux"), ("theta_E", "npix"), ("flux", "npix"))
TOLERANCE = 0.15  # of a quantile
TOLERANCE_CORRELATION = 0.1
CHUNK = 1024

Columns = dict[str, np.ndarray]


def truth(path: Path) -> Columns:
    """Read the lenses of the truth table: Einstein radius [arcsec], pixels, flux in sigma."""
    with path.open() as table:
        rows = [row for row in csv.DictReader(table) if row["is_lens"] == "1"]

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name]) for row in rows])

    radius = np.degrees(np.sqrt(column("Einstein_area") / np.pi)) * 3600
    pixels = column("numb_pix_lensed_image")
    return {
        "theta_E": radius,
        "npix": pixels,
        "flux": column("flux_lensed_image_in_sigma"),
    }


def simulated(model: str, count: int, seed: int) -> Columns:
    """Simulate the arcs of lenses, and return the same columns."""
    preset = load_preset(model).with_classes(["lens"])
    renderer = engine("batched", **engine_settings("batched"))
    parts: list[Columns] = []
    for start in range(0, count, CHUNK):
        numbers = np.arange(start, min(start + CHUNK, count))
        scenes = draw(preset, numbers, seed=seed)
        camera = preset.instrument
        arcs = render_arcs(renderer, scenes, camera, preset.supersampling)
        columns = arc_columns(arcs, arcs, scenes, camera)
        radius = scenes.params["theta_E"]
        parts.append({"theta_E": radius, "npix": columns["npix"], "flux": columns["flux"]})
    return {name: np.concatenate([part[name] for part in parts]) for name in QUANTITIES}


def correlation(columns: Columns, first: str, second: str) -> float:
    """Return the correlation of the logarithms, of lenses that show at all."""
    shown = columns["npix"] > 0
    logs = [np.log10(columns[name][shown]) for name in (first, second)]
    return float(np.corrcoef(*logs)[0, 1])


def report(real: Columns, made: Columns) -> list[str]:
    """Return the lines of the page's tables; what is beyond its tolerance is bold."""
    lines = ["| quantity | " + " | ".join(f"{p} %" for p in PROBABILITIES) + " |"]
    lines.append("|---|" + "---|" * len(PROBABILITIES))
    worst = 0.0
    for name, title in QUANTITIES.items():
        stated = np.percentile(real[name], PROBABILITIES)
        reached = np.percentile(made[name], PROBABILITIES)
        ratios = reached / stated
        worst = max(worst, float(np.abs(ratios - 1).max()))
        digits = 3 if name == "theta_E" else 0
        for label, values in (("challenge", stated), ("simulated", reached)):
            cells = " | ".join(f"{value:.{digits}f}" for value in values)
            lines.append(f"| {title}, {label} | {cells} |")
        cells = " | ".join(
            f"{ratio:.2f}" if abs(ratio - 1) <= TOLERANCE else f"**{ratio:.2f}**"
            for ratio in ratios
        )
        lines.append(f"| ratio | {cells} |")
    lines += ["", "| correlation of logarithms | challenge | simulated |", "|---|---|---|"]
    for first, second in PAIRS:
        values = [correlation(columns, first, second) for columns in (real, made)]
        lines.append(f"| {first}, {second} | {values[0]:.3f} | {values[1]:.3f} |")
    shares = [float((columns["npix"] == 0).mean()) for columns in (real, made)]
    lines.append(f"| share without a pixel | {shares[0]:.3f} | {shares[1]:.3f} |")
    return [*lines, "", f"Largest deviation of a quantile: {worst:.1%}"]


def picture(real: Columns, made: Columns) -> Figure:
    """Draw the cumulative distributions, and pixels against flux."""
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    axes = figure.subplots(1, 4)
    for ax, (name, title) in zip(axes, QUANTITIES.items(), strict=False):
        for label, columns in (("challenge", real), ("simulated", made)):
            values = np.sort(np.maximum(columns[name], 0.1))
            ax.plot(values, np.linspace(0, 1, len(values)), label=label)
        ax.set(xscale="log", xlabel=title, ylabel="share of lenses below")
    axes[0].legend()
    for label, columns in (("challenge", real), ("simulated", made)):
        axes[3].scatter(
            columns["npix"][:3000], columns["flux"][:3000], s=1, alpha=0.4, label=label
        )
    axes[3].set(xscale="log", yscale="log", xlabel="pixels", ylabel="flux [sigma]")
    axes[3].set(xlim=(1, 1e4), ylim=(1, 1e6))
    for ax, low in zip(axes, (0.1, 1, 1, 1), strict=True):
        ax.set_xlim(left=low)
        plain(ax.xaxis)
    plain(axes[3].yaxis)
    return figure


def plain(axis: Axis) -> None:
    """Write the numbers of an axis without mathematics, which the figures leave out."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def main() -> None:
    """Print the tables, and draw the picture if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--model", default="challenge-space")
    parser.add_argument("-n", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    real = truth(options.truth)
    made = simulated(options.model, options.n, options.seed)
    print("\n".join(report(real, made)))
    if options.picture:
        save(picture(real, made), options.picture)


if __name__ == "__main__":
    main()
