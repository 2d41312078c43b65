"""Going on with a training that stopped."""

from lenssim.errors import ConfigError
from lenssim.learn.methods import method_of
from lenssim.learn.runs.record import DataIdentity, RunRecord
from lenssim.learn.runs.run import Run

__all__ = ["continue_run"]


def continue_run(run: Run, record: RunRecord) -> Run:
    """Return the run, ready to go on under a record.

    Args:
        run: The run that stopped.
        record: Record of the training that is asked for.

    Raises:
        ConfigError: The run is another training. The message lists the differences.
    """
    differences = _differences(run.record, record)
    if differences:
        raise ConfigError(
            f"{run.folder} holds another training:\n  " + "\n  ".join(differences) + "\n"
            "repeat its options, or choose another --out",
            code="config-differs",
        )
    if _has_ended(run.record, record):
        return run
    if run.record.files is None:
        run.hashes.adopt(run.last, run.best, run.metrics)
    resumed = Run(run.folder, record.model_copy(update={"start": run.record.start}))
    resumed.write()
    return resumed


def _differences(before: RunRecord, after: RunRecord) -> list[str]:
    """Return a line for each difference that forbids going on."""
    lines = before.config.changes(after.config)
    epochs = (before.config.epochs, after.config.epochs)
    if method_of(after.config).laid_out and epochs[0] != epochs[1]:
        lines.append(f"epochs of {after.config.method}: {epochs[0]} there, {epochs[1]}")
    if before.data.fingerprint != after.data.fingerprint:
        lines.append(
            f"data set: fingerprint {before.data.fingerprint[:8]} there, "
            f"{after.data.fingerprint[:8]} given"
        )
    if before.target != after.target:
        lines.append(f"target: {_name(before.target)} there, {_name(after.target)} given")
    if before.task.title != after.task.title:
        lines.append(f"task: {before.task.title} there, {after.task.title} given")
    if (before.start is None) != (after.config.start is None):
        lines.append(f"start: {before.config.start} there, {after.config.start} asked for")
    elif after.start is not None and before.start != after.start:
        lines.append(f"start: other weights in {after.config.start} than then")
    return lines


def _name(data: DataIdentity | None) -> str:
    """Return the fingerprint of a data set, for a message."""
    return "none" if data is None else f"fingerprint {data.fingerprint[:8]}"


def _has_ended(before: RunRecord, after: RunRecord) -> bool:
    """Whether no epoch is left to train."""
    if before.result is None:
        return False
    enough = before.result.epochs >= after.config.epochs
    return before.result.stopped == "early" or enough
