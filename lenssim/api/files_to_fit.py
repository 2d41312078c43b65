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
    from lenssim.sky.models.request import FitRequest

__all__ = ["dataset_of"]

_IMPORTED = "data"  # the data set of the files, in the folder of a fit
_FILES = "files"  # links to the files


def dataset_of(
    data: Dataset | Path | str | Sequence[Path | str],
    out: Path,
    request: FitRequest,
) -> ShardDataset:
    """Return the data set that is modelled. Files are imported into the folder of the fit.

    Args:
        data: A data set, its folder or URL, or files of images and folders of them.
        out: The folder of the fit.
        request: How they are modelled, with the pixel scale of files and whether bad ones are
            left out.

    Raises:
        ConfigError: There are options of files for a data set, or there are no data.
        DataError: A file cannot be read.
    """
    if isinstance(data, Dataset):
        return _data_set(data, request)
    paths = [data] if isinstance(data, Path | str) else list(data)
    if not paths:
        raise ConfigError(
            "nothing to fit: give a data set, folders or files", code="no-data"
        )
    if len(paths) == 1 and not _holds_files(paths[0]):
        return _data_set(_opened(paths[0]), request)
    source = Path(paths[0])
    if len(paths) > 1:
        source = _linked([Path(path) for path in paths], out / _FILES)
    return _imported(source, out / _IMPORTED, request)


def _data_set(data: Dataset, request: FitRequest) -> ShardDataset:
    """Return a data set, which has options of its own."""
    for option, value in _options(request).items():
        raise ConfigError(
            f"{data.folder} is a data set, and --{option.replace('_', '-')} is for files; "
            "leave it out",
            code="option-of-files",
            folder=data.folder,
            option=option,
            value=value,
        )
    return data.source


def _options(request: FitRequest) -> dict[str, float | bool]:
    """Return the options of the import that were given."""
    options = {"native_scale": request.native_scale, "skip_bad": request.skip_bad or None}
    return {name: value for name, value in options.items() if value is not None}


def _opened(place: Path | str) -> Dataset:
    """Open a data set; a folder that is none holds no FITS files either."""
    try:
        return Dataset(place)
    except DataError as error:
        if error.code != "no-data-set" or not Path(place).is_dir():
            raise
        raise DataError(
            f"{error} and no FITS files", code="no-images", folder=place
        ) from None


def _imported(source: Path, folder: Path, request: FitRequest) -> ShardDataset:
    from lenssim.api.exchange import import_data

    try:
        return import_data("fits", source, folder, **_options(request)).source
    except DataError as error:
        words = str(error)
        if error.code == "no-pixel-scale":
            words += ". For a fit, state --native-scale ARCSEC"
        import_command = command("import", "fits", source, "--out", "D")
        raise DataError(
            f"{words}. Other options of the import: {command('import', 'fits', '--help')}; "
            f"with them, {import_command}, then {command('fit', 'D')}",
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
