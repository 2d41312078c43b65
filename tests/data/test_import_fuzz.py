"""Folders as people have them, drawn at random: each is imported whole, or refused by name and leaves nothing."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lenssim.data.exchange.importers import import_folder
from lenssim.data.exchange.importing import Listeners
from lenssim.data.format.manifest import Manifest, shard_name
from lenssim.data.format.reading import read_samples
from lenssim.data.inspection.verification import verify
from lenssim.errors import LenssimError

CLASSES = (
    "no_sub",
    "cdm",
    "axion",
    "Axion",
    "空白",
    "ü",
    "a b",
    "train",
    "val",
    "-x",
    "a:b",
    "test",
)
STEMS = ("a", "b", "image 1", "空白", "é", "n" * 240, "c\nd", "x;y", "bad\udcff", "-o")
SIDE = 12


def pixels(draw: random.Random, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(draw.randrange(1 << 30)).random((side, side))


def objects(*entries: object) -> np.ndarray:
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


GOOD = {
    "plain": lambda draw: pixels(draw),
    "float32": lambda draw: pixels(draw).astype(np.float32),
    "integers": lambda draw: (1000 * pixels(draw)).astype(np.int16),
    "big-endian": lambda draw: pixels(draw).astype(">f8"),
    "flat": lambda draw: pixels(draw).ravel(),
    "one band": lambda draw: pixels(draw)[None],
    "last axis": lambda draw: pixels(draw)[..., None],
    "five axes": lambda draw: pixels(draw)[None, None, None],
    "mass": lambda draw: objects(pixels(draw), 1e-23),
    "label": lambda draw: objects(pixels(draw), 1),
    "rows": lambda draw: objects(*pixels(draw)),
    "rows, label": lambda draw: objects(*pixels(draw), 1),
    "flat, label": lambda draw: np.append(pixels(draw).ravel(), 1),
}
BAD = {
    "other size": lambda draw: pixels(draw, SIDE + 1),
    "oblong": lambda draw: pixels(draw)[:, :-1],
    "stack": lambda draw: np.stack([pixels(draw)] * 3),
    "bands last": lambda draw: np.stack([pixels(draw)] * 3, axis=-1),
    "nan": lambda draw: np.where(pixels(draw) > 0.5, np.nan, 1.0),
    "constant": lambda draw: np.ones((SIDE, SIDE)),
    "too bright": lambda draw: pixels(draw) * 1e39,
    "too faint": lambda draw: pixels(draw) * 1e-47,
    "complex": lambda draw: pixels(draw) + 1j,
    "text": lambda draw: np.full((SIDE, SIDE), "a"),
    "empty": lambda draw: np.empty((0, SIDE, SIDE)),
    "records": lambda draw: np.zeros((SIDE, SIDE), dtype=[("a", "f4")]),
    "dictionary": lambda draw: objects({"a": 1}, 2),
}


def write(path: Path, array: np.ndarray) -> None:
    """Save an array in the format that the name's ending says, capitals or not."""
    name = path.name.lower()
    if name.endswith(".npz"):
        with path.open("wb") as file:
            np.savez_compressed(file, image=array)
    elif ".fits" in name:
        compress = ".gz" if name.endswith(".gz") else ""
        temporary = path.parent.parent / f".temporary.fits{compress}"
        fits.writeto(temporary, array, overwrite=True)
        temporary.rename(path)
    else:
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=True)


def add_image(draw: random.Random, home: Path, kinds: dict) -> None:
    kind = draw.choice(sorted(kinds))
    array = kinds[kind](draw)
    endings = [".npy", ".NPY", ".npz", ".Npz"]
    if array.dtype.kind in "iuf":
        endings += [".fits", ".FITS", ".fits.gz"]
    stem = draw.choice(STEMS) if draw.random() < 0.2 else f"{draw.randrange(10**6):06d}"
    write(home / f"{stem}{draw.choice(endings)}", array)


def add_oddity(draw: random.Random, home: Path) -> None:
    """One thing that is no image: litter that is passed over, or something that must not vanish."""
    place = home / f"odd{draw.randrange(10**6)}.npy"
    makers = {
        "hidden": lambda: (home / "._00000.npy").write_bytes(bytes(100)),
        "thumbnails": lambda: (home / "Thumbs.db").write_bytes(b"x"),
        "checkpoints": lambda: (home.parent / ".ipynb_checkpoints").mkdir(exist_ok=True),
        "archive's": lambda: (home.parent / "__MACOSX").mkdir(exist_ok=True),
        "readme": lambda: (home.parent / "README.md").write_text("x"),
        "foreign": lambda: place.with_suffix(".png").write_bytes(b"x"),
        "sub-folder": lambda: (home / "part2").mkdir(exist_ok=True),
        "empty file": lambda: place.write_bytes(b""),
        "text": lambda: place.write_text("no array"),
        "truncated": lambda: truncated(draw, place),
        "dangling": lambda: place.symlink_to("nowhere.npy"),
        "loop": lambda: place.symlink_to(place.name),
        "link to itself": lambda: (home / "up").symlink_to("..", target_is_directory=True),
        "pipe": lambda: os.mkfifo(place),
        "folder as file": lambda: place.mkdir(),
        "empty class": lambda: (home.parent / f"empty{draw.randrange(99)}").mkdir(
            exist_ok=True
        ),
        "loose image": lambda: write(home.parent / "loose.npy", pixels(draw)),
        "linked class": lambda: (home.parent / "linked").symlink_to(
            home.name, target_is_directory=True
        ),
    }
    makers[draw.choice(sorted(makers))]()


