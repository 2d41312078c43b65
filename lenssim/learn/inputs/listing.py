"""What names on a command line stand for: files, data sets, and folders that hold files of images."""

from collections import Counter
from collections.abc import Iterable, Iterator
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
    places: Iterable[Path | str], report: Report = raise_problem
) -> list[Path | str]:
    """List what is to be read: each file and data set as it is, and the files of images in any other folder.

    The files of a folder come in the order of their names, by known endings in large or small letters. Names that begin
    with a dot are passed over. Folders inside are not looked into.

    Args:
        places: Files, folders and URLs.
        report: Called with a folder that holds no images. By default its error is raised.

    Raises:
        DataError: By default, for a folder that holds no images.
    """
    files: list[Path | str] = []
    for place in places:
        try:
            files += _expanded(place)
        except DataError as error:
            report(Problem(str(place), None, error))
    return files


def _expanded(place: Path | str) -> Iterator[Path | str]:
    folder = Path(place)
    if (
        is_url(place)
        or str(place).startswith(FOLLOW)
        or not folder.is_dir()
        or is_dataset(folder)
    ):
        return iter([place])
    if (folder / _RUN).is_file():
        raise DataError(
            f"{folder} is a run, not images; give files of images or a data set after the run"
        )
    try:
        paths = sorted(path for path in folder.iterdir() if not is_passed_over(path.name))
    except OSError as error:
        raise DataError(f"cannot look into {folder}: {cause(error)}") from None
    images = [path for path in paths if path.is_file() and is_readable_name(path.name)]
    passed = [path for path in paths if path not in set(images)]
    if not images:
        raise DataError(
            f"{folder} holds no data set (no {PLAN}) and no images ({', '.join(IMAGE_ENDINGS)}, .h5)"
            + _content(passed)
        )
    if passed:
        note(f"{folder}: reading {len(images)} of {len(paths)} files{_content(passed)}")
    return iter(images)


def is_dataset(folder: Path) -> bool:
    """Tell whether a folder is, or was meant to be, a data set."""
    return any((folder / name).exists() for name in (PLAN, MANIFEST, SHARDS))


def _content(passed: list[Path]) -> str:
    """What else a folder holds, in words: how many of each ending, and how many folders."""
    counts = Counter(
        "folder" if path.is_dir() else path.suffix or "no ending" for path in passed
    )
    texts = [f"{kind} ({count})" for kind, count in counts.most_common()]
    return f"; not read: {', '.join(texts)}" if texts else ""
