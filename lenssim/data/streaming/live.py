"""Live data: a data set that is simulated on the fly. Nothing is written to disk."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from lenssim.data.format.files import canonical_json
from lenssim.data.format.manifest import Plan
from lenssim.data.format.maps import IMAGE, check_kept
from lenssim.data.streaming.dataset import SPLIT_PERIOD, Batch, rows_of_split
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.pipeline import Exposure, simulate
from lenssim.simulate.streams import BLOCK

__all__ = ["LiveDataset"]


class LiveDataset(Dataset[Batch]):
    """The samples of a plan without its shards.

    The same numbers give the same images, bit for bit on the CPU. A row is a sample number;
    `endless` sets ask for others every epoch, fixed ones for the same. Rows beyond the
    plan's `n` exist as well: `n` only says what an epoch is. Neighbouring rows cost least,
    because samples are drawn in blocks: read it in the order of `BatchSampler(**order)`.
    `picture` is the image, or one of the maps of the plan that takes its place.
    """

    def __init__(self, plan: Plan, endless: bool = False, picture: str = IMAGE) -> None:
        self.plan = plan
        self.config = plan.config
        self.endless = endless
        self.picture = picture
        self.spec = plan.spec
        self.preset = self.spec.preset
        self.folder = Path(f"live:{self.preset.name}")
        check_kept(self.folder, self.config, picture)
        self.index = np.arange(plan.n)
        self.labels = labels(self.preset, self.index)
        # true parameters that come along as `target` float64 (N, T)
        self.columns: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return self.plan.classes

    @property
    def config_hash(self) -> str:
        """sha256 of the config."""
        return self.plan.config_hash

    @property
    def fingerprint(self) -> str:
        """64 hex digits of the plan; there are no contents to hash."""
        return hashlib.sha256(canonical_json([self.plan.config, self.plan.n])).hexdigest()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (1, self.preset.instrument.num_pix, self.preset.instrument.num_pix)

    @property
    def order(self) -> dict[str, Any]:
        """Options of a `BatchSampler` that asks for samples in the blocks they are drawn in."""
        if not self.endless:
            return {"block": BLOCK, "fresh": 0}
        # as many numbers further on as leaves every sample in its split
        period = BLOCK * SPLIT_PERIOD
        return {"block": BLOCK, "fresh": -(-self.plan.n // period) * period}

    def rows(self, split: str | None = None) -> np.ndarray:
        """Sample numbers of a split among the first `n`; all of them for None."""
        return rows_of_split(self.index, split)

    def targets(self, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """Return true parameters (N, T) of the sample numbers (N,).

        Raises:
            KeyError: A name is unknown; the error holds it and the known names.
        """
        return _columns(self._params(np.asarray(rows, dtype=np.int64)), names)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Return images float32 (N, C, H, W) of the sample numbers (N,), or their maps."""
        return self._shown(simulate(self.spec, rows))

    def _shown(self, exposure: Exposure) -> np.ndarray:
        """Return the images of an exposure, or the map that takes their place."""
        if self.picture == IMAGE:
            return exposure.observed
        return exposure.maps[self.picture]

    def _params(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return the true parameters (N,), rendering only where they follow from images."""
        spec = self.spec
        if spec.maps or spec.detectability:
            return simulate(spec, numbers).params
        return draw(spec.preset, numbers, seed=spec.seed, split=spec.split).params

    def __len__(self) -> int:
        return self.plan.n

    def __getitem__(self, row: int) -> Batch:
        if row < 0:
            raise IndexError(f"sample number {row} is below 0")
        return {name: column[0] for name, column in self.__getitems__([row]).items()}

    def __getitems__(self, rows: list[int] | np.ndarray) -> Batch:
        exposure = simulate(self.spec, rows)
        batch = {
            "image": torch.from_numpy(self._shown(exposure)),
            "label": torch.from_numpy(exposure.labels),
            "index": torch.from_numpy(exposure.numbers),
        }
        if self.columns:
            params = exposure.scenes.params
            if not set(self.columns) <= params.keys():
                params = exposure.params
            batch["target"] = torch.from_numpy(_columns(params, self.columns))
        return batch

    def __getstate__(self) -> dict[str, Any]:
        return {
            "plan": self.plan,
            "endless": self.endless,
            "picture": self.picture,
            "columns": self.columns,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        columns = state.pop("columns")
        self.__init__(**state)  # type: ignore[misc]
        self.columns = columns


def _columns(params: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Return some of the parameters as float64 (N, T); `KeyError` for an unknown name."""
    for name in names:
        if name not in params:
            raise KeyError(name, tuple(params))
    return np.stack([params[name] for name in names], axis=1).astype(np.float64)
