"""Every fault that people met stays mended: the script of each one is run as its finder ran it."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_spec = importlib.util.spec_from_file_location(
    "fault_replay", Path(__file__).with_name("replay.py")
)
replays = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(replays)


@pytest.fixture(scope="session")
def variables(tmp_path_factory) -> dict[str, str]:
    return replays.train_run(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("entry", replays.load_entries(), ids=lambda entry: entry.name)
def test_fault_stays_mended(entry, tmp_path, request):
    variables = request.getfixturevalue("variables") if entry.needs_run else {}
    result = replays.replay(entry, tmp_path, variables)
    assert not result.complaint, f"{entry.fault}\n{result.complaint}\n{result.output}"
