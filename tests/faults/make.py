"""Images for the scripts of the faults: rings with noise, as class folders of .npy files."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np


def ring(n: int = 64, seed: int = 0) -> np.ndarray:
    """Return a noisy ring (n, n)."""
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    radius = np.hypot(x, y)
    noise = np.random.default_rng(seed).normal(0, 0.02, (n, n))
    return np.exp(-0.5 * ((radius - 0.3 * n) / (0.06 * n)) ** 2) + noise


def folder(
    root: str | Path,
    classes: Iterable[str],
    k: int = 4,
    f: Callable[[int], np.ndarray] = lambda i: ring(seed=i),
    start: int = 0,
) -> None:
    """Write `k` images of each class below `root`, one file an image."""
    for name in classes:
        Path(root, name).mkdir(parents=True, exist_ok=True)
        for i in range(start, start + k):
            np.save(Path(root, name, f"{i:05d}.npy"), f(i))
