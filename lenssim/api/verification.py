"""Verification: what a report of a data set's bytes means to whoever asked for it."""

from pathlib import Path
from typing import TYPE_CHECKING

from lenssim.errors import IncompleteError, VerificationError

if TYPE_CHECKING:
    from lenssim.data.inspection.verification import Report

__all__ = ["depth", "inspect", "raise_problems", "verified"]


def verified(
    folder: Path | str,
    *,
    fast: bool,
    resimulate: int,
    galaxies: Path | str | None,
    background: Path | str | None,
    lenses: Path | str | None,
) -> "Report":
    """Check a data set; see `lenssim.verify`."""
    report = inspect(
        folder,
        fast=fast,
        resimulate=resimulate,
        galaxies=galaxies,
        background=background,
        lenses=lenses,
    )
    raise_problems(folder, report, fast=fast, listed=True)
    return report


def inspect(
    folder: Path | str,
    *,
    fast: bool,
    resimulate: int,
    galaxies: Path | str | None,
    background: Path | str | None,
    lenses: Path | str | None,
) -> "Report":
    """Look at a data set as `verified` does, and return the problems.

    Args:
        folder: Folder or URL of the data set.
        fast: Whether to look at presence and sizes only.
        resimulate: Number of samples to make again and compare bit by bit.
        galaxies: Where the galaxies are that the data set's sources show.
        background: Where the cut-outs of sky are that its images show.
        lenses: Where its table of lenses is.
    """
    from lenssim.data.inspection.verification import verify

    report = verify(folder, fast=fast)
    if resimulate and not report.problems and not report.incomplete:
        from lenssim.data.inspection.resimulation import resimulate as make_again

        numbers, report.problems = make_again(
            folder,
            resimulate,
            galaxies=None if galaxies is None else Path(galaxies),
            background=None if background is None else Path(background),
            lenses=None if lenses is None else Path(lenses),
        )
        report.resimulated = len(numbers)
    return report


def depth(fast: bool) -> str:
    """Return what a verification looked at, in words."""
    return "present, sizes right" if fast else "every hash right"


def raise_problems(
    folder: Path | str, report: "Report", *, fast: bool, listed: bool = False
) -> None:
    """Raise the error that a report calls for, if it does.

    Args:
        folder: The data set.
        report: What was seen of it.
        fast: Whether only presence and sizes were looked at.
        listed: Whether the message lists the problems.

    Raises:
        VerificationError: There are problems.
        IncompleteError: The data set is unfinished.
    """
    if report.problems:
        plural = "s" if len(report.problems) > 1 else ""
        parts = [f"{folder}: {len(report.problems)} problem{plural}", *report.advice]
        if not report.advice and not report.shards:
            parts.append("no shard was looked at")
        lines = ["; ".join(parts)]
        if listed:
            lines += report.problems
        raise VerificationError("\n".join(lines), code="damaged-data")
    if report.incomplete:
        raise IncompleteError(
            f"{folder} is incomplete: {report.incomplete}; "
            f"what is there is whole ({report.shards} shards: {depth(fast)})",
            code="shards-missing",
            folder=folder,
            incomplete=report.incomplete,
        )
