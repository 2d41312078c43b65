"""Verification finds what is wrong and names it."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from costs import without_dear
from error_codes import has_code

from lenssim.data.format.files import write_json
from lenssim.data.format.manifest import read_manifest, read_plan, read_record
from lenssim.data.format.reading import open_shard, read_samples
from lenssim.data.inspection.verification import verify
from lenssim.errors import DataError


@pytest.fixture
def data(tmp_path, tiny_data) -> Path:
    return Path(shutil.copytree(tiny_data, tmp_path / "D"))


def flip(path: Path, position: int, bits: int = 0x10) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ bits]))


def test_a_whole_data_set_is_whole(data):
    for fast in (True, False):
        report = verify(data, fast=fast)
        assert report.problems == []
        assert (report.shards, report.samples) == (3, 70)
    assert report.fingerprint == read_manifest(data).fingerprint


def test_a_flipped_byte_is_found_in_every_dataset(data):
    path = data / "shards/000001.h5"
    pristine = path.read_bytes()
    with h5py.File(path) as file:
        places: dict[str, tuple[int, int]] = {}
        file.visititems(
            lambda name, item: (
                places.update({name: (item.id.get_offset(), item.id.get_storage_size())})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    assert {
        "images",
        "labels",
        "index",
        "params/theta_E",
        "perturbers/point_mass/offset",
    } <= set(places)
    for name, (offset, size) in places.items():
        path.write_bytes(pristine)
        flip(path, offset + size // 2)
        problems = verify(data).problems
        assert any(
            "shards/000001.h5" in line and f"dataset {name} " in line for line in problems
        ), (name, problems)


STORED = {
    "float32": {},
    "float16": {"storage": "float16"},
    "int16": {"storage": "int16"},
    "packed": {"storage": "int16", "compress": "bitshuffle-lz4"},
}


@pytest.mark.parametrize("way", without_dear(STORED, ["float16", "int16"]))
def test_a_flipped_byte_anywhere_is_found(tmp_path, pieces, way):
    """In datasets and between them; in records, also in white space."""
    if way == "packed":
        pytest.importorskip("hdf5plugin")
    folder = tmp_path / "D"
    pieces.make(folder, 20, 10, **STORED[way])
    write_json(
        folder / "leak_audit.json",
        {"fingerprint": read_manifest(folder).fingerprint, "auc": 1e-05},
    )
    assert verify(folder).problems == []
    places = read_record(folder, read_plan(folder), 1).datasets
    rng = np.random.default_rng(0)
    for name in (
        "shards/000001.h5",
        "shards/000001.json",
        "plan.json",
        "manifest.json",
        "leak_audit.json",
    ):
        pristine = (folder / name).read_bytes()
        for position in rng.integers(
            0, len(pristine), 200 if name.endswith(".h5") else 25
        ).tolist():
            bits = int(rng.integers(1, 256))
            flip(folder / name, position, bits)
            wanted = {
                "shards/000001.json": "shards/000001.h5: its sidecar 000001.json"
            }.get(name, name)
            if name.endswith(".h5"):
                hit = [
                    dataset
                    for dataset, record in places.items()
                    if any(
                        start <= position < start + size for start, size in record.places
                    )
                ]
                wanted += f": dataset {hit[0]} does not" if hit else ": the HDF5 structure"
            assert any(wanted in line for line in verify(folder).problems), (
                name,
                position,
                bits,
            )
            (folder / name).write_bytes(pristine)


def test_a_truncated_shard_names_what_was_lost(data):
    path = data / "shards/000002.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert any("truncated" in line for line in verify(data, fast=True).problems)
    assert any("000002.h5: dataset images " in line for line in verify(data).problems)


def test_missing_and_stray_files(data):
    (data / "shards/000000.h5").unlink()
    (data / "shards/notes.txt").write_text("")
    problems = verify(data, fast=True).problems
    assert "shards/000000.h5: the file is missing" in problems
    assert "shards/notes.txt: a file that no plan names" in problems


def test_no_data_set_at_all(tmp_path):
    assert "holds no data set" in verify(tmp_path).problems[0]
    assert "is no folder" in verify(tmp_path / "absent").problems[0]


def test_a_records_file_of_a_stranger_is_refused(data):
    document = json.loads((data / "manifest.json").read_text())
    document["n"] = 10**9
    (data / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(DataError, check=has_code("document-damaged")):
        read_manifest(data)
    (data / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(DataError, check=has_code("not-json")):
        read_manifest(data)


@pytest.mark.parametrize("link", ["external", "soft", "storage", "virtual"])
def test_shards_that_reach_out_of_themselves_are_refused(data, tmp_path, link):
    path = data / "shards/000000.h5"
    with h5py.File(path, "r+") as file:
        if link == "external":
            file["outside"] = h5py.ExternalLink("/etc/passwd", "/")
        elif link == "soft":
            file["outside"] = h5py.SoftLink("/images")
        elif link == "storage":
            (tmp_path / "raw").write_bytes(b"\0" * 80)
            file.create_dataset(
                "outside", (10,), "f8", external=[(str(tmp_path / "raw"), 0, 80)]
            )
        else:
            layout = h5py.VirtualLayout((2,), "f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (2,))
            file.create_virtual_dataset("outside", layout)
    with pytest.raises(
        DataError,
        match="a shard holds its own data only",
        check=has_code("shard-structure"),
    ):
        open_shard(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.attrs.__setitem__("schema", "other/1"), "its schema is 'other/1'"),
        (lambda f: f.__delitem__("labels"), "labels is missing"),
        (
            lambda f: (
                f.__delitem__("labels"),
                f.create_dataset("labels", data=np.zeros(3, int)),
            ),
            "labels has",
        ),
        (
            lambda f: (
                f.__delitem__("images"),
                f.create_dataset("images", data=np.zeros((32, 4))),
            ),
            "images is missing",
        ),
    ],
)
def test_shards_of_wrong_structure_are_refused(data, spoil, message):
    path = data / "shards/000000.h5"
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(DataError, match=message, check=has_code("shard-structure")):
        read_samples(path)


def test_no_shard_at_all(tmp_path):
    with pytest.raises(DataError, check=has_code("no-file")):
        open_shard(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(
        DataError, match="cannot be opened as HDF5", check=has_code("unreadable-shard")
    ):
        open_shard(tmp_path / "text.h5")
