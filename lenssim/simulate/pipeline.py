"""The pipeline: draw scenes, render their images, observe them.

Data sets, live training and the Python door all simulate by these functions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from lenssim.rows import row_numbers
from lenssim.simulate.arcs import arc_columns, render_arcs
from lenssim.simulate.backgrounds import over_background, sigma_over_background
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import engine
from lenssim.simulate.instruments import AnyCamera
from lenssim.simulate.maps import MAPS, MapInput
from lenssim.simulate.noise import NoiseIdentity, noise_model
from lenssim.simulate.noise.deviates import NEWEST
from lenssim.simulate.noise.telescope import covered_sigma
from lenssim.simulate.observe import observe
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.source_planes import has_further_planes
from lenssim.simulate.spec import SimulationSpec
from lenssim.simulate.streams import BLOCK

if TYPE_CHECKING:
    from lenssim.simulate.engines.batched.engine import Batched

__all__ = ["Exposure", "map_columns", "simulate", "simulate_blocks"]


BLOCKS_AT_ONCE = {"cpu": 1, "cuda": 16}  # by device


@dataclass(frozen=True)
class Exposure:
    """Simulated images of some samples, and what they were made from.

    Attributes:
        spec: The specification of the images.
        numbers: Sample numbers (N,) int64.
        scenes: The N scenes that were drawn.
        expected: Images (N, C, H, W) in e-/s without noise, in the engine's precision.
        observed: Images float32 (N, C, H, W) with noise. The kind of noise decides their unit.
    """

    spec: SimulationSpec
    numbers: np.ndarray
    scenes: Scenes
    expected: np.ndarray
    observed: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def sigma(self) -> np.ndarray:
        """Standard deviation (N, C, H, W) of the noise in `observed`, in the same unit.

        With the noise `telescope` it is the standard deviation that a weight map states: that
        of the noise before resampling. Pixels that no exposure saw have 1e8.
        """
        preset = self.spec.preset
        sigma = sigma_over_background(
            preset.background,
            self.expected,
            self.scenes,
            preset.instrument,
            self.spec.noise,
        )
        if self.coverage is None:
            return sigma
        return covered_sigma(sigma, self.coverage)

    @cached_property
    def coverage(self) -> np.ndarray | None:
        """Share (N, C, H, W) of the telescope's exposures that saw each pixel.

        None if every exposure saw every pixel, and over a background of real sky.
        """
        if self.spec.preset.background is not None:
            return None
        return noise_model(self.spec.noise).coverage(
            self.expected,
            self.scenes,
            self.spec.preset.instrument,
            NoiseIdentity(self.numbers, self.spec.seed, self.spec.split),
        )

    @property
    def mask(self) -> np.ndarray:
        """Whether each pixel is usable: finite, and seen by an exposure. Bool (N, C, H, W)."""
        finite = np.isfinite(self.observed)
        if self.coverage is None:
            return finite
        return finite & (self.coverage > 0)

    @property
    def labels(self) -> np.ndarray:
        """Label (N,) of each sample, the number of its class."""
        return labels(self.spec.preset, self.numbers)

    @cached_property
    def maps(self) -> dict[str, np.ndarray]:
        """The maps that the specification names, float32 (N, C, H, W)."""
        map_input = MapInput(
            expected=self.expected,
            observed=self.observed,
            scenes=self.scenes,
            instrument=self.spec.preset.instrument,
            engine_settings=self.spec.engine_settings,
            supersampling=self.spec.supersampling,
            sigma=lambda: self.sigma,
            mask=lambda: self.mask,
            arcs=lambda: self.arcs,
            twin=lambda: self.twin,
            residual_from=self.spec.residual_from,
        )
        return {
            name: MAPS[name].compute(map_input).astype(np.float32)
            for name in self.spec.maps
        }

    @cached_property
    def arcs(self) -> np.ndarray:
        """Expected images (N, C, H, W) of the lensed sources alone; zeros where they are dark."""
        return render_arcs(
            engine(self.spec.engine, **self.spec.engine_settings),
            self.scenes,
            self.spec.preset.instrument,
            self.spec.supersampling,
        )

    @property
    def twin(self) -> np.ndarray:
        """Images float32 (N, C, H, W) of the same scenes without sources, with the same noise."""
        return _observed(self.spec, self.numbers, self.scenes, self.expected - self.arcs)

    @cached_property
    def arc_columns(self) -> dict[str, np.ndarray]:
        """Columns (N,) that say how well arcs show, if the specification has them."""
        if not self.spec.has_arc_columns:
            return {}
        camera = self.spec.preset.instrument
        return arc_columns(self.arcs, self.expected, self.scenes, camera)

    @cached_property
    def params(self) -> dict[str, np.ndarray]:
        """Columns (N,) of the true parameters, by name: the drawn ones and those of images."""
        columns = map_columns(self.spec, self.scenes, self.maps)
        return self.scenes.params | columns | self.arc_columns


def map_columns(
    spec: SimulationSpec, scenes: Scenes, maps: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the columns that are not drawn but computed from the scenes or their maps.

    Args:
        spec: The specification of the images.
        scenes: Their N scenes.
        maps: Their maps (N, C, H, W).

    Returns:
        Columns (N,) by name. If the specification asks for `detectability`, they contain its
        columns. If there is the map `residual`, they contain its `chi2`.
    """
    columns = {}
    if spec.detectability:
        from lenssim.simulate.engines.batched.detectability import detectability

        columns = detectability(
            scenes,
            spec.preset.instrument,
            precision=spec.engine_settings["precision"],
            kernels=spec.engine_settings["kernels"],
            supersampling=spec.supersampling,
        )
    if "residual" in maps:
        columns["chi2"] = (maps["residual"].astype(np.float64) ** 2).sum(axis=(1, 2, 3))
    return columns


