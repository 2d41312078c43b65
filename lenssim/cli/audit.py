"""`lenssim audit`: could a network tell the classes of a data set apart without learning substructure?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenssim.cli.options import Json
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.learn.scores.leaks import Leak

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(audit)


def audit(
    data: Annotated[
        str,
        typer.Argument(
            metavar="D", help="Folder of a data set, or what lenssim train reads."
        ),
    ],
    limit: Annotated[
        int | None, typer.Option(help="Judge only the first so many images of each class.")
    ] = None,
    judged_by: Annotated[
        str | None,
        typer.Option(
            metavar="D2",
            help="Learn from all of D and judge by this one: other samples of the same preset, as of another seed.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="JSON file to write. Default: leak_audit.json in the folder.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Try to tell the classes apart by flux, ring, moments, noise, layout and edges; nobody should be able to.

    AUC of classifiers on a few numbers an image, learned from one half of D and judged by the other, with 95 %
    intervals. Only the edges know substructure at all: where
    they alone succeed, substructure is seen too easily rather than given away by something else.
    """
    from json import dumps

    from lenssim.cli.table import print_table
    from lenssim.data.format.files import write_json
    from lenssim.data.format.manifest import read_manifest, read_plan
    from lenssim.data.generation.dataset_card import LEAK_AUDIT, write_card
    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.data.streaming.locations import LocalFolder
    from lenssim.errors import ConfigError
    from lenssim.learn.scores.leaks import audit as judge
    from lenssim.names import printable

    if limit is not None and limit < 1:
        raise ConfigError(
            f"--limit must be at least 1, got {limit}",
            code="option-range",
            option="limit",
            value=limit,
        )
    if out is not None and out.suffix != ".json":
        raise ConfigError(
            f"--out takes a .json file, got {out}",
            code="option-format",
            option="out",
            value=out,
        )
    dataset = ShardDataset(data)
    document, leaks = judge(
        dataset, limit, None if judged_by is None else ShardDataset(judged_by)
    )
    if out is None and isinstance(dataset.location, LocalFolder):
        out = dataset.folder / LEAK_AUDIT
    if out is not None:
        write_json(out, document)
    if isinstance(dataset.location, LocalFolder):
        write_card(dataset.folder, read_plan(dataset.folder), read_manifest(dataset.folder))
    if json:
        print(dumps(document))
        return
    rows = [
        [
            " / ".join(leak.classes),
            leak.statistic,
            f"{leak.auc:.3f}",
            f"[{leak.low:.3f}, {leak.high:.3f}]",
            _mark(leak),
        ]
        for leak in leaks
    ]
    print_table(["classes", "statistic", "AUC", "95 % interval", ""], rows, right=["AUC"])
    if out is not None:
        print(f"kept in {out}")
    print(printable(str(document["verdict"])))
    print(f"next: {command('train', 'classify', '--net', 'cnn', '--data', data)}")


def _mark(leak: "Leak") -> str:
    return "leaks" if leak.leaks else ""
