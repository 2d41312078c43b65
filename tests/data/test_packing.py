"""The bytes of a shard are laid out around arrays that are never copied."""

import hashlib
import json

import h5py
import numpy as np
import pytest
from error_codes import has_code

from lenssim.data.format.digests import check_shard, holds, is_whole
from lenssim.data.format.packing import pack, write_shard
from lenssim.data.format.reading import read_samples
from lenssim.data.format.records import ShardRecord
from lenssim.errors import VerificationError


@pytest.fixture
def samples(tiny_data):
    samples = read_samples(tiny_data / "shards/000001.h5")
    maps = {"clean": np.arange(samples.images.size, dtype="f4")}
    return type(samples)(
        **{
            **vars(samples),
            "truth": {
                name: values.reshape(samples.images.shape) for name, values in maps.items()
            },
        }
    )


def record_of(packed) -> ShardRecord:
    return ShardRecord.model_validate(json.loads(json.dumps(packed.record)))


@pytest.mark.parametrize("compress", [False, True])
def test_hdf5_finds_every_dataset_where_the_record_says(tmp_path, samples, compress):
    if compress:
        pytest.importorskip("hdf5plugin")
    samples = samples.packed(compress)
    packed = pack(samples)
    write_shard(tmp_path / "x.h5", packed)
    data = (tmp_path / "x.h5").read_bytes()
    assert data == bytes(packed)
    assert len(data) == packed.record["bytes"]
    back = read_samples(tmp_path / "x.h5")
    np.testing.assert_array_equal(back.images, samples.images)
    np.testing.assert_array_equal(back.truth["clean"], samples.truth["clean"])
    with h5py.File(tmp_path / "x.h5") as file:
        for name, array in samples.datasets():
            np.testing.assert_array_equal(file[name][...], array)
            ((offset, size), *more) = packed.pieces[name]
            if not more and not (compress and name == "images"):
                assert data[offset : offset + size] == array.tobytes(), name


def test_images_are_not_copied(samples):
    stored = samples.images
    (place,) = [part for part in pack(samples).parts if len(part) == stored.nbytes][:1]
    assert np.shares_memory(np.frombuffer(place, stored.dtype), stored)


def test_the_hashes_of_a_record_cover_every_byte(tmp_path, samples):
    packed = pack(samples)
    record = record_of(packed)
    assert record.file_sha256 is None
    data = bytes(packed)
    assert holds(data, record)
    offset, size = packed.pieces["images"][0]
    positions = {
        0,
        100,
        offset - 1,
        offset,
        offset + size - 1,
        offset + size,
        len(data) - 1,
    }
    positions |= set(np.random.default_rng(0).integers(len(data), size=40).tolist())
    for position in positions:
        changed = bytearray(data)
        changed[position] ^= 1
        assert not holds(bytes(changed), record), position
    assert not holds(data[:-1], record)
    assert not holds(data + b"\0", record)
    (tmp_path / "x.h5").write_bytes(data)
    assert is_whole(tmp_path / "x.h5", record)
    check_shard(tmp_path / "x.h5", record)
    (tmp_path / "x.h5").write_bytes(data[:offset] + bytes(size) + data[offset + size :])
    with pytest.raises(
        VerificationError, match="dataset images", check=has_code("damaged-data")
    ):
        check_shard(tmp_path / "x.h5", record)


def test_a_record_of_an_earlier_version_has_the_hash_of_the_file(samples):
    packed = pack(samples)
    data = bytes(packed)
    old = {name: value for name, value in packed.record.items() if name != "frame_sha256"}
    record = ShardRecord.model_validate(
        {**old, "file_sha256": hashlib.sha256(data).hexdigest()}
    )
    assert holds(data, record)
    assert not holds(data[:-1] + b"!", record)
    assert "frame_sha256" not in record.model_dump(mode="json")
    for wrong in (old, {**packed.record, "file_sha256": "0" * 64}):
        with pytest.raises(ValueError, match="one of file_sha256 and frame_sha256"):
            ShardRecord.model_validate(wrong)
