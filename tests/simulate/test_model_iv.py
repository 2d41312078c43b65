"""Model IV: equal to lenstronomy on the arguments of DeepLenseSim's script, and corrected."""

import warnings

import h5py
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from error_codes import has_code

from lenssim.data.format.manifest import read_manifest
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.preset import load_preset, parse_preset, presets_with_galaxies
from lenssim.simulate.sources.galaxies import Galaxies

SIDE = 64
BY_EYE = (2, 3, *range(5, 18), *range(19, 32), *range(35, 52), 54, 55)
MAGNITUDES = {"g": (17, 28, 22), "r": (18, 28, 19), "i": (19, 28, 18)}
ENGINES = {
    "lenstronomy": {},
    "batched": {"precision": "float64", "device": "cpu", "kernels": "eager"},
    "autolens": {},
}
# lenstronomy softens its SIE by 1e-10". A source of pixels of 0.0025" shows that.
TOLERANCE = {"lenstronomy": 1e-9, "batched": 1e-6, "autolens": 1e-6}


@pytest.fixture(scope="module")
def galaxy10(tmp_path_factory):
    """A file in the layout of Galaxy10 DECals, with 60 nearby tight spirals among 130 galaxies."""
    rng = np.random.default_rng(2)
    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    images = np.empty((130, SIDE, SIDE, 3), np.uint8)
    for image in images:
        radius = np.hypot(rows * rng.uniform(0.8, 1.2), columns)
        for band, level in enumerate((120, 90, 70)):
            light = level * np.exp(-radius / rng.uniform(5, 9))
            image[..., band] = (light + rng.uniform(2, 6, light.shape)).astype(np.uint8)
    path = tmp_path_factory.mktemp("galaxy10") / "Galaxy10_DECals.h5"
    with h5py.File(path, "w") as file:
        file["images"] = images
        file["ans"] = np.where(np.arange(130) % 2 == 0, 6, 3)
        file["redshift"] = np.where(np.arange(130) < 124, 0.01, 0.05)
    return path


def preset_iv(name, path):
    preset = load_preset(name).with_galaxies(path)
    preset.check()
    return preset


def test_the_47_galaxies_are_those_of_the_script(galaxy10):
    preset = preset_iv("IV", galaxy10)
    assert preset.galaxies.only == BY_EYE
    assert len(BY_EYE) == 47
    with h5py.File(galaxy10) as file:
        nearby = (file["ans"][:] == 6) & (file["redshift"][:] < 0.02)
        stamps = file["images"][:][nearby][list(BY_EYE)].astype(float)
    shown = preset.galaxies.images()
    assert shown.shape == (47, 3, SIDE, SIDE)
    level = np.median(stamps[:, :50, :50], axis=(1, 2), keepdims=True)
    np.testing.assert_array_equal(shown, np.moveaxis(stamps - level, -1, 1))


