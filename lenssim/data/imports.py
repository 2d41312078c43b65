"""Imports: folders of other people's images become data sets, whole and checked, or are refused before anything is."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import lenssim
from lenssim.data.build import Progress, build, finish_shard, provenance
from lenssim.data.cluster import local_runner
from lenssim.data.files import cause
from lenssim.data.listing import MASSES, choose_split, files_in, list_classes, published_names
from lenssim.data.manifest import PLAN, SHARDS, Manifest, Plan, read_plan
from lenssim.data.masses import read_masses
from lenssim.data.published import PublishedImage, read_image
from lenssim.data.shards import Samples
from lenssim.data.tally import Tally
from lenssim.data.truth import PAIRED
from lenssim.errors import ConfigError, DataError, StorageError
from lenssim.names import is_name, printable

__all__ = ["import_deeplense", "import_pairs"]

_SHARD_ROWS = 1024
_PAIR_CLASS = "lens"  # the one class of pairs, whose folders say nothing else

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Item:
    """One sample to be: its label, its name in the data set, and its files (image, and what belongs to it)."""

    label: int
    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class _Reader:
    """How the files of an import are read."""

    bands: int
    extension: str | None

    def images(self, item: _Item) -> list[PublishedImage]:
        return [read_image(path, bands=self.bands, extension=self.extension) for path in item.paths]

    def config(self) -> dict[str, Any]:
        """What the config says of it; nothing where all is as usual, so that hashes stay."""
        bands = {"bands": self.bands} if self.bands > 1 else {}
        return bands | ({"extension": self.extension} if self.extension is not None else {})


def import_deeplense(
    source: Path,
    folder: Path,
    *,
    skip_bad: bool = False,
    split: str | None = None,
    map_classes: Mapping[str, str] | None = None,
    bands: int = 1,
    extension: str | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    warn: Say = lambda message: None,
    note: Say = lambda message: None,
) -> Manifest:
    """Turn a folder of class folders of images into a data set; the axion mass becomes `log10_m_axion`.

    Samples are numbered class by class in turn, so that every prefix is balanced. Each keeps its file's path in
    `texts/file`. All files are read and checked before anything is written.

    Args:
        source: The folder that holds the class folders, or with `split` the folder that holds train, val and test.
        folder: The data set's folder.
        skip_bad: Leave out what cannot be used, with a call of `warn` each; otherwise it is an error that names it.
        split: "train", "validation" or "test"; it is written into the config.
        map_classes: Names of classes by the names of their folders.
        bands: How many bands an image has.
        extension: Name or number of the FITS extension, or name of the array in .npz files, that is the image.
        report: Is told of the progress.
        warn: Is told of everything that is left out.
        note: Is told in the end what was taken, skipped and chosen.

    Raises:
        DataError: A folder, file or table cannot be used; the message names it.
        ConfigError: An option does not fit the folder, or the images have several sizes.
    """
    tally = Tally(skip_bad, warn)
    reader = _Reader(_checked_bands(bands), extension)
    renamed = dict(map_classes or {})
    for name in renamed.values():
        if not is_name(name):
            raise ConfigError(f"--map-classes: {printable(name)!r} cannot be the name of a class")
    root = choose_split(source, split)
    listed = list_classes(root, renamed, folder, tally)
    every = [_Item(label, path.relative_to(root).as_posix(), (path,)) for label, path in listed.files]
    masses = read_masses(root / MASSES, {item.name for item in every})
    items, digest = _checked(source, every, reader, tally)
    present = sorted({item.label for item in items})
    classes = tuple(listed.classes[label] for label in present)
    items = [_Item(present.index(item.label), item.name, item.paths) for item in items]
    for label in sorted(set(range(len(listed.classes))) - set(present)):
        warn(f"skipped: the class {listed.classes[label]}, none of whose files can be used")
    config = _config("deeplense", source, items, digest, reader)
    config |= {"split": split} if split is not None else {}
    config |= {"map_classes": renamed} if renamed else {}

    def columns(rows: list[_Item], images: list[list[PublishedImage]]) -> dict[str, Any]:
        log10_mass = [
            np.log10(image.mass) if image.mass is not None else masses.get(item.name, np.nan)
            for item, (image,) in zip(rows, images, strict=True)
        ]
        return {
            "params": {"log10_m_axion": np.array(log10_mass, dtype=np.float64)},
            "units": {"log10_m_axion": "dex(eV)"},
        }

    manifest = _write(folder, classes, config, items, reader, columns, report)
    likely = published_names(classes)
    if likely:
        mapping = ",".join(f"{old}={new}" for old, new in likely.items())
        note(f"hint: --map-classes {mapping} gives classes the names and order of presets I to III")
    _tell(tally, len(items), note)
    return manifest


def import_pairs(
    source: Path,
    folder: Path,
    *,
    image: str = "LR",
    truth: str = "HR",
    skip_bad: bool = False,
    bands: int = 1,
    extension: str | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    warn: Say = lambda message: None,
    note: Say = lambda message: None,
) -> Manifest:
    """Turn two folders of images with the same file names into a data set: images, and pictures `hr` beside them.

    Args:
        source: The folder that holds both.
        folder: The data set's folder.
        image: Name of the folder whose files become the images.
        truth: Name of the folder whose files become the pictures `hr`, which may have another size.
        skip_bad: Leave out what cannot be used, with a call of `warn` each; otherwise it is an error that names it.
        bands: How many bands an image has.
        extension: Name or number of the FITS extension, or name of the array in .npz files, that is the image.
        report: Is told of the progress.
        warn: Is told of everything that is left out.
        note: Is told in the end what was taken, skipped and chosen.

    Raises:
        DataError: A folder or file cannot be used, or has no partner of its name; the message names it.
        ConfigError: Both folders are one, or the images have several sizes.
    """
    tally = Tally(skip_bad, warn)
    reader = _Reader(_checked_bands(bands), extension)
    homes = (source / image, source / truth)
    if homes[0].resolve() == homes[1].resolve():
        raise ConfigError(f"the images and their truth are in one folder, {printable(str(homes[0]))}")
    names = [{path.name: path for path in files_in(home, tally)} for home in homes]
    for home, mine, other in ((homes[0], *names), (homes[1], *reversed(names))):
        alone = sorted(set(mine) - set(other))
        if alone:
            tally.leave_out(
                f"{printable(str(home))} holds {len(alone)} files without a partner of the same name, "
                f"the first {printable(alone[0])}",
                "files without a partner",
                len(alone),
            )
    common = sorted(set(names[0]) & set(names[1]))
    every = [_Item(0, f"{image}/{name}", (names[0][name], names[1][name])) for name in common]
    items, digest = _checked(source, every, reader, tally)
    config = _config("pairs", source, items, digest, reader) | {"truth": [PAIRED]}
    config |= {"folders": [image, truth]}

    def columns(rows: list[_Item], images: list[list[PublishedImage]]) -> dict[str, Any]:
        return {"truth": {PAIRED: np.stack([fine.pixels for _, fine in images])}}

    manifest = _write(folder, (_PAIR_CLASS,), config, items, reader, columns, report)
    _tell(tally, len(items), note)
    return manifest


def _checked_bands(bands: int) -> int:
    if not 1 <= bands <= 64:
        raise ConfigError(f"--bands must lie in 1..64, got {bands}")
    return bands


def _checked(source: Path, every: list[_Item], reader: _Reader, tally: Tally) -> tuple[list[_Item], str]:
    """The items that can be used, and a hash of all that is read of them; nothing is written before this."""
    usable: list[_Item] = []
    shapes: list[tuple[tuple[int, ...], ...]] = []
    digests: list[bytes] = []
    labels: dict[int, tuple[int, str]] = {}
    for item in every:
        try:
            images = reader.images(item)
            _check_label(item, images[0], labels)
        except DataError as error:
            tally.leave_out(str(error), "files that cannot be used")
            continue
        usable.append(item)
        shapes.append(tuple(image.pixels.shape for image in images))
        digests.append(_digest(images))
        tally.remarks.update(image.remark for image in images if image.remark)
    if not usable:
        raise DataError(f"{printable(str(source))}: none of its images can be used; there is nothing to import")
    wanted = _one_shape(usable, shapes, tally)
    rows = [row for row, shape in enumerate(shapes) if shape == wanted]
    return [usable[row] for row in rows], hashlib.sha256(b"".join(digests[row] for row in rows)).hexdigest()


def _digest(images: list[PublishedImage]) -> bytes:
    hasher = hashlib.sha256()
    for image in images:
        hasher.update(f"{image.pixels.shape} {image.mass!r}\0".encode())
        hasher.update(np.ascontiguousarray(image.pixels))
    return hasher.digest()


def _check_label(item: _Item, image: PublishedImage, labels: dict[int, tuple[int, str]]) -> None:
    """Refuse a class folder whose files bear different labels: its images were mixed up."""
    if image.label is None:
        return
    path = printable(str(item.paths[0]))
    label, first = labels.setdefault(item.label, (image.label, path))
    if label != image.label:
        raise DataError(f"{path}: its label is {image.label}, but {first} of the same class has the label {label}")


def _one_shape(
    items: list[_Item], shapes: list[tuple[tuple[int, ...], ...]], tally: Tally
) -> tuple[tuple[int, ...], ...]:
    """The shape of the images; with --skip-bad that of most of them."""
    counts = Counter(shapes)
    wanted = shapes[0]
    if tally.skip_bad:
        wanted = counts.most_common(1)[0][0]
    for item, shape in zip(items, shapes, strict=True):
        if shape == wanted:
            continue
        first = items[shapes.index(wanted)]
        problem = (
            f"{printable(str(item.paths[0]))}: its shape is {_sizes(shape)}, but {printable(str(first.paths[0]))} has "
            f"{_sizes(wanted)}; a data set holds one stamp size: import them apart"
        )
        if not tally.skip_bad:
            raise ConfigError(problem)
        tally.leave_out(problem, "files of another size")
    return wanted


def _sizes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " and ".join(" x ".join(map(str, shape)) for shape in shapes)


def _config(layout: str, source: Path, items: list[_Item], digest: str, reader: _Reader) -> dict[str, Any]:
    name = source.resolve().name.encode("utf-8", "backslashreplace").decode()
    return {
        "kind": "imported",
        "layout": layout,
        "source": name,
        "files": len(items),
        "files_sha256": hashlib.sha256("\n".join(item.name for item in items).encode()).hexdigest(),
        "contents_sha256": digest,
        **reader.config(),
        "versions": {"lenssim": lenssim.__version__},
    }


def _write(
    folder: Path,
    classes: tuple[str, ...],
    config: dict[str, Any],
    items: list[_Item],
    reader: _Reader,
    columns: Callable[[list[_Item], list[list[PublishedImage]]], dict[str, Any]],
    report: Callable[[Progress], None],
) -> Manifest:
    plan = Plan(n=len(items), shard_size=_SHARD_ROWS, classes=classes, config=config)

    def task(target: str, document: dict[str, Any], shard: int) -> int:
        rows = plan.rows(shard)
        part = [items[row] for row in rows]
        images = [reader.images(item) for item in part]
        parts = {"params": {}, "units": {}, **columns(part, images)}
        samples = Samples(
            images=np.stack([item_images[0].pixels for item_images in images]),
            labels=np.array([item.label for item in part], dtype=np.int64),
            index=np.arange(rows.start, rows.stop),
            perturbers={},
            attributes=provenance(plan),
            texts={"file": [item.name for item in part]},
            **parts,
        )
        return finish_shard(Path(target), plan, shard, samples)

    _forget_unbegun(folder)
    return build(folder, plan, task, local_runner(0), report)


def _forget_unbegun(folder: Path) -> None:
    """Remove the plan of an earlier import that has no shard, so that it does not stand in the way."""
    try:
        if not (folder / PLAN).is_file() or any((folder / SHARDS).glob("*.h5")):
            return
        if read_plan(folder).config.get("kind") == "imported":
            (folder / PLAN).unlink()
    except DataError:
        return  # `build` says what is wrong with it
    except OSError as error:
        raise StorageError(f"cannot change {printable(str(folder))}: {cause(error)}") from None


def _tell(tally: Tally, taken: int, note: Say) -> None:
    tally.taken = taken
    for line in tally.lines():
        note(line)
