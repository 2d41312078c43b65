"""Run the faults that people met again, each from its own lines, and say what the program says now.

    uv run python tests/faults/replay.py            # all of them
    uv run python tests/faults/replay.py F4 R1      # those whose names begin so

One module in `entries/` holds the faults of one kind: it defines `ENTRIES`, a tuple of `Entry`.
The exit code is 1 if any fault is back.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # entries import `entry` when this file is run as a script

from entry import Entry  # noqa: E402


@dataclass(frozen=True)
class Replay:
    """What came of one entry: what it printed, and what is wrong with that (nothing: mended)."""

    entry: Entry
    output: str
    complaint: str

    @property
    def last_words(self) -> str:
        """The line of the output that the entry asks for, or else its last line."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        matching = [
            line for line in lines if self.entry.says and re.search(self.entry.says, line)
        ]
        return (matching or lines or [""])[-1].strip()


def load_entries() -> tuple[Entry, ...]:
    """Return the entries of all modules in `entries/`, in the order of the files' names."""
    entries: list[Entry] = []
    for path in sorted((HERE / "entries").glob("[!_]*.py")):
        entries.extend(_load_module(path).ENTRIES)
    return tuple(entries)


def _load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fault_entries_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train_run(folder: Path) -> dict[str, str]:
    """Generate a small data set and train a classifier on it; return `RUN` and `DATA`."""
    variables = {"RUN": str(folder / "run"), "DATA": str(folder / "data")}
    script = (
        "lenssim generate -m III -n 384 --workers 0 -o $DATA && "
        "lenssim train classify --net cnn --data $DATA --epochs 1 --out $RUN"
    )
    done = _bash(script, folder, variables, seconds=300)
    if done.returncode:
        raise RuntimeError(f"the run for the faults could not be trained:\n{done.stdout}")
    return variables


def replay(entry: Entry, folder: Path, variables: dict[str, str]) -> Replay:
    """Run an entry's script in `folder`, which must be empty, and judge what it prints."""
    shutil.copy(HERE / "make.py", folder / "make.py")
    done = _bash(entry.script, folder, variables, entry.seconds)
    return Replay(entry, done.stdout, _complaint(entry, done))


def _complaint(entry: Entry, done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode != entry.code:
        return f"exit code {done.returncode} instead of {entry.code}"
    if entry.says and not re.search(entry.says, done.stdout):
        return f"nothing printed matches {entry.says!r}"
    if entry.never and re.search(entry.never, done.stdout):
        return f"what is printed matches {entry.never!r}"
    return ""


def _bash(
    script: str, folder: Path, variables: dict[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run lines of bash with this Python's commands first in PATH; kill the whole group in the end."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **variables, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        code = 137
    return subprocess.CompletedProcess(script, code, output)


def _chosen(names: list[str]) -> Iterator[Entry]:
    for entry in load_entries():
        if not names or any(
            re.match(rf"{re.escape(name)}(\D|$)", entry.name) for name in names
        ):
            yield entry


def main() -> int:
    """Replay the entries named on the command line and print a table of what they say."""
    entries = list(_chosen(sys.argv[1:]))
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        variables: dict[str, str] = {}
        if any(entry.needs_run for entry in entries):
            variables = train_run(Path(scratch))
        for entry in entries:
            with tempfile.TemporaryDirectory() as folder:
                result = replay(entry, Path(folder), variables)
            wrong += bool(result.complaint)
            verdict = f"BACK: {result.complaint}" if result.complaint else "mended"
            print(f"{entry.name:<12} {verdict:<8} {result.last_words}", flush=True)
    print(f"{len(entries) - wrong} of {len(entries)} faults are mended")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