def script_image(scenes, images, i: int, band: str, channel: int) -> np.ndarray:
    """One channel as sim_no_sub.py makes it, noise off."""
    from lenstronomy.SimulationAPI.sim_api import SimAPI

    params = {name: float(column[i]) for name, column in scenes.params.items()}
    first, second, galaxy = MAGNITUDES[band]
    euclid = {
        "read_noise": 4.2,
        "pixel_scale": 0.101,
        "ccd_gain": 3.1,
        "exposure_time": 565.0,
        "sky_brightness": 22.35,
        "magnitude_zero_point": 24.0,
        "num_exposures": 4,
        "seeing": 0.16,
        "psf_type": "GAUSSIAN",
    }
    model = {
        "lens_model_list": ["SIE"],
        "lens_redshift_list": [0.5],
        "lens_light_model_list": ["SERSIC_ELLIPSE", "SERSIC_ELLIPSE"],
        "source_light_model_list": ["INTERPOL"],
        "source_redshift_list": [1.0],
        "z_source": 1.0,
        "z_source_convention": 2.5,
        "z_lens": 0.5,
        "cosmo": FlatLambdaCDM(H0=70, Om0=0.3, Ob0=0.0),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a cosmology that is given
        sim = SimAPI(64, euclid, model)
    mass = [{"sigma_v": params["sigma_v"], "center_x": 0, "center_y": 0, "e1": 0, "e2": 0}]
    centred = {"center_x": 0, "center_y": 0, "e1": 0}
    light = [
        {"magnitude": first, "R_sersic": 0.4, "n_sersic": 2.3, "e2": 0.05, **centred},
        {"magnitude": second, "R_sersic": 1.5, "n_sersic": 1.2, "e2": 0.3, **centred},
    ]
    source = {
        "magnitude": galaxy,
        "image": images[int(params["source_image"]), channel].astype(float),
        "center_x": params["source_center_x"],
        "center_y": params["source_center_y"],
        "phi_G": params["source_phi_G"],
        "scale": 0.0025,
    }
    lens_light, sources, _ = sim.magnitude2amplitude(light, [source])
    image_model = sim.image_model_class({"supersampling_factor": 1})
    return image_model.image(
        kwargs_lens=sim.physical2lensing_conversion(mass),
        kwargs_source=sources,
        kwargs_lens_light=lens_light,
    )


@pytest.mark.parametrize("name", ENGINES)
def test_no_sub_is_lenstronomy_on_the_arguments_of_the_script(galaxy10, name):
    preset = preset_iv("IV", galaxy10)
    scenes = draw(preset, np.arange(2), seed=4)
    images = engine(name, **ENGINES[name]).render(scenes, preset.instrument)
    assert images.shape == (2, 3, 64, 64)
    for i in range(2):
        for channel, band in enumerate(MAGNITUDES):
            expected = script_image(scenes, preset.galaxies.images(), i, band, channel)
            difference = np.abs(images[i, channel] - expected).max()
            assert difference < TOLERANCE[name] * expected.max()


def test_the_lens_of_the_published_classes_tells_them_apart(galaxy10):
    """Rings of 0.835" without shear, and of 0.951" with it: published Model IV leaks."""
    smooth = preset_iv("IV", galaxy10)
    scenes = draw(smooth, np.arange(64), seed=0)
    ring = scenes.params["theta_E"] * scenes.deflection_scale()
    assert ring.mean() == pytest.approx(0.835, abs=0.03)
    rough = draw(preset_iv("IV-substructure", galaxy10), np.arange(4), seed=0)
    ring = rough.params["theta_E"] * rough.deflection_scale()
    assert ring == pytest.approx(0.951, abs=1e-3)
    assert set(rough.params["gamma1"]) == {0.05}


def test_the_corrected_classes_share_their_lenses(galaxy10):
    params = draw(preset_iv("IV-corrected", galaxy10), np.arange(192), seed=0).params
    label = np.arange(192) % 3
    assert params["lens_light_magnitude"].std() > 0.05
    for column in ("theta_E", "gamma1", "lens_light_magnitude"):
        means = [params[column][label == k].mean() for k in range(3)]
        assert np.ptp(means) < params[column].std()


@pytest.mark.parametrize("name", presets_with_galaxies())
def test_galaxies_are_asked_for(name):
    preset = load_preset(name)
    with pytest.raises(
        ConfigError, match="give --galaxies PATH", check=has_code("galaxies-missing")
    ):
        draw(preset, [0], seed=0)
    assert parse_preset(preset.model_dump(mode="json")) == preset


def test_stamps_as_they_are_state_the_scale_of_their_pixels(tmp_path):
    document = load_preset("IV").model_dump(mode="json")
    document["galaxies"]["frame"] = "half_light"
    with pytest.raises(
        ConfigError,
        match="states R_half",
        check=has_code("settings-invalid", where="preset"),
    ):
        parse_preset(document)
    assert Galaxies.model_validate({"kinds": [6]}).recipe == 2


def test_a_dispersion_is_an_einstein_radius():
    """As lenstronomy's SIS, for the source that deflections are stated for."""
    from lenstronomy.Cosmo.lens_cosmo import LensCosmo

    document = load_preset("hst-arcs").model_dump(mode="json")
    lens = document["lens"][0]["parameters"]
    del lens["theta_E"]
    document["lens"][0]["parameters"] = lens | {"sigma_v": 240.0}
    document |= {"z_lens": 0.4, "z_source": 1.1, "classes": {"no_sub": {"model": "no_sub"}}}
    preset = parse_preset(document)
    params = draw(preset, np.arange(2), seed=0).params
    cosmo = LensCosmo(0.4, 1.1, cosmo=preset.cosmology.astropy())
    assert params["theta_E"][0] == pytest.approx(cosmo.sis_sigma_v2theta_E(240.0), rel=1e-8)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["IV", "IV-corrected"])
def test_single_precision_agrees_with_the_reference(galaxy10, tmp_path, name):
    """A data set of compiled or eager kernels in float32, checked as every shard is."""
    document = preset_iv(name, galaxy10).model_dump(mode="json")
    document["classes"] = {"no_sub": {"model": "no_sub"}}
    document["galaxies"]["path"] = str(galaxy10)
    plan = make_plan(parse_preset(document), 3, noise="none", supersampling=1)
    assert plan.config["engine_settings"]["precision"] == "float32"
    generate(tmp_path / "D", plan)
    audit = read_manifest(tmp_path / "D").audit
    assert audit.samples >= 1
    assert 0 < audit.peak < 1e-4
