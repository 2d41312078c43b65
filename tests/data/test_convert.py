"""Published DeepLense folders in and out, and files from strangers."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from error_codes import has_code

from lenssim.data.exchange.export import export_npy
from lenssim.data.exchange.importers import import_folder
from lenssim.data.exchange.importing import Listeners
from lenssim.data.exchange.published import read_image, read_stack
from lenssim.data.format.manifest import read_manifest, shard_name
from lenssim.data.format.reading import read_samples
from lenssim.data.inspection.verification import verify
from lenssim.errors import ConfigError, DataError
from lenssim.formats.npy import load_npy


def image(seed: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).random((size, size))


def save_axion(path: Path, seed: int, mass: float, flat: bool = False) -> None:
    """As the published scripts do: an object array of the image and the axion's mass."""
    content = np.empty(2, dtype=object)
    content[0], content[1] = image(seed).ravel() if flat else image(seed), mass
    np.save(path, content, allow_pickle=True)


@pytest.fixture
def published(tmp_path) -> Path:
    folder = tmp_path / "Model_III"
    for name in ("axion", "cdm", "no_sub"):
        (folder / name).mkdir(parents=True)
    for i in range(4):
        np.save(folder / "no_sub" / f"no_sub_sim_{i}.npy", image(i))
    for i in range(3):
        np.save(
            folder / "cdm" / f"cdm_sim_{i}.npy", image(10 + i).ravel().astype(np.float32)
        )
        save_axion(
            folder / "axion" / f"axion_sim_{i}.npy",
            20 + i,
            10.0 ** (-23 - i / 10),
            flat=i == 2,
        )
    return folder


def test_import_keeps_pixels_masses_and_names(published, tmp_path):
    manifest = import_folder("deeplense", published, tmp_path / "D")
    assert manifest.classes == ("no_sub", "cdm", "axion")
    assert manifest.class_counts == {"no_sub": 4, "cdm": 3, "axion": 3}
    assert verify(tmp_path / "D").problems == []
    samples = read_samples(tmp_path / "D/shards" / shard_name(0))
    assert samples.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]  # classes take turns
    assert samples.texts["file"][:3] == [
        "no_sub/no_sub_sim_0.npy",
        "cdm/cdm_sim_0.npy",
        "axion/axion_sim_0.npy",
    ]
    np.testing.assert_array_equal(samples.images[2, 0], image(20).astype(np.float32))
    np.testing.assert_allclose(
        samples.params["log10_m_axion"][[2, 5, 8]], [-23, -23.1, -23.2]
    )
    assert np.isnan(samples.params["log10_m_axion"][[0, 1]]).all()
    assert (
        import_folder("deeplense", published, tmp_path / "D") == manifest
    )  # repeating changes nothing


def test_export_and_import_are_inverse(published, tmp_path):
    manifest = import_folder("deeplense", published, tmp_path / "D")
    export_npy(tmp_path / "D", tmp_path / "npy")
    assert sorted(p.name for p in (tmp_path / "npy").iterdir()) == [
        "axion",
        "cdm",
        "masses.csv",
        "no_sub",
    ]
    for path in (tmp_path / "npy").rglob("*.npy"):
        assert np.load(path, allow_pickle=False).shape == (64, 64)
    again = import_folder("deeplense", tmp_path / "npy", tmp_path / "E")
    assert again.class_counts == manifest.class_counts
    a, b = (read_samples(tmp_path / name / "shards" / shard_name(0)) for name in "DE")
    np.testing.assert_array_equal(a.images, b.images)
    np.testing.assert_array_equal(a.params["log10_m_axion"], b.params["log10_m_axion"])


def test_export_of_simulated_data(tiny_data, tmp_path):
    places = export_npy(tiny_data, tmp_path / "npy")
    assert [place.name for place in places] == ["no_sub", "cdm", "axion"]
    assert len(list((tmp_path / "npy").rglob("*.npy"))) == read_manifest(tiny_data).n
    assert len((tmp_path / "npy/masses.csv").read_text().splitlines()) == 1 + 23
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        export_npy(tiny_data, tmp_path / "npy")


def spoilt(kind: str) -> np.ndarray:
    bad = image(0)
    if kind == "NaN":
        bad[3, 4] = np.nan
    return {
        "NaN": bad,
        "flat": np.full((64, 64), 2.5),
        "shape": bad[:, :60],
        "vector": bad.ravel()[:4000],
    }[kind]


@pytest.mark.parametrize(
    ("kind", "message", "code"),
    [
        ("NaN", "1 of its pixels are NaN", "image-values"),
        ("flat", "is flat", "image-values"),
        ("shape", "square array", "image-shape"),
        ("vector", "square array", "image-shape"),
    ],
)
def test_bad_images_are_named_or_skipped(published, tmp_path, kind, message, code):
    np.save(published / "cdm" / "cdm_sim_1.npy", spoilt(kind))
    with pytest.raises(DataError, match=message, check=has_code(code)) as caught:
        import_folder("deeplense", published, tmp_path / "D")
    assert "cdm_sim_1.npy" in str(caught.value)
    heard: list[str] = []
    manifest = import_folder(
        "deeplense",
        published,
        tmp_path / "E",
        skip_bad=True,
        listeners=Listeners(warn=heard.append),
    )
    assert manifest.n == 9
    assert len(heard) == 1


