"""Numbers that every detector gives for an image, before the pixels of its map."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FACTS", "fact"]

FACTS = ("score", "chi2", "mse", "noise", "flux", "radius", "w1")
"""Numbers of an image.

`score` rises with what is unusual. `chi2` is the mean squared residual in units of the noise, and
`mse` that of the scaled image. `noise` is the logarithm of the noise in the unit of the data, and
`flux` that of the bright light in units of the noise. `radius` is the mean radius of this light,
and `w1` the distance of radial profiles, both in pixels.
"""


def fact(outputs: Tensor, name: str) -> Tensor:
    """Return a number of every image (..., N) from outputs (..., N, K)."""
    return outputs[..., FACTS.index(name)]
