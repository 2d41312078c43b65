"""Light of several profiles: clumpy galaxies, spiral arms, and lens galaxies that fit their mass."""

import numpy as np
import pytest
from error_codes import has_code
from scipy.special import gammainc

from lenssim.errors import ConfigError
from lenssim.simulate.composites import COMPOSITES
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine, engine_info
from lenssim.simulate.instruments import instrument
from lenssim.simulate.preset import load_preset, parse_preset
from lenssim.simulate.scenes import Component, Scenes
from lenssim.simulate.sources.colours import (
    GALAXY_TYPES,
    apparent_magnitude,
    filter_of,
    filters,
)
from lenssim.simulate.sources.early_types import (
    absolute_magnitude,
    effective_radius,
    gaussians,
    isothermal_dispersion,
)

N = 128
SHAPE = {"e1": {"uniform": [-0.3, 0.3]}, "e2": {"uniform": [-0.3, 0.3]}}
CLUMPY = {
    "profile": "clumpy",
    "magnitude": 22.0,
    "R_sersic": {"uniform": [0.2, 0.5]},
    **SHAPE,
}
SPIRAL = {
    "profile": "spiral",
    "magnitude": 21.0,
    "R_sersic": 0.5,
    "n_sersic": 1.0,
    "arms": 2,
    "arm_strength": 0.8,
    "winding": 5.0,
    **SHAPE,
}
IRREGULAR = {
    "profile": "irregular",
    "magnitude": {"normal": [22.0, 0.5]},
    "surface_brightness": 21.0,
    "magnitude_slope": -1.0,
    "surface_brightness_trend": 0.5,
    "R_max": 0.6,
    **SHAPE,
}
COMPANIONS = {
    "profile": "companions",
    "companions": {"uniform": [0.0, 2.49]},
    "magnitude": {"normal": [22.0, 0.5]},
    "R_sersic": 0.3,
    "center_x": {"uniform": [-2.0, 2.0]},
    "center_y": {"uniform": [-2.0, 2.0]},
}
DISTRACTOR = {"profile": "distractor", "magnitude": 21.0, "radius": 1.0}
DISTRACTOR |= {"spiral": 0.3, "ring": 0.3, "blue": 0.2, "star": 0.2}
SOURCES = {"clumpy": CLUMPY, "irregular": IRREGULAR}
LIGHTS = {
    "bulge_disc": {"profile": "bulge_disc", "magnitude": 20.0, "R_sersic": 0.5},
    "companions": COMPANIONS,
    "distractor": DISTRACTOR,
}
SEVERAL = ("companions", "distractor")  # of several galaxies, with a magnitude each
ENGINES = {
    "batched": {"precision": "float64", "device": "cpu", "kernels": "eager"},
    "autolens": {},
}


def preset_of(model: str = "hst-arcs", **changes):
    document = load_preset(model).model_dump(mode="json")
    document["classes"] = {"no_sub": {"model": "no_sub"}}
    if DISTRACTOR in changes.get("lens_light", []):  # lenses have none
        document["classes"] = {"non_lens": {"model": "no_source"}}
    preset = parse_preset(document | changes)
    preset.check()
    return preset


def lights(name: str) -> dict:
    """A preset's keys with the composite as source, or as lens light."""
    if name in SOURCES:
        return {"source": [SOURCES[name]]}
    return {"lens_light": [LIGHTS.get(name, {"profile": name})]}


def flux(magnitude: np.ndarray) -> np.ndarray:
    return 10 ** (-0.4 * magnitude)


# --- all composites ---


@pytest.mark.parametrize("name", [name for name in COMPOSITES if name not in SEVERAL])
def test_parts_have_the_whole_flux(name):
    preset = preset_of(**lights(name))
    params = draw(preset, np.arange(N), seed=0).params
    role = "source" if name in SOURCES else "lens_light"
    prefixes = [part.prefix for part in preset.components() if part.role == role]
    assert len(prefixes) == len(set(prefixes))
    total = sum(flux(params[f"{prefix}magnitude"]) for prefix in prefixes)
    np.testing.assert_allclose(total, flux(params[f"{role}_magnitude"]), rtol=1e-9)