def simulate(
    spec: SimulationSpec,
    numbers: Sequence[int] | np.ndarray,
    *,
    fixed: Mapping[str, float] | None = None,
) -> Exposure:
    """Draw scenes, render their images and observe them.

    An image depends on the specification and its own number alone: the same number gives
    the same bits whatever other numbers are asked for.

    Args:
        spec: What to simulate.
        numbers: Sample numbers (N,).
        fixed: Values that replace drawn parameters, by name.

    Returns:
        The images with their scenes.

    Raises:
        ConfigError: A number is below 0, or what is drawn cannot be rendered.

    Example:
        >>> from lenssim.simulate.preset import load_preset
        >>> spec = SimulationSpec.of(load_preset("III"), engine="lenstronomy")
        >>> exposure = simulate(spec, [0, 1])
        >>> exposure.observed.shape, exposure.sigma.shape
        ((2, 1, 64, 64), (2, 1, 64, 64))
    """
    numbers = row_numbers(numbers, what="sample numbers")
    camera = spec.preset.instrument
    if spec.preset.lenses is not None:
        spec.preset.lenses.check_count(int(numbers.max()) + 1 if len(numbers) else 0)
    scenes = draw(spec.preset, numbers, seed=spec.seed, split=spec.split, fixed=fixed)
    renderer = engine(spec.engine, **spec.engine_settings)
    if _has_noise_of_device(spec) and not has_further_planes(scenes):
        from lenssim.simulate.engines.batched.exposure import exposed

        identity = NoiseIdentity(numbers, spec.seed, spec.split, spec.noise_stream)
        images = exposed(
            cast("Batched", renderer),
            scenes,
            camera,
            identity,
            supersampling=spec.supersampling,
        )
        return Exposure(spec, numbers, scenes, *images)
    expected = renderer.render(scenes, camera, supersampling=spec.supersampling)
    observed = _observed(spec, numbers, scenes, expected)
    return Exposure(spec, numbers, scenes, expected, observed)


def _observed(
    spec: SimulationSpec, numbers: np.ndarray, scenes: Scenes, expected: np.ndarray
) -> np.ndarray:
    """Return expected images (N, C, H, W) with the noise of their sample numbers (N,)."""

    def observed_by(camera: AnyCamera) -> np.ndarray:
        return observe(
            expected,
            scenes,
            camera,
            spec.noise,
            numbers=numbers,
            seed=spec.seed,
            split=spec.split,
            stream=spec.noise_stream,
        )

    preset = spec.preset
    return over_background(
        preset.background, scenes, preset.instrument, spec.noise, observed_by
    )


def _has_noise_of_device(spec: SimulationSpec) -> bool:
    """Return whether a card adds the noise to the images that it renders."""
    on_card = spec.engine_settings.get("device", "cpu") != "cpu"
    by_counter = (spec.noise, spec.noise_stream) == ("nominal", NEWEST)
    return on_card and by_counter and spec.preset.background is None


def simulate_blocks(
    spec: SimulationSpec, numbers: np.ndarray
) -> Iterator[tuple[slice, Exposure]]:
    """Simulate samples some blocks at a time, which bounds memory and changes no bits.

    A GPU takes more of them at once than a core.

    Args:
        spec: What to simulate.
        numbers: Sample numbers (N,), in increasing order.

    Yields:
        The slice of `numbers` that lies in one block, and the exposure of its samples.
    """
    at_once = BLOCKS_AT_ONCE.get(spec.engine_settings.get("device", "cpu"), 1)
    edges = np.flatnonzero(np.diff(numbers // (BLOCK * at_once))) + 1
    starts = [0, *edges.tolist()]
    stops = [*edges.tolist(), len(numbers)]
    for start, stop in zip(starts, stops, strict=True):
        positions = slice(start, stop)
        yield positions, simulate(spec, numbers[positions])
