"""Copies of networks: with the same weights, or with their own."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["average_into", "copy_of", "twin_of"]


def twin_of(network: nn.Module) -> nn.Module:
    """Return a network with the same weights, but buffers of its own.

    What trains one of them trains both. Their statistics of batch normalisation differ.

    Example:
        >>> network = nn.Linear(2, 1)
        >>> twin_of(network).weight is network.weight
        True
    """
    twin = copy.deepcopy(network)
    for module, mirror in zip(network.modules(), twin.modules(), strict=True):
        for name, weight in module.named_parameters(recurse=False):
            setattr(mirror, name, weight)
    return twin


def copy_of(network: nn.Module) -> nn.Module:
    """Return a network with the same weights that no optimiser changes."""
    return copy.deepcopy(network).requires_grad_(requires_grad=False)


@torch.no_grad()
def average_into(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """Move the weights and buffers of a teacher towards those of a student.

    Args:
        teacher: The network that becomes decay x teacher + (1 - decay) x student.
        student: The network that is trained.
        decay: Share of the teacher that stays.
    """
    for average, value in _tensors(teacher, student):
        if average.is_floating_point():
            average.lerp_(value, 1 - decay)
        else:
            average.copy_(value)


def _tensors(teacher: nn.Module, student: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield weights and buffers of two networks side by side."""
    yield from zip(teacher.parameters(), student.parameters(), strict=True)
    yield from zip(teacher.buffers(), student.buffers(), strict=True)
