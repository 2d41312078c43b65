"""How commands of many inputs end where some of them could not be used."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenssim.errors import DataError, LenssimError

if TYPE_CHECKING:
    from lenssim.learn.inputs.problems import Problem

__all__ = ["raise_last", "raise_problems"]


def raise_last(errors: "Sequence[LenssimError]") -> None:
    """End a command with the errors that it went on after, if there are any.

    All but one are printed on stderr; the one with the largest exit code is raised.
    """
    from lenssim.notes import say

    if not errors:
        return
    ordered = sorted(errors, key=lambda error: error.exit_code)
    for error in ordered[:-1]:
        say(str(error))
    raise ordered[-1]


def raise_problems(problems: "Sequence[Problem]", answered: int) -> None:
    """End a command with an error if there were problems, once it has printed its answers.

    Args:
        problems: What could not be used, with the reasons, which are printed on stderr.
        answered: Number of images that were answered for.

    Raises:
        LenssimError: There was a problem: its own error if it is the only one and nothing was answered.
    """
    from lenssim.notes import note

    if not problems:
        return
    if len(problems) == 1 and not answered:
        raise problems[0].error
    for problem in problems:
        note(f"lenssim: {problem.error}")
    files = len({problem.file for problem in problems})
    raise DataError(
        f"{len(problems)} problem{'s' * (len(problems) > 1)} in {files} file{'s' * (files > 1)}, named above; "
        f"{answered} images were answered for",
        code="unusable-images",
        files=files,
        answered=answered,
    )
