"""Laws of the bridges: there and back changes nothing, the same sky on both sides, and bad input is named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from error_codes import has_code
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenssim.errors import ConfigError
from lenssim.simulate.bridges import (
    from_autolens,
    from_coolest,
    from_lenstronomy,
    to_autolens,
    to_coolest,
    to_lenstronomy,
)
from lenssim.simulate.bridges.coolest_terms import TYPES
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.pyauto import al, pinned
from lenssim.simulate.instruments import GaussianPSF, Instrument, PixelPSF
from lenssim.simulate.preset import load_preset
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Perturbers, Scenes

CAMERA = Instrument(
    name="test",
    pixel_scale=0.07,
    num_pix=24,
    exposure_time=100,
    background_rms=0.01,
    psf=GaussianPSF(fwhm=0.2),
)
NUMBERS = {
    "theta_E": st.floats(0.01, 2),
    "gamma": st.floats(1.3, 2.7),
    "e1": st.floats(-0.5, 0.5),
    "e2": st.floats(-0.5, 0.5),
    "gamma1": st.floats(-0.3, 0.3),
    "gamma2": st.floats(-0.3, 0.3),
    "kappa": st.floats(-0.3, 0.3),
    "half_length": st.floats(0.01, 3),
    "angle": st.floats(-3, 3),
    "Rs": st.floats(0.01, 3),
    "alpha_Rs": st.floats(1e-4, 1),
    "r_trunc": st.floats(0.01, 3),
    "r_core": st.floats(0.01, 3),
    "kappa_0": st.floats(1e-3, 1),
    "theta_c": st.floats(0.01, 1),
    "slope": st.floats(3.5, 10),
    "center_x": st.floats(-2, 2),
    "center_y": st.floats(-2, 2),
    "amp": st.floats(0.01, 100),
    "R_sersic": st.floats(0.01, 3),
    "n_sersic": st.floats(0.5, 8),
    "arms": st.sampled_from([1.0, 2.0, 5.0]),
    "arm_strength": st.floats(0, 1),
    "winding": st.floats(-6, 6),
    "arm_phase": st.floats(-3, 3),
    "scale": st.floats(0.01, 0.3),
    "phi_G": st.floats(-3, 3),
}
PERTURBERS = [
    name
    for name, profile in PROFILES.items()
    if profile.kind == "mass" and not profile.one_of
]


@st.composite
def systems(
    draw,
    sources=("sersic", "spiral", "interpolated"),
    lenses=("shear", "sheet", "nfw", "uldm"),
    kinds=PERTURBERS,
):
    """A scene table of one system: a main lens, whatever else deflects, lens light, one or two sources, perturbers."""
    components = [Component("lens", draw(st.sampled_from(["sie", "epl"])))]
    components += [
        Component("lens", name, f"{name}_")
        for name in draw(st.lists(st.sampled_from(lenses), unique=True))
    ]
    components += [Component("lens_light", "sersic", "lens_light_")] * draw(st.booleans())
    components += [
        Component("source", name, prefix)
        for name, prefix in zip(
            draw(st.lists(st.sampled_from(sources), min_size=1, max_size=2)),
            ("source_", "knot_"),
            strict=False,
        )
    ]
    params = {"z_lens": 0.5, "z_source": 1.2}
    images = 0
    for component in components:
        for name in PROFILES[component.profile].columns:
            if name == "image":
                params[component.prefix + name], images = images, images + 1
            else:
                params[component.prefix + name] = draw(NUMBERS[name])
    if draw(st.booleans()):
        params["z_source_convention"] = draw(st.sampled_from([0.8, 2.5]))
    tables = {}
    for kind in (
        draw(st.lists(st.sampled_from(kinds), unique=True, max_size=2)) if kinds else []
    ):
        count = draw(st.integers(1, 3))
        rows = {
            name: [draw(NUMBERS[name]) for _ in range(count)]
            for name in PROFILES[kind].columns
        }
        tables[kind] = Perturbers.from_counts(
            np.array([count]), **{name: np.array(row) for name, row in rows.items()}
        )
    pictures = np.random.default_rng(3).random((images, 3, 4)) if images else None
    columns = {name: np.array([float(value)]) for name, value in params.items()}
    return Scenes(tuple(components), columns, tables, images=pictures)


def assert_same(found: Scenes, scenes: Scenes, tolerance: float = 1e-12) -> None:
    """The same components, columns, perturbers, images and cosmology; columns to `tolerance` of 1 or of themselves."""
    assert set(found.components) == set(scenes.components)
    assert set(found.params) == set(scenes.params)
    assert set(found.perturbers) == set(scenes.perturbers)
    assert found.cosmology == scenes.cosmology
    pairs = [
        (found.params[name], scenes.params[name])
        for name in scenes.params
        if not name.endswith("image")
    ]
    for kind, table in scenes.perturbers.items():
        assert (found.perturbers[kind].counts == table.counts).all()
        pairs += [
            (found.perturbers[kind].columns[name], column)
            for name, column in table.columns.items()
        ]
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    for component in scenes.components:
        if component.profile == "interpolated":
            index = [
                int(each.params[component.prefix + "image"][0]) for each in (found, scenes)
            ]
            np.testing.assert_array_equal(found.images[index[0]], scenes.images[index[1]])


def convention(scenes: Scenes) -> float | None:
    return (
        float(scenes.params["z_source_convention"][0])
        if "z_source_convention" in scenes.params
        else None
    )


SLOW = settings(suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(systems())
def test_to_autolens_and_back_changes_nothing(scenes):
    tracer, _, _ = to_autolens(scenes, 0, CAMERA)
    assert_same(
        from_autolens(tracer, CAMERA.pixel_scale, z_source_convention=convention(scenes)),
        scenes,
    )


@SLOW
@given(systems())
def test_to_lenstronomy_and_back_changes_nothing(scenes):
    theirs = to_lenstronomy(scenes, 0, CAMERA)
    assert_same(
        from_lenstronomy(
            theirs.kwargs_model, theirs.kwargs_params, components=scenes.components
        ),
        scenes,
    )


@SLOW
@given(systems(sources=("sersic",), lenses=("shear", "sheet", "nfw"), kinds=("nfw",)))
def test_to_coolest_and_back_changes_nothing(scenes):
    document = json.loads(json.dumps(to_coolest(scenes, 0, CAMERA)))
    assert_same(from_coolest(document, z_source_convention=convention(scenes)), scenes)


@pytest.mark.parametrize("model", ["I", "II", "III"])
def test_drawn_scenes_show_the_same_sky_on_every_side(model):
    """Every number that a preset draws for a system arrives, and what comes back renders to the same pixels."""
    preset = load_preset(model)
    camera, scenes = preset.instrument, draw(preset, np.arange(3), seed=4)
    images = engine("lenstronomy").render(scenes, camera)
    for i in range(3):
        one, peak = scenes.take([i]), images[i].max()
        theirs = to_lenstronomy(scenes, i, camera)
        np.testing.assert_allclose(
            theirs.image_model().image(**theirs.kwargs_params),
            images[i, 0],
            atol=1e-13 * peak,
        )
        tracer = to_autolens(scenes, i, camera).tracer
        back = (
            from_lenstronomy(theirs.kwargs_model, theirs.kwargs_params),
            from_autolens(tracer, camera.pixel_scale, z_source_convention=convention(one)),
        )
        for found in back:
            assert found.components == scenes.components
            np.testing.assert_allclose(
                engine("lenstronomy").render(found, camera)[0], images[i], atol=1e-12 * peak
            )


def test_lenstronomys_own_factory_takes_the_arguments_as_they_are():
    from lenstronomy.ImSim.image_linear_solve import ImageLinearFit
    from lenstronomy.Util.class_creator import create_class_instances, create_im_sim

    preset = load_preset("III")
    scenes = draw(preset, [1], seed=4)
    theirs = to_lenstronomy(scenes, 0, preset.instrument, supersampling=2)
    assert create_class_instances(**theirs.kwargs_model)
    band = [theirs.kwargs_data, theirs.kwargs_psf, theirs.kwargs_numerics]
    model = create_im_sim([band], "single-band", theirs.kwargs_model)
    assert isinstance(model, ImageLinearFit)
    image = model.image(**theirs.kwargs_params)
    expected = engine("lenstronomy").render(scenes, preset.instrument, supersampling=2)[
        0, 0
    ]
    np.testing.assert_allclose(image, expected, atol=1e-13 * expected.max())


KERNEL = np.random.default_rng(1).random((5, 5))
FINE = CAMERA.model_copy(
    update={"psf": PixelPSF(kernel=(KERNEL / KERNEL.sum()).tolist(), supersampling=3)}
)


@pytest.mark.filterwarnings(
    "ignore:Mask padded from:UserWarning"
)  # PyAutoLens's, of the margin it convolves
def test_a_psf_finer_than_the_pixels_crosses_both_bridges():
    preset = load_preset("III")
    scenes = draw(preset, [1], seed=4)
    camera = FINE.model_copy(update={"zero_point": 25.96})
    expected = engine("lenstronomy").render(scenes, camera, supersampling=3)[0, 0]
    theirs = to_lenstronomy(scenes, 0, camera, supersampling=3)
    image = theirs.image_model().image(**theirs.kwargs_params)
    np.testing.assert_allclose(image, expected, atol=1e-12 * expected.max())
    tracer, grid, psf = to_autolens(scenes, 0, camera, supersampling=3)
    with pinned():
        sharp = tracer.image_2d_from(grid=grid.over_sampled)
        margin = al.Mask2D.all_false(shape_native=(24, 24), pixel_scales=0.07)
        image = psf.convolved_image_from(
            image=sharp, blurring_image=np.zeros(_ring(psf, margin)), mask=margin
        )
        image = np.asarray(image.native.array)[::-1]
    np.testing.assert_allclose(image, expected, atol=1e-7 * expected.max())
    for convert in (to_lenstronomy, to_autolens):
        with pytest.raises(
            ConfigError,
            match=r"here 3; give supersampling 3, got 6",
            check=has_code("psf-sampling"),
        ):
            convert(scenes, 0, camera, supersampling=6)


def _ring(psf, mask) -> int:
    return len(psf.state_from(mask=mask).blurring_sub_slim_to_fine_slim)


def test_coolest_documents_have_the_fields_of_the_standard():
    """The template of COOLEST 0.1.11 (its JSONSerializer reads these documents; see docs/conventions.md)."""
    preset = load_preset("III")
    document = to_coolest(draw(preset, [0], seed=1), 0, preset.instrument)
    assert document["standard"] == "COOLEST"
    assert document["mode"] == "MOCK"
    assert set(document) == {
        *(
            "standard",
            "mode",
            "meta",
            "coordinates_origin",
            "cosmology",
            "instrument",
            "observation",
        ),
        "lensing_entities",
    }
    assert set(document["instrument"]) == {
        "name",
        "band",
        "pixel_size",
        "readout_noise",
        "psf",
    }
    assert document["instrument"]["psf"]["fwhm"] == pytest.approx(1.0)  # in pixels
    pixels = document["observation"]["pixels"]
    assert pixels["field_of_view_x"][1] - pixels["field_of_view_x"][0] == pytest.approx(
        64 * 0.08
    )
    assert [(e["type"], e["redshift"]) for e in document["lensing_entities"]] == [
        ("Galaxy", 0.5),
        ("MassField", 0.5),
        ("Galaxy", 1.0),
    ]
    identities = [
        parameter["id"]
        for entity in document["lensing_entities"]
        for profile in (*entity["mass_model"], *entity.get("light_model", ()))
        for parameter in profile["parameters"].values()
    ]
    assert len(set(identities)) == len(identities) == 5 + 2 + 7
    sie = document["lensing_entities"][0]["mass_model"][0]["parameters"]
    assert sie["theta_E"]["point_estimate"]["value"] == pytest.approx(
        0.8129, abs=1e-4
    )  # what the source sees
    assert sie["q"]["point_estimate"]["value"] == pytest.approx(0.9 / 1.1)
    assert sie["phi"]["point_estimate"]["value"] == pytest.approx(
        90
    )  # along x, counted from y


def test_coolest_skips_what_it_does_not_know_only_when_told():
    preset = load_preset("III")
    scenes = draw(preset, [1], seed=1)
    with pytest.raises(
        ConfigError,
        match=r"COOLEST has no 'point_mass'.*use to_lenstronomy or to_autolens, or skip=True",
        check=has_code("no-counterpart", profile="point_mass"),
    ):
        to_coolest(scenes, 0, preset.instrument)
    document = to_coolest(scenes, 0, preset.instrument, skip=True)
    assert document["meta"]["lenssim"]["skipped"] == {"point_mass": 25}
    assert not from_coolest(document).perturbers


def without(document: dict, *path):
    """The document with the field at `path` taken out."""
    document = json.loads(json.dumps(document))
    owner = document
    for key in path[:-1]:
        owner = owner[key]
    del owner[path[-1]]
    return document


LENS = ("lensing_entities", 0, "mass_model", 0)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("lensing_entities",), r"the document has no 'lensing_entities'"),
        (("instrument",), r"the document has no 'instrument'"),
        (("instrument", "pixel_size"), r"instrument has no 'pixel_size'"),
        (("cosmology", "H0"), r"cosmology has no 'H0'"),
        (("lensing_entities", 0, "redshift"), r"lensing_entities\[0\] has no 'redshift'"),
        ((*LENS, "type"), r"lensing_entities\[0\]\.mass_model\[0\] has no 'type'"),
        ((*LENS, "parameters"), r"mass_model\[0\] has no 'parameters'"),
        ((*LENS, "parameters", "q"), r"mass_model\[0\] has no 'q'"),
        (
            (*LENS, "parameters", "q", "point_estimate"),
            r"mass_model\[0\]\.q has no 'point_estimate'",
        ),
        (
            (*LENS, "parameters", "q", "point_estimate", "value"),
            r"mass_model\[0\]\.q has no 'value'",
        ),
        (("lensing_entities", 2), r"light at redshifts none besides the lens's 0\.5"),
        (("lensing_entities", 0), r"there is no|masses at|has one|needs"),
    ],
)
def test_missing_fields_of_coolest_are_named(path, message, tmp_path):
    preset = load_preset("III")
    document = to_coolest(draw(preset, [0], seed=1), 0, preset.instrument)
    if path == ("lensing_entities", 0):
        document = without(document, "lensing_entities", 1)  # no mass is left
    file = tmp_path / "lens.json"
    file.write_text(json.dumps(without(document, *path)))
    with pytest.raises(ConfigError, match=message):
        from_coolest(file)


def test_coolest_files_that_are_none_are_named(tmp_path):
    with pytest.raises(
        ConfigError,
        match="cannot read the COOLEST document",
        check=has_code("coolest-invalid"),
    ):
        from_coolest(tmp_path / "absent.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(
        ConfigError,
        match="must be a JSON object, got list",
        check=has_code("coolest-invalid"),
    ):
        from_coolest(tmp_path / "list.json")
    document = to_coolest(
        draw(load_preset("III"), [0], seed=1),
        0,
        CAMERA.model_copy(update={"zero_point": 25.0}),
    )
    document["lensing_entities"][0]["mass_model"][0]["type"] = "Chameleon"
    with pytest.raises(
        ConfigError,
        match=f"is 'Chameleon'; a scene can be made of {', '.join(TYPES.values())}",
        check=has_code(
            "no-counterpart", profile="Chameleon", path="lensing_entities[0].mass_model[0]"
        ),
    ):
        from_coolest(document)


SOURCE = {"light": al.lp.Sersic()}
LENSES = {"mass": al.mp.Isothermal(einstein_radius=1.0)}


def tracer(*galaxies: tuple[float, dict]):
    with pinned():
        return al.Tracer([al.Galaxy(redshift=z, **own) for z, own in galaxies])


@pytest.mark.parametrize(
    ("galaxies", "message"),
    [
        (
            [(0.3, LENSES), (0.5, LENSES), (1.0, SOURCE)],
            r"masses at redshifts 0\.3, 0\.5.*move the masses to one redshift",
        ),
        (
            [(0.5, LENSES), (1.0, SOURCE), (2.0, SOURCE)],
            r"light at redshifts 1\.0, 2\.0, and masses at 0\.5",
        ),
        (
            [(0.3, SOURCE), (0.5, LENSES), (1.0, SOURCE)],
            r"light at redshifts 0\.3, 1\.0, and masses at 0\.5",
        ),
        ([(0.5, LENSES)], r"light at redshifts none, and masses at 0\.5"),
        ([(1.0, SOURCE)], r"masses at redshifts none"),
        (
            [(0.5, {"mass": al.mp.dPIEMass()}), (1.0, SOURCE)],
            r"no counterpart of PyAutoLens's dPIEMass.*Replace the profile",
        ),
        (
            [(0.5, LENSES), (1.0, {"light": al.lp.Gaussian()})],
            r"no counterpart of PyAutoLens's Gaussian",
        ),
        (
            [(0.5, {"mass": al.mp.NFW(ell_comps=(0.1, 0.0))}), (1.0, SOURCE)],
            r"an elliptical NFW has no counterpart",
        ),
        (
            [(0.5, {"sheet": al.mp.MassSheet(centre=(0.1, 0.0))}), (1.0, SOURCE)],
            r"a MassSheet centred at \(0\.1, 0\.0\)",
        ),
    ],
)
def test_tracers_that_a_scene_cannot_say_are_refused(galaxies, message):
    with pytest.raises(ConfigError, match=message):
        from_autolens(tracer(*galaxies), 0.05)


def test_a_tracer_written_by_hand_becomes_a_scene():
    """With a user's own names, round profiles, a field for the shear, and two masses of one kind."""
    with pinned():
        lens = al.Galaxy(
            redshift=0.5,
            bulge=al.lp.DevVaucouleursSph(centre=(0.1, 0.2), intensity=0.1),
            mass=al.mp.IsothermalSph(centre=(0.1, 0.2), einstein_radius=1.1),
            companion=al.mp.PowerLawIntermediate(
                centre=(1.0, -1.0), ell_comps=(0.1, 0.2), einstein_radius=0.3, slope=2.2
            ),
            halo=al.mp.cNFWSph(kappa_s=0.01),
        )
        source = al.Galaxy(
            redshift=1.5, disk=al.lp.Exponential(), clump=al.lp.SersicSph(sersic_index=1.0)
        )
        field = al.MassField(redshift=0.5, shear=al.mp.ExternalShear(0.05, 0.01))
        whole = al.Tracer(
            [source, lens],
            fields=[field],
            cosmology=al.cosmo.FlatLambdaCDM(H0=70.0, Om0=0.3),
        )
    scenes = from_autolens(whole, 0.05)
    assert [(c.role, c.profile, c.prefix) for c in scenes.components] == [
        ("lens", "sie", ""),
        ("lens", "epl", "companion_"),
        ("lens", "cnfw", "halo_"),
        ("lens", "shear", ""),
        ("source", "sersic", "source_"),
        ("source", "sersic", "clump_"),
        ("lens_light", "sersic", "lens_light_"),
    ]
    assert (scenes.params["center_x"], scenes.params["center_y"]) == (0.2, 0.1)
    assert (scenes.params["companion_theta_E"], scenes.params["companion_e1"]) == (0.3, 0.2)
    assert scenes.params["lens_light_n_sersic"] == 4
    assert (scenes.cosmology.H0, scenes.cosmology.Om0) == (70, 0.3)


