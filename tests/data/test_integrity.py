"""Nothing damaged is copied or judged, nothing half-written stays, and a writer knows the rules of the readers."""

import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from error_codes import has_code

from lenssim import Dataset, show
from lenssim.data.exchange.export import (
    UNFINISHED,
    export_fits,
    export_npy,
    export_webdataset,
)
from lenssim.data.format.files import read_json, write_json
from lenssim.data.format.manifest import Plan, read_manifest, read_plan
from lenssim.data.format.reading import read_samples
from lenssim.data.generation.building import seal
from lenssim.data.generation.finishing import finish_shard
from lenssim.data.inspection.repacking import repack
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import (
    ConfigError,
    DataError,
    IncompleteError,
    StorageError,
    VerificationError,
)

EXPORTS = {"npy": export_npy, "fits": export_fits, "webdataset": export_webdataset}
COPIES = {
    **EXPORTS,
    "repack": lambda folder, target: repack(folder, target, "float32", False),
    "show": show,
    "digests": lambda folder, target: ShardDataset(folder).verified_digests(np.arange(30)),
}


@pytest.fixture(scope="session")
def flips():
    spec = importlib.util.spec_from_file_location(
        "flips", Path(__file__).parents[1] / "flips.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["flips"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def made(tmp_path_factory, pieces) -> Path:
    """Thirty small images in three shards."""
    folder = tmp_path_factory.mktemp("integrity") / "D"
    pieces.make(folder, 30, 10)
    return folder


@pytest.fixture
def data(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "D"))


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# --- what copies data checks it first ---


@pytest.mark.parametrize("copy", COPIES)
def test_what_copies_data_refuses_damaged_shards(data, tmp_path, copy):
    with h5py.File(data / "shards/000000.h5", "r+") as file:
        file["images"][:] = 0
    with pytest.raises(
        VerificationError,
        match=r"000000\.h5: dataset images does not hold what was written",
        check=has_code("damaged-data"),
    ):
        COPIES[copy](data, tmp_path / "out")


def through_a_link(folder: Path) -> Path:
    link = folder.with_name("link")
    link.symlink_to(folder)
    return link


INSIDE = {
    "itself": lambda folder: folder,
    "inside": lambda folder: folder / "sub",
    "shards": lambda folder: folder / "shards" / "deeper" / "still",
    "by a detour": lambda folder: folder / "shards" / "..",
    "by a link": through_a_link,
    "inside by a link": lambda folder: through_a_link(folder) / "sub",
}


@pytest.mark.parametrize("place", [str, "file://{}".format], ids=["path", "URL"])
@pytest.mark.parametrize("where", INSIDE)
@pytest.mark.parametrize("copy", [*EXPORTS, "repack"])
def test_a_data_set_is_not_copied_into_itself(data, copy, where, place):
    """It would be taken for the finished copy, and its damage for data."""
    target = INSIDE[where](data)
    with h5py.File(data / "shards/000000.h5", "r+") as file:
        file["images"][:] = 0
    before = names(data)
    with pytest.raises(ConfigError, check=has_code("same-folder")):
        COPIES[copy](place(data), target)
    assert names(data) == before


def test_show_goes_on_after_a_damaged_shard(data, lenssim):
    """The other shards are drawn; the damaged one is named, with the exit code of damage."""
    with h5py.File(data / "shards/000001.h5", "r+") as file:
        file["images"][:] = 0
    done = lenssim("show", "D")
    assert done.code == 3
    assert "000001.h5: dataset images does not hold what was written" in done.err
    sheets = sorted((data / "figures").glob("*.png"))
    assert sorted(map(str, done.out.split())) == [f"D/figures/{s.name}" for s in sheets]
    damaged = []
    pictures = show(data, report=damaged.append)
    assert [sheet.stem for sheet in sheets] == sorted(pictures)
    assert [error.code for error in damaged] == ["damaged-data"]
    with h5py.File(data / "shards/000002.h5", "r+") as file:
        file["labels"][:] = 0
    done = lenssim("show", "D")
    assert done.code == 3
    for name in ("000001.h5", "000002.h5"):
        assert name in done.err, done.err
    with pytest.raises(
        VerificationError, match=r"000001\.h5", check=has_code("damaged-data")
    ):
        show(data)


