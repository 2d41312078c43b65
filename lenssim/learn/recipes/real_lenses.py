"""The steps of a recipe on real lenses: import, fit, and a page for each lens."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from lenssim.data.exchange.importing import Listeners
from lenssim.data.format.files import read_json, write_json
from lenssim.data.generation.progress import Progress
from lenssim.data.generation.runners import default_workers
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.evaluation.prediction import predict
from lenssim.learn.recipes.steps import FitStep, ImportStep, LensesStep
from lenssim.learn.report.lens_pages import INDEX, LensPage, write_lens_pages
from lenssim.learn.runs.run import Run, open_run
from lenssim.sky.models.lenses import Lenses
from lenssim.sky.models.results import fit_dataset
from lenssim.sky.models.sensitivities import lens_sensitivity
from lenssim.sky.models.work import Work

__all__ = ["fit_lenses", "import_images", "judge_lenses"]

_ORIGIN = "lenses.json"  # what the pages were made from; written last
Say = Callable[[str], None]
Reporter = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]


def import_images(step: ImportStep, folder: Path, reporter: Reporter, say: Say) -> None:
    """Import the images of a step.

    Args:
        step: The step.
        folder: The folder of the data set.
        reporter: Makes the display of the progress.
        say: Is told what is left out.
    """
    with reporter("importing") as report:
        listeners = Listeners(report, warn=say, note=say)
        step.importer().import_folder(step.layout, step.source, folder, listeners)


def fit_lenses(
    step: FitStep,
    data: Path,
    folder: Path,
    workers: int | None,
    reporter: Reporter,
    say: Say,
) -> None:
    """Model the lenses of a step.

    Args:
        step: The step.
        data: The folder of its data set.
        folder: The folder of the fit.
        workers: Processes of dask; None: one a core.
        reporter: Makes the display of the progress.
        say: Hears of workers that do not fit into memory.
    """
    count = default_workers() if workers is None else workers
    with reporter("fitting") as report:
        fit_dataset(folder, ShardDataset(data), step.request, Work(count, report, say))


def judge_lenses(
    step: LensesStep, fit: FitStep, data: Path, pictures: Path, run: Path, folder: Path
) -> Path:
    """Write a page for each lens of a fit, and return the page that lists them.

    Args:
        step: The step.
        fit: The fit that it names.
        data: The folder of the data set that was fitted.
        pictures: The data set of models.
        run: The folder of the classifier.
        folder: Where to write.
    """
    models = ShardDataset(pictures)
    opened = open_run(run)
    origin = {
        "fit": models.fingerprint,
        "run": opened.digest,
        "step": step.model_dump(mode="json"),
    }
    origin_path = folder / _ORIGIN
    if not (origin_path.exists() and read_json(origin_path) == origin):
        pages = _pages(step, Lenses(ShardDataset(data), fit.request), models, opened)
        write_lens_pages(folder, models, pages, step.threshold)
        write_json(origin_path, origin)
    return folder / INDEX


def _pages(
    step: LensesStep, lenses: Lenses, models: ShardDataset, run: Run
) -> list[LensPage]:
    """Ask the classifier about all lenses, and compute their sensitivities."""
    pictures = models.folder
    answers = {
        prediction.image: prediction
        for prediction in predict(run, [pictures], report=_pass_over)
    }
    return [
        LensPage(
            row, answers.get(number), lens_sensitivity(lenses, models, row, step.options)
        )
        for row, number in enumerate(models.index.tolist())
    ]


def _pass_over(*problem: object) -> None:
    """Go on without an image that the classifier cannot take: it could not be fitted."""