@pytest.mark.parametrize("name", COMPOSITES)
@pytest.mark.parametrize("other", ENGINES)
def test_engines_agree(name, other):
    preset = preset_of(**lights(name))
    scenes = draw(preset, np.arange(2), seed=3)
    camera = preset.instrument.model_copy(update={"num_pix": 32})
    reference = engine("lenstronomy").render(scenes, camera)
    images = engine(other, **ENGINES[other]).render(scenes, camera)
    assert np.abs(images - reference).max() <= engine_info(other).parity * reference.max()


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_preset_with_a_composite_is_read_again_from_its_document(name):
    preset = preset_of(**lights(name))
    again = parse_preset(preset.model_dump(mode="json"))
    assert again == preset
    assert again.components() == preset.components()


def test_profiles_keep_their_documents():
    """Documents of version 0.1 hold no key of what they do not state."""
    document = load_preset("hst-arcs").model_dump(mode="json")
    for choice in (*document["lens"], *document["source"]):
        assert set(choice) == {"profile", "name", "parameters"}


# --- clumps ---


def test_clumps_lie_within_their_bounds():
    """2 to 12 clumps of 2 to 15 % of the flux each, inside 2 R_e, of .05 to .2 R_e."""
    params = draw(preset_of(source=[CLUMPY]), np.arange(N), seed=1).params
    e = params["source_e1"] + 1j * params["source_e2"]
    total = flux(params["source_magnitude"])
    shares = []
    for k in range(1, 13):
        clump = {
            key.removeprefix(f"source_clump{k}_"): column
            for key, column in params.items()
            if key.startswith(f"source_clump{k}_")
        }
        shares.append(flux(clump["magnitude"]) / total)
        place = clump["center_x"] - params["source_center_x"]
        place = place + 1j * (clump["center_y"] - params["source_center_y"])
        radius = np.abs((place - e * place.conj()) / np.sqrt(1 - np.abs(e) ** 2))
        assert (radius <= 2 * params["source_R_sersic"] * (1 + 1e-9)).all()
        size = clump["R_sersic"] / params["source_R_sersic"]
        assert (size.min(), size.max()) >= (0.05, 0.05)
        assert size.max() <= 0.2
        assert clump["n_sersic"].min() >= 0.5
        assert clump["n_sersic"].max() <= 1
    shares = np.stack(shares)
    lit = shares > 1e-12
    np.testing.assert_array_equal(lit.sum(0), params["source_clumps"])
    assert set(params["source_clumps"]) == set(range(2, 13))
    assert shares[lit].min() >= 0.02 * (1 - 1e-9)
    assert shares[lit].max() <= 0.15 * (1 + 1e-9)
    assert shares.sum(0).max() <= 0.8 * (1 + 1e-9)


@pytest.mark.parametrize("clumps", [0, 1, 5])
def test_a_stated_number_of_clumps_is_the_number_of_parts(clumps):
    preset = preset_of(source=[{**CLUMPY, "clumps": clumps}])
    assert sum("clump" in part.prefix for part in preset.components()) == clumps
    draw(preset, [0], seed=0)


def test_a_placement_moves_the_clumps_with_their_galaxy():
    sources = [{**CLUMPY, "R_sersic": 0.3, "q": 0.8, "phi": 0.3, "clumps": 3}]
    for source in sources:
        del source["e1"], source["e2"]
    preset = preset_of("sie", source=sources)
    params = draw(preset, np.arange(64), seed=0).params
    for axis in ("center_x", "center_y"):
        np.testing.assert_array_equal(
            params[f"source_{axis}"], params[f"source_disc_{axis}"]
        )
        assert params[f"source_{axis}"].std() > 0.05
        offset = params[f"source_clump1_{axis}"] - params[f"source_{axis}"]
        assert np.abs(offset).max() < 2.3 * 0.3
    assert (params["magnification"] >= 2).all()


def test_clumps_of_several_bands_have_the_colours_of_their_galaxy():
    band = {
        "exposure_time": 100,
        "background_rms": 0.1,
        "zero_point": 25.0,
        "psf": {"fwhm": 0.2},
    }
    camera = {"name": "toy", "pixel_scale": 0.1, "bands": {"g": band, "r": band}}
    source = {**CLUMPY, "clumps": 2, "colours": {"r": {"uniform": [-1, 0]}}}
    preset = preset_of(instrument=camera, source=[source])
    scenes = draw(preset, np.arange(64), seed=0)
    colour = scenes.params["source_colour_r"]
    assert colour.std() > 0.1
    red = scenes.in_band("r").params
    for part in ("disc_", "clump1_", "clump2_"):
        difference = (
            red[f"source_{part}magnitude"] - scenes.params[f"source_{part}magnitude"]
        )
        np.testing.assert_allclose(difference, colour, atol=1e-12)


