"""The law of bands: each band of an image is the image of a camera of this band alone."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.bands import band_views
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import ENGINES, engine
from lenssim.simulate.instruments import Camera, Instrument
from lenssim.simulate.instruments.camera import check_band_names
from lenssim.simulate.parity import compare_engines
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset, parse_preset
from lenssim.simulate.spec import SimulationSpec

HERE = Path(__file__).parent
TOY_CAMERA: dict[str, Any] = yaml.safe_load((HERE / "toy_camera.yaml").read_text())
TOY = yaml.safe_load((HERE / "toy.yaml").read_text()) | {"instrument": TOY_CAMERA}
BANDS = ("g", "r")
COLOURS = {role: TOY[role][0]["colours"] for role in ("source", "lens_light")}
NUMBERS = np.arange(6)
ADAPTIVE = [name for name, info in ENGINES.items() if info.adaptive]


def toy(**changes: Any) -> dict[str, Any]:
    """The document of the toy preset, some of its keys changed."""
    return copy.deepcopy(TOY | changes)


def drawn_colours() -> dict[str, Any]:
    """The toy preset, the source's colours drawn from distributions."""
    document = toy()
    document["source"][0]["colours"] = {
        "g": {"normal": [0.75, 0.2]},
        "r": {"uniform": [-0.7, -0.3]},
    }
    return document


def one_band(band: str) -> dict[str, Any]:
    """The toy preset of one band alone: its instrument, and the magnitudes in this band."""
    document = toy()
    grid = {name: TOY_CAMERA[name] for name in ("num_pix", "pixel_scale")}
    document["instrument"] = {"name": f"toy_{band}", **grid, **TOY_CAMERA["bands"][band]}
    for role, colours in COLOURS.items():
        component = document[role][0]
        del component["colours"]
        magnitude = component["magnitude"]
        if isinstance(magnitude, dict):
            ends = [end + colours[band] for end in magnitude["uniform"]]
            component["magnitude"] = {"uniform": ends}
        else:
            component["magnitude"] = magnitude + colours[band]
    return document


def simulated(document, numbers=NUMBERS, **options):
    spec = SimulationSpec.of(parse_preset(document), seed=3, **options)
    return simulate(spec, numbers)


@pytest.mark.parametrize("engine_name", ENGINES)
def test_a_band_is_the_image_of_its_own_camera(engine_name):
    images = simulated(toy(), engine=engine_name, noise="none").expected
    assert images.shape == (len(NUMBERS), 2, 16, 16)
    for band, name in enumerate(BANDS):
        alone = simulated(one_band(name), engine=engine_name, noise="none").expected
        np.testing.assert_allclose(
            images[:, [band]], alone, atol=1e-6 * alone.max(), rtol=0
        )
    ratio = images[:, 0] / images[:, 1]
    assert ratio.std() > 0.02 * ratio.mean()  # the PSFs differ


@pytest.mark.parametrize("engine_name", ENGINES)
def test_colours_that_are_drawn_act_in_their_band(engine_name):
    scenes = draw(parse_preset(drawn_colours()), NUMBERS, seed=3)
    camera = Camera.model_validate(TOY_CAMERA)
    images = engine(engine_name).render(scenes, camera, supersampling=2)
    for band, (of_band, instrument) in enumerate(band_views(scenes, camera)):
        colour = scenes.params[f"source_colour_{BANDS[band]}"]
        magnitude = of_band.params["source_magnitude"]
        np.testing.assert_array_equal(magnitude, scenes.params["source_magnitude"] + colour)
        alone = engine(engine_name).render(of_band, instrument, supersampling=2)
        np.testing.assert_allclose(images[:, [band]], alone, atol=1e-6 * alone.max())


