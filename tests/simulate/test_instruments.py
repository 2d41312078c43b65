"""Instruments: their arithmetic is lenstronomy's, their depth that of real images."""

import importlib.util
import json
import os
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code

import lenssim
from lenssim.errors import ConfigError
from lenssim.simulate.instruments import (
    GaussianPSF,
    Instrument,
    instrument,
    instruments,
    read_camera,
)
from lenssim.simulate.instruments.facts import five_sigma, sigma_magnitude
from lenssim.simulate.preset import load_preset, parse_preset

REAL = Path(
    os.environ.get("LENSSIM_SHARED_DATA", Path(__file__).parents[3] / "shared/data")
)
NAMES = [name for name in instruments() if not instrument(name).band_names]
HELD = [name for name in NAMES if instrument(name).depth is not None]
OLD = ("deeplense_simple", "euclid_vis", "euclid_vis_2021", "hst_wfc3_f160w")
LENSTRONOMY = {
    "DES": "grizY",
    "Euclid": ("VIS", "Y", "J", "H"),
    "HST": ("WFC3_F160W", "TDLMC_F160W"),
    "JWST": ("F115W", "F150W", "F200W", "F277W", "F356W", "F444W"),
    "LSST": "ugrizy",
    "Roman": ("F062", "F087", "F106", "F129", "F146", "F158", "F184"),
    "ZTF": "gri",
}
MODES = {  # of Roman's surveys: the first that has the band
    "F062": "time_domain_wide",
    "F087": "time_domain_wide",
    "F146": "microlensing",
    "F184": "time_domain_deep",
}
THEIR_BANDS = [(name, band) for name, bands in LENSTRONOMY.items() for band in bands]


def their_numbers(telescope: str, band: str) -> dict:
    module = import_module(f"lenstronomy.SimulationAPI.ObservationConfig.{telescope}")
    kind = "PIXEL" if telescope == "JWST" or band == "TDLMC_F160W" else "GAUSSIAN"
    options = {}
    if band in MODES:
        options = {"survey_mode": MODES[band]}
    camera = getattr(module, telescope)(band=band, psf_type=kind, **options)
    return camera.kwargs_single_band()


def from_theirs(numbers: dict, **changes) -> Instrument:
    values = {
        "name": "theirs",
        "pixel_scale": numbers["pixel_scale"],
        "zero_point": numbers["magnitude_zero_point"],
        "exposure_time": numbers["exposure_time"],
        "num_exposures": numbers["num_exposures"],
        "sky_brightness": numbers["sky_brightness"],
        "read_noise": numbers["read_noise"],
        "gain": numbers["ccd_gain"],
        "psf": {"fwhm": numbers.get("seeing") or 0.1},
    }
    return Instrument(**{**values, **changes})


@pytest.mark.parametrize(("telescope", "band"), THEIR_BANDS)
def test_the_arithmetic_is_that_of_single_band(telescope, band):
    from lenstronomy.SimulationAPI.observation_api import SingleBand

    numbers = their_numbers(telescope, band)
    theirs = SingleBand(**{**numbers, "kernel_point_source": np.ones((1, 1))})
    ours = from_theirs(numbers)
    assert float(ours.background()) == pytest.approx(theirs.background_noise, rel=1e-6)
    assert float(ours.total_exposure()) == pytest.approx(theirs.exposure_time, rel=1e-12)
    flux = 10 ** (-0.4 * (24.3 - ours.zero_point))
    assert flux == pytest.approx(theirs.magnitude2cps(24.3), rel=1e-6)


@pytest.mark.parametrize("band", ["Y", "J", "H"])
def test_files_with_lenstronomys_numbers_hold_them(band):
    numbers = their_numbers("Euclid", band)
    ours = instrument(f"euclid_nisp_{band.lower()}")
    theirs = from_theirs(numbers)
    assert float(ours.background()) == pytest.approx(float(theirs.background()), rel=1e-6)
    assert ours.psf == GaussianPSF(fwhm=numbers["seeing"])


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_sourced_and_of_this_sky(name):
    camera = instrument(name)
    assert camera.name == name
    assert camera.source
    assert camera.summary
    load_preset("III").model_copy(update={"instrument": camera.model_copy()})
    if camera.zero_point is not None:
        assert 20 <= camera.zero_point <= 32
    assert 0 < camera.pixel_loss <= 1
    assert Instrument.model_validate_json(camera.model_dump_json()) == camera