def test_a_data_set_shows_only_shards_that_are_whole(data):
    opened = Dataset(data)
    with h5py.File(data / "shards/000000.h5", "r+") as file:
        file["images"][3] = 0
    with pytest.raises(
        VerificationError,
        match=r"000000\.h5: dataset images",
        check=has_code("damaged-data"),
    ):
        opened.show()


def test_every_flipped_byte_is_found_by_verify_and_by_who_judges(data, flips):
    """By verify in every file but the card; by evaluation in the files that it reads."""
    files = sorted(
        path for path in data.rglob("*") if path.is_file() and path.name != "card.md"
    )
    assert len(files) == 8
    rows = np.arange(30)
    for flip in flips.random_flips(files, 100):
        with flips.flipped(flip):
            number = flip.path.stem
            problems = verify(data).problems
            assert any(number in line for line in problems), (str(flip), problems)
            if flip.path.parent == data or flip.path.suffix == ".h5":
                with pytest.raises(DataError, match=number):
                    ShardDataset(data).verified_digests(rows)
    assert verify(data).problems == []


def test_a_shard_of_another_data_set_is_refused_on_opening(data, tmp_path, pieces):
    pieces.make(tmp_path / "other", 30, 10, split="validation")
    shutil.copy(tmp_path / "other/shards/000001.h5", data / "shards/000001.h5")
    with h5py.File(data / "shards/000001.h5") as file:
        size = (data / "shards/000001.h5").stat().st_size
        assert file["images"].shape == (10, 1, 8, 8)
    document = read_json(data / "manifest.json")
    document["shards"][1]["bytes"] = size
    write_json(data / "manifest.json", document)
    with pytest.raises(
        DataError,
        match=r"000001\.h5 belongs to another data set",
        check=has_code("shard-of-another"),
    ):
        ShardDataset(data)


@pytest.mark.parametrize("column", ["labels", "index", "params/theta_E"])
def test_small_columns_are_hashed_when_they_are_read(data, column):
    with h5py.File(data / "shards/000002.h5", "r+") as file:
        file[column][...] = file[column][...][::-1]
    with pytest.raises(
        VerificationError,
        match=rf"000002\.h5: dataset {column} does not hold what was written",
        check=has_code("damaged-data"),
    ):
        ShardDataset(data).params  # noqa: B018


# --- the writer knows the reader's rules ---


def link_to_elsewhere(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "shards", tmp_path / "elsewhere")
    (folder / "shards").symlink_to(tmp_path / "elsewhere")


def equal_numbers(folder: Path, tmp_path: Path) -> None:
    for suffix in (".h5", ".json"):
        shutil.copy(
            (folder / "shards/000000").with_suffix(suffix),
            (folder / "shards/000001").with_suffix(suffix),
        )
    document = read_json(folder / "shards/000001.json")
    write_json(folder / "shards/000001.json", document | {"first": 10, "last": 19})


def another_shape(folder: Path, tmp_path: Path) -> None:
    plan = read_plan(folder)
    samples = read_samples(folder / "shards/000001.h5")
    smaller = type(samples)(**{**samples.__dict__, "images": samples.images[..., :4, :4]})
    finish_shard(folder, plan, 1, smaller)


def another_data_set(folder: Path, tmp_path: Path) -> None:
    path = folder / "shards/000001.h5"
    path.write_bytes(
        path.read_bytes().replace(read_plan(folder).config_hash.encode(), b"0" * 64)
    )


SPOILED = {
    "link": (link_to_elsewhere, "is a link that leaves the data set's folder"),
    "numbers": (equal_numbers, r"000001\.h5: index is not the rising sample numbers"),
    "shape": (another_shape, "hold images of several shapes"),
    "config": (another_data_set, r"000001\.h5 belongs to another data set"),
}


