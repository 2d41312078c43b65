"""How the cost of an image grows with images, pixels, perturbers, supersampling and workers:

uv run python benchmarks/scaling.py [--out docs/images/scaling.png]
uv run python benchmarks/scaling.py --only "workers, end to end" --out workers.png

Model III's lens with point masses, rendering only and on one core, fastest of several calls; with workers end to end
(draw, render, noise, hash, write). Prints its conditions and a table.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from engines import best, end_to_end, processor
from matplotlib.figure import Figure

from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.preset import load_preset

IMAGES = 64


def seconds_an_image(
    name: str,
    *,
    images: int = 0,
    num_pix: int = 64,
    perturbers: int = 25,
    supersampling: int = 1,
    workers: int = 0,
) -> float:
    if workers:
        return 1 / end_to_end(name, 8192 if name == "batched" else 768, workers)[0]
    preset = load_preset("III")
    camera = preset.instrument.model_copy(update={"num_pix": num_pix})
    count = images or (IMAGES if name == "batched" else 2)
    scenes = draw(
        preset, 1 + 3 * np.arange(count), seed=0, fixed={"n_subhaloes": perturbers}
    )
    repeats = 5 if name == "batched" else 2
    return (
        best(
            lambda: engine(name).render(scenes, camera, supersampling=supersampling),
            repeats,
        )
        / count
    )


GROWTH: dict[str, tuple[str, list[int]]] = {
    "images a call": ("images", [1, 4, 16, 64, 256]),
    "pixels a side": ("num_pix", [32, 64, 128, 192]),
    "point masses": ("perturbers", [0, 25, 100, 300, 1000]),
    "supersampling": ("supersampling", [1, 2, 4, 8]),
    "workers, end to end": ("workers", [1, 2]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/scaling.png"))
    parser.add_argument("--only", default=None, choices=GROWTH, help="one of the rows")
    arguments = parser.parse_args()
    out = arguments.out
    growth = GROWTH
    if arguments.only is not None:
        growth = {arguments.only: GROWTH[arguments.only]}
    torch.set_num_threads(1)
    print(
        f"{processor()}, one core, load {os.getloadavg()[0]:.1f} at the start; Model III, {IMAGES} images a call\n"
    )
    figure = Figure(figsize=(15, 3), layout="constrained", facecolor="white")
    for axis, (label, (argument, values)) in zip(
        figure.subplots(1, len(growth), sharey=True, squeeze=False)[0],
        growth.items(),
        strict=True,
    ):
        print(f"| {label} | batched [ms] | lenstronomy [ms] | ratio |\n|---|---|---|---|")
        cost: dict[str, list[float]] = {"batched": [], "lenstronomy": []}
        for value in values:
            for name in cost:
                cost[name].append(1e3 * seconds_an_image(name, **{argument: value}))
            ours, theirs = cost["batched"][-1], cost["lenstronomy"][-1]
            print(
                f"| {value} | {ours:.3f} | {theirs:.2f} | {theirs / ours:.0f} |", flush=True
            )
        for name, colour in (("lenstronomy", "#d55e00"), ("batched", "#0072b2")):
            axis.plot(values, cost[name], "o-", color=colour, label=name)
        axis.set(
            xlabel=label,
            yscale="log",
            xscale="symlog" if 0 in values else "log",
            xticks=values,
        )
        axis.set_xticklabels([str(value) for value in values])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        print()
    figure.axes[0].set_ylabel("ms an image")
    figure.axes[0].legend(frameon=False)
    figure.savefig(out, dpi=110)
    print(out)


if __name__ == "__main__":
    main()
