"""What a run's answers for many images say of their population, or of each of many populations beside the truth."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from lenssim.data.format.files import read_json, write_json
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.drawing import plain_style
from lenssim.errors import ConfigError, DataError
from lenssim.learn.compute.device import pick_device
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.figures.classification import axes_of, save_if_possible, style_of, wilson
from lenssim.learn.figures.regression import corner_figure
from lenssim.learn.inputs.image_files import read_pictures
from lenssim.learn.inputs.listing import image_files, is_dataset
from lenssim.learn.inputs.problems import Report, raise_problem
from lenssim.learn.population.correlation import correlation
from lenssim.learn.population.inference import Inferred, Prior, infer
from lenssim.learn.population.options import Question
from lenssim.learn.population.reader import posterior_reader, reader_of
from lenssim.learn.runs.folders import make_folder
from lenssim.learn.runs.overlap import held_out
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.classification import interval_text
from lenssim.learn.scores.posterior import LEVELS, Posterior
from lenssim.notes import note

__all__ = ["coverage_cells", "finished_populations", "populations"]

_RESULT = "population.json"
_POINTS = 20_000  # of the prior, for its spread


def populations(
    run: Run,
    files: Sequence[Path],
    question: Question,
    *,
    device: str = "auto",
    out: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    report: Report = raise_problem,
) -> dict[str, Any]:
    """What population.json holds: the posterior of each population of images, and its coverage where truth is known.

    Image files are one population. Of a data set, the held-out images of the same true numbers are one. Writes into
    `out`, by default population/ in the run's folder. `report` is called with each file or image that cannot be used
    and is left out; by default its error is raised. `ConfigError` for a run that does not know what its targets were
    drawn from, and for a calibration by what is asked about.
    """
    task = posterior_reader(run)
    prior, names = Prior(tuple(task.prior[name] for name in task.columns)), task.columns
    alike = 0.0
    if question.calibration is not None:
        alike = _correlation(run, files, question.calibration, prior, device, question.seed)
        say(
            f"errors of images of one population correlate by {alike:.2g}, by {question.calibration}"
        )
    posterior, truth = _asked(run, files, device, report)
    scatter = question.scatter
    spread = prior.sample(_POINTS, np.random.default_rng(0)).std(0)
    groups = _groups(truth, len(posterior.mean), scatter)
    columns = (*names, *(f"{name}_width" for name in names)) if scatter else names
    sizes = sorted(
        {min(size, max(map(len, groups))) for size in question.images}
        | {max(map(len, groups))}
    )
    found: dict[int, list[Inferred]] = {}
    for size in sizes:
        own = [rows[:size] for rows in groups if len(rows) >= size]
        found[size] = [
            infer(
                posterior.of(rows),
                prior,
                said=task.average_posterior,
                correlation=alike,
                scatter=scatter,
                seed=question.seed + k,
            )
            for k, rows in enumerate(own)
        ]
        say(
            f"{len(own)} population{'s' * (len(own) != 1)} of {size} image{'s' * (size != 1)}"
        )
    truths = (
        None
        if truth is None
        else np.array([_truth(truth[rows], scatter) for rows in groups])
    )
    document = {
        "format": "lenssim-population/1",
        "asked": _record(question, run, files),
        "prior": run.record.task.model_dump(mode="json", include={"prior"})["prior"],
        "scatter": scatter,
        **({} if question.calibration is None else {"correlation": alike}),
        "images": int(sum(map(len, groups))),
        "populations": [
            _summary(columns, one, truths, k) for k, one in enumerate(found[sizes[-1]])
        ],
    }
    if truths is not None and len(groups) > 1:
        document["coverage"] = {
            str(size): _coverage(
                columns, own, truths[[len(rows) >= size for rows in groups]], spread
            )
            for size, own in found.items()
        }
    folder = out or run.folder / "population"
    make_folder(folder)
    first = found[sizes[-1]][0]
    title = f"{run.record.config.net}: {len(groups)} populations of {sizes[-1]} images"
    lines = first.draws.mean(0) if truths is None else truths[0]
    draws = {
        "corner.png": partial(
            corner_figure, columns, first.draws, lines, f"first of {title}"
        )
    }
    if truths is not None and len(groups) > 1:
        draws["populations.png"] = partial(
            _figure, columns, found[sizes[-1]], truths, prior, title
        )
    document["figures"] = sorted(draws)
    write_json(folder / _RESULT, document)
    for name, draw in draws.items():
        save_if_possible(draw, folder / name)
    return {"folder": str(folder), **document}


def finished_populations(
    run: Run, files: Sequence[Path], question: Question, *, out: Path
) -> dict[str, Any] | None:
    """What `populations` found earlier with the same weights, data and question, if it did."""
    try:
        document = read_json(out / _RESULT)
    except DataError:
        return None
    whole = all((out / name).is_file() for name in document.get("figures", ()))
    if not whole or document.get("asked") != _record(question, run, files):
        return None
    return {"folder": str(out), **document}


def _record(question: Question, run: Run, files: Sequence[Path]) -> dict[str, Any]:
    """All that decides the answer."""
    return {
        "checkpoint_sha256": run.digest,
        "data": [_shown(path) for path in files],
        "sizes": list(question.images),
        "calibration": question.calibration and _shown(question.calibration),
        "scatter": question.scatter,
        "seed": question.seed,
    }


def _shown(path: Path) -> str:
    return ShardDataset(path).fingerprint if is_dataset(path) else path.name


def coverage_cells(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Lines of a table: by number of images and by name, errors and coverage, of what population.json holds."""
    return [
        {
            "images": size,
            "populations": str(scores["populations"]),
            "number": name,
            "rms error": f"{own['rmse']:.3g}",
            "mean sigma": f"{own['sigma']:.3g}",
            "of the prior": f"{own['sigma_of_the_prior']:.3g}"
            if "sigma_of_the_prior" in own
            else "",
            **{f"within {k} sigma": interval_text(own[f"within_{k}"], 2) for k in LEVELS},
        }
        for size, scores in document.get("coverage", {}).items()
        for name, own in scores.items()
        if isinstance(own, dict)
    ]


