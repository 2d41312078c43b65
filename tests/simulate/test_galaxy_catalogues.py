"""Catalogues of real galaxies: cuts with counts, stamps cut by their edge, twins, noise, PSFs, and splits by galaxy."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from error_codes import has_code
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from lenssim import notes
from lenssim.errors import ConfigError, DataError
from lenssim.formats.hdf5 import read_hdf5
from lenssim.formats.pictures import read_picture
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.preset import load_preset
from lenssim.simulate.sources.frame import centre_and_radius
from lenssim.simulate.sources.galaxies import Galaxies, _load
from lenssim.simulate.sources.isolation import deconvolved, isolated
from lenssim.simulate.sources.selection import Selection
from lenssim.simulate.sources.stamps import Entry
from lenssim.simulate.sources.starlets import correlation_of_sky, denoised
from lenssim.simulate.sources.twins import galaxies_of
from lenssim.simulate.streams import SPLITS

SIDE = 48


def galaxy(
    radius: float, centre=(0.0, 0.0), q: float = 0.7, side: int = SIDE
) -> np.ndarray:
    """An exponential disc (side, side) of flux 1, off the middle by `centre` pixels."""
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    distance = np.hypot((columns - centre[0]) * q**0.5, (rows - centre[1]) / q**0.5)
    light = np.exp(-1.678 * distance / radius)
    return light / light.sum()


def noise(seed: int, sigma: float, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, (side, side))


def stamps(count: int = 12) -> np.ndarray:
    """Galaxies of different sizes with a signal to noise far above 10."""
    return np.stack([galaxy(2 + 0.1 * k) + noise(k, 2e-5) for k in range(count)])


def galsim_layout(folder, images, psf=None, **columns):
    """A catalogue in GalSim's layout; returns its folder."""
    count = len(images)
    units = [fits.PrimaryHDU(images[0]), *map(fits.ImageHDU, images[1:])]
    fits.HDUList(units).writeto(folder / "images.fits")
    table = {
        "IDENT": np.arange(100, 100 + count),
        "GAL_FILENAME": ["images.fits"] * count,
        "GAL_HDU": np.arange(count),
        **columns,
    }
    if psf is not None:
        units = [fits.PrimaryHDU(psf), *(fits.ImageHDU(psf) for _ in range(count - 1))]
        fits.HDUList(units).writeto(folder / "psfs.fits")
        table |= {"PSF_FILENAME": ["psfs.fits"] * count, "PSF_HDU": np.arange(count)}
    Table(table).write(folder / "real_galaxy_catalog.fits")
    return folder


def shown(path, **options):
    return _load(Galaxies.model_validate({"path": str(path), **options}))


# --- cuts ---


