"""The tiles of a field, in the order of their numbers."""

from lenssim.sky.fields.field import Window

__all__ = ["tiles_of"]


def tiles_of(shape: tuple[int, int], side: int) -> list[Window]:
    """Return the tiles of a field, which cover each pixel once.

    Args:
        shape: Rows and columns of the field.
        side: Side of a tile in pixels.

    Example:
        >>> tiles_of((3, 2), 2)[1]
        Window(rows=slice(2, 3, None), columns=slice(0, 2, None))
    """
    return [
        Window(_side(row, side, shape[0]), _side(column, side, shape[1]))
        for row in range(0, shape[0], side)
        for column in range(0, shape[1], side)
    ]


def _side(start: int, length: int, end: int) -> slice:
    return slice(start, min(start + length, end))