MODEL = {
    "lens_model_list": ["SIE"],
    "source_light_model_list": ["SERSIC_ELLIPSE"],
    "z_lens": 0.5,
    "z_source": 1.0,
}
PARAMS = {
    "kwargs_lens": [
        {"theta_E": 1.0, "e1": 0.1, "e2": 0.0, "center_x": 0.0, "center_y": 0.0}
    ],
    "kwargs_source": [{"amp": 1.0, "R_sersic": 0.2, "n_sersic": 1.0, "e1": 0.0, "e2": 0.1}],
}


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        (
            {"lens_model_list": ["SIE", "NIE"]},
            {"kwargs_lens": PARAMS["kwargs_lens"] * 2},
            r"no counterpart of .* NIE",
        ),
        (
            {"lens_model_list": ["SIE", "SIE"]},
            {},
            r"lens_model_list holds 2 models, but kwargs_lens 1 sets",
        ),
        (
            {"lens_redshift_list": [0.3, 0.5]},
            {},
            r"one lens plane and one source plane; .* redshifts 0\.3, 0\.5",
        ),
        ({"z_lens": None}, {}, r"kwargs_model needs z_lens"),
        (
            {"source_deflection_scaling_list": [1.0, 0.5]},
            {},
            r"one source plane; source_deflection_scaling_list",
        ),
        (
            {},
            {"kwargs_lens": [{"theta_E": 1.0, "e1": 0.0}]},
            r"lenstronomy's SIE without e2",
        ),
        (
            {"lens_model_list": ["SHEAR"]},
            {"kwargs_lens": [{"gamma1": 0, "gamma2": 0, "ra_0": 1}]},
            r"SHEAR with ra_0",
        ),
        ({"source_light_model_list": []}, {"kwargs_source": []}, r"there is no source"),
    ],
)
def test_lenstronomy_models_that_a_scene_cannot_say_are_refused(model, params, message):
    with pytest.raises(ConfigError, match=message):
        from_lenstronomy({**MODEL, **model}, {**PARAMS, **params})


