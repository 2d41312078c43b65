"""Zero padding of stamps for nets whose patches tile them."""

from collections.abc import Callable

from torch import nn

__all__ = ["padded"]


def padded(
    shape: tuple[int, int, int],
    multiple: int,
    build: Callable[[tuple[int, int]], nn.Module],
) -> nn.Module:
    """Build a network for stamps that are padded with zeros on all sides.

    Args:
        shape: Shape (C, H, W) of the images.
        multiple: The sides are padded to the next multiple of so many pixels.
        build: Function of the padded sides (H, W) that builds the network.

    Returns:
        The network, after a padding layer where one is needed.

    Example:
        >>> padded((1, 30, 32), 32, lambda size: nn.Identity())[0].padding
        (0, 0, 1, 1)
    """
    missing = [-side % multiple for side in shape[1:]]
    net = build((shape[1] + missing[0], shape[2] + missing[1]))
    if not any(missing):
        return net
    rows, columns = missing
    first_row = rows // 2
    first_column = columns // 2
    padding = (first_column, columns - first_column, first_row, rows - first_row)
    return nn.Sequential(nn.ZeroPad2d(padding), net)