def test_two_stamp_sizes_are_refused(published, tmp_path):
    np.save(published / "cdm" / "cdm_sim_2.npy", image(0, 150))
    with pytest.raises(
        ConfigError, match="import them apart", check=has_code("sizes-differ")
    ):
        import_folder("deeplense", published, tmp_path / "D")


def test_the_other_published_size(tmp_path):
    (tmp_path / "M/no_sub").mkdir(parents=True)
    np.save(tmp_path / "M/no_sub/a.npy", image(0, 150))
    assert import_folder("deeplense", tmp_path / "M", tmp_path / "D").image_shape == (
        1,
        150,
        150,
    )


def test_folders_that_are_none(tmp_path):
    with pytest.raises(DataError, check=has_code("no-folder")):
        import_folder("deeplense", tmp_path / "absent", tmp_path / "D")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match="no class folders", check=has_code("no-class-folders")
    ):
        import_folder("deeplense", tmp_path / "empty", tmp_path / "D")


def test_an_unreadable_folder_is_named(published, tmp_path):
    published.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)  # root reads everything: be nobody for a moment
    try:
        with pytest.raises(
            DataError,
            match=r"cannot read .*Permission denied",
            check=has_code("unreadable-file"),
        ):
            import_folder("deeplense", published, tmp_path / "D")
    finally:
        os.seteuid(os.getuid())
        published.chmod(0o755)


class Touch:
    """A pickle that would run a command if anybody let it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def npy_with_pickle(path: Path, payload: bytes) -> None:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }"
    padded = header + b" " * (63 - (10 + len(header)) % 64) + b"\n"
    path.write_bytes(
        b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + payload
    )


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_something_is_refused_and_not_run(tmp_path, protocol):
    path, trace = tmp_path / "evil.npy", tmp_path / "trace"
    npy_with_pickle(path, pickle.dumps([image(0), Touch(trace)], protocol=protocol))
    with pytest.raises(
        DataError, match=r"asks for (posix|nt)\.system", check=has_code("file-invalid")
    ):
        load_npy(path)
    assert not trace.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_honest_pickles_of_every_protocol_are_read(tmp_path, protocol):
    content = np.empty(2, dtype=object)
    content[0], content[1] = image(3), np.float64(3e-23)
    npy_with_pickle(tmp_path / "a.npy", pickle.dumps(content, protocol=protocol))
    read = read_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(read.pixels[0], image(3).astype(np.float32))
    assert read.mass == 3e-23


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps({"a": 1}),
        pickle.dumps(["text", 1.0]),
        pickle.dumps(np.array(["a", "b"])),
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"\x80\x04\x95" + b"\xff" * 8,
        b"garbage",
        b"",
    ],
)
def test_other_pickles_are_refused(tmp_path, payload):
    npy_with_pickle(tmp_path / "a.npy", payload)
    with pytest.raises(DataError, match=r"a\.npy", check=has_code("file-invalid")):
        load_npy(tmp_path / "a.npy")


def test_damaged_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", image(0))
    data = (tmp_path / "a.npy").read_bytes()
    for part in (data[:5], data[:40], data[:-8], b"", b"\x93NUMPY\x09\x00" + data[8:]):
        (tmp_path / "a.npy").write_bytes(part)
        with pytest.raises(DataError, match=r"a\.npy", check=has_code("file-invalid")):
            load_npy(tmp_path / "a.npy")
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    with pytest.raises(DataError, match="not numbers", check=has_code("file-invalid")):
        load_npy(tmp_path / "text.npy")


def test_impossible_masses_are_refused(tmp_path):
    for mass in (-1.0, 0.0, float("nan")):
        save_axion(tmp_path / "a.npy", 0, mass)
        with pytest.raises(
            DataError,
            match="axion mass must be a positive number",
            check=has_code("published-layout"),
        ):
            read_image(tmp_path / "a.npy")


def test_stacks_of_images(tmp_path):
    stack = np.stack([image(i) for i in range(3)])
    for shape in ((3, 64, 64), (3, 1, 64, 64)):
        np.save(tmp_path / "stack.npy", stack.reshape(shape))
        np.testing.assert_array_equal(read_stack(tmp_path / "stack.npy")[0][:, 0], stack)
    np.save(tmp_path / "one.npy", image(1))
    assert read_stack(tmp_path / "one.npy")[0].shape == (1, 1, 64, 64)


def test_the_published_file(shared_data):
    read = read_image(shared_data / "deeplense" / "no_sub.npy")
    assert read.pixels.shape == (1, 64, 64)
    assert read.pixels.max() == 1.0
    assert read.mass is None
