"""Other people's layouts: published DeepLense folders in, single images either way."""

import csv
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import lenssim
from lenssim.data.build import Progress, build, finish_shard, provenance
from lenssim.data.cluster import local_runner
from lenssim.data.export import MASSES
from lenssim.data.files import write
from lenssim.data.manifest import Manifest, Plan
from lenssim.data.npy import load_npy
from lenssim.data.shards import Samples
from lenssim.errors import ConfigError, DataError

__all__ = ["check_image", "import_deeplense", "read_image_file", "read_images", "write_image"]

_PUBLISHED_ORDER = ("no_sub", "cdm", "axion")  # labels as in presets I-III, so that their networks fit
_SHARD_ROWS = 1024


def check_image(image: np.ndarray, where: str) -> None:
    """`DataError` for an image (H, W) no network should be shown: not numbers, not square, NaN, or flat."""
    if image.ndim != 2 or image.shape[0] != image.shape[1] or image.shape[0] < 4:
        raise DataError(f"{where}: an image is a square array such as 64 x 64, got shape {image.shape}")
    if not np.isfinite(image).all():
        raise DataError(f"{where}: {np.size(image) - np.isfinite(image).sum()} of its pixels are NaN or infinite")
    if image.min() == image.max():
        raise DataError(f"{where}: the image is flat (every pixel is {image.flat[0]:g})")


def read_image_file(path: Path) -> tuple[np.ndarray, float | None]:
    """Image (H, W) float64 and axion mass in eV (or None) of a file in the published layout.

    Accepts a plain square array, a flat vector of square length, and a pickled object array [image, mass], whose
    pickle is read without executing anything. `DataError` names the file for everything else.
    """
    content, mass = load_npy(path), None
    if isinstance(content, list):
        if len(content) != 2 or np.ndim(content[1]) != 0:
            raise DataError(f"{path}: an object array must be [image, axion mass], got {len(content)} entries")
        content, mass = content[0], float(content[1])
        if not (np.isfinite(mass) and mass > 0):
            raise DataError(f"{path}: the axion mass must be a positive number of eV, got {mass:g}")
    image = np.asarray(content, dtype=np.float64)
    side = round(np.sqrt(image.size))
    if image.ndim == 1 and side * side == image.size:
        image = image.reshape(side, side)
    if image.ndim == 3 and image.shape[0] == 1:
        image = image[0]
    check_image(image, str(path))
    return image, mass


def read_images(path: Path) -> np.ndarray:
    """Images (N, H, W) float64 of a .npy file: one in the published layout, or a stack (N, H, W) or (N, 1, H, W)."""
    content = load_npy(path)
    if isinstance(content, np.ndarray) and content.ndim in (3, 4) and content.shape[0] > 1:
        stack = content[:, 0] if content.ndim == 4 and content.shape[1] == 1 else content
        if stack.ndim != 3:
            raise DataError(f"{path}: a stack of images has shape (N, H, W) or (N, 1, H, W), got {content.shape}")
        for i, image in enumerate(stack):
            check_image(image, f"{path}, image {i}")
        return stack.astype(np.float64)
    return read_image_file(path)[0][None]


def import_deeplense(
    source: Path,
    folder: Path,
    *,
    skip_bad: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
    warn: Callable[[str], None] = lambda message: None,
) -> Manifest:
    """Turn a folder of class folders of .npy files into a data set; the axion mass becomes `log10_m_axion`.

    Samples are numbered class by class in turn, so that every prefix is balanced; each keeps its file's path in
    `texts/file`. A bad file is an error that names it, or with `skip_bad` a call of `warn`.
    """
    classes, files = _listing(source)
    files = [(label, path) for label, path in files if _usable(path, warn if skip_bad else None)]
    if not files:
        raise DataError(f"{source}: none of its .npy files can be read")
    masses = _read_masses(source)
    paths = [path.relative_to(source).as_posix() for _, path in files]
    config = {
        "kind": "imported",
        "layout": "deeplense",
        "source": source.resolve().name,
        "files": len(files),
        "files_sha256": hashlib.sha256("\n".join(paths).encode()).hexdigest(),
        "versions": {"lenssim": lenssim.__version__},
    }
    plan = Plan(n=len(files), shard_size=_SHARD_ROWS, classes=classes, config=config)

    def task(target: str, document: dict[str, Any], shard: int) -> int:
        rows = plan.rows(shard)
        samples = _import_rows(plan, rows, [files[i] for i in rows], [paths[i] for i in rows], masses)
        return finish_shard(Path(target), plan, shard, samples)

    return build(folder, plan, task, local_runner(0), report)