# --- spiral arms ---


def spirals(n: int = 6) -> Scenes:
    rng = np.random.default_rng(5)
    columns = {
        "R_sersic": rng.uniform(0.2, 0.6, n),
        "n_sersic": rng.uniform(0.7, 2, n),
        "e1": rng.uniform(-0.4, 0.4, n),
        "e2": rng.uniform(-0.4, 0.4, n),
        "arms": np.arange(1.0, n + 1),
        "arm_strength": rng.uniform(0, 1, n),
        "winding": rng.uniform(-6, 6, n),
        "arm_phase": rng.uniform(-7, 7, n),
        "center_x": rng.uniform(-0.1, 0.1, n),
        "center_y": rng.uniform(-0.1, 0.1, n),
        "magnitude": np.full(n, 21.0),
    }
    params = {f"source_{name}": column for name, column in columns.items()}
    params |= {"theta_E": np.full(n, 1.0), "e1": np.full(n, 0.1), "e2": np.full(n, 0.05)}
    params |= {"center_x": np.zeros(n), "center_y": np.zeros(n)}
    params |= {"z_lens": np.full(n, 0.5), "z_source": np.full(n, 1.0)}
    components = (Component("lens", "sie"), Component("source", "spiral", "source_"))
    return Scenes(components, params)


@pytest.mark.parametrize("other", ENGINES)
def test_engines_agree_on_spiral_arms(other):
    camera = instrument("hst_wfc3_f160w").model_copy(update={"num_pix": 40})
    reference = engine("lenstronomy").render(spirals(), camera, supersampling=2)
    images = engine(other, **ENGINES[other]).render(spirals(), camera, supersampling=2)
    assert np.abs(images - reference).max() <= engine_info(other).parity * reference.max()


def test_arms_keep_the_flux_and_turn_by_their_number():
    camera = instrument("euclid_vis").model_copy(
        update={"num_pix": 129, "pixel_scale": 0.025}
    )
    scenes = spirals(1)
    zeros = np.zeros(1)
    params = scenes.params | {"theta_E": zeros, "source_center_x": zeros}
    params |= {"source_center_y": zeros, "source_e1": zeros, "source_e2": zeros}
    params |= {"source_R_sersic": np.array([0.3]), "source_arm_strength": np.array([0.9])}
    render = engine("batched", **ENGINES["batched"]).render
    for arms in (1, 2, 4):
        armed = Scenes(scenes.components, params | {"source_arms": np.array([float(arms)])})
        image = render(armed, camera)[0, 0]
        plain = Scenes(scenes.components, armed.params | {"source_arm_strength": zeros})
        assert image.sum() == pytest.approx(render(plain, camera)[0, 0].sum(), rel=1e-3)
        half_turn = image[::-1, ::-1]
        assert np.allclose(image, half_turn, atol=1e-9) == (arms % 2 == 0)
        assert np.allclose(image, np.rot90(image), atol=1e-9) == (arms % 4 == 0)


def test_arms_are_a_whole_number():
    with pytest.raises(ConfigError, match="arms", check=has_code("out-of-bounds")):
        preset_of(source=[{**SPIRAL, "arms": 2.5}])
    with pytest.raises(
        ConfigError,
        match="spiral needs",
        check=has_code("settings-invalid", where="preset"),
    ):
        parse_preset(
            load_preset("hst-arcs").model_dump(mode="json")
            | {"source": [{"profile": "spiral", "magnitude": 20}]}
        )


# --- lens light ---


