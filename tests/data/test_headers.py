"""What FITS files of lenssim's say of units, pixels and provenance, as astropy reads it."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from lenssim.data.export import export_fits
from lenssim.formats.fits import read_fits
from lenssim.simulate.preset import load_preset


def check_header(header: fits.Header, name: str) -> None:
    camera = load_preset(name).instrument
    assert header["BUNIT"] == "electron/s"
    assert header["PIXSCALE"] == camera.pixel_scale
    assert header["INSTRUME"] == camera.name
    assert header["PRESET"] == name
    assert header["SEED"] == 5
    wcs = WCS(header, naxis=2)
    middle = (camera.num_pix - 1) / 2
    places = wcs.wcs_pix2world([[middle, middle], [middle + 1, middle + 2]], 0)
    np.testing.assert_allclose(places, [[0, 0], [camera.pixel_scale, 2 * camera.pixel_scale]], atol=1e-12)
    assert [str(unit) for unit in wcs.wcs.cunit] == ["arcsec", "arcsec"]


@pytest.mark.parametrize("name", ["III", "I"])
def test_rendered_images_say_what_they_are(tmp_path, lenssim, name):
    done = lenssim("render", "-m", name, "--seed", 5, "-o", "x.fits", "--engine", "lenstronomy")
    assert done.code == 0, done.err
    with fits.open(tmp_path / "x.fits") as units:
        header = units[0].header
        check_header(header, name)
        assert header["EXPTIME"] == pytest.approx(header.get("exposure_time", 5400))


def test_exports_say_what_they_are(tiny_data, tmp_path):
    path = export_fits(tiny_data, tmp_path / "fits")[0]
    with fits.open(path, checksum=True) as units:
        check_header(units[0].header, "III")
        assert units[0].header["EXPTIME"] == 5400
    assert read_fits(path).array.shape == (32, 1, 64, 64)
