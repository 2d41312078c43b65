"""Inputs that cannot be used: one of them never costs the answers for the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lenssim.errors import LenssimError

__all__ = ["Problem", "Report", "raise_problem"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, or with one image of it (`image` is None for the whole file)."""

    file: str
    image: int | None
    error: LenssimError

    def document(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"file": self.file, "image": self.image, "error": str(self.error)}


Report = Callable[[Problem], None]


def raise_problem(problem: Problem) -> None:
    """Stop at a problem, where nobody collects them."""
    raise problem.error
