"""Data sets in the layouts of others: WebDataset's tar files, FITS, and published folders of .npy files."""

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.exchange.fits_headers import ascii_text, image_cards, pixel_cards
from lenssim.data.exchange.listing import MASSES
from lenssim.data.format.digests import read_verified
from lenssim.data.format.files import (
    cause,
    is_temporary,
    make_folder,
    read_json,
    sweep,
    write,
    write_json,
)
from lenssim.data.format.manifest import Manifest, shard_name
from lenssim.data.format.shard import Samples
from lenssim.data.generation.progress import Progress
from lenssim.data.streaming.locations import (
    LocalFolder,
    RemoteFolder,
    check_apart,
    open_complete,
)
from lenssim.errors import ConfigError, DataError, IncompleteError, StorageError

__all__ = [
    "EXPORTERS",
    "UNFINISHED",
    "export_cutouts",
    "export_fits",
    "export_npy",
    "export_webdataset",
]

UNFINISHED = ".lenssim-export.json"  # stands in a target until its export is whole, and says of what it is

Report = Callable[[Progress], None]


def export_webdataset(
    folder: Path | str, target: Path, *, report: Report = lambda progress: None
) -> list[Path]:
    """Write tar files in the order of the samples: `<number>.npy` float32 (C, H, W), `.cls` label, `.json` parameters,
    and the names of the bands where there are several.

    Truth that is kept as pictures is `.clean.npy` and `.kappa.npy`. Equal data give equal bytes. Repeating the call
    continues an export that was stopped.

    Args:
        folder: Folder or URL of a complete data set. Every shard is checked against its record before it is copied.
        target: Folder to write to, which is made.
        report: Called with what is done.

    Returns:
        The files.

    Raises:
        ConfigError: The target holds something else.
        VerificationError: A shard does not hold what was written.
        IncompleteError: The disk refuses; what is there is whole.
    """
    return _export_shards(folder, target, "webdataset", "tar", _tar, report)


def export_fits(
    folder: Path | str, target: Path, *, report: Report = lambda progress: None
) -> list[Path]:
    """Write FITS files: the images float32 (n, C, H, W) as primary unit, a table of numbers, labels and parameters.

    Truth that is kept as pictures are units CLEAN and KAPPA. Units stand in the table, checksums in the headers (FITS
    4.0, section 4.4.2.7). Arguments, returns and errors are those of `export_webdataset`.
    """
    return _export_shards(folder, target, "fits", "fits", _fits, report)


def export_npy(
    folder: Path | str, target: Path, *, report: Report = lambda progress: None
) -> list[Path]:
    """Write a data set in the published layout: `<class>/<class>_<number>.npy`, and the axion masses as a table.

    Arrays are plain (H, W), or (C, H, W) for several bands. Returns the class folders. Arguments and errors are those
    of `export_webdataset`.
    """
    place = open_complete(folder)
    manifest = place.manifest
    homes = [target / name for name in manifest.classes]
    rows: list[tuple[str, int, str, str]] = []
    with _unfinished(place, target, "npy"):
        for home in homes:
            make_folder(home)
            sweep(home)
        for samples in _verified(place, range(len(manifest.shards)), report):
            masses = samples.params.get("log10_m_axion", np.full(len(samples), np.nan))
            for row, image in enumerate(samples.pixels):
                name = manifest.classes[samples.labels[row]]
                number = int(samples.index[row])
                file = target / name / f"{name}_{number:07d}.npy"
                write(file, _npy(image[0] if len(image) == 1 else image), durable=False)
                if np.isfinite(masses[row]):
                    rows.append(
                        (f"{name}/{file.name}", number, name, repr(float(masses[row])))
                    )
        write(target / MASSES, _table(("file", "index", "class", "log10_m_axion"), rows))
    return homes


def export_cutouts(
    folder: Path | str, target: Path, *, report: Report = lambda progress: None
) -> list[Path]:
    """Write one FITS file an image, with noise map, mask and PSF, and the true numbers as `truth.csv`.

    Arguments and errors are those of `export_webdataset`. Returns the files.
    """
    from lenssim.data.exchange.cutouts import TRUTH, cutouts, truth_table
    from lenssim.data.streaming.dataset import ShardDataset

    place = open_complete(folder)
    paths: list[Path] = []
    names: list[str] = []
    with _unfinished(place, target, "cutouts"):
        dataset = ShardDataset(folder)
        start = 0
        for samples in _verified(place, range(len(place.manifest.shards)), report):
            rows = np.arange(start, start + len(samples))
            start += len(samples)
            for name, content in cutouts(dataset, rows):
                write(target / name, content, durable=False)
                paths.append(target / name)
                names.append(Path(name).stem)
        write(target / TRUTH, truth_table(dataset, names))
    return [*paths, target / TRUTH]


def _export_shards(
    folder: Path | str,
    target: Path,
    layout: str,
    suffix: str,
    pack: Callable[[Samples, Manifest], bytes],
    report: Report,
) -> list[Path]:
    """Write one file a shard; those that are there already are whole."""
    place = open_complete(folder)
    paths = [
        (target / shard_name(shard)).with_suffix(f".{suffix}")
        for shard in range(len(place.manifest.shards))
    ]
    with _unfinished(place, target, layout):
        todo = [shard for shard, path in enumerate(paths) if not path.exists()]
        for shard, samples in zip(todo, _verified(place, todo, report), strict=True):
            write(paths[shard], pack(samples, place.manifest))
    return paths


