"""`lenssim seal` and `repack`: data sets that are completed, or stored in another way."""

from pathlib import Path
from typing import Annotated

import typer

from lenssim.cli.options import Json

__all__ = ["register"]
_Folder = Annotated[
    Path,
    typer.Argument(help="Folder of a data set whose shards were made by --shards."),
]
_Source = Annotated[str, typer.Argument(help="Folder or URL of a complete data set.")]
_Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the data set to write.")]
_Storage = Annotated[str, typer.Option(help="float32, float16 or int16.")]
_Compress = Annotated[
    bool,
    typer.Option("--compress", help="Bitshuffle and LZ4 (needs lenssim[compress])."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(seal)
    app.command()(repack)


def seal(
    folder: _Folder,
    json: Json = False,
) -> None:
    """Complete a data set whose shards are all there: write its manifest."""
    from lenssim.api.folders import seal as complete
    from lenssim.cli.generate import print_dataset

    print_dataset(folder, complete(folder), json)


def repack(
    source: _Source,
    out: _Out,
    storage: _Storage = "float32",
    compress: _Compress = False,
    json: Json = False,
) -> None:
    """Store a data set in another way: the same as if it had been generated so. Repeating the command continues."""
    from lenssim.api.folders import repack as write_copy
    from lenssim.cli.generate import print_dataset
    from lenssim.cli.stop import stoppable

    with stoppable() as stop:
        data = write_copy(source, out, storage, compress, stop=stop)
    print_dataset(out, data, json)
