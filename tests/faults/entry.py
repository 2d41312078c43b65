"""One fault that people met: how to show it, and what the program says now."""

from dataclasses import dataclass

__all__ = ["Entry"]


@dataclass(frozen=True)
class Entry:
    """A fault with the smallest input that shows it.

    Attributes:
        name: Short name of the fault, such as "F4". Several entries may share a stem: "F4", "F4-drawn".
        fault: What went wrong before, in one sentence.
        script: Bash lines that run in an empty folder. `lenssim` is the command; `make.py` lies in
            the folder; with `needs_run`, `$RUN` and `$DATA` are a trained classifier and its data.
        code: The exit code that the script must end with.
        says: A regular expression that must match somewhere in what the script prints.
        never: A regular expression that must match nowhere in what the script prints.
        needs_run: Whether the script asks a trained run.
        seconds: The script is killed, and has failed, after this time.
    """

    name: str
    fault: str
    script: str
    code: int = 0
    says: str = ""
    never: str = r"Traceback \(most recent call last\)"
    needs_run: bool = False
    seconds: float = 120.0
