"""`lenssim generate` and `lenssim render`: data sets and single images from a preset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenssim.cli.model_command import add_command
from lenssim.cli.options import Json
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.api.dataset import Dataset
    from lenssim.api.workers import Workers
    from lenssim.data.generation.request import GenerationRequest
    from lenssim.simulate.request import SimulationRequest

__all__ = ["print_dataset", "register"]

NOT_OF_ONE_IMAGE = ("maps", "residual_from", "detectability")  # fields of a request


_GenerateOut = Annotated[Path, typer.Option("--out", "-o", help="Folder of the data set.")]
_Workers = Annotated[
    int | None,
    typer.Option(
        help="Worker processes; 0 works in this one. Default: as many as pay for their "
        "start, at most one a core."
    ),
]
_Cluster = Annotated[
    Path | None,
    typer.Option(
        help="YAML file of a batch queue: make shards there (pipelines/slurm/cluster.yaml)."
    ),
]
_Scheduler = Annotated[
    str | None,
    typer.Option(help="Address of a dask scheduler that runs: make shards on its workers."),
]
_Shards = Annotated[
    str | None,
    typer.Option(
        help="Make only these shards, such as 3::8; lenssim seal completes the set."
    ),
]
_Dashboard = Annotated[
    bool, typer.Option("--dashboard", help="Print the address of dask's dashboard.")
]
_DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check everything; print size, time and any job script, and write nothing.",
    ),
]
_RenderOut = Annotated[
    Path, typer.Option("--out", "-o", help="File to write: .npy, .fits or .png.")
]
_ClassName = Annotated[
    str | None,
    typer.Option("--class", "-c", help="Class; default: the preset's first."),
]
_Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a drawn parameter by hand; may be repeated.",
    ),
]
_Number = Annotated[int, typer.Option(help="Which sample of the class, counted from 0.")]
_Json = Annotated[
    bool, typer.Option("--json", help="Print the scene's parameters as JSON.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    add_command(app, generate, _generation_request)
    add_command(app, render, _simulation_request, without=NOT_OF_ONE_IMAGE)


def _generation_request() -> type[GenerationRequest]:
    """Import what a data set is asked for with."""
    from lenssim.data.generation.request import GenerationRequest

    return GenerationRequest


def _simulation_request() -> type[SimulationRequest]:
    """Import what images are asked for with."""
    from lenssim.simulate.request import SimulationRequest

    return SimulationRequest


def generate(
    out: _GenerateOut,
    workers: _Workers = None,
    cluster: _Cluster = None,
    scheduler: _Scheduler = None,
    shards: _Shards = None,
    dashboard: _Dashboard = False,
    dry_run: _DryRun = False,
    json: Json = False,
    **options: Any,
) -> None:
    """Simulate a data set. Repeating the command continues what was interrupted."""
    from lenssim.api.generation import generate as generate_data
    from lenssim.api.workers import Workers
    from lenssim.cli.stop import stoppable
    from lenssim.errors import ConfigError

    if shards is not None and (cluster or scheduler):
        raise ConfigError(
            "--shards is for shares without dask; leave --cluster and --scheduler out",
            code="options-conflict",
            options=("shards", "cluster", "scheduler"),
        )
    place = Workers(workers, cluster, scheduler, dashboard)
    place.check()
    if dry_run:
        _print_plan(out, place, options, json)
        return
    if shards is not None:
        _make_share(out, shards, workers, options)
        return
    with stoppable() as stop:
        data = generate_data(
            out=out,
            workers=workers,
            cluster=cluster,
            scheduler=scheduler,
            dashboard=dashboard,
            stop=stop,
            **options,
        )
    print_dataset(out, data, json)


def _print_plan(out: Path, place: Workers, options: dict[str, Any], json: bool) -> None:
    """Print what a data set will cost, and the script of its jobs; as JSON the plan itself."""
    from lenssim.api.generation import plan_dataset
    from lenssim.data.format.bands import shape_words
    from lenssim.data.generation.effort import images_bytes, seconds_an_image

    plan = plan_dataset(out=out, **options)
    if json:
        print(plan.model_dump_json(indent=1))
        return
    preset = plan.spec.preset
    shape = shape_words(preset.image_shape, preset.instrument.band_names)
    print(f"{out}: {plan.n:,} images of {shape} in {plan.shards:,} shards")
    print(f"on disk: {images_bytes(plan) / 1e9:.3g} GB of images and maps")
    hours = plan.n * seconds_an_image(plan.spec) / 3600
    print(f"cost: about {_hours(hours)} of one core of a present machine")
    script = place.script()
    if script is not None:
        print(f"jobs: {place.jobs()}. Every job:\n{script}")
    print("nothing was written; --json prints the plan")


def _hours(hours: float) -> str:
    """Return a time in the unit that suits it."""
    if hours >= 1:
        return f"{hours:.1f} hours"
    if hours * 60 >= 1:
        return f"{hours * 60:.0f} minutes"
    return f"{max(1, round(hours * 3600))} seconds"


def _make_share(
    out: Path, shards: str, workers: int | None, options: dict[str, Any]
) -> None:
    """Make some shards of a data set."""
    from lenssim.api.generation import generate_shards
    from lenssim.cli.stop import stoppable

    with stoppable() as stop:
        plan, numbers, images = generate_shards(
            out=out, shards=shards, workers=workers, stop=stop, **options
        )
        print(f"{out}: {len(numbers)} of {plan.shards} shards, {images} images")
        print(f"next, when the other shares are there: {command('seal', out)}")


def print_dataset(out: Path, data: Dataset, json: bool) -> None:
    """Say what a finished data set in the folder `out` is."""
    manifest = data.manifest
    if json:
        print(manifest.model_dump_json(exclude={"shards"}))
        return
    from lenssim.data.format.bands import shape_words

    counts = [f"{name} {count}" for name, count in manifest.class_counts.items()]
    shape = shape_words(manifest.image_shape, manifest.bands)
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
    out: _RenderOut,
    class_name: _ClassName = None,
    sets: _Sets = None,
    number: _Number = 0,
    json: _Json = False,
    **options: Any,
) -> None:
    """Render one scene; any of its parameters can be set by the name that /params has."""
    from json import dumps

    from lenssim.api.generation import render as render_scene

    exposure = render_scene(
        class_name=class_name, sets=_assignments(sets or []), number=number, **options
    )
    exposure.save(out)
    about = exposure.facts()
    params = exposure.finite_params()
    if json:
        print(dumps({**about, "out": str(out), "params": params}))
        return
    for name, value in params.items():
        print(f"{name:<22} {value:< 22.16g} {exposure.scenes.unit(name)}")
    print(
        f"{out}: {about['model']} {about['class']}, peak {exposure.images.max():.4g}, "
        f"noise {about['noise']}"
    )


def _assignments(texts: list[str]) -> dict[str, float]:
    from lenssim.errors import ConfigError

    values = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            values[name.strip()] = float(value)
        except ValueError:
            raise ConfigError(
                f"--set takes NAME=NUMBER, such as theta_E=1.2; got {text!r}",
                code="option-format",
                option="set",
                value=text,
            ) from None
    return values
