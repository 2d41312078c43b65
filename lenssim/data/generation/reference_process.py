"""The reference engine in a process of its own, for work that this process does alone.

The reference engine and the engine of a data set each import for a second or more. With two
cores they do so at the same time. What the reference engine renders stays the same.
"""

import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np

from lenssim.machine import available_cores
from lenssim.simulate.engines import REFERENCE, engine, engine_module
from lenssim.simulate.instruments import AnyCamera, Supersampling
from lenssim.simulate.scenes import Scenes

__all__ = ["reference_beside", "reference_images"]

_PROGRAM = f"from {__name__} import serve; serve()"

_process: "subprocess.Popen[bytes] | None" = None


@contextmanager
def reference_beside(modules: Sequence[str]) -> Iterator[None]:
    """Let another process import the reference engine, as long as the context lasts.

    Nothing is started where it would save nothing: on one core, or if one of the engines is
    imported already.

    Args:
        modules: Modules that the work needs, such as those of its engine and the reference.
    """
    global _process
    if not _is_worth_it(modules) or _process is not None:
        yield
        return
    with suppress(OSError):
        _process = _started()
    try:
        yield
    finally:
        _end()


def _is_worth_it(modules: Sequence[str]) -> bool:
    engines = {engine_module(REFERENCE), *modules}
    return (
        engine_module(REFERENCE) in modules
        and len(engines) > 1
        and not engines & sys.modules.keys()
        and available_cores() > 1
    )


def _started() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what fails there is done here, where it is reported
        start_new_session=True,  # Ctrl-C is for the process that leads
    )


def _end() -> None:
    """End the process, if there is one."""
    global _process
    if _process is None:
        return
    process = _process
    _process = None
    with process:  # closes its streams and waits for it
        process.kill()


def reference_images(
    scenes: Scenes, instrument: AnyCamera, supersampling: Supersampling
) -> np.ndarray:
    """Return what the reference engine renders, in the process beside this one if there is one.

    Args:
        scenes: N scenes.
        instrument: The camera.
        supersampling: Rays a side of a pixel.

    Returns:
        Images float64 (N, bands, H, W) in e-/s.

    Raises:
        ConfigError: The engine cannot render them.
    """
    if _process is not None:
        images = _asked(_process, (scenes, instrument, supersampling))
        if images is not None:
            return images
        _end()
    return engine(REFERENCE).render(scenes, instrument, supersampling=supersampling)


def _asked(process: "subprocess.Popen[bytes]", request: Any) -> np.ndarray | None:
    """Return the images of a request; None where the process has no answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pickle.dump(request, process.stdin)
        process.stdin.flush()
        return pickle.load(process.stdout)
    except (OSError, EOFError, ValueError, pickle.PickleError):
        return None


def serve() -> None:
    """Render what comes on stdin with the reference engine, until it ends."""
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else may come between the answers
    _serve(sys.stdin.buffer, answers)


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    renderer = engine(REFERENCE)
    with suppress(EOFError):
        while True:
            scenes, instrument, supersampling = pickle.load(requests)
            images = renderer.render(scenes, instrument, supersampling=supersampling)
            pickle.dump(images, answers)
            answers.flush()
