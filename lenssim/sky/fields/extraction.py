"""Extraction: from a wide field to a data set of stamps, which resumes."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import lenssim
from lenssim.data.format.files import write
from lenssim.data.format.labels import UNLABELLED, unlabelled_config
from lenssim.data.format.manifest import PLAN, Manifest, Plan, read_plan
from lenssim.data.format.maps import KERNEL, MASK, SIGMA
from lenssim.data.format.shard import Samples
from lenssim.data.generation.building import build, provenance
from lenssim.data.generation.finishing import finish_shard
from lenssim.data.generation.progress import Progress
from lenssim.data.generation.runners import local_runner
from lenssim.errors import ConfigError, DataError
from lenssim.sky.fields.catalogue import CATALOGUE, Catalogue, catalogue_of, csv_bytes
from lenssim.sky.fields.field import BandFiles, WideField, open_field
from lenssim.sky.fields.files import FieldFiles, field_files
from lenssim.sky.fields.request import ExtractRequest
from lenssim.sky.fields.stamps import Stamps, cut_stamps, kernels
from lenssim.sky.fields.work import (
    DETECTIONS,
    Workspace,
    read_arrays,
    read_meshes,
    write_arrays,
)

__all__ = ["LAYOUT", "MODULE", "extract_field"]

MODULE = "lenssim.sky.fields.extraction"
LAYOUT = "field"
_SHARD_ROWS = 1024
_ROWS = "catalogue.npz"


def extract_field(
    folder: Path,
    paths: Sequence[Path],
    request: ExtractRequest,
    *,
    workers: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
    note: Callable[[str], None] = lambda text: None,
    stop: Callable[[], bool] = lambda: False,
) -> Manifest:
    """Find the galaxies of a field and cut out a stamp of each, or go on with it.

    Args:
        folder: Folder of the data set.
        paths: FITS files of the field: images, and perhaps noise maps, masks and PSFs.
        request: How galaxies are found and cut out.
        workers: Processes of dask; 0: this one.
        report: Is told of the progress.
        note: Is told what was found, and what got no stamp.
        stop: Whether to begin no further tile or shard.

    Raises:
        DataError: A file cannot be used, or the field has no galaxy.
        ConfigError: The folder holds something else.
        IncompleteError: Work stopped before its end; the same call continues it.
    """
    files = field_files(paths, request)
    _check_folder(folder, files, request)
    existed = folder.exists()
    runner = local_runner(workers, preload=[MODULE], note=note)
    try:
        with open_field(files.bands, request) as field:
            workspace = Workspace(folder, files, request)
            workspace.meshes(field)
            tell = partial(_report_tiles, report)
            objects = workspace.objects(field.shape, runner, tell, stop)
            catalogue = catalogue_of(objects, field, request)
            _note(field, catalogue, note)
            plan = _plan(files, field, request, catalogue)
    except DataError:
        _forget(folder, existed)
        raise
    _write_rows(folder, catalogue)
    task = partial(_make_shard, files.bands, files.psfs, files.name, request)
    manifest = build(folder, plan, task, runner, report, stop=stop)
    _write_table(folder, catalogue)
    return manifest


def _write_table(folder: Path, catalogue: Catalogue) -> None:
    """Write catalogue.csv."""
    columns = {name: column.tolist() for name, column in catalogue.columns.items()}
    write(folder / CATALOGUE, csv_bytes({"name": catalogue.names, **columns}))


def _check_folder(folder: Path, files: FieldFiles, request: ExtractRequest) -> None:
    """Refuse a folder that holds anything but this extraction."""
    if not folder.exists():
        return
    problem = ""
    if (folder / PLAN).exists():
        config = read_plan(folder).config
        if config.get("layout") != LAYOUT:
            problem = "holds another data set"
        elif (config["contents_sha256"], config["options"]) != (
            files.digest,
            request.config(),
        ):
            problem = "holds the stamps of another field, or of other options"
    elif not folder.is_dir() or any(path.name != DETECTIONS for path in folder.iterdir()):
        problem = "is not empty and holds no data set of lenssim's"
    if problem:
        raise ConfigError(
            f"{folder} {problem}; choose another --out", code="folder-in-use", folder=folder
        )


def _report_tiles(report: Callable[[Progress], None], done: int, total: int) -> None:
    report(Progress(0, total, 0, phase=f"searched {done} of {total} tiles"))


def _note(field: WideField, catalogue: Catalogue, note: Callable[[str], None]) -> None:
    """Tell what was found, and what got no stamp."""
    height, width = field.shape
    reasons = ", ".join(
        f"{count} {reason}" for reason, count in catalogue.left_out.items() if count
    )
    left_out = f"; without a stamp: {reasons}" if reasons else ""
    note(
        f"field of {height} x {width} pixels of {field.pixel_scale:.4g} arcsec: "
        f"{catalogue.objects} objects, {len(catalogue)} stamps{left_out}"
    )
    if not field.has_sky:
        note(
            "its header has no WCS of the sky: the catalogue has pixels, and neither RA nor Dec"
        )
    if not field.has_noise:
        note(
            "it has no noise map: sigma is the rms of the background, without the light's own"
        )


def _no_objects(files: FieldFiles, catalogue: Catalogue) -> DataError:
    reasons = ", ".join(
        f"{count} {reason}" for reason, count in catalogue.left_out.items() if count
    )
    return DataError(
        f"{files.name}: no galaxy gets a stamp, of {catalogue.objects} objects above the "
        f"threshold{f' ({reasons})' if reasons else ''}; lower --threshold or --min-snr, or "
        "this field is empty",
        code="no-objects",
        field=files.name,
        objects=catalogue.objects,
    )


def _forget(folder: Path, existed: bool) -> None:
    """Remove what was written for a field that cannot be used."""
    if (folder / PLAN).exists():
        return
    shutil.rmtree(folder / DETECTIONS, ignore_errors=True)
    if not existed:
        with suppress(OSError):
            folder.rmdir()


def _plan(
    files: FieldFiles, field: WideField, request: ExtractRequest, catalogue: Catalogue
) -> Plan:
    """Return the plan of the data set of stamps; `DataError` if there are none."""
    if not len(catalogue):
        raise _no_objects(files, catalogue)
    maps = [MASK, SIGMA]
    if files.psfs and request.pixel_scale is None:
        maps.append(KERNEL)
    config = {
        "kind": "imported",
        "layout": LAYOUT,
        "source": files.name,
        "contents_sha256": files.digest,
        "catalogue_sha256": _catalogue_digest(catalogue),
        "options": request.config(),
        "truth": sorted(maps),
        "pixel_scale": request.pixel_scale or field.pixel_scale,
        **_band_entries(field),
        **unlabelled_config(),
        "versions": {"lenssim": lenssim.__version__},
    }
    return Plan(
        n=len(catalogue), shard_size=_SHARD_ROWS, classes=(UNLABELLED,), config=config
    )


def _band_entries(field: WideField) -> dict[str, Any]:
    """Return what the config of a data set says of bands."""
    entries: dict[str, Any] = {}
    if len(field.names) > 1:
        entries["bands"] = len(field.names)
    if any(field.names):
        entries["band_names"] = list(field.names)
    return entries


def _catalogue_digest(catalogue: Catalogue) -> str:
    """Return a hash of the pixels of the galaxies, which other versions may find elsewhere."""
    places = np.stack([catalogue.columns["x"], catalogue.columns["y"]])
    return hashlib.sha256(np.round(places, 2).tobytes()).hexdigest()


def _write_rows(folder: Path, catalogue: Catalogue) -> None:
    """Write the catalogue for the workers."""
    path = folder / DETECTIONS / _ROWS
    arrays = {f"column {name}": column for name, column in catalogue.columns.items()}
    arrays |= {f"unit {name}": np.array(unit) for name, unit in catalogue.units.items()}
    write_arrays(path, arrays | {"names": np.array(catalogue.names)})


@lru_cache(maxsize=1)
def _read_rows(path: Path) -> dict[str, np.ndarray]:
    """Return the catalogue as it was written."""
    return read_arrays(path)


def _with_start(
    arrays: dict[str, np.ndarray], start: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays whose names begin with a word, without it."""
    for name, array in arrays.items():
        if name.startswith(start):
            yield name.removeprefix(start), array


