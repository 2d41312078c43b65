"""Laws of extraction: tiles, layouts and interruptions change nothing; what cannot be used is refused by name."""

import csv
import gzip
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.wcs import WCS
from error_codes import has_code

import lenssim as ls
from lenssim.errors import ConfigError, DataError, IncompleteError
from lenssim.sky.fields import stamps as stamps_module
from lenssim.sky.fields.extraction import extract_field
from lenssim.sky.fields.field import BandWindow, WideField
from lenssim.sky.fields.mesh import measured_mesh
from lenssim.sky.fields.request import ExtractRequest

SHAPE = (300, 340)
SCALE = 0.1
SIGMA = 2.0
NUM_PIX = 16
GALAXIES = {  # x, y, peak, width
    "first": (40.0, 50.0, 200.0, 2.0),
    "border": (128.2, 64.7, 300.0, 2.5),
    "corner": (191.9, 192.1, 250.0, 2.0),
    "pair": (250.0, 100.0, 300.0, 2.0),
    "arc": (259.0, 100.0, 60.0, 1.5),
    "huge": (100.0, 200.0, 900.0, 16.0),
    "last": (320.0, 280.0, 150.0, 2.0),
}


def pixels(seed: int = 3, *, dim: float = 1.0, without: str = "") -> np.ndarray:
    """A field of round galaxies on a tilted background, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = 50 + 0.02 * x + rng.normal(0, SIGMA, SHAPE)
    for name, (center_x, center_y, peak, width) in GALAXIES.items():
        if name == without:
            continue
        image += (
            dim * peak * np.exp(-(np.hypot(x - center_x, y - center_y) ** 2) / 2 / width**2)
        )
    return image.astype(np.float32)


def header(angle: float = 0.0) -> fits.Header:
    cards = fits.Header()
    turn = np.radians(angle)
    cards["CTYPE1"], cards["CTYPE2"] = "RA---TAN", "DEC--TAN"
    cards["CRVAL1"], cards["CRVAL2"] = 359.999, -30.0
    cards["CRPIX1"], cards["CRPIX2"] = 100.0, 120.0
    cards["CD1_1"], cards["CD1_2"] = (
        -SCALE / 3600 * np.cos(turn),
        SCALE / 3600 * np.sin(turn),
    )
    cards["CD2_1"], cards["CD2_2"] = (
        SCALE / 3600 * np.sin(turn),
        SCALE / 3600 * np.cos(turn),
    )
    cards["MAGZERO"] = 25.0
    return cards


def write(path: Path, image: np.ndarray | None = None, cards: fits.Header | None = None):
    image = pixels() if image is None else image
    fits.writeto(path, image, header() if cards is None else cards, overwrite=True)
    return path


def extract(folder: Path, paths, **options) -> ls.Dataset:
    paths = paths if isinstance(paths, list) else [paths]
    request = ExtractRequest(**{"num_pix": NUM_PIX, **options})
    extract_field(folder, [Path(path) for path in paths], request)
    return ls.Dataset(folder)


def places(data: ls.Dataset) -> np.ndarray:
    return np.stack([data.params["x"], data.params["y"]], axis=1)


def stamps(data: ls.Dataset) -> np.ndarray:
    return data.images(range(len(data)))


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> ls.Dataset:
    folder = tmp_path_factory.mktemp("plain")
    return extract(folder / "D", write(folder / "field.fits"))


def test_each_galaxy_is_found_once_at_its_place(plain):
    found = places(plain)
    for name, (x, y, _, width) in GALAXIES.items():
        distance = np.hypot(*(found - (x, y)).T)
        assert (distance < max(0.3, width / 10)).sum() == (name != "arc"), name
    pair = np.hypot(*(found - GALAXIES["pair"][:2]).T).argmin()
    assert plain.params["parts"][pair] == 2


@pytest.mark.parametrize("tile", [64, 96, 128, 257])
def test_tiles_change_nothing(plain, tmp_path, tile):
    data = extract(tmp_path / "D", write(tmp_path / "field.fits"), tile=tile)
    assert data.source.names == plain.source.names
    for name, column in plain.params.items():
        assert np.array_equal(data.params[name], column), name
    assert data.source.fingerprint == plain.source.fingerprint


def _scaled(path: Path) -> list[Path]:
    unit = fits.PrimaryHDU(pixels(), header())
    unit.scale("int16", bscale=0.02, bzero=400)
    unit.writeto(path / "field.fits")
    return [path / "field.fits"]


def _compressed(path: Path) -> list[Path]:
    image = np.round(pixels() * 100).astype(np.int32)
    unit = fits.CompImageHDU(image, header(), compression_type="RICE_1", name="SCI")
    unit.writeto(path / "field.fits.fz")
    return [path / "field.fits.fz"]


def _gzip(path: Path) -> list[Path]:
    plain = write(path / "plain.fits")
    with gzip.open(path / "field.fits.gz", "wb") as file:
        file.write(plain.read_bytes())
    return [path / "field.fits.gz"]


def _double(path: Path) -> list[Path]:
    return [write(path / "field.fits", pixels().astype(">f8"))]


def _with_noise(path: Path) -> list[Path]:
    units = [fits.PrimaryHDU()]
    units.append(fits.ImageHDU(pixels(), header(), name="SCI"))
    units.append(fits.ImageHDU(np.full(SHAPE, SIGMA, np.float32), name="ERR"))
    units.append(fits.ImageHDU(np.zeros(SHAPE, np.uint8), name="DQ"))
    fits.HDUList(units).writeto(path / "field.fits")
    return [path / "field.fits"]


def _one_plane_cube(path: Path) -> list[Path]:
    return [write(path / "field.fits", pixels()[None])]


LAYOUTS = (_scaled, _compressed, _gzip, _double, _with_noise, _one_plane_cube)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__[1:])
def test_layouts_give_the_same_galaxies(plain, tmp_path, layout):
    data = extract(tmp_path / "D", layout(tmp_path))
    found = places(data)
    for place in places(plain)[plain.params["area"] < 1000]:
        assert np.hypot(*(found - place).T).min() < 0.1


def test_bands_come_as_files_or_as_a_cube(tmp_path):
    for band, dim in (("g", 0.5), ("r", 1.0)):
        write(
            tmp_path / f"field_{band}.fits", pixels(dim=dim, seed=3 if band == "g" else 4)
        )
    both = [tmp_path / "field_g.fits", tmp_path / "field_r.fits"]
    data = extract(tmp_path / "D", both)
    assert data.bands == ("g", "r")
    assert {"flux_g", "flux_r", "mag_g"} <= set(data.params)
    turned = extract(tmp_path / "T", both, bands="r,g")
    assert turned.bands == ("r", "g")
    cube = np.stack([fits.getdata(path) for path in both])
    cubed = extract(tmp_path / "C", write(tmp_path / "cube.fits", cube), bands="g,r")
    assert np.array_equal(stamps(cubed), stamps(data))
    assert np.array_equal(places(cubed), places(data))


def test_background_and_rms_are_those_of_sextractor(shared_data):
    folder = shared_data / "fields" / "sep"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = ("image", "back", "rms")
        image, back, rms = (
            fits.getdata(folder / f"{name}.fits").astype(np.float64) for name in names
        )
    mesh = measured_mesh(
        lambda rows: (image[rows].astype(np.float32), np.zeros(image[rows].shape, bool)),
        image.shape,
        64,
    )
    everything = (slice(0, 256), slice(0, 256))
    np.testing.assert_allclose(mesh.background(*everything), back, rtol=1e-5)
    np.testing.assert_allclose(mesh.sigma(*everything), rms, rtol=1e-4)


@pytest.mark.parametrize("shape", [(64, 64), (100, 64), (300, 190), (47, 301)])
def test_the_mesh_is_that_of_sep(shape):
    rng = np.random.default_rng(1)
    slope = np.add.outer(np.sin(np.arange(shape[0]) / 40), np.arange(shape[1]) / 50)
    image = (rng.normal(size=shape) + slope).astype(np.float32)
    mesh = measured_mesh(lambda rows: (image[rows], np.isnan(image[rows])), shape, 50)
    whole = sep.Background(image, bw=50, bh=50)
    everything = (slice(0, shape[0]), slice(0, shape[1]))
    np.testing.assert_allclose(mesh.background(*everything), whole.back(), atol=1e-4)
    np.testing.assert_allclose(mesh.sigma(*everything), whole.rms(), atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 37.0])
def test_places_on_the_sky_follow_the_header(tmp_path, angle):
    cards = header(angle)
    data = extract(tmp_path / "D", write(tmp_path / "field.fits", cards=cards))
    ra, dec = WCS(cards).all_pix2world(data.params["x"], data.params["y"], 0)
    np.testing.assert_allclose(data.params["ra"], ra % 360, atol=1e-9)
    np.testing.assert_allclose(data.params["dec"], dec, atol=1e-9)
    with (tmp_path / "D" / "catalogue.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(data)
    assert abs(float(rows[0]["ra"]) - ra[0] % 360) < 1e-7
    assert rows[0]["name"].startswith("J")


def test_without_a_sky_there_are_pixels_alone(tmp_path):
    path = write(tmp_path / "field.fits", cards=fits.Header())
    with pytest.raises(DataError, check=has_code("no-pixel-scale")):
        extract(tmp_path / "D", path)
    assert not (tmp_path / "D").exists()
    notes = []
    request = ExtractRequest(num_pix=NUM_PIX, native_scale=SCALE)
    extract_field(tmp_path / "D", [path], request, note=notes.append)
    data = ls.Dataset(tmp_path / "D")
    assert "ra" not in data.params
    assert data.source.names[0].startswith("x")
    assert any("no WCS" in note for note in notes)


def test_an_observation_has_noise_mask_and_psf(tmp_path):
    (path,) = _with_noise(tmp_path)
    axis = np.arange(7) - 3
    kernel = np.exp(-(axis[:, None] ** 2 + axis**2) / 4)
    fits.append(path, kernel, fits.ImageHDU(kernel, name="PSF").header)
    data = extract(tmp_path / "D", path)
    lens = data.observations([0])[0]
    assert lens.sigma is not None
    assert np.allclose(lens.sigma[lens.mask], SIGMA)
    assert lens.psf is not None
    assert lens.psf[0].shape == (7, 7)
    assert lens.zero_points == (25.0,)
    assert not ls.verify(tmp_path / "D").problems


def test_stamps_hold_the_field_around_their_galaxy(plain):
    image = pixels()
    row = np.hypot(*(places(plain) - GALAXIES["first"][:2]).T).argmin()
    x, y = places(plain)[row]
    left, top = (int(np.floor(place - (NUM_PIX - 1) / 2 + 0.5)) for place in (x, y))
    cut = image[top : top + NUM_PIX, left : left + NUM_PIX]
    stamp = plain.images([row])[0, 0]
    level = cut - stamp
    assert np.ptp(level) < 1, "a stamp is the field less a smooth background"
    assert abs(level.mean() - 51) < 2


def test_pixels_beyond_the_edge_are_masked(plain, tmp_path):
    data = extract(tmp_path / "D", write(tmp_path / "field.fits"), num_pix=64)
    row = np.hypot(*(places(data) - GALAXIES["last"][:2]).T).argmin()
    lens = data.observations([row])[0]
    assert not lens.mask[0, -1, -1]
    assert lens.sigma[0, -1, -1] == 1e8
    assert lens.mask[0, 32, 32]
    assert np.isfinite(lens.image).all()


def test_resampled_stamps_keep_the_flux(plain, tmp_path):
    data = extract(
        tmp_path / "D", write(tmp_path / "field.fits"), pixel_scale=0.2, num_pix=16
    )
    wide = extract(tmp_path / "W", tmp_path / "field.fits", num_pix=32)
    assert data.pixel_scale == 0.2
    row = np.hypot(*(places(data) - GALAXIES["first"][:2]).T).argmin()
    flux = data.images([row]).sum()
    assert abs(flux / wide.images([row]).sum() - 1) < 0.02


def test_nan_and_saturated_galaxies_get_no_stamp(plain, tmp_path):
    image = pixels()
    image[30:70, 20:60] = np.nan  # hides the first galaxy
    cards = header()
    cards["SATURATE"] = 700.0  # the huge galaxy
    data = extract(tmp_path / "D", write(tmp_path / "field.fits", image, cards))
    for name in ("first", "huge"):
        assert np.hypot(*(places(data) - GALAXIES[name][:2]).T).min() > 5
    assert np.isfinite(stamps(data)).all()


def test_a_call_goes_on_where_it_was_stopped(plain, tmp_path):
    path = write(tmp_path / "field.fits")
    request = ExtractRequest(num_pix=NUM_PIX, tile=128)
    calls = iter([False, False, True])
    with pytest.raises(IncompleteError, check=has_code("stopped")):
        extract_field(tmp_path / "D", [path], request, stop=lambda: next(calls))
    done = len(list((tmp_path / "D" / "detections" / "128").iterdir()))
    assert done == 2
    data = extract(tmp_path / "D", path, tile=128)
    assert data.source.fingerprint == plain.source.fingerprint
    again = extract(tmp_path / "D", path, tile=128)
    assert again.source.fingerprint == plain.source.fingerprint


def test_memory_does_not_grow_with_the_field(tmp_path, monkeypatch):
    sizes = []
    read = WideField.read

    def spy(self, window) -> list[BandWindow]:
        sizes.append(window.shape)
        return read(self, window)

    monkeypatch.setattr(WideField, "read", spy)
    monkeypatch.setattr(stamps_module, "_BLOCK", 128)
    image = np.tile(pixels(without="huge"), (2, 2))
    extract(tmp_path / "D", write(tmp_path / "field.fits", image), tile=128, mesh=32)
    largest = max(min(shape) for shape in sizes)
    assert largest <= 128 + 2 * (64 + 40), "a window is a tile and its margin"


BAD: dict[str, tuple] = {
    "cube": (lambda p: write(p, np.stack([pixels()] * 3)), {}, "image-shape"),
    "no file": (lambda p: p, {}, "no-file"),
    "text": (lambda p: p.write_text("no FITS") and p, {}, "file-invalid"),
    "cut": (lambda p: cut(write(p)), {}, "file-invalid"),
    "band": (write, {"bands": "g,r"}, "band-missing"),
    "empty": (
        lambda p: write(p, np.random.default_rng(0).normal(size=(128, 128))),
        {},
        "no-objects",
    ),
    "constant": (lambda p: write(p, np.zeros((128, 128), np.float32)), {}, "no-objects"),
    "masked": (lambda p: write(p, np.full((128, 128), np.nan)), {}, "all-masked"),
}


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-100_000])
    return path


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_refused_and_leaves_nothing(tmp_path, name):
    make, options, code = BAD[name]
    path = make(tmp_path / "field.fits")
    with pytest.raises(DataError, check=has_code(code)):
        extract(tmp_path / "D", path, **options)
    assert not (tmp_path / "D").exists()


def test_another_folder_is_left_alone(plain, tmp_path):
    path = write(tmp_path / "field.fits")
    shutil.copytree(plain.folder, tmp_path / "D")
    before = sorted((tmp_path / "D").rglob("*"))
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        extract(tmp_path / "D", path, threshold=3.0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        extract(tmp_path / "other", path)
    assert sorted((tmp_path / "D").rglob("*")) == before
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["notes.txt"]


def test_a_tiny_field_has_its_galaxy(tmp_path):
    data = extract(tmp_path / "D", write(tmp_path / "f.fits", pixels()[30:70, 20:60]))
    assert len(data) == 1
    np.testing.assert_allclose(places(data)[0], (20, 20), atol=0.3)