def _asked(
    run: Run, files: Sequence[Path], device: str, report: Report = raise_problem
) -> tuple[Posterior, np.ndarray | None]:
    """The posteriors of all images, and the truth (N, T) of a data set that knows it."""
    ensemble = Ensemble([run], pick_device(device))
    if len(files) == 1 and is_dataset(files[0]):
        dataset = run.opened(files[0])
        rows, which = held_out(run, dataset)
        if not len(rows):
            raise DataError(
                f"{files[0]}: no samples are held out ({which}); take a data set of another --seed"
            )
        joint_task, outputs = ensemble.of(dataset, rows)
        posterior = reader_of(joint_task).posterior(outputs)
        if not set(joint_task.columns) <= set(dataset.params):
            return posterior, None
        return posterior, dataset.targets(joint_task.columns, rows)
    shape, shown = run.record.image_shape, run.record.config.picture
    parts = [
        ensemble(pictures.images)
        for path in image_files(files, report)
        for pictures in read_pictures(path, shape, shown, note=note, report=report)
    ]
    if not parts:
        raise DataError(
            f"none of the {len(files)} files can be used: there is no population to infer"
        )
    outputs = torch.cat([part for _, part in parts], dim=1)
    return reader_of(parts[0][0]).posterior(outputs), None


def _correlation(
    run: Run, files: Sequence[Path], calibration: Path, prior: Prior, device: str, seed: int
) -> float:
    """Of the run's errors in the populations of a data set other than `files`."""
    if not calibration.is_dir():
        raise DataError(
            f"{calibration} is no folder of a data set; make one by lenssim generate --shared"
        )
    if _shown(calibration) in map(_shown, files):
        raise ConfigError(
            f"{calibration} is what is asked about; calibrate by populations of another --seed"
        )
    posterior, truth = _asked(run, [calibration], device)
    if truth is None:
        raise DataError(
            f"{calibration} does not know the true {', '.join(run.record.task.columns)}"
        )
    groups = _groups(truth, len(truth), scatter=False)
    known = [(posterior.of(rows), truth[rows[0]]) for rows in groups]
    return correlation(known, prior, posterior_reader(run).average_posterior, seed)


