"""Workers without the caller's program: dask's processes do not run the script that starts them again."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import spawn
from typing import Any

__all__ = ["without_main"]

_WORKER = "Dask Worker process"  # how distributed names its processes
_MAIN = ("init_main_from_name", "init_main_from_path")


@contextmanager
def without_main() -> Iterator[None]:
    """Start dask's workers without importing the caller's `__main__`, for as long as the context lasts.

    multiprocessing imports the main module into each process that it does not fork, so that
    functions defined there can be called. Our tasks live in modules. Without this a script would need
    the guard `if __name__ == "__main__"`, or run its body again in every worker. Other processes that
    start meanwhile are prepared as always.
    """
    prepare = spawn.get_preparation_data

    def prepare_without_main(name: str) -> dict[str, Any]:
        data = prepare(name)
        if name.startswith(_WORKER):
            for key in _MAIN:
                data.pop(key, None)
        return data

    spawn.get_preparation_data = prepare_without_main
    try:
        yield
    finally:
        spawn.get_preparation_data = prepare
