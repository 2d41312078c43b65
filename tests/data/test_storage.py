"""Storage: what rounding costs, what repacking keeps, and what others can read."""

import hashlib
import io
import itertools
import json
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lenssim.data.exchange.export import export_fits, export_webdataset
from lenssim.data.format import dither
from lenssim.data.format.dither import DITHERS, EARLIEST_DITHER, NEWEST_DITHER
from lenssim.data.format.manifest import read_plan
from lenssim.data.format.reading import decoded, open_shard, read_samples
from lenssim.data.format.storage import (
    STORAGES,
    are_finite,
    decode,
    encode,
    error_bound,
    noise_level,
)
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.repacking import repack
from lenssim.data.inspection.resimulation import resimulate
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError
from lenssim.simulate.preset import load_preset

pytest.importorskip("hdf5plugin")
ROUNDED = ("float16", "int16")
FIRST_DITHER = {  # the digests of version 0.1
    "float16": "c4d4732ae66b5afca37fa2ad9fbd6acd3f14062085bdba65460dd7e60e3f6695",
    "int16": "6475ff6cfdf5338d5eb88e4710f821aa972fb6d2e552ef3f8d5ee103e9b1a3ca",
}
KINDS = [(storage, compress) for storage in STORAGES for compress in (False, True)]
pixels = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@pytest.mark.parametrize("storage", STORAGES)
@given(arrays(np.float32, (2, 2, 4, 4), elements=pixels), st.integers(0, 2**40))
def test_the_error_is_bounded(storage, images, number):
    stored, scale = encode(images, np.array([number, number + 1]), storage)
    again = decode(stored, scale)
    assert stored.dtype == storage
    assert again.dtype == np.float32
    error = np.abs(again.astype(np.float64) - images)
    assert (error <= error_bound(images.astype(np.float64), scale, storage)).all()


def noisy(count: int, sigma: float = 0.01) -> np.ndarray:
    x = np.linspace(-10, 10, 32)
    blob = np.exp(-(x[:, None] ** 2) - x**2)
    rng = np.random.default_rng(4)
    return (blob + sigma * rng.standard_normal((count, 1, 32, 32))).astype(np.float32)


def test_the_noise_is_found_among_the_objects():
    np.testing.assert_allclose(noise_level(noisy(50)).mean(), 0.01, rtol=0.15)


def test_int16_steps_are_an_eighth_of_the_noise():
    """So that rounding with dither adds at most a part in 4 * 64 to the noise's variance."""
    images = noisy(50)
    stored, scale = encode(images, np.arange(50), "int16")
    np.testing.assert_allclose(scale, noise_level(images) / 8, rtol=1e-6)
    error = decode(stored, scale) - images
    assert error.var() < 0.01**2 / (4 * 64)


@pytest.mark.parametrize("stream", sorted(DITHERS))
@pytest.mark.parametrize("storage", ROUNDED)
def test_dither_leaves_means_alone(storage, stream):
    """A value between two steps, stored under many numbers: the mean is the value, not a step."""
    value = np.full((4000, 1, 2, 2), 0.12347, np.float32)
    value[:, :, 0, 0] = 100.0  # the peak, which sets the scale
    stored, scale = encode(value, np.arange(4000), storage, stream)
    values = decode(stored, scale)[:, 0, 1, 1].astype(np.float64)
    step = np.ptp(values)
    assert step > 0
    assert abs(values.mean() - 0.12347) < 4 * step / np.sqrt(4000)


@pytest.mark.parametrize("stream", sorted(DITHERS))
@pytest.mark.parametrize("storage", ROUNDED)
def test_bits_depend_on_image_and_number_alone(storage, stream):
    images = noisy(6)
    whole, scale = encode(images, np.arange(6), storage, stream)
    for start in range(6):
        part, own = encode(images[start:], np.arange(start, 6), storage, stream)
        np.testing.assert_array_equal(part, whole[start:])
        np.testing.assert_array_equal(own, scale[start:])


