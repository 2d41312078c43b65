"""What a fit is given: a data set, or files and folders that are imported first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenssim.api.dataset import Dataset
from lenssim.commands import command
from lenssim.errors import ConfigError, DataError

if TYPE_CHECKING:
    from lenssim.data.streaming.dataset import ShardDataset

__all__ = ["dataset_of"]

_IMPORTED = "data"  # the data set of the files, in the folder of a fit
_FILES = "files"  # links to the files


def dataset_of(
    data: Dataset | Path | str | Sequence[Path | str],
    out: Path,
    native_scale: float | None = None,
) -> ShardDataset:
    """Return the data set that is modelled. Files are imported into the folder of the fit.

    Args:
        data: A data set, its folder or URL, or files of images and folders of them.
        out: The folder of the fit.
        native_scale: Pixel scale of the files [arcsec]; None: what their headers say.

    Raises:
        ConfigError: There is a pixel scale for a data set, which has its own, or there are
            no data.
        DataError: A file cannot be read.
    """
    if isinstance(data, Dataset):
        return _with_scale_of_its_own(data, native_scale)
    paths = [data] if isinstance(data, Path | str) else list(data)
    if not paths:
        raise ConfigError(
            "nothing to fit: give a data set, folders or files", code="no-data"
        )
    if len(paths) == 1 and not _holds_files(paths[0]):
        return _with_scale_of_its_own(Dataset(paths[0]), native_scale)
    source = Path(paths[0])
    if len(paths) > 1:
        source = _linked([Path(path) for path in paths], out / _FILES)
    return _imported(source, out / _IMPORTED, native_scale)


def _with_scale_of_its_own(data: Dataset, native_scale: float | None) -> ShardDataset:
    if native_scale is not None:
        raise ConfigError(
            f"{data.folder} is a data set and has its own pixel scale; leave --native-scale out",
            code="scale-of-data",
            folder=data.folder,
        )
    return data.source


def _imported(source: Path, folder: Path, native_scale: float | None) -> ShardDataset:
    from lenssim.api.exchange import import_data

    options = {} if native_scale is None else {"native_scale": native_scale}
    try:
        return import_data("fits", source, folder, **options).source
    except DataError as error:
        if error.code != "no-pixel-scale":
            raise
        import_command = command("import", "fits", source, "--out", "D")
        raise DataError(
            f"{error}. Give --native-scale ARCSEC. Other options are those of the import, so "
            f"import the folder first: {import_command} --pixel-scale ARCSEC, then fit D",
            code=error.code,
            **error.fields,
        ) from None


def _holds_files(data: Path | str) -> bool:
    """Return whether a path is a file of images or a folder of them, and no data set."""
    path = Path(data)
    if path.is_file():
        return True
    if not path.is_dir() or (path / "plan.json").exists():
        return False
    return any(path.rglob("*.fits*"))


def _linked(paths: list[Path], folder: Path) -> Path:
    """Return a folder with links to files, below names that differ as their places do."""
    for path in paths:
        if not path.exists():
            raise DataError(f"there is no {path}", code="no-file", path=path)
        if path.is_dir() and (path / "plan.json").exists():
            raise ConfigError(
                f"{path} is a data set; fit one data set, or files and folders",
                code="data-among-files",
                folder=path,
            )
    places = [path.resolve() for path in paths]
    home = Path(os.path.commonpath([place.parent for place in places]))
    targets = {folder / place.relative_to(home): place for place in dict.fromkeys(places)}
    for link in _links_below(folder):
        if link not in targets:
            link.unlink()
    for link, place in targets.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(place, target_is_directory=place.is_dir())
    return folder


def _links_below(folder: Path) -> list[Path]:
    """Return the links in a folder and in the folders within, which links do not lead out of."""
    links = []
    for place, folders, files in os.walk(folder):
        links += [Path(place) / name for name in (*folders, *files)]
    return [path for path in links if path.is_symlink()]
