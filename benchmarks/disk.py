"""The disk's own limit: how fast files of a shard's size are written, flushed and renamed.

uv run python benchmarks/disk.py [--folder .] [--files 12]
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

IMAGE = 4 * 64 * 64  # bytes: float32
SHARD = 2048 * IMAGE


def images_a_second(folder: Path, files: int = 12, durable: bool = True) -> float:
    """Images/s of `files` files of 2,048 float32 images, written in turn into a new folder."""
    place = Path(tempfile.mkdtemp(prefix="lenssim-disk-", dir=folder))
    data = os.urandom(SHARD)
    try:
        start = time.perf_counter()
        for number in range(files):
            path = place / f"{number}.tmp"
            with path.open("wb", buffering=0) as file:
                file.write(data)
                if durable:
                    os.fsync(file.fileno())
            path.rename(place / f"{number}.h5")
        seconds = time.perf_counter() - start
    finally:
        shutil.rmtree(place)
    return files * 2048 / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--files", type=int, default=12)
    arguments = parser.parse_args()
    for durable in (True, False):
        rate = images_a_second(arguments.folder, arguments.files, durable)
        label = "flushed" if durable else "not flushed"
        print(f"| files of 2,048 images, {label} | {rate:,.0f} images/s |", flush=True)


if __name__ == "__main__":
    main()
