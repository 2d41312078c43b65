"""The Muon optimiser of timm, in single precision on devices that only imitate bf16.

timm makes matrices orthogonal in bf16, without a setting for it. Where bf16 is imitated, a step of
a transformer takes a minute instead of seconds. Importing this module changes the function for
every Muon of timm.
"""

from typing import Any

import torch
from timm.optim import muon
from timm.optim.muon import Muon
from torch import Tensor

from lenssim.learn.compute.device import computes_bf16

__all__ = ["Muon"]

_orthogonal = muon.zeropower_via_newtonschulz


def _orthogonal_in_device_precision(matrices: Tensor, *args: Any, **options: Any) -> Tensor:
    """Make matrices orthogonal, in single precision where the device has no bf16."""
    if not computes_bf16(matrices.device):
        options["dtype"] = torch.float32
    return _orthogonal(matrices, *args, **options)


setattr(muon, "zeropower_via_newtonschulz", _orthogonal_in_device_precision)  # noqa: B010
