"""How fast images are made, all in one run on the same cores:

uv run python benchmarks/engines.py [--n 20000] [--workers 2] [--memory /dev/shm]

End to end (draw, render, PSF, noise, hash, write) with this package's engines, against a bare lenstronomy loop that
renders and adds noise and keeps nothing, and against the disk's own limit; rendering only, against caustics and
PyAutoLens, on one core. Prints its conditions and a table in Markdown; compare ratios, the machines differ, and take
none from a machine whose load is above 0.5 at the start.
"""

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # every contender gets one thread a process

import numpy as np
from disk import images_a_second

MODEL = "III"


def processor() -> str:
    with Path("/proc/cpuinfo").open() as info:
        return next(
            (line.split(":")[1].strip() for line in info if line.startswith("model name")),
            "unknown",
        )


def conditions(arguments: argparse.Namespace) -> str:
    libraries = (
        "lenssim",
        "torch",
        "lenstronomy",
        "caustics",
        "autolens",
        "numpy",
        "h5py",
        "dask",
    )
    return (
        f"{processor()}, {len(os.sched_getaffinity(0))} cores used, load {os.getloadavg()[0]:.1f} at the start; "
        f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in libraries)}; "
        f"Model {MODEL}, nominal noise, {arguments.workers} worker processes of one thread"
    )


def end_to_end(
    engine_name: str, n: int, workers: int, place: Path | None = None, **options: str
) -> tuple[float, float]:
    """(images/s from the first finished shard to the last, seconds before the first shard was finished)."""
    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import load_preset

    folder = Path(tempfile.mkdtemp(prefix="lenssim-bench-", dir=place))
    marks: list[tuple[int, float]] = []

    def note(progress) -> None:
        if progress.done:  # else it starts, or compiles kernels
            marks.append((progress.done, time.perf_counter()))

    try:
        plan = make_plan(load_preset(MODEL), n, engine_name=engine_name, **options)
        start = time.perf_counter()
        generate(folder / "D", plan, workers=workers, report=note)
    finally:
        shutil.rmtree(folder)
    first, last = marks[0], marks[-1]
    return (last[0] - first[0]) / (last[1] - first[1]), first[1] - start


def bare_lenstronomy(numbers: np.ndarray) -> float:
    """Seconds to render `numbers` with lenstronomy's ImageModel, reusing objects, and add noise_for_model."""
    from lenstronomy.SimulationAPI.sim_api import SimAPI

    from lenssim.simulate.draw import draw
    from lenssim.simulate.preset import load_preset

    preset = load_preset(MODEL)
    camera, scenes = preset.instrument, draw(preset, numbers, seed=0)
    beta = float(scenes.deflection_scale()[0])
    band = {
        "read_noise": camera.read_noise,
        "pixel_scale": camera.pixel_scale,
        "ccd_gain": camera.gain,
        "exposure_time": camera.exposure_time,
        "sky_brightness": camera.sky_brightness,
        "magnitude_zero_point": camera.zero_point,
        "num_exposures": camera.num_exposures,
        "seeing": camera.psf.fwhm,
        "psf_type": "GAUSSIAN",
    }
    sims = {}
    table, values = scenes.perturbers["point_mass"], scenes.params
    start = time.perf_counter()
    for i in range(len(numbers)):
        own = table.of(i)
        count = len(own["theta_E"])
        if count not in sims:
            models = ["SIE", "SHEAR"] + ["POINT_MASS"] * count
            sim = SimAPI(
                64,
                band,
                {"lens_model_list": models, "source_light_model_list": ["SERSIC_ELLIPSE"]},
            )
            sims[count] = sim, sim.image_model_class({"supersampling_factor": 1})
        sim, model = sims[count]
        lens = [
            {
                "theta_E": beta * values["theta_E"][i],
                "e1": values["e1"][i],
                "e2": values["e2"][i],
                "center_x": values["center_x"][i],
                "center_y": values["center_y"][i],
            },
            {"gamma1": beta * values["gamma1"][i], "gamma2": beta * values["gamma2"][i]},
        ]
        lens += [
            {"theta_E": t * beta**0.5, "center_x": x, "center_y": y}
            for t, x, y in zip(
                own["theta_E"], own["center_x"], own["center_y"], strict=True
            )
        ]
        source = {
            k.removeprefix("source_"): v[i]
            for k, v in values.items()
            if k.startswith("source_")
        }
        _, source, _ = sim.magnitude2amplitude(None, [source])
        image = model.image(lens, source)
        image += sim.noise_for_model(image)
    return time.perf_counter() - start