@pytest.mark.parametrize("spoil", SPOILED)
def test_what_a_reader_refuses_is_not_sealed(data, tmp_path, spoil):
    change, message = SPOILED[spoil]
    (data / "manifest.json").unlink()
    change(data, tmp_path)
    with pytest.raises(DataError, match=message):
        seal(data, read_plan(data))
    assert not (data / "manifest.json").exists()


BROKEN = {
    "NaN": (lambda s: s.images.__setitem__((3, 0, 2, 2), np.nan), "1 images hold NaN"),
    "labels": (lambda s: s.labels.__setitem__(3, 7), r"labels outside 0\.\.2"),
    "numbers": (lambda s: s.index.__setitem__(3, 4), "the sample numbers are not those"),
    "params": (
        lambda s: s.params["theta_E"].__setitem__(3, np.inf),
        "params/theta_E: infinite",
    ),
}


@pytest.mark.parametrize("change", BROKEN)
def test_what_verify_refuses_is_not_written(data, change):
    spoil, message = BROKEN[change]
    path = data / "shards/000000.h5"
    before = path.read_bytes()
    samples = read_samples(path)
    spoil(samples)
    with pytest.raises(DataError, match=message, check=has_code("write-check")):
        finish_shard(data, read_plan(data), 0, samples)
    assert path.read_bytes() == before


def test_a_folder_that_readers_refuse_is_not_filled(tmp_path, pieces):
    (tmp_path / "disk").mkdir()
    (tmp_path / "D").mkdir()
    (tmp_path / "D/shards").symlink_to(tmp_path / "disk")
    with pytest.raises(ConfigError, check=has_code("folder-unusable")):
        pieces.make(tmp_path / "D", 30, 10)
    assert names(tmp_path) == {"disk", "D", "D/shards"}


@pytest.mark.parametrize("linked", ["shards", "shards/000001.h5", ""])
def test_links_that_stay_inside_are_accepted(data, tmp_path, linked):
    """As git-annex makes them; or the whole folder is a link."""
    target = data / ".git/annex/objects" if linked else tmp_path / "elsewhere"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(data / linked, target)
    (data / linked).symlink_to(os.path.relpath(target, (data / linked).parent))
    assert verify(data).problems == []
    assert len(ShardDataset(data)) == 30


# --- unfinished and boundless sets ---


def test_verify_of_an_unfinished_set_says_how_to_continue(data, lenssim):
    (data / "manifest.json").unlink()
    (data / "shards/000002.json").unlink()
    done = lenssim("verify", "D")
    assert done.code == 4
    assert "2 of 3 shards; repeat its generate command to continue" in done.err
    record = read_manifest_record(data, 1)
    with (data / "shards/000001.h5").open("r+b") as file:
        file.seek(record["offset"])
        file.write(b"damage")
    done = lenssim("verify", "D")
    assert done.code == 3
    assert "000001.h5: dataset images" in done.out
    assert "remove the shards named above" in done.err


def read_manifest_record(folder: Path, shard: int) -> dict:
    return read_json(folder / f"shards/{shard:06d}.json")["datasets"]["images"]


def plan_json(folder: Path, **changes) -> None:
    document = {
        name: value
        for name, value in read_json(folder / "plan.json").items()
        if name != "sha256"
    }
    write_json(folder / "plan.json", document | changes)


@pytest.mark.parametrize("command", ["info", "seal", "verify"])
def test_a_plan_without_end_is_refused(data, lenssim, command):
    plan_json(data, n=2**40, shard_size=1)
    (data / "manifest.json").unlink()
    done = lenssim(command, "D")
    assert done.code in (1, 3)
    assert "a data set has at most 1,000,000" in done.out + done.err


