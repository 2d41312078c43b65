"""The comparison of a few samples of every shard with the reference engine."""

import numpy as np

from lenssim.data.format.records import Audit
from lenssim.data.generation.reference_process import reference_images
from lenssim.errors import ConfigError, DataError
from lenssim.simulate.engines import REFERENCE, Engine, engine, engine_info
from lenssim.simulate.instruments import (
    ADAPTIVE,
    AnyCamera,
    Supersampling,
    coarsest_sampling,
)
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.pipeline import Exposure
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.spec import SimulationSpec

__all__ = [
    "CHECK_EVERY",
    "check_against_reference",
    "compare_with_reference",
    "numbers_to_check",
]

CHECK_EVERY = 256  # one sample in so many, and at least one a shard
BLACK = 1e-30  # e-/s: an image whose brightest pixel is fainter counts as black
_SIDES = (2, 3)  # axes of the pixels of a band


def numbers_to_check(spec: SimulationSpec, numbers: np.ndarray) -> np.ndarray:
    """Return which of a shard's sample `numbers` (N,) are compared, spread evenly.

    All classes come in turn over the shards. None are compared of the reference engine
    itself.
    """
    if spec.engine == REFERENCE:
        return numbers[:0]
    count = -(-len(numbers) // CHECK_EVERY)
    start = int(numbers[0]) // CHECK_EVERY % min(CHECK_EVERY, len(numbers))
    return numbers[np.unique((start + np.arange(count) * CHECK_EVERY) % len(numbers))]


def check_against_reference(exposure: Exposure, numbers: np.ndarray) -> Audit | None:
    """Compare some images of an exposure with the reference engine's.

    Args:
        exposure: Simulated images.
        numbers: The sample numbers to compare; those that the exposure does not hold are
            skipped.

    Returns:
        The residuals; None where there is nothing to compare.

    Raises:
        ConfigError: Lengths of a scene lie too far apart for single precision.
        DataError: An image is farther off than the engine's tolerance.
    """
    rows = np.flatnonzero(np.isin(exposure.numbers, numbers))
    if not len(rows):
        return None
    spec = exposure.spec
    return compare_with_reference(
        engine(spec.engine, **spec.engine_settings),
        exposure.expected[rows],
        exposure.scenes.take(rows),
        spec.preset.instrument,
        spec.supersampling,
        engine_info(spec.engine).tolerance_of(spec.engine_settings),
        exposure.numbers[rows],
        is_single=spec.engine_settings.get("precision") == "float32",
    )


def compare_with_reference(
    renderer: Engine,
    expected: np.ndarray,
    scenes: Scenes,
    instrument: AnyCamera,
    supersampling: Supersampling,
    tolerance: float,
    numbers: np.ndarray,
    *,
    is_single: bool = False,
) -> Audit:
    """Compare images with the reference engine's.

    The reference has regular grids of rays only: adaptive images are compared as the
    `renderer` makes them from the coarsest grid that serves.

    Args:
        renderer: The engine that made the images.
        expected: Its images (N, C, H, W) in e-/s.
        scenes: The N scenes.
        instrument: The camera.
        supersampling: Rays a pixel side, or "adaptive".
        tolerance: The largest residual of a pixel, as a share of its band's peak.
        numbers: Sample numbers (N,), for messages.
        is_single: Whether the images are of single precision.

    Returns:
        The residual of the worst pixel, in units of its band's peak and of its nominal
        noise.

    Raises:
        ConfigError: Double precision agrees with the reference where single precision does
            not.
        DataError: An image is farther off than the tolerance.
    """
    if supersampling == ADAPTIVE:
        supersampling = coarsest_sampling(instrument)
        expected = renderer.render(scenes, instrument, supersampling=supersampling)
    reference = reference_images(scenes, instrument, supersampling)
    residual = np.abs(expected - reference)
    peaks = (residual.max(_SIDES) / np.maximum(reference.max(_SIDES), BLACK)).max(1)
    sigma = np.maximum(noise_sigma(reference, scenes, instrument), BLACK)
    result = (float(peaks.max()), float((residual / sigma).max()))
    if not result[0] <= tolerance:
        worst = int(np.argmax(np.where(np.isfinite(peaks), peaks, np.inf)))
        if is_single:
            _refuse_extremes(
                scenes.take(np.array([worst])),
                int(numbers[worst]),
                float(peaks[worst]),
                reference[worst],
                instrument,
                supersampling,
                tolerance,
            )
        raise _failed(*result, tolerance)
    return Audit(samples=len(scenes), peak=result[0], noise=result[1])


def _failed(peak: float, noise: float, tolerance: float) -> DataError:
    """Return the error of an image that is too far from the reference's."""
    return DataError(
        f"audit failed: an image differs from {REFERENCE}'s by {peak:.2g} of its peak "
        f"({noise:.2g} of its noise), more than {tolerance:g}; use --precision float64 "
        f"or --engine {REFERENCE}, and report it",
        code="reference-differs",
        peak=peak,
        noise=noise,
    )


def _lengths(scene: Scenes) -> dict[str, float]:
    """Return all lengths above 0 of a scene, in arcsec, by parameter."""
    lengths = {
        name: abs(float(column[0]))
        for name, column in scene.params.items()
        if scene.unit(name) == "arcsec"
    }
    return {name: length for name, length in lengths.items() if length > 0}


def _refuse_extremes(
    scene: Scenes,
    number: int,
    residual: float,
    reference: np.ndarray,
    instrument: AnyCamera,
    supersampling: Supersampling,
    tolerance: float,
) -> None:
    """Refuse a scene that double precision renders as the reference does.

    The error names the lengths that lie farthest apart.
    """
    double = engine("batched", precision="float64", device="cpu", kernels="eager")
    image = double.render(scene, instrument, supersampling=supersampling)[0]
    allowed = tolerance * np.maximum(reference.max((1, 2)), BLACK)
    if not (np.abs(image - reference).max((1, 2)) <= allowed).all():
        return
    lengths = _lengths(scene)
    shortest = min(lengths, key=lengths.__getitem__)
    longest = max(lengths, key=lengths.__getitem__)
    raise ConfigError(
        f"sample {number}: single precision is off by {residual:.2g} of the peak, double "
        f"precision is not; the scene's lengths go from {shortest} of "
        f"{lengths[shortest]:.3g} to {longest} of {lengths[longest]:.3g} arcsec: "
        "use --precision float64, or numbers that lie closer together",
        code="precision-lost",
        number=number,
        residual=residual,
    )
