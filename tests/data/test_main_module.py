"""Workers of a script do not run the script again."""

import sys
from multiprocessing import spawn
from types import ModuleType

import pytest

from lenssim.data.generation.main_module import without_main

MAIN = {"init_main_from_name", "init_main_from_path"}


@pytest.fixture(autouse=True)
def script(monkeypatch, tmp_path):
    """A main module as Python makes it of a script."""
    main = ModuleType("__main__")
    main.__file__ = str(tmp_path / "script.py")
    monkeypatch.setitem(sys.modules, "__main__", main)


def test_only_workers_are_started_without_main():
    assert MAIN & set(spawn.get_preparation_data("a process of the user's"))
    with without_main():
        assert not MAIN & set(
            spawn.get_preparation_data("Dask Worker process (from Nanny)")
        )
        assert MAIN & set(spawn.get_preparation_data("a process of the user's"))
    assert MAIN & set(spawn.get_preparation_data("Dask Worker process (from Nanny)"))


def test_distributed_still_names_its_workers_so():
    from inspect import getsource

    from distributed import nanny

    assert 'name="Dask Worker process' in getsource(nanny.WorkerProcess)
