"""A small decoder: from an embedding to an image."""

from torch import nn

__all__ = ["image_decoder"]

_WIDTHS = (64, 32, 16)
_COARSE = 8  # pixels of the image for each of the coarsest map


def image_decoder(numbers: int, shape: tuple[int, int, int]) -> nn.Sequential:
    """Return a network from embeddings (N, numbers) to images (N, C, H, W) of a shape."""
    channels, height, width = shape
    rows = max(1, -(-height // _COARSE))
    columns = max(1, -(-width // _COARSE))
    layers: list[nn.Module] = [
        nn.Linear(numbers, _WIDTHS[0] * rows * columns),
        nn.ReLU(),
        nn.Unflatten(1, (_WIDTHS[0], rows, columns)),
    ]
    before = _WIDTHS[0]
    for after in (*_WIDTHS[1:], _WIDTHS[-1]):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReLU()]
        before = after
    layers += [
        nn.Conv2d(before, channels, 3, padding=1),
        nn.AdaptiveAvgPool2d((height, width)),
    ]
    return nn.Sequential(*layers)
