"""What is on disk, and how it is made, read, streamed and checked.

    >>> from lenssim.data import ShardDataset
    >>> len(ShardDataset("data/III"))
    300

The names below are imported when they are used: reading a manifest imports no torch.
"""

from typing import TYPE_CHECKING

from lenssim.lazy import lazy_exports

if TYPE_CHECKING:
    from lenssim.data.format.manifest import Manifest, Plan, read_manifest, read_plan
    from lenssim.data.generation.planning import make_plan
    from lenssim.data.generation.simulation import generate
    from lenssim.data.inspection.resimulation import resimulate
    from lenssim.data.inspection.verification import verify
    from lenssim.data.streaming.dataset import Batch, ShardDataset
    from lenssim.data.streaming.live import LiveDataset
    from lenssim.data.streaming.observations import Observation
    from lenssim.data.streaming.sampler import BatchSampler
    from lenssim.data.streaming.stream import stream

__all__ = [
    "Batch",
    "BatchSampler",
    "LiveDataset",
    "Manifest",
    "Observation",
    "Plan",
    "ShardDataset",
    "generate",
    "make_plan",
    "read_manifest",
    "read_plan",
    "resimulate",
    "stream",
    "verify",
]

_MODULES = {
    "format.manifest": ("Manifest", "Plan", "read_manifest", "read_plan"),
    "streaming.live": ("LiveDataset",),
    "generation.planning": ("make_plan",),
    "generation.simulation": ("generate",),
    "inspection.resimulation": ("resimulate",),
    "inspection.verification": ("verify",),
    "streaming.dataset": ("Batch", "ShardDataset"),
    "streaming.observations": ("Observation",),
    "streaming.sampler": ("BatchSampler",),
    "streaming.stream": ("stream",),
}
_SOURCES = {
    name: f"lenssim.data.{module}" for module, names in _MODULES.items() for name in names
}

__getattr__, __dir__ = lazy_exports(__name__, _SOURCES)