@pytest.mark.parametrize("engine_name", ADAPTIVE)
def test_bands_of_adaptive_rays(engine_name):
    options = {"engine": engine_name, "supersampling": "adaptive", "noise": "none"}
    images = simulated(toy(), **options).expected
    for band, name in enumerate(BANDS):
        alone = simulated(one_band(name), **options).expected
        np.testing.assert_allclose(
            images[:, [band]], alone, atol=1e-6 * alone.max(), rtol=0
        )


def test_engines_agree_in_every_band():
    parity = compare_engines(parse_preset(toy()), 2)
    assert parity.agrees, parity.document()
    for reference, difference in parity.worst.values():
        assert reference.shape == difference.shape == (16, 16)


def test_colours_are_truth_and_change_nothing_else():
    colourful = draw(parse_preset(drawn_colours()), NUMBERS, seed=3)
    assert colourful.unit("source_colour_g") == "mag"
    assert colourful.params["source_colour_g"].std() > 0
    np.testing.assert_array_equal(colourful.params["lens_light_colour_r"], 0.25)
    grey = toy()
    del grey["source"][0]["colours"]
    plain = draw(parse_preset(grey), NUMBERS, seed=3)
    for name, column in plain.params.items():
        np.testing.assert_array_equal(column, colourful.params[name], err_msg=name)
    for kind, table in plain.perturbers.items():
        for name, column in table.columns.items():
            np.testing.assert_array_equal(column, colourful.perturbers[kind].columns[name])


@pytest.mark.parametrize("noise", ["nominal", "published"])
def test_noise_has_the_sigma_of_its_band(noise):
    one = simulated(toy(), [0, 1], noise=noise)
    spec = one.spec
    observed = np.stack(
        [
            simulate(spec.model_copy(update={"seed": seed}), [0], fixed=FIXED).observed[0]
            for seed in range(80)
        ]
    )
    exposure = simulate(spec, [0], fixed=FIXED)
    share = observed.std(0, ddof=1) / exposure.sigma[0]
    for band, name in enumerate(BANDS):
        alone = simulate(
            SimulationSpec.of(parse_preset(one_band(name)), seed=3, noise=noise),
            [0],
            fixed=FIXED | {f"{r}_magnitude": v for r, v in magnitudes(name).items()},
        )
        np.testing.assert_allclose(exposure.sigma[:, [band]], alone.sigma, rtol=1e-4)
        np.testing.assert_allclose(share[band].mean(), 1, atol=0.03)
    correlation = np.corrcoef(
        *(((observed - observed.mean(0)) / exposure.sigma)[:, b].ravel() for b in (0, 1))
    )
    assert abs(correlation[0, 1]) < 0.03


FIXED = {"theta_E": 1.0, "source_magnitude": 21.5, "source_center_x": 0.1}


def magnitudes(band: str) -> dict[str, float]:
    return {
        "source": 21.5 + COLOURS["source"][band],
        "lens_light": 21.0 + COLOURS["lens_light"][band],
    }


@pytest.mark.parametrize("noise", ["nominal", "published"])
def test_noise_of_the_first_band_is_that_of_one_band(noise):
    both = simulated(toy(), noise=noise, engine="lenstronomy")
    alone = simulated(one_band("g"), noise=noise, engine="lenstronomy")
    np.testing.assert_array_equal(both.observed[:, :1], alone.observed)
    again = simulated(toy(), NUMBERS[[4, 2]], noise=noise, engine="lenstronomy")
    np.testing.assert_array_equal(again.observed, both.observed[[4, 2]])


def test_a_camera_is_a_file(tmp_path):
    camera = load_preset(HERE / "toy.yaml").instrument
    assert camera == Camera.model_validate(TOY_CAMERA)
    assert camera.band_names == BANDS
    assert isinstance(camera.band("r"), Instrument)
    (tmp_path / "camera.yaml").write_text((HERE / "toy_camera.yaml").read_text())
    smaller = toy(instrument={"name": "camera.yaml", "num_pix": 12})
    path = tmp_path / "preset.yaml"
    path.write_text(yaml.safe_dump(smaller, sort_keys=False))
    assert load_preset(path).image_shape == (2, 12, 12)
    (tmp_path / "none.yaml").write_text("name: nothing\npixel_scale: 0.1\nbands: {}\n")
    path.write_text(yaml.safe_dump(toy(instrument="none.yaml"), sort_keys=False))
    with pytest.raises(
        ConfigError, match=r"none\.yaml: bands: ", check=has_code("settings-invalid")
    ):
        load_preset(path)
    with pytest.raises(ConfigError, check=has_code("unknown-band", name="z")):
        camera.band("z")


