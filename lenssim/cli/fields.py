"""`lenssim extract`, `lenssim search` and `lenssim mosaic`: wide fields."""

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
_Run = Annotated[
    str,
    typer.Option("--run", "-r", help="Run of find, or of classify with a class lens."),
]
_Others = Annotated[
    list[str] | None,
    typer.Option("--others", help="Another run to average with; may be repeated."),
]
_Tta = Annotated[
    bool, typer.Option("--tta", help="Average over the symmetries of the training.")
]
_Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps. Default: auto.")]
_Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the search.")]
_File = Annotated[Path, typer.Option("--out", "-o", help="The FITS file to write.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    add_command(app, extract, _extract_request)
    add_command(app, search, _search_request, without=("num_pix", "pixel_scale"))
    add_command(app, mosaic, _mosaic_request)


def _extract_request() -> type[BaseModel]:
    from lenssim.sky.fields.request import ExtractRequest

    return ExtractRequest


def _search_request() -> type[BaseModel]:
    from lenssim.learn.evaluation.search.request import SearchRequest

    return SearchRequest


def _mosaic_request() -> type[BaseModel]:
    from lenssim.simulate.wide.request import MosaicRequest

    return MosaicRequest


def extract(field: Field, out: _Out, workers: Workers = 0, **options: Any) -> None:
    """Cut stamps of all galaxies out of a wide field: a data set with RA and Dec."""
    from lenssim.api.fields import extract as extract_stamps
    from lenssim.cli.stop import stoppable
    from lenssim.data.format.bands import shape_words
    from lenssim.sky.fields.catalogue import CATALOGUE

    with stoppable() as stop:
        manifest = extract_stamps(
            field, out, workers=workers, stop=stop, **options
        ).manifest
    shape = shape_words(manifest.image_shape, manifest.bands)
    print(f"{out}: {manifest.n} stamps of {shape}, catalogue {out / CATALOGUE}")
    print(f"next: {command('show', out)}, or {command('info', out)}")


def search(
    field: Field,
    run: _Run,
    out: _Folder,
    others: _Others = None,
    tta: _Tta = False,
    device: _Device = "auto",
    workers: Workers = 0,
    **options: Any,
) -> None:
    """Search a wide field for lenses: scores, a catalogue, and a page to mark the best."""
    from lenssim.api.search import search as search_lenses
    from lenssim.cli.stop import stoppable
    from lenssim.sky.fields.catalogue import CATALOGUE

    options |= {"others": others, "tta": tta, "device": device, "workers": workers}
    with stoppable() as stop:
        candidates = search_lenses(field, run, out, stop=stop, **options)
    print(f"{out}: {candidates.rows} galaxies have a score; catalogue {out / CATALOGUE}")
    for number in range(min(3, candidates.rows)):
        row = candidates.row(number)
        print(f"{row['rank']:>3}  score {row['score']:.4f}  {row['name']}")
    print(f"look through the best: {candidates.page}")


def mosaic(model: _Model, out: _File, **options: Any) -> None:
    """Simulate a wide field: galaxies, stars, and a preset's lenses at known places."""
    from lenssim.api.fields import mosaic as simulate_mosaic
    from lenssim.cli.stop import stoppable
    from lenssim.simulate.wide.mosaic import truth_path

    with stoppable() as stop:
        truth = simulate_mosaic(model, out, stop=stop, **options)
    kinds = truth["kind"].tolist()
    print(
        f"{out}: {kinds.count('lens')} lenses, {kinds.count('galaxy')} galaxies, "
        f"{kinds.count('star')} stars; truth {truth_path(out)}"
    )
    print(f"next: {command('extract', out, '--out', 'D')}")
