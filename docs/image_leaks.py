"""Do simple statistics of images tell the classes of a preset with a lens galaxy apart?

python docs/image_leaks.py FOLDER PRESET [IMAGES]     see docs/results/leak-audits.md

A preset with a single class gets the classes of `hst`. The data set stays in FOLDER/PRESET.
"""

import sys
from pathlib import Path

from macro_leaks import CLASSES, with_classes

import lenssim as ls


def row(preset: str, images: int, document: dict) -> str:
    """Return the line of the page's table: what tells most, and the verdict."""
    results = document["leaks"]
    edges = [leak for leak in results if leak["statistic"] == "edges"]
    others = [leak for leak in results if leak["statistic"] != "edges"]
    cells = []
    for group in (others, edges):
        worst = max(group, key=lambda leak: leak["auc"])
        pair = " / ".join(worst["classes"])
        auc = f"{worst['auc']:.3f} [{worst['low']:.3f}, {worst['high']:.3f}]"
        if group is edges:
            cells.append(f"{auc}, {pair}")
        else:
            cells += [f"{worst['statistic']}, {pair}", auc]
    above = sum(leak["low"] > 0.5 for leak in results)
    cells.append(f"{above} of {len(results)}")
    cells.append(document["verdict"])
    return f"| `{preset}` | {images // len(CLASSES):,} | {' | '.join(cells)} |"


def main(folder: Path, preset: str, images: int) -> None:
    """Simulate a data set, audit it, and print a line of the table."""
    data = folder / preset
    ls.generate(with_classes(preset, CLASSES), images, data, seed=5, workers=0)
    print(row(preset, images, ls.audit(data).document), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int((sys.argv[3:] or ["1200"])[0]))
