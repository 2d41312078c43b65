"""`lenssim seal` and `repack`: data sets that are completed, or stored in another way."""

from pathlib import Path
from typing import Annotated

import typer

from lenssim.cli.options import Json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(seal)
    app.command()(repack)


def seal(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder of a data set whose shards were made by --shards."),
    ],
    json: Json = False,
) -> None:
    """Complete a data set whose shards are all there: write its manifest."""
    from lenssim.cli.generate import print_manifest
    from lenssim.data.format.manifest import read_plan
    from lenssim.data.generation.building import seal as run

    print_manifest(folder, run(folder, read_plan(folder)), json)


def repack(
    source: Annotated[str, typer.Argument(help="Folder or URL of a complete data set.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the data set to write.")
    ],
    storage: Annotated[str, typer.Option(help="float32, float16 or int16.")] = "float32",
    compress: Annotated[
        bool,
        typer.Option("--compress", help="Bitshuffle and LZ4 (needs lenssim[compress])."),
    ] = False,
    json: Json = False,
) -> None:
    """Store a data set in another way: the same as if it had been generated so. Repeating the command continues."""
    from lenssim.cli.generate import print_manifest
    from lenssim.cli.progress import samples_bar
    from lenssim.cli.stop import stoppable
    from lenssim.data.inspection.repacking import repack as run

    with stoppable() as stop, samples_bar("repacking") as report:
        manifest = run(source, out, storage, compress, report=report, stop=stop)
    print_manifest(out, manifest, json)
