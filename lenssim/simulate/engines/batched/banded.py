"""The blur of a Gaussian PSF as a sum over its few pixels, with the bits of matrix products."""

import ctypes
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.native import load

__all__ = ["BandedBlur", "banded_blur"]

_SOURCE = Path(__file__).with_name("blur.cpp")
_LANES = 16  # numbers that blur.cpp takes at a time


class BandedBlur:
    """Blurs images by a matrix with few diagonals, compiled.

    Args:
        matrix: The matrix B (H, H) float32 of one axis.
        library: blur.cpp, compiled.
    """

    def __init__(self, matrix: np.ndarray, library: ctypes.CDLL) -> None:
        size = len(matrix)
        i, k = np.nonzero(matrix)
        radius = int(np.abs(i - k).max(initial=0))
        terms = 2 * radius + 1
        width = -(-size // _LANES) * _LANES
        first = np.clip(np.arange(size) - radius, 0, max(0, size - terms))
        self.fits = terms <= size
        self.sizes = (terms, size, width)
        self.first = first.astype(np.int64)
        self.rows = _windows(matrix, self.first, terms)
        self.diagonals = np.zeros((terms, width), np.float32)
        self.diagonals[:, :size] = _diagonals(matrix, radius)
        self.library = library

    def __call__(self, images: Tensor, factor: float) -> Tensor:
        """Return B (factor * images) B^T of float32 images (N, H, H) on the CPU."""
        images = images.contiguous()
        blurred = torch.empty_like(images)
        terms, size, width = self.sizes
        scaled = np.zeros((size, width), np.float32)
        padded = np.zeros(width + 2 * terms, np.float32)
        tables = (self.rows, self.first, self.diagonals)
        self.library.blur(
            *(ctypes.c_void_p(table.ctypes.data) for table in tables),
            *(ctypes.c_int64(size) for size in self.sizes),
            ctypes.c_float(factor),
            ctypes.c_void_p(images.data_ptr()),
            ctypes.c_void_p(blurred.data_ptr()),
            ctypes.c_int64(len(images)),
            *(ctypes.c_void_p(room.ctypes.data) for room in (scaled, padded)),
        )
        return blurred

    def agrees(self, count: int) -> bool:
        """Return whether the bits are those of matrix products of `count` images here."""
        size = self.sizes[1]
        rng = np.random.default_rng(0)
        values = rng.lognormal(sigma=3.0, size=(count, size, size)).astype(np.float32)
        images = torch.from_numpy(values)
        matrix = torch.from_numpy(self.matrix())
        return torch.equal(self(images, 0.3), matrix @ (images * 0.3) @ matrix.T)

    def matrix(self) -> np.ndarray:
        """Return the matrix B (H, H) float32."""
        terms, size, _ = self.sizes
        matrix = np.zeros((size, size), np.float32)
        columns = self.first[:, None] + np.arange(terms)
        np.put_along_axis(matrix, columns, self.rows, axis=1)
        return matrix


def _windows(matrix: np.ndarray, first: np.ndarray, terms: int) -> np.ndarray:
    """Return the entries (H, terms) of each row from its first column on."""
    columns = np.minimum(first[:, None] + np.arange(terms), len(matrix) - 1)
    return np.ascontiguousarray(np.take_along_axis(matrix, columns, axis=1))


def _diagonals(matrix: np.ndarray, radius: int) -> np.ndarray:
    """Return the diagonals (2 radius + 1, H), zero where they leave the matrix."""
    padded = np.pad(matrix, ((0, 0), (radius, radius)))
    terms = np.arange(2 * radius + 1)[:, None]
    rows = np.arange(len(matrix))
    return padded[rows, rows + terms]


def banded_blur(matrix: np.ndarray, count: int) -> BandedBlur | None:
    """Return the compiled blur by a matrix, if its bits are those of matrix products.

    Args:
        matrix: The matrix (H, H) float32 of one axis.
        count: Number of images that are blurred at once.

    Returns:
        The blur; None where nothing can be compiled, or this machine's products round
        otherwise.
    """
    library = load(_SOURCE, "-ffp-contract=fast")
    if library is None:
        return None
    library.blur.restype = None
    banded = BandedBlur(matrix, library)
    return banded if banded.fits and banded.agrees(count) else None
