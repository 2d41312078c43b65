"""`lenssim audit`: could a network tell the classes of a data set apart without learning substructure?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenssim.cli.options import Json
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.api.realism import RealismTable

__all__ = ["register"]
_Data = Annotated[
    str,
    typer.Argument(metavar="D", help="Folder of a data set, or what lenssim train reads."),
]
_Limit = Annotated[
    int | None,
    typer.Option(
        help="Judge only the first so many images of each class; with --real, of each set (1,000 unless stated)."
    ),
]
_JudgedBy = Annotated[
    str | None,
    typer.Option(
        metavar="D2",
        help="Learn from all of D and judge by this one: other samples of the same preset, as of another seed.",
    ),
]
_Real = Annotated[
    str | None,
    typer.Option(
        metavar="REAL",
        help="Compare the images with real ones instead: a data set of lenssim import fits.",
    ),
]
_Run = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="With --real: a run whose network is asked. Default: a network with random weights.",
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="JSON file to write. Default: leak_audit.json in the folder, or realism_audit.json.",
    ),
]
_Picture = Annotated[
    str,
    typer.Option(
        metavar="MAP",
        help="What is audited: image, or a map that the data set keeps, such as twin, the image without its source.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(audit)


def audit(
    data: _Data,
    limit: _Limit = None,
    judged_by: _JudgedBy = None,
    real: _Real = None,
    run: _Run = None,
    out: _Out = None,
    picture: _Picture = "image",
    json: Json = False,
) -> None:
    """Try to tell the classes apart by flux, ring, moments, noise, layout and edges; nobody should be able to.

    AUC of classifiers on a few numbers an image, learned from one half of D and judged by the other, with 95 %
    intervals. Only the edges know substructure at all: where
    they alone succeed, substructure is seen too easily rather than given away by something else.

    With --real: try to tell simulated images from real ones by noise, light and fine structure.
    """
    from json import dumps

    from lenssim.api.checks import audit as audit_data
    from lenssim.api.realism import RealismTable
    from lenssim.cli.table import print_table
    from lenssim.names import printable

    options: dict[str, Any] = {"judged_by": judged_by, "real": real, "run": run}
    options["picture"] = picture
    audited = audit_data(data, limit=limit, out=out, **options)
    if json:
        print(dumps(audited.document))
        return
    if isinstance(audited, RealismTable):
        _print_realism(audited)
        return
    rows = [_cells(audited.row(number)) for number in range(audited.rows)]
    print_table(["classes", "statistic", "AUC", "95 % interval", ""], rows, right=["AUC"])
    if audited.path is not None:
        print(f"written: {audited.path}")
    print(printable(audited.verdict))
    print(f"next: {command('train', 'classify', '--net', 'cnn', '--data', data)}")


def _cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row."""
    mark = ""
    if row["leaks"]:
        mark = "leaks"
    interval = f"[{row['low']:.3f}, {row['high']:.3f}]"
    return [row["classes"], row["statistic"], f"{row['auc']:.3f}", interval, mark]


def _print_realism(audited: "RealismTable") -> None:
    """Print the statistics of a realism audit, the classifiers and the verdict."""
    from lenssim.cli.table import print_table
    from lenssim.names import printable

    rows = [_realism_cells(audited.row(number)) for number in range(audited.rows)]
    head = ["statistic", "real", "simulated", "AUC", "95 % interval", "p", ""]
    print_table(head, rows, right=["real", "simulated", "AUC", "p"])
    if factors := audited.document.get("unit_factors"):
        words = ", ".join(f"{factor:.3g}" for factor in factors)
        print(f"real images are in another unit of flux: multiplied by {words}")
    for row in audited.document["separations"]:
        print(f"{row['name']}: AUC {row['auc']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
    for path in (audited.path, *audited.figures):
        if path is not None:
            print(f"written: {path}")
    print(printable(audited.verdict))


def _realism_cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row."""
    mark = ""
    if row["betrays"]:
        mark = "betrays"
    values = [f"{row[name]:.4g}" for name in ("real", "simulated")]
    interval = f"[{row['low']:.3f}, {row['high']:.3f}]"
    return [
        row["statistic"],
        *values,
        f"{row['auc']:.3f}",
        interval,
        f"{row['p']:.2g}",
        mark,
    ]
