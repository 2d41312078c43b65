"""How many threads torch works in, between kernels that work in one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Let torch work in this thread alone, as compiled kernels do.

    What is between kernels is short. Further threads would save little on quiet cores, and
    wait for each other on busy ones: there they took six times the CPU time.

    Args:
        wanted: Whether to do so; torch works in all its threads otherwise.
    """
    before = torch.get_num_threads()
    if not wanted or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