def test_the_fundamental_plane_is_that_of_its_paper():
    """log10 sigma = -2.97 - 0.37 M - 0.006 M^2, from 100 to 400 km/s."""
    sigma = np.array([100.0, 150.0, 220.0, 300.0, 400.0])
    M = absolute_magnitude(sigma)
    np.testing.assert_allclose(-2.97 - 0.37 * M - 0.006 * M**2, np.log10(sigma))
    assert (np.diff(M) < 0).all()
    radius = np.log10(effective_radius(sigma))
    np.testing.assert_allclose(
        radius, 2.46 - 2.79 * np.log10(sigma) + 0.84 * np.log10(sigma) ** 2
    )
    assert absolute_magnitude(np.array([900.0])) == absolute_magnitude(np.array([400.0]))


def test_the_dispersion_is_that_of_lenstronomy():
    from lenstronomy.Cosmo.lens_cosmo import LensCosmo

    cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
    cosmo = LensCosmo(0.4, 1.3, cosmo=cosmology.astropy())
    mine = isothermal_dispersion(
        np.array([1.1]), np.array([0.4]), np.array([1.3]), cosmology
    )
    assert mine[0] == pytest.approx(cosmo.sis_theta_E2sigma_v(1.1), rel=1e-4)


def test_lens_light_follows_the_mass_in_every_column():
    preset = preset_of(lens_light=[{"profile": "elliptical"}])
    params = draw(preset, np.arange(N), seed=0).params
    sigma = isothermal_dispersion(
        params["theta_E"], params["z_lens"], params["z_source"], preset.cosmology
    )
    np.testing.assert_array_equal(params["lens_light_sigma_v"], sigma)
    M = params["lens_light_absolute_magnitude"]
    scatter = M - absolute_magnitude(sigma)
    assert scatter.std() == pytest.approx(0.0625, rel=0.25)
    size = params["lens_light_R_half"] * preset.cosmology.kpc_per_arcsec(params["z_lens"])
    assert np.log10(size / effective_radius(sigma)).std() == pytest.approx(0.11, rel=0.25)
    assert (
        np.corrcoef(np.log10(sigma), params["lens_light_absolute_magnitude"])[0, 1] < -0.9
    )
    for name in ("e1", "e2", "center_x", "center_y"):
        np.testing.assert_array_equal(params[f"lens_light_part1_{name}"], params[name])
    assert 14 < np.median(params["lens_light_magnitude"]) < 18.5  # SLACS in F160W


def test_stated_numbers_replace_those_of_the_mass():
    light = {
        "profile": "elliptical",
        "sigma_v": 250.0,
        "e1": 0.2,
        "e2": 0.0,
        "n_sersic": 3.0,
    }
    params = draw(preset_of(lens_light=[light]), np.arange(4), seed=0).params
    assert set(params["lens_light_sigma_v"]) == {250.0}
    assert set(params["lens_light_part1_e1"]) == {0.2}
    assert set(params["lens_light_part1_n_sersic"]) == {3.0}
    fixed = draw(
        preset_of(lens_light=[light]),
        np.arange(4),
        seed=0,
        fixed={"lens_light_magnitude": 18},
    ).params
    assert set(fixed["lens_light_part1_magnitude"]) == {18.0}


def test_lens_light_changes_nothing_else_than_itself():
    """Lens, source and noise of a block stay what a preset without lens light draws before it."""
    plain = draw(preset_of(), np.arange(N), seed=0).params
    lit = draw(
        preset_of(lens_light=[{"profile": "elliptical"}]), np.arange(N), seed=0
    ).params
    for name in ("z_lens", "z_source", "theta_E", "gamma", "e1"):
        np.testing.assert_array_equal(plain[name], lit[name])


def test_the_bands_of_a_camera_have_the_colours_of_an_elliptical():
    band = {
        "exposure_time": 100,
        "background_rms": 0.1,
        "zero_point": 25.0,
        "psf": {"fwhm": 0.7},
    }
    camera = {
        "name": "lsst",
        "pixel_scale": 0.2,
        "bands": {"g": band, "r": band, "i": band},
    }
    preset = preset_of(instrument=camera, lens_light=[{"profile": "elliptical"}])
    scenes = draw(preset, np.arange(64), seed=0)
    red = scenes.in_band("r").params["lens_light_part1_magnitude"]
    infrared = scenes.in_band("i").params["lens_light_part1_magnitude"]
    blue = scenes.in_band("g").params["lens_light_part1_magnitude"]
    z = scenes.params["z_lens"]
    near = np.abs(z - 0.2) < 0.02
    assert np.median((red - infrared)[near]) == pytest.approx(0.49, abs=0.08)
    assert ((blue - red) > 0.7).all()


