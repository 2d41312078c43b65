"""Numbers that choose an epoch of an adaptation; the lowest is best.

Musgrave et al. (2022) compare them: often the plain loss of the source chooses as well as any.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from lenssim.learn.methods.adaptation.losses import mmd

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import Batch
    from lenssim.learn.tasks import Task

__all__ = ["bnm", "infomax", "oracle", "validators"]

_COMPARED = 512  # images of each domain whose features are compared


def validators(
    source: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
    val_loss: Tensor,
    task: Task,
) -> dict[str, Tensor]:
    """Return all validators by name.

    Args:
        source: `features` (N, D) and `outputs` (N, K) of validation images of the source.
        target: The same of the target.
        val_loss: Loss of the source.
        task: The task; one without classes has `source` and `alignment` alone.
    """
    distance = mmd(source["features"][:_COMPARED], target["features"][:_COMPARED])
    values = {"source": val_loss, "alignment": val_loss + distance.clamp(min=0)}
    logits = task.class_logits(target["outputs"])
    if logits is None:
        return values
    probabilities = logits.float().softmax(dim=1)
    values |= {"infomax": infomax(probabilities), "bnm": bnm(probabilities)}
    return {**values, "smallest_share": probabilities.mean(0).min()}


def infomax(probabilities: Tensor) -> Tensor:
    """Return the mean entropy less the entropy of the mean of probabilities (N, K), in nats.

    Example:
        >>> infomax(torch.eye(2)).item()
        -0.6931471824645996
    """
    mean = probabilities.mean(0)
    return _entropy(probabilities).mean() - _entropy(mean)


def _entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of probabilities (..., K) in nats."""
    return torch.special.entr(probabilities).sum(-1)


def bnm(probabilities: Tensor) -> Tensor:
    """Return the negative nuclear norm of probabilities (N, K), over its largest value.

    It is batch nuclear-norm maximisation (Cui et al. 2020): answers are to be certain and
    diverse.

    Example:
        >>> round(bnm(torch.eye(2)).item(), 6)
        -1.0
    """
    count, classes = probabilities.shape
    largest = (count * min(count, classes)) ** 0.5
    return -torch.linalg.matrix_norm(probabilities, ord="nuc") / largest


def oracle(target: Mapping[str, Tensor], task: Task) -> dict[str, Tensor]:
    """Return scores of the target by its labels, where these are known, as `oracle_...`."""
    truth = {name: target[name] for name in ("label", "target") if name in target}
    if not truth:
        return {}
    metrics = task.metrics().to(target["outputs"].device)
    task.update(metrics, target["outputs"], cast("Batch", truth))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No positive samples")  # of a class it lacks
        scores = metrics.compute()
    return {f"oracle_{name}": value for name, value in scores.items()}
