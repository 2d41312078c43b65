"""Damage for tests: bytes flipped at random places of the files below a folder, one at a time, and put back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Flip:
    """One byte of a file, and the bits of it that change."""

    path: Path
    position: int
    bits: int

    def __str__(self) -> str:
        return f"{self.path.name} byte {self.position} ^ {self.bits:#04x}"


def random_flips(files: Sequence[Path], count: int, seed: int = 0) -> Iterator[Flip]:
    """Yield `count` flips; files take turns, so that small ones are met as often as large ones."""
    rng = np.random.default_rng(seed)
    for turn in range(count):
        path = files[turn % len(files)]
        position = int(rng.integers(path.stat().st_size))
        yield Flip(path, position, int(rng.integers(1, 256)))


def apply(flip: Flip) -> None:
    """Change the byte."""
    with flip.path.open("r+b") as file:
        file.seek(flip.position)
        byte = file.read(1)[0]
        file.seek(flip.position)
        file.write(bytes([byte ^ flip.bits]))


@contextmanager
def flipped(flip: Flip) -> Iterator[None]:
    """Change the byte, and put it back in the end."""
    apply(flip)
    try:
        yield
    finally:
        apply(flip)