def test_gaussians_are_a_de_vaucouleurs():
    shares, radii = gaussians()
    assert shares.min() >= 0
    inside = np.array([0.1, 0.3, 1.0, 3.0, 6.0])
    b = 1.9992 * 4 - 0.3271
    theirs = gammainc(8, b * inside**0.25)
    mine = [(shares * (1 - 0.5 ** ((r / radii) ** 2))).sum() for r in inside]
    np.testing.assert_allclose(mine, theirs, atol=0.05)


def test_a_bulge_and_its_envelope_have_half_their_light_within_R_half():
    preset = preset_of(lens_light=[{"profile": "elliptical_double"}])
    params = draw(preset, [0], seed=0).params
    total = 0.0
    for part in ("part1_", "part2_"):
        n = params[f"lens_light_{part}n_sersic"]
        ratio = params["lens_light_R_half"] / params[f"lens_light_{part}R_sersic"]
        share = flux(params[f"lens_light_{part}magnitude"] - params["lens_light_magnitude"])
        total += share * gammainc(2 * n, (1.9992 * n - 0.3271) * ratio ** (1 / n))
    assert total[0] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("light", "message"),
    [
        ({"profile": "eliptical"}, "elliptical"),
        ({"profile": "elliptical", "magnitude": 19}, "parameter of elliptical"),
        ({"profile": "elliptical", "filter": "f999w"}, "filter"),
        ({**SPIRAL, "filter": "lsst_i"}, "takes no filter"),
        (
            {"profile": "clumpy", "R_sersic": 1, "e1": 0, "e2": 0},
            "exactly one of magnitude",
        ),
    ],
    ids=str,
)
def test_what_lens_light_cannot_be(light, message):
    with pytest.raises(
        ConfigError, match=message, check=has_code("settings-invalid", where="preset")
    ):
        preset_of(lens_light=[light])


def test_a_filter_that_no_name_tells_is_asked_for():
    camera = instrument("euclid_vis").model_copy(update={"name": "mine"})
    light = [{"profile": "elliptical"}]
    document = camera.model_dump(mode="json")
    with pytest.raises(
        ConfigError,
        match="give `filter`",
        check=has_code("unknown-filter", instrument="mine"),
    ):
        draw(preset_of(instrument=document, lens_light=light), [0], seed=0)
    light[0]["filter"] = "euclid_vis"
    stated = draw(preset_of(instrument=document, lens_light=light), [0], seed=0).params
    named = draw(
        preset_of(instrument="euclid_vis", lens_light=[{"profile": "elliptical"}]),
        [0],
        seed=0,
    ).params
    assert stated["lens_light_magnitude"] == named["lens_light_magnitude"]


# --- colours ---


@pytest.mark.parametrize(
    ("kind", "z", "name", "colour"),
    [
        ("E", 0.2, "lsst_g", 1.73),
        ("E", 0.5, "lsst_r", 0.96),
        ("E", 0.8, "acs_f814w", -0.40),
        ("Sbc", 0.5, "euclid_vis", 0.15),
        ("Scd", 1.0, "wfc3_f160w", -1.29),
        ("Im", 2.0, "euclid_nisp_h", -1.24),
    ],
)
def test_colours_less_the_lsst_i_band(kind, z, name, colour):
    """Spectra of Coleman, Wu & Weedman through the filters of galsim and speclite."""
    cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
    seen, reference = (
        apparent_magnitude(np.zeros(1), np.array([z]), filter_name, kind, cosmology)[0]
        for filter_name in (name, "lsst_i")
    )
    assert seen - reference == pytest.approx(colour, abs=0.03)


def test_every_filter_sees_every_type():
    cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
    for kind in GALAXY_TYPES:
        for name in filters():
            z = np.array([0.5])
            assert np.isfinite(
                apparent_magnitude(np.zeros(1), z, name, kind, cosmology)
            ).all()
    assert filter_of("rubin_i") == "lsst_i"
    with pytest.raises(
        ConfigError,
        match="is not known in the filter",
        check=has_code("unknown-filter", filter="lsst_g"),
    ):
        apparent_magnitude(np.zeros(1), np.array([9.0]), "lsst_g", "E", cosmology)