def truncated(draw: random.Random, path: Path) -> None:
    write(path, pixels(draw))
    data = path.read_bytes()
    path.write_bytes(data[: draw.randrange(len(data))])


def drawn_folder(draw: random.Random, root: Path) -> None:
    """A folder of class folders: good in one of three cases, with one to three things amiss in the others."""
    kinds = {name: GOOD[name] for name in draw.sample(sorted(GOOD), draw.randint(1, 3))}
    names = (
        draw.sample(CLASSES[:3], 2)
        if draw.random() < 0.6
        else draw.sample(CLASSES, draw.randint(1, 3))
    )
    for name in names:
        home = root / name
        home.mkdir(parents=True)
        for _ in range(draw.randint(1, 4)):
            add_image(draw, home, kinds)
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        home = root / draw.choice(names)
        if draw.random() < 0.35:
            add_image(draw, home, BAD)
        else:
            add_oddity(draw, home)


def images_in(root: Path) -> int:
    """What a careful person would count: regular files with an image's ending in the class folders."""
    endings = (".npy", ".npz", ".fits", ".fits.gz")
    homes = [
        home
        for home in root.iterdir()
        if home.is_dir() and not home.name.startswith((".", "__"))
    ]
    files = [path for home in homes for path in home.iterdir()]
    return sum(
        path.name.lower().endswith(endings)
        and not path.name.startswith(".")
        and (path.is_file() or path.is_symlink())
        for path in files
    )


def attempt(root: Path, out: Path, **options: object) -> tuple[Manifest | None, str]:
    """What came of an import: the manifest, or what its refusal said."""
    try:
        return import_folder("deeplense", root, out, **options), ""
    except LenssimError as error:
        return None, str(error)


def check(seed: int, tmp_path: Path) -> bool:
    """Import one drawn folder; whether it was imported."""
    draw = random.Random(seed)
    root, out = tmp_path / "set", tmp_path / "D"
    drawn_folder(draw, root)
    notes: list[str] = []
    manifest, refusal = attempt(root, out, listeners=Listeners(note=notes.append))
    if manifest is None:
        assert str(root) in refusal, f"{seed}: a refusal names what it is about"
        assert refusal.isprintable(), (
            f"{seed}: a message holds nothing that a terminal obeys"
        )
        assert not out.exists(), f"{seed}: a refusal leaves nothing"
        check_skipped(seed, root, tmp_path / "E")
        return False
    assert manifest.n == images_in(root), f"{seed}: every image is there"
    assert f"files taken: {manifest.n}; skipped: none" in notes[-1]
    check_data(out, root)
    return True


def check_skipped(seed: int, root: Path, out: Path) -> None:
    """The same folder with --skip-bad: what is left is whole, and what is left out was said."""
    said: list[str] = []
    manifest, refusal = attempt(
        root, out, skip_bad=True, listeners=Listeners(warn=said.append)
    )
    if manifest is None:
        assert str(root) in refusal
        assert not out.exists()
        return
    assert said, f"{seed}: what was refused is named when it is skipped"
    assert manifest.n <= images_in(root)
    check_data(out, root)


def check_data(out: Path, root: Path) -> None:
    assert verify(out).problems == []
    samples = read_samples(out / "shards" / shard_name(0))
    assert len(set(samples.texts["file"])) == len(samples)
    assert all((root / name).is_file() for name in samples.texts["file"])
    assert np.isfinite(samples.images).all()
    assert (np.ptp(samples.images, axis=(1, 2, 3)) > 0).all()


def test_folders_are_imported_whole_or_refused_by_name(tmp_path):
    outcomes = []
    for seed in range(40):
        place = tmp_path / str(seed)
        place.mkdir()
        outcomes.append(check(seed, place))
    assert 5 < sum(outcomes) < 35  # both happen


@pytest.mark.thorough
def test_two_hundred_folders_are_imported_whole_or_refused_by_name(tmp_path):
    for seed in range(1000, 1200):
        place = tmp_path / str(seed)
        place.mkdir()
        check(seed, place)
