"""Data sets in the published DeepLense layout, and single images."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.build import Progress
from lenssim.data.files import write
from lenssim.data.headers import ascii_text
from lenssim.data.imports import import_deeplense, import_pairs
from lenssim.data.listing import MASSES
from lenssim.data.places import complete
from lenssim.data.reading import read_samples
from lenssim.errors import ConfigError

__all__ = ["export_npy", "import_deeplense", "import_pairs", "write_image"]


def export_npy(
    folder: Path | str, target: Path, *, report: Callable[[Progress], None] = lambda progress: None
) -> list[Path]:
    """Write a data set in the published layout: `<class>/<class>_<number>.npy`, and the axion masses as a table.

    Arrays are plain (H, W), or (C, H, W) for several bands. Returns the class folders. `ConfigError` if the target
    is not empty.
    """
    place = complete(folder)
    manifest = place.manifest
    if target.exists() and any(target.iterdir()):
        raise ConfigError(f"{target} is not empty; choose another --out")
    homes = [target / name for name in manifest.classes]
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
    table: list[tuple[str, int, str, float]] = []
    done = 0
    for shard in range(len(manifest.shards)):
        samples = read_samples(place.path(shard))
        masses = samples.params.get("log10_m_axion", np.full(len(samples), np.nan))
        for image, label, number, mass in zip(samples.pixels, samples.labels, samples.index, masses, strict=True):
            name = manifest.classes[label]
            file = homes[label] / f"{name}_{number:07d}.npy"
            np.save(file, image[0] if len(image) == 1 else image)
            if np.isfinite(mass):
                table.append((f"{name}/{file.name}", int(number), name, float(mass)))
        done += len(samples)
        report(Progress(done, manifest.n, 0))
    with (target / MASSES).open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(("file", "index", "class", "log10_m_axion"))
        writer.writerows((file, number, name, repr(mass)) for file, number, name, mass in table)
    return homes


def write_image(
    path: Path, image: np.ndarray, header: Mapping[str, Any], cards: Sequence[tuple[str, Any, str]] = ()
) -> None:
    """Write one image (H, W) as .npy, .fits or .png (asinh stretch, y upwards).

    Args:
        path: The file; its ending says which format.
        image: The pixels.
        header: What is known of the image, for FITS, under names of any length.
        cards: Further cards of a FITS header, see `lenssim.data.headers`.

    Raises:
        ConfigError: The ending is none of these.
        StorageError: The file cannot be written.
    """
    import io

    buffer = io.BytesIO()
    suffix = path.suffix.lower()
    if suffix == ".npy":
        np.save(buffer, image)
    elif suffix in (".fits", ".fit"):
        from astropy.io import fits

        hdu = fits.PrimaryHDU(image)
        hdu.header.extend(cards)
        for name, value in header.items():
            hdu.header[f"HIERARCH {name}"] = ascii_text(value)
        hdu.writeto(buffer)
    elif suffix == ".png":
        from matplotlib.image import imsave

        spread = np.percentile(image, 99.5) or 1.0
        imsave(buffer, np.arcsinh(5 * image / spread), cmap="magma", origin="lower", format="png")
    else:
        raise ConfigError(f"{path}: an image is written as .npy, .fits or .png")
    write(path, buffer.getvalue())
