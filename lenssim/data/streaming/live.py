"""Live data: a data set that is simulated on the fly. Nothing is written to disk."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsIndex, cast

import numpy as np
import torch

from lenssim.data.format.files import canonical_json
from lenssim.data.format.manifest import Plan
from lenssim.data.format.maps import IMAGE, check_kept, parts_of, stacked
from lenssim.data.format.spec import GenerationSpec
from lenssim.data.streaming.reading_order import ReadingOrder
from lenssim.data.streaming.source import Batch, SampleDataset
from lenssim.data.streaming.splits import SPLIT_PERIOD, rows_of_split
from lenssim.errors import ConfigError
from lenssim.rows import row_numbers
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.maps import MAPS
from lenssim.simulate.pipeline import Exposure, simulate
from lenssim.simulate.streams import BLOCK

__all__ = ["LiveDataset"]


class LiveDataset(SampleDataset):
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
        self.preset = self.spec.preset
        self.folder = Path(f"live:{self.preset.name}")
        check_kept(self.folder, self.config, picture)
        self.index = np.arange(plan.n)
        self.labels = labels(self.preset, self.index)

    @property
    def name(self) -> str:
        """The name of the preset, as of live data."""
        return str(self.folder)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands; empty where they have none, or the map has one for all."""
        names = self.preset.instrument.band_names
        if len(names) == self.image_shape[0]:
            return names
        return ()

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
        """64 hex digits of the plan; there are no contents to hash."""
        return hashlib.sha256(canonical_json([self.plan.config, self.plan.n])).hexdigest()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        bands, height, width = self.preset.image_shape
        if self.picture in MAPS and not MAPS[self.picture].has_bands:
            bands = 1
        return bands * len(parts_of(self.picture)), height, width

    @property
    def order(self) -> ReadingOrder:
        """Options of a `BatchSampler` that asks for samples in the blocks they are drawn in."""
        if not self.endless:
            return {"block": BLOCK, "fresh": 0}
        # as many numbers further on as leaves every sample in its split
        period = BLOCK * SPLIT_PERIOD
        return {"block": BLOCK, "fresh": -(-self.plan.n // period) * period}

    def rows(self, split: str | None = None) -> np.ndarray:
        """Sample numbers of a split among the first `n`; all of them for None."""
        return rows_of_split(self.index, split)

    @cached_property
    def spec(self) -> GenerationSpec:
        """The specification of what is simulated."""
        return self.plan.spec

    def targets(self, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """Return true parameters (N, T) of the sample numbers (N,).

        Raises:
            KeyError: A name is unknown; the error holds it and the known names.
        """
        return _columns(self._params(row_numbers(rows, what="sample numbers")), names)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Return images float32 (N, C, H, W) of the sample numbers (N,), or their maps."""
        return self._shown(simulate(self.spec, rows))

    def _shown(self, exposure: Exposure) -> np.ndarray:
        """Return the images of an exposure, or the map that takes their place."""
        maps = {**exposure.maps, IMAGE: exposure.observed}
        return stacked([maps[name] for name in parts_of(self.picture)])

    def _params(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return the true parameters (N,), rendering only where they follow from images."""
        spec = self.spec
        if spec.has_image_columns:
            return simulate(spec, numbers).params
        return draw(spec.preset, numbers, seed=spec.seed, split=spec.split).params

    def __len__(self) -> int:
        return self.plan.n

    def checked_rows(self, rows: Sequence[SupportsIndex] | np.ndarray) -> np.ndarray:
        """Return sample numbers (N,), which have no end; `IndexError` for one below 0."""
        return row_numbers(rows, what="sample numbers")

    def read_batch(
        self, rows: np.ndarray, maps: Sequence[str], targets: Sequence[str]
    ) -> Batch:
        """Simulate the samples of the sample numbers (N,); `ConfigError` for a map not made."""
        exposure = simulate(self.spec, rows)
        columns = {
            "image": torch.from_numpy(self._shown(exposure)),
            "label": torch.from_numpy(exposure.labels),
            "index": torch.from_numpy(exposure.numbers),
        }
        for name in maps:
            if name not in exposure.maps:
                raise ConfigError(
                    f"{self.folder} keeps no {name!r}",
                    code="no-map",
                    folder=self.folder,
                    name=name,
                )
            columns[name] = torch.from_numpy(exposure.maps[name])
        if targets:
            params = exposure.scenes.params
            if not set(targets) <= params.keys():
                params = exposure.params
            columns["target"] = torch.from_numpy(_columns(params, targets))
        return cast("Batch", columns)

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
