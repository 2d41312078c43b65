"""The posteriors that population inference needs of a run."""

from lenssim.errors import ConfigError
from lenssim.learn.runs.run import Run
from lenssim.learn.tasks import PosteriorReader, Task

__all__ = ["posterior_reader", "reader_of"]


def posterior_reader(run: Run) -> PosteriorReader:
    """Return the run's task; `ConfigError` unless the prior of all its targets is known."""
    reader = run.record.task.posterior_reader
    if reader is not None and not set(reader.columns) - set(reader.prior):
        return reader
    names = "nothing"
    if reader is not None:
        names = ", ".join(reader.prior) or "none of them"
    raise ConfigError(
        f"{run.folder} does not say what its targets were drawn from, so that it cannot be "
        f"divided out: train regress on targets that the preset draws (known: {names})",
        code="no-prior",
        folder=run.folder,
        known=names,
    )


def reader_of(task: Task) -> PosteriorReader:
    """Return the task of a run that `posterior_reader` has accepted."""
    reader = task.posterior_reader
    assert reader is not None
    return reader
