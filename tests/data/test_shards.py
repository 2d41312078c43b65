"""Shards: what goes in comes out, bytes are reproducible, and plain h5py reads them."""

import h5py
import numpy as np
import pytest
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st

from lenssim.data.format.packing import pack
from lenssim.data.format.reading import read_samples
from lenssim.data.format.shard import content_sum, fingerprint_sum, image_digests
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.preset import load_preset
from lenssim.simulate.scenes import Perturbers


def test_round_trip(tiny_data):
    path = tiny_data / "shards/000001.h5"
    samples = read_samples(path)
    assert bytes(pack(samples)) == path.read_bytes()
    assert samples.class_names == ("no_sub", "cdm", "axion")
    np.testing.assert_array_equal(samples.labels, samples.index % 3)


def test_scenes_in_a_shard_are_those_that_were_drawn(tiny_data):
    samples = read_samples(tiny_data / "shards/000001.h5")
    preset = load_preset("III")
    drawn, kept = draw(preset, samples.index, seed=5), samples.scenes()
    assert kept.components == drawn.components
    assert kept.cosmology == drawn.cosmology
    for name, column in drawn.params.items():
        np.testing.assert_array_equal(kept.params[name], column)
    images = [
        engine("batched").render(scenes.take(slice(0, 3)), preset.instrument)
        for scenes in (drawn, kept)
    ]
    np.testing.assert_array_equal(*images)


def test_plain_h5py_reads_it(tiny_data):
    with h5py.File(tiny_data / "shards/000000.h5") as file:
        assert file["images"].shape == (32, 1, 64, 64)
        assert file["images"].dtype == np.float32
        assert file["images"].chunks is None
        assert file["params/theta_E"].attrs["units"] == "arcsec"
        assert file["perturbers/point_mass/theta_E"].attrs["units"] == "arcsec"
        assert file["perturbers/point_mass/offset"][-1] == len(
            file["perturbers/point_mass/theta_E"]
        )
        assert file.attrs["schema"] == "lenssim-shard/1"


def test_every_part_of_a_sample_counts_in_the_fingerprint(tiny_data):
    samples = read_samples(tiny_data / "shards/000000.h5")

    def content() -> int:
        return content_sum(samples, image_digests(samples.images.tobytes(), len(samples)))

    whole = content()
    for name, array in samples.datasets():
        if array.dtype.kind == "f":
            spot = np.flatnonzero(np.isfinite(array.ravel()))[0]
            before = array.ravel()[spot]
            array.reshape(-1)[spot] += 1
            assert content() != whole, name
            array.reshape(-1)[spot] = before
    assert content() == whole


def test_fingerprint_is_a_sum():
    top = f"{2**256 - 1:064x}"
    assert fingerprint_sum([top, f"{5:064x}"]) == f"{4:064x}"
    assert fingerprint_sum([]) == "0" * 64


@given(counts=st.lists(st.integers(0, 4), min_size=1, max_size=9), data=st.data())
def test_ragged_tables_take_and_concatenate(counts, data):
    total = sum(counts)
    table = Perturbers.from_counts(np.array(counts), theta_E=np.arange(total, dtype=float))
    rows = data.draw(st.lists(st.integers(0, len(counts) - 1), min_size=1, max_size=12))
    taken = table.take(np.array(rows))
    for k, row in enumerate(rows):
        np.testing.assert_array_equal(taken.of(k)["theta_E"], table.of(row)["theta_E"])
    parts = [table.take(np.array([i])) for i in range(len(counts))]
    together = Perturbers.concatenate(parts)
    np.testing.assert_array_equal(together.offset, table.offset)
    np.testing.assert_array_equal(together.columns["theta_E"], table.columns["theta_E"])


def test_imported_samples_have_no_scenes(tiny_data):
    samples = read_samples(tiny_data / "shards/000000.h5")
    del samples.attributes["components"]
    with pytest.raises(
        Exception, match="the scenes behind them are not known", check=has_code("no-scenes")
    ):
        samples.scenes()
