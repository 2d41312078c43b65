"""Opening shards that may come from strangers: nothing outside the file is touched, nothing absurd is believed."""

import io
from pathlib import Path

import h5py
import numpy as np

from lenssim.data.format.maps import PAIRED, PICTURES, TRUTHS
from lenssim.data.format.shard import SCHEMA, Samples
from lenssim.data.format.storage import FILTER, STORAGES, compression, decode
from lenssim.errors import DataError
from lenssim.simulate.scenes import Perturbers

__all__ = ["LinkError", "check_inside", "decoded", "open_shard", "read_samples"]

_LONGEST_SIDE = 1 << 15  # pixels; also the most bands
_LARGEST_RATIO = 256  # bytes that one byte of LZ4 can stand for


def open_shard(path: Path, data: bytes | None = None) -> h5py.File:
    """Open a shard that may come from a stranger; `data` are its bytes where they were read already.

    `DataError` if it is missing, truncated, of another schema, holds links out of the file, or its datasets do not have
    the shapes and types of a shard. Whoever opens a shard of a data set calls `check_inside` first.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    try:
        size = path.stat().st_size if data is None else len(data)
        file = h5py.File(path if data is None else io.BytesIO(data), "r")
    except OSError as error:
        raise DataError(
            f"{path} cannot be opened as HDF5 (truncated or damaged): {error}"
        ) from None
    try:
        _check_structure(file, path, size)
    except DataError:
        file.close()
        raise
    except Exception as error:  # h5py raises many kinds for a damaged structure
        file.close()
        raise DataError(f"{path} has a damaged HDF5 structure: {error}") from None
    return file


class LinkError(DataError):
    """A part of a data set's folder is a link to another place."""


def check_inside(path: Path, folder: Path) -> None:
    """Check that a shard's file, and the folder that holds it, do not lead out of their data set.

    A link is fine if its target lies in the data set's folder, as those of git-annex do. A stranger's data set must
    not make others read what lies elsewhere.

    Args:
        path: The shard's file in `shards/`, or `shards/` itself; it need not exist.
        folder: The data set's folder, which may be a link itself.

    Raises:
        LinkError: It is a link to another place. The message says where to, and what to do.
    """
    for part in (path.parent, path):
        if part == folder or not part.is_symlink():
            continue
        target = part.resolve()
        if folder.resolve() not in target.parents:
            raise LinkError(
                f"{part} is a link that leaves the data set's folder (to {target}); copy what it stands for to its "
                f"place, or move all of {folder} to that disk: a data set's folder itself may be a link"
            )


def _check_structure(file: h5py.File, path: Path, size: int) -> None:
    schema = file.attrs.get("schema")
    if schema != SCHEMA:
        raise DataError(
            f"{path} is no shard of lenssim's: its schema is {schema!r}, not {SCHEMA!r}"
        )
    groups: list[h5py.Group] = [file]
    for group in groups:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise DataError(
                    f"{path}: {group.name}/{name} is a link; a shard holds its own data only"
                )
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                _check_dataset(item, path, size)
        if len(groups) > 1000:
            raise DataError(
                f"{path} holds more than 1000 groups: no shard does, or one contains itself"
            )
    _check_samples(file, path)


def _check_dataset(item: h5py.Dataset, path: Path, size: int) -> None:
    where = f"{path}: dataset {item.name.lstrip('/')}"
    if item.external or item.is_virtual:
        raise DataError(
            f"{where} keeps its data in other files; a shard holds its own data only"
        )
    if (
        item.dtype.kind not in "iufSV"
        or item.dtype.hasobject
        or item.dtype.names is not None
    ):
        raise DataError(
            f"{where} has the type {item.dtype}; a shard holds numbers and texts of fixed length"
        )
    stored = item.id.get_storage_size()
    most = stored if item.chunks is None else stored * _LARGEST_RATIO
    if item.nbytes > most or stored > size:
        raise DataError(
            f"{where} claims the shape {item.shape}, {item.nbytes} bytes, in a file of {size} bytes"
        )