@pytest.mark.parametrize(("command", "code"), [("info", 0), ("seal", 4), ("verify", 4)])
def test_the_work_is_bounded_by_the_files_there_are(
    data, lenssim, monkeypatch, command, code
):
    """Of a million shards that a plan states, those are looked at that exist."""
    import lenssim.data.format.manifest as manifest

    plan_json(data, n=10_000_000, shard_size=10)
    (data / "manifest.json").unlink()
    calls = []
    monkeypatch.setattr(manifest, "read_record", lambda *arguments: calls.append(arguments))
    assert lenssim(command, "D").code == code
    assert len(calls) <= 6


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (2**50, (), "n must be at most 1,099,511,627,776"),
        (2**40, (), "choose a larger --shard-size"),
        (2**40, ("--shard-size", 2**40), "choose a smaller --shard-size"),
    ],
)
def test_generate_refuses_what_has_no_end(lenssim, n, options, message):
    done = lenssim("generate", "-m", "III", "-n", n, *options, "--workers", 0, "-o", "D")
    assert done.code == 2
    assert message in done.err
    assert not Path("D").exists()


def test_plans_without_end_stay_unmade():
    with pytest.raises(ValueError, match="1,000,000"):
        Plan(n=2**30, shard_size=1, classes=("a",), config={})


# --- nothing half-written ---


@pytest.mark.parametrize("mask", [0o002, 0o077], ids=oct)
def test_modes_follow_the_umask(tmp_path, pieces, mask):
    before = os.umask(mask)
    try:
        pieces.make(tmp_path / "D", 6, 3)
        for name, export in EXPORTS.items():
            export(tmp_path / "D", tmp_path / name)
        show(tmp_path / "D", tmp_path / "figures")
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        wanted = (0o777 if path.is_dir() else 0o666) & ~mask
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


@pytest.mark.parametrize("layout", EXPORTS)
def test_an_export_that_a_full_disk_stopped_is_continued(
    data, tmp_path, monkeypatch, layout
):
    import lenssim.data.exchange.export as module

    export, write, files = EXPORTS[layout], module.write, []

    def full_disk(path, content, **options):
        if len(files) == 2:
            raise StorageError(f"cannot write {path}: the disk is full")
        files.append(path)
        write(path, content, **options)

    monkeypatch.setattr(module, "write", full_disk)
    with pytest.raises(
        IncompleteError,
        match=r"the disk is full(?s:.*)repeat the command to continue",
        check=has_code("stopped"),
    ):
        export(data, tmp_path / "out")
    monkeypatch.undo()
    assert UNFINISHED in names(tmp_path / "out")
    for other in EXPORTS:
        if other != layout:
            with pytest.raises(
                ConfigError,
                match="unfinished export of another",
                check=has_code("folder-in-use"),
            ):
                EXPORTS[other](data, tmp_path / "out")
    export(data, tmp_path / "out")
    export(data, tmp_path / "whole")
    contents = [
        {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }
        for root in (tmp_path / "out", tmp_path / "whole")
    ]
    assert contents[0] == contents[1]
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        export(data, tmp_path / "out")


WRITES = {"show": ("show", "D")} | {
    name: ("export", "D", "--to", name, "-o", "disk/x") for name in EXPORTS
}


@pytest.mark.parametrize("command", WRITES)
def test_read_only_targets_are_named(data, lenssim, monkeypatch, command):
    """As root, for whom modes forbid nothing, the system call refuses."""
    import errno

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    done = lenssim(*WRITES[command])
    assert done.code == 1
    assert "Read-only file system" in done.err
    assert "--out" in done.err or "choose another" in done.err


def test_a_finished_data_set_is_finished_on_a_read_only_disk_too(
    data, tmp_path, monkeypatch
):
    """What is there already need not be written; what differs is refused."""
    import errno

    from lenssim.data.format import files

    folder = tmp_path / "finished"
    shutil.copytree(data, folder)
    manifest = seal(folder, read_plan(folder))

    def refuse(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(files, "_create", refuse)
    assert seal(folder, read_plan(folder)) == manifest == read_manifest(folder)
    card = (folder / "card.md").read_bytes()
    files.write(folder / "card.md", card[:10], card[10:])
    for other in (card + b"x", card[:-1], b"x" * len(card)):
        with pytest.raises(StorageError, match="Read-only"):
            files.write(folder / "card.md", other)
    assert (folder / "card.md").read_bytes() == card


@pytest.mark.thorough
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize("layout", EXPORTS)
def test_a_really_full_disk(data, tmp_path, layout):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(IncompleteError, match="the disk is full"):
            EXPORTS[layout](data, disk / "out")
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        EXPORTS[layout](data, disk / "out")
        assert UNFINISHED not in names(disk / "out")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --- identity knows no machine ---


def galaxies(path: Path) -> Path:
    rows, columns = np.indices((40, 40)) - 19.5
    radius = np.hypot(rows, columns)
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.stack([np.exp(-radius / (2 + k / 5)) for k in range(12)]))
    return path


