"""Questions to a run: scores, answers for images, and what the lenses of many images share."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenssim.api.answers import Scores
from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.images import Images
from lenssim.api.predictions import Answers
from lenssim.api.run import Run, as_run
from lenssim.errors import ConfigError
from lenssim.names import shown

if TYPE_CHECKING:
    from lenssim.learn.inputs.problems import Report

__all__ = ["evaluate", "image_counts", "load_run", "population", "predict"]


@checked
def load_run(folder: Path | str) -> Run:
    """Open a run.

    Args:
        folder: Folder that `train` wrote.

    Returns:
        The run.

    Raises:
        DataError: There is no run, or its record is damaged.

    Example:
        >>> load_run("runs/sie").task
        'regress'
    """
    return Run(folder)


@checked
def evaluate(
    run: Run | Path | str,
    data: Dataset | Path | str,
    *,
    others: Sequence[Run | Path | str] | None = None,
    tta: bool = False,
    prevalence: float | None = None,
    device: str = "auto",
    resample: bool = False,
) -> Scores:
    """Judge a run on images that it has not seen.

    On the data it was trained on, or others of the same seed, only their test blocks are used;
    else all samples. Numbers and figures are kept in the run's folder.

    Args:
        run: The run, or its folder.
        data: The data set, its folder or its URL.
        others: Other runs; the answers of all are averaged.
        tta: Whether to average over the symmetries that the run was trained with.
        prevalence: Of a run of find: share of the found class for which purities are stated.
        device: auto, cpu, cuda or mps.
        resample: Whether to bring images to the pixels of the run, with their flux.

    Returns:
        Scores with 95 % intervals, and figures.

    Raises:
        DataError: Nothing is held out, or the data do not fit the run.
        ConfigError: The data are a split; the held-out samples are chosen here.

    Example:
        >>> scores = evaluate("runs/cnn", "data/III")
        >>> scores.document["n"]
        64
    """
    return as_run(run).evaluate(
        data,
        others=others,
        tta=tta,
        prevalence=prevalence,
        device=device,
        resample=resample,
    )


@checked
def predict(
    run: Run | Path | str,
    images: Images,
    *,
    others: Sequence[Run | Path | str] | None = None,
    tta: bool = False,
    prevalence: float | None = None,
    device: str = "auto",
    extension: str | None = None,
    resample: bool = False,
    native_scale: float | None = None,
    report: "Report | None" = None,
) -> Answers:
    """Answer for images, and say which of them look unlike the training data.

    Args:
        run: The run, or its folder.
        images: An array (H, W), (N, H, W) or (N, C, H, W), a batch of a loader, a `Dataset`,
            or a path or a list of paths: files of images, folders of them, data sets.
        others: Other runs; the answers of all are averaged.
        tta: Whether to average over the symmetries that the run was trained with.
        prevalence: Of a run of find: share of the found class for which probabilities are.
        device: auto, cpu, cuda or mps.
        extension: The FITS extension, or array of .npz files, to read.
        resample: Whether to bring images to the pixels of the run: the flux of each new pixel is
            that of the area which it covers.
        native_scale: Pixel scale [arcsec] of images that do not state it, for `resample`.
        report: Called with each file or image that cannot be used, in place of an error; the
            others are answered for.

    Returns:
        A row an image: the class and the probability of each, or each target with its sigma;
        `novelty`, the share of validation images that look at least as unlike the training data.

    Raises:
        DataError: An image cannot be read, has NaN or does not fit the run.

    Example:
        >>> answers = predict("runs/cnn", "data/III")
        >>> list(answers)[:4]
        ['file', 'image', 'predicted', 'no_sub']
    """
    return as_run(run).predict(
        images,
        others=others,
        tta=tta,
        prevalence=prevalence,
        device=device,
        extension=extension,
        resample=resample,
        native_scale=native_scale,
        report=report,
    )


@checked
def population(
    run: Run | Path | str,
    files: Path | str | Iterable[Path | str],
    *,
    images: str | Sequence[int] | None = None,
    calibration: Path | str | None = None,
    scatter: bool = False,
    out: Path | str | None = None,
    device: str = "auto",
    report: "Report | None" = None,
) -> dict[str, Any]:
    """Infer what the lenses of many images share.

    Args:
        run: A run of regress, or its folder.
        files: Images of one population, or a data set of populations.
        images: Judge the first so many of each population too, such as [1, 4, 16].
        calibration: Data set of other populations, which tells how alike images of one err.
        scatter: Whether lenses differ: infer the population's mean and width.
        out: Folder for the result; None: population/ in the run's folder.
        device: auto, cpu, cuda or mps.
        report: Called with each file or image that cannot be used, in place of an error.

    Returns:
        What population.json holds: populations, coverage, the folder of the figures.

    Raises:
        ConfigError: The run does not know what its targets were drawn from.
        DataError: An image cannot be used.

    Example:
        >>> population("runs/sie", "data/III", scatter=True)["images"]
        64
    """
    from lenssim.learn.inputs.problems import raise_problem
    from lenssim.learn.population.options import PopulationOptions
    from lenssim.learn.population.report import populations
    from lenssim.notes import note

    paths = files
    if isinstance(paths, str | Path):
        paths = [paths]
    calibration_path = None
    if calibration is not None:
        calibration_path = Path(calibration)
    folder = None
    if out is not None:
        folder = Path(out)
    question = PopulationOptions(image_counts(images), calibration_path, scatter)
    return populations(
        as_run(run).trained,
        [Path(path) for path in paths],
        question,
        device=device,
        out=folder,
        say=note,
        report=report or raise_problem,
    )


def image_counts(images: str | Sequence[int] | None) -> tuple[int, ...]:
    """Return numbers of images, given in a list or joined by commas.

    Raises:
        ConfigError: One of them is no whole number of at least 1.

    Example:
        >>> image_counts("1,4,16")
        (1, 4, 16)
    """
    parts = images.split(",") if isinstance(images, str) else list(images or ())
    try:
        counts = tuple(int(part) for part in parts)
    except ValueError:
        counts = (0,)
    if any(count < 1 for count in counts):
        raise ConfigError(
            f"--images takes whole numbers of at least 1, such as 1,4,16, got {shown(images)}",
            code="option-format",
            option="images",
            value=images,
        )
    return counts
