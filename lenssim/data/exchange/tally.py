"""What became of the names in an imported folder: taken, skipped and why, or passed over."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lenssim.errors import DataError

__all__ = ["Tally"]


class Tally:
    """Counts what an import leaves out, and refuses it unless it may be skipped.

    Args:
        skip_bad: Whether what cannot be used is left out; otherwise the first of it ends the import.
        warn: Is called with a sentence for everything that is left out.

    Attributes:
        tables: Files beside the images that are read for what they say of them.
    """

    def __init__(self, skip_bad: bool, warn: Callable[[str], None]) -> None:
        self.skip_bad = skip_bad
        self.warn = warn
        self.taken = 0
        self.passed_over = 0
        self.skipped: Counter[str] = Counter()
        self.remarks: Counter[str] = Counter()
        self.tables: set[Path] = set()

    def leave_out(self, problem: str, kind: str, count: int = 1) -> None:
        """Count `count` names of a `kind` that are left out.

        Raises:
            DataError: Nothing may be skipped; it states the problem.
        """
        self.leave_out_for(DataError(problem, code="unusable-images"), kind, count)

    def leave_out_for(self, error: DataError, kind: str, count: int = 1) -> None:
        """Count `count` names of a `kind` that are left out for an error.

        Raises:
            DataError: Nothing may be skipped; it has the code and the fields of the error.
        """
        if not self.skip_bad:
            raise DataError(
                f"{error} (--skip-bad leaves it out)", code=error.code, **error.fields
            )
        self.skipped[kind] += count
        self.warn(f"skipped: {error}")

    def lines(self) -> list[str]:
        """What an import says in the end: how many files it took, what it skipped, and what it chose."""
        skipped = (
            ", ".join(f"{count} {kind}" for kind, count in self.skipped.items()) or "none"
        )
        hidden = (
            f"; passed over {self.passed_over} hidden names" if self.passed_over else ""
        )
        remarks = [
            f"{_files(count)}: {remark}" for remark, count in self.remarks.most_common(20)
        ]
        return [*remarks, f"files taken: {self.taken}; skipped: {skipped}{hidden}"]


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
