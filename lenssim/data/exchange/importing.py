"""What every importer does: read and check all files first, then write the data set."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

import lenssim
from lenssim.data.exchange.published import PublishedImage, read_image
from lenssim.data.exchange.tally import Tally
from lenssim.data.format.files import cause
from lenssim.data.format.manifest import PLAN, SHARDS, Manifest, Plan, read_plan
from lenssim.data.format.shard import Samples
from lenssim.data.generation.building import build, provenance
from lenssim.data.generation.finishing import finish_shard
from lenssim.data.generation.progress import Progress
from lenssim.data.generation.runners import local_runner
from lenssim.errors import ConfigError, DataError, StorageError, from_validation
from lenssim.names import printable
from lenssim.simulate.instruments import MAX_BANDS, BandNames

__all__ = [
    "SILENT",
    "ImportItem",
    "ItemReader",
    "Listeners",
    "Say",
    "check_apart",
    "checked_items",
    "import_config",
    "item_reader",
    "note_tally",
    "write_items",
]

Say = Callable[[str], None]

_SHARD_ROWS = 1024


@dataclass(frozen=True)
class ImportItem:
    """One sample to be: its label, its name in the data set, and its files (image, and what belongs to it)."""

    label: int
    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class ItemReader:
    """How the files of an import are read."""

    bands: int
    extension: str | None
    band_names: tuple[str, ...] = ()

    def images(self, item: ImportItem) -> list[PublishedImage]:
        """Read the images of an item, one for each of its files."""
        return [
            read_image(path, bands=self.bands, extension=self.extension)
            for path in item.paths
        ]

    def config(self) -> dict[str, Any]:
        """What the config says of it; nothing where all is as usual, so that hashes stay."""
        bands: dict[str, Any] = {"bands": self.bands} if self.bands > 1 else {}
        if self.band_names:
            bands["band_names"] = list(self.band_names)
        return bands | ({"extension": self.extension} if self.extension is not None else {})


def item_reader(bands: int | Sequence[str], extension: str | None) -> ItemReader:
    """Return how files are read.

    Args:
        bands: How many bands an image has, or their names.
        extension: Name or number of the FITS extension or array that is meant.

    Raises:
        ConfigError: There are too many bands, or a name cannot be that of a band.

    Example:
        >>> item_reader(["g", "r"], None).bands
        2
    """
    names: tuple[str, ...] = ()
    count = bands
    if not isinstance(bands, int):
        names = _checked_names(bands)
        count = len(names)
    assert isinstance(count, int)
    if not 1 <= count <= MAX_BANDS:
        raise ConfigError(
            f"--bands must lie in 1..{MAX_BANDS}, got {count}",
            code="option-range",
            option="bands",
            value=count,
        )
    return ItemReader(count, extension, names)


def _checked_names(names: Sequence[str]) -> tuple[str, ...]:
    try:
        return TypeAdapter(BandNames).validate_python(tuple(names))
    except ValidationError as error:
        raise from_validation(error, "--bands") from None


def check_apart(source: Path, folder: Path) -> None:
    """Refuse to write a data set onto the folder that it is made of, with a `ConfigError`."""
    try:
        same = folder.samefile(source)
    except OSError:  # one of them is missing or cannot be read, which its reader says
        same = False
    if same:
        raise ConfigError(
            f"{printable(str(folder))} is the imported folder itself; choose another --out",
            code="same-folder",
            folder=folder,
        )


def checked_items(
    source: Path, every: list[ImportItem], reader: ItemReader, tally: Tally
) -> tuple[list[ImportItem], str]:
    """Return the items that can be used, and a hash of all that is read of them.

    Nothing is written before this.
    """
    usable: list[ImportItem] = []
    shapes: list[tuple[tuple[int, ...], ...]] = []
    digests: list[bytes] = []
    pictures: list[bytes] = []
    labels: dict[int, tuple[int, str]] = {}
    for item in every:
        try:
            images = reader.images(item)
            _check_label(item, images[0], labels)
        except DataError as error:
            tally.leave_out_for(error, "files that cannot be used")
            continue
        usable.append(item)
        shapes.append(tuple(image.pixels.shape for image in images))
        digests.append(_digest(images))
        pictures.append(hashlib.sha256(np.ascontiguousarray(images[0].pixels)).digest())
        for image in images:
            tally.remarks.update(image.remark.splitlines())
    if not usable:
        raise DataError(
            f"{printable(str(source))}: none of its images can be used; there is nothing to import",
            code="no-images",
            source=source,
        )
    _note_contradictions(usable, pictures, tally)
    common_shape = _one_shape(usable, shapes, tally)
    rows = [row for row, shape in enumerate(shapes) if shape == common_shape]
    return [usable[row] for row in rows], hashlib.sha256(
        b"".join(digests[row] for row in rows)
    ).hexdigest()


def _digest(images: list[PublishedImage]) -> bytes:
    hasher = hashlib.sha256()
    for image in images:
        for part in image.contents():
            hasher.update(part)
    return hasher.digest()


def _note_contradictions(
    items: list[ImportItem], pictures: list[bytes], tally: Tally
) -> None:
    """Warn of images that lie in several classes: at most one of their labels is right."""
    first: dict[bytes, ImportItem] = {}
    examples: list[str] = []
    for item, picture in zip(items, pictures, strict=True):
        twin = first.setdefault(picture, item)
        if twin.label != item.label:
            examples.append(f"{printable(item.name)} is {printable(twin.name)}")
    if examples:
        tally.warn(
            f"warning: {len(examples)} images lie in several classes, so that their labels contradict "
            f"each other; the first: {examples[0]}"
        )


def _check_label(
    item: ImportItem, image: PublishedImage, labels: dict[int, tuple[int, str]]
) -> None:
    """Refuse a class folder whose files bear different labels: its images were mixed up."""
    if image.label is None:
        return
    path = printable(str(item.paths[0]))
    label, labelled_path = labels.setdefault(item.label, (image.label, path))
    if label != image.label:
        raise DataError(
            f"{path}: its label is {image.label}, but {labelled_path} of the same class has the label {label}",
            code="labels-differ",
            path=path,
            label=image.label,
        )


def _one_shape(
    items: list[ImportItem], shapes: list[tuple[tuple[int, ...], ...]], tally: Tally
) -> tuple[tuple[int, ...], ...]:
    """The shape of the images; with --skip-bad that of most of them."""
    counts = Counter(shapes)
    common_shape = shapes[0]
    if tally.skip_bad:
        common_shape = counts.most_common(1)[0][0]
    for item, shape in zip(items, shapes, strict=True):
        if shape == common_shape:
            continue
        example = items[shapes.index(common_shape)]
        problem = (
            f"{printable(str(item.paths[0]))}: its shape is {_sizes(shape)}, but "
            f"{printable(str(example.paths[0]))} has {_sizes(common_shape)}; "
            "a data set holds one stamp size: import them apart, or cut them to one size"
        )
        if not tally.skip_bad:
            raise ConfigError(problem, code="sizes-differ")
        tally.leave_out(problem, "files of another size")
    return common_shape


def _sizes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " and ".join(" x ".join(map(str, shape)) for shape in shapes)


def import_config(
    layout: str, source: Path, items: list[ImportItem], digest: str, reader: ItemReader
) -> dict[str, Any]:
    """Return the config of an imported data set: its layout, its source, and hashes of both.

    Args:
        layout: Name of the importer.
        source: The folder that was imported; its name is kept, not its path.
        items: The samples.
        digest: Hash of all that was read of them, see `checked_items`.
        reader: How the files are read.
    """
    name = source.resolve().name.encode("utf-8", "backslashreplace").decode()
    return {
        "kind": "imported",
        "layout": layout,
        "source": name,
        "files": len(items),
        "files_sha256": hashlib.sha256(
            "\n".join(item.name for item in items).encode()
        ).hexdigest(),
        "contents_sha256": digest,
        **reader.config(),
        "versions": {"lenssim": lenssim.__version__},
    }


def _nobody(message: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Listeners:
    """Who is told of an import.

    Attributes:
        report: Is told of the progress.
        warn: Is told of everything that is left out.
        note: Is told in the end what was taken, skipped and chosen.
    """

    report: Callable[[Progress], None] = _nobody
    warn: Say = _nobody
    note: Say = _nobody


SILENT = Listeners()


def write_items(
    folder: Path,
    classes: tuple[str, ...],
    config: dict[str, Any],
    items: list[ImportItem],
    reader: ItemReader,
    columns: Callable[[list[ImportItem], list[list[PublishedImage]]], dict[str, Any]],
    report: Callable[[Progress], None],
) -> Manifest:
    """Write items that were checked as a data set.

    Args:
        folder: The data set's folder.
        classes: Names of the classes, by label.
        config: The config, see `import_config`.
        items: The samples, in the order of their numbers.
        reader: How the files are read.
        columns: Makes further fields of `Samples` from items and their images.
        report: Is told of the progress.
    """
    plan = Plan(n=len(items), shard_size=_SHARD_ROWS, classes=classes, config=config)

    def task(target: str, document: dict[str, Any], shard: int) -> int:
        rows = plan.rows(shard)
        part = [items[row] for row in rows]
        images = [reader.images(item) for item in part]
        texts = {"file": [item.name for item in part]}
        parts = {"params": {}, "units": {}, "texts": texts, **columns(part, images)}
        samples = Samples(
            images=np.stack([item_images[0].pixels for item_images in images]),
            labels=np.array([item.label for item in part], dtype=np.int64),
            index=np.arange(rows.start, rows.stop),
            perturbers={},
            attributes=provenance(plan),
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
        raise StorageError(
            f"cannot change {printable(str(folder))}: {cause(error)}",
            code="write-failed",
            folder=folder,
        ) from None


def note_tally(tally: Tally, taken: int, note: Say) -> None:
    """Tell `note` how many files were taken, and how many were left out and why."""
    tally.taken = taken
    for line in tally.lines():
        note(line)