def lenstronomy_loop(n: int, workers: int) -> float:
    """Images/s of `workers` bare loops side by side."""
    with ProcessPoolExecutor(workers) as pool:
        list(
            pool.map(bare_lenstronomy, [np.arange(6)] * workers)
        )  # imports and numba's cache
        seconds = list(pool.map(bare_lenstronomy, np.array_split(np.arange(n), workers)))
    return n / max(seconds)


def cdm_scenes(n: int):
    from lenssim.simulate.draw import draw
    from lenssim.simulate.preset import load_preset

    preset = load_preset(MODEL)
    return preset, draw(preset, 1 + 3 * np.arange(n), seed=0)


def best(function: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of the fastest of several calls after one that warms up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def render_only(n: int = 64) -> dict[str, float]:
    """Images/s of rendering `cdm` scenes of 25 points on one core, without PSF and noise for caustics."""
    import torch

    from lenssim.simulate.engines import engine

    torch.set_num_threads(1)
    preset, scenes = cdm_scenes(n)
    rates = {}
    for name in ("batched", "lenstronomy"):
        rates[f"{name} (with PSF)"] = n / best(
            lambda name=name: engine(name).render(scenes, preset.instrument)
        )
    rates["caustics, vmap (no PSF)"] = n / best(caustics_renderer(scenes, n))
    rates["PyAutoLens, eager (with PSF)"] = 4 / best(autolens_renderer(scenes, 4), 2)
    return rates


def caustics_renderer(scenes, n: int) -> Callable[[], object]:
    """caustics' own functions under vmap over the same scenes: SIE, shear, 25 point masses, Sersic; float32, no PSF."""
    import caustics.lenses.func as lens
    import torch
    from caustics.light.func import brightness_sersic, k_sersic

    points, values, beta = (
        scenes.perturbers["point_mass"],
        scenes.params,
        float(scenes.deflection_scale()[0]),
    )
    axis = (torch.arange(64) - 31.5) * 0.08
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    numbers = (
        0.0,
        1.0,
        0.9 / 1.1,
        beta * values["theta_E"][0],
        beta * 0.05,
        0.75,
        2.8,
        0.25,
    )
    zero, one, q, theta_E, gamma, q_source, phi, R = (
        torch.tensor(float(number)) for number in numbers
    )
    k = k_sersic(one)

    def render(point_x, point_y, point_radius, source_x, source_y):
        sie_x, sie_y = lens.reduced_deflection_angle_sie(zero, zero, q, zero, theta_E, x, y)
        shear_x, shear_y = lens.reduced_deflection_angle_external_shear(
            zero, zero, gamma, zero, x, y
        )
        by_point = torch.vmap(
            lambda px, py, r: torch.stack(
                lens.reduced_deflection_angle_point(px, py, r, x, y)
            )
        )
        own = by_point(point_x, point_y, point_radius).sum(0)
        bx, by = x - sie_x - shear_x - own[0], y - sie_y - shear_y - own[1]
        return brightness_sersic(source_x, source_y, q_source, phi, one, R, one, bx, by, k)

    columns = {
        name: torch.tensor(column, dtype=torch.float32).reshape(n, -1)
        for name, column in points.columns.items()
    }
    source = [
        torch.tensor(values[f"source_center_{axis}"], dtype=torch.float32) for axis in "xy"
    ]
    function = torch.vmap(render)
    return lambda: function(
        columns["center_x"], columns["center_y"], columns["theta_E"] * beta**0.5, *source
    )


def autolens_renderer(scenes, n: int) -> Callable[[], object]:
    """PyAutoLens over the same scenes: tracer, over-sampling 1, Gaussian convolver."""
    import autolens as al

    beta = float(scenes.deflection_scale()[0])
    grid = al.Grid2D.uniform(shape_native=(64, 64), pixel_scales=0.08, over_sample_size=1)
    convolver = al.Convolver.from_gaussian(
        shape_native=(11, 11), pixel_scales=0.08, sigma=0.034, normalize=True
    )
    tracers = []
    for i in range(n):
        own, values = scenes.perturbers["point_mass"].of(i), scenes.params
        points = {
            f"p{k}": al.mp.PointMass(
                centre=(own["center_y"][k], own["center_x"][k]),
                einstein_radius=own["theta_E"][k] * beta**0.5,
            )
            for k in range(len(own["theta_E"]))
        }
        lens = al.Galaxy(
            redshift=0.5,
            mass=al.mp.Isothermal(
                ell_comps=(0.0, 0.1), einstein_radius=beta * values["theta_E"][i]
            ),
            shear=al.mp.ExternalShear(gamma_1=beta * 0.05, gamma_2=0.0),
            **points,
        )
        light = al.lp.Sersic(
            centre=(values["source_center_y"][i], values["source_center_x"][i]), ell_comps=(0.1, -0.1),
            intensity=2.0, effective_radius=0.25, sersic_index=1.0,
        )  # fmt: skip
        tracers.append(al.Tracer(galaxies=[lens, al.Galaxy(redshift=1.0, bulge=light)]))

    def render() -> None:
        for tracer in tracers:
            al.SimulatorImaging(
                exposure_time=5400.0,
                psf=convolver,
                background_sky_level=0.0,
                add_poisson_noise_to_data=False,
            ).via_tracer_from(tracer=tracer, grid=grid)

    return render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--n", type=int, default=20000, help="images end to end with the batched engine"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--memory", type=Path, default=Path("/dev/shm"), help="a folder in memory (tmpfs)"
    )
    arguments = parser.parse_args()
    print(conditions(arguments), flush=True)
    few = max(600, arguments.n // 20)
    print(
        "\n| end to end | images/s | against the bare loop | before the first shard [s] |\n|---|---|---|---|"
    )
    loop = lenstronomy_loop(few, arguments.workers)
    print(f"| bare lenstronomy loop, nothing kept | {loop:,.0f} | 1.0 | |", flush=True)
    limit = images_a_second(Path(tempfile.gettempdir()))
    print(
        f"| the disk: flushed files of a shard's size | {limit:,.0f} | {limit / loop:.1f} | |",
        flush=True,
    )
    for label, name, n, place, options in (
        ("batched, float32", "batched", arguments.n, None, {}),
        ("batched, float32, into memory", "batched", arguments.n, arguments.memory, {}),
        ("batched, float16", "batched", arguments.n, None, {"storage": "float16"}),
        ("batched, float64", "batched", arguments.n // 4, None, {"precision": "float64"}),
        ("lenstronomy", "lenstronomy", few, None, {}),
        ("PyAutoLens (the autolens engine)", "autolens", few, None, {}),
    ):
        rate, started = end_to_end(name, n, arguments.workers, place, **options)
        print(f"| {label} | {rate:,.0f} | {rate / loop:.1f} | {started:.1f} |", flush=True)
    again = lenstronomy_loop(few, arguments.workers)
    print(
        f"| bare lenstronomy loop, again | {again:,.0f} | {again / loop:.1f} | |",
        flush=True,
    )
    rates = render_only()
    base = rates["caustics, vmap (no PSF)"]
    print(
        "\n| rendering only, 25 points, one core | images/s | against caustics |\n|---|---|---|"
    )
    for label, rate in rates.items():
        print(f"| {label} | {rate:,.0f} | {rate / base:.2f} |")
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
