"""What a user should know and no answer depends on: one line each on stderr."""

import sys

__all__ = ["note", "note_once"]

_NOTED: set[str] = set()


def note(text: str) -> None:
    """Print a line on stderr; nothing where a process has no stderr."""
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


def note_once(text: str) -> None:
    """Print a line on stderr, the first time that this process says it."""
    if text not in _NOTED:
        _NOTED.add(text)
        note(text)
