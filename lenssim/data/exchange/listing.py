"""What lies in a folder that is to be imported: class folders and their files, and everything else by name."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lenssim.data.exchange.tally import Tally
from lenssim.errors import ConfigError, DataError, unknown
from lenssim.folders import lies_in
from lenssim.formats.files import is_image_name, is_passed_over
from lenssim.names import name_fault, printable, twin_names

__all__ = [
    "MASSES",
    "ClassFolders",
    "choose_split",
    "files_in",
    "list_classes",
    "published_names",
]

MASSES = "masses.csv"  # the table of axion masses beside the class folders
_PUBLISHED_ORDER = (
    "no_sub",
    "cdm",
    "axion",
)  # labels as in presets I-III, so that their networks fit
_ALIASES = {
    "no_sub": {"no", "nosub", "no_substructure", "nosubstructure", "smooth"},
    "cdm": {"sphere", "spherical", "subhalo"},
    "axion": {"vort", "vortex"},
}
_SPLIT_NAMES = {
    "train": {"train", "training"},
    "validation": {"val", "valid", "validation"},
    "test": {"test", "testing"},
}


@dataclass(frozen=True)
class ClassFolders:
    """The class folders of a published set.

    Attributes:
        root: The folder that holds them.
        classes: Names of the classes, by label.
        files: Label and path of every image, the classes taking turns.
    """

    root: Path
    classes: tuple[str, ...]
    files: list[tuple[int, Path]]


@dataclass(frozen=True)
class _Names:
    """Names in a folder, by what they are."""

    folders: list[Path]
    files: list[Path]
    broken: list[tuple[Path, str]]  # with what is wrong


def choose_split(source: Path, split: str | None) -> Path:
    """Return the folder that holds the class folders of a split: `source`, or one in it called train, val or test.

    Args:
        source: The folder that the user named.
        split: "train", "validation" or "test"; or None.

    Raises:
        ConfigError: The folder holds splits and none was chosen, or not the one that was.
        DataError: The folder cannot be read.
    """
    if split is not None and split not in _SPLIT_NAMES:
        raise unknown("split", split, _SPLIT_NAMES, code="unknown-split")
    folders = _names(source).folders
    called = {path: _split_called(path.name) for path in folders}
    splits = {
        path: name
        for path, name in called.items()
        if name is not None and _names(path).folders
    }
    if not splits:
        return source
    where = printable(str(source))
    listed = _some(list(splits), 10)
    if split is None:
        raise ConfigError(
            f"{where} holds splits ({listed}), not classes; choose one by --split {next(iter(splits.values()))}, "
            "and import the others apart",
            code="split-unclear",
            where=where,
        )
    chosen = [path for path, name in splits.items() if name == split]
    classes = [path for path, name in called.items() if name is None]
    if len(chosen) != 1 or classes:
        raise ConfigError(
            f"{where}: which of its folders is the split {split!r} is not clear: it holds {_some(folders, 10)}; "
            "give the folder of the split itself",
            code="split-unclear",
            where=where,
            split=split,
        )
    return chosen[0]


def _split_called(name: str) -> str | None:
    """The split that a folder is called after, if any."""
    return next(
        (split for split, names in _SPLIT_NAMES.items() if name.lower() in names), None
    )


def list_classes(
    root: Path, renamed: Mapping[str, str], out: Path, tally: Tally
) -> ClassFolders:
    """Return the classes of a published folder tree and their images.

    Args:
        root: The folder that holds the class folders.
        renamed: Names of classes by the names of their folders; other folders keep theirs.
        out: The data set's folder, which is passed over where it lies among them.
        tally: Counts what is left out.

    Raises:
        DataError: A folder cannot be read, holds no image or something else, or its name cannot be a class.
        ConfigError: `renamed` names a folder that is not there.
    """
    names = _names(root, tally)
    folders = [path for path in names.folders if path.resolve() != out.resolve()]
    _check_apart(root, folders, out)
    _check_beside(root, names, tally)
    if not folders:
        raise DataError(
            f"{printable(str(root))} holds no class folders with images (wanted: no_sub/*.npy, cdm/*.npy and so on)",
            code="no-class-folders",
            root=root,
        )
    _check_renamed(root, renamed, folders)
    _check_twice(folders)
    by_class = _files_by_class(root, renamed, folders, tally)
    published = [name for name in _PUBLISHED_ORDER if name in by_class]
    classes = (*published, *sorted(set(by_class) - set(published)))
    turns = [
        (rank, label, path)
        for label, name in enumerate(classes)
        for rank, path in enumerate(by_class[name])
    ]
    return ClassFolders(root, classes, [(label, path) for _, label, path in sorted(turns)])


def _files_by_class(
    root: Path, renamed: Mapping[str, str], folders: list[Path], tally: Tally
) -> dict[str, list[Path]]:
    """Return the images of class folders by the names of the classes."""
    by_class: dict[str, list[Path]] = {}
    for path in folders:
        name = renamed.get(path.name, path.name)
        if fault := name_fault(name, f"{printable(str(root))}: the class folder"):
            raise DataError(fault, code="class-folder-name", root=root, name=name)
        files = files_in(path, tally)
        if files:
            by_class.setdefault(name, []).extend(files)
        else:
            tally.leave_out(
                f"{printable(str(path))} holds no images: it would be no class",
                "empty class folders",
            )
    if twins := twin_names(by_class):
        raise DataError(
            f"{printable(str(root))}: the classes {printable(twins[0])} and {printable(twins[1])} differ by capitals "
            "alone: some disks mix them up; rename a folder, or join them by --map-classes "
            f"{printable(twins[0])}={printable(twins[1])}",
            code="class-folder-name",
            root=root,
            twins=twins,
        )
    return by_class


def files_in(folder: Path, tally: Tally, without: Path | None = None) -> list[Path]:
    """Return the image files of a folder by name, and leave out everything else.

    Args:
        folder: The folder.
        tally: Counts what is left out.
        without: A folder in it that is passed over.

    Raises:
        DataError: The folder cannot be read, or holds something else that may not be skipped.
    """
    names = _names(folder, tally)
    where = printable(str(folder))
    for path in names.folders:
        if without is not None and path.resolve() == without.resolve():
            continue
        entries = len(_names(path).files)
        tally.leave_out(
            f"{where} holds the sub-folder {printable(path.name)!r} with {entries} files, which are not read: "
            "move its images into the class folder",
            "files in sub-folders",
            entries,
        )
    _leave_out_broken(names, tally)
    foreign = [path for path in names.files if not is_image_name(path.name)]
    if foreign:
        tally.leave_out(
            f"{where} holds {len(foreign)} files that are no images by their ending: {_some(foreign)}",
            "files that are no images",
            len(foreign),
        )
    return [path for path in names.files if is_image_name(path.name)]


def published_names(classes: tuple[str, ...]) -> dict[str, str]:
    """Return how classes would be called in presets I to III, for those that look like them and have other names."""
    likely = {}
    for name in classes:
        plain = name.lower().replace("-", "_").replace(" ", "_")
        for published, aliases in _ALIASES.items():
            if plain == published or plain in aliases:
                likely[name] = published
    changed = {name: published for name, published in likely.items() if name != published}
    return changed if len(set(likely.values())) == len(likely) else {}


def _check_apart(root: Path, folders: list[Path], out: Path) -> None:
    """Refuse to write a data set among the images of a class."""
    if any(lies_in(out, folder) for folder in folders):
        raise ConfigError(
            f"{printable(str(out))} lies in a class folder of {printable(str(root))}; choose another --out",
            code="same-folder",
            root=root,
            out=out,
        )


def _check_beside(root: Path, names: _Names, tally: Tally) -> None:
    """Look at the files beside the class folders: images there belong to no class."""
    _leave_out_broken(names, tally)
    images = [path for path in names.files if is_image_name(path.name)]
    if images:
        tally.leave_out(
            f"{printable(str(root))} holds {len(images)} images beside its class folders: {_some(images)}; "
            "they belong to no class",
            "images beside the class folders",
            len(images),
        )
    unread = [path for path in names.files if path not in images and path.name != MASSES]
    if unread:
        tally.remarks[f"beside the class folders, not read: {_some(unread)}"] += len(unread)


def _check_renamed(root: Path, renamed: Mapping[str, str], folders: list[Path]) -> None:
    unknown = sorted(set(renamed) - {path.name for path in folders})
    if unknown:
        raise ConfigError(
            f"--map-classes: {printable(str(root))} has no folder {printable(unknown[0])!r}; it has {_some(folders)}",
            code="unknown-folder",
            root=root,
        )


def _check_twice(folders: list[Path]) -> None:
    """Refuse two names for one folder: its images would belong to two classes."""
    example: dict[Path, Path] = {}
    for path in folders:
        other_path = example.setdefault(path.resolve(), path)
        if other_path != path:
            raise DataError(
                f"{printable(str(path))} and {printable(str(other_path))} are the same folder: remove the link",
                code="linked-folders",
                path=path,
                other_path=other_path,
            )


def _leave_out_broken(names: _Names, tally: Tally) -> None:
    for path, problem in names.broken:
        tally.leave_out(f"{printable(str(path))} {problem}", "names that cannot be read")


def _names(folder: Path, tally: Tally | None = None) -> _Names:
    """The names in a folder; hidden ones are counted in `tally` and passed over."""
    names = _Names([], [], [])
    try:
        if not folder.is_dir():
            raise DataError(
                f"{printable(str(folder))} is no folder; give the one that holds the class "
                "folders (no_sub, cdm, axion)",
                code="no-folder",
                folder=folder,
            )
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"cannot read {printable(str(folder))}: {error.strerror}",
            code="unreadable-file",
            folder=folder,
        ) from None
    for path in paths:
        if not is_passed_over(path.name):
            _sort_in(path, names)
        elif tally is not None:
            tally.passed_over += 1
    return names


def _sort_in(path: Path, names: _Names) -> None:
    try:
        mode = path.stat().st_mode
        path.name.encode()
    except UnicodeEncodeError:
        names.broken.append((path, "has a name that is not UTF-8: rename it"))
    except OSError as error:
        names.broken.append((path, f"cannot be read: {error.strerror}"))
    else:
        if stat.S_ISDIR(mode):
            names.folders.append(path)
        elif stat.S_ISREG(mode):
            names.files.append(path)
        else:
            names.broken.append((path, "is neither a file nor a folder"))


def _some(paths: list[Path], most: int = 3) -> str:
    listed_names = ", ".join(printable(path.name) for path in paths[:most])
    return listed_names + (", ..." if len(paths) > most else "")
