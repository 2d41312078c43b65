"""The realism audit from Python: its table, and the files beside a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenssim.api.table import Table

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.learn.evaluation.realism import RealismAudit

__all__ = ["RealismTable", "realism_table"]

_COLUMNS = (
    *("statistic", "real", "simulated", "auc", "low", "high"),
    *("distance", "p", "betrays"),
)


class RealismTable(Table):
    """What a realism audit found: a row for each statistic, the most different first.

    Attributes:
        document: All numbers and the verdict, as in realism_audit.json.
        path: The file that was written; None if there is none.
        figures: The figures that were written.
    """

    document: dict[str, Any]
    path: Path | None
    figures: list[Path]

    @property
    def verdict(self) -> str:
        """Whether simulated and real images can be told apart, in words."""
        return str(self.document["verdict"])


def realism_table(
    source: "ShardDataset",
    real: "ShardDataset",
    run: Path | str | None,
    limit: int | None,
    out: Path | None,
) -> RealismTable:
    """Run a realism audit and write its files.

    Args:
        source: The data set of simulated images.
        real: The data set of real images.
        run: Folder of a run whose network is asked; None: a network with random weights.
        limit: How many images of each data set to use.
        out: JSON file to write; None: realism_audit.json in the folder of `source`.

    Returns:
        The table.
    """
    from lenssim.data.format.files import write_json
    from lenssim.data.format.manifest import read_manifest, read_plan
    from lenssim.data.generation.dataset_card import REALISM_AUDIT, write_card
    from lenssim.data.streaming.locations import LocalFolder
    from lenssim.learn.evaluation.realism import audit_realism
    from lenssim.learn.runs.run import open_run

    opened = None
    if run is not None:
        opened = open_run(Path(run))
    audited = audit_realism(source, real, run=opened, limit=limit)
    rows = audited.differences
    columns = {name: [getattr(row, name) for row in rows] for name in _COLUMNS}
    table = RealismTable(columns, title=str(audited.document["verdict"]))
    table.document = audited.document
    table.path = out
    table.figures = []
    is_local = isinstance(source.location, LocalFolder)
    if table.path is None and is_local:
        table.path = Path(source.folder) / REALISM_AUDIT
    if table.path is not None:
        write_json(table.path, audited.document)
        table.figures = _write_figures(audited, table.path, source.name)
    if is_local:
        folder = Path(source.folder)
        write_card(folder, read_plan(folder), read_manifest(folder))
    return table


def _write_figures(audited: "RealismAudit", path: Path, name: str) -> list[Path]:
    """Write the figures beside an audit's document, in figures/."""
    from lenssim.learn.figures.realism import realism_figure, realism_sheet
    from lenssim.learn.figures.style import save_if_possible

    folder = path.parent / "figures"
    folder.mkdir(exist_ok=True)
    title = f"{name}: {audited.document['verdict']}"
    values = (audited.real, audited.simulated)
    images = (audited.real_images, audited.simulated_images)
    figures = {
        f"{path.stem}.png": lambda: realism_figure(audited.differences, *values, title),
        f"{path.stem}_images.png": lambda: realism_sheet(*images, title),
    }
    return [
        folder / file
        for file, draw in figures.items()
        if save_if_possible(draw, folder / file)
    ]
