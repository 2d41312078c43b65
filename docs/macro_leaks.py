"""Do the drawn lenses, lights and sources of a preset tell its classes apart?

python docs/macro_leaks.py [IMAGES]     see docs/results/leak-audits.md

Nothing is rendered: classifiers see the drawn parameters, except those of substructure. A preset
with a single class gets the classes of `hst`.
"""

import sys
from typing import Any

import numpy as np
import yaml

from lenssim.learn.scores.leaks import Leak, leaks, verdict
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.preset import Preset, parse_preset, preset_text

PRESETS = (
    *("hst", "euclid", "hst-acs", "euclid-vis", "euclid-vis-nisp"),
    *("roman", "rubin", "nircam", "hsc"),
)
CLASSES = ("no_sub", "cdm", "axion")
SUBSTRUCTURE = "substructure_mass"  # 0 in no_sub


def with_classes(name: str, classes: tuple[str, ...]) -> Preset:
    """Return a preset with some classes of `hst` in place of its own."""
    document: dict[str, Any] = yaml.safe_load(preset_text(name))
    others = yaml.safe_load(preset_text("hst"))["classes"]
    document["classes"] = {key: others[key] for key in classes}
    return parse_preset(document)


def group_of(column: str) -> str:
    """Return what a column describes: source, light, camera or lens."""
    for words, group in (
        (("source_", "z_source"), "source"),
        (("lens_light_", "neighbour"), "light"),
        (("psf_", "exposure_"), "camera"),
    ):
        if column.startswith(words):
            return group
    return "lens"


def audited(name: str, images: int) -> list[Leak]:
    """Return how well the drawn parameters of a preset tell its classes apart."""
    numbers = np.arange(images)
    smooth = draw(with_classes(name, CLASSES[:1]), numbers[:1], seed=5).params
    preset = with_classes(name, CLASSES)
    params = draw(preset, numbers, seed=5).params
    features: dict[str, list[np.ndarray]] = {}
    for column in sorted(set(smooth) - {SUBSTRUCTURE}):
        features.setdefault(group_of(column), []).append(params[column])
    tables = {group: np.stack(columns, axis=1) for group, columns in features.items()}
    return list(leaks(tables, labels(preset, numbers), CLASSES))


def main(images: int) -> None:
    """Print a table: the parameters that tell most in each preset, and the verdict."""
    print("| preset | images | most telling | its AUC | intervals above 0.5 | verdict |")
    print("|---|---|---|---|---|---|")
    for name in PRESETS:
        results = audited(name, images)
        worst = max(results, key=lambda leak: leak.auc)
        above = sum(leak.low > 0.5 for leak in results)
        words = f"{worst.statistic}, {' / '.join(worst.classes)}".replace(
            "all but edges", "all"
        )
        auc = f"{worst.auc:.3f} [{worst.low:.3f}, {worst.high:.3f}]"
        counts = f"{above} of {len(results)}"
        print(
            f"| `{name}` | {images:,} | {words} | {auc} | {counts} | {verdict(results)} |",
            flush=True,
        )


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["6000"])[0]))