@pytest.mark.parametrize("name", HELD)
def test_the_stated_depth_is_held(name):
    camera = instrument(name)
    depth = camera.depth
    assert depth.source
    assert (depth.sigma_mag is None) != (depth.m5 is None)
    if depth.sigma_mag is not None:
        assert sigma_magnitude(camera) == pytest.approx(
            depth.sigma_mag, abs=depth.tolerance
        )
    else:
        assert five_sigma(camera) == pytest.approx(depth.m5, abs=depth.tolerance)


def test_depths_are_those_that_were_asked_for():
    for band in "ugrizy":
        assert instrument(f"rubin_{band}").depth.tolerance <= 0.1
    for name, tolerance in (("hst_acs", 0.15), ("euclid_vis_q1", 0.1), ("nircam", 0.1)):
        held = [camera for camera in HELD if camera.startswith(name)]
        assert held
        assert all(instrument(camera).depth.tolerance <= tolerance for camera in held)


def rms(path: Path, extension: int | str = 0) -> float:
    values = fits.getdata(path, extension)
    return float(np.median(values[values < 1e6]))


@pytest.mark.skipif(not (REAL / "lenses/slacs").is_dir(), reason=f"no SLACS in {REAL}")
def test_acs_is_as_deep_as_the_slacs_lenses():
    noise = np.array([rms(path) for path in (REAL / "lenses/slacs").glob("*/noise.fits")])
    assert len(noise) == 16
    orbits = noise < 0.015
    for name, chosen in (("hst_acs_f814w", orbits), ("hst_acs_f814w_snap", ~orbits)):
        camera = instrument(name)
        real = camera.zero_point - 2.5 * np.log10(np.median(noise[chosen]))
        assert sigma_magnitude(camera) == pytest.approx(real, abs=0.15)


@pytest.mark.skipif(not (REAL / "lenses/euclid").is_dir(), reason=f"no Euclid in {REAL}")
@pytest.mark.parametrize(
    ("band", "name", "tolerance"),
    [
        ("VIS", "euclid_vis_q1", 0.1),
        ("NIR_Y", "euclid_nisp_y_mer", 0.25),
        ("NIR_J", "euclid_nisp_j_mer", 0.25),
        ("NIR_H", "euclid_nisp_h_mer", 0.25),
    ],
)
def test_euclid_is_as_deep_as_its_stamps(band, name, tolerance):
    (path,) = (REAL / "lenses/euclid").glob("NEG*/cutout.fits")
    zero_point = fits.getheader(path, f"{band}_BGSUB")["MAGZERO"]
    real = zero_point - 2.5 * np.log10(rms(path, f"{band}_RMS"))
    assert sigma_magnitude(instrument(name)) == pytest.approx(real, abs=tolerance)


def test_output_pixels_share_the_noise_of_native_ones():
    """Read noise and dark current per arcsec^2 are the same, whatever the output grid."""
    numbers = {
        "name": "mine",
        "exposure_time": 100.0,
        "num_exposures": 3,
        "zero_point": 25.0,
        "sky_brightness": 22.0,
        "read_noise": 5.0,
        "dark": 0.1,
        "psf": {"fwhm": 0.3},
    }
    native = Instrument(**numbers, pixel_scale=0.2)
    finer = Instrument(**numbers, pixel_scale=0.1, native_scale=0.2)
    assert float(native.background()) == pytest.approx(2 * float(finer.background()))
    variance = 3 * 25 + (10 ** (-0.4 * -3.0) * 0.04 + 0.1) * 300
    assert float(native.background()) == pytest.approx(np.sqrt(variance) / 300)


