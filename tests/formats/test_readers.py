"""The strict readers: what strangers' files may hold, in every format, and who reads by them."""

import gzip
import io
import pickle
import tracemalloc
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code
from pydantic import ValidationError

from lenssim.data.exchange.published import read_image, read_stack
from lenssim.errors import ConfigError, DataError
from lenssim.formats.files import read_content
from lenssim.formats.fits import read_fits, read_fits_images
from lenssim.formats.npz import read_npz
from lenssim.simulate.instruments import PixelPSF
from lenssim.simulate.sources.galaxies import Galaxies

SIDE = 16


def image(seed: int = 0, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).random((side, side))


def npy(shape: str, descr: str = "'<f8'", body: bytes = b"") -> bytes:
    """A .npy file of any header and body."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def nested(depth: int, width: int) -> bytes:
    """A pickle of lists `depth` deep, whose entries are `width` references to one list: small, and huge if followed."""
    entries: list = [1.0] * width
    for _ in range(depth - 1):
        entries = [entries] * width
    return npy("(1,)", "'|O'", pickle.dumps(entries))


def circle() -> bytes:
    entries: list = []
    entries.append(entries)
    return npy("(1,)", "'|O'", pickle.dumps(entries))


def repeated_text() -> bytes:
    """A pickle that turns one text into bytes again and again: 64 KiB of it would become gigabytes."""
    text = "x" * 65536
    call = b"c_codecs\nencode\n"
    once = b"h\x01h\x00\x86R0"
    return npy(
        "(1,)", "'|O'", b"\x80\x02" + call + b"q\x000X" + (65536).to_bytes(4, "little") + text.encode() + b"q\x010"
        + once * 40_000 + b"K\x01."
    )  # fmt: skip


def fits_bytes(array: np.ndarray | None = None, *units: fits.ImageHDU) -> bytes:
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(array), *units]).writeto(buffer)
    return buffer.getvalue()


def changed(old: bytes, new: bytes) -> bytes:
    data = fits_bytes(image())
    assert old in data
    return data.replace(old, new.ljust(len(old))[: len(old)], 1)


def zeros_packed(megabytes: int) -> bytes:
    """A .fits.gz of one image of zeros, some hundredths of its size."""
    header = fits.PrimaryHDU(np.zeros((2, 2), np.float32)).header
    header["NAXIS1"] = header["NAXIS2"] = int((megabytes * 2**20 / 4) ** 0.5)
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb", compresslevel=1) as packed:
        packed.write(header.tostring().encode())
        for _ in range(megabytes):
            packed.write(bytes(2**20))
    return buffer.getvalue()


def tiles_of_zeros() -> bytes:
    unit = fits.CompImageHDU(
        np.zeros((4200, 4200), np.int16), compression_type="GZIP_1", tile_shape=(4200, 4200)
    )
    return fits_bytes(None, unit)


def npz(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def table() -> bytes:
    buffer = io.BytesIO()
    unit = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.ones(3))])
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(buffer)
    return buffer.getvalue()


HOSTILE = {
    "huge shape.npy": lambda: npy("(100000000000, 64)"),
    "negative side.npy": lambda: npy("(-1, 64)", body=bytes(512 * 8)),
    "sixty axes.npy": lambda: npy(f"({'1, ' * 60})", body=bytes(8)),
    "deep header.npy": lambda: npy("(" * 300 + ")" * 300),
    "void.npy": lambda: saved(np.zeros(3, "V7")),
    "records.npy": lambda: saved(np.zeros((SIDE, SIDE), [("a", "f4")])),
    "dates.npy": lambda: saved(np.zeros((SIDE, SIDE), "M8[s]")),
    "complex.npy": lambda: saved(np.zeros((SIDE, SIDE), complex)),
    "text.npy": lambda: saved(np.full((SIDE, SIDE), "a")),
    "two arrays.npy": lambda: saved(image()) + saved(image(1)),
    "truncated.npy": lambda: saved(image())[:-9],
    "version.npy": lambda: b"\x93NUMPY\x09\x00" + saved(image())[8:],
    "long header.npy": lambda: b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    "archive.npy": lambda: npz(image=saved(image())),
    "nothing.npy": lambda: b"",
    "nested.npy": lambda: nested(12, 12),
    "wide.npy": lambda: nested(7, 40),
    "circle.npy": circle,
    "repeated text.npy": repeated_text,
    "memo.npy": lambda: npy("(2,)", "'|O'", b"\x80\x02]r\xff\xff\xff\x7f."),
    "long bytes.npy": lambda: npy(
        "(2,)", "'|O'", b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"."
    ),
    "after the pickle.npy": lambda: npy(
        "(2,)", "'|O'", pickle.dumps([image(), 1.0]) + b"x"
    ),
    "array.npz": lambda: saved(image()),
    "truncated.npz": lambda: npz(image=saved(image()))[:-30],
    "zeros.npz": lambda: npz(image=npy("(4200, 4200)", body=bytes(4200 * 4200 * 8))),
    "two arrays.npz": lambda: npz(a=saved(image()), b=saved(image())),
    "pickle.npz": lambda: npz(image=nested(12, 12)),
    "empty.npz": lambda: npz(),
    "text.fits": lambda: b"no fits",
    "nothing.fits": lambda: b"",
    "type 17.fits": lambda: changed(b"                 -64", b"                  17"),
    "huge axis.fits": lambda: changed(
        b"NAXIS1  =                   16", b"NAXIS1  =        1600000000000"
    ),
    "negative axis.fits": lambda: changed(
        b"NAXIS1  =                   16", b"NAXIS1  =                  -16"
    ),
    "many axes.fits": lambda: changed(
        b"NAXIS   =                    2", b"NAXIS   =                  999"
    ),
    "endless header.fits": lambda: changed(b"END  ", b"ENX  ")[:2880] * 5,
    "truncated.fits": lambda: fits_bytes(image(0, 40))[:9000],
    "table.fits": table,
    "no data.fits": lambda: fits_bytes(),
    "two images.fits": lambda: fits_bytes(image(), fits.ImageHDU(image(), name="RMS")),
    "zeros.fits.gz": lambda: zeros_packed(150),
    "packed twice.fits.gz": lambda: gzip.compress(gzip.compress(fits_bytes(image()))),
    "zeros.fits.fz": tiles_of_zeros,
}
MOST_MEMORY = 320 << 20  # bytes; a packed file may become 128 MiB, and is copied once


@pytest.fixture(params=HOSTILE)
def hostile(request, tmp_path) -> Path:
    path = tmp_path / request.param
    path.write_bytes(content_of(request.param))
    return path


@cache
def content_of(name: str) -> bytes:
    return HOSTILE[name]()


def test_hostile_files_are_refused_by_name_before_they_fill_the_memory(hostile):
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            read_content(hostile)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert hostile.name in str(caught.value)
    assert peak < MOST_MEMORY


def test_galaxies_and_kernels_go_through_the_same_readers(hostile):
    if hostile.name == "two images.fits":
        pytest.skip("a file of several galaxies is what galaxies may be")
    with pytest.raises((ConfigError, ValidationError), match="galax"):
        Galaxies.model_validate(str(hostile)).images()
    with pytest.raises(ValidationError, match="cannot read the kernel") as caught:
        PixelPSF.model_validate({"kernel": str(hostile)})
    assert hostile.name in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "loop.npy").symlink_to("loop.npy")
    for name in ("folder.npy", "loop.npy", "nowhere.npy", "nowhere.fits", "nowhere.npz"):
        with pytest.raises(DataError, match=name):
            read_content(tmp_path / name)
    with pytest.raises(DataError, match="no regular file", check=has_code("file-invalid")):
        read_fits(Path("/dev/null"))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2", "|u1", "|b1", "<f2"])
def test_honest_arrays_are_read_as_numpy_reads_them(tmp_path, order, dtype):
    array = np.asarray(10 * image(), dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", array)
    for name in ("a.npy", "a.npz"):
        value = read_content(tmp_path / name).value
        np.testing.assert_array_equal(value, array)
        assert value.dtype == array.dtype


def test_honest_fits_files_are_read_packed_or_not(tmp_path):
    array = image().astype(np.float32)
    fits.writeto(tmp_path / "a.fits", array)
    fits.writeto(tmp_path / "a.fits.gz", array)
    (tmp_path / "a.fits.fz").write_bytes(
        fits_bytes(None, fits.CompImageHDU((100 * array).astype(np.int32)))
    )
    for name, factor in {"a.fits": 1, "a.fits.gz": 1, "a.fits.fz": 100}.items():
        expected = array if factor == 1 else (100 * array).astype(np.int32)
        np.testing.assert_array_equal(read_content(tmp_path / name).value, expected)


def test_one_image_of_several_is_chosen_by_name_or_number(tmp_path):
    units = {"ERR": image(1), "SCI": image(2), "VIS": image(3)}
    path = tmp_path / "a.fits"
    path.write_bytes(
        fits_bytes(
            None, *(fits.ImageHDU(array, name=name) for name, array in units.items())
        )
    )
    for extension, name in {None: "SCI", "vis": "VIS", "1": "ERR", "SCI": "SCI"}.items():
        chosen = read_fits(path, extension)
        np.testing.assert_array_equal(chosen.array, units[name])
        assert chosen.remark.startswith(f"took {name}, not ")
    with pytest.raises(
        DataError,
        match=r"no image 'DQ'; it has 1 \(ERR\), 2 \(SCI\), 3 \(VIS\)",
        check=has_code("file-invalid"),
    ):
        read_fits(path, "DQ")
    path.write_bytes(
        fits_bytes(
            image(),
            fits.ImageHDU(image(1), name="A"),
            fits.ImageHDU(image(2), name="A", ver=2),
        )
    )
    with pytest.raises(
        DataError,
        match=r"holds 3 images: 0 \(PRIMARY\), 1 \(A,1\), 2 \(A,2\); choose one by",
        check=has_code("file-invalid"),
    ):
        read_fits(path)
    np.testing.assert_array_equal(read_fits(path, "A,2").array, image(2))
    assert [len(array) for array in read_fits_images(path)] == [SIDE] * 3


def test_one_array_of_several_is_chosen_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", image=image(), label=1)
    array, remark = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(array, image())
    assert remark == "took 'image', not 'label'"
    np.savez(tmp_path / "b.npz", clean=image(), noisy=image(1))
    np.testing.assert_array_equal(read_npz(tmp_path / "b.npz", "noisy")[0], image(1))
    for name, message in {
        None: "choose one by --extension NAME",
        "dirty": "it holds clean, noisy",
    }.items():
        with pytest.raises(DataError, match=message, check=has_code("file-invalid")):
            read_npz(tmp_path / "b.npz", name)


SHAPES = {
    (SIDE, SIDE): (1, 1),
    (1, 1, SIDE, SIDE): (1, 1),
    (SIDE, SIDE, 1): (1, 1),
    (1, SIDE, SIDE, 1): (1, 1),
    (SIDE * SIDE,): (1, 1),
    (1, SIDE * SIDE): (1, 1),
    (3, SIDE, SIDE): (3, 1),
    (2, 1, SIDE, SIDE): (2, 1),
    (2, 1, 1, SIDE, SIDE): (2, 1),
}


@pytest.mark.parametrize("ending", ["npy", "npz", "fits"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_axes_of_length_one_are_dropped_in_every_format(tmp_path, ending, shape):
    array = np.random.default_rng(0).random(shape)
    path = tmp_path / f"a.{ending}"
    if ending == "fits":
        fits.writeto(path, array)
    else:
        np.save(path, array) if ending == "npy" else np.savez(path, array)
    stack = read_stack(path)
    assert stack.images.shape == (*SHAPES[shape], SIDE, SIDE)
    np.testing.assert_array_equal(stack.images.ravel(), array.ravel())
    assert ("3 images of one band" in stack.remark) == (shape == (3, SIDE, SIDE))


@pytest.mark.parametrize(
    ("shape", "bands", "message"),
    [
        ((SIDE, SIDE, 3), 1, "3 bands seem to come last"),
        ((SIDE, SIDE, 3), 3, "3 bands seem to come last"),
        ((2, SIDE, SIDE, 3), 3, "3 bands seem to come last"),
        ((1, 3, SIDE, SIDE), 1, "have 3 bands, but 1 is wanted"),
        ((SIDE, SIDE), 3, "have 1 bands, but 3 are wanted"),
        ((SIDE, SIDE - 1), 1, "square array"),
        ((0, SIDE, SIDE), 1, "holds no image"),
        ((2, 2), 1, "square array"),
        ((), 1, "square array"),
    ],
)
def test_shapes_that_are_no_images(tmp_path, shape, bands, message):
    np.save(tmp_path / "a.npy", np.ones(shape))
    with pytest.raises(DataError, match=message, check=has_code("image-shape")):
        read_stack(tmp_path / "a.npy", bands=bands)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (image() * 1e39, "more than float32 can hold"),
        (np.full((SIDE, SIDE), 1e39), "more than float32 can hold"),
        (image() * 1e-47, "which float32 cannot tell apart"),
        (image() * 1e-44, "which float32 cannot tell apart"),
        (2**40 + (100 * image()).astype(np.int64), "which float32 cannot tell apart"),
        (2**62 + (100 * image()).astype(np.int64), "which float32 cannot tell apart"),
        (np.where(image() > 0.5, np.nan, 1.0), "are NaN or infinite"),
        (np.ones((SIDE, SIDE)), "is flat"),
    ],
)
def test_pixels_are_checked_as_they_will_be_kept(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=message, check=has_code("image-values")):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize("offset", [0, 1e5, -40])
@pytest.mark.parametrize("factor", [1e-35, 1, 1e6])
def test_pixels_that_float32_holds_are_kept(tmp_path, offset, factor):
    np.save(tmp_path / "a.npy", (image() + offset) * factor)
    np.testing.assert_allclose(
        read_image(tmp_path / "a.npy").pixels[0], (image() + offset) * factor, rtol=1e-6
    )


def objects(*entries: object) -> np.ndarray:
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


@pytest.mark.parametrize(
    ("content", "mass", "label"),
    [
        (objects(image(), 1e-23), 1e-23, None),
        (objects(image(), 2), None, 2),
        (objects(image().ravel(), 2), None, 2),
        (objects(*image()), None, None),
        (objects(*image(), 1), None, 1),
        (objects(*image(), 3e-24), 3e-24, None),
        (objects(*image().ravel()), None, None),
        (objects(*image().ravel(), 0), None, 0),
        (np.append(image().ravel(), 0.0), None, 0),
        (np.append(image().ravel(), 1e-23), 1e-23, None),
        (objects(list(image()), 1), None, 1),
    ],
)
def test_arrays_of_objects_are_image_and_mass_or_label(tmp_path, content, mass, label):
    np.save(tmp_path / "a.npy", content, allow_pickle=True)
    read = read_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(read.pixels[0], image().astype(np.float32))
    assert (read.mass, read.label) == (mass, label)


@pytest.mark.parametrize(
    "content",
    [
        objects(image(), image()),
        objects(image(), 0.5),
        objects(image(), -1),
        objects(image(), float("inf")),
        objects(*image()[:-1], 1),
        objects(image(), 1, 2),
        objects(*image()[:, :-1], np.ones(3)),
    ],
)
def test_other_arrays_of_objects_are_refused(tmp_path, content):
    np.save(tmp_path / "a.npy", content, allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy", check=has_code("published-layout")):
        read_image(tmp_path / "a.npy")
