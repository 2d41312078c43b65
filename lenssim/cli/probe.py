"""`lenssim probe`: what the features of a run tell of classes."""

from pathlib import Path
from typing import Annotated

import typer

from lenssim.cli.options import Device, Json
from lenssim.commands import command

__all__ = ["register"]

_Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of any task.")]
_Data = Annotated[
    str, typer.Option("--data", "-d", help="Folder or URL of a data set with labels.")
]
_Shots = Annotated[
    str, typer.Option(metavar="N,N...", help="Labelled images of each class.")
]
_Draws = Annotated[int, typer.Option(help="Draws of these labelled images.")]
_Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder; default: probe-... in the run's."),
]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(probe)


def probe(
    run: _Run,
    data: _Data,
    shots: _Shots = "1,5,20,100",
    draws: _Draws = 100,
    out: _Out = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Judge the features of a run by a linear layer, by neighbours, and by a few labels.

    Features are what the last linear layer of its network sees.
    """
    from json import dumps

    from lenssim.api.probing import probe as judge
    from lenssim.cli.table import print_table

    table = judge(run, data, shots=shots, draws=draws, out=out, device=device)
    rows = [table.row(number) for number in range(table.rows)]
    if json:
        print(dumps(rows))
        return
    print(table.title)
    cells = [
        [
            row["judge"],
            str(row["labels"]),
            f"{row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]",
        ]
        for row in rows
    ]
    print_table(["judge", "labels", "score"], cells)
    print(f"next: {command('train', 'classify', '--start', run, '--data', data)}")
