"""Notes on stderr: a line for people, which never stops the work."""

import os
import sys
from pathlib import Path

__all__ = ["RUN_FOLDER", "note", "note_once", "say", "say_once"]

RUN_FOLDER = "LENSSIM_RUN_FOLDER"  # processes of one run share this folder, see `lenssim.cache.run_folder`

_said: set[str] = set()


def note(text: str) -> None:
    """Write a line to stderr; do nothing where stderr is closed, full or gone.

    Args:
        text: What to say, without a line end.
    """
    if sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):  # ValueError: the stream was closed in this process
        return


def note_once(text: str) -> None:
    """Write a line to stderr, the first time that this process says it.

    Args:
        text: What to say, without a line end.
    """
    if text not in _said:
        _said.add(text)
        note(text)


def say(text: str) -> None:
    """Write `lenssim: text` to stderr; do nothing where stderr is closed, full or gone.

    Args:
        text: What to say, without a line end.
    """
    note(f"lenssim: {text}")


def say_once(topic: str, text: str) -> None:
    """Write a note unless this process, or another of the same run, has said it.

    Args:
        topic: Short word for what the note is about; a file name may hold it.
        text: What to say, without a line end.
    """
    if topic in _said:
        return
    _said.add(topic)
    if _first_of_the_run(topic):
        say(text)


def _first_of_the_run(topic: str) -> bool:
    folder = os.environ.get(RUN_FOLDER)
    if folder is None:
        return True
    try:
        (Path(folder) / f"said-{topic}").touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True
