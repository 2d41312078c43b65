"""Optimisers and schedules of the learning rate, by name."""

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
)

from lenssim.errors import unknown

__all__ = ["OPTIMISERS", "SCHEDULES", "Schedule", "optimiser", "schedule"]

_PUBLISHED_DECAY = (
    0.8  # an epoch, as the text of the published six-network benchmark has it
)
_LEFT = 0.01  # of the rate, at the end of an exponential schedule

Weights = Iterable[Parameter] | Iterable[dict[str, Any]]


def _muon(weights: Weights, rate: float, decay: float) -> Optimizer:
    """Orthogonal steps for matrices and convolutions (Jordan et al. 2024), as long as AdamW's (Liu et al. 2025).

    Norms and biases get NAdamW.
    """
    from lenssim.learn.compute.muon import Muon  # takes a second to import

    return Muon(weights, lr=rate, weight_decay=decay, nesterov=True)


# Each takes weights, learning rate and weight decay.
OPTIMISERS: dict[str, Callable[[Weights, float, float], Optimizer]] = {
    "adamw": lambda weights, rate, decay: AdamW(weights, lr=rate, weight_decay=decay),
    "adam": lambda weights, rate, decay: Adam(
        weights, lr=rate
    ),  # as the published benchmark: no weight decay
    "nadam": lambda weights, rate, decay: NAdam(
        weights, lr=rate, weight_decay=decay, decoupled_weight_decay=True
    ),
    "muon": _muon,
    "sgd": lambda weights, rate, decay: SGD(
        weights, lr=rate, momentum=0.9, nesterov=True, weight_decay=decay
    ),
}


@dataclass(frozen=True)
class Schedule:
    """How the rate changes: `make(optimiser, rate, steps)` moves it every step or epoch.

    One that is not `laid_out` over the training may go on for more epochs.
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
    return ExponentialLR(optimiser, gamma=_LEFT ** (1 / steps))


def _as_written(optimiser: Optimizer, rate: float, steps: int) -> LRScheduler:
    return ExponentialLR(optimiser, gamma=_PUBLISHED_DECAY)


# onecycle: up in 30 % of the steps, then down to nothing (Smith & Topin 2017). The published benchmark says that it
# lowers the rate by a fifth an epoch (as_written); its code never does (as_run).
SCHEDULES: dict[str, Schedule] = {
    "onecycle": Schedule(_onecycle, "step"),
    "cosine": Schedule(_cosine, "step"),
    "exponential": Schedule(_exponential, "step"),
    "constant": Schedule(_constant, "epoch", laid_out=False),
    "as_run": Schedule(_constant, "epoch", laid_out=False),
    "as_written": Schedule(_as_written, "epoch", laid_out=False),
}


def optimiser(name: str) -> Callable[[Weights, float, float], Optimizer]:
    """The optimiser of that name; `ConfigError` with a suggestion for an unknown one."""
    if name not in OPTIMISERS:
        raise unknown("optimiser", name, OPTIMISERS)
    return OPTIMISERS[name]


def schedule(name: str) -> Schedule:
    """The schedule of that name; `ConfigError` with a suggestion for an unknown one."""
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    return SCHEDULES[name]