@pytest.mark.parametrize("stream", sorted(DITHERS))
@pytest.mark.parametrize("storage", ROUNDED)
def test_the_dither_differs_by_number_and_pixel(storage, stream):
    value = np.full((2, 2, 16, 16), 1.2345678, np.float32)
    value[:, :, 0, 0] = 1000.0  # the peak, which sets the scale
    stored, _ = encode(value, np.array([3, 1 << 33]), storage, stream)
    parts = [*stored[0, :, 1:9], *stored[0, :, 8:], *stored[1, :, 1:9], *stored[1, :, 8:]]
    for first, second in itertools.combinations(parts, 2):
        assert first.tobytes() != second.tobytes()


@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 2, 3), (2, 17, 31), (1, 64, 64)])
@pytest.mark.parametrize("storage", ROUNDED)
def test_compiled_and_numpy_round_to_the_same_bits(monkeypatch, storage, shape):
    """From the largest pixel down to the subnormal numbers of float16 and to nothing."""
    if dither._compiled() is None:
        pytest.skip("there is no C++ compiler here")
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, *shape)) * 10.0 ** rng.integers(-12, 4, (4, *shape))
    images = images.astype(np.float32)
    numbers = np.array([0, 5, 3, 1 << 40])
    compiled, scale = encode(images, numbers, storage)
    monkeypatch.setattr(dither, "_compiled", lambda: None)
    by_numpy, again = encode(images, numbers, storage)
    assert compiled.tobytes() == by_numpy.tobytes()
    assert scale.tobytes() == again.tobytes()


@pytest.mark.parametrize(("storage", "digest"), FIRST_DITHER.items())
def test_the_dither_of_earlier_versions_keeps_its_bits(storage, digest):
    rng = np.random.default_rng(4)
    sigma = np.array([1, 1e-3, 50, 0, 7])[:, None, None, None]
    images = (rng.standard_normal((5, 2, 9, 7)) * sigma).astype(np.float32)
    numbers = np.array([0, 7, 64, 1 << 35, 3])
    stored, scale = encode(images, numbers, storage, EARLIEST_DITHER)
    assert hashlib.sha256(stored.tobytes() + scale.tobytes()).hexdigest() == digest


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_seen_without_decoding(storage, value):
    stored, scale = encode(noisy(3), np.arange(3), storage)
    assert are_finite(stored, scale).tolist() == [True, True, True]
    damaged = stored.copy()
    if storage == "int16":
        scale[1] = value
    else:
        damaged[1, 0, 3, 4] = value
    with np.errstate(invalid="ignore"):  # 0 * inf
        expected = np.isfinite(decode(damaged, scale)).all(axis=(1, 2, 3))
    assert are_finite(damaged, scale).tolist() == expected.tolist() == [True, False, True]


@pytest.mark.parametrize("storage", ROUNDED)
def test_a_scale_that_is_too_large_is_seen(storage):
    stored, scale = encode(-np.abs(noisy(2)), np.arange(2), storage)
    scale[0] = 3e38
    assert are_finite(stored, scale).tolist() == [False, True]


def test_an_unknown_dither_is_named():
    with pytest.raises(ConfigError, check=has_code("unknown-dither", suggestion="philox")):
        make_plan(load_preset("III"), 6, storage="int16", dither_stream="philx")


@pytest.mark.parametrize("storage", ROUNDED)
def test_a_data_set_goes_on_with_the_dither_that_it_began_with(tmp_path, storage):
    def make(folder: Path, n: int, **options) -> str:
        plan = make_plan(load_preset("III"), n, shard_size=3, storage=storage, **options)
        return generate(folder, plan).fingerprint

    old = make(tmp_path / "old", 6, dither_stream=EARLIEST_DITHER)
    make(tmp_path / "grown", 3, dither_stream=EARLIEST_DITHER)
    assert "dither_stream" not in read_plan(tmp_path / "grown").config
    assert make(tmp_path / "grown", 6) == old  # with no stream asked for
    assert resimulate(tmp_path / "grown", 6)[1] == []
    assert make(tmp_path / "new", 6) != old
    assert read_plan(tmp_path / "new").config["dither_stream"] == NEWEST_DITHER
    repack(tmp_path / "old", tmp_path / "packed", storage, True)
    assert "dither_stream" not in read_plan(tmp_path / "packed").config
    assert verify(tmp_path / "packed").fingerprint == old