def _make_shard(
    bands: tuple[BandFiles, ...],
    psfs: tuple[np.ndarray, ...],
    source: str,
    request: ExtractRequest,
    folder: str,
    document: dict[str, Any],
    shard: int,
) -> int:
    """Cut out the stamps of one shard: the task of one worker."""
    plan = Plan.model_validate(document)
    rows = np.array(plan.rows(shard))
    arrays = _read_rows(Path(folder) / DETECTIONS / _ROWS)
    params = {name: column[rows] for name, column in _with_start(arrays, "column ")}
    units = {name: str(unit) for name, unit in _with_start(arrays, "unit ")}
    with open_field(bands, request) as field:
        meshes = read_meshes(Path(folder) / DETECTIONS, request)
        stamps = cut_stamps(field, meshes, request, params["x"], params["y"])
    names = [str(name) for name in arrays["names"][rows]]
    samples = Samples(
        images=stamps.images,
        labels=np.zeros(len(rows), np.int64),
        index=rows,
        params=params,
        perturbers={},
        units=units,
        attributes=provenance(plan),
        texts={"file": [source] * len(rows), "name": names},
        truth=_maps(stamps, psfs, plan),
    )
    return finish_shard(Path(folder), plan, shard, samples)


def _maps(
    stamps: Stamps, psfs: tuple[np.ndarray, ...], plan: Plan
) -> dict[str, np.ndarray]:
    """Return the maps that the data set keeps of stamps."""
    maps = {MASK: stamps.mask, SIGMA: stamps.sigma}
    if KERNEL in plan.config["truth"]:
        maps[KERNEL] = np.repeat(kernels(psfs)[None], len(stamps.mask), axis=0)
    return maps
