"""Problems of single inputs: one unusable input never costs the results of the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lenssim.errors import LenssimError

__all__ = ["Problem", "Report", "raise_problem"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file or with one image of it.

    Attributes:
        file: The file.
        image: Number of the image, None for the whole file.
        error: What is wrong.
    """

    file: str
    image: int | None
    error: LenssimError

    def document(self) -> dict[str, Any]:
        """Return the problem as a JSON document.

        Example:
            >>> Problem("a.fits", None, LenssimError("it is empty")).document()
            {'file': 'a.fits', 'image': None, 'error': 'it is empty'}
        """
        return {"file": self.file, "image": self.image, "error": str(self.error)}


Report = Callable[[Problem], None]


def raise_problem(problem: Problem) -> None:
    """Raise the error of a problem, where nobody collects problems."""
    raise problem.error
