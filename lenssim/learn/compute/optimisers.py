"""Optimisers and schedules of the learning rate, by name."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LRScheduler,
    OneCycleLR,
    StepLR,
)

from lenssim.errors import unknown

__all__ = ["OPTIMISERS", "SCHEDULES", "Schedule", "optimiser", "schedule"]

_PUBLISHED_DECAY = 0.8  # factor an epoch in the text of the published six-network benchmark
_FINAL_RATE = 0.01  # relative rate at the end of an exponential schedule
_STAGES = 3  # of a schedule by tenths

Weights = Iterable[Parameter] | Iterable[dict[str, Any]]


def _muon(weights: Weights, rate: float, decay: float) -> Optimizer:
    """Build Muon (Jordan et al. 2024): orthogonal steps for matrices and convolutions.

    Norms and biases get NAdamW. Steps have the length of AdamW's (Liu et al. 2025).
    """
    from lenssim.learn.compute.muon import Muon  # takes a second to import

    return Muon(weights, lr=rate, weight_decay=decay, nesterov=True)


def _adamw(weights: Weights, rate: float, decay: float) -> Optimizer:
    return AdamW(weights, lr=rate, weight_decay=decay)


def _adam(weights: Weights, rate: float, decay: float) -> Optimizer:
    """Build Adam without weight decay, as in the published benchmark."""
    return Adam(weights, lr=rate)


def _nadam(weights: Weights, rate: float, decay: float) -> Optimizer:
    return NAdam(weights, lr=rate, weight_decay=decay, decoupled_weight_decay=True)


def _sgd(weights: Weights, rate: float, decay: float) -> Optimizer:
    return SGD(weights, lr=rate, momentum=0.9, nesterov=True, weight_decay=decay)


OPTIMISERS: dict[str, Callable[[Weights, float, float], Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "nadam": _nadam,
    "muon": _muon,
    "sgd": _sgd,
}
"""Functions of weights, learning rate and weight decay."""


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes.

    Attributes:
        make: Function of optimiser, rate and number of steps that builds the schedule.
        interval: Whether the rate changes every step or every epoch.
        laid_out: Whether the schedule depends on the length of the training. If not, the training
            may continue for more epochs.
    """

    make: Callable[[Optimizer, float, int], LRScheduler]
    interval: Literal["step", "epoch"]
    laid_out: bool = True


def _constant(optimiser: Optimizer, rate: float, steps: int) -> LRScheduler:
    return ConstantLR(optimiser, factor=1)


def _onecycle(optimiser: Optimizer, rate: float, steps: int) -> LRScheduler:
    return OneCycleLR(optimiser, max_lr=rate, total_steps=steps)


def _cosine(optimiser: Optimizer, rate: float, steps: int) -> LRScheduler:
    return CosineAnnealingLR(optimiser, T_max=steps)


def _exponential(optimiser: Optimizer, rate: float, steps: int) -> LRScheduler:
    return ExponentialLR(optimiser, gamma=_FINAL_RATE ** (1 / steps))


def _tenths(optimiser: Optimizer, rate: float, steps: int) -> LRScheduler:
    return StepLR(optimiser, step_size=max(1, math.ceil(steps / _STAGES)), gamma=0.1)


def _as_written(optimiser: Optimizer, rate: float, steps: int) -> LRScheduler:
    return ExponentialLR(optimiser, gamma=_PUBLISHED_DECAY)


# onecycle: up in 30 % of the steps, then down to zero (Smith & Topin 2017). The text of the published
# benchmark lowers the rate by a fifth an epoch (as_written); its code never does (as_run). CMU DeepLens
# takes a tenth of the rate after each third of the training (tenths).
SCHEDULES: dict[str, Schedule] = {
    "onecycle": Schedule(_onecycle, "step"),
    "cosine": Schedule(_cosine, "step"),
    "exponential": Schedule(_exponential, "step"),
    "tenths": Schedule(_tenths, "step"),
    "constant": Schedule(_constant, "epoch", laid_out=False),
    "as_run": Schedule(_constant, "epoch", laid_out=False),
    "as_written": Schedule(_as_written, "epoch", laid_out=False),
}


def optimiser(name: str) -> Callable[[Weights, float, float], Optimizer]:
    """Return the optimiser of that name.

    Args:
        name: A name in `OPTIMISERS`.

    Returns:
        A function of weights, learning rate and weight decay.

    Raises:
        ConfigError: The name is unknown. The message suggests the nearest.
    """
    if name not in OPTIMISERS:
        raise unknown("optimiser", name, OPTIMISERS, code="unknown-optimiser")
    return OPTIMISERS[name]


def schedule(name: str) -> Schedule:
    """Return the schedule of that name.

    Args:
        name: A name in `SCHEDULES`.

    Returns:
        The schedule.

    Raises:
        ConfigError: The name is unknown. The message suggests the nearest.

    Example:
        >>> schedule("cosine").interval
        'step'
    """
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES, code="unknown-schedule")
    return SCHEDULES[name]
