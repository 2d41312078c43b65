"""The audit: a few samples of every shard are rendered again by the reference engine, and compared."""

import numpy as np

from lenssim.data.format.manifest import Audit
from lenssim.errors import ConfigError, DataError
from lenssim.simulate.engines import Engine, engine
from lenssim.simulate.instruments import ADAPTIVE, Instrument, Supersampling
from lenssim.simulate.observe import noise_sigma
from lenssim.simulate.scenes import Scenes

__all__ = ["AUDIT_EVERY", "REFERENCE", "TOLERANCE", "audit", "audited"]

REFERENCE = "lenstronomy"
AUDIT_EVERY = 256  # one sample in so many, and at least one a shard
# of the peak, worst pixel, by precision or, where an engine leaves none to choose, its name; see docs/benchmarks.md
TOLERANCE = {"float32": 1e-4, "float64": 1e-8, "autolens": 1e-7}
_BLACK = 1e-30  # e-/s: an image whose brightest pixel is fainter counts as black


def audited(numbers: np.ndarray) -> np.ndarray:
    """Which of a shard's samples (N,) are audited: positions, spread evenly, all classes in turn over the shards."""
    count = -(-len(numbers) // AUDIT_EVERY)
    first = int(numbers[0]) // AUDIT_EVERY % min(AUDIT_EVERY, len(numbers))
    return np.unique((first + np.arange(count) * AUDIT_EVERY) % len(numbers))


def audit(
    renderer: Engine,
    expected: np.ndarray,
    scenes: Scenes,
    instrument: Instrument,
    supersampling: Supersampling,
    precision: str,
    numbers: np.ndarray,
) -> Audit:
    """Compare `expected` images (N, C, H, W) with the reference engine's; `DataError` above the tolerance.

    `ConfigError` where double precision agrees with the reference: the numbers of the sample, one of `numbers` (N,),
    lie too far apart for single precision. Residuals are those of the worst pixel, in units of its image's peak and of
    its nominal noise. The reference has regular grids of rays only: adaptive images are compared as the `renderer`
    makes them from the coarsest that serves.
    """
    if supersampling == ADAPTIVE:
        supersampling = instrument.psf.supersampling
        expected = renderer.render(scenes, instrument, supersampling=supersampling)
    reference = engine(REFERENCE).render(scenes, instrument, supersampling=supersampling)
    residual = np.abs(expected - reference)
    axes = (1, 2, 3)
    peaks = residual.max(axes) / np.maximum(reference.max(axes), _BLACK)
    peak = float(peaks.max())
    noise = float(
        (residual / np.maximum(noise_sigma(reference, scenes, instrument), _BLACK)).max()
    )
    if not peak <= TOLERANCE[precision]:
        worst = int(np.argmax(np.where(np.isfinite(peaks), peaks, np.inf)))
        if precision == "float32":
            _refuse_extremes(
                scenes.take([worst]),
                numbers[worst],
                peaks[worst],
                reference[worst],
                instrument,
                supersampling,
            )
        raise DataError(
            f"audit failed: an image differs from {REFERENCE}'s by {peak:.2g} of its peak ({noise:.2g} of its noise), "
            f"more than {TOLERANCE[precision]:g}; use --precision float64 or --engine {REFERENCE}, and report it"
        )
    return Audit(samples=len(scenes), peak=peak, noise=noise)


def _refuse_extremes(
    scene: Scenes,
    number: int,
    residual: float,
    reference: np.ndarray,
    instrument: Instrument,
    supersampling: Supersampling,
) -> None:
    """`ConfigError`, with the lengths that lie farthest apart, if double precision renders a scene as the reference."""
    double = engine("batched", precision="float64", device="cpu", kernels="eager")
    image = double.render(scene, instrument, supersampling=supersampling)[0]
    if not np.abs(image - reference).max() <= TOLERANCE["float32"] * max(
        reference.max(), _BLACK
    ):
        return
    lengths = {
        name: abs(float(column[0]))
        for name, column in scene.params.items()
        if scene.unit(name) == "arcsec"
    }
    lengths = {name: length for name, length in lengths.items() if length > 0}
    shortest = min(lengths, key=lengths.__getitem__)
    longest = max(lengths, key=lengths.__getitem__)
    raise ConfigError(
        f"sample {number}: single precision is off by {residual:.2g} of the peak, double precision is not; the "
        f"scene's lengths go from {shortest} of {lengths[shortest]:.3g} to {longest} of {lengths[longest]:.3g} arcsec: "
        "use --precision float64, or numbers that lie closer together"
    )
