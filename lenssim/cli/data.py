"""`lenssim info`, `verify`, `show`, `import` and `export`: data sets that exist."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lenssim.cli.options import Json
from lenssim.commands import command

__all__ = ["register"]

_INDENT = 15  # columns that the name of a fact takes
_WIDTH = 92  # of the names of many parameters

Folder = Annotated[
    str,
    typer.Argument(help="Folder of a data set, or its URL (s3://, https://, file:// ...)."),
]
_Fast = Annotated[bool, typer.Option("--fast", help="Presence and sizes only, no hashing.")]
_Resimulate = Annotated[
    int,
    typer.Option(
        "--resimulate",
        metavar="K",
        help="Also make K samples again and compare every bit.",
    ),
]
_Galaxies = Annotated[
    Path | None,
    typer.Option(
        help="Where the galaxies are that the data set's sources show; for --resimulate."
    ),
]
_Background = Annotated[
    Path | None,
    typer.Option(
        help="Where the cut-outs of sky are that the images show; for --resimulate."
    ),
]
_Lenses = Annotated[
    Path | None,
    typer.Option(
        help="Where the table of lenses is, if not in the folder; for --resimulate."
    ),
]
_ShowOut = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Where the pictures go; default: <folder>/figures."),
]
_Count = Annotated[int, typer.Option(help="Images a class.")]
_Picture = Annotated[
    str, typer.Option(help="image, or a map that is kept, such as clean or sigma.")
]
_ExportOut = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")]
_To = Annotated[
    str,
    typer.Option(
        "--to",
        help="Layout: npy (published folders), webdataset, fits (a file a shard), cutouts (a file an image).",
    ),
]

_MOST_NAMED = 20  # of the files that an export writes


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(info)
    app.command()(verify)
    app.command()(show)
    app.command()(export)


def info(folder: Folder, json: Json = False) -> None:
    """Say what a data set is: preset, size, classes, noise, seed, versions, fingerprint."""
    from json import dumps

    from lenssim.api.folders import info as summarise

    facts = summarise(folder).document()
    if json:
        print(dumps(facts))
        return
    for name, value in facts.items():
        if value is not None:
            words = name.replace("_", " ")
            print(f"{words:<{_INDENT - 1}} {_fact_text(name, value)}")
    print(f"next: {command('verify', folder)}, or {command('show', folder)}")


def _fact_text(name: str, value: Any) -> str:
    """Return a fact of a summary as it is printed."""
    from lenssim.names import printable

    if isinstance(value, bool):
        return "yes" if value else "no: repeat the command that made it to continue"
    if isinstance(value, dict):
        value = ", ".join(f"{key} {item}" for key, item in value.items())
    elif name == "parameters":
        return _folded(value)
    elif name == "image_shape":
        value = " x ".join(map(str, value))
    elif isinstance(value, list):
        value = ", ".join(map(str, value))
    elif name == "bytes":
        value = f"{value:,}"
    elif name == "pixel_scale":
        value = f"{value:.6g} arcsec"
    return printable(str(value))


def _folded(names: list[str]) -> str:
    """Return many names as lines below each other, beside the name of the fact."""
    from textwrap import wrap

    from lenssim.names import printable

    lines = wrap(", ".join(map(printable, names)), _WIDTH, break_long_words=False)
    return ("\n" + " " * _INDENT).join(lines)


def verify(
    folder: Folder,
    fast: _Fast = False,
    resimulate: _Resimulate = 0,
    galaxies: _Galaxies = None,
    background: _Background = None,
    lenses: _Lenses = None,
    json: Json = False,
) -> None:
    """Check that a data set holds what was written; exit code 3 if it does not, 4 if it is unfinished."""
    from dataclasses import asdict
    from json import dumps

    from lenssim.api.verification import depth, inspect, raise_problems
    from lenssim.names import printable

    report = inspect(
        folder,
        fast=fast,
        resimulate=resimulate,
        galaxies=galaxies,
        background=background,
        lenses=lenses,
    )
    if json:
        is_whole = not report.problems and not report.incomplete
        print(dumps({"ok": is_whole, **asdict(report)}))
    else:
        for problem in report.problems:
            print(printable(problem))
    raise_problems(folder, report, fast=fast)
    if json:
        return
    remark = depth(fast)
    if report.resimulated:
        remark += f", {report.resimulated} samples made again and equal to the bit"
    print(f"{folder}: {report.shards} shards, {report.samples} samples: {remark}")
    print(f"fingerprint {report.fingerprint}")


def show(
    folder: Folder,
    out: _ShowOut
    = None,
    count: _Count = 25,
    picture: _Picture = "image",
) -> None:  # fmt: skip
    """Draw a contact sheet of each class as PNG."""
    from lenssim.api.opening import show as draw_sheets
    from lenssim.cli.problems import raise_last
    from lenssim.data.streaming.locations import is_url
    from lenssim.errors import ConfigError, DataError

    if out is None and is_url(folder):
        raise ConfigError(
            f"say by --out where the pictures of {folder} go",
            code="option-missing",
            option="out",
            folder=folder,
        )
    target = out or Path(folder) / "figures"
    damaged: list[DataError] = []
    for name in draw_sheets(folder, target, count, picture, report=damaged.append):
        print(target / f"{name}.png")
    raise_last(damaged)


def export(
    folder: Folder,
    out: _ExportOut,
    to: _To = "npy",
) -> None:
    """Write a data set in another layout."""
    from lenssim.api.exchange import export as export_data

    paths = export_data(folder, out, to)
    for path in paths[:_MOST_NAMED]:
        print(path)
    if len(paths) > _MOST_NAMED:
        print(f"... {len(paths):,} files in all")
