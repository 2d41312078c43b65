"""A first compilation as a phase of its own: all kernels of a data set, several at a time."""

import subprocess
import time
from collections.abc import Callable, Sequence

from lenssim.lazy import load
from lenssim.simulate.engines.batched import compilers
from lenssim.simulate.engines.batched.compilers import Job
from lenssim.simulate.engines.batched.kernels import asked_for_package

__all__ = ["compile_all", "packages_of"]

_LOOK_EVERY = 0.5  # s

Helper = subprocess.Popen[bytes]
Told = Callable[[int, int, float | None], None]  # kernels done, in all, seconds left


def packages_of(jobs: Sequence[Job]) -> dict[str, bool]:
    """Return the files of the kernels of jobs, and whether they are ready."""
    found = [asked_for_package(load(name).__wrapped__, inputs) for name, inputs in jobs]
    return dict(answer for answer in found if answer is not None)


def compile_all(jobs: Sequence[Job], tell: Told, helpers: Sequence[Helper] = ()) -> None:
    """Compile the kernels that are missing, in processes of their own.

    A kernel that does not compile is left to the process that needs it, which says why.

    Args:
        jobs: The kernels' jobs, in the order of their use.
        tell: Hears how many kernels are done, how many were missing, and about how many
            seconds are left, None where that is not known yet.
        helpers: Processes that wait for jobs, of `waiting_compilers`. Without any, they
            start here.
    """
    missing = [job for job in jobs if False in packages_of([job]).values()]
    if missing and not helpers:
        helpers = compilers.waiting_compilers(len(missing))
    compilers.hand_out(missing, helpers)
    if not missing:
        return
    start = time.monotonic()
    tell(0, len(missing), None)
    while any(helper.poll() is None for helper in helpers):
        for helper in helpers:
            _wait(helper)
        done = len(missing) - list(packages_of(missing).values()).count(False)
        left = None
        if done:
            left = (time.monotonic() - start) / done * (len(missing) - done)
        tell(done, len(missing), left)


def _wait(helper: Helper) -> None:
    """Wait for a moment, or until a process ends."""
    try:
        helper.wait(_LOOK_EVERY)
    except subprocess.TimeoutExpired:
        return
