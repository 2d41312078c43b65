"""PyAutoLens, imported and called so that no user's configuration changes its results.

It reads `config/` of the working directory and `PYAUTO_*` variables. Both can shrink grids,
change over-sampling or stop the import. This module imports it without them, and it works
within `pinned()`, with its default configuration. Outside of `pinned()` a user's own
configuration holds, as it would without lenssim.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["aa", "ag", "al", "pinned"]

_SKIP_CHECK = "PYAUTO_SKIP_WORKSPACE_VERSION_CHECK"


@contextmanager
def _clean_environment(**extra: str) -> Iterator[None]:
    removed = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("PYAUTO_")
    }
    os.environ.update(extra)
    try:
        yield
    finally:
        for name in extra:
            os.environ.pop(name, None)
        os.environ.update(removed)


@contextmanager
def _unchanged_random_state() -> Iterator[None]:
    state = np.random.get_state()  # noqa: NPY002 (jax moves the global state when imported)
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


with (
    warnings.catch_warnings(),
    _clean_environment(**{_SKIP_CHECK: "1"}),
    _unchanged_random_state(),
):
    # its docstrings hold escape sequences that Python warns of, once, when compiled
    warnings.simplefilter("ignore")
    from autonerves import conf

    _users = conf.instance
    conf.instance = conf.Config()  # the libraries register their own folders here
    try:
        import autofit as af
        import autolens as al
        import jax  # noqa: F401 (PyAutoLens would import it with the first image)

        aa = al.lens.tracer.aa
        ag = al.lens.tracer.ag
        _DEFAULTS = conf.Config(
            *(Path(library.__file__).parent / "config" for library in (al, ag, aa, af))
        )
        for library in (af, aa, ag, al):
            # a broken config folder of the user's raises its error when they use it
            with suppress(Exception):
                _users.register(library.__file__)
    finally:
        conf.instance = _users


@contextmanager
def pinned() -> Iterator[None]:
    """Run a block with PyAutoLens's default configuration and without `PYAUTO_*` variables.

    PyAutoLens evaluates formulas outside their branches, so numpy is silent within. numpy's
    error state is restored afterwards.
    """
    users: Any = conf.instance
    conf.instance = _DEFAULTS
    try:
        with warnings.catch_warnings(), _clean_environment(), np.errstate(all="ignore"):
            # numpy's, caused by PyAutoLens's own calls
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        conf.instance = users