def test_what_is_not_rounded_names_no_dither():
    plans = [make_plan(load_preset("III"), 6, dither_stream=stream) for stream in DITHERS]
    assert plans[0].config_hash == plans[1].config_hash


@pytest.mark.parametrize("value", [0.0, 1e-30, 3.0, -5.0])
@pytest.mark.parametrize("storage", STORAGES)
def test_flat_images_stay_flat_enough(storage, value):
    images = np.full((1, 1, 4, 4), value, np.float32)
    stored, scale = encode(images, np.array([0]), storage)
    assert np.isfinite(decode(stored, scale)).all()
    assert (
        np.abs(decode(stored, scale) - images)
        <= error_bound(images, scale, storage) + 2e-38
    ).all()


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[tuple[str, bool], Path]:
    """The same 150 samples in every storage."""
    home, found = tmp_path_factory.mktemp("sets"), {}
    for storage, compress in KINDS:
        folder = found[storage, compress] = home / f"{storage}-{compress}"
        options = {"seed": 5, "shard_size": 64, "storage": storage, "compress": compress}
        generate(folder, make_plan(load_preset("III"), 150, **options))
    return found


@pytest.mark.parametrize(("storage", "compress"), KINDS)
def test_every_storage_holds_the_same_sky(sets, storage, compress):
    folder = sets[storage, compress]
    assert verify(folder).problems == []
    assert resimulate(folder, 5) == (resimulate(folder, 5)[0], [])
    exact, stored = ShardDataset(sets["float32", False]), ShardDataset(folder)
    assert stored.index.tolist() == exact.index.tolist()
    rows = np.array([3, 149, 64, 63, 3, 100])
    here, true = stored.images(rows), exact.images(rows)
    assert here.dtype == np.float32
    for i, row in enumerate(rows):
        samples = read_samples(folder / "shards" / f"{row // 64:06d}.h5")
        scale = None if samples.scale is None else samples.scale[row % 64][None]
        bound = error_bound(true[i][None].astype(np.float64), scale, storage)
        assert (np.abs(here[i] - true[i])[None] <= bound).all()
    np.testing.assert_array_equal(
        stored.images(np.arange(150)[::-1])[::-1], stored.images(np.arange(150))
    )


def test_fingerprints_tell_storages_apart_but_not_compression(sets):
    prints = {kind: verify(folder).fingerprint for kind, folder in sets.items()}
    for storage in STORAGES:
        assert prints[storage, False] == prints[storage, True]
    assert len(set(prints.values())) == len(STORAGES)


def test_sizes(sets):
    sizes = {
        kind: sum(path.stat().st_size for path in (f / "shards").glob("*.h5"))
        for kind, f in sets.items()
    }
    assert sizes["float16", False] < 0.6 * sizes["float32", False]
    assert sizes["int16", True] < 0.4 * sizes["float32", False]


@pytest.mark.parametrize(("storage", "compress"), KINDS)
def test_repacking_is_generating(sets, tmp_path, storage, compress):
    repack(sets["float32", False], tmp_path / "D", storage, compress)
    for path in sorted(sets[storage, compress].rglob("*.*")):
        again = tmp_path / "D" / path.relative_to(sets[storage, compress])
        assert again.read_bytes() == path.read_bytes(), path


def test_what_was_rounded_stays_so(sets, tmp_path):
    repack(sets["int16", True], tmp_path / "D", "int16", False)
    assert verify(tmp_path / "D").fingerprint == verify(sets["int16", False]).fingerprint
    for storage in ("float32", "float16"):
        with pytest.raises(
            ConfigError,
            match="is stored as int16: it stays so",
            check=has_code("storage-fixed", source_storage="int16"),
        ):
            repack(sets["int16", True], tmp_path / "E", storage, False)