def test_one_dark_stamp_is_left_out_by_name_and_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(notes, "_said", set())
    images = stamps()
    images[3] = 0
    loaded = shown(galsim_layout(tmp_path, images))
    assert len(loaded.images) == 11
    assert loaded.left_out == {"dark, tiny or damaged: such a stamp is no galaxy": ["103"]}
    assert "11 of 12 stamps are sources; left out: 1 dark" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        ({"magnitude": [20, 22.5]}, ["104"]),
        ({"redshift": [0.25, 9]}, ["100", "101", "102"]),
        ({"half_light_radius": [2.6, 99]}, ["100"]),
        ({"neighbours": 0.2}, ["102"]),
        ({"signal_to_noise": 40}, ["101"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_cut_counts_what_it_leaves_out(tmp_path, cut, left):
    radii = (2.0, 3.4, 3.5, 3.6, 3.7)
    images = np.stack([galaxy(radius) + noise(k, 2e-4) for k, radius in enumerate(radii)])
    images[1] += noise(9, 3e-3)
    images[2] += 0.5 * galaxy(1.0, centre=(-17, -17))
    folder = galsim_layout(
        tmp_path, images, MAG=20.5 + np.arange(5.0) * 0.6, zphot=0.1 * np.arange(5)
    )
    loaded = shown(folder, **{"signal_to_noise": 0, **cut})
    ((reason, names),) = loaded.left_out.items()
    assert names == left
    assert len(loaded.images) == 5 - len(left)
    assert f"{len(left)} {reason} ({', '.join(left)})" in loaded.report


def test_cuts_that_leave_nothing_say_why(tmp_path):
    folder = galsim_layout(tmp_path, stamps(3), MAG=[21.0, 22.0, 23.0])
    with pytest.raises(
        ConfigError,
        match=r"none of 3 stamps .*: 3 of a magnitude outside 10 to 11",
        check=has_code("no-galaxy-passes"),
    ):
        shown(folder, magnitude=[10, 11])
    with pytest.raises(
        ConfigError,
        match="states no redshift",
        check=has_code("galaxy-selection", name="redshift"),
    ):
        shown(folder, redshift=[0, 1])
    with pytest.raises(
        ConfigError,
        match="needs a catalogue of galaxies with PSFs",
        check=has_code("galaxy-selection"),
    ):
        shown(folder, deconvolve=True)
    with pytest.raises(
        ConfigError, match="kind of galaxy", check=has_code("galaxy-selection", name="6")
    ):
        shown(folder, kinds=[6])
    with pytest.raises(
        ConfigError, match="`only` names galaxy 7", check=has_code("galaxy-selection")
    ):
        shown(folder, only=[7])
    with pytest.raises(ValueError, match="the lower limit comes first"):
        Selection.model_validate({"magnitude": [23, 20]})


def test_galaxies_cut_by_the_edge_are_left_out_or_fade(tmp_path):
    images = stamps(6)
    for k in (0, 4):
        images[k] = galaxy(6, centre=(SIDE / 2 - 2, 3)) + noise(k, 1e-5)
    np.save(tmp_path / "galaxies.npy", images)
    loaded = shown(tmp_path / "galaxies.npy")
    assert loaded.left_out == {
        "cut by the edge of their stamps": ["galaxies.npy[0]", "galaxies.npy[4]"]
    }
    faded = shown(tmp_path / "galaxies.npy", edge="taper").images
    assert len(faded) == 6
    steepest = np.abs(np.diff(faded[0], axis=1)).max() / faded[0].max()
    halved = isolated(images[0]).light
    assert np.abs(np.diff(halved, axis=1)).max() / halved.max() < 1  # as it was
    assert steepest < 0.3
    np.save(tmp_path / "cut.npy", images[[0, 4]])
    with pytest.raises(ConfigError, check=has_code("no-galaxy-passes")):
        shown(tmp_path / "cut.npy")


def test_a_brighter_star_beside_the_galaxy_is_not_the_galaxy():
    image = galaxy(4) + 3 * galaxy(0.8, centre=(19, 18)) + noise(0, 2e-4)
    found = isolated(image)
    y, x, _ = centre_and_radius(found.light)
    assert np.hypot(y - (SIDE - 1) / 2, x - (SIDE - 1) / 2) < 0.5
    assert found.neighbours > 1


@pytest.mark.parametrize("side", [8, 33, 80])
def test_signal_to_noise_is_that_of_the_flux(side):
    """Of noise of known variance; of a larger stamp no more than of a small one."""
    sigma = 1e-3
    image = galaxy(1.5, side=side) + noise(1, sigma, side)
    found = isolated(image, variance=sigma**2, correlation=np.ones((1, 1)))
    expected = 1 / (sigma * np.sqrt(found.mask.sum()))
    assert found.signal_to_noise == pytest.approx(expected, rel=0.15)


# --- twins and splits ---


@pytest.mark.parametrize(
    ("stems", "groups"),
    [
        (["a_g", "a_r", "b_g", "b_r"], [[0, 1], [2, 3]]),
        (["x_F814W", "x_F606W", "y_F814W"], [[0, 1], [2]]),
        (["hst.3.vis", "hst.3.nir_y", "hst.4.vis"], [[0, 1], [2]]),
        (["gal_a", "gal_b", "gal_g", "gal_h"], [[0], [1], [2], [3]]),
        (["g", "r"], [[0], [1]]),
        (["001", "002"], [[0], [1]]),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_names_that_differ_by_a_band_are_one_galaxy(stems, groups):
    assert galaxies_of([Entry(stem, stem=stem) for stem in stems]) == groups


def test_stamps_of_one_place_are_one_galaxy():
    places = [(150.0, 2.0), (150.001, 2.0), (150.0 + 0.2 / 3600, 2.0 - 0.1 / 3600)]
    entries = [Entry(str(k), position=place) for k, place in enumerate(places)]
    assert galaxies_of(entries) == [[0, 2], [1]]
    same_header = [Entry(str(k), position=(0.0, 0.0)) for k in range(100)]
    assert len(galaxies_of(same_header)) == 100


def test_a_folder_of_two_bands_counts_each_galaxy_once(tmp_path):
    for k, image in enumerate(stamps()):
        for band, scale in (("F606W", 0.5), ("F814W", 1.0)):
            fits.writeto(tmp_path / f"g{k:02d}_{band}.fits", scale * image)
    loaded = shown(tmp_path)
    assert (len(loaded.images), loaded.stamps, loaded.twins) == (12, 24, 12)
    assert {name[-10:] for name in loaded.names} == {"F606W.fits"}
    assert "12 stamps of the same galaxies in other bands" in loaded.report
    other = shown(tmp_path, band="F814W")
    assert {name[-10:] for name in other.names} == {"F814W.fits"}


def test_a_galaxy_keeps_its_split_when_others_join_or_leave(tmp_path):
    images = np.stack([galaxy(2 + 0.02 * k) for k in range(60)])
    np.save(tmp_path / "all.npy", images)
    np.save(tmp_path / "some.npy", images[::-1][:40])
    splits = []
    for name in ("all", "some"):
        galaxies = Galaxies.model_validate(str(tmp_path / f"{name}.npy"))
        identities = _load(galaxies).identities
        splits.append(
            {identities[row]: split for split in SPLITS for row in galaxies.of(split)}
        )
    assert [len(split) for split in splits] == [60, 40]
    assert splits[1].items() <= splits[0].items()


def test_equal_stamps_are_one_galaxy(tmp_path):
    np.save(tmp_path / "g.npy", np.concatenate([stamps(5), stamps(5)]))
    loaded = shown(tmp_path / "g.npy")
    assert len(loaded.images) == 5
    assert len(loaded.left_out["equal to another stamp"]) == 5


# --- noise and PSF ---


def correlated(seed: int, sigma: float, side: int) -> np.ndarray:
    """Noise of drizzled images: rms sigma, correlation .25 of neighbours."""
    c, s = np.cos(np.pi / 12), np.sin(np.pi / 12)
    white = noise(seed, sigma, side + 1)
    rows = c * white[1:] + s * white[:-1]
    return c * rows[:, 1:] + s * rows[:, :-1]


@pytest.mark.parametrize("make", [noise, correlated], ids=["white", "drizzled"])
def test_denoising_comes_nearer_to_the_truth(make):
    """And keeps the flux; and leaves next to nothing of an empty sky."""
    truth = galaxy(7, side=96) + 0.05 * galaxy(1.5, centre=(8, 3), side=96)
    sigma = 0.05 * truth.max()
    errors = []
    for seed in range(4):
        image = truth + make(seed, sigma, 96)
        far = np.hypot(*(np.indices(image.shape) - 47.5)) > 35
        correlation = correlation_of_sky(image, far)
        smooth = denoised(image, sigma, correlation)
        inside = truth > 0.02 * truth.max()
        errors.append((smooth - truth)[inside].std() / (image - truth)[inside].std())
        assert smooth[inside].sum() == pytest.approx(truth[inside].sum(), rel=0.05)
        assert smooth[far].std() < 0.15 * sigma
    assert np.mean(errors) < 0.6


def test_the_correlation_of_a_sky_is_measured():
    image = correlated(5, 1.0, 400)
    table = correlation_of_sky(image, np.ones(image.shape, bool))
    assert table[3, 4] == pytest.approx(0.25, abs=0.02)
    assert table[4, 4] == pytest.approx(0.0625, abs=0.02)
    assert table[3, 5] == pytest.approx(0.0, abs=0.02)
    np.testing.assert_array_equal(table, table[::-1, ::-1])


def test_deconvolution_takes_the_psf_away(tmp_path):
    psf = np.zeros((21, 21))
    psf[10, 10] = 1
    psf = gaussian_filter(psf, 2.0)
    truth = galaxy(3, q=0.5)
    seen = fftconvolve(truth, psf, mode="same").clip(min=0)
    sharp = deconvolved(seen, 7 * psf)
    assert np.abs(sharp - truth).sum() < 0.5 * np.abs(seen - truth).sum()
    assert sharp.sum() == pytest.approx(seen.sum(), rel=0.01)
    folder = galsim_layout(tmp_path, np.stack([seen] * 3) * [[[1]], [[2]], [[3]]], psf)
    blurred, mended = (
        shown(folder, deconvolve=deconvolve).images[0] for deconvolve in (False, True)
    )
    assert mended.max() > 1.2 * blurred.max()


def test_catalogues_noise_and_redshifts_beside_it_count(tmp_path):
    """Other PSFs, noise or redshifts are other galaxies: files that change are refused."""
    images = stamps(3)
    folder = galsim_layout(
        tmp_path,
        images,
        NOISE_VARIANCE=[1e-10, 1e-10, 1.0],
        NOISE_FILENAME=["cf.fits"] * 3,
    )
    fits.writeto(folder / "cf.fits", np.pad([[2e-10]], 2))
    Table({"IDENT": [101, 100, 102], "ZPHOT": [1.0, 0.5, 2.0]}).write(
        folder / "real_galaxy_catalog_fits.fits"
    )
    galaxies = Galaxies.model_validate({"path": str(folder), "redshift": [0.7, 3]})
    assert _load(galaxies).names == ("101",)  # 102 is faint in noise so large
    fits.writeto(folder / "cf.fits", np.ones((5, 5)), overwrite=True)
    _load.cache_clear()
    with pytest.raises(ConfigError, match="sha256", check=has_code("galaxies-differ")):
        galaxies.images()


# --- layouts ---


def galaxy10(path, count=12):
    """A small file in the layout of Galaxy10 DECals."""
    red, green, blue = (stamps(count) / stamps(count).max() * f for f in (200, 150, 90))
    with h5py.File(path, "w") as file:
        file["images"] = np.stack([red, green, blue], -1).clip(0, 255).astype(np.uint8)
        file["ans"] = np.arange(count) % 3
        file["redshift"] = np.linspace(0.01, 0.2, count)
        file["note"] = "a text is no array of numbers"
    return path


def test_galaxy10_is_cut_by_kind_and_redshift(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(notes, "_said", set())
    path = galaxy10(tmp_path / "Galaxy10.h5")
    loaded = shown(path, kinds=[1], redshift=[0, 0.1])
    assert loaded.names == ("Galaxy10.h5[1]", "Galaxy10.h5[4]")
    assert "8-bit pictures" in capsys.readouterr().err
    only = shown(path, kinds=[1], redshift=[0, 0.1], only=[1])
    assert only.names == ("Galaxy10.h5[4]",)
    with pytest.raises(ConfigError, check=has_code("galaxy-selection", name="7")):
        shown(path, kinds=[7])
    with pytest.raises(
        ConfigError, match="no band '5'", check=has_code("galaxy-selection", band="5")
    ):
        shown(path, band="5")


def test_a_band_that_an_hdf5_file_does_not_have_is_refused(tmp_path):
    path = tmp_path / "galaxies.h5"
    with h5py.File(path, "w") as file:
        file["images"] = stamps()
    shown(path)
    refusal = has_code("galaxy-selection", band="F814W")
    with pytest.raises(ConfigError, match="none of which is named", check=refusal):
        shown(path, band="F814W")


def test_stamps_as_they_are_lose_the_median_of_a_corner(tmp_path):
    path = galaxy10(tmp_path / "g.h5")
    pixels = read_hdf5(path, "images")
    native = shown(path, frame="native").images
    assert native.shape == (12, 3, SIDE, SIDE)
    expected = pixels[..., 1].astype(float)
    corner = np.median(expected[:, :50, :50], axis=(1, 2), keepdims=True)
    np.testing.assert_array_equal(native[:, 1], expected - corner)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_a_folder_of_pictures(tmp_path, mode):
    for k, image in enumerate(stamps()):
        grey = (image / image.max() * 255).clip(0, 255).astype(np.uint8)
        picture = Image.fromarray(grey[::-1])
        if mode == "I;16":
            picture = Image.fromarray(grey[::-1].astype(np.uint16) * 200)
        elif mode != "L":
            picture = picture.convert(mode)
        picture.save(tmp_path / f"{k:02d}.png")
        assert read_picture(tmp_path / f"{k:02d}.png").shape[:2] == grey.shape
    loaded = shown(tmp_path)
    assert len(loaded.images) == 12
    np.save(tmp_path / "arrays.npy", stamps())  # beside arrays, pictures are previews
    assert shown(tmp_path).names[0] == "arrays.npy[0]"


def test_pictures_and_hdf5_files_that_are_none(tmp_path):
    for name in ("a.png", "a.h5"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(
            ConfigError, match="cannot be read as", check=has_code("galaxies-unreadable")
        ):
            shown(tmp_path / name)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["pictures"] = np.ones((3, 4, 4))
    with pytest.raises(ConfigError, check=has_code("galaxies-unreadable")):
        shown(tmp_path / "b.h5")
    with pytest.raises(
        DataError,
        match="no array of numbers called 'images'",
        check=has_code("file-invalid"),
    ):
        read_hdf5(tmp_path / "b.h5", "images")


def test_noise_maps_and_psfs_beside_images_are_no_galaxies(tmp_path):
    image = stamps(1)[0]
    units = [
        fits.ImageHDU(image, name=name) for name in ("VIS_BGSUB", "VIS_PSF", "VIS_RMS")
    ]
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(tmp_path / "g.fits")
    assert shown(tmp_path / "g.fits").names == ("g.fits[VIS_BGSUB]",)


# --- real ones ---


@pytest.mark.parametrize("options", [{}, {"denoise": True}], ids=["noisy", "denoised"])
@pytest.mark.parametrize(("name", "least"), [("cosmos", 10), ("cosmos100", 70)])
def test_real_galaxies_load_and_are_lensed(shared_data, name, least, options):
    galaxies = {"path": str(shared_data / f"galaxies/{name}"), **options}
    loaded = shown(**galaxies)
    assert len(loaded.images) >= least
    np.testing.assert_allclose(loaded.images.sum((1, 2), dtype=np.float64), 1, rtol=1e-6)
    preset = load_preset("sie").with_galaxies(galaxies)
    scenes = draw(preset, np.arange(8), seed=0)
    images = engine("batched", kernels="eager").render(scenes, preset.instrument)
    assert np.isfinite(images).all()
    assert (images.max((1, 2, 3)) > 0).all()
