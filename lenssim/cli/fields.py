"""`lenssim extract` and `lenssim mosaic`: wide fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenssim.cli.model_command import add_command
from lenssim.commands import command

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Field", "Workers", "register"]

Field = Annotated[
    list[Path],
    typer.Argument(
        metavar="FIELD...",
        help="FITS file of the field, or the files of its bands, noise maps, masks and PSFs.",
    ),
]
Workers = Annotated[
    int, typer.Option(help="Worker processes; 0 works in this one. Default: 0.")
]
_Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the data set to make.")]
_Model = Annotated[
    str,
    typer.Argument(
        metavar="PRESET", help="Preset (lenssim models lists them), or a YAML file."
    ),
]
_File = Annotated[Path, typer.Option("--out", "-o", help="The FITS file to write.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    add_command(app, extract, _extract_request)
    add_command(app, mosaic, _mosaic_request)


def _extract_request() -> type[BaseModel]:
    from lenssim.data.extraction.request import ExtractRequest

    return ExtractRequest


def _mosaic_request() -> type[BaseModel]:
    from lenssim.simulate.wide.request import MosaicRequest

    return MosaicRequest


def extract(field: Field, out: _Out, workers: Workers = 0, **options: Any) -> None:
    """Cut stamps of all galaxies out of a wide field: a data set with RA and Dec."""
    from lenssim.api.fields import extract as extract_stamps
    from lenssim.cli.stop import stoppable
    from lenssim.data.extraction.catalogue import CATALOGUE
    from lenssim.data.format.bands import shape_words

    with stoppable() as stop:
        manifest = extract_stamps(
            field, out, workers=workers, stop=stop, **options
        ).manifest
    shape = shape_words(manifest.image_shape, manifest.bands)
    print(f"{out}: {manifest.n} stamps of {shape}, catalogue {out / CATALOGUE}")
    print(f"next: {command('show', out)}, or {command('info', out)}")


def mosaic(model: _Model, out: _File, **options: Any) -> None:
    """Simulate a wide field: galaxies, stars, and a preset's lenses at known places."""
    from lenssim.api.fields import mosaic as simulate_mosaic
    from lenssim.simulate.wide.mosaic import truth_path

    truth = simulate_mosaic(model, out, **options)
    kinds = truth["kind"].tolist()
    print(
        f"{out}: {kinds.count('lens')} lenses, {kinds.count('galaxy')} galaxies, "
        f"{kinds.count('star')} stars; truth {truth_path(out)}"
    )
    print(f"next: {command('extract', out, '--out', 'D')}")
