"""The audit: a few samples of every shard are rendered again by the reference engine, and compared."""

import numpy as np

from lenssim.data.manifest import Audit
from lenssim.errors import DataError
from lenssim.simulate.engines import Engine, engine
from lenssim.simulate.instruments import ADAPTIVE, Instrument, Supersampling
from lenssim.simulate.observe import noise_sigma
from lenssim.simulate.scenes import Scenes

__all__ = ["AUDIT_EVERY", "REFERENCE", "TOLERANCE", "audit", "audited"]

REFERENCE = "lenstronomy"
AUDIT_EVERY = 256  # one sample in so many, and at least one a shard
# of the peak, worst pixel, by precision or, where an engine leaves none to choose, its name; see docs/benchmarks.md
TOLERANCE = {"float32": 1e-4, "float64": 1e-8, "autolens": 1e-7}


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
) -> Audit:
    """Compare `expected` images (N, C, H, W) with the reference engine's; `DataError` above the tolerance.

    Residuals are those of the worst pixel, in units of its image's peak and of its nominal noise. The reference has
    regular grids of rays only: adaptive images are compared as the `renderer` makes them from the coarsest that serves.
    """
    if supersampling == ADAPTIVE:
        supersampling = instrument.psf.supersampling
        expected = renderer.render(scenes, instrument, supersampling=supersampling)
    reference = engine(REFERENCE).render(scenes, instrument, supersampling=supersampling)
    residual = np.abs(expected - reference)
    axes = (1, 2, 3)
    peak = float((residual.max(axes) / reference.max(axes)).max())
    noise = float((residual / noise_sigma(reference, scenes, instrument)).max())
    if not peak <= TOLERANCE[precision]:
        raise DataError(
            f"audit failed: an image differs from {REFERENCE}'s by {peak:.2g} of its peak ({noise:.2g} of its noise), "
            f"more than {TOLERANCE[precision]:g}; use --precision float64 or --engine {REFERENCE}, and report it"
        )
    return Audit(samples=len(scenes), peak=peak, noise=noise)