def test_lenstronomys_deflection_scaling_becomes_weaker_masses():
    scaled = from_lenstronomy({**MODEL, "source_deflection_scaling_list": [0.6]}, PARAMS)
    assert scaled.params["theta_E"] == pytest.approx(0.6)
    assert scaled.params["source_center_x"] == 0.0  # lenstronomy's default


def test_components_that_do_not_fit_the_lists_are_refused():
    wrong = [Component("lens", "epl"), Component("source", "sersic", "source_")]
    with pytest.raises(
        ConfigError,
        match="component 0 of the lens is 'epl', but lens_model_list holds SIE",
        check=has_code("kwargs-differ", role="lens", profile="epl"),
    ):
        from_lenstronomy(MODEL, PARAMS, components=wrong)


def test_other_cosmologies_than_flat_lambda_cdm_are_refused():
    from astropy.cosmology import LambdaCDM

    with pytest.raises(
        ConfigError,
        match="flat Lambda-CDM; got astropy's LambdaCDM",
        check=has_code("cosmology"),
    ):
        from_lenstronomy({**MODEL, "cosmo": LambdaCDM(H0=70, Om0=0.3, Ode0=0.6)}, PARAMS)


def test_names_that_would_share_columns_are_refused():
    one = draw(load_preset("III"), [0], seed=1)
    tracer, *_ = to_autolens(
        replace(one, params=dict(one.params)), 0, load_preset("III").instrument
    )
    with pinned():
        twice = al.Tracer(
            [*tracer.galaxies, al.Galaxy(redshift=0.5, sie=al.mp.Isothermal())]
        )
    with pytest.raises(
        ConfigError,
        match="would share columns under the prefix ''; rename 'sie'",
        check=has_code("scene-columns", role="lens", name="sie"),
    ):
        from_autolens(twice, 0.08)
