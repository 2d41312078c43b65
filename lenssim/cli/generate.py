"""`lenssim generate` and `lenssim render`: data sets and single images from a preset."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

Model = Annotated[str, typer.Option("--model", "-m", help="Preset: I, II, III, or the path of a preset's YAML file.")]
Noise = Annotated[str | None, typer.Option(help="nominal, none or published; default: the preset's first.")]
Engine = Annotated[str, typer.Option(help="What renders: batched (fast), or lenstronomy (the reference).")]
Precision = Annotated[str | None, typer.Option(help="float32 or float64; default: the engine's.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]
Supersampling = Annotated[int | None, typer.Option(help="Rays a pixel side, 1 to 12; default: the preset's.")]


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
    engine: Engine = "batched",
    precision: Precision = None,
    device: Device = "auto",
    supersampling: Supersampling = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; 0 works in this one. Default: one a core.")
    ] = None,
    shard_size: Annotated[int | None, typer.Option(help="Samples a shard; changes no sample.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print the plan only.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Simulate a data set. Repeating the command continues what was interrupted."""
    import os

    from lenssim.cli.progress import samples_bar
    from lenssim.data.generate import generate as run
    from lenssim.data.generate import make_plan
    from lenssim.errors import ConfigError
    from lenssim.simulate.preset import load_preset

    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    if not 0 <= workers <= 1024:
        raise ConfigError(f"the number of workers must lie in 0..1024, got {workers}")
    plan = make_plan(
        load_preset(model),
        n,
        seed=seed,
        split=split,
        noise=noise,
        engine_name=engine,
        precision=precision,
        device=device,
        supersampling=supersampling,
        shard_size=shard_size,
        folder=out,
    )
    if dry_run:
        print(plan.model_dump_json(indent=1))
        return
    with _stoppable(), samples_bar("generating") as report:
        manifest = run(out, plan, workers=workers, report=report)
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
    print(f"next: lenssim show {out}, or lenssim train classify --net cnn --data {out}")


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGINT and SIGTERM end the work within, with a word on how to continue and the exit code 128 + signal."""
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: object) -> None:
    print("lenssim: stopped; finished shards are safe, repeat the command to continue", file=sys.stderr)
    raise SystemExit(128 + number)


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

    from lenssim.data.convert import write_image
    from lenssim.errors import ConfigError
    from lenssim.simulate.draw import draw
    from lenssim.simulate.engines import engine as get_engine
    from lenssim.simulate.engines import engine_settings
    from lenssim.simulate.observe import observe
    from lenssim.simulate.preset import load_preset

    preset = load_preset(model)
    kind = preset.noise_kind(noise)
    label = 0 if class_name is None else preset.label(class_name)
    if number < 0:
        raise ConfigError(f"--number must be at least 0, got {number}")
    numbers = np.array([label + number * len(preset.classes)])
    scenes = draw(preset, numbers, seed=seed, fixed=_assignments(sets or []))
    rays = supersampling or preset.supersampling
    expected = get_engine(engine, **engine_settings(engine, precision, device)).render(
        scenes, preset.instrument, supersampling=rays
    )
    image = (
        expected if kind == "none" else observe(expected, scenes, preset.instrument, kind, numbers=numbers, seed=seed)
    )
    params = {name: float(column[0]) for name, column in scenes.params.items() if np.isfinite(column[0])}
    about = {"model": preset.name, "class": preset.class_names[label], "noise": kind, "seed": seed}
    write_image(out, image[0, 0], {**about, **params})
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
