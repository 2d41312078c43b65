"""`lenssim generate` and `lenssim render`: data sets and single images from a preset."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenssim.cli.model_command import add_command, parse_options
from lenssim.cli.options import Json
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.data.format.manifest import Manifest, Plan
    from lenssim.data.generation.planning import GenerationRequest
    from lenssim.data.generation.runners import Runner
    from lenssim.simulate.pipeline import Exposure
    from lenssim.simulate.spec import SimulationRequest

__all__ = ["print_manifest", "register"]

DEVICE = "auto"  # by default: a command takes the fastest device of the machine
MAX_WORKERS = 1024
NOT_OF_ONE_IMAGE = ("maps", "detectability")  # fields of a request


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    add_command(app, generate, _generation_request)
    add_command(app, render, _simulation_request, without=NOT_OF_ONE_IMAGE)


def _generation_request() -> type[GenerationRequest]:
    """Import what a data set is asked for with."""
    from lenssim.data.generation.planning import GenerationRequest

    return GenerationRequest


def _simulation_request() -> type[SimulationRequest]:
    """Import what images are asked for with."""
    from lenssim.simulate.spec import SimulationRequest

    return SimulationRequest


def generate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the data set.")],
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes; 0 works in this one. Default: one a core, fewer where "
            "memory is short."
        ),
    ] = None,
    cluster: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of a batch queue: make shards there "
            "(pipelines/slurm/cluster.yaml)."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a dask scheduler that runs: make shards on its workers."
        ),
    ] = None,
    shards: Annotated[
        str | None,
        typer.Option(
            help="Make only these shards, such as 3::8; lenssim seal completes the set."
        ),
    ] = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Print the address of dask's dashboard.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check everything, print the plan and any job script only."
        ),
    ] = False,
    json: Json = False,
    **options: Any,
) -> None:
    """Simulate a data set. Repeating the command continues what was interrupted."""
    from lenssim.data.generation.simulation import share

    _check_ways(workers, cluster, scheduler, shards)
    runner, script = _elsewhere(cluster, scheduler, out, dashboard)
    count = _worker_count(workers)
    plan = _request(_generation_request(), options).plan(out)
    numbers = None
    if shards is not None:
        numbers = share(shards, plan.shards)
    if dry_run:
        _print_plan(plan, script)
    elif numbers is not None:
        _make_share(out, plan, numbers, count)
    else:
        _make_all(out, plan, lambda: runner or _here(plan, count, dashboard), json)


def _request[RequestT: SimulationRequest](
    kind: type[RequestT], options: dict[str, Any]
) -> RequestT:
    """Return what the options of a command ask for."""
    if options.get("device") is None:
        options = {**options, "device": DEVICE}
    return parse_options(kind, options)


def _check_ways(
    workers: int | None, cluster: Path | None, scheduler: str | None, shards: str | None
) -> None:
    """Refuse several ways to work at once."""
    from lenssim.errors import ConfigError

    if sum(way is not None for way in (workers, cluster, scheduler)) > 1:
        raise ConfigError(
            "give one of --workers, --cluster and --scheduler",
            code="options-conflict",
            options=("workers", "cluster", "scheduler"),
        )
    if shards is not None and (cluster or scheduler):
        raise ConfigError(
            "--shards is for shares without dask; leave --cluster and --scheduler out",
            code="options-conflict",
            options=("shards", "cluster", "scheduler"),
        )


def _worker_count(workers: int | None) -> int:
    """Return the number of worker processes, by default as many as there is room for."""
    from lenssim.data.generation.runners import default_workers
    from lenssim.errors import ConfigError

    count = workers
    if count is None:
        count = default_workers()
    if not 0 <= count <= MAX_WORKERS:
        raise ConfigError(
            f"the number of workers must lie in 0..{MAX_WORKERS}, got {count}",
            code="option-range",
            option="workers",
            value=count,
        )
    return count


def _print_plan(plan: Plan, script: str | None) -> None:
    """Print a plan, and the script of its jobs."""
    if script is not None:
        print(f"# every job:\n{script}\n# the plan:")
    print(plan.model_dump_json(indent=1))


def _make_share(out: Path, plan: Plan, shards: range, workers: int) -> None:
    """Make some shards of a data set."""
    from lenssim.cli.progress import samples_bar
    from lenssim.cli.stop import stoppable
    from lenssim.data.generation.simulation import generate_share

    with stoppable() as stop, samples_bar("generating") as report:
        images = generate_share(
            out, plan, shards, workers=workers, report=report, note=_note, stop=stop
        )
        print(f"{out}: {len(shards)} of {plan.shards} shards, {images} images")
        print(f"next, when the other shares are there: {command('seal', out)}")


def _make_all(out: Path, plan: Plan, runner: Callable[[], Runner], json: bool) -> None:
    """Make a whole data set and say what it is."""
    from lenssim.cli.progress import samples_bar
    from lenssim.cli.stop import stoppable
    from lenssim.data.generation.simulation import generate as generate_data

    with stoppable() as stop, samples_bar("generating") as report:
        manifest = generate_data(out, plan, runner=runner(), report=report, stop=stop)
    print_manifest(out, manifest, json)


def _note(text: str) -> None:
    """Print a note beside the results."""
    print(f"lenssim: {text}", file=sys.stderr, flush=True)


def _here(plan: Plan, workers: int, dashboard: bool) -> Runner:
    """Return a runner of processes on this machine."""
    from lenssim.data.generation.runners import local_runner
    from lenssim.data.generation.simulation import modules
    from lenssim.data.generation.surroundings import require

    count = min(workers, plan.shards)
    require(count, plan.spec.engine_settings)
    return local_runner(count, modules(plan), dashboard=dashboard, note=_note)


def _elsewhere(
    cluster: Path | None, scheduler: str | None, out: Path, dashboard: bool
) -> tuple[Runner | None, str | None]:
    """The runner of a cluster, if one is asked for, and the script of its jobs."""
    if cluster is not None:
        from lenssim.data.generation.batch_queue import job_script, queue_runner, read_queue

        queue = read_queue(cluster)
        return queue_runner(queue, out, dashboard=dashboard, note=_note), job_script(queue)
    if scheduler is not None:
        from lenssim.data.generation.runners import scheduler_runner

        return scheduler_runner(scheduler, dashboard=dashboard, note=_note), None
    return None, None


def print_manifest(out: Path, manifest: Manifest, json: bool) -> None:
    """Say what a finished data set is."""
    if json:
        print(manifest.model_dump_json(exclude={"shards"}))
        return
    counts = [f"{name} {count}" for name, count in manifest.class_counts.items()]
    shape = " x ".join(map(str, manifest.image_shape))
    print(f"{out}: {manifest.n} images of {shape} ({', '.join(counts)})")
    audit = manifest.audit
    if audit is not None:
        print(
            f"audit: {audit.samples} images rendered again with lenstronomy, worst pixel "
            f"off by {audit.peak:.1e} of the peak, {audit.noise:.1e} of the noise"
        )
    print(f"fingerprint {manifest.fingerprint}")
    task = ["regress", "--targets", "NAME,..."]
    if len(manifest.class_counts) > 1:
        task = ["classify"]
    training = command("train", *task, "--net", "cnn", "--data", out)
    print(f"next: {command('show', out)}, or {training}")


def render(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write: .npy, .fits or .png.")
    ],
    class_name: Annotated[
        str | None,
        typer.Option("--class", "-c", help="Class; default: the preset's first."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Set a drawn parameter by hand; may be repeated.",
        ),
    ] = None,
    number: Annotated[
        int, typer.Option(help="Which sample of the class, counted from 0.")
    ] = 0,
    json: Annotated[
        bool, typer.Option("--json", help="Print the scene's parameters as JSON.")
    ] = False,
    **options: Any,
) -> None:
    """Render one scene; any of its parameters can be set by the name that /params has."""
    from lenssim.errors import ConfigError
    from lenssim.simulate.pipeline import simulate

    spec = _request(_simulation_request(), options).spec()
    label = 0
    if class_name is not None:
        label = spec.preset.label(class_name)
    if number < 0:
        raise ConfigError(
            f"--number must be at least 0, got {number}",
            code="option-range",
            option="number",
            value=number,
        )
    sample_number = label + number * len(spec.preset.classes)
    exposure = simulate(spec, [sample_number], fixed=_assignments(sets or []))
    _write_exposure(out, exposure, json)


def _write_exposure(out: Path, exposure: Exposure, json: bool) -> None:
    """Write the image of one sample and print its parameters."""
    from json import dumps

    from lenssim.data.exchange.fits_headers import image_cards
    from lenssim.data.exchange.image_writing import write_image

    spec = exposure.spec
    image = exposure.observed
    if spec.noise == "none":
        image = exposure.expected  # in the engine's precision
    params = _finite_params(exposure)
    about = {
        "model": spec.preset.name,
        "class": spec.preset.class_names[int(exposure.labels[0])],
        "noise": spec.noise,
        "seed": spec.seed,
    }
    config = spec.config() | {"exposure_time": params.get("exposure_time")}
    cards = image_cards(config, image.shape[-2:])
    write_image(out, image[0, 0], {**about, **params}, cards)
    if json:
        print(dumps({**about, "out": str(out), "params": params}))
        return
    for name, value in params.items():
        print(f"{name:<22} {value:< 22.16g} {exposure.scenes.unit(name)}")
    print(
        f"{out}: {spec.preset.name} {about['class']}, peak {image.max():.4g}, "
        f"noise {spec.noise}"
    )


def _finite_params(exposure: Exposure) -> dict[str, float]:
    """Return the parameters that the one sample of an exposure has."""
    params = {name: float(column[0]) for name, column in exposure.scenes.params.items()}
    return {name: value for name, value in params.items() if abs(value) < float("inf")}


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
            raise ConfigError(
                f"--set takes NAME=NUMBER, such as theta_E=1.2; got {text!r}",
                code="option-format",
                option="set",
                value=text,
            ) from None
    return values
