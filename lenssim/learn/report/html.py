"""The HTML report of a recipe: one page that needs no other file."""

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
from lenssim.learn.report.adaptation import NOTE as ADAPTATION_NOTE
from lenssim.learn.report.adaptation import adaptation_cells
from lenssim.learn.report.evaluated import (
    EvaluatedRun,
    figure_of_examples,
    inside,
    with_truth,
)
from lenssim.learn.report.foot import page_foot
from lenssim.learn.report.table import NOTE, Row, seed_cells
from lenssim.learn.report.through import through_cells
from lenssim.learn.report.verdict import best_rows, verdict
from lenssim.learn.runs.folders import make_folder
from lenssim.learn.runs.run import identify
from lenssim.pages import figure, heading, html_page, html_table, picture_url

__all__ = ["EvaluatedRun", "write_page"]

_CAPTIONS = {  # of figures of an evaluation, by the name of their file
    "roc": "ROC: true positives against false positives",
    "confusion": "confusion: true class against answered class, with counts",
    "calibration": "calibration: how often an answer of this probability is right",
    "curves": "loss and scores by epoch",
    "errors": "errors of each target, with published ones",
    "truth": "answers against true values",
    "bins": "errors by true value",
    "ranks": "ranks of the truth in the posterior; level if errors hold",
    "coverage": "coverage: how often the truth lies inside the stated interval",
    "corner": "posterior of one image, with its truth",
}


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
        return _png(path, caption)


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
        *_summary(evaluations),
        *_examples(evaluations, figures),
        *_trainings(evaluations, figures),
        *_comparisons(evaluations, figures),
        *_sizes(evaluations, figures),
        *_populations(populations or {}),
        heading("Run by run"),
    ]
    for evaluation in evaluations:
        parts += _run(evaluation, figures)
    page = html_page(title, parts, foot=page_foot(evaluations))
    write(folder / "report.html", page.encode())


def _summary(evaluations: Sequence[EvaluatedRun]) -> Iterator[str]:
    """Yield the tables of all runs, of their means over seeds, and of the data."""
    rows = [evaluation.row for evaluation in evaluations]
    seeds = seed_cells(rows)
    sentences = "".join(map(_sentence, verdict(rows)))
    yield f"<div class=verdict>{sentences}</div>"
    yield html_table([row.brief_cells for row in rows], best=_best_row(rows))
    full = html_table([row.cells for row in rows])
    yield f"<details><summary>All scores and costs</summary>{full}"
    yield f"<p class=note>{escape(NOTE)}</p></details>"
    if seeds:
        yield heading("Over seeds")
        yield html_table(seeds)
        yield "<p class=note>Mean and standard deviation of trainings.</p>"
    adapted = adaptation_cells(evaluations)
    if adapted:
        yield heading("Adapted to other images")
        yield html_table(adapted)
        yield f"<p class=note>{escape(ADAPTATION_NOTE)}</p>"
    through = through_cells(rows)
    if through:
        yield heading("With and without a denoiser")
        yield html_table(through)
        yield "<p class=note>In square brackets: 95 % intervals over seeds.</p>"
    yield heading("Data")
    yield html_table(_data_cells(evaluations))


def _sentence(text: str) -> str:
    kind = " class=warn" if text.startswith("Warning") else ""
    return f"<p{kind}>{escape(text)}</p>"


def _best_row(rows: Sequence[Row]) -> int | None:
    """Return the number of the row that validation chooses, if all are of the same data."""
    best = list(best_rows(rows).values())
    return rows.index(best[0]) if len(best) == 1 else None


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
    yield heading("Trainings")
    yield _section(*figures_html)


def _comparisons(
    evaluations: Sequence[EvaluatedRun], figures: _FigureFolder
) -> Iterator[str]:
    """Yield comparisons of all runs with the same task on the same data."""
    for data, on_data in _grouped(evaluations, lambda evaluation: evaluation.row.data):
        title = on_data[0].row.title
        yield heading(f"All runs on {data}: {title}")
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
        yield heading("Training-set size")
        yield _section(figures.html("sizes", draw, "score against images trained on"))


def _populations(populations: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield tables and figures of inferred populations."""
    for name, document in populations.items():
        paths = sorted(Path(document["folder"]).glob("*.png"), reverse=True)
        yield heading(f"Populations: {name}")
        yield html_table(coverage_cells(document))
        yield _section(*[_png(path, _CAPTIONS.get(path.stem, path.stem)) for path in paths])


def _run(evaluation: EvaluatedRun, figures: _FigureFolder) -> Iterator[str]:
    """Yield tables and figures of one evaluation."""
    row = evaluation.row
    yield f"<h3>{escape(row.run)} on {escape(row.data)}</h3>"
    paths = sorted(evaluation.folder.glob("*.png"))
    captions = {**_CAPTIONS, **evaluation.run.record.task.presentation.captions}
    figures_html = [_png(path, captions.get(path.stem, path.stem)) for path in paths]
    if row.members == 1:
        for name, draw, caption in inside(evaluation):
            figures_html.append(figures.html(f"{name}-{row.run}-{row.data}", draw, caption))
    tables = read_json(evaluation.folder / "metrics.json").get("tables", {})
    for name, lines in tables.items():
        yield f"<h4>{escape(name)}</h4>{html_table(lines)}"
    yield _section(*figures_html)


def _section(*figures: str) -> str:
    return f"<div class=figures>{''.join(figures)}</div>"


def _png(path: Path, caption: str) -> str:
    source, broad = picture_url(path.read_bytes())
    return figure(source, caption, broad=broad)


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