def _verified(
    place: LocalFolder | RemoteFolder, shards: Sequence[int], report: Report
) -> Iterator[Samples]:
    """The samples of some shards, after a check of every byte against their records."""
    manifest = place.manifest
    resumed = samples_done = manifest.n - sum(
        manifest.shards[shard].rows for shard in shards
    )
    for shard in shards:
        yield read_verified(place.path(shard), manifest.shards[shard])
        samples_done += manifest.shards[shard].rows
        report(Progress(samples_done, manifest.n, resumed))


@contextmanager
def _unfinished(
    place: LocalFolder | RemoteFolder, target: Path, layout: str
) -> Iterator[None]:
    """A target that says that it is unfinished until everything is written.

    So an export that was stopped, by a full disk or by a signal, does not stand in its own way.
    """
    document = {
        "format": "lenssim-export/1",
        "layout": layout,
        "fingerprint": place.manifest.fingerprint,
    }
    marker = target / UNFINISHED
    try:
        check_apart(place, target)
        _check_target(target, document)
        make_folder(target)
        sweep(target)
        write_json(marker, document)
        yield
        marker.unlink()
    except OSError as error:
        raise StorageError(
            f"cannot write into {target}: {cause(error)}; mend that or choose another --out",
            code="write-failed",
            target=target,
        ) from None
    except StorageError as error:
        if not marker.exists():
            raise
        raise IncompleteError(
            f"{error}\nwhat is in {target} is whole; repeat the command to continue",
            code="stopped",
            target=target,
        ) from None


def _check_target(target: Path, document: dict[str, str]) -> None:
    """`ConfigError` unless the target is empty, or holds the same export, unfinished."""
    if not target.exists():
        return
    if not target.is_dir():
        raise ConfigError(
            f"{target} is a file; choose another --out", code="folder-in-use", target=target
        )
    names = {path.name for path in target.iterdir() if not is_temporary(path.name)}
    if UNFINISHED in names:
        try:
            if read_json(target / UNFINISHED) == document:
                return
        except DataError:
            pass
        raise ConfigError(
            f"{target} holds the unfinished export of another data set; remove it or choose another --out",
            code="folder-in-use",
            target=target,
        )
    if names:
        raise ConfigError(
            f"{target} is not empty; choose another --out",
            code="folder-in-use",
            target=target,
        )


def _table(head: tuple[str, ...], rows: list[tuple[str, int, str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


def _tar(samples: Samples, manifest: Manifest) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for row, (image, label, number) in enumerate(
            zip(samples.pixels, samples.labels, samples.index, strict=True)
        ):
            numbers = {
                name: float(column[row])
                for name, column in samples.params.items()
                if np.isfinite(column[row])
            }
            about = {"class": manifest.classes[label], "params": numbers}
            if manifest.bands:
                about["bands"] = list(manifest.bands)
            parts = {
                "npy": _npy(image),
                "cls": str(label).encode(),
                "json": json.dumps(about).encode(),
            }
            parts |= {
                f"{name}.npy": _npy(pictures[row])
                for name, pictures in samples.truth.items()
            }
            for suffix, data in parts.items():
                member = tarfile.TarInfo(f"{number:09d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _fits_table(samples: Samples) -> Any:
    """Return the table of numbers, labels and true parameters."""
    from astropy.io import fits

    columns = [
        fits.Column("index", "K", array=samples.index),
        fits.Column("label", "K", array=samples.labels),
    ]
    if "name" in samples.texts:
        names = [ascii_text(name) for name in samples.texts["name"]]
        width = max(map(len, names))
        columns.append(fits.Column("name", f"{width}A", array=names))
    for name, column in samples.params.items():
        unit = samples.units.get(name)
        columns.append(fits.Column(name, "D", array=column, unit=unit))
    return fits.BinTableHDU.from_columns(columns, name="SAMPLES")


def _fits(samples: Samples, manifest: Manifest) -> bytes:
    from astropy.io import fits

    primary = fits.PrimaryHDU(samples.pixels)
    table = _fits_table(samples)
    config = json.loads(samples.attributes.get("config", "{}"))
    side = samples.images.shape[-2:]
    primary.header["EXTNAME"] = "SCI"
    primary.header.extend(image_cards(config, side))
    primary.header["CONFIG"] = str(samples.attributes.get("config_hash", ""))
    for label, name in enumerate(manifest.classes):
        table.header[f"CLASS{label}"] = ascii_text(name)
    truth = [
        fits.ImageHDU(pictures, name=name.upper())
        for name, pictures in samples.truth.items()
    ]
    for picture in truth:
        if unit := samples.units.get(picture.name.lower()):
            picture.header["BUNIT"] = unit.replace("e-", "electron")
        if picture.shape[-2:] == side:
            picture.header.extend(pixel_cards(config, side))
    units = fits.HDUList([primary, table, *truth])
    for hdu in units:
        hdu.add_checksum(when="")  # no dates: equal data give equal bytes
    buffer = io.BytesIO()
    units.writeto(buffer)
    return buffer.getvalue()


EXPORTERS: dict[str, Callable[..., list[Path]]] = {
    "npy": export_npy,
    "webdataset": export_webdataset,
    "fits": export_fits,
    "cutouts": export_cutouts,
}
"""Layouts by name: a new one is a function and a line."""