def _listing(source: Path) -> tuple[tuple[str, ...], list[tuple[int, Path]]]:
    """Class names and (label, file) of a published folder tree, classes taking turns."""
    try:
        if not source.is_dir():
            raise DataError(f"{source} is no folder; give the one that holds the class folders (no_sub, cdm, axion)")
        found = {child.name: sorted(child.glob("*.npy")) for child in source.iterdir() if child.is_dir()}
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror}") from None
    found = {name: files for name, files in found.items() if files}
    if not found:
        raise DataError(f"{source} holds no class folders with .npy files (wanted: {source}/no_sub/*.npy and so on)")
    known = [name for name in _PUBLISHED_ORDER if name in found]
    classes = (*known, *sorted(set(found) - set(known)))
    turns = sorted((rank, label, path) for label, name in enumerate(classes) for rank, path in enumerate(found[name]))
    return classes, [(label, path) for _, label, path in turns]


def _usable(path: Path, warn: Callable[[str], None] | None) -> bool:
    """Whether a file holds an image; without `warn` a file that does not is an error, before anything is written."""
    try:
        read_image_file(path)
    except DataError as error:
        if warn is None:
            raise
        warn(f"skipped: {error}")
        return False
    return True


def _read_masses(source: Path) -> Mapping[str, float]:
    """log10 axion masses by file, from the table that `export_npy` writes beside the class folders."""
    path = source / MASSES
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as table:
            return {row["file"]: float(row["log10_m_axion"]) for row in csv.DictReader(table)}
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no table with the columns file and log10_m_axion: {error}") from None


def _import_rows(
    plan: Plan, rows: range, files: list[tuple[int, Path]], paths: list[str], masses: Mapping[str, float]
) -> Samples:
    images, log10_mass = [], []
    for (_, path), name in zip(files, paths, strict=True):
        image, mass = read_image_file(path)
        if images and image.shape != images[0].shape:
            raise ConfigError(
                f"{path}: its shape is {image.shape}, but {files[0][1]} has {images[0].shape}; "
                "a data set holds one stamp size: import them apart"
            )
        images.append(image)
        log10_mass.append(np.log10(mass) if mass is not None else masses.get(name, np.nan))
    return Samples(
        images=np.stack(images)[:, None].astype(np.float32),
        labels=np.array([label for label, _ in files], dtype=np.int64),
        index=np.arange(rows.start, rows.stop),
        params={"log10_m_axion": np.array(log10_mass)},
        perturbers={},
        units={"log10_m_axion": "dex(eV)"},
        attributes=provenance(plan),
        texts={"file": paths},
    )


def write_image(path: Path, image: np.ndarray, header: Mapping[str, Any]) -> None:
    """Write one image (H, W) as .npy, .fits (with `header` as cards) or .png (asinh stretch, y upwards)."""
    import io

    buffer = io.BytesIO()
    suffix = path.suffix.lower()
    if suffix == ".npy":
        np.save(buffer, image)
    elif suffix in (".fits", ".fit"):
        from astropy.io import fits

        hdu = fits.PrimaryHDU(image)
        for name, value in header.items():
            hdu.header[f"HIERARCH {name}"] = value
        hdu.writeto(buffer)
    elif suffix == ".png":
        from matplotlib.image import imsave

        spread = np.percentile(image, 99.5) or 1.0
        imsave(buffer, np.arcsinh(5 * image / spread), cmap="magma", origin="lower", format="png")
    else:
        raise ConfigError(f"{path}: an image is written as .npy, .fits or .png")
    write(path, buffer.getvalue())
