"""An image as light, interpolated bilinearly."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from lenssim.simulate.engines.batched.profiles.ellipticity import rotated

__all__ = ["surface_brightness"]


def surface_brightness(
    x: Tensor,
    y: Tensor,
    image: Tensor,
    amp: Tensor,
    center_x: Tensor,
    center_y: Tensor,
    phi_G: Tensor,
    scale: Tensor,
) -> Tensor:
    """Return amp times `image` (*, H, W), interpolated at points (*, P).

    The image is per arcsec^2, not per pixel. This is lenstronomy's INTERPOL. The middle of the
    image is at (center_x, center_y) [arcsec], and its pixels are `scale` [arcsec] wide. Columns
    run along x and rows along y, so row 0 has the smallest y. The image is turned
    counter-clockwise by phi_G [rad]. Beyond the centres of the outermost pixels the light falls
    to 0 linearly within one pixel.
    """
    height, width = image.shape[-2:]
    column, row = rotated(
        (x - center_x) / scale, (y - center_y) / scale, phi_G.cos(), phi_G.sin()
    )
    # grid_sample without align_corners has -1 and 1 on the outer edges of the image.
    points = torch.stack([2 / width * column, 2 / height * row], dim=-1)
    batch = torch.broadcast_shapes(image.shape[:-2], points.shape[:-2])
    values = grid_sample(
        image.expand(*batch, height, width).reshape(-1, 1, height, width),
        points.expand(*batch, *points.shape[-2:]).reshape(-1, 1, *points.shape[-2:]),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    return amp * values.reshape(*batch, points.shape[-2])
