"""The structure of a shard's file, as far as a stranger could spoil it."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from lenssim.data.format.maps import OF_OTHER_SIZE, PICTURES
from lenssim.data.format.shard import SCHEMA
from lenssim.data.format.storage import FILTER, STORAGES
from lenssim.errors import DataError

__all__ = ["check_structure"]

Datasets = dict[str, h5py.Dataset]  # of a file, by their path in it

_MAX_SIDE = 1 << 15  # pixels; also the most bands
_MAX_RATIO = 256  # bytes that one byte of LZ4 can stand for
_MAX_GROUPS = 1000


def check_structure(file: h5py.File, path: Path, size: int) -> None:
    """Check that an open file has the structure of a shard, and that all is in the file.

    Args:
        file: The open file.
        path: Its path, for messages.
        size: Its size in bytes.

    Raises:
        DataError: It has another schema, holds links out of the file, or its datasets do
            not have the shapes and types of a shard.
    """
    schema = file.attrs.get("schema")
    if schema != SCHEMA:
        raise DataError(
            f"{path} is no shard of lenssim's: its schema is {schema!r}, not {SCHEMA!r}",
            code="shard-structure",
            path=path,
            schema=schema,
        )
    groups: list[h5py.Group] = [file]
    datasets: Datasets = {}  # to open each once takes half the time
    for group in groups:
        for item in _items(group, path):
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                _check_dataset(item, path, size)
                datasets[item.name.lstrip("/")] = item
        if len(groups) > _MAX_GROUPS:
            raise DataError(
                f"{path} holds more than {_MAX_GROUPS} groups: no shard does, "
                "or one contains itself",
                code="shard-structure",
                path=path,
            )
    _check_samples(file, datasets, path)


def _items(group: h5py.Group, path: Path) -> Iterator[h5py.Group | h5py.Dataset]:
    """Yield what a group holds; `DataError` for a link."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise DataError(
                f"{path}: {group.name}/{name} is a link; a shard holds its own data only",
                code="shard-structure",
                path=path,
                name=group.name,
            )
        yield group[name]


def _check_dataset(item: h5py.Dataset, path: Path, size: int) -> None:
    """Check that a dataset is of a plain type and no larger than its bytes."""
    where = f"{path}: dataset {item.name.lstrip('/')}"
    if item.external or item.is_virtual:
        raise DataError(
            f"{where} keeps its data in other files; a shard holds its own data only",
            code="shard-structure",
            where=where,
        )
    plain = item.dtype.kind in "iufSV" and not item.dtype.hasobject
    if not plain or item.dtype.names is not None:
        raise DataError(
            f"{where} has the type {item.dtype}; "
            "a shard holds numbers and texts of fixed length",
            code="shard-structure",
            where=where,
            dtype=item.dtype,
        )
    stored = item.id.get_storage_size()
    limit = stored
    if item.chunks is not None:
        limit = stored * _MAX_RATIO
    if item.nbytes > limit or stored > size:
        raise DataError(
            f"{where} claims the shape {item.shape}, {item.nbytes} bytes, "
            f"in a file of {size} bytes",
            code="shard-structure",
            where=where,
            shape=item.shape,
        )


def _check_samples(file: h5py.File, datasets: Datasets, path: Path) -> None:
    """Check names, types and shapes of the datasets of a shard."""
    _check_types(file, path)
    _check_images(file["images"], path)
    _check_counts(file, datasets, path)
    _check_maps(file, path)
    _check_columns(file, datasets, path)


def _check_types(file: h5py.File, path: Path) -> None:
    """Check that the datasets are there, with their types and dimensions."""
    expected: dict[str, tuple[tuple[str, ...], int]] = {
        "images": (STORAGES, 4),
        "labels": (("int64",), 1),
        "index": (("int64",), 1),
    }
    if _has_scale(file):
        expected["scale"] = (("float32",), 2)
    expected |= {name: (("float32",), 4) for name in PICTURES if name in file}
    for name, (types, ndim) in expected.items():
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim != ndim:
            raise DataError(
                f"{path}: the dataset {name} is missing or has a wrong type or shape",
                code="shard-structure",
                path=path,
                name=name,
            )
        if str(dataset.dtype) not in types:
            raise DataError(
                f"{path}: dataset {name} has the type {dataset.dtype}, "
                f"a shard's is {' or '.join(types)}",
                code="shard-structure",
                path=path,
                name=name,
            )


