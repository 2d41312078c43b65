"""What a user waits for, from the shell: images, the first sign of progress, and the first epoch.

uv run python benchmarks/waiting.py [--page docs/results/waiting.md]
uv run python benchmarks/waiting.py --counts 1,600 --models III

Each row is a command of a new process, with its seconds from the Return key to the prompt.
Kernels and bytecode are in place: the first, unlisted, run of a single image makes them. With
`--page` the table is written as a page of the documentation, with its conditions.
"""

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

COUNTS = (1, 60, 3_000, 90_000, 1_000_000)
FEW = (1, 600)  # of presets with haloes
EPOCH = 3_000  # images of the first epoch
LEAST = 600  # images that make a validation split of all classes


@dataclass(frozen=True)
class Wait:
    """What a command took.

    Attributes:
        what: What the user asked for.
        seconds: From the Return key to the prompt.
        first: Seconds until something was shown; None where nothing was looked for.
        images: How many images were made; 0 for other commands.
    """

    what: str
    seconds: float
    first: float | None = None
    images: int = 0

    def row(self) -> str:
        """Return a row of the table."""
        rate = f"{self.images / self.seconds:,.0f}" if self.images > self.seconds else ""
        first = "" if self.first is None else f"{self.first:.2f}"
        return f"| {self.what} | {self.seconds:.1f} | {first} | {rate} |"


def run(what: str, *arguments: object, images: int = 0) -> Wait:
    """Run a lenssim command in a process of its own, on a terminal of its own."""
    command = [sys.executable, "-m", "lenssim", *map(str, arguments)]
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    screen, theirs = os.openpty()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    first, text = _watched(screen, start)
    if process.wait():
        raise SystemExit(f"{shlex.join(command)}\n{text}")
    return Wait(what, time.perf_counter() - start, first, images)


def _watched(screen: int, start: float) -> tuple[float | None, str]:
    """Return when a terminal first showed something, and the end of all that it showed."""
    first = None
    shown = b""
    while True:
        try:
            part = os.read(screen, 1 << 16)
        except OSError:  # the process has closed its end
            break
        if not part:
            break
        if first is None:
            first = time.perf_counter() - start
        shown = (shown + part)[-4000:]
    os.close(screen)
    return first, shown.decode(errors="replace")


def measured(
    models: list[str], counts: list[int], workers: int | None, room: Path
) -> list[Wait]:
    """Return all waits, and print each as it comes."""
    waits = [run("the help of all commands", "--help")]
    _show(waits[-1])
    for model in models:
        asked = ("generate", "--model", model)
        run("", *asked, "--n", 1, "--workers", 0, "--out", room / f"{model}-warm")
        for count in counts if model == models[0] else FEW:
            out = room / f"{model}-{count}"
            options = [] if workers is None else ["--workers", workers]
            what = f"`generate --model {model} --n {count}`"
            waits.append(
                run(what, *asked, "--n", count, *options, "--out", out, images=count)
            )
            _show(waits[-1])
            shutil.rmtree(out)
    data = room / "epoch"
    size = max(LEAST, min(EPOCH, max(counts)))
    run("", "generate", "--model", models[0], "--n", size, "--out", data)
    train = ("train", "classify", "--net", "cnn", "--data", data, "--epochs", 1)
    waits.append(
        run(f"the first epoch of `cnn`, {size:,} images", *train, "--out", room / "run")
    )
    _show(waits[-1])
    return waits


def _show(wait: Wait) -> None:
    print(wait.row(), flush=True)


def processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def page(waits: list[Wait], before: float, after: float) -> str:
    """Return the page of the documentation."""
    rows = "\n".join(wait.row() for wait in waits)
    return f"""# What you wait for

This page shows how long commands take from the shell, from a single image to a million.

```
uv run python benchmarks/waiting.py --page docs/results/waiting.md
```

{HEAD}
{rows}

"First sign" is the time until the terminal shows something. Workers start only where they
save more time than their start takes. So the small data sets are made in one process.

## Conditions

{len(os.sched_getaffinity(0))} cores ({processor()}), load {before:.1f} at the start and
{after:.1f} at the end. Python {platform.python_version()}, torch {version("torch")}. Each row is one
run of a new process. Compiled kernels and Python's bytecode are in place.{_warning(before)}
"""


HEAD = """| what | seconds | first sign [s] | images a second |
|---|---|---|---|"""


def _warning(load: float) -> str:
    """Return a warning where other work slowed the runs."""
    if load < 0.5:
        return ""
    return "\nThe load was not below 0.5 at the start, so the times are upper limits."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="III,hst")
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)))
    parser.add_argument("--workers", type=int, default=None, help="default: lenssim's own")
    parser.add_argument("--folder", type=Path, default=None, help="where data sets go")
    parser.add_argument("--page", type=Path, default=None, help="Markdown page to write")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.counts.split(",")]
    before = os.getloadavg()[0]
    room = Path(tempfile.mkdtemp(prefix="lenssim-waiting-", dir=arguments.folder))
    print(f"load {before:.1f} at the start\n\n{HEAD}", flush=True)
    try:
        waits = measured(arguments.models.split(","), counts, arguments.workers, room)
    finally:
        shutil.rmtree(room)
    after = os.getloadavg()[0]
    print(f"\nload {after:.1f} at the end")
    if arguments.page is not None:
        arguments.page.write_text(page(waits, before, after))


if __name__ == "__main__":
    main()
