"""What a full population of subhaloes costs, in one run on one core:

uv run --extra halos python benchmarks/populations.py [--images 32] [--presets-only]

pyHalo draws, converts and lenstronomy ray-traces one CDM realisation down to 1e6 Msun with haloes along the line of
sight; this package renders the very same haloes, and draws and renders populations of its own. No PSF is left out on
either side. A second table renders the presets with the far fields of earlier versions and of this one. Prints its
conditions and tables in Markdown; compare ratios.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

if TYPE_CHECKING:
    from lenssim.simulate.preset import Preset


def timed(function: Callable[[], object]) -> tuple[float, object]:
    """(seconds, result) of one call."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def best(function: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of the fastest of several calls after one that warms up."""
    function()
    return min(timed(function)[0] for _ in range(repeats))


def far_fields(count: int) -> None:
    """Print what images of the presets cost with each far field."""
    from lenssim.simulate.engines.batched.settings import FAR_FIELDS
    from lenssim.simulate.preset import load_preset

    print("| preset | far field | CPU ms an image | ratio | off by, of the peak |")
    print("|---|---|---|---|---|")
    for name in ("hst-arcs", "euclid-arcs", "III-corrected"):
        preset = load_preset(name)
        results = [images_of(preset, far_field, count) for far_field in FAR_FIELDS]
        slowest, earlier = results[0]
        peaks = earlier.max(axis=(1, 2, 3), keepdims=True)
        for far_field, (seconds, images) in zip(FAR_FIELDS, results, strict=True):
            off = float((np.abs(images - earlier) / peaks).max())
            print(
                f"| {name} | {far_field} | {seconds / count * 1e3:.1f} "
                f"| {slowest / seconds:.1f} | {off:.1e} |"
            )
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f}.")


def images_of(preset: "Preset", far_field: str, count: int) -> tuple[float, np.ndarray]:
    """(CPU seconds, images) of the cheaper of two renderings after one that warms up."""
    from lenssim.simulate.draw import draw
    from lenssim.simulate.engines import engine

    scenes = draw(preset, np.arange(count), seed=0)
    settings = {"precision": "float32", "device": "cpu", "kernels": "compiled"}
    renderer = engine("batched", **settings, far_field=far_field)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        images = renderer.render(
            scenes, preset.instrument, supersampling=preset.supersampling
        )
        seconds.append(time.process_time() - start)
    return min(seconds[1:]), images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=32, help="images rendered at a time")
    parser.add_argument(
        "--presets-only", action="store_true", help="the table of far fields alone"
    )
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    if arguments.presets_only:
        print(f"One core, load {os.getloadavg()[0]:.1f} at the start.\n")
        far_fields(192)
        return

    from lenssim.simulate.draw import draw
    from lenssim.simulate.engines import engine
    from lenssim.simulate.halos.bridge import from_realizations, pyhalo_realization
    from lenssim.simulate.preset import load_preset, parse_preset

    libraries = ("lenssim", "torch", "lenstronomy", "pyhalo", "numpy")
    print(
        f"one core of {platform.machine()}, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"{', '.join(f'{name} {version(name)}' for name in libraries)}\n"
    )
    preset = load_preset("III-corrected")
    smooth = draw(preset, np.zeros(1, int), seed=0)
    options = {
        "sigma_sub": 0.025,
        "log_mlow": 6.0,
        "log_mhigh": 10.0,
        "cone_opening_angle_arcsec": 6.0,
    }
    pyhalo_realization("CDM", 0.5, 1.0, seed=1, **options)  # imports and tables
    drawn, realization = timed(
        lambda: pyhalo_realization("CDM", 0.5, 1.0, seed=2, **options)
    )
    converted, _ = timed(
        lambda: realization.lensing_quantities(add_mass_sheet_correction=True)
    )
    scenes = from_realizations([realization], smooth.components, smooth.params, seed=2)
    halos = int(sum(table.counts.sum() for table in scenes.perturbers.values()))
    camera = preset.instrument
    reference = engine("lenstronomy")
    reference.render(scenes, camera)
    traced, theirs = timed(lambda: reference.render(scenes, camera))
    many = scenes.take(np.zeros(arguments.images, int))
    renderer = engine("batched", precision="float32", device="cpu", kernels="compiled")
    mine = renderer.render(scenes, camera)
    off = float(np.abs(mine - theirs).max() / theirs.max())
    rendered = best(lambda: renderer.render(many, camera)) / arguments.images
    document = preset.model_dump(mode="json")
    document["classes"] = {
        "cdm": {**document["classes"]["cdm"], "mass": [1e6, 1e10], "Sigma_sub": 0.025}
    }
    document["classes"]["cdm"]["line_of_sight"] = 1.0
    ours = parse_preset(document)
    numbers = np.arange(64)
    own = best(lambda: draw(ours, numbers, seed=0), 2) / len(numbers)
    population = draw(ours, numbers, seed=0)
    count = np.mean(sum(table.counts for table in population.perturbers.values()))
    grid, adaptive = (
        best(
            lambda sampling=sampling: renderer.render(
                population, camera, supersampling=sampling
            ),
            2,
        )
        / len(numbers)
        for sampling in (1, "adaptive")
    )
    them = converted + traced
    print(
        "| step | haloes | ms an image | pyHalo's conversion and lenstronomy's tracing take |\n|---|---|---|---|"
    )
    rows = [
        ("pyHalo draws", halos, drawn, None),
        ("pyHalo converts", halos, converted, None),
        ("lenstronomy ray-traces, one ray a pixel", halos, traced, None),
        ("batched renders the same haloes", halos, rendered, them / rendered),
        ("this package draws its own", count, own, None),
        ("batched renders them, one ray a pixel", count, grid, None),
        (
            "draw and render, one ray a pixel",
            count,
            own + grid,
            (drawn + them) / halos * count / (own + grid),
        ),
        ("batched renders them, adaptive rays", count, adaptive, None),
    ]
    for label, haloes, seconds, ratio in rows:
        print(
            f"| {label} | {haloes:,.0f} | {seconds * 1e3:,.1f} | {f'{ratio:,.0f} times as long' if ratio else ''} |"
        )
    print(
        f"\nThe same haloes: the worst pixel differs from lenstronomy's by {off:.1e} of the peak."
    )
    print("The ratio of drawing and rendering is per halo and includes pyHalo's drawing.\n")
    far_fields(192)


if __name__ == "__main__":
    main()
