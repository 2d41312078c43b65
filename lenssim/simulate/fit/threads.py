"""Threads: a fit takes one, so that its bits do not depend on how many there are."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import torch

__all__ = ["one_thread"]


def one_thread[FunctionT: Callable[..., Any]](function: FunctionT) -> FunctionT:
    """Let a function work with one thread of torch; many lenses take many processes.

    Example:
        >>> one_thread(torch.get_num_threads)()
        1
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_num_threads(before)

    return cast("FunctionT", call)
