"""What a user asks for: a request of a data set to simulate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, override

from pydantic import Field

from lenssim.simulate.request import SimulationRequest

if TYPE_CHECKING:
    from lenssim.data.format.manifest import Plan
    from lenssim.data.format.spec import GenerationSpec
    from lenssim.simulate.preset import Preset

__all__ = ["GenerationRequest"]


class GenerationRequest(SimulationRequest):
    """What a user says of a data set to simulate: options of `lenssim generate`.

    Example:
        >>> GenerationRequest(model="III", n=64, storage="float16").spec().storage
        'float16'
    """

    n: int = Field(
        ge=1,
        le=2**40,
        description="number of images; a larger number later extends the set",
        json_schema_extra={"options": ["-n"]},
    )
    shard_size: int | None = Field(
        default=None,
        ge=1,
        le=2**40,
        title="the shard size",
        description="samples a shard; changes no sample",
        json_schema_extra={"unset": "at most 64 MiB of images"},
    )
    storage: str | None = Field(
        default=None,
        description="how pixels are stored: float32, or float16 and int16 with bounded error and less room",
        json_schema_extra={"unset": "float32"},
    )
    compress: bool = Field(
        default=False, description="bitshuffle and LZ4 (needs lenssim[compress])"
    )

    @override
    def spec(self, base: Preset | None = None) -> GenerationSpec:
        """Return the checked specification of what is asked for."""
        from lenssim.data.format.spec import GenerationSpec

        storage = {"storage": self.storage, "compress": self.compress}
        return GenerationSpec.of(self.preset(base), **self.options(), **storage)

    def plan(self, folder: Path | None = None, base: Preset | None = None) -> Plan:
        """Return the plan of the data set; arguments and errors as `plan_of`."""
        from lenssim.data.generation.planning import begun_with, plan_of

        if base is None and folder is not None:
            base = begun_with(self.model, folder)
        return plan_of(self.spec(base), self.n, self.shard_size, folder)