def _check_samples(file: h5py.File, path: Path) -> None:
    wanted = {"images": (STORAGES, 4), "labels": (("int64",), 1), "index": (("int64",), 1)}
    if "scale" in file or str(getattr(file.get("images"), "dtype", "")) in STORAGES[1:]:
        wanted["scale"] = (("float32",), 2)
    wanted |= {name: (("float32",), 4) for name in PICTURES if name in file}
    for name, (types, ndim) in wanted.items():
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim != ndim:
            raise DataError(
                f"{path}: the dataset {name} is missing or has a wrong type or shape"
            )
        if str(dataset.dtype) not in types:
            raise DataError(
                f"{path}: dataset {name} has the type {dataset.dtype}, a shard's is {' or '.join(types)}"
            )
    images = file["images"]
    properties = images.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if images.chunks is not None and filters != [FILTER]:
        raise DataError(
            f"{path}: images is chunked or compressed otherwise than lenssim does (filters {filters})"
        )
    n, bands, *side = images.shape
    if not n or min(images.shape) < 1 or max(images.shape[1:]) > _LONGEST_SIDE:
        raise DataError(f"{path}: dataset images has the absurd shape {images.shape}")
    for name in ("labels", "index", *(f"params/{p}" for p in file.get("params", ()))):
        if file[name].shape != (n,):
            raise DataError(f"{path}: {name} has {file[name].shape} entries for {n} images")
    if "scale" in wanted and file["scale"].shape != (n, bands):
        raise DataError(
            f"{path}: scale has {file['scale'].shape} entries for {n} images of {bands} bands"
        )
    for name in TRUTHS:
        if name in file and (
            file[name].chunks is not None
            or file[name].shape not in (images.shape, (n, 1, *side))
        ):
            raise DataError(
                f"{path}: {name} has the shape {file[name].shape} beside images of {images.shape}"
            )
    if PAIRED in file and (
        file[PAIRED].chunks is not None
        or file[PAIRED].shape[0] != n
        or not file[PAIRED].size
    ):
        raise DataError(
            f"{path}: {PAIRED} has the shape {file[PAIRED].shape} beside images of {images.shape}"
        )
    columns = [f"params/{name}" for name in file.get("params", ())]
    for kind, table in file.get("perturbers", {}).items():
        columns += [f"perturbers/{kind}/{name}" for name in table if name != "offset"]
        _check_offset(table, path, n)
    for name in columns:
        if file[name].dtype != np.float64:
            raise DataError(
                f"{path}: dataset {name} has the type {file[name].dtype}, a shard's is float64"
            )


def _check_offset(table: h5py.Group, path: Path, n: int) -> None:
    offset = table.get("offset")
    where = f"{path}: dataset {table.name.lstrip('/')}/offset"
    if (
        not isinstance(offset, h5py.Dataset)
        or offset.dtype != np.int64
        or offset.shape != (n + 1,)
    ):
        raise DataError(f"{where} is missing, or is not int64 of {n + 1} entries")
    values = offset[...]
    lengths = {column.shape for name, column in table.items() if name != "offset"}
    if values[0] != 0 or (np.diff(values) < 0).any() or lengths - {(int(values[-1]),)}:
        raise DataError(f"{where} does not cut its columns into the parts of {n} systems")


def decoded(file: h5py.File, rows: slice | int = slice(None)) -> np.ndarray:
    """Images float32 (k, C, H, W), or (C, H, W) for one row, of an open shard, whatever their storage."""
    dataset = file["images"]
    if dataset.chunks is not None:
        compression()  # loads the plugin
    if "scale" not in file:
        return np.asarray(dataset[rows])
    part = slice(rows, rows + 1) if isinstance(rows, int) else rows
    images = decode(dataset[part], file["scale"][part])
    return images[0] if isinstance(rows, int) else images


def read_samples(path: Path, data: bytes | None = None) -> Samples:
    """Everything a shard holds, as arrays; errors and `data` as in `open_shard`."""
    with open_shard(path, data) as file:
        units = {}
        for group in (file, file.get("params", {}), *file.get("perturbers", {}).values()):
            units |= {
                name: str(d.attrs["units"])
                for name, d in group.items()
                if "units" in d.attrs
            }
        if file["images"].chunks is not None:
            compression()
        try:
            images = file["images"][...]
        except OSError as error:
            raise DataError(
                f"{path}: dataset images cannot be decompressed: {error}"
            ) from None
        return Samples(
            images=images,
            labels=file["labels"][...],
            index=file["index"][...],
            params={name: dataset[...] for name, dataset in file.get("params", {}).items()},
            perturbers={
                kind: Perturbers(
                    table["offset"][...],
                    {c: d[...] for c, d in table.items() if c != "offset"},
                )
                for kind, table in file.get("perturbers", {}).items()
            },
            units=units,
            attributes={
                name: value for name, value in file.attrs.items() if name != "schema"
            }
            | {
                name: bytes(text[()]).decode()
                for name, text in file.get("attributes", {}).items()
            },
            texts={
                name: [t.decode() for t in d[...]]
                for name, d in file.get("texts", {}).items()
            },
            scale=file["scale"][...] if "scale" in file else None,
            truth={name: file[name][...] for name in PICTURES if name in file},
            compress=file["images"].chunks is not None,
        )
