"""report.html: everything a recipe found on one page that needs no other file, and its figures as PNG beside it."""

import base64
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from lenssim.data.format.files import read_json, write
from lenssim.data.format.maps import IMAGE
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.evaluation.evaluation import read_table
from lenssim.learn.figures.attribution import (
    attributions_figure,
    examples_figure,
    features_figure,
    first_features,
    integrated_gradients,
)
from lenssim.learn.figures.classification import save_if_possible
from lenssim.learn.figures.comparison import histories_figure, sizes_figure
from lenssim.learn.population.report import coverage_cells
from lenssim.learn.report.table import NOTE, Row, seed_cells
from lenssim.learn.runs.folders import make_folder
from lenssim.learn.runs.run import Run, identify
from lenssim.simulate.preset import parse_preset

__all__ = ["Judged", "write_page"]

_EXAMPLES, _EXPLAINED = 16, 8
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


@dataclass(frozen=True)
class Judged:
    """A row of the report with the run, the data and the folder of the evaluation that it comes from."""

    row: Row
    run: Run
    dataset: ShardDataset
    folder: Path


def write_page(
    folder: Path,
    title: str,
    judged: Sequence[Judged],
    inferred: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write report.html and figures/ into the folder of a recipe; `inferred`: populations it asked for, by name."""
    figures = folder / "figures"
    make_folder(figures)

    def shown(name: str, draw: Callable[[], Figure], caption: str) -> str:
        path = figures / f"{name}.png"
        if not save_if_possible(draw, path):
            return f"<p class=note>{escape(caption)}: this figure could not be drawn</p>"
        return _figure(path, caption)

    rows = [each.row for each in judged]
    seeds = seed_cells(rows)
    parts = [
        f"<h1>{escape(title)}</h1>",
        _table([row.cells for row in rows]),
        f"<p class=note>{escape(NOTE)}</p>",
    ]
    if seeds:
        parts += [
            "<h2>Over seeds</h2>",
            _table(seeds),
            "<p class=note>Mean and standard deviation of trainings.</p>",
        ]
    parts += ["<h2>Data</h2>", _table(_data_cells(judged))]
    by_data: dict[str, list[Judged]] = {}
    for each in judged:
        by_data.setdefault(each.row.data, []).append(each)
    views: dict[str, Judged] = {}
    for each in judged:
        picture = each.dataset.picture
        views.setdefault(
            each.row.data if picture == IMAGE else f"{each.row.data}-{picture}", each
        )
    for name, each in views.items():
        parts.append(
            _section(
                shown(
                    f"examples-{name}",
                    partial(_examples, each),
                    "examples, with their labels",
                )
            )
        )
    parts += ["<h2>Trainings</h2>", _section(*_histories(judged, shown))]
    for name, own in by_data.items():
        parts.append(f"<h2>All runs on {escape(name)}: {escape(own[0].row.title)}</h2>")
        alike: dict[str, list[Judged]] = {}
        for each in own:
            alike.setdefault(each.run.record.task.title, []).append(each)
        for group in alike.values():
            tables = {
                each.row.run: _with_truth(read_table(each.folder), each) for each in group
            }
            compared = group[0].run.record.task.presentation.compare(
                tables, f"on {group[0].row.title}"
            )
            drawn = [
                shown(f"{kind}-{name}".replace(" ", "-"), draw, kind)
                for kind, draw in compared.items()
            ]
            parts.append(_section(*drawn))
    if sizes := _sizes(judged):
        parts += [
            "<h2>Training-set size</h2>",
            _section(shown("sizes", sizes, "score against images trained on")),
        ]
    for name, document in (inferred or {}).items():
        own = [
            _figure(path, path.stem)
            for path in sorted(Path(document["folder"]).glob("*.png"), reverse=True)
        ]
        parts += [
            f"<h2>Populations: {escape(name)}</h2>",
            _table(coverage_cells(document)),
            _section(*own),
        ]
    parts.append("<h2>Run by run</h2>")
    for each in judged:
        parts.append(f"<h3>{escape(each.row.run)} on {escape(each.row.data)}</h3>")
        own = [_figure(path, path.stem) for path in sorted(each.folder.glob("*.png"))]
        looked = _inside(each) if each.row.members == 1 else ()
        inside = [shown(f"{n}-{each.row.run}-{each.row.data}", f, c) for n, f, c in looked]
        parts += [
            f"<h4>{escape(name)}</h4>{_table(lines)}"
            for name, lines in _tables(each).items()
        ]
        parts.append(_section(*own, *inside))
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>"
    body = "\n".join(parts)
    page = f"<!doctype html><html lang=en><head>{head}<title>{escape(title)}</title><style>{_STYLE}</style></head>"
    write(folder / "report.html", f"{page}<body>{body}</body></html>\n".encode())


def _tables(each: Judged) -> dict[str, list[dict[str, str]]]:
    return read_json(each.folder / "metrics.json").get("tables", {})


def _section(*figures: str) -> str:
    return f"<div class=figures>{''.join(figures)}</div>"


def _figure(path: Path, caption: str) -> str:
    content, text = path.read_bytes(), escape(caption)
    width, height = struct.unpack(">II", content[16:24])  # where PNG has them
    data = base64.b64encode(content).decode()
    image = f"<img alt='{text}' src='data:image/png;base64,{data}'>"
    return f"<figure{' class=broad' if width > 2 * height else ''}>{image}<figcaption>{text}</figcaption></figure>"


def _table(cells: Sequence[Mapping[str, str]]) -> str:
    names = list(dict.fromkeys(name for row in cells for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = (
        "".join(f"<td>{escape(row.get(name, ''))}</td>" for name in names) for row in cells
    )
    return f"<div class=wide><table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table></div>"


def _data_cells(judged: Sequence[Judged]) -> list[dict[str, str]]:
    found = {}
    for each in judged:
        about = identify(each.dataset)
        found[each.row.data] = {
            "data": each.row.data,
            "what": about.title,
            "images": f"{about.n:,}",
            "seed": f"{about.seed}",
            "engine": f"{about.engine}",
            "fingerprint": about.fingerprint[:16],
            "leak audit": each.row.leaks.get("verdict", "not made"),
        }
    return list(found.values())


def _histories(judged: Sequence[Judged], shown: Any) -> Iterator[str]:
    runs = {each.run.folder.name: each.run for each in judged}
    histories = {name: run.epochs() for name, run in runs.items()}
    keys = {"train_loss": "training loss", "val_loss": "validation loss"}
    for run in runs.values():
        keys |= {
            f"val_{key}": f"validation {name}"
            for key, name in run.record.task.presentation.progress.items()
        }
    for key, name in keys.items():
        if own := {
            run: epochs for run, epochs in histories.items() if epochs and key in epochs[0]
        }:
            yield shown(
                f"curves-{key}",
                partial(histories_figure, own, key, name, "all trainings"),
                f"{name} by epoch",
            )


def _sizes(judged: Sequence[Judged]) -> Callable[[], Figure] | None:
    points: dict[str, list[tuple[int, Mapping[str, float]]]] = {}
    key, name = next(iter(judged[0].row.headlines.items()))
    for each in judged:
        if key in each.row.metrics and each.row.members == 1:
            label = f"{each.row.net} on {each.row.data}"
            points.setdefault(label, []).append(
                (each.row.train_images, each.row.metrics[key])
            )
    several = {
        label: own for label, own in points.items() if len({size for size, _ in own}) > 1
    }
    return (
        partial(sizes_figure, several, name, "the same net, from more images")
        if several
        else None
    )


def _with_truth(table: dict[str, np.ndarray], each: Judged) -> dict[str, np.ndarray]:
    """A table with the true parameters of its samples and, where the noise is known, their signal to noise."""
    order = np.argsort(each.dataset.index)
    rows = order[np.searchsorted(each.dataset.index[order], table["index"].astype(int))]
    truth = {name: column[rows] for name, column in each.dataset.params.items()}
    config = each.dataset.config
    if config.get("kind") == "simulated" and config.get("noise") in ("none", "nominal"):
        camera, drawn = (
            parse_preset(config["preset"], "the data's preset").instrument,
            truth.get("exposure_time"),
        )
        exposure = np.broadcast_to(camera.total_exposure(drawn), len(rows))[
            :, None, None, None
        ]
        sky = np.broadcast_to(camera.background(drawn), len(rows))[:, None, None, None]
        images = each.dataset.pictures(IMAGE, rows).astype(np.float64)
        power = (images**2 / (sky**2 + np.maximum(images, 0) / exposure)).sum((1, 2, 3))
        own = (
            0 if config["noise"] == "none" else images[0].size
        )  # what noise alone would give
        truth["snr"] = np.sqrt(np.maximum(power - own, 0))
    return {**truth, **table}


def _some(each: Judged, count: int) -> tuple[np.ndarray, list[str]]:
    """Rows of judged samples, the classes in turn, and the names of their classes."""
    index = read_table(each.folder)["index"].astype(int)
    rows = np.flatnonzero(np.isin(each.dataset.index, index))
    labels = each.dataset.labels[rows]
    turns = [rows[labels == label] for label in np.unique(labels)]
    rows = np.array(
        [own[k] for k in range(max(map(len, turns))) for own in turns if k < len(own)]
    )[:count]
    return rows, [each.dataset.classes[label] for label in each.dataset.labels[rows]]


def _examples(each: Judged) -> Figure:
    rows, names = _some(each, _EXAMPLES)
    return examples_figure(each.dataset.images(rows), names, each.row.title)


def _inside(each: Judged) -> Iterator[tuple[str, Callable[[], Figure], str]]:
    """Names of figures of what the net sees, functions that draw them, and captions."""
    model, (rows, names) = each.run.model(), _some(each, _EXPLAINED)
    images = torch.from_numpy(each.dataset.images(rows))
    features = first_features(model, images[0])
    if features is not None:
        caption = f"an image of {names[0]} and its features after the first convolution"
        title = f"{each.row.run}: after the first convolution"
        yield (
            "features",
            partial(features_figure, images[0].numpy(), features, title),
            caption,
        )
    with torch.inference_mode():
        outputs = model.eval()(images)
    shares = integrated_gradients(model, images, outputs.argmax(dim=1).clone()).numpy()
    table = read_table(each.folder)
    if "predicted" in table:
        said = dict(zip(table["index"].astype(int), table["predicted"], strict=True))
        pairs = zip(names, each.dataset.index[rows].tolist(), strict=True)
        names = [
            name if said[number] == name else f"{name}, said {said[number]}"
            for name, number in pairs
        ]
    caption = "integrated gradients of the largest output: red pixels speak for it, blue ones against it; smoothed"
    title = f"{each.row.run}: what speaks for its answer"
    yield (
        "gradients",
        partial(attributions_figure, images.numpy(), shares, names, title),
        caption,
    )
