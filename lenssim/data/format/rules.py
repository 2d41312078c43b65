"""Rules for the contents of a shard, which the writer and `verify` share."""

import numpy as np

from lenssim.data.format.labels import UNLABELLED, is_labelled
from lenssim.data.format.manifest import Plan
from lenssim.data.format.shard import Samples
from lenssim.data.format.spec import maps_of
from lenssim.data.format.storage import are_finite

__all__ = ["broken_rules"]


def broken_rules(samples: Samples, plan: Plan, shard: int) -> list[str]:
    """Return the rules that the samples of a shard break, one line each.

    Args:
        samples: Everything that the shard holds.
        plan: The plan of its data set.
        shard: The number of the shard.

    Returns:
        Lines that name the dataset; none if no rule is broken.
    """
    return [
        *_image_faults(samples),
        *_map_faults(samples, plan),
        *_number_faults(samples, plan, shard),
        *_label_faults(samples, plan),
        *_column_faults(samples),
    ]


def _image_faults(samples: Samples) -> list[str]:
    """Pixels are finite, and scales are positive."""
    lines = []
    if count := int((~are_finite(samples.images, samples.scale)).sum()):
        lines.append(f"dataset images: {count} images hold NaN or infinite pixels")
    if samples.scale is not None and not (samples.scale > 0).all():
        lines.append("dataset scale: a scale is not positive")
    return lines


def _map_faults(samples: Samples, plan: Plan) -> list[str]:
    """Maps are finite, and they are those of the plan."""
    lines = []
    for name, maps in samples.truth.items():
        if count := int((~are_finite(maps, None)).sum()):
            lines.append(f"dataset {name}: {count} pictures hold NaN or infinite pixels")
    if differing := set(maps_of(plan.config)) ^ set(samples.truth):
        names = ", ".join(sorted(differing))
        lines.append(
            f"dataset {names}: the plan and the shard do not hold the same pictures"
        )
    return lines


def _number_faults(samples: Samples, plan: Plan, shard: int) -> list[str]:
    """Sample numbers are those of the shard."""
    if np.array_equal(samples.index, np.array(plan.rows(shard))):
        return []
    return ["dataset index: the sample numbers are not those of this shard, each once"]


def _label_faults(samples: Samples, plan: Plan) -> list[str]:
    """Labels are those of the plan's classes, or all 0 where the classes are unknown."""
    lines = []
    if ((samples.labels < 0) | (samples.labels >= len(plan.classes))).any():
        lines.append(f"dataset labels: labels outside 0..{len(plan.classes) - 1}")
    if not is_labelled(plan.config) and plan.classes != (UNLABELLED,):
        lines.append(
            "dataset labels: the plan states that its classes are unknown, and names "
            f"{', '.join(plan.classes)}; such a data set has the one class {UNLABELLED}"
        )
    return lines


def _column_faults(samples: Samples) -> list[str]:
    """Parameters may be NaN where a sample has none, but nothing is infinite."""
    lines = []
    for name, column in samples.params.items():
        if np.isinf(column).any():
            lines.append(f"dataset params/{name}: infinite values")
    for kind, table in samples.perturbers.items():
        for name, column in table.columns.items():
            if not np.isfinite(column).all():
                lines.append(f"dataset perturbers/{kind}/{name}: NaN or infinite values")
    return lines