def _has_scale(file: h5py.File) -> bool:
    """Return whether a shard has a scale, or must have one."""
    stored_type = str(getattr(file.get("images"), "dtype", ""))
    return "scale" in file or stored_type in STORAGES[1:]


def _check_images(images: h5py.Dataset, path: Path) -> None:
    """Check the filters and the shape of the images."""
    properties = images.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if images.chunks is not None and filters != [FILTER]:
        raise DataError(
            f"{path}: images is chunked or compressed otherwise than lenssim does "
            f"(filters {filters})",
            code="shard-structure",
            path=path,
            filters=filters,
        )
    if min(images.shape) < 1 or max(images.shape[1:]) > _MAX_SIDE:
        raise DataError(
            f"{path}: dataset images has the absurd shape {images.shape}",
            code="shard-structure",
            path=path,
            shape=images.shape,
        )


def _check_counts(file: h5py.File, datasets: Datasets, path: Path) -> None:
    """Check that every column has one entry an image."""
    n, bands, _, _ = file["images"].shape
    params = [f"params/{name}" for name in file.get("params", ())]
    for name in ("labels", "index", *params):
        if datasets[name].shape != (n,):
            raise DataError(
                f"{path}: {name} has {datasets[name].shape} entries for {n} images",
                code="shard-structure",
                path=path,
                name=name,
            )
    if _has_scale(file) and file["scale"].shape != (n, bands):
        raise DataError(
            f"{path}: scale has {file['scale'].shape} entries "
            f"for {n} images of {bands} bands",
            code="shard-structure",
            path=path,
            n=n,
        )


def _check_maps(file: h5py.File, path: Path) -> None:
    """Check that maps fit the images that they lie beside."""
    shape = file["images"].shape
    for name in PICTURES:
        if name not in file:
            continue
        fits = file[name].shape in (shape, (shape[0], 1, *shape[2:]))
        if name in OF_OTHER_SIZE:
            fits = file[name].shape[0] == shape[0] and file[name].size > 0
        if file[name].chunks is not None or not fits:
            raise DataError(
                f"{path}: {name} has the shape {file[name].shape} beside images of {shape}",
                code="shard-structure",
                path=path,
                name=name,
            )


def _check_columns(file: h5py.File, datasets: Datasets, path: Path) -> None:
    """Check the types of parameters and the tables of perturbers."""
    columns = [f"params/{name}" for name in file.get("params", ())]
    for kind, table in file.get("perturbers", {}).items():
        columns += [f"perturbers/{kind}/{name}" for name in table if name != "offset"]
        _check_offset(table, path, len(file["images"]))
    for name in columns:
        if datasets[name].dtype != np.float64:
            raise DataError(
                f"{path}: dataset {name} has the type {datasets[name].dtype}, "
                "a shard's is float64",
                code="shard-structure",
                path=path,
                name=name,
            )


def _check_offset(table: h5py.Group, path: Path, n: int) -> None:
    """Check that the offsets cut a table into the rows of n systems."""
    offset = table.get("offset")
    where = f"{path}: dataset {table.name.lstrip('/')}/offset"
    is_column = isinstance(offset, h5py.Dataset) and offset.dtype == np.int64
    if not is_column or offset.shape != (n + 1,):
        raise DataError(
            f"{where} is missing, or is not int64 of {n + 1} entries",
            code="shard-structure",
            where=where,
        )
    values = offset[...]
    lengths = {column.shape for name, column in table.items() if name != "offset"}
    if values[0] != 0 or (np.diff(values) < 0).any() or lengths - {(int(values[-1]),)}:
        raise DataError(
            f"{where} does not cut its columns into the parts of {n} systems",
            code="shard-structure",
            where=where,
            n=n,
        )
