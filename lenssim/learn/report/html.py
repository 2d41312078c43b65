"""The HTML report of a recipe: one page that needs no other file."""

import base64
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lenssim.data.format.files import read_json, write
from lenssim.data.format.maps import IMAGE
from lenssim.learn.evaluation.evaluation import read_table
from lenssim.learn.figures.comparison import histories_figure, sizes_figure
from lenssim.learn.figures.style import save_if_possible
from lenssim.learn.population.coverage import coverage_cells
from lenssim.learn.report.evaluated import (
    EvaluatedRun,
    figure_of_examples,
    inside,
    with_truth,
)
from lenssim.learn.report.table import NOTE, seed_cells
from lenssim.learn.report.through import through_cells
from lenssim.learn.runs.folders import make_folder
from lenssim.learn.runs.run import identify

__all__ = ["EvaluatedRun", "write_page"]

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ccc}h3{font-size:1rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}
th,td{border-bottom:1px solid #ddd;padding:.25rem .6rem .25rem 0;text-align:left;vertical-align:top;white-space:nowrap}
.figures{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;flex:1 1 20rem;max-width:34rem}
figure.broad{flex-basis:100%;max-width:100%}
img{max-width:100%;height:auto}figcaption,.note{font-size:.85rem;color:#555}
@media print{body{max-width:none;font-size:10pt}.wide{overflow:visible}td,th{white-space:normal}
figure,tr{break-inside:avoid}}
"""


_HEAD = (
    "<meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>"
)


class _FigureFolder:
    """A folder that figures are drawn into, for a page beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_folder(folder)

    def html(self, name: str, draw: Callable[[], Figure], caption: str) -> str:
        """Draw a figure; return its HTML, or a note where that fails."""
        path = self.folder / f"{name}.png"
        if not save_if_possible(draw, path):
            return f"<p class=note>{escape(caption)}: this figure could not be drawn</p>"
        return _figure(path, caption)


def write_page(
    folder: Path,
    title: str,
    evaluations: Sequence[EvaluatedRun],
    populations: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write report.html and figures/ into the folder of a recipe.

    Args:
        folder: Folder of the recipe.
        title: Title of the page.
        evaluations: Evaluations of runs.
        populations: Inferred populations by name, as `lenssim.learn.population.report.populations`
            returns them.
    """
    figures = _FigureFolder(folder / "figures")
    parts = [
        *_summary(title, evaluations),
        *_examples(evaluations, figures),
        *_trainings(evaluations, figures),
        *_comparisons(evaluations, figures),
        *_sizes(evaluations, figures),
        *_populations(populations or {}),
        "<h2>Run by run</h2>",
    ]
    for evaluation in evaluations:
        parts += _run(evaluation, figures)
    head = f"<head>{_HEAD}<title>{escape(title)}</title><style>{_STYLE}</style></head>"
    body = "\n".join(parts)
    page = f"<!doctype html><html lang=en>{head}<body>{body}</body></html>\n"
    write(folder / "report.html", page.encode())


def _summary(title: str, evaluations: Sequence[EvaluatedRun]) -> Iterator[str]:
    """Yield the tables of all runs, of their means over seeds, and of the data."""
    rows = [evaluation.row for evaluation in evaluations]
    seeds = seed_cells(rows)
    yield f"<h1>{escape(title)}</h1>"
    yield _table([row.cells for row in rows])
    yield f"<p class=note>{escape(NOTE)}</p>"
    if seeds:
        yield "<h2>Over seeds</h2>"
        yield _table(seeds)
        yield "<p class=note>Mean and standard deviation of trainings.</p>"
    through = through_cells(rows)
    if through:
        yield "<h2>With and without a denoiser</h2>"
        yield _table(through)
        yield "<p class=note>In square brackets: 95 % intervals over seeds.</p>"
    yield "<h2>Data</h2>"
    yield _table(_data_cells(evaluations))


def _examples(evaluations: Sequence[EvaluatedRun], figures: _FigureFolder) -> Iterator[str]:
    """Yield examples of each data set, and of each of its maps."""
    views: dict[str, EvaluatedRun] = {}
    for evaluation in evaluations:
        name = evaluation.row.data
        picture = evaluation.dataset.picture
        if picture != IMAGE:
            name = f"{name}-{picture}"
        views.setdefault(name, evaluation)
    for name, evaluation in views.items():
        draw = partial(figure_of_examples, evaluation)
        yield _section(
            figures.html(f"examples-{name}", draw, "examples, with their labels")
        )


def _trainings(
    evaluations: Sequence[EvaluatedRun], figures: _FigureFolder
) -> Iterator[str]:
    """Yield the histories of all trainings."""
    runs = {evaluation.run.folder.name: evaluation.run for evaluation in evaluations}
    histories = {name: run.epochs() for name, run in runs.items()}
    labels = {"train_loss": "training loss", "val_loss": "validation loss"}
    for run in runs.values():
        for key, name in run.record.task.presentation.progress.items():
            labels[f"val_{key}"] = f"validation {name}"
    figures_html = []
    for key, label in labels.items():
        with_column = {
            run: epochs for run, epochs in histories.items() if epochs and key in epochs[0]
        }
        if with_column:
            draw = partial(histories_figure, with_column, key, label, "all trainings")
            figures_html.append(figures.html(f"curves-{key}", draw, f"{label} by epoch"))
    yield "<h2>Trainings</h2>"
    yield _section(*figures_html)


def _comparisons(
    evaluations: Sequence[EvaluatedRun], figures: _FigureFolder
) -> Iterator[str]:
    """Yield comparisons of all runs with the same task on the same data."""
    for data, on_data in _grouped(evaluations, lambda evaluation: evaluation.row.data):
        title = on_data[0].row.title
        yield f"<h2>All runs on {escape(data)}: {escape(title)}</h2>"
        for _, group in _grouped(on_data, _task_title):
            tables = {
                evaluation.row.run: with_truth(read_table(evaluation.folder), evaluation)
                for evaluation in group
            }
            task = group[0].run.record.task
            drawings = task.presentation.compare(tables, f"on {group[0].row.title}")
            figures_html = [
                figures.html(f"{kind}-{data}".replace(" ", "-"), draw, kind)
                for kind, draw in drawings.items()
            ]
            yield _section(*figures_html)


def _task_title(evaluation: EvaluatedRun) -> str:
    return evaluation.run.record.task.title


def _grouped(
    evaluations: Sequence[EvaluatedRun], key: Callable[[EvaluatedRun], str]
) -> list[tuple[str, list[EvaluatedRun]]]:
    """Group evaluations by a key, in the order of their first members."""
    groups: dict[str, list[EvaluatedRun]] = {}
    for evaluation in evaluations:
        groups.setdefault(key(evaluation), []).append(evaluation)
    return list(groups.items())


def _sizes(evaluations: Sequence[EvaluatedRun], figures: _FigureFolder) -> Iterator[str]:
    """Yield the score by training-set size, if a net was trained on several sizes."""
    points: dict[str, list[tuple[int, Mapping[str, float]]]] = {}
    key, name = next(iter(evaluations[0].row.headlines.items()))
    for evaluation in evaluations:
        row = evaluation.row
        if key in row.metrics and row.members == 1:
            label = f"{row.net} on {row.data}"
            points.setdefault(label, []).append((row.train_images, row.metrics[key]))
    curves = {
        label: curve
        for label, curve in points.items()
        if len({size for size, _ in curve}) > 1
    }
    if curves:
        draw = partial(sizes_figure, curves, name, "the same net, from more images")
        yield "<h2>Training-set size</h2>"
        yield _section(figures.html("sizes", draw, "score against images trained on"))


def _populations(populations: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield tables and figures of inferred populations."""
    for name, document in populations.items():
        paths = sorted(Path(document["folder"]).glob("*.png"), reverse=True)
        yield f"<h2>Populations: {escape(name)}</h2>"
        yield _table(coverage_cells(document))
        yield _section(*[_figure(path, path.stem) for path in paths])


def _run(evaluation: EvaluatedRun, figures: _FigureFolder) -> Iterator[str]:
    """Yield tables and figures of one evaluation."""
    row = evaluation.row
    yield f"<h3>{escape(row.run)} on {escape(row.data)}</h3>"
    paths = sorted(evaluation.folder.glob("*.png"))
    figures_html = [_figure(path, path.stem) for path in paths]
    if row.members == 1:
        for name, draw, caption in inside(evaluation):
            figures_html.append(figures.html(f"{name}-{row.run}-{row.data}", draw, caption))
    tables = read_json(evaluation.folder / "metrics.json").get("tables", {})
    for name, lines in tables.items():
        yield f"<h4>{escape(name)}</h4>{_table(lines)}"
    yield _section(*figures_html)


def _section(*figures: str) -> str:
    return f"<div class=figures>{''.join(figures)}</div>"


def _figure(path: Path, caption: str) -> str:
    content = path.read_bytes()
    text = escape(caption)
    width, height = struct.unpack(">II", content[16:24])  # the position in a PNG
    data = base64.b64encode(content).decode()
    image = f"<img alt='{text}' src='data:image/png;base64,{data}'>"
    style = " class=broad" if width > 2 * height else ""
    return f"<figure{style}>{image}<figcaption>{text}</figcaption></figure>"


def _table(cells: Sequence[Mapping[str, str]]) -> str:
    names = list(dict.fromkeys(name for row in cells for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "".join(_table_line([row.get(name, "") for name in names]) for row in cells)
    return f"<div class=wide><table><tr>{head}</tr>{lines}</table></div>"


def _table_line(texts: Sequence[str]) -> str:
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    return f"<tr>{cells}</tr>"


def _data_cells(evaluations: Sequence[EvaluatedRun]) -> list[dict[str, str]]:
    """Return the data sets as the cells of a table."""
    lines = {}
    for evaluation in evaluations:
        identity = identify(evaluation.dataset)
        lines[evaluation.row.data] = {
            "data": evaluation.row.data,
            "what": identity.title,
            "images": f"{identity.n:,}",
            "seed": f"{identity.seed}",
            "engine": f"{identity.engine}",
            "fingerprint": identity.fingerprint[:16],
            "leak audit": evaluation.row.leaks.get("verdict", "not made"),
        }
    return list(lines.values())
