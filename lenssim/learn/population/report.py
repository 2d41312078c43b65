"""Report of a population inference: posteriors, and their coverage of known truths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lenssim.data.format.files import read_json, write_json
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError
from lenssim.learn.figures.populations import populations_figure
from lenssim.learn.figures.regression import corner_figure
from lenssim.learn.figures.style import save_if_possible
from lenssim.learn.inputs.listing import is_dataset
from lenssim.learn.inputs.problems import Report, raise_problem
from lenssim.learn.population.correlation import correlation
from lenssim.learn.population.coverage import coverage, summary
from lenssim.learn.population.images import group_rows, image_posteriors
from lenssim.learn.population.inference import Inferred, Prior, infer
from lenssim.learn.population.options import PopulationOptions
from lenssim.learn.population.reader import posterior_reader
from lenssim.learn.runs.folders import make_folder
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.posterior import Posterior
from lenssim.learn.tasks import PosteriorReader

__all__ = ["finished_populations", "populations"]

_RESULT = "population.json"
_PRIOR_DRAWS = 20_000


@dataclass(frozen=True)
class _Images:
    """Posteriors of N images, their truth (N, T) if known, and the rows of each population."""

    posterior: Posterior
    truth: np.ndarray | None
    groups: list[np.ndarray]


@dataclass(frozen=True)
class _Answer:
    """Inferred populations of G groups, by number of images, and their truths (G, P) if known."""

    columns: tuple[str, ...]
    by_size: dict[int, list[Inferred]]
    truths: np.ndarray | None
    groups: list[np.ndarray]

    @property
    def largest(self) -> int:
        return max(self.by_size)

    @property
    def full(self) -> list[Inferred]:
        """The populations from all their images."""
        return self.by_size[self.largest]

    @property
    def compared(self) -> np.ndarray | None:
        """The truths, if several populations can be compared with them."""
        if len(self.groups) > 1:
            return self.truths
        return None


def populations(
    run: Run,
    files: Sequence[Path],
    options: PopulationOptions,
    *,
    device: str = "auto",
    out: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    report: Report = raise_problem,
) -> dict[str, Any]:
    """Infer populations from images, and write the result with its figures.

    Image files are one population. In a data set, the held-out images with the same true parameters
    are one.

    Args:
        run: A run that measures parameters.
        files: Files of images, or a data set.
        options: Options of the inference.
        device: Where to compute.
        out: Folder of the result, by default population/ in the run's folder.
        say: Called with messages on the progress.
        report: Called with each file or image that cannot be used. By default its error is raised.

    Returns:
        The content of population.json and its `folder`: the posterior of each population, and the
        coverage where the truth is known.

    Raises:
        ConfigError: The run does not know the prior of its targets, or the calibration is the data
        set itself.
        DataError: No image can be used, or no two images share their true parameters.
    """
    task = posterior_reader(run)
    prior = Prior(tuple(task.prior[name] for name in task.columns))
    common_error = 0.0
    if options.calibration is not None:
        common_error = _correlation(run, files, options, prior, device)
        say(
            f"errors of images of one population correlate by {common_error:.2g}, "
            f"by {options.calibration}"
        )
    posterior, truth = image_posteriors(run, files, device, report)
    groups = group_rows(truth, len(posterior.mean), options.scatter)
    images = _Images(posterior, truth, groups)
    answer = _inferred(task, images, prior, options, common_error, say)
    document = _document(run, task, files, options, answer, prior, common_error)
    folder = out or run.outputs / "population"
    _write(folder, document, _figures(run, answer, prior))
    return {"folder": str(folder), **document}


def _write(
    folder: Path, document: dict[str, Any], figures: dict[str, Callable[[], Figure]]
) -> None:
    """Write population.json and its figures, whose names go into the document."""
    make_folder(folder)
    document["figures"] = sorted(figures)
    write_json(folder / _RESULT, document)
    for name, draw in figures.items():
        save_if_possible(draw, folder / name)


def _inferred(
    task: PosteriorReader,
    images: _Images,
    prior: Prior,
    options: PopulationOptions,
    common_error: float,
    say: Callable[[str], None],
) -> _Answer:
    """Infer every population, from all its images and from the numbers of images in the options."""
    groups = images.groups
    largest = max(map(len, groups))
    by_size: dict[int, list[Inferred]] = {}
    for size in sorted({min(size, largest) for size in options.images} | {largest}):
        samples = [rows[:size] for rows in groups if len(rows) >= size]
        by_size[size] = [
            infer(
                images.posterior.of(rows),
                prior,
                average=task.average_posterior,
                correlation=common_error,
                scatter=options.scatter,
                seed=options.seed + k,
            )
            for k, rows in enumerate(samples)
        ]
        say(f"{_counted(len(samples), 'population')} of {_counted(size, 'image')}")
    columns = tuple(task.columns)
    if options.scatter:
        columns += tuple(f"{name}_width" for name in task.columns)
    return _Answer(columns, by_size, _truths(images, options.scatter), groups)


def _truths(images: _Images, scatter: bool) -> np.ndarray | None:
    """Return the true parameters (G, P) of all populations, if known."""
    if images.truth is None:
        return None
    return np.array([_shared_truth(images.truth[rows], scatter) for rows in images.groups])


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _document(
    run: Run,
    task: PosteriorReader,
    files: Sequence[Path],
    options: PopulationOptions,
    answer: _Answer,
    prior: Prior,
    common_error: float,
) -> dict[str, Any]:
    """Return the content of population.json but for its figures."""
    document: dict[str, Any] = {
        "format": "lenssim-population/1",
        "asked": _record(options, run, files),
        "prior": run.record.task.model_dump(mode="json", include={"prior"})["prior"],
        "scatter": options.scatter,
    }
    if options.calibration is not None:
        document["correlation"] = common_error
    document |= {
        "images": int(sum(map(len, answer.groups))),
        "populations": [
            summary(answer.columns, inferred, answer.truths, k)
            for k, inferred in enumerate(answer.full)
        ],
    }
    if answer.compared is not None:
        document["coverage"] = _coverage(answer, answer.compared, prior)
    return document


def _coverage(answer: _Answer, truths: np.ndarray, prior: Prior) -> dict[str, Any]:
    """Return how often the truths are covered, by number of images."""
    spread = prior.sample(_PRIOR_DRAWS, np.random.default_rng(0)).std(0)
    return {
        str(size): coverage(answer.columns, inferred, true_values, spread)
        for size, inferred, true_values in _by_size(answer, truths)
    }


def _by_size(
    answer: _Answer, truths: np.ndarray
) -> list[tuple[int, list[Inferred], np.ndarray]]:
    """Return number of images, populations with so many, and their truths."""
    counts = np.array([len(rows) for rows in answer.groups])
    return [
        (size, inferred, truths[counts >= size])
        for size, inferred in answer.by_size.items()
    ]


def _figures(run: Run, answer: _Answer, prior: Prior) -> dict[str, Callable[[], Figure]]:
    """Return functions that draw the figures, by file name."""
    example = answer.full[0]
    title = f"{run.record.config.net}: {len(answer.groups)} populations of {answer.largest} images"
    lines = example.mean
    if answer.truths is not None:
        lines = answer.truths[0]
    corner = partial(
        corner_figure, answer.columns, example.draws, lines, f"first of {title}"
    )
    figures: dict[str, Callable[[], Figure]] = {"corner.png": corner}
    if answer.compared is not None:
        draws = prior.sample(_PRIOR_DRAWS, np.random.default_rng(0))
        figures["populations.png"] = partial(
            populations_figure,
            answer.columns,
            np.array([inferred.mean for inferred in answer.full]),
            np.array([inferred.sigma for inferred in answer.full]),
            answer.compared,
            np.quantile(draws, [0.16, 0.84], axis=0),
            title,
        )
    return figures


def finished_populations(
    run: Run, files: Sequence[Path], options: PopulationOptions, *, out: Path
) -> dict[str, Any] | None:
    """Return an earlier result of `populations` with the same weights, data and options.

    Args:
        run: The run.
        files: Files of images, or a data set.
        options: Options of the inference.
        out: Folder of the result.

    Returns:
        The result, None if there is none or if it is incomplete.
    """
    try:
        document = read_json(out / _RESULT)
    except DataError:
        return None
    if document.get("asked") != _record(options, run, files):
        return None
    if not all((out / name).is_file() for name in document.get("figures", ())):
        return None
    return {"folder": str(out), **document}


def _record(options: PopulationOptions, run: Run, files: Sequence[Path]) -> dict[str, Any]:
    """Return all that determines the result."""
    return {
        "checkpoint_sha256": run.digest,
        "data": [_identity(path) for path in files],
        "sizes": list(options.images),
        "calibration": options.calibration and _identity(options.calibration),
        "scatter": options.scatter,
        "seed": options.seed,
    }


def _identity(path: Path) -> str:
    """Return the fingerprint of a data set, or the name of a file."""
    if is_dataset(path):
        return ShardDataset(path).fingerprint
    return path.name


def _correlation(
    run: Run,
    files: Sequence[Path],
    options: PopulationOptions,
    prior: Prior,
    device: str,
) -> float:
    """Return the correlation of the run's errors in the populations of another data set."""
    calibration = options.calibration
    assert calibration is not None
    _check_calibration(calibration, files)
    posterior, truth = image_posteriors(run, [calibration], device)
    task = posterior_reader(run)
    if truth is None:
        raise DataError(
            f"{calibration} does not know the true {', '.join(task.columns)}",
            code="no-targets",
            calibration=calibration,
        )
    groups = group_rows(truth, len(truth), scatter=False)
    members = [(posterior.of(rows), truth[rows[0]]) for rows in groups]
    return correlation(members, prior, task.average_posterior, options.seed)


def _check_calibration(calibration: Path, files: Sequence[Path]) -> None:
    """Raise an error if a folder cannot calibrate the populations of `files`."""
    if not calibration.is_dir():
        raise DataError(
            f"{calibration} is no folder of a data set; make one by lenssim generate --shared",
            code="no-folder",
            calibration=calibration,
        )
    if _identity(calibration) in map(_identity, files):
        raise ConfigError(
            f"{calibration} is what is asked about; calibrate by populations of another --seed",
            code="same-folder",
            calibration=calibration,
        )


def _shared_truth(truth: np.ndarray, scatter: bool) -> np.ndarray:
    """Return the parameters that images with truths (n, T) share."""
    if not scatter:
        return truth[0]
    return np.concatenate([truth.mean(0), truth.std(0)])
