"""Listing of inputs: files, data sets, and folders that hold files of images."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from lenssim.data.format.files import cause
from lenssim.data.format.manifest import MANIFEST, PLAN, SHARDS
from lenssim.data.streaming.locations import FOLLOW, is_url
from lenssim.errors import DataError
from lenssim.formats.files import IMAGE_ENDINGS, is_passed_over
from lenssim.learn.inputs.image_files import is_readable_name
from lenssim.learn.inputs.problems import Problem, Report, raise_problem
from lenssim.notes import note

__all__ = ["image_files", "is_dataset"]

_RUN = "run.json"


def image_files(
    paths: Iterable[Path | str], report: Report = raise_problem
) -> list[Path | str]:
    """List the inputs to read: files, data sets, and the image files of other folders.

    The files of a folder come in the order of their names. Known endings count in large or small
    letters. Names that begin with a dot and folders inside are ignored.

    Args:
        paths: Files, folders and URLs.
        report: Called with a folder that holds no images. By default its error is raised.

    Returns:
        Paths of files, and folders or URLs of data sets.

    Raises:
        DataError: By default, for a folder that holds no images.

    Example:
        >>> image_files(["a.fits", "b.npy"])
        ['a.fits', 'b.npy']
    """
    files: list[Path | str] = []
    for path in paths:
        try:
            files += _expanded(path)
        except DataError as error:
            report(Problem(str(path), None, error))
    return files


def _expanded(path: Path | str) -> Sequence[Path | str]:
    """Return the path itself, or the image files of a folder that is no data set."""
    folder = Path(path)
    is_remote = is_url(path) or str(path).startswith(FOLLOW)
    if is_remote or not folder.is_dir() or is_dataset(folder):
        return [path]
    paths = _entries(folder)
    images = [path for path in paths if path.is_file() and is_readable_name(path.name)]
    ignored = [path for path in paths if path not in set(images)]
    if not images:
        raise DataError(
            f"{folder} holds no data set (no {PLAN}) and no images "
            f"({', '.join(IMAGE_ENDINGS)}, .h5){_content(ignored)}",
            code="no-images",
            folder=folder,
        )
    if ignored:
        note(f"{folder}: reading {len(images)} of {len(paths)} files{_content(ignored)}")
    return images


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a folder of images, by name; `DataError` for that of a run."""
    if (folder / _RUN).is_file():
        raise DataError(
            f"{folder} is a run, not images; give files of images or a data set after the run",
            code="run-not-images",
            folder=folder,
        )
    try:
        return sorted(path for path in folder.iterdir() if not is_passed_over(path.name))
    except OSError as error:
        raise DataError(
            f"cannot look into {folder}: {cause(error)}",
            code="unreadable-file",
            folder=folder,
        ) from None


def is_dataset(folder: Path) -> bool:
    """Tell whether a folder is, or was meant to be, a data set."""
    return any((folder / name).exists() for name in (PLAN, MANIFEST, SHARDS))


def _content(ignored: list[Path]) -> str:
    """Count the ignored files by ending, and the folders, in words."""
    if not ignored:
        return ""
    counts = Counter(_kind(path) for path in ignored)
    texts = [f"{kind} ({count})" for kind, count in counts.most_common()]
    return f"; not read: {', '.join(texts)}"


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    return path.suffix or "no ending"
