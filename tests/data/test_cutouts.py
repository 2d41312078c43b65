"""FITS cut-outs: what they hold, and that an import gives everything back."""

import csv

import numpy as np
import pytest
from astropy.io import fits

import lenssim as package

pytestmark = pytest.mark.thorough
N = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of a camera with a drawn PSF, noise maps and masks; its cut-outs; their import."""
    place = tmp_path_factory.mktemp("cutouts")
    data = place / "data"
    package.generate("hst", N, data, maps=["sigma", "mask"], workers=0)
    package.export(data, place / "files", to="cutouts")
    package.import_data(
        "fits", place / "files", place / "back", labels=place / "files" / "truth.csv"
    )
    return place


def test_an_import_gives_images_maps_psfs_and_numbers_back(folder):
    before = package.open(folder / "data")
    after = package.open(folder / "back")
    rows = np.arange(N)
    assert np.array_equal(before.images(rows), after.images(rows))
    assert np.array_equal(before.params["theta_E"], after.params["theta_E"])
    pairs = zip(before.observations(rows), after.observations(rows), strict=True)
    for sent, returned in pairs:
        assert np.array_equal(sent.mask, returned.mask)
        assert np.array_equal(sent.sigma, returned.sigma)
        assert sent.pixel_scale == returned.pixel_scale
        assert sent.zero_points == returned.zero_points
        assert np.allclose(sent.psf[0], returned.psf[0], rtol=0, atol=1e-7)
    names = [before.classes[label] for label in before.labels]
    assert names == [after.classes[label] for label in after.labels]


def test_a_file_says_what_other_codes_need(folder):
    with fits.open(folder / "files" / "0000003.fits", checksum=True) as units:
        image = units["SCI"]
        assert image.header["BUNIT"] == "electron/s"
        assert image.header["PIXSCALE"] == pytest.approx(0.08)
        assert {"MAGZERO", "EXPTIME", "INSTRUME"} <= set(image.header)
        assert units["ERR"].data.shape == image.data.shape
        assert units["PSF"].data.sum() == pytest.approx(1)


def test_the_table_names_every_file(folder):
    with (folder / "files" / "truth.csv").open() as table:
        rows = list(csv.DictReader(table))
    files = sorted(path.stem for path in (folder / "files").glob("*.fits"))
    assert [row["name"] for row in rows] == files
    assert {"class", "theta_E"} <= set(rows[0])
