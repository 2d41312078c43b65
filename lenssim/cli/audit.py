"""`lenssim audit`: could a network tell the classes of a data set apart without learning substructure?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from lenssim.cli.options import Json
from lenssim.commands import command

__all__ = ["register"]
_Data = Annotated[
    str,
    typer.Argument(metavar="D", help="Folder of a data set, or what lenssim train reads."),
]
_Limit = Annotated[
    int | None, typer.Option(help="Judge only the first so many images of each class.")
]
_JudgedBy = Annotated[
    str | None,
    typer.Option(
        metavar="D2",
        help="Learn from all of D and judge by this one: other samples of the same preset, as of another seed.",
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="JSON file to write. Default: leak_audit.json in the folder.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(audit)


def audit(
    data: _Data,
    limit: _Limit = None,
    judged_by: _JudgedBy = None,
    out: _Out = None,
    json: Json = False,
) -> None:
    """Try to tell the classes apart by flux, ring, moments, noise, layout and edges; nobody should be able to.

    AUC of classifiers on a few numbers an image, learned from one half of D and judged by the other, with 95 %
    intervals. Only the edges know substructure at all: where
    they alone succeed, substructure is seen too easily rather than given away by something else.
    """
    from json import dumps

    from lenssim.api.checks import audit as audit_data
    from lenssim.cli.table import print_table
    from lenssim.names import printable

    audited = audit_data(data, limit=limit, judged_by=judged_by, out=out)
    if json:
        print(dumps(audited.document))
        return
    rows = [_cells(audited.row(number)) for number in range(audited.rows)]
    print_table(["classes", "statistic", "AUC", "95 % interval", ""], rows, right=["AUC"])
    if audited.path is not None:
        print(f"kept in {audited.path}")
    print(printable(audited.verdict))
    print(f"next: {command('train', 'classify', '--net', 'cnn', '--data', data)}")


def _cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row."""
    mark = ""
    if row["leaks"]:
        mark = "leaks"
    interval = f"[{row['low']:.3f}, {row['high']:.3f}]"
    return [row["classes"], row["statistic"], f"{row['auc']:.3f}", interval, mark]
