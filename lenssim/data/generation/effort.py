"""How long a data set takes on one core, roughly, and how many workers pay for their start.

The numbers are of one core of a present machine, with kernels in place. A factor of two in
them moves no decision by more than the second or two that it is about.
"""

import math
from pathlib import Path

import numpy as np

from lenssim.data.format.manifest import Plan, sidecars
from lenssim.data.format.spec import GenerationSpec, maps_of, storage_of
from lenssim.data.generation.runners import default_workers
from lenssim.simulate.draw import draw
from lenssim.simulate.instruments import ADAPTIVE

__all__ = ["images_bytes", "images_left", "paying_workers", "seconds_an_image"]

_START = 2.5  # s before the first worker works: dask, certificates, imports
_START_A_WORKER = 0.15  # s more for each
_SCENES = 16  # drawn to count perturbers
_RAY = 30e-9  # s: drawing, lens, source, noise, hash
_POINT = 0.3e-9  # s a ray
_HALO = 4e-9  # s a pixel, sampled adaptively
_ADAPTIVE_RAYS = 5.0  # a pixel, in the mean
_REFERENCE_FACTOR = 20.0  # of engines that do not work in batches
_DOUBLE_FACTOR = 2.0  # of float64
_CARD_FACTOR = 0.3  # of a GPU; drawing and writing stay


def paying_workers(plan: Plan, images: int | None = None) -> int:
    """Return the number of worker processes that finish a data set first.

    Args:
        plan: The plan of a simulated data set.
        images: Images that are still to make. None: all.

    Returns:
        0 if this process is done before workers have started; else at most one a core, as
        far as memory and shards go.

    Example:
        >>> from lenssim.data.generation.planning import make_plan
        >>> from lenssim.simulate.preset import load_preset
        >>> paying_workers(make_plan(load_preset("III"), 300))
        0
    """
    images = plan.n if images is None else images
    if images == 0:
        return 0
    work = images * seconds_an_image(plan.spec)
    shards = math.ceil(images / plan.shard_size)
    counts = range(min(default_workers(), shards) + 1)
    return min(counts, key=lambda count: _seconds(work, shards, count))


def images_left(folder: Path, plan: Plan) -> int:
    """Return the number of images of a plan that have no shard on disk yet, or a few less."""
    if not folder.is_dir():
        return plan.n
    return max(0, plan.n - len(sidecars(folder, plan)) * plan.shard_size)


def _seconds(work: float, shards: int, workers: int) -> float:
    """Return the seconds that `workers` need for the work, in whole shards."""
    if workers == 0:
        return work
    rounds = math.ceil(shards / workers)
    return _START + _START_A_WORKER * workers + work * rounds / shards


def seconds_an_image(spec: GenerationSpec) -> float:
    """Return about how long one core takes for an image, in seconds.

    Args:
        spec: What to simulate.

    Example:
        >>> from lenssim.simulate.preset import load_preset
        >>> few, many = load_preset("III"), load_preset("euclid")
        >>> costs = [seconds_an_image(GenerationSpec.of(preset)) for preset in (few, many)]
        >>> costs[0] < 1e-3 < costs[1]
        True
    """
    pixels = math.prod(spec.preset.image_shape)
    rays = _ADAPTIVE_RAYS
    if spec.supersampling != ADAPTIVE:
        rays = float(spec.supersampling) ** 2
    points, haloes = _perturbers(spec)
    seconds = rays * (_RAY + points * _POINT)
    seconds += haloes * _HALO * max(1.0, rays / _ADAPTIVE_RAYS)
    return pixels * seconds * _factor(spec)


def _factor(spec: GenerationSpec) -> float:
    """Return how much longer other engines, precisions and devices take."""
    if spec.engine != "batched":
        return _REFERENCE_FACTOR
    factor = 1.0
    if spec.engine_settings.get("precision") == "float64":
        factor *= _DOUBLE_FACTOR
    if spec.engine_settings.get("device", "cpu") != "cpu":
        factor *= _CARD_FACTOR
    return factor


def _perturbers(spec: GenerationSpec) -> tuple[float, float]:
    """Return the mean numbers of point masses and of other perturbers of an image."""
    scenes = draw(spec.preset, np.arange(_SCENES), seed=spec.seed, split=spec.split)
    counts = {kind: table.counts.mean() for kind, table in scenes.perturbers.items()}
    points = float(counts.pop("point_mass", 0.0))
    return points, float(sum(counts.values()))


def images_bytes(plan: Plan) -> int:
    """Return the bytes that images and maps of a plan take on disk, without compression."""
    pixels = plan.n * math.prod(plan.spec.preset.image_shape)
    storage = storage_of(plan.config)
    maps = len(maps_of(plan.config))
    return pixels * (np.dtype(storage).itemsize + maps * np.dtype(np.float32).itemsize)
