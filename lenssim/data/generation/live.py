"""A data set that is nowhere: samples are drawn, rendered and observed when they are asked for."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, SupportsIndex, cast

import numpy as np
import torch

from lenssim.data.format.files import canonical_json
from lenssim.data.format.manifest import Plan
from lenssim.data.format.maps import IMAGE
from lenssim.data.generation.simulation import plan_preset
from lenssim.data.streaming.source import Batch, ReadingOrder, SampleDataset
from lenssim.data.streaming.splits import SPLIT_PERIOD, rows_of_split
from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine
from lenssim.simulate.observe import observe
from lenssim.simulate.streams import BLOCK

__all__ = ["LiveDataset"]


class LiveDataset(SampleDataset):
    """The samples of a plan without its shards: the same numbers give the same images, bit for bit on the CPU.

    A row is a sample number; `endless` sets ask for others every epoch, fixed ones for the same. Rows beyond the plan's
    `n` are there as well: `n` only says what an epoch is. Neighbouring rows cost least, because samples are drawn in
    blocks: read it in the order of `BatchSampler(**order)`.
    """

    picture = IMAGE

    def __init__(self, plan: Plan, endless: bool = False) -> None:
        self.plan, self.config, self.endless = plan, plan.config, endless
        self.preset = plan_preset(plan)
        self.folder = Path(f"live:{self.preset.name}")
        self.index = np.arange(plan.n)
        self.labels = labels(self.preset, self.index)

    @property
    def name(self) -> str:
        """The name of the preset, as of live data."""
        return str(self.folder)

    @property
    def bands(self) -> int:
        """The number of bands, C."""
        return self.image_shape[0]

    @property
    def pixel_scale(self) -> float:
        """The pixel scale in arcsec."""
        return self.preset.instrument.pixel_scale

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
        """64 hex digits of what the samples follow from; no hash of contents, which nobody has seen."""
        return hashlib.sha256(canonical_json([self.plan.config, self.plan.n])).hexdigest()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (1, self.preset.instrument.num_pix, self.preset.instrument.num_pix)

    @property
    def order(self) -> ReadingOrder:
        """Options of a `BatchSampler` that asks for these samples cheaply: in the blocks that they are drawn in."""
        # as many numbers further on as leaves every sample in its split
        period = BLOCK * SPLIT_PERIOD
        return {
            "block": BLOCK,
            "fresh": -(-self.plan.n // period) * period if self.endless else 0,
        }

    def rows(self, split: str | None = None) -> np.ndarray:
        """Sample numbers of a split among the first `n`; all of them for None."""
        return rows_of_split(self.index, split)

    def targets(self, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """True parameters (N, T) of the sample numbers (N,); `KeyError` of an unknown name, and the known."""
        scenes = draw(
            self.preset,
            np.asarray(rows),
            seed=self.config["seed"],
            split=self.config["split"],
        )
        for name in names:
            if name not in scenes.params:
                raise KeyError(name, tuple(scenes.params))
        return np.stack([scenes.params[name] for name in names], axis=1).astype(np.float64)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Images float32 (N, C, H, W) of the sample numbers (N,)."""
        config, camera = self.config, self.preset.instrument
        numbers = np.asarray(rows, dtype=np.int64)
        scenes = draw(self.preset, numbers, seed=config["seed"], split=config["split"])
        renderer = engine(config["engine"], **config["engine_settings"])
        expected = renderer.render(scenes, camera, supersampling=config["supersampling"])
        return observe(
            expected,
            scenes,
            camera,
            config["noise"],
            numbers=numbers,
            seed=config["seed"],
            split=config["split"],
        )

    def __len__(self) -> int:
        return self.plan.n

    def checked_rows(self, rows: Sequence[SupportsIndex] | np.ndarray) -> np.ndarray:
        """Return sample numbers (N,), which have no end; `IndexError` for one below 0."""
        numbers = np.array([int(row) for row in rows], dtype=np.int64)
        if (numbers < 0).any():
            raise IndexError(f"sample number {numbers.min()} is below 0")
        return numbers

    def read_batch(
        self, rows: np.ndarray, maps: Sequence[str], targets: Sequence[str]
    ) -> Batch:
        """Simulate the samples of the sample numbers (N,); `ConfigError` for any map."""
        for name in maps:
            raise ConfigError(f"{self.folder} keeps no {name!r}: live data have no maps")
        columns = {
            "image": torch.from_numpy(self.images(rows)),
            "label": torch.from_numpy(labels(self.preset, rows)),
            "index": torch.from_numpy(rows),
        }
        if targets:
            columns["target"] = torch.from_numpy(self.targets(targets, rows))
        return cast("Batch", columns)

    def __getstate__(self) -> dict[str, Any]:
        return {"plan": self.plan, "endless": self.endless, "columns": self.columns}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["plan"], state["endless"])  # type: ignore[misc]
        self.columns = state["columns"]
