"""All tables of docs/results/generation-speed.md and waiting.md, one after the other.

uv run python benchmarks/speed.py [--page docs/results/waiting.md] > speed.md

It takes about a quarter of an hour, and a machine with nothing else to do: each part prints the
load before and after, and waits until that of the part before has gone.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

PARTS = (
    ("engines.py", "--n", "30000"),
    ("pairs.py",),
    ("first_compilation.py",),
    ("waiting.py", "--models", "III,hst-arcs,hst", "--page"),
    ("waiting.py", "--models", "III,hst-arcs", "--counts", "60,600,90000"),
)
QUIET = 0.3  # load
PATIENCE = 300.0  # s


def wait_for_quiet() -> None:
    """Wait until the load is low, or for five minutes."""
    end = time.monotonic() + PATIENCE
    while os.getloadavg()[0] > QUIET and time.monotonic() < end:
        time.sleep(5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", default="waiting.md", help="page of waiting.py")
    arguments = parser.parse_args()
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for script, *options in PARTS:
        wait_for_quiet()
        if options[-1:] == ["--page"]:
            options.append(arguments.page)
        print(f"\n## {script} {' '.join(options)}\n", flush=True)
        path = Path(__file__).with_name(script)
        subprocess.run([sys.executable, str(path), *options], env=environment, check=False)


if __name__ == "__main__":
    main()
