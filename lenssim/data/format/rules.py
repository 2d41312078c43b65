"""What must hold of the contents of a shard: one list of rules, which the writer and `verify` share."""

import numpy as np

from lenssim.data.format.manifest import Plan
from lenssim.data.format.shard import Samples

__all__ = ["broken_rules"]


def broken_rules(samples: Samples, plan: Plan, shard: int) -> list[str]:
    """Say which rules the samples of a shard break, one line each.

    Args:
        samples: Everything that the shard holds.
        plan: The plan of its data set.
        shard: The number of the shard.

    Returns:
        Lines that name the dataset; none if all is well.
    """
    lines = [*_images(samples), *_truth(samples, plan), *_numbers(samples, plan, shard)]
    for name, column in samples.params.items():
        if np.isinf(column).any():
            lines.append(f"dataset params/{name}: infinite values")
    for kind, table in samples.perturbers.items():
        for name, column in table.columns.items():
            if not np.isfinite(column).all():
                lines.append(f"dataset perturbers/{kind}/{name}: NaN or infinite values")
    return lines


def _images(samples: Samples) -> list[str]:
    lines = []
    if bad := _not_finite(samples.pixels):
        lines.append(f"dataset images: {bad} images hold NaN or infinite pixels")
    if samples.scale is not None and not (samples.scale > 0).all():
        lines.append("dataset scale: a scale is not positive")
    return lines


def _truth(samples: Samples, plan: Plan) -> list[str]:
    lines = []
    for name, pictures in samples.truth.items():
        if bad := _not_finite(pictures):
            lines.append(f"dataset {name}: {bad} pictures hold NaN or infinite pixels")
    if differing := set(plan.config.get("truth", ())) ^ set(samples.truth):
        names = ", ".join(sorted(differing))
        lines.append(
            f"dataset {names}: the plan and the shard do not hold the same pictures"
        )
    return lines


def _numbers(samples: Samples, plan: Plan, shard: int) -> list[str]:
    lines = []
    if not np.array_equal(samples.index, np.array(plan.rows(shard))):
        lines.append(
            "dataset index: the sample numbers are not those of this shard, each once"
        )
    if ((samples.labels < 0) | (samples.labels >= len(plan.classes))).any():
        lines.append(f"dataset labels: labels outside 0..{len(plan.classes) - 1}")
    return lines


def _not_finite(images: np.ndarray) -> int:
    return int((~np.isfinite(images).all(axis=(1, 2, 3))).sum())