def make_with_galaxies(lenssim, path: Path, n: int, out: str):
    command = (
        "generate",
        "-m",
        "III",
        "--galaxies",
        path,
        "-n",
        n,
        "--shard-size",
        4,
        "--workers",
        0,
    )
    return lenssim(*command, "--supersampling", 1, "-o", out)


def test_two_peoples_shards_of_the_same_galaxies_are_the_same_bytes(tmp_path, lenssim):
    first = galaxies(tmp_path / "one/g.npy")
    assert make_with_galaxies(lenssim, first, 4, "a").code == 0
    shutil.move(first.parent, tmp_path / "two")
    moved = tmp_path / "two/g.npy"
    assert make_with_galaxies(lenssim, moved, 8, "a").code == 0
    assert make_with_galaxies(lenssim, moved, 8, "b").code == 0
    for name in (
        "plan.json",
        "manifest.json",
        "card.md",
        "shards/000000.h5",
        "shards/000001.json",
    ):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert str(tmp_path).encode() not in (tmp_path / "a" / name).read_bytes()
    done = lenssim("verify", "a", "--resimulate", 3)
    assert done.code == 2
    assert "give --galaxies PATH" in done.err
    assert lenssim("verify", "a", "--resimulate", 3, "--galaxies", moved).code == 0
    np.save(moved, np.load(moved)[::-1])
    from lenssim.simulate.sources.galaxies import _load

    _load.cache_clear()  # as in a process of its own
    done = lenssim("verify", "a", "--resimulate", 3, "--galaxies", moved)
    assert done.code == 2
    assert "are not those the data set was planned with" in done.err


def test_a_data_set_that_names_the_path_of_its_galaxies_goes_on(
    tmp_path, lenssim, monkeypatch
):
    """Data sets of earlier versions keep their config and its hash."""
    from lenssim.simulate.spec import SimulationSpec

    path = galaxies(tmp_path / "one/g.npy")
    with monkeypatch.context() as earlier:
        earlier.setattr(
            SimulationSpec,
            "_preset_document",
            lambda spec: spec.preset.model_dump(mode="json"),
        )
        assert make_with_galaxies(lenssim, path, 4, "a").code == 0
    old = read_plan(tmp_path / "a")
    assert old.config["preset"]["galaxies"]["path"] == str(path)
    assert lenssim("verify", "a", "--resimulate", 2).code == 0
    shutil.move(path.parent, tmp_path / "two")
    done = lenssim("verify", "a", "--resimulate", 2)
    assert done.code == 2
    assert "give --galaxies PATH, where they are now" in done.err
    assert lenssim("verify", "a", "--resimulate", 2, "--galaxies", "two/g.npy").code == 0
    assert make_with_galaxies(lenssim, tmp_path / "two/g.npy", 8, "a").code == 0
    assert (
        read_plan(tmp_path / "a").config_hash
        == old.config_hash
        == read_manifest(tmp_path / "a").config_hash
    )
    assert lenssim("verify", "a", "--resimulate", 8, "--galaxies", "two/g.npy").code == 0


def test_a_lost_plan_is_written_again(data, pieces):
    fingerprint = read_manifest(data).fingerprint
    hashes = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (data / "shards").iterdir()
    }
    (data / "plan.json").unlink()
    assert any("no plan.json" in line for line in verify(data).problems)
    assert pieces.make(data, 30, 10).fingerprint == fingerprint
    assert hashes == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (data / "shards").iterdir()
    }
