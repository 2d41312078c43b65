"""`lenssim generate` and `lenssim render`: data sets and single images from a preset."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenssim.cli.options import Json

if TYPE_CHECKING:
    from lenssim.data.cluster import Runner
    from lenssim.data.manifest import Manifest, Plan

__all__ = ["print_manifest", "register"]

Model = Annotated[
    str, typer.Option("--model", "-m", help="Preset (lenssim models lists them), or the path of a YAML file.")
]
Noise = Annotated[str | None, typer.Option(help="nominal, none or published; default: the preset's first.")]
Engine = Annotated[str, typer.Option(help="What renders: batched (fast), lenstronomy (the reference) or autolens.")]
Precision = Annotated[str | None, typer.Option(help="float32 or float64; default: the engine's.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]
Supersampling = Annotated[
    str | None, typer.Option(help="Rays a pixel side, 1 to 12, or adaptive; default: the preset's.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(generate)
    app.command()(render)


def generate(
    model: Model,
    n: Annotated[int, typer.Option("--n", "-n", help="Number of images; a larger number later extends the set.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the data set.")],
    seed: Annotated[int, typer.Option(help="Seed; with preset, split and number it decides every sample.")] = 0,
    split: Annotated[str, typer.Option(help="train, validation or test: disjoint random streams.")] = "train",
    noise: Noise = None,
    classes: Annotated[str | None, typer.Option(help="Only these of the preset's classes, such as axion.")] = None,
    galaxies: Annotated[
        Path | None, typer.Option(help="Images of galaxies as sources: .npy, .fits, GalSim's catalogue, or a folder.")
    ] = None,
    shared: Annotated[
        str | None,
        typer.Option(help="Populations: draw numbers of dark matter, such as f_sub,slope, once for each 64 images."),
    ] = None,
    engine: Engine = "batched",
    precision: Precision = None,
    device: Device = "auto",
    supersampling: Supersampling = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; 0 works in this one. Default: one a core.")
    ] = None,
    shard_size: Annotated[int | None, typer.Option(help="Samples a shard; changes no sample.")] = None,
    cluster: Annotated[
        Path | None, typer.Option(help="YAML file of a batch queue: make shards there (pipelines/slurm/cluster.yaml).")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler that runs: make shards on its workers.")
    ] = None,
    shards: Annotated[
        str | None, typer.Option(help="Make only these shards, such as 3::8; lenssim seal completes the set.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="float32, or with bounded error and less room: float16, int16.")
    ] = None,
    compress: Annotated[bool, typer.Option("--compress", help="Bitshuffle and LZ4 (needs lenssim[compress]).")] = False,
    detectability: Annotated[
        bool, typer.Option("--detectability", help="Store each sample's expected delta chi2 (batched engine, CPU).")
    ] = False,
    truth: Annotated[
        str | None,
        typer.Option(
            help="Pictures to keep beside each image: clean (no noise), kappa (the perturbers'), residual (of the best "
            "smooth lens), or several: clean,kappa."
        ),
    ] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Print the address of dask's dashboard.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the plan and any job script only.")
    ] = False,
    json: Json = False,
) -> None:
    """Simulate a data set. Repeating the command continues what was interrupted."""
    import os

    from lenssim.cli.progress import samples_bar
    from lenssim.cli.stop import stoppable
    from lenssim.data.generate import generate as run
    from lenssim.data.generate import generate_share, make_plan, share
    from lenssim.errors import ConfigError
    from lenssim.simulate.preset import load_preset

    if sum(way is not None for way in (workers, cluster, scheduler)) > 1:
        raise ConfigError("give one of --workers, --cluster and --scheduler")
    if shards is not None and (cluster or scheduler):
        raise ConfigError("--shards is for shares without dask; leave --cluster and --scheduler out")
    runner, script = _elsewhere(cluster, scheduler, dashboard)
    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    if not 0 <= workers <= 1024:
        raise ConfigError(f"the number of workers must lie in 0..1024, got {workers}")
    preset = load_preset(model)
    preset = preset if classes is None else preset.with_classes(_names(classes))
    preset = preset if galaxies is None else preset.with_galaxies(galaxies.resolve())
    preset = preset if shared is None else preset.with_shared(_names(shared))
    plan = make_plan(
        preset,
        n,
        seed=seed,
        split=split,
        noise=noise,
        engine_name=engine,
        precision=precision,
        device=device,
        supersampling=supersampling,
        shard_size=shard_size,
        storage=storage,
        compress=compress,
        detectability=detectability,
        truth=_names(truth) if truth else (),
        folder=out,
    )
    mine = None if shards is None else share(shards, plan.shards)
    if dry_run:
        if script is not None:
            print(f"# every job:\n{script}\n# the plan:")
        print(plan.model_dump_json(indent=1))
        return
    with stoppable() as stop, samples_bar("generating") as report:
        if mine is not None:
            made = generate_share(out, plan, mine, workers=workers, report=report, stop=stop)
            print(f"{out}: {len(mine)} of {plan.shards} shards, {made} images")
            print(f"next, when the other shares are there: lenssim seal {out}")
            return
        if runner is None:
            runner = _here(plan, workers, dashboard)
        manifest = run(out, plan, runner=runner, report=report, stop=stop)
    print_manifest(out, manifest, json)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _here(plan: "Plan", workers: int, dashboard: bool) -> "Runner":
    from lenssim.data.cluster import local_runner
    from lenssim.data.generate import modules

    return local_runner(min(workers, plan.shards), modules(plan), dashboard=dashboard, note=_note)


def _elsewhere(cluster: Path | None, scheduler: str | None, dashboard: bool) -> "tuple[Runner | None, str | None]":
    """The runner of a cluster, if one is asked for, and the script of its jobs."""
    if cluster is not None:
        from lenssim.data.queue import job_script, queue_runner, read_queue

        queue = read_queue(cluster)
        return queue_runner(queue, dashboard=dashboard, note=_note), job_script(queue)
    if scheduler is not None:
        from lenssim.data.cluster import scheduler_runner

        return scheduler_runner(scheduler, dashboard=dashboard, note=_note), None
    return None, None


def print_manifest(out: Path, manifest: "Manifest", json: bool) -> None:
    """Say what a finished data set is."""
    if json:
        print(manifest.model_dump_json(exclude={"shards"}))
        return
    counts = ", ".join(f"{name} {count}" for name, count in manifest.class_counts.items())
    print(f"{out}: {manifest.n} images of {' x '.join(map(str, manifest.image_shape))} ({counts})")
    if manifest.audit:
        print(
            f"audit: {manifest.audit.samples} images rendered again with lenstronomy, worst pixel off by "
            f"{manifest.audit.peak:.1e} of the peak, {manifest.audit.noise:.1e} of the noise"
        )
    print(f"fingerprint {manifest.fingerprint}")
    question = "classify" if len(manifest.class_counts) > 1 else "regress --targets NAME,..."
    print(f"next: lenssim show {out}, or lenssim train {question} --net cnn --data {out}")


def render(
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .npy, .fits or .png.")],
    class_name: Annotated[str | None, typer.Option("--class", "-c", help="Class; default: the preset's first.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a drawn parameter by hand; may be repeated."),
    ] = None,
    number: Annotated[int, typer.Option(help="Which sample of the class, counted from 0.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of what is not set by hand.")] = 0,
    noise: Noise = None,
    engine: Engine = "batched",
    precision: Precision = None,
    device: Device = "auto",
    supersampling: Supersampling = None,
    json: Annotated[bool, typer.Option("--json", help="Print the scene's parameters as JSON.")] = False,
) -> None:
    """Render one scene, any of its parameters set by hand under the names that the shards' /params use."""
    from json import dumps

    import numpy as np

    import lenssim
    from lenssim.data.convert import write_image
    from lenssim.data.headers import image_cards
    from lenssim.errors import ConfigError
    from lenssim.simulate.draw import draw
    from lenssim.simulate.engines import check_adaptive, engine_settings
    from lenssim.simulate.engines import engine as get_engine
    from lenssim.simulate.instruments import parse_sampling
    from lenssim.simulate.observe import observe
    from lenssim.simulate.preset import load_preset

    preset = load_preset(model)
    kind = preset.noise_kind(noise)
    label = 0 if class_name is None else preset.label(class_name)
    if number < 0:
        raise ConfigError(f"--number must be at least 0, got {number}")
    numbers = np.array([label + number * len(preset.classes)])
    scenes = draw(preset, numbers, seed=seed, fixed=_assignments(sets or []))
    rays = preset.supersampling if supersampling is None else parse_sampling(supersampling)
    check_adaptive(engine, rays)
    expected = get_engine(engine, **engine_settings(engine, precision, device)).render(
        scenes, preset.instrument, supersampling=rays
    )
    image = (
        expected if kind == "none" else observe(expected, scenes, preset.instrument, kind, numbers=numbers, seed=seed)
    )
    params = {name: float(column[0]) for name, column in scenes.params.items() if np.isfinite(column[0])}
    about = {"model": preset.name, "class": preset.class_names[label], "noise": kind, "seed": seed}
    config = {
        "preset": preset.model_dump(mode="json"),
        "exposure_time": params.get("exposure_time"),
        "noise": kind,
        "seed": seed,
        "engine": engine,
        "versions": {"lenssim": lenssim.__version__},
    }
    write_image(out, image[0, 0], {**about, **params}, image_cards(config, image.shape[-2:]))
    if json:
        print(dumps({**about, "out": str(out), "params": params}))
        return
    for name, value in params.items():
        print(f"{name:<22} {value:< 22.16g} {scenes.unit(name)}")
    print(f"{out}: {preset.name} {about['class']}, peak {image.max():.4g}, noise {kind}")


def _assignments(texts: list[str]) -> dict[str, float]:
    from lenssim.errors import ConfigError

    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            if not equals:
                raise ValueError
            values[name.strip()] = float(value)
        except ValueError:
            raise ConfigError(f"--set takes NAME=NUMBER, such as theta_E=1.2; got {text!r}") from None
    return values