def test_the_config_holds_the_camera():
    spec = SimulationSpec.of(parse_preset(toy()))
    assert SimulationSpec.from_config(spec.config()) == spec
    assert list(spec.config()["preset"]["instrument"]["bands"]) == list(BANDS)


def test_galaxies_keep_the_colours(tmp_path):
    y, x = np.mgrid[-16:16, -16:16]
    light = np.exp(-(x**2 + y**2) / 20)
    np.save(tmp_path / "galaxies.npy", np.stack([light * (1 + k) for k in range(4)]))
    preset = parse_preset(toy()).with_galaxies(tmp_path / "galaxies.npy")
    assert preset.source[0].colours == COLOURS["source"]
    exposure = simulate(SimulationSpec.of(preset, noise="none"), [0])
    assert exposure.expected.shape == (1, 2, 16, 16)


def colour_of(component, colours):
    document = toy()
    document[component][0]["colours"] = colours
    return document


WRONG = {
    "band": (colour_of("source", {"z": 1.0}), "unknown band in colours: 'z'"),
    "number": (colour_of("source", {"g": "blue"}), "source"),
    "mapping": (colour_of("source", 0.5), "colours are a mapping of bands"),
    "huge": (colour_of("source", {"g": 99}), "source_colour_g must lie in"),
    "mass": (colour_of("lens", {"g": 1.0}), "colours go with a magnitude"),
    "twins": (
        toy(instrument=TOY_CAMERA | {"bands": {"g": {}, "G": {}}}),
        "instrument.bands.G",
    ),
    "none": (toy(instrument=TOY_CAMERA | {"bands": {}}), "instrument.bands"),
    "name": (
        toy(instrument=TOY_CAMERA | {"bands": {"g/r": TOY_CAMERA["bands"]["g"]}}),
        "instrument.bands",
    ),
    "exposure": (toy(exposure_time=100.0), "state it for each of the camera's bands"),
    "one band": (
        toy(instrument={"name": "euclid_vis", "num_pix": 16}),
        "colours need a camera with bands",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused(case):
    document, message = WRONG[case]
    with pytest.raises(ConfigError) as refused:
        parse_preset(document).check()
    assert message in str(refused.value)


@pytest.mark.parametrize("names", [("g", "g"), ("g", "G"), ("F814W", "r", "F814W")])
def test_names_of_bands_differ(names):
    with pytest.raises(ValueError, match=f"two bands are called {names[0]} and"):
        check_band_names(names)


def test_problems_of_a_band_are_named_by_its_key():
    document = toy()
    document["instrument"]["bands"]["r"]["zero_pointt"] = 25.0
    with pytest.raises(
        ConfigError,
        match=r"instrument\.bands\.r.*did you mean 'zero_point'",
        check=has_code("settings-invalid", where="preset"),
    ):
        parse_preset(document)
    document = toy()
    document["instrument"]["bands"]["g"]["psf"] = {"fwhm": 50.0}
    with pytest.raises(
        ConfigError,
        match=r"instrument: band g: psf\.fwhm of 50 arcsec",
        check=has_code("settings-invalid", where="preset"),
    ):
        parse_preset(document)
    document["instrument"]["bands"]["g"]["psf"] = {"fwhm": -1.0}
    with pytest.raises(
        ConfigError,
        match=r"instrument\.bands\.g\.psf\.fwhm: must be",
        check=has_code("settings-invalid", where="preset"),
    ):
        parse_preset(document)
