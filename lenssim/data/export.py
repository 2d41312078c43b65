"""Data sets in the layouts of others: WebDataset's tar files and FITS, one file a shard, whole or absent."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lenssim.data.build import Progress
from lenssim.data.files import write
from lenssim.data.headers import ascii_text, image_cards, pixel_cards
from lenssim.data.manifest import Manifest, shard_name
from lenssim.data.places import complete
from lenssim.data.reading import read_samples
from lenssim.data.shards import Samples
from lenssim.errors import ConfigError

__all__ = ["export_fits", "export_webdataset"]

Report = Callable[[Progress], None]


def export_webdataset(folder: Path | str, target: Path, *, report: Report = lambda progress: None) -> list[Path]:
    """Write tar files in the order of the samples: `<number>.npy` float32 (C, H, W), `.cls` label, `.json` parameters.

    Truth that is kept as pictures is `.clean.npy` and `.kappa.npy`.
    Equal data give equal bytes. `ConfigError` if the target is not empty.
    """
    return _export(folder, target, "tar", _tar, report)


def export_fits(folder: Path | str, target: Path, *, report: Report = lambda progress: None) -> list[Path]:
    """Write FITS files: the images float32 (n, C, H, W) as primary unit, a table of numbers, labels and parameters.

    Truth that is kept as pictures are units CLEAN and KAPPA.
    Units stand in the table, checksums in the headers (FITS 4.0, section 4.4.2.7). `ConfigError` as above.
    """
    return _export(folder, target, "fits", _fits, report)


def _export(
    folder: Path | str, target: Path, suffix: str, pack: Callable[[Samples, Manifest], bytes], report: Report
) -> list[Path]:
    place = complete(folder)
    manifest = place.manifest
    if target.exists() and any(target.iterdir()):
        raise ConfigError(f"{target} is not empty; choose another --out")
    target.mkdir(parents=True, exist_ok=True)
    paths, done = [], 0
    for shard in range(len(manifest.shards)):
        samples = read_samples(place.path(shard))
        paths.append((target / shard_name(shard)).with_suffix(f".{suffix}"))
        write(paths[-1], pack(samples, manifest))
        done += len(samples)
        report(Progress(done, manifest.n, 0))
    return paths


def _tar(samples: Samples, manifest: Manifest) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for row, (image, label, number) in enumerate(zip(samples.pixels, samples.labels, samples.index, strict=True)):
            numbers = {name: float(column[row]) for name, column in samples.params.items() if np.isfinite(column[row])}
            about = {"class": manifest.classes[label], "params": numbers}
            parts = {"npy": _npy(image), "cls": str(label).encode(), "json": json.dumps(about).encode()}
            parts |= {f"{name}.npy": _npy(pictures[row]) for name, pictures in samples.truth.items()}
            for suffix, data in parts.items():
                member = tarfile.TarInfo(f"{number:09d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _fits(samples: Samples, manifest: Manifest) -> bytes:
    from astropy.io import fits

    columns = [
        fits.Column("index", "K", array=samples.index),
        fits.Column("label", "K", array=samples.labels),
        *(fits.Column(name, "D", array=c, unit=samples.units.get(name)) for name, c in samples.params.items()),
    ]
    primary, table = fits.PrimaryHDU(samples.pixels), fits.BinTableHDU.from_columns(columns, name="SAMPLES")
    config = json.loads(samples.attributes.get("config", "{}"))
    side = samples.images.shape[-2:]
    primary.header["EXTNAME"] = "SCI"
    primary.header.extend(image_cards(config, side))
    primary.header["CONFIG"] = str(samples.attributes.get("config_hash", ""))
    for label, name in enumerate(manifest.classes):
        table.header[f"CLASS{label}"] = ascii_text(name)
    truth = [fits.ImageHDU(pictures, name=name.upper()) for name, pictures in samples.truth.items()]
    for picture in truth:
        if unit := samples.units.get(picture.name.lower()):
            picture.header["BUNIT"] = unit.replace("e-", "electron")
        if picture.shape[-2:] == side:
            picture.header.extend(pixel_cards(config, side))
    units = fits.HDUList([primary, table, *truth])
    for own in units:
        own.add_checksum(when="")  # no dates: equal data give equal bytes
    buffer = io.BytesIO()
    units.writeto(buffer)
    return buffer.getvalue()
