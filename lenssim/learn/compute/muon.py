"""timm's Muon, but in single precision on devices that only imitate bf16.

timm makes matrices orthogonal in bf16 and leaves that to no setting: where bf16 is imitated, a step of a transformer
takes a minute in place of seconds. Importing this module changes the function for every Muon of timm's.
"""

from typing import Any

import torch
from timm.optim import muon
from timm.optim.muon import Muon
from torch import Tensor

from lenssim.learn.compute.device import computes_bf16

__all__ = ["Muon"]

_orthogonal = muon.zeropower_via_newtonschulz


def _suited(matrices: Tensor, *args: Any, **options: Any) -> Tensor:
    if not computes_bf16(matrices.device):
        options["dtype"] = torch.float32
    return _orthogonal(matrices, *args, **options)


muon.zeropower_via_newtonschulz = _suited
