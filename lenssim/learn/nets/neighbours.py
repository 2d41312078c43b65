"""Training images and their nearest neighbours, as a network that a checkpoint keeps."""

import torch
from torch import Tensor, nn

__all__ = ["Neighbours", "nearest"]

_ROWS = 1024  # compared at a time


def nearest(features: Tensor, count: int) -> Tensor:
    """Return the rows (N, count) of the most similar of features (N, D), by their cosine."""
    from torch.nn.functional import normalize

    unit = normalize(features, dim=1)
    rows = []
    for start in range(0, len(unit), _ROWS):
        similarities = unit[start : start + _ROWS] @ unit.T
        places = torch.arange(len(similarities))
        similarities[places, places + start] = -torch.inf
        rows.append(similarities.topk(count, dim=1).indices)
    return torch.cat(rows)


class Neighbours(nn.Module):
    """Images of a training, and which are neighbours of which.

    A checkpoint keeps the neighbours. The images are read again when a training goes on.

    Args:
        samples: Number N of images.
        count: Number of neighbours of each.
    """

    numbers: Tensor
    rows: Tensor
    images: Tensor

    def __init__(self, samples: int, count: int) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.zeros(samples, dtype=torch.int64))
        self.register_buffer("rows", torch.zeros(samples, count, dtype=torch.int64))
        self.register_buffer("images", torch.zeros(0), persistent=False)

    def set(self, numbers: Tensor, images: Tensor, features: Tensor) -> None:
        """Take sample numbers (N,), images (N, C, H, W) and features (N, D)."""
        self.images = images
        self.numbers.copy_(numbers)
        self.rows.copy_(nearest(features, self.rows.shape[1]))

    def draw(self, numbers: Tensor) -> Tensor:
        """Return the image of a random neighbour of each sample number (N,)."""
        order = self.numbers.argsort()
        places = torch.searchsorted(self.numbers[order], numbers.to(self.numbers))
        rows = self.rows[order[places.clamp(max=len(order) - 1)]]
        choice = torch.randint(rows.shape[1], (len(rows), 1)).to(rows)
        return self.images[rows.gather(1, choice)[:, 0].to(self.images.device)]
