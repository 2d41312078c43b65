"""Images and shards are known by their hashes."""

import numpy as np
import pytest
from error_codes import has_code

from lenssim.data.exchange.export import export_npy
from lenssim.data.exchange.importers import import_folder
from lenssim.data.format.digests import shared_images
from lenssim.data.format.manifest import read_manifest
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import VerificationError


def spoil(path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize(
    "storage",
    [{}, {"storage": "int16"}, {"storage": "float16", "compress": "bitshuffle-lz4"}],
)
def test_copies_are_known_whatever_they_are_stored_in(tmp_path, pieces, storage):
    if "compress" in storage:
        pytest.importorskip("hdf5plugin")
    pieces.make(tmp_path / "A", 200, 70, **storage)
    export_npy(tmp_path / "A", tmp_path / "npy")
    import_folder("deeplense", tmp_path / "npy", tmp_path / "B")
    original = ShardDataset(tmp_path / "A")
    copy = ShardDataset(tmp_path / "B")
    digests = original.verified_digests(np.arange(200))
    assert digests.shape == (200, 32)
    assert digests.dtype == np.uint8
    assert shared_images(copy.verified_digests(copy.rows()), digests).all()
    assert not shared_images(digests[:100], digests[100:]).any()
    assert (original.verified_digests(np.array([150, 3])) == digests[[150, 3]]).all()
    assert original.verified_digests(np.array([], dtype=int)).shape == (0, 32)


def test_a_damaged_shard_is_refused_where_its_images_are_asked_for(tmp_path, pieces):
    pieces.make(tmp_path / "A", 30, 10)
    record = read_manifest(tmp_path / "A").shards[1].datasets["images"]
    spoil(tmp_path / "A/shards/000001.h5", record.offset + 100)
    dataset = ShardDataset(tmp_path / "A")
    assert len(dataset.verified_digests(np.arange(10))) == 10
    with pytest.raises(
        VerificationError,
        match=r"000001\.h5: dataset images does not hold what was written",
        check=has_code("damaged-data"),
    ):
        dataset.verified_digests(np.array([2, 10]))