@pytest.mark.parametrize("name", OLD)
def test_documents_of_the_first_instruments_stay(name):
    """Hashes of data sets depend on them."""
    keys = (
        "name summary source num_pix pixel_scale zero_point exposure_time num_exposures "
        "sky_brightness read_noise gain background_rms psf"
    )
    assert list(instrument(name).model_dump()) == keys.split()
    assert list(json.loads(instrument(name).model_dump_json())) == keys.split()


def test_an_instrument_may_be_like_another(tmp_path):
    base = instrument("hst_acs_f814w")
    snap = instrument("hst_acs_f814w_snap")
    assert (snap.zero_point, snap.psf) == (base.zero_point, base.psf)
    assert (snap.num_exposures, base.num_exposures) == (1, 4)
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nlike: hst_acs_f814w_snap\nread_noise: 3.0\n")
    mine = read_camera(path)
    assert (mine.name, mine.read_noise) == ("mine", 3.0)
    assert mine.exposure_time == snap.exposure_time
    path.write_text("name: mine\nlike: hst_acs_f814\n")
    with pytest.raises(
        ConfigError,
        match="did you mean 'hst_acs_f814w'",
        check=has_code(
            "unknown-instrument", name="hst_acs_f814", suggestion="hst_acs_f814w"
        ),
    ):
        read_camera(path)
    document = load_preset("III").model_dump(mode="json")
    document["instrument"] = {"name": "mine", "like": "rubin_r", "num_exposures": 9}
    camera = parse_preset(document).instrument
    assert (camera.name, camera.num_exposures, camera.psf.beta) == ("mine", 9, 5.5)
    document["instrument"] = {"name": "mine", "like": "rubin_w"}
    with pytest.raises(
        ConfigError,
        match="instrument: unknown instrument 'rubin_w'",
        check=has_code("settings-invalid", where="preset"),
    ):
        parse_preset(document)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"sky_brightness": 0.3}, "sky_brightness must lie in 16..25 mag/arcsec"),
        ({"sky_brightness": 29.5}, "sky_brightness must lie in 16..25 mag/arcsec"),
        ({"zero_point": 2.1e9 ** (1 / 3)}, "less than or equal to 50"),
        ({"zero_point": 8.9}, "zero_point must lie in 20..32"),
    ],
)
def test_other_units_are_refused(numbers, message):
    document = load_preset("III").model_dump(mode="json")
    document["instrument"] |= numbers
    with pytest.raises(ConfigError, match=message):
        parse_preset(document).check()


@pytest.mark.parametrize(
    ("resampling", "message"),
    [
        ({"kernel": "measured"}, "goes with `measured"),
        ({"kernel": "drizzle", "pixfrac": 0}, "greater than or equal to 0.01"),
        ({"kernel": "lanczos"}, "'none', 'drizzle', 'bilinear' or 'measured'"),
        ({"kernel": "measured", "measured": {"correlation": "no.npy"}}, "cannot read"),
        ({"kernel": "measured", "measured": {}}, "give either correlation or power"),
    ],
)
def test_impossible_resampling_is_refused(resampling, message):
    numbers = instrument("euclid_vis").model_dump()
    with pytest.raises(ValueError, match=message):
        Instrument.model_validate({**numbers, "resampling": resampling})


def test_the_page_has_the_numbers_of_the_files():
    """Renew it by: uv run python docs/instruments_table.py"""
    path = Path(__file__).parents[2] / "docs" / "instruments_table.py"
    spec = importlib.util.spec_from_file_location("instruments_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.with_table(module.PAGE.read_text())


def test_numbers_are_told_by_function_and_command(capsys):
    from lenssim.cli.instruments import instruments as command

    numbers = lenssim.instruments("hst_acs_f814w")
    assert numbers["m_sigma"] == pytest.approx(31.05, abs=0.01)
    assert numbers["pixel_rms"] == pytest.approx(2 / 3)
    command("hst_acs_f814w", json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(numbers))
    command("hst_wfc3_f160w_native", json=False)
    text = capsys.readouterr().out
    assert "m sigma" in text
    assert "diffraction alone gives 0.14" in text  # where lenstronomy differs, and why
    command(json=False)
    listed = capsys.readouterr().out
    assert all(name in listed for name in NAMES)