def test_the_command_line_repacks_and_exports(sets, tmp_path, lenssim):
    done = lenssim(
        "repack", sets["float32", False], "--out", "D", "--storage", "int16", "--compress"
    )
    assert done.code == 0, done.err
    assert verify(sets["int16", True]).fingerprint in done.out
    assert (
        lenssim("verify", "D", "--resimulate", 3).out.count(
            "3 samples made again and equal to the bit"
        )
        == 1
    )
    assert lenssim("repack", "D", "--out", "E", "--storage", "int8").code == 2
    assert lenssim("export", "D", "--to", "fits", "--out", "F").code == 0
    assert lenssim("export", "D", "--to", "webdataset", "--out", "F").code == 2
    refused = lenssim(
        "generate",
        "--model",
        "III",
        "--n",
        150,
        "--seed",
        5,
        "--out",
        "D",
        "--storage",
        "float16",
    )
    assert "storage: int16 there, float16 asked for" in refused.err


def test_a_flipped_byte_in_a_compressed_shard_is_named(sets, tmp_path):
    import shutil

    folder = Path(shutil.copytree(sets["int16", True], tmp_path / "D"))
    path = folder / "shards/000001.h5"
    pristine = path.read_bytes()
    with h5py.File(path) as file:
        chunk = file["images"].id.get_chunk_info(0)
        scale = file["scale"].id.get_offset()
    for name, position in (
        ("images", chunk.byte_offset + chunk.size // 2),
        ("scale", scale + 3),
    ):
        damaged = bytearray(pristine)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert any(
            f"shards/000001.h5: dataset {name} " in line for line in verify(folder).problems
        )


def test_compression_bombs_and_other_filters_are_refused(tmp_path, sets):
    import shutil

    for name, options in {
        "gzip": {
            "data": np.zeros((64, 1, 64, 64), np.float32),
            "chunks": True,
            "compression": "gzip",
        },
        "absent": {
            "shape": (64, 1, 20_000, 20_000),
            "dtype": "f4",
            "chunks": (1, 1, 64, 64),
        },
        "huge": {"shape": (64, 1, 30_000, 30_000), "dtype": "f4"},
        "double": {"data": np.zeros((64, 1, 64, 64))},
    }.items():
        path = Path(
            shutil.copy(
                sets["float32", False] / "shards/000000.h5", tmp_path / f"{name}.h5"
            )
        )
        with h5py.File(path, "r+") as file:
            del file["images"]
            file.create_dataset("images", **options)
        with pytest.raises(
            DataError, match=rf"{name}\.h5", check=has_code("shard-structure")
        ) as error:
            open_shard(path)
        assert "images" in str(error.value)


@pytest.mark.parametrize("kind", [("float32", False), ("int16", True)])
def test_exports_hold_what_the_shards_hold(sets, tmp_path, kind):
    dataset = ShardDataset(sets[kind])
    for path in export_fits(sets[kind], tmp_path / "fits"):
        with fits.open(path, checksum=True) as units:
            rows = units["SAMPLES"].data["index"].astype(int)
            np.testing.assert_array_equal(units[0].data, dataset.images(rows))
            np.testing.assert_array_equal(
                units["SAMPLES"].data["label"], dataset.labels[rows]
            )
            np.testing.assert_array_equal(
                units["SAMPLES"].data["theta_E"], dataset.params["theta_E"][rows]
            )
            assert units["SAMPLES"].columns["theta_E"].unit == "arcsec"
            assert units[0].header["BUNIT"] == "electron/s"
    seen = []
    for path in export_webdataset(sets[kind], tmp_path / "tar"):
        with tarfile.open(path) as tar:
            content = {
                member.name: tar.extractfile(member).read() for member in tar.getmembers()
            }
        for name in sorted(name for name in content if name.endswith(".npy")):
            number = int(name.removesuffix(".npy"))
            image = np.load(io.BytesIO(content[name]))
            np.testing.assert_array_equal(image, dataset.images(np.array([number]))[0])
            assert int(content[f"{number:09d}.cls"]) == dataset.labels[number]
            about = json.loads(content[f"{number:09d}.json"])
            assert about["params"]["theta_E"] == dataset.params["theta_E"][number]
            seen.append(number)
    assert seen == dataset.index.tolist()


def test_decoded_rows(sets):
    with open_shard(sets["int16", True] / "shards/000000.h5") as file:
        np.testing.assert_array_equal(decoded(file, 5), decoded(file)[5])
