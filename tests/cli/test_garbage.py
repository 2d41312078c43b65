"""The search for garbage: spared while modules are imported and at the end, as usual in between."""

import gc
import sys

import pytest

from lenssim.cli import garbage


@pytest.fixture(autouse=True)
def no_collection(monkeypatch):
    """Restores what the functions change, and keeps them from the end of this process."""
    registered = []
    monkeypatch.setattr(garbage.atexit, "register", registered.append)
    threshold = gc.get_threshold()
    callbacks = list(gc.callbacks)
    gc.callbacks.clear()  # those of commands that ran in this process
    yield registered
    gc.callbacks[:] = callbacks
    gc.set_threshold(*threshold)


@pytest.mark.parametrize("module", [None, "triton", "jaxlib"])
def test_a_process_that_ends_looks_for_no_garbage(monkeypatch, no_collection, module):
    for name in garbage._LEAK_CHECKERS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    if module is not None:
        monkeypatch.setitem(sys.modules, module, sys)
    frozen = []
    monkeypatch.setattr(garbage.gc, "freeze", lambda: frozen.append(True))
    garbage.spare_collections()
    (at_the_end,) = no_collection
    at_the_end()
    assert bool(frozen) is (module is None), "what checks for leaks would print them"


def test_garbage_is_collected_as_usual_after_the_first_search(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    gc.set_threshold(500, 9, 8)
    for _ in range(2):
        garbage.spare_collections()
    assert gc.get_threshold()[0] > 100_000
    gc.collect(0)
    assert gc.get_threshold() == (500, 9, 8)
    gc.set_threshold(600, 9, 8)
    gc.collect(0)
    assert gc.get_threshold() == (600, 9, 8), "the second search changes nothing"


def test_nothing_changes_where_torch_is_imported_already(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    before = gc.get_threshold()
    garbage.spare_collections()
    assert gc.get_threshold() == before
