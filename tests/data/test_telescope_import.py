"""Laws over the layouts in which people keep images of telescopes: all become the same data set."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code

from lenssim.data.exchange.importers import import_folder
from lenssim.data.exchange.importing import Listeners
from lenssim.data.exchange.telescope.regridding import overlap, regrid, regrid_kernel
from lenssim.data.format.manifest import read_plan
from lenssim.data.inspection.class_images import first_of_each_class
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.locations import open_complete
from lenssim.errors import ConfigError, DataError
from lenssim.simulate.psf.kernels import centroid

SIDE = 24
SCALE = 0.1
NAMES = ("J0001+0001", "J0002-0002")
BANDS = ("g", "r")
ZERO_POINTS = {"g": 27.0, "r": 26.5}


@dataclass
class Truth:
    """What the files of one band of a lens say."""

    image: np.ndarray
    sigma: np.ndarray
    bad: np.ndarray
    psf: np.ndarray


def truth(seed: int) -> Truth:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    sigma = rng.uniform(0.9, 1.1, (SIDE, SIDE))
    image = 40 * np.exp(-np.hypot(x, y * 1.2) / 3) + rng.normal(0, 1, (SIDE, SIDE)) * sigma
    bad = rng.random((SIDE, SIDE)) < 0.03
    axis = np.arange(7) - 3
    psf = np.exp(-(axis[:, None] ** 2 + axis**2) / rng.uniform(2, 4))
    return Truth(image.astype(np.float32), sigma.astype(np.float32), bad, psf / psf.sum())


def truths(bands) -> dict[str, dict[str, Truth]]:
    numbers = {name: 10 * number for number, name in enumerate(NAMES)}
    return {
        name: {band: truth(numbers[name] + place) for place, band in enumerate(bands)}
        for name in NAMES
    }


def header(band: str = "g", *, wcs: bool = True) -> fits.Header:
    cards = fits.Header()
    if wcs:
        cards["CTYPE1"] = "RA---TAN"
        cards["CTYPE2"] = "DEC--TAN"
        cards["CD1_1"] = -SCALE / 3600
        cards["CD2_2"] = SCALE / 3600
        cards["CRPIX1"] = cards["CRPIX2"] = (SIDE + 1) / 2
        cards["CRVAL1"] = 150.0
        cards["CRVAL2"] = 2.0
    cards["MAGZERO"] = ZERO_POINTS[band]
    return cards


def write(path: Path, array: np.ndarray, cards: fits.Header | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.writeto(path, array, cards)


def marked(sigma: np.ndarray, bad: np.ndarray, sign: float) -> np.ndarray:
    return np.where(bad, sign, sigma).astype(np.float32)


def folder_a_lens(root, lenses):
    for name, bands in lenses.items():
        (lens,) = bands.values()
        write(root / name / "image.fits", lens.image, header())
        write(root / name / "noise.fits", marked(lens.sigma, lens.bad, 1e8))
        write(root / name / "psf.fits", lens.psf)


def folder_a_band(root, lenses):
    for name, bands in lenses.items():
        for band, lens in bands.items():
            write(root / name / band / "data.fits", lens.image, header(band))
            write(root / name / band / "noise_map.fits", lens.sigma)
            write(root / name / band / "psf.fits", lens.psf)
            write(root / name / band / "mask.fits", lens.bad.astype(np.uint8))


def names_with_bands(root, lenses):
    for name, bands in lenses.items():
        for band, lens in bands.items():
            write(root / f"{name}_{band}.fits", lens.image, header(band))
            write(root / f"{name}_{band}_rms.fits", marked(lens.sigma, lens.bad, np.inf))
            write(root / f"{name}_{band}_psf.fits", lens.psf)


def folder_a_role(root, lenses):
    for name, bands in lenses.items():
        (lens,) = bands.values()
        write(root / "images" / f"{name}.fits", lens.image, header())
        weight = np.where(lens.bad, 0, lens.sigma.astype(np.float64) ** -2)
        write(root / "weights" / f"{name}.fits", weight)
        write(root / "psf" / f"{name}.fits", lens.psf)


def extensions_as_euclid(root, lenses):
    for name, bands in lenses.items():
        units = [fits.PrimaryHDU()]
        for band, lens in bands.items():
            sigma = marked(lens.sigma, lens.bad, 1e16)
            units += [
                fits.ImageHDU(lens.image, header(band), name=f"DES_{band}_BGSUB"),
                fits.ImageHDU(lens.psf, name=f"DES_{band}_PSF"),
                fits.ImageHDU(sigma, name=f"DES_{band}_RMS"),
            ]
        (root / name).mkdir(parents=True)
        fits.HDUList(units).writeto(root / name / "cutout.fits")


def extensions_as_hst(root, lenses):
    root.mkdir(parents=True)
    for name, bands in lenses.items():
        (lens,) = bands.values()
        units = [
            fits.PrimaryHDU(),
            fits.ImageHDU(lens.image, header(), name="SCI"),
            fits.ImageHDU(lens.sigma**2, name="VAR"),
            fits.ImageHDU(lens.bad.astype(np.int16) * 64, name="DQ"),
            fits.ImageHDU(lens.psf, name="PSF"),
        ]
        fits.HDUList(units).writeto(root / f"{name}.fits")


def cubes(root, lenses):
    for name, bands in lenses.items():
        parts = list(bands.values())
        bad = [marked(lens.sigma, lens.bad, np.nan) for lens in parts]
        write(root / f"{name}.fits", np.stack([lens.image for lens in parts]), header())
        write(root / f"{name}_err.fits", np.stack(bad))
        write(root / f"{name}_psf.fits", np.stack([lens.psf for lens in parts]))


def hdf5_as_lenstronomy(root, lenses):
    root.mkdir(parents=True)
    for name, bands in lenses.items():
        (lens,) = bands.values()
        with h5py.File(root / f"{name}.h5", "w") as file:
            file["image_data"] = lens.image
            file["noise_map"] = lens.sigma
            file["likelihood_mask"] = (~lens.bad).astype(np.int64)
            file["kernel_point_source"] = lens.psf
            file["ra_at_xy_0"] = 1.0
            file["transform_pix2angle"] = np.diag([-SCALE, SCALE])


def hdf5_as_dolphin(root, lenses):
    for name, bands in lenses.items():
        (root / name).mkdir(parents=True)
        for number, lens in enumerate(bands.values()):
            filters = f"{name}_F{475 + number}W"
            with h5py.File(root / name / f"image_{filters}.h5", "w") as file:
                file["image_data"] = np.where(lens.bad, np.nan, lens.image)
                file["background_rms"] = 1.0
                file["exposure_time"] = np.full((SIDE, SIDE), 1e30)
                file["transform_pix2angle"] = np.diag([SCALE, SCALE])
                lens.sigma = np.ones_like(lens.sigma)
            with h5py.File(root / name / f"psf_{filters}.h5", "w") as file:
                file["kernel_point_source"] = lens.psf


def arrays(root, lenses):
    for name, bands in lenses.items():
        (lens,) = bands.values()
        (root / name).mkdir(parents=True)
        image = np.where(lens.bad, -9999.0, lens.image)
        np.save(root / name / "image.npy", image)
        np.save(root / name / "noise.npy", lens.sigma)
        np.save(root / name / "psf.npy", lens.psf)


LAYOUTS = {
    folder_a_lens: ("g",),
    folder_a_band: BANDS,
    names_with_bands: BANDS,
    folder_a_role: ("g",),
    extensions_as_euclid: BANDS,
    extensions_as_hst: ("g",),
    cubes: BANDS,
    hdf5_as_lenstronomy: ("g",),
    hdf5_as_dolphin: BANDS,
    arrays: ("g",),
}
OPTIONS = {arrays: {"pixel_scale": SCALE}, cubes: {"bands": BANDS}}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_becomes_the_same_observations(tmp_path, layout):
    bands = LAYOUTS[layout]
    lenses = truths(bands)
    layout(tmp_path / "set", lenses)
    options = OPTIONS.get(layout, {})
    import_folder("fits", tmp_path / "set", tmp_path / "D", **options)
    assert verify(tmp_path / "D").problems == []
    dataset = ShardDataset(tmp_path / "D")
    assert dataset.image_shape == (len(bands), SIDE, SIDE)
    assert dataset.pixel_scale == pytest.approx(SCALE, rel=1e-9)
    assert dataset.labels is None
    for observation, name in zip(dataset.observations([0, 1]), NAMES, strict=True):
        assert observation.name == name
        expected = list(lenses[name].values())
        for number, lens in enumerate(expected):
            good = ~lens.bad
            np.testing.assert_array_equal(observation.mask[number], good)
            np.testing.assert_allclose(observation.image[number][good], lens.image[good])
            np.testing.assert_allclose(
                observation.sigma[number][good], lens.sigma[good], rtol=1e-6
            )
            assert (observation.sigma[number][lens.bad] == 1e8).all()
            np.testing.assert_allclose(observation.psf[number], lens.psf, atol=1e-7)
            assert np.isfinite(observation.image).all()


def test_zero_points_and_places_follow_the_headers(tmp_path):
    folder_a_band(tmp_path / "set", truths(BANDS))
    import_folder("fits", tmp_path / "set", tmp_path / "D")
    dataset = ShardDataset(tmp_path / "D")
    assert dataset.bands == BANDS
    assert dataset.observations([0])[0].zero_points == (27.0, 26.5)
    np.testing.assert_allclose(dataset.params["ra"], 150.0, atol=1e-6)
    np.testing.assert_allclose(dataset.params["dec"], 2.0, atol=1e-6)


def test_zero_points_are_found_however_bands_are_written(tmp_path):
    """Lenses of one data set may write their bands in capitals or not, and so may a user."""
    lenses = truths(BANDS)
    for name, spelled in zip(NAMES, (str.upper, str.lower), strict=True):
        for band, lens in lenses[name].items():
            write(
                tmp_path / "set" / name / f"{spelled(band)}.fits", lens.image, header(band)
            )
    for number, options in enumerate(({}, {"bands": "g,r"}, {"bands": "R,G"})):
        folder = tmp_path / f"D{number}"
        import_folder("fits", tmp_path / "set", folder, **options)
        bands = ShardDataset(folder).bands
        expected = tuple(ZERO_POINTS[band.lower()] for band in bands)
        for observation in ShardDataset(folder).observations([0, 1]):
            assert observation.zero_points == expected


def test_bands_are_chosen_and_ordered_by_name(tmp_path):
    lenses = truths(BANDS)
    folder_a_band(tmp_path / "set", lenses)
    heard: list[str] = []
    import_folder(
        "fits",
        *(tmp_path / "set", tmp_path / "D"),
        bands="r",
        listeners=Listeners(note=heard.append),
    )
    dataset = ShardDataset(tmp_path / "D")
    assert (dataset.bands, dataset.image_shape[0]) == (("r",), 1)
    assert "did not read the bands g" in heard[0]
    import_folder("fits", tmp_path / "set", tmp_path / "E", bands="r,g")
    both = ShardDataset(tmp_path / "E")
    assert both.bands == ("r", "g")
    np.testing.assert_array_equal(both.images([0])[:, :1], dataset.images([0]))
    with pytest.raises(DataError, check=has_code("band-missing", band="i")):
        import_folder("fits", tmp_path / "set", tmp_path / "F", bands="g,i")


def test_a_table_gives_labels_and_true_parameters(tmp_path):
    folder_a_lens(tmp_path / "set", truths("g"))
    table = tmp_path / "labels.csv"
    table.write_text(
        f"name,theta_E_SIE,is_lens,remark\n{NAMES[1]},1.4,1,good\nJ9,2.0,0,\n{NAMES[0]},,0,x\n"
    )
    heard: list[str] = []
    manifest = import_folder(
        "fits",
        *(tmp_path / "set", tmp_path / "D"),
        labels=str(table),
        rename={"theta_E_SIE": "theta_E"},
        listeners=Listeners(note=heard.append),
    )
    assert manifest.class_counts == {"nolens": 1, "lens": 1}
    assert "rows of the table without images, the first J9" in "".join(heard)
    dataset = ShardDataset(tmp_path / "D")
    np.testing.assert_array_equal(dataset.params["theta_E"], [np.nan, 1.4])
    np.testing.assert_array_equal(dataset.labels, [0, 1])


FAULTS = {
    "name twice": f"name,x\n{NAMES[0]},1\n{NAMES[0]},2\n",
    "no lens": "name,x\nother,1\n",
    "no rows": "name,x\n",
    "ragged": f"name,x\n{NAMES[0]}\n",
    "no class of one": f"name,class\n{NAMES[0]},a\n",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_table_that_does_not_fit_is_refused(tmp_path, fault):
    folder_a_lens(tmp_path / "set", truths("g"))
    table = tmp_path / "labels.csv"
    table.write_text(FAULTS[fault])
    with pytest.raises(DataError) as refused:
        import_folder("fits", tmp_path / "set", tmp_path / "D", labels=str(table))
    assert refused.value.code in ("labels-table", "file-invalid")
    assert not (tmp_path / "D").exists()


@pytest.mark.parametrize("number", ["1,25", "1.25"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_numbers_of_a_table_may_have_decimal_commas(tmp_path, number, separator):
    folder_a_lens(tmp_path / "set", truths("g"))
    table = tmp_path / "labels.csv"
    rows = [("name", "theta_E", "remark"), *((name, number, "good") for name in NAMES)]
    table.write_text("\r\n".join(separator.join(row) for row in rows), "utf-8-sig")
    heard: list[str] = []
    import_folder(
        "fits",
        *(tmp_path / "set", tmp_path / "D"),
        labels=str(table),
        listeners=Listeners(note=heard.append),
    )
    dataset = ShardDataset(tmp_path / "D")
    np.testing.assert_array_equal(dataset.params["theta_E"], [1.25, 1.25])
    assert "column of the table without numbers: remark" in "".join(heard)


def test_data_sets_within_the_folder_are_not_images_of_lenses(tmp_path):
    root = tmp_path / "set"
    folder_a_lens(root, truths("g"))
    first = import_folder("fits", root, root / "D")
    assert import_folder("fits", root, root / "D") == first
    assert import_folder("fits", root, tmp_path / "E").n == first.n


def test_folders_that_cannot_be_read_are_left_out_on_request(tmp_path, monkeypatch):
    root = tmp_path / "set"
    folder_a_lens(root, truths("g"))
    listed = Path.iterdir

    def refused(folder):
        if folder.name == NAMES[0]:
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError, match=NAMES[0].replace("+", r"\+")) as fault:
        import_folder("fits", root, tmp_path / "D")
    assert fault.value.code == "unreadable-file"
    assert not (tmp_path / "D").exists()
    assert import_folder("fits", root, tmp_path / "D", skip_bad=True).n == 1


def test_a_noise_map_that_does_not_fit_is_named_itself(tmp_path):
    root = one_lens(tmp_path / "set", noise=np.full((SIDE, SIDE), 1e-4))
    with pytest.raises(DataError, match=r"noise\.fits", check=has_code("noise-values")):
        import_folder("fits", root, tmp_path / "D")


def test_a_lens_without_a_band_is_told_beside_one_with_it(tmp_path):
    root = one_lens(tmp_path / "set")
    write(root / "other" / "image_g.fits", truth(2).image, header())
    with pytest.raises(DataError, match="one band without a name") as refused:
        import_folder("fits", root, tmp_path / "D")
    assert refused.value.code == "bands-differ"


def one_lens(root: Path, **changes) -> Path:
    """A folder with one lens, some of whose files are other arrays; None: they are absent."""
    lens = truth(1)
    files = {"image": lens.image, "noise": lens.sigma, "psf": lens.psf, **changes}
    cards = files.pop("cards", header())
    for name, array in files.items():
        if array is not None:
            write(root / "lens" / f"{name}.fits", array, cards if name == "image" else None)
    return root


def magnitudes() -> np.ndarray:
    return (25 - 2.5 * np.log10(np.clip(truth(1).image, 0.5, None))).astype(np.float32)


def with_unit(unit: str) -> fits.Header:
    cards = header()
    cards["BUNIT"] = unit
    return cards


FILES = {
    "even kernel": ({"psf": np.ones((6, 6))}, "psf-invalid"),
    "oblong kernel": ({"psf": np.ones((5, 7))}, "psf-invalid"),
    "kernel with NaN": ({"psf": np.full((5, 5), np.nan)}, "psf-invalid"),
    "negative kernel": ({"psf": np.eye(5) - 0.1}, "psf-invalid"),
    "no pixel scale": ({"cards": header(wcs=False)}, "no-pixel-scale"),
    "noise of another shape": ({"noise": np.ones((9, 9))}, "shapes-differ"),
    "mask of another shape": ({"mask": np.ones((9, 9))}, "shapes-differ"),
    "all noise masked": ({"noise": np.full((SIDE, SIDE), np.inf)}, "all-masked"),
    "all pixels masked": ({"mask": np.ones((SIDE, SIDE))}, "all-masked"),
    "all pixels NaN": ({"image": np.full((SIDE, SIDE), np.nan)}, "all-masked"),
    "negative noise": ({"noise": truth(1).image - 5}, "noise-values"),
    "weights called noise": ({"noise": np.full((SIDE, SIDE), 1e-4)}, "noise-values"),
    "magnitudes by value": ({"image": magnitudes(), "noise": None}, "magnitudes"),
    "magnitudes by unit": ({"cards": with_unit("mag/arcsec2")}, "magnitudes"),
    "an oblong stamp": (
        {"image": np.random.default_rng(0).random((9, 12)), "noise": None},
        "image-shape",
    ),
    "bands last": (
        {"image": np.random.default_rng(0).random((64, 64, 3)), "noise": None},
        "image-shape",
    ),
    "no image": ({"image": None}, "image-unclear"),
    "magnitudes with a sign of none": (
        {"image": np.where(truth(1).bad, 99, magnitudes()), "noise": None},
        "magnitudes",
    ),
    "a single pixel": ({"image": np.ones((1, 1)), "noise": None}, "image-shape"),
}


@pytest.mark.parametrize("fault", FILES)
def test_files_that_cannot_be_used_are_refused_by_name(tmp_path, fault):
    changes, code = FILES[fault]
    root = one_lens(tmp_path / "set", **changes)
    with pytest.raises(DataError, match="lens") as refused:
        import_folder("fits", root, tmp_path / "D")
    assert refused.value.code == code, str(refused.value)
    assert not (tmp_path / "D").exists()
    folder_a_lens(root, truths("g"))
    assert import_folder("fits", root, tmp_path / "D", skip_bad=True).n == 2


@pytest.mark.parametrize("role", ["noise", "mask", "psf"])
def test_a_cube_of_maps_has_a_map_for_each_band(tmp_path, role):
    lens = truth(1)
    maps = {"noise": lens.sigma, "mask": lens.bad.astype(np.uint8), "psf": lens.psf}
    changes = {"image": np.stack([lens.image, lens.image[::-1]])}
    root = one_lens(tmp_path / "set", **changes, **{role: np.stack([maps[role]] * 3)})
    with pytest.raises(DataError, check=has_code("shapes-differ")):
        import_folder("fits", root, tmp_path / "D", bands="g,r")


def test_pixels_larger_than_a_stamp_are_refused(tmp_path):
    root = one_lens(tmp_path / "set")
    with pytest.raises(DataError, check=has_code("stamp-too-small")):
        import_folder("fits", root, tmp_path / "D", pixel_scale=SCALE * SIDE)


def test_a_card_that_holds_no_number_says_nothing(tmp_path):
    """A pipeline wrote NaN into a card, which FITS does not know: the user may state the scale."""
    root = one_lens(tmp_path / "set")
    path = root / "lens" / "image.fits"
    content = path.read_bytes()
    start = content.index(b"CD1_1 ")
    card = b"CD1_1   =                  NaN".ljust(80)
    path.write_bytes(content[:start] + card + content[start + 80 :])
    with pytest.raises(DataError, check=has_code("no-pixel-scale")):
        import_folder("fits", root, tmp_path / "D")
    import_folder("fits", root, tmp_path / "D", native_scale=SCALE)
    assert ShardDataset(tmp_path / "D").pixel_scale == SCALE


def test_links_that_lead_back_are_not_followed(tmp_path):
    root = tmp_path / "set"
    folder_a_lens(root, truths("g"))
    (root / NAMES[0] / "back").symlink_to(root)
    assert import_folder("fits", root, tmp_path / "D").n == 2


def test_arrays_in_groups_of_hdf5_are_found(tmp_path):
    (tmp_path / "set").mkdir()
    lens = truth(1)
    with h5py.File(tmp_path / "set" / "lens.h5", "w") as file:
        group = file.create_group("kwargs_data")
        group["image_data"] = lens.image
        group["noise_map"] = lens.sigma
        group["transform_pix2angle"] = np.eye(2) * SCALE
        file["kwargs_psf/kernel_point_source"] = lens.psf
        file["kwargs_psf/loop"] = h5py.SoftLink("/")
    import_folder("fits", tmp_path / "set", tmp_path / "D")
    observation = ShardDataset(tmp_path / "D").observations([0])[0]
    np.testing.assert_array_equal(observation.sigma[0], lens.sigma)
    assert observation.pixel_scale == pytest.approx(SCALE)
    assert observation.psf[0].shape == (7, 7)


def test_a_band_that_is_a_copy_of_another_is_named(tmp_path):
    lenses = truths(BANDS)
    lenses[NAMES[1]]["r"] = lenses[NAMES[1]]["g"]
    names_with_bands(tmp_path / "set", lenses)
    with pytest.raises(DataError, match=NAMES[1].replace("+", r"\+")) as refused:
        import_folder("fits", tmp_path / "set", tmp_path / "D")
    assert refused.value.code == "bands-equal"
    manifest = import_folder("fits", tmp_path / "set", tmp_path / "D", skip_bad=True)
    assert manifest.n == 1


def test_maps_that_not_all_bands_have_are_said_to_be_left_out(tmp_path):
    lens = truth(1)
    write(tmp_path / "set" / "lens_g.fits", lens.image, header("g"))
    write(tmp_path / "set" / "lens_r.fits", truth(2).image, header("r"))
    write(tmp_path / "set" / "lens_g_rms.fits", lens.sigma)
    said = heard_of(tmp_path / "set", tmp_path / "D")
    assert "band r has no noise map" in said
    assert ShardDataset(tmp_path / "D").observations([0])[0].sigma is None
    assert "PSF" not in said


def test_a_lens_that_stands_twice_is_said(tmp_path):
    for name in ("first", "second"):
        write(tmp_path / "set" / f"{name}.fits", truth(1).image, header())
    said = heard_of(tmp_path / "set", tmp_path / "D")
    assert "the same pixels as first" in said
    assert ShardDataset(tmp_path / "D").names == {0: "first", 1: "second"}


def test_a_file_of_several_images_without_names_asks_for_them(tmp_path):
    lenses = truths(BANDS)
    (tmp_path / "set").mkdir()
    for name, bands in lenses.items():
        units = [fits.PrimaryHDU()]
        for band, lens in bands.items():
            units += [fits.ImageHDU(lens.image, header(band)), fits.ImageHDU(lens.sigma)]
        fits.HDUList(units).writeto(tmp_path / "set" / f"{name}.fits")
    with pytest.raises(DataError, match=r"1, 2, 3, 4.*--extension 1,3") as refused:
        import_folder("fits", tmp_path / "set", tmp_path / "D")
    assert refused.value.code == "image-unclear"
    named = {"extension": "1,3", "noise_extension": "2,4", "bands": "g,r"}
    import_folder("fits", tmp_path / "set", tmp_path / "D", **named)
    observation = ShardDataset(tmp_path / "D").observations([1])[0]
    np.testing.assert_array_equal(
        observation.sigma, np.stack([lens.sigma for lens in lenses[NAMES[1]].values()])
    )
    for options in (
        {"noise_extension": "2"},
        {"extension": "1,3", "psf_extension": "1,2,3"},
    ):
        with pytest.raises(ConfigError):
            import_folder("fits", tmp_path / "set", tmp_path / "E", **options)


@pytest.mark.parametrize("extension", ["7", "SCI"])
@pytest.mark.parametrize("ending", ["fits", "npy", "h5"])
def test_an_extension_that_a_file_lacks_is_named(tmp_path, ending, extension):
    """Also in a file with a single image, which is not read in its place."""
    path = tmp_path / "set" / f"lens.{ending}"
    path.parent.mkdir()
    if ending == "fits":
        fits.writeto(path, truth(1).image, header())
    elif ending == "npy":
        np.save(path, truth(1).image)
    else:
        with h5py.File(path, "w") as file:
            file["image_data"] = truth(1).image
    with pytest.raises(DataError, match=f"lens.{ending}.*{extension}"):
        import_folder(
            "fits", path.parent, tmp_path / "D", pixel_scale=SCALE, extension=extension
        )
    assert not (tmp_path / "D").exists()


@pytest.mark.parametrize("ending", ["fits", "h5"])
def test_the_only_image_may_be_named_beside_files_of_noise(tmp_path, ending):
    folder = tmp_path / "set" / "lens"
    folder.mkdir(parents=True)
    lens = truth(1)
    write(folder / "psf.fits", lens.psf)
    if ending == "fits":
        units = [fits.PrimaryHDU(), fits.ImageHDU(lens.image, header(), name="LIGHT")]
        fits.HDUList(units).writeto(folder / "image.fits")
    else:
        with h5py.File(folder / "image.h5", "w") as file:
            file["LIGHT"] = lens.image
    options = {"extension": "LIGHT", "native_scale": SCALE}
    import_folder("fits", tmp_path / "set", tmp_path / "D", **options)
    (observation,) = ShardDataset(tmp_path / "D").observations([0])
    np.testing.assert_array_equal(observation.image[0], lens.image)
    np.testing.assert_allclose(observation.psf[0], lens.psf, atol=1e-7)


def heard_of(folder: Path, out: Path, **options) -> str:
    """Import a folder, and return what was said of it."""
    heard: list[str] = []
    import_folder("fits", folder, out, Listeners(note=heard.append), **options)
    return "\n".join(heard)


def test_the_orientation_of_images_is_kept_and_mirrors_are_named(tmp_path):
    cards = header()
    turn = np.radians(30.0)
    step = SCALE / 3600
    cards["CD1_1"], cards["CD1_2"] = step * np.cos(turn), step * np.sin(turn)
    cards["CD2_1"], cards["CD2_2"] = -step * np.sin(turn), step * np.cos(turn)
    write(tmp_path / "set" / "lens.fits", truth(1).image, cards)
    assert "mirrored" in heard_of(tmp_path / "set", tmp_path / "D")
    dataset = ShardDataset(tmp_path / "D")
    assert dataset.pixel_scale == pytest.approx(SCALE, rel=1e-9)
    np.testing.assert_allclose(dataset.params["position_angle"], 30.0, atol=1e-9)
    folder_a_lens(tmp_path / "plain", truths(("g",)))
    assert "mirrored" not in heard_of(tmp_path / "plain", tmp_path / "E")


def test_kernels_off_their_middle_are_named_and_moved_on_request(tmp_path):
    lens = truth(1)
    axis = np.arange(15) - 7
    psf = np.exp(-((axis[:, None] - 0.6) ** 2 + (axis - 0.8) ** 2) / 4)
    folder = one_lens(tmp_path / "set") / "off"
    write(folder / "image.fits", lens.image, header())
    write(folder / "noise.fits", lens.sigma)
    write(folder / "psf.fits", psf)
    said = heard_of(folder.parent, tmp_path / "D")
    assert "1 file: its PSF lies 1.0 pixels off the middle" in said
    said = heard_of(folder.parent, tmp_path / "E", recentre_psf=True)
    assert "PSF" not in said
    lenses = ShardDataset(tmp_path / "E").observations([0, 1])
    (kernel,) = next(lens.psf for lens in lenses if lens.name == "off")
    np.testing.assert_allclose(centroid(kernel), 0, atol=0.02)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_bands_whose_middles_differ_are_named(tmp_path, shift):
    """Three pixels of one band in a pixel of the other: half a pixel off, unless the stamps say so."""
    step = 3 * SCALE / 3600
    cards = header("r")
    cards["CD1_1"], cards["CD2_2"] = -step, step
    cards["CRPIX1"] = (SIDE // 3 + 1) / 2 + shift
    cards["CRPIX2"] = (SIDE // 3 + 1) / 2
    write(tmp_path / "set" / "lens_g.fits", truth(1).image, header("g"))
    write(tmp_path / "set" / "lens_r.fits", truth(2).image[:8, :8], cards)
    said = heard_of(tmp_path / "set", tmp_path / "D", pixel_scale=SCALE)
    assert ("middle of band r lies 1.5 pixels off that of g" in said) == (shift > 0)


@pytest.mark.parametrize("ending", ["fits", "npy", "h5"])
def test_a_stack_of_images_is_not_taken_for_bands(tmp_path, ending):
    stack = np.stack([truth(number).image for number in range(5)])
    path = tmp_path / "set" / f"stack.{ending}"
    path.parent.mkdir()
    if ending == "fits":
        fits.writeto(path, stack, header())
    elif ending == "npy":
        np.save(path, stack)
    else:
        with h5py.File(path, "w") as file:
            file["images"] = stack
    options = {"pixel_scale": SCALE}
    with pytest.raises(DataError, check=has_code("image-unclear", shape=stack.shape)):
        import_folder("fits", path.parent, tmp_path / "D", **options)
    import_folder("fits", path.parent, tmp_path / "D", bands=5, **options)
    assert ShardDataset(tmp_path / "D").bands == ("1", "2", "3", "4", "5")


@pytest.mark.parametrize("sign", [np.nan, np.inf, 100.0, 1e8, -9999.0])
def test_masked_pixels_of_an_image_are_known_by_their_value(tmp_path, sign):
    lens = truth(1)
    image = np.where(lens.bad, sign, lens.image / 100)
    root = one_lens(tmp_path / "set", image=image, noise=lens.sigma / 100)
    import_folder("fits", root, tmp_path / "D")
    observation = ShardDataset(tmp_path / "D").observations([0])[0]
    np.testing.assert_array_equal(observation.mask[0], ~lens.bad)
    assert np.abs(observation.image).max() <= lens.image.max() / 100


def test_a_value_may_be_named_as_masked(tmp_path):
    lens = truth(1)
    image = np.where(lens.bad, 7.0, lens.image)
    root = one_lens(tmp_path / "set", image=image)
    import_folder("fits", root, tmp_path / "D", masked_values="7,8")
    observation = ShardDataset(tmp_path / "D").observations([0])[0]
    np.testing.assert_array_equal(observation.mask[0], ~lens.bad)


@pytest.mark.parametrize("means", ["bad", "good"])
def test_a_mask_has_the_sense_that_the_user_states(tmp_path, means):
    bad = truth(1).bad
    mask = bad if means == "bad" else ~bad
    root = one_lens(tmp_path / "set", mask=mask.astype(np.uint8))
    import_folder("fits", root, tmp_path / "D", mask_means=means)
    np.testing.assert_array_equal(
        ShardDataset(tmp_path / "D").observations([0])[0].mask[0], ~bad
    )


def test_bits_of_a_mask_with_names_count_if_they_mean_bad_pixels(tmp_path):
    """Masks of HSC and Rubin mark detected sources too, which are what one looks for."""
    lens = truth(1)
    mask = np.full((SIDE, SIDE), 1 << 5, np.int32) | (lens.bad * (1 << 1))
    cards = fits.Header({"MP_SAT": 1, "HIERARCH MP_DETECTED": 5})
    units = [
        fits.PrimaryHDU(),
        fits.ImageHDU(lens.image, header(), name="IMAGE"),
        fits.ImageHDU(mask.astype(np.int32), cards, name="MASK"),
        fits.ImageHDU(lens.sigma**2, name="VARIANCE"),
    ]
    (tmp_path / "set").mkdir()
    fits.HDUList(units).writeto(tmp_path / "set" / "lens.fits")
    import_folder("fits", tmp_path / "set", tmp_path / "D")
    observation = ShardDataset(tmp_path / "D").observations([0])[0]
    np.testing.assert_array_equal(observation.mask[0], ~lens.bad)


def test_a_single_file_may_be_imported(tmp_path):
    extensions_as_euclid(tmp_path / "set", truths(BANDS))
    source = tmp_path / "set" / NAMES[1] / "cutout.fits"
    assert import_folder("fits", source, tmp_path / "D").n == 1
    observation = ShardDataset(tmp_path / "D").observations([0])[0]
    assert (observation.name, observation.bands) == (NAMES[1], ("DES_G", "DES_R"))


@pytest.mark.parametrize(
    "numbers", [{"transform_pix2angle": np.ones(3)}, {"background_rms": np.ones((2, 3))}]
)
def test_numbers_of_hdf5_that_do_not_fit_are_refused(tmp_path, numbers):
    (tmp_path / "set").mkdir()
    with h5py.File(tmp_path / "set" / "lens.h5", "w") as file:
        file["image_data"] = truth(1).image
        for name, array in numbers.items():
            file[name] = array
    with pytest.raises(DataError, match=r"lens\.h5", check=has_code("file-invalid")):
        import_folder("fits", tmp_path / "set", tmp_path / "D", pixel_scale=SCALE)


def test_the_middle_of_a_stamp_is_cut_out(tmp_path):
    root = one_lens(tmp_path / "set")
    import_folder("fits", root, tmp_path / "D", num_pix=12)
    image = ShardDataset(tmp_path / "D").images([0])[0, 0]
    np.testing.assert_array_equal(image, truth(1).image[6:18, 6:18])
    with pytest.raises(DataError, check=has_code("stamp-too-small", side=SIDE)):
        import_folder("fits", root, tmp_path / "E", num_pix=25)


@pytest.mark.parametrize("new_scale", [0.05, 0.2, 0.137])
def test_resampling_keeps_flux_and_aperture_noise(new_scale):
    rng = np.random.default_rng(0)
    image = np.zeros((40, 40))
    image[12:28, 12:28] = rng.random((16, 16))
    num_pix = int(40 * SCALE / new_scale)
    assert regrid(image, SCALE, num_pix, new_scale).sum() == pytest.approx(
        image.sum(), 1e-12
    )
    shares = overlap(40, SCALE, num_pix, new_scale)
    assert shares.sum(0).max() == pytest.approx(1)
    np.testing.assert_allclose(shares.sum(1), new_scale / SCALE)


def test_a_resampled_kernel_is_the_image_of_a_resampled_point():
    kernel = truth(1).psf
    point = np.zeros((21, 21))
    point[7:14, 7:14] = kernel
    resampled = regrid(point, 0.1, 7, 0.3)
    np.testing.assert_allclose(
        regrid_kernel(kernel, 0.1, 0.3), resampled[2:5, 2:5], atol=1e-12
    )


def test_images_are_resampled_with_noise_and_mask(tmp_path):
    lens = truth(1)
    sigma = marked(lens.sigma, lens.bad, 1e8)
    root = one_lens(tmp_path / "set", noise=sigma)
    import_folder("fits", root, tmp_path / "D", pixel_scale=0.2)
    observation = ShardDataset(tmp_path / "D").observations([0])[0]
    assert (observation.pixel_scale, observation.image.shape) == (0.2, (1, 12, 12))
    blocks = (12, 2, 12, 2)
    bad = lens.bad.reshape(blocks).any((1, 3))
    np.testing.assert_array_equal(observation.mask[0], ~bad)
    flux = lens.image.astype(np.float64).reshape(blocks).sum((1, 3))
    np.testing.assert_allclose(observation.image[0][~bad], flux[~bad], rtol=1e-6)
    variance = (lens.sigma.astype(np.float64) ** 2).reshape(blocks).sum((1, 3))
    np.testing.assert_allclose(observation.sigma[0][~bad] ** 2, variance[~bad], rtol=1e-6)
    assert observation.psf[0].sum() == pytest.approx(1)


def test_lenses_of_different_pixel_scales_are_brought_to_one(tmp_path):
    root = one_lens(tmp_path / "set")
    cards = header()
    cards["CD1_1"] = cards["CD2_2"] = 2 * SCALE / 3600
    write(root / "wide" / "image.fits", truth(2).image, cards)
    write(root / "wide" / "noise.fits", truth(2).sigma)
    write(root / "wide" / "psf.fits", truth(2).psf)
    with pytest.raises(DataError, check=has_code("pixel-scale-differs", lens="wide")):
        import_folder("fits", root, tmp_path / "D")
    grid = {"pixel_scale": 0.2, "num_pix": 10}
    assert import_folder("fits", root, tmp_path / "D", **grid).n == 2


def test_an_import_does_not_depend_on_the_place_of_its_files(tmp_path):
    for name in ("a", "b"):
        folder_a_band(tmp_path / name / "set", truths(BANDS))
        import_folder("fits", tmp_path / name / "set", tmp_path / name / "D")
    configs = [read_plan(tmp_path / name / "D").config for name in ("a", "b")]
    assert configs[0] == configs[1]
    write(tmp_path / "b/set" / NAMES[0] / "g/psf2.fits", truth(5).psf)
    (tmp_path / "b/set" / NAMES[0] / "g/psf2.fits").replace(
        tmp_path / "b/set" / NAMES[0] / "g/psf.fits"
    )
    with pytest.raises(ConfigError, check=has_code("config-differs")):
        import_folder("fits", tmp_path / "b/set", tmp_path / "b/D")


def test_the_card_says_how_to_import_again(tmp_path):
    folder_a_band(tmp_path / "set", truths(BANDS))
    table = tmp_path / "labels.csv"
    table.write_text(f"name,q\n{NAMES[0]},0.5\n")
    options = {"bands": "r", "pixel_scale": 0.2, "num_pix": 10, "labels": str(table)}
    import_folder("fits", tmp_path / "set", tmp_path / "D", **options)
    card = (tmp_path / "D/card.md").read_text()
    words = "--bands r --pixel-scale 0.2 --num-pix 10 --labels labels.csv"
    assert f"lenssim import fits set --out D {words}" in card
    table.write_text(f"name,q\n{NAMES[0]},0.6\n")
    with pytest.raises(ConfigError, check=has_code("config-differs")):
        import_folder("fits", tmp_path / "set", tmp_path / "D", **options)


CHALLENGE = {"ground": ("SDSS", "RIGU"), "space": ("EUC", ("VIS",))}


def stamps(root: Path, kind: str) -> Path:
    survey, bands = CHALLENGE[kind]
    for number, name in enumerate(("nolens", "lens", "lens")):
        for place, band in enumerate(bands):
            image = truth(10 * number + place).image * 1e-12
            image[0, :3] = 100
            folder = root / name / f"Band{place + 1}" if len(bands) > 1 else root / name
            write(folder / f"image{survey}_{band}-10000{number}.fits", image, header())
    return root


@pytest.mark.parametrize("kind", CHALLENGE)
def test_stamps_of_the_challenge(tmp_path, kind):
    root = stamps(tmp_path / "set", kind)
    manifest = import_folder("challenge", root, tmp_path / "D")
    assert manifest.class_counts == {"nolens": 1, "lens": 2}
    dataset = ShardDataset(tmp_path / "D")
    assert dataset.bands == tuple(CHALLENGE[kind][1])
    observation = dataset.observations([2])[0]
    assert (observation.name, observation.sigma) == ("100002", None)
    assert (~observation.mask).sum() == 3 * len(dataset.bands)
    assert observation.image.max() < 1e-9
    table = tmp_path / "truth.csv"
    table.write_text("ID,is_lens\n100000,1\n100001,0\n100002,0\n100009,0\n")
    manifest = import_folder("challenge", root, tmp_path / "E", labels=str(table))
    assert manifest.class_counts == {"nolens": 2, "lens": 1}


def test_stamps_without_all_bands_are_named(tmp_path):
    root = stamps(tmp_path / "set", "ground")
    (root / "lens/Band3/imageSDSS_G-100001.fits").unlink()
    with pytest.raises(DataError, check=has_code("band-missing", lens="100001")):
        import_folder("challenge", root, tmp_path / "D")
    write(root / "lens/other/imageSDSS_R-100002.fits", truth(3).image)
    assert import_folder("challenge", root, tmp_path / "D", skip_bad=True).n == 1


def test_the_damaged_stamp_of_the_real_challenge_is_named(tmp_path, shared_data):
    """Its source copied R over U, and I over G."""
    source = shared_data / "challenge" / "ground"
    pairs = [("R", "U"), ("I", "G")]
    with pytest.raises(
        DataError, check=has_code("bands-equal", lens="100013", bands=pairs)
    ):
        import_folder("challenge", source, tmp_path / "D")
    manifest = import_folder("challenge", source, tmp_path / "D", skip_bad=True)
    assert manifest.class_counts == {"nolens": 2, "lens": 3}


def test_simulated_images_are_observations_too(tmp_path, lenssim):
    made = lenssim(
        *("generate", "--model", "III", "-n", 3, "--out", "D", "--workers", 0),
        *("--truth", "sigma,mask", "--engine", "lenstronomy"),
    )
    assert made.code == 0, made.err
    dataset = ShardDataset(tmp_path / "D")
    (observation,) = dataset.observations([2])
    assert (observation.name, observation.number) == ("2", 2)
    assert observation.pixel_scale == dataset.pixel_scale
    np.testing.assert_array_equal(observation.sigma, dataset.read_map("sigma", [2])[0])
    assert observation.psf[0].sum() == pytest.approx(1)


def test_a_table_beside_the_lenses_is_not_called_unread(tmp_path):
    folder_a_lens(tmp_path / "set", truths("g"))
    table = tmp_path / "set" / "labels.csv"
    table.write_text("name,theta_E\n" + "".join(f"{name},1.4\n" for name in NAMES))
    (tmp_path / "set" / "notes.txt").write_text("x")
    heard: list[str] = []
    import_folder(
        "fits",
        *(tmp_path / "set", tmp_path / "D"),
        labels=str(table),
        listeners=Listeners(note=heard.append),
    )
    assert heard[:-1] == ["1 file: of another kind, not read: .txt"]


def test_contact_sheets_name_the_lenses(tmp_path):
    folder_a_lens(tmp_path / "set", truths("g"))
    import_folder("fits", tmp_path / "set", tmp_path / "D")
    sheets = first_of_each_class(open_complete(tmp_path / "D"), count=9)
    images, titles = sheets["unlabelled"]
    assert len(images) == len(titles)
    assert titles == [f"{number}: {name}" for number, name in enumerate(NAMES)]


def test_real_slacs_lenses(tmp_path, shared_data):
    source = shared_data / "lenses" / "slacs"
    import_folder(
        *("fits", source, tmp_path / "D"),
        pixel_scale=0.05,
        labels=str(source / "published.csv"),
        rename={"theta_E_SIE": "theta_E"},
    )
    dataset = ShardDataset(tmp_path / "D")
    assert len(dataset) == 16
    assert np.isfinite(dataset.params["theta_E"]).all()
    for observation in dataset.observations(np.arange(16)):
        noise = fits.getdata(source / observation.name / "noise.fits")
        np.testing.assert_array_equal(observation.sigma[0], noise)
        np.testing.assert_array_equal(observation.mask[0], noise < 1e7)


def test_real_euclid_lenses(tmp_path, shared_data):
    source = shared_data / "lenses" / "euclid"
    options = {"bands": "VIS,NIR_Y,NIR_J,NIR_H", "num_pix": 100}
    import_folder("fits", source, tmp_path / "D", **options)
    dataset = ShardDataset(tmp_path / "D")
    assert dataset.pixel_scale == pytest.approx(0.1)
    assert dataset.observations([1])[0].zero_points == (24.6, 29.8, 30.0, 29.9)
    with pytest.raises(DataError, check=has_code("band-missing")):
        import_folder("fits", source, tmp_path / "E", bands="VIS,F814W")


def test_real_hsc_mocks_ask_which_images_are_meant(tmp_path, shared_data):
    """Their second images of each band are negative in places, so they are no errors."""
    source = shared_data / "lenses" / "hsc_mocks"
    with pytest.raises(DataError, check=has_code("image-unclear")):
        import_folder("fits", source, tmp_path / "D", pixel_scale=0.168)
    named = {"extension": "1,3,5,7", "bands": "g,r,i,z", "pixel_scale": 0.168}
    assert import_folder("fits", source, tmp_path / "D", **named).n == 8
    with pytest.raises(DataError, check=has_code("noise-values")):
        import_folder("fits", source, tmp_path / "E", noise_extension="2,4,6,8", **named)
