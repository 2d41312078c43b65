"""What a network learns from the lenses of Model IV alone; see docs/results/model-iv.md.

python docs/model_iv.py GALAXIES OUT [IMAGES]

GALAXIES is a catalogue of real galaxies that lenssim reads, such as a folder of COSMOS. IMAGES is
the number of images of each class, 800 unless stated.
"""

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from scipy.ndimage import zoom

import lenssim as ls
from lenssim.simulate.preset import preset_text
from lenssim.simulate.sources.galaxies import Galaxies

SIDE = 256  # pixels of a stamp of Galaxy10 DECals
SPIRAL = 6  # its class of unbarred tight spirals
LEVEL = 250  # of the brightest pixel: stamps have 8 bits
SKY = 3  # of the sky around a galaxy
SUBSTRUCTURE = ("cdm", "axion")
SMOOTH = {"model": "no_sub"}


def write_stand_in(galaxies: Path, path: Path) -> int:
    """Write galaxies in the layout of Galaxy10 DECals; return how many there are.

    All three channels show the same image. A half-light radius has 26 pixels.

    Args:
        galaxies: The catalogue.
        path: The HDF5 file to write.
    """
    document = {"path": str(galaxies), "denoise": True, "signal_to_noise": 15}
    frames = Galaxies.model_validate(document).images()
    stamps = np.empty((len(frames), SIDE, SIDE, 3), np.uint8)
    for stamp, frame in zip(stamps, frames, strict=True):
        light = zoom(frame, SIDE / len(frame), order=1).clip(min=0)
        stamp[:] = (SKY + light * (LEVEL / light.max()))[..., None]
    with h5py.File(path, "w") as file:
        file["images"] = stamps
        file["ans"] = np.full(len(stamps), SPIRAL)
        file["redshift"] = np.full(len(stamps), 0.01)
    return len(stamps)


def smooth_preset(name: str, classes: tuple[str, ...], out: Path) -> Path:
    """Write a preset with some of its classes, from which all perturbers are taken away.

    Sample numbers decide lens, light and source. So a smooth class has the lenses of the
    class with perturbers.
    """
    document: dict[str, Any] = yaml.safe_load(preset_text(name))
    document["name"] = f"{name}-smooth"
    document["galaxies"].pop("only")  # numbers of galaxies in Galaxy10
    document["classes"] = dict.fromkeys(classes, SMOOTH)
    path = out / f"{document['name']}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def published(out: Path, galaxies: Path, images: int) -> ls.Dataset:
    """Return the lenses of Model IV as published: no_sub with its lenses, cdm and axion with theirs."""
    folder = out / "published-smooth"
    stamps = folder.with_name(f"{folder.name}-npy")
    stamps.mkdir(exist_ok=True)
    for name, classes in (("IV", ("no_sub",)), ("IV-substructure", SUBSTRUCTURE)):
        preset = smooth_preset(name, classes, out)
        count = images * len(classes)
        data = ls.generate(
            preset, count, out / preset.stem, galaxies=galaxies, seed=len(name)
        )
        exported = out / f"{preset.stem}-npy"
        ls.export(data, exported)
        for kind in classes:
            (exported / kind).rename(stamps / kind)
    return ls.import_data("deeplense", stamps, folder, bands="g,r,i")


def corrected(out: Path, galaxies: Path, images: int) -> ls.Dataset:
    """Return the lenses of Model IV corrected: all classes behind the same kind of lens."""
    classes = ("no_sub", *SUBSTRUCTURE)
    preset = smooth_preset("IV-corrected", classes, out)
    folder = out / "corrected-smooth"
    return ls.generate(preset, images * len(classes), folder, galaxies=galaxies, seed=5)


def judged(data: ls.Dataset, run: Path) -> list[str]:
    """Train a small network on a data set; return its AUC of all classes and of no_sub."""
    options = {"net": "cnn", "epochs": 8, "normalise": "asinh", "augment": "dihedral"}
    trained = ls.train("classify", data, out=run, device="cpu", **options)
    scores = trained.evaluate(data, device="cpu").document["metrics"]
    areas = [scores["macro_auc"], scores["auc"]["no_sub"]]
    return [f"{a['value']:.3f} [{a['low']:.3f}, {a['high']:.3f}]" for a in areas]


def main(galaxies: Path, out: Path, images: int) -> None:
    """Print a table: how well audit and network tell the classes of each data set apart."""
    out.mkdir(parents=True, exist_ok=True)
    stand_in = out / "stand_in.h5"
    if not stand_in.exists():
        print(f"{write_stand_in(galaxies, stand_in)} galaxies stand for Galaxy10")
    print("| data set | audit | AUC of cnn | AUC of no_sub |")
    print("|---|---|---|---|")
    for make in (published, corrected):
        data = make(out, stand_in, images)
        words = [ls.audit(data).verdict, *judged(data, out / f"run-{data.folder.name}")]
        print(f"| {data.folder.name} | {' | '.join(words)} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int((sys.argv[3:] or ["800"])[0]))