def _groups(truth: np.ndarray | None, count: int, scatter: bool) -> list[np.ndarray]:
    """Rows of each population."""
    if truth is None or scatter:
        return [np.arange(count)]
    _, first, inverse = np.unique(truth, axis=0, return_index=True, return_inverse=True)
    if len(first) == count > 1:
        raise DataError(
            "no two of these images share their true numbers, so they are no population: make one by lenssim generate "
            "--shared, or ask for the mean and width of all by --scatter"
        )
    return [np.flatnonzero(inverse.ravel() == k) for k in np.argsort(first)]


def _truth(own: np.ndarray, scatter: bool) -> np.ndarray:
    return np.concatenate([own.mean(0), own.std(0)]) if scatter else own[0]


def _summary(
    columns: Sequence[str], one: Inferred, truths: np.ndarray | None, k: int
) -> dict[str, Any]:
    quantiles = np.quantile(one.draws, [0.025, 0.16, 0.5, 0.84, 0.975], axis=0)
    return {
        "images": one.images,
        "effective_draws": one.effective,
        **{
            name: {
                "mean": float(one.mean[j]),
                "sigma": float(one.sigma[j]),
                "quantiles": quantiles[:, j].tolist(),
                **({} if truths is None else {"truth": float(truths[k, j])}),
            }
            for j, name in enumerate(columns)
        },
    }


def _coverage(
    columns: Sequence[str],
    found: Sequence[Inferred],
    truths: np.ndarray,
    spread: np.ndarray,
) -> dict[str, Any]:
    """By number: share of truths in central intervals with one sigma of chance, errors, and sigma over the prior's."""
    below = np.array([one.below(truth) for one, truth in zip(found, truths, strict=True)])
    off = np.array([one.mean for one in found]) - truths
    sigma = np.array([one.sigma for one in found])
    result: dict[str, Any] = {"populations": len(found)}
    for j, name in enumerate(columns):
        result[name] = {
            "rmse": float(np.sqrt((off[:, j] ** 2).mean())),
            "sigma": float(sigma[:, j].mean()),
        }
        if j < len(spread):
            result[name]["sigma_of_the_prior"] = float(spread[j])
        for k, level in LEVELS.items():
            inside = np.array((np.abs(2 * below[:, j] - 1) <= level).mean())
            low, high = wilson(inside, np.array(len(found)))
            result[name][f"within_{k}"] = {
                "value": float(inside),
                "low": float(low),
                "high": float(high),
            }
    return result


@plain_style()
def _figure(
    columns: Sequence[str],
    found: Sequence[Inferred],
    truths: np.ndarray,
    prior: Prior,
    title: str,
) -> Figure:
    """Answer against truth of each population; grey: one sigma of the prior."""
    drawn = prior.sample(_POINTS, np.random.default_rng(0))
    figure, axes = axes_of(title, "truth", "inferred", len(columns))
    for j, (ax, name) in enumerate(zip(axes, columns, strict=True)):
        if j < drawn.shape[1]:
            ax.axhspan(
                *np.quantile(drawn[:, j], [0.16, 0.84]),
                color="#777777",
                alpha=0.15,
                linewidth=0,
            )
        ends = [truths[:, j].min(), truths[:, j].max()]
        ax.plot(ends, ends, color="#777777", linestyle=(0, (2, 3)), linewidth=0.8)
        style = style_of(0) | {
            "linestyle": "none",
            "marker": "o",
            "markersize": 3,
            "elinewidth": 0.8,
        }
        ax.errorbar(
            truths[:, j],
            [one.mean[j] for one in found],
            [one.sigma[j] for one in found],
            **style,
        )
        ax.set_title(name, fontsize=10)
        ax.locator_params("x", nbins=5)
    return figure
