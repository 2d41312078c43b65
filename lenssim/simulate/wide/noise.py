"""The noise of a wide field, block by block: an image of any size, with correlated noise.

A block has its random numbers by its own number. Correlated noise needs white noise beyond the
block's edge, which is that of its neighbours. So the blocks fit together without a seam.
"""

import numpy as np

from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.noise.correlated import correlate, resampling_margin
from lenssim.simulate.noise.deviates import NEWEST, normal_deviates
from lenssim.simulate.streams import FIELD

__all__ = ["BLOCK_SIDE", "FieldNoise"]

BLOCK_SIDE = 512  # pixels


class FieldNoise:
    """Adds noise to blocks of a field.

    Args:
        camera: The camera.
        seed: Seed of the field.
        split: Its split.
        columns: Blocks along a row of the field.
    """

    def __init__(self, camera: AnyCamera, seed: int, split: str, columns: int) -> None:
        self._camera = camera
        self._seed = seed
        self._split = split
        self._columns = columns
        self.margin = max(resampling_margin(band) for band in camera.instruments)

    def sigma(self, light: np.ndarray, band: int) -> np.ndarray:
        """Return the rms of the noise, as a weight map states it, of light (H, W) in e-/s."""
        instrument = self._camera.instruments[band]
        variance = float(instrument.background()) ** 2
        return np.sqrt(variance + light.clip(min=0) / float(instrument.total_exposure()))

    def noise(self, light: np.ndarray, row: int, column: int, band: int) -> np.ndarray:
        """Return the noise of a block.

        Args:
            light: Light (B + M, B + M) in e-/s of the block and the margin after it.
            row: Row of the block.
            column: Its column.
            band: Number of the band.

        Returns:
            Noise float32 (B, B).
        """
        margin = self.margin
        side = BLOCK_SIDE + margin
        white = np.empty((1, side, side), np.float32)
        for down in (0, 1):
            for across in (0, 1):
                if margin == 0 and (down or across):
                    continue
                rows = slice(BLOCK_SIDE, side) if down else slice(0, BLOCK_SIDE)
                columns = slice(BLOCK_SIDE, side) if across else slice(0, BLOCK_SIDE)
                part = self._white(row + down, column + across, band)
                white[0, rows, columns] = part[
                    : rows.stop - rows.start, : columns.stop - columns.start
                ]
        white *= self.sigma(light, band).astype(np.float32)
        instrument = self._camera.instruments[band]
        reach = BLOCK_SIDE + resampling_margin(instrument)
        return correlate(np.ascontiguousarray(white[:, :reach, :reach]), instrument)[0]

    def _white(self, row: int, column: int, band: int) -> np.ndarray:
        """Return normal deviates float32 (B, B) of a block."""
        number = (row * (self._columns + 1) + column) * len(self._camera.instruments) + band
        shape = (1, BLOCK_SIDE, BLOCK_SIDE)
        deviates = normal_deviates(
            NEWEST,
            np.array([number]),
            shape,
            seed=self._seed,
            split=self._split,
            purpose=FIELD,
        )
        return np.asarray(deviates[0, 0])
