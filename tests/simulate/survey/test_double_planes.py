"""Double source planes: images against lenstronomy's several planes, rows against their deflectors."""

import numpy as np
import pytest
from error_codes import has_code
from lenstronomy.Data.pixel_grid import PixelGrid
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from lenssim.errors import ConfigError
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.engines import engine
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.psf import GaussianPSF
from lenssim.simulate.scenes import Component, Scenes
from lenssim.simulate.survey import detect, load_survey
from lenssim.simulate.survey.double import with_second_sources

COSMOLOGY = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
LIGHT = ("R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")
NEAR = dict(zip(LIGHT, (0.2, 1.0, 0.1, -0.1, 0.1, 0.05), strict=True))
FAR = dict(zip(LIGHT, (0.15, 1.5, -0.2, 0.0, -0.2, 0.1), strict=True))
LENS = {"theta_E": 1.0, "e1": 0.1, "e2": 0.05, "center_x": 0.0, "center_y": 0.0}
SHEAR = {"gamma1": 0.03, "gamma2": -0.02}


def columns(prefix, numbers):
    return {prefix + name: np.array([value]) for name, value in numbers.items()}


def scenes(z_far, amp_far=1.0):
    params = columns("", LENS | SHEAR) | columns("", {"z_lens": 0.4, "z_source": 1.2})
    params |= columns("source_", NEAR | {"amp": 2.0})
    params |= columns("source2_", FAR | {"amp": amp_far, "z": z_far})
    parts = (
        Component("lens", "sie"),
        Component("lens", "shear"),
        Component("source", "sersic", "source_"),
        Component("source", "sersic", "source2_"),
    )
    return Scenes(parts, params, cosmology=COSMOLOGY)


def camera():
    return Instrument(
        name="x",
        num_pix=48,
        pixel_scale=0.1,
        psf=GaussianPSF(fwhm=0.17, truncation=5),
        background_rms=0.01,
        exposure_time=100.0,
    )


def by_lenstronomy(z_far):
    """The image by lenstronomy's tracing through several planes."""
    lens = LensModel(
        ["SIE", "SHEAR"],
        multi_plane=True,
        lens_redshift_list=[0.4, 0.4],
        z_source=max(1.2, z_far),
        z_source_convention=1.2,
        cosmo=COSMOLOGY.astropy(),
    )
    source = LightModel(["SERSIC_ELLIPSE"] * 2, source_redshift_list=[1.2, z_far])
    half = -0.1 * 47 / 2
    grid = PixelGrid(48, 48, np.eye(2) * 0.1, half, half)
    psf = PSF("GAUSSIAN", fwhm=0.17, truncation=5, pixel_size=0.1)
    numerics = {"supersampling_factor": 4, "supersampling_convolution": False}
    model = ImageModel(grid, psf, lens, source, kwargs_numerics=numerics)
    shear = SHEAR | {"ra_0": 0, "dec_0": 0}
    light = [NEAR | {"amp": 2.0}, FAR | {"amp": 1.0}]
    return model.image([LENS, shear], light)


@pytest.mark.filterwarnings("ignore:Cosmology is provided")
@pytest.mark.parametrize("z_far", [2.5, 0.9])
def test_a_second_source_is_that_of_lenstronomys_planes(z_far):
    expected = by_lenstronomy(z_far)
    image = engine("lenstronomy").render(scenes(z_far), camera(), supersampling=4)
    assert image[0, 0] == pytest.approx(expected, abs=1e-8 * expected.max())


def test_engines_agree_about_a_second_source():
    reference = engine("lenstronomy").render(scenes(2.5), camera(), supersampling=4)
    image = engine("batched").render(scenes(2.5), camera(), supersampling=4)
    assert np.abs(image - reference).max() < 1e-5 * reference.max()


def test_at_the_same_redshift_planes_are_one():
    shown = engine("lenstronomy").render(scenes(1.2), camera(), supersampling=2)
    one_plane = scenes(1.2)
    del one_plane.params["source2_z"]
    one = engine("lenstronomy").render(one_plane, camera(), supersampling=2)
    assert shown == pytest.approx(one, abs=1e-12 * one.max())


def test_derivatives_of_two_planes_are_refused():
    from lenssim.simulate.engines.batched.gradients import jacobian

    with pytest.raises(ConfigError, check=has_code("engine-options")):
        jacobian(scenes(2.5), camera(), ["theta_E"])


@pytest.fixture(scope="module")
def lenses():
    survey = load_survey("euclid")
    drawn = survey.draw_ideal(1, seed=1)
    drawn |= detect(drawn, survey.detection_camera, survey.cosmology)
    return drawn | {"found": survey.found(drawn).astype(float)}


def test_a_deflector_has_one_row_with_its_second_source(lenses):
    rows = with_second_sources(lenses)
    assert len(np.unique(lenses["drawn_area"])) == len(rows["theta_E"])
    is_double = rows["n_sources"] > 1
    assert is_double.any()
    assert ((rows["source2_magnitude"] < 60) == is_double).all()
    assert (np.isfinite(rows["source2_theta_E"]) == is_double).all()
    assert (rows["snr"] >= np.nan_to_num(rows["source2_snr"]))[rows["found"] == 0].all()
    # one lens: what a second source sees of it is the isothermal sphere's
    double = {name: column[is_double] for name, column in rows.items()}
    scale = COSMOLOGY.deflection_scale(
        double["z_lens"], double["source2_z"], double["z_source"]
    )
    assert double["source2_theta_E"] == pytest.approx(double["theta_E"] * scale, rel=1e-6)


def test_deflectors_with_one_source_keep_their_numbers(lenses):
    rows = with_second_sources(lenses)
    single = rows["n_sources"] == 1
    of_all = lenses["n_sources"] == 1
    for name, column in lenses.items():
        assert (rows[name][single] == column[of_all]).all(), name
