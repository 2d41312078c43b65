"""Runs from Python: evaluate, predict, posteriors and populations."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenssim.api.answers import Posterior, Scores
from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.images import Images, images_of
from lenssim.api.pictures import Picture, Pictures
from lenssim.api.predictions import Answers
from lenssim.api.table import Table
from lenssim.errors import ConfigError, DataError
from lenssim.names import printable

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset
    from lenssim.learn.evaluation.ensemble import Ensemble
    from lenssim.learn.evaluation.prediction import Prediction
    from lenssim.learn.inputs.problems import Report
    from lenssim.learn.inputs.resampling import Resampling
    from lenssim.learn.runs.run import Run as TrainedRun
    from lenssim.learn.runs.run import RunRecord

__all__ = ["Run", "as_run", "load_runs"]


class Run:
    """A trained network with its record: what it was trained on, how, and how it answers.

    Args:
        folder: Folder that the training wrote.

    Attributes:
        trained: The `lenssim.learn.Run` with the files.

    Raises:
        DataError: There is no run, or its record is damaged.

    Example:
        >>> run = Run("runs/cnn")
        >>> run.task, run.record.config.net
        ('classify', 'cnn')
        >>> run.predict("data/III").rows
        300
    """

    @checked
    def __init__(self, folder: Path | str) -> None:
        from lenssim.learn.runs.run import open_run

        self.trained: TrainedRun = open_run(Path(folder))

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.trained.folder

    @property
    def record(self) -> "RunRecord":
        """What run.json holds."""
        return self.trained.record

    @property
    def task(self) -> str:
        """Name of the task: classify or regress."""
        return self.record.config.task

    @property
    def history(self) -> Table:
        """Losses and scores of each epoch."""
        epochs = self.trained.epochs()
        names = epochs[0] if epochs else ()
        return Table({name: [epoch[name] for epoch in epochs] for name in names})

    @checked
    def evaluate(
        self,
        data: Dataset | Path | str,
        *,
        others: "Sequence[Run | Path | str] | None" = None,
        tta: bool = False,
        prevalence: float | None = None,
        device: str = "auto",
        resample: bool = False,
    ) -> Scores:
        """Judge the run on images that it has not seen; see `lenssim.evaluate`."""
        from lenssim.learn.evaluation.evaluation import evaluate, evaluation_folder
        from lenssim.learn.runs.model_card import write_card
        from lenssim.notes import note

        if isinstance(data, Dataset) and data.split_name is not None:
            raise ConfigError(
                "evaluate chooses the held-out samples itself; give the whole data set",
                code="whole-data-needed",
            )
        place = data.source.folder if isinstance(data, Dataset) else data
        dataset = self._opened(place, resample)
        members = _trained(others)
        options: dict[str, Any] = {"others": members, "tta": tta}
        options["prevalence"] = prevalence
        document = evaluate(self.trained, dataset, **options, device=device, say=note)
        write_card(self.trained)
        folder = evaluation_folder(self.trained, dataset, **options)
        return Scores(document, folder, presentation(self.record).headlines)

    @checked
    def predict(
        self,
        images: Images,
        *,
        others: "Sequence[Run | Path | str] | None" = None,
        tta: bool = False,
        prevalence: float | None = None,
        device: str = "auto",
        extension: str | None = None,
        resample: bool = False,
        native_scale: float | None = None,
        report: "Report | None" = None,
    ) -> Answers:
        """Answer for images; see `lenssim.predict`."""
        from lenssim.learn.evaluation.prediction import novelties_of, predictions_of
        from lenssim.notes import note

        ensemble = self._ensemble(others, tta, device, prevalence)
        novelties = novelties_of([self.trained, *_trained(others)])
        predictions: list[Prediction] = []
        resampling = self._resampling(resample, native_scale)
        for part in images_of(self.record, images, extension, report, resampling):
            predictions += predictions_of(part, ensemble, novelties)
        if not predictions and report is None:
            raise _nothing()
        task = self.record.task
        for remark in task.remarks([prediction.answer for prediction in predictions]):
            note(remark)
        return Answers(predictions)

    @checked
    def posterior(
        self,
        images: Images,
        *,
        others: "Sequence[Run | Path | str] | None" = None,
        tta: bool = False,
        device: str = "auto",
        extension: str | None = None,
        resample: bool = False,
        native_scale: float | None = None,
    ) -> Posterior:
        """Return the posteriors of the targets for each image.

        Args:
            images: As `lenssim.predict` takes them.
            others: Other runs, whose posteriors are mixed with this one's.
            tta: Whether to average over the symmetries of the training.
            device: auto, cpu, cuda or mps.
            extension: The FITS extension, or array of .npz files, to read.
            resample: Whether to bring images to the pixels of the run.
            native_scale: Pixel scale [arcsec] of images that do not state it, for `resample`.

        Raises:
            ConfigError: The run classifies.
            DataError: Images cannot be read, or do not fit the run.
        """
        if not hasattr(self.record.task, "posterior"):
            raise ConfigError(
                f"{self.folder} classifies: predict gives probabilities; "
                "posteriors are those of a run of regress",
                code="no-posterior",
                folder=self.folder,
            )
        resampling = self._resampling(resample, native_scale)
        pictures = images_of(self.record, images, extension, None, resampling)
        parts = [part.images for part in pictures]
        if not parts:
            raise _nothing()
        task, outputs = self._ensemble(others, tta, device)(np.concatenate(parts))
        return Posterior(task.columns, task.posterior(outputs))  # type: ignore[attr-defined]

    def _opened(self, place: Path | str, resample: bool) -> "ShardDataset":
        """Open a data set for an evaluation, and say how it is resampled."""
        from lenssim.learn.inputs.resampling import opened_dataset
        from lenssim.notes import note

        resampling = self._resampling(resample, None)
        dataset = opened_dataset(place, self.record.config.picture, resampling)
        remark = getattr(dataset, "remark", "")
        if remark:
            note(f"{printable(str(place))}: {remark}")
        return dataset

    def _resampling(
        self, resample: bool, native_scale: float | None
    ) -> "Resampling | None":
        """Return how images come to the pixels of the run; None: they must have them."""
        from lenssim.learn.inputs.resampling import Resampling

        if resample:
            return Resampling.of(self.record.images, native_scale)
        if native_scale is not None:
            raise ConfigError(
                "--native-scale says from which pixels images are resampled: add --resample",
                code="option-missing",
                option="resample",
            )
        return None

    def _ensemble(
        self,
        others: "Sequence[Run | Path | str] | None",
        tta: bool,
        device: str,
        prevalence: float | None = None,
    ) -> "Ensemble":
        """Return the networks that answer together."""
        from lenssim.learn.compute.device import pick_device
        from lenssim.learn.evaluation.ensemble import Ensemble

        runs = [self.trained, *_trained(others)]
        return Ensemble(runs, pick_device(device), tta=tta, prevalence=prevalence)

    def show(self) -> Pictures:
        """Draw the losses and scores of the epochs."""
        from lenssim.drawing import png_bytes
        from lenssim.learn.figures.classification import curves_figure

        record = self.record
        if record.result is None:
            raise ConfigError(
                f"{self.folder}: the training has not ended",
                code="training-unfinished",
                folder=self.folder,
            )
        title = f"{record.config.label} trained on {record.data.title}"
        figure = curves_figure(
            self.trained.epochs(),
            presentation(record).progress,
            record.result.best_epoch,
            title,
        )
        return Pictures({"curves": Picture(png_bytes(figure))})

    def __repr__(self) -> str:
        record = self.record
        result = record.result
        state = "unfinished"
        if result is not None:
            scores = [
                f"{name} {result.scores[key]:.4f}"
                for key, name in presentation(record).progress.items()
            ]
            loss = f"validation loss {result.val_loss:.4f}"
            state = ", ".join([f"{result.epochs} epochs", loss, *scores])
        return (
            f"Run {self.folder}: {record.task.title}; {record.config.label} on "
            f"{record.data.title}; {state}"
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.history._repr_html_()}"


def _trained(runs: "Sequence[Run | Path | str] | None") -> "list[TrainedRun]":
    """Open the runs that answer together with another."""
    return [as_run(run).trained for run in runs or ()]


def _nothing() -> DataError:
    """Return the error for an answer that nothing was asked of."""
    return DataError("there is no image to answer for", code="no-images")


def load_runs(folders: Sequence[Path | str]) -> list[Run]:
    """Open runs that answer together; an error names all that cannot be opened."""
    from lenssim.learn.runs.run import open_runs

    return [_wrapped(run) for run in open_runs([Path(folder) for folder in folders])]


def _wrapped(trained: "TrainedRun") -> Run:
    """Return a run that is open already."""
    run = object.__new__(Run)
    run.trained = trained
    return run


def as_run(run: Run | Path | str) -> Run:
    """Return a run, which is opened if it is given by its folder."""
    return run if isinstance(run, Run) else Run(run)


def presentation(record: "RunRecord") -> Any:
    """Return what names the scores of a run's task."""
    return getattr(record.task, "presentation", record.task)
