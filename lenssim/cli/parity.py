"""`lenssim parity`: the same scenes through all engines."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

_FIGURES = {
    "max/peak": "max_peak",
    "rms/peak": "rms_peak",
    "max/noise": "max_noise",
    "rms/noise": "rms_noise",
}


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(parity)


def parity(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Preset, or path of one; may be repeated. Default: every preset.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="Scenes a class.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the scenes.")] = 0,
    supersampling: Annotated[
        int | None, typer.Option(help="Rays a pixel side, 1 to 12; default: the preset's.")
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Engine to compare with lenstronomy; may be repeated. Default: all."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="PNG of the largest residuals.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the residuals as JSON.")
    ] = False,
) -> None:
    """Render the same scenes with every engine and print how far the images are apart.

    Noise-free, at equal supersampling and PSF, against lenstronomy; batched in float64. Exit code 3 if an engine is
    off by more than 1e-9 (batched) or 1e-7 (autolens) of the peak.
    """
    from json import dumps

    from lenssim.cli.table import print_table
    from lenssim.data.format.files import write
    from lenssim.data.inspection.residual_figure import residual_figure
    from lenssim.errors import ConfigError, VerificationError
    from lenssim.simulate.parity import REFERENCE
    from lenssim.simulate.parity import parity as compare
    from lenssim.simulate.preset import load_preset, presets

    names = model or presets()
    if out is not None and (out.suffix != ".png" or len(names) > 1):
        raise ConfigError(
            f"--out takes one preset's figure as .png; got {out} and {len(names)} presets"
        )
    tables = []
    for name in names:
        table = compare(
            load_preset(name), n, seed=seed, supersampling=supersampling, engines=engine
        )
        tables.append(table)
        if out is not None:
            title = (
                f"{table.preset}: {n} scenes a class, supersampling {table.supersampling}"
            )
            write(out, residual_figure(table.worst, title))
        if json:
            continue
        print(
            f"{table.preset}: {n} scenes a class, supersampling {table.supersampling}, against {REFERENCE}"
        )
        rows = [
            [
                residual.engine,
                residual.class_name,
                *(f"{getattr(residual, name):.1e}" for name in _FIGURES.values()),
                f"number {residual.number}",
            ]
            for residual in table.residuals
        ]
        print_table(["engine", "class", *_FIGURES, "worst"], rows, right=_FIGURES)
    if json:
        print(dumps([table.document() for table in tables], indent=1))
    elif out is not None:
        print(f"{out}: where they differ")
    if worst := [each for table in tables for each in table.residuals if not each.agrees]:
        raise VerificationError(
            f"{worst[0].engine} and {REFERENCE} differ by {worst[0].max_peak:.1e} of the peak in class "
            f"{worst[0].class_name}, sample {worst[0].number}; render it with both and report it"
        )
