"""Python's search for garbage in the process of a command, where it costs more than it finds.

Imports make hundreds of thousands of objects that live to the end. Python looks through them again
and again while they come, and once more when the process ends.
"""

import atexit
import gc
import sys

__all__ = ["spare_collections"]

_OBJECTS = 400_000  # about as many as torch and lenssim import
_LEAK_CHECKERS = {"jaxlib", "triton"}  # they print what nobody collected


def spare_collections() -> None:
    """Look for no garbage while this process imports its modules, nor when it ends."""
    atexit.register(_collect_no_more)
    usual = gc.get_threshold()
    if "torch" in sys.modules or usual[0] == _OBJECTS:
        return

    def collect_as_usual(phase: str, info: dict[str, int]) -> None:
        gc.callbacks.remove(collect_as_usual)
        gc.set_threshold(*usual)

    gc.callbacks.append(collect_as_usual)
    gc.set_threshold(_OBJECTS)


def _collect_no_more() -> None:
    """Leave all objects to the end of the process."""
    if not _LEAK_CHECKERS & sys.modules.keys():
        gc.freeze()
