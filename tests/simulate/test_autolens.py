"""The PyAutoLens engine beyond the laws of all engines: every profile and optic, and nothing from the environment."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.bridges import to_autolens
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.autolens_profiles import (
    InterpolatedImage,
    LineMass,
    PointMasses,
    Soliton,
)
from lenssim.simulate.engines.autolens_terms import TERMS, profile_to_autolens
from lenssim.simulate.engines.batched import profiles
from lenssim.simulate.engines.pyauto import aa, al, pinned
from lenssim.simulate.instruments import GaussianPSF, Instrument, PixelPSF
from lenssim.simulate.preset import load_preset, parse_preset
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Perturbers, Scenes

MASSES = [name for name, profile in PROFILES.items() if profile.kind == "mass"]
VALUES = {
    "theta_E": 1.1,
    "gamma": 2.2,
    "e1": 0.1,
    "e2": -0.2,
    "gamma1": 0.1,
    "gamma2": 0.02,
    "kappa": 0.3,
    "half_length": 0.4,
    "angle": 0.3,
    "Rs": 0.5,
    "alpha_Rs": 0.2,
    "r_trunc": 0.9,
    "r_core": 0.1,
    "kappa_0": 0.3,
    "theta_c": 0.4,
    "slope": 7.0,
    "center_x": 0.1,
    "center_y": -0.2,
}
OWN = {name: {key: VALUES[key] for key in PROFILES[name].columns} for name in MASSES}
CASES = [
    *OWN.items(),
    *[
        ("cnfw", {**OWN["cnfw"], "r_core": 0.5 * b})
        for b in (0.93, 0.96, 0.999, 1.002, 1.04, 1.06, 3.0)
    ],
    ("sie", {**OWN["sie"], "e1": 0.0, "e2": 0.0}),
    ("epl", {**OWN["epl"], "e1": 0.5, "e2": 0.3, "gamma": 1.6}),
    ("tnfw", {**OWN["tnfw"], "r_trunc": 0.05}),
]


def points() -> np.ndarray:
    """(P, 2) as (y, x): a frame, and rings about the profiles' centre."""
    radius, angle = np.meshgrid(np.geomspace(2e-3, 6, 25), np.linspace(0.1, 6.3, 12))
    return np.stack(
        [-0.2 + radius * np.sin(angle), 0.1 + radius * np.cos(angle)], axis=-1
    ).reshape(-1, 2)


def autolens_deflection(profile, at: np.ndarray, **options) -> np.ndarray:
    with pinned():
        return np.asarray(
            profile.deflections_yx_2d_from(grid=al.Grid2DIrregular(at), **options).array
        )


def batched_deflection(name: str, values: dict, at: np.ndarray) -> np.ndarray:
    module = __import__(f"{profiles.__name__}.{name}", fromlist=["deflection"])
    y, x = torch.from_numpy(at.T.copy())
    alpha = module.deflection(
        x, y, **{key: torch.tensor(v, dtype=torch.float64) for key, v in values.items()}
    )
    return torch.stack(alpha[::-1], dim=-1).numpy()


@pytest.mark.parametrize(
    ("name", "values"), CASES, ids=[f"{name}{k}" for k, (name, _) in enumerate(CASES)]
)
def test_deflections_are_those_of_the_batched_profiles(name, values):
    ours = batched_deflection(name, values, points())
    theirs = autolens_deflection(profile_to_autolens(name, values, 0.05), points())
    # lenstronomy's and so our SIE is softened by 1e-10 arcsec; a cored NFW is interpolated near Rs = r_core
    core = (
        1.2e-10 / np.hypot(points()[:, 0] + 0.2, points()[:, 1] - 0.1)[:, None]
        if name == "sie"
        else 0.0
    )
    tolerance = 3e-8 if name == "cnfw" else 2e-10
    assert (np.abs(theirs - ours) <= (tolerance + core) * np.abs(ours).max()).all()


def test_every_profile_of_a_scene_has_its_terms():
    assert set(TERMS) == set(PROFILES)


OWN_PROFILES = [
    PointMasses(np.array([[0.3, 0.1], [-0.2, 0.7]]), np.array([0.2, 0.4])),
    LineMass((0.1, -0.2), 0.4, 0.7, 25.0),
    Soliton((0.1, -0.2), 0.3, 0.4, 7.0),
]


@pytest.mark.parametrize(
    "profile", OWN_PROFILES, ids=lambda profile: type(profile).__name__
)
def test_own_profiles_are_gradients_of_their_potential_and_have_their_convergence(profile):
    at, step = np.array([[0.9, 0.35], [-0.7, 0.2], [0.02, 1.4], [-1.2, -0.9]]), 1e-5
    alpha = autolens_deflection(profile, at)
    slope, divergence = np.empty_like(alpha), np.zeros(len(at))
    for axis in (0, 1):
        ends = [at + sign * step * np.eye(2)[axis] for sign in (1, -1)]
        with pinned():
            high, low = (
                np.asarray(profile.potential_2d_from(grid=al.Grid2DIrregular(end)).array)
                for end in ends
            )
        slope[:, axis] = (high - low) / (2 * step)
        divergence += np.subtract(
            *(autolens_deflection(profile, end)[:, axis] for end in ends)
        ) / (2 * step)
    np.testing.assert_allclose(slope, alpha, atol=1e-8)
    with pinned():
        kappa = np.asarray(profile.convergence_2d_from(grid=al.Grid2DIrregular(at)).array)
    np.testing.assert_allclose(0.5 * divergence, kappa, atol=1e-8)


def test_point_masses_together_are_point_masses_one_by_one():
    rng = np.random.default_rng(2)
    centres, radii = rng.uniform(-2, 2, (70, 2)), rng.uniform(0.01, 0.1, 70)
    one_by_one = [
        autolens_deflection(al.mp.PointMass(tuple(c), r), points())
        for c, r in zip(centres, radii, strict=True)
    ]
    together = autolens_deflection(PointMasses(centres, radii), points())
    np.testing.assert_allclose(together, np.sum(one_by_one, 0), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(autolens_deflection(PointMasses(), points()), 0)


def test_own_profiles_can_be_fitted():
    """They take PyAutoLens's priors, and its galaxies and tracers take them."""
    import autofit as af

    priors = {
        "einstein_radius": (0.0, 1.0),
        "half_length": (0.1, 3.0),
        "position_angle": (0.0, 180.0),
    }
    with pinned():
        model = af.Model(LineMass, centre=(0.0, 0.0))
        for name, (low, high) in priors.items():
            setattr(model, name, af.UniformPrior(lower_limit=low, upper_limit=high))
        assert model.prior_count == 3
        line = model.instance_from_unit_vector([0.5, 0.5, 0.5])
    assert (line.einstein_radius, line.position_angle) == (0.5, 90.0)


CAMERA = Instrument(
    name="test",
    pixel_scale=0.08,
    num_pix=33,
    exposure_time=100,
    background_rms=0.01,
    psf=GaussianPSF(fwhm=0.2),
)
KERNEL = np.random.default_rng(5).random((7, 7)) ** 2
FINE = PixelPSF(kernel=(KERNEL / KERNEL.sum()).tolist(), supersampling=2)
WIDE = PixelPSF(kernel=np.full((41, 41), 41.0**-2).tolist())
LIGHTS = {
    "sersic": {
        "amp": 4.0,
        "R_sersic": 0.3,
        "n_sersic": 3.0,
        "e1": 0.2,
        "e2": 0.1,
        "center_x": 0.1,
        "center_y": -0.05,
    },
    "interpolated": {
        "image": 0.0,
        "scale": 0.07,
        "amp": 2.0,
        "center_x": 0.05,
        "center_y": 0.1,
        "phi_G": 0.7,
    },
}


def scene(
    lens: str = "sie", source: str = "sersic", *kinds: str, **columns: float
) -> Scenes:
    """A lens, its light exactly on the middle ray of an odd stamp, a source, and two perturbers of each kind."""
    light = {
        "amp": 3.0,
        "R_sersic": 0.2,
        "n_sersic": 4.0,
        "e1": 0.1,
        "e2": 0.0,
        "center_x": 0.0,
        "center_y": 0.0,
    }
    own = {
        **OWN[lens],
        **({"center_x": 0.0, "center_y": 0.0} if "center_x" in OWN[lens] else {}),
    }
    params = {
        "z_lens": 0.5,
        "z_source": 1.5,
        **own,
        **{f"light_{key}": value for key, value in light.items()},
        **{f"source_{key}": value for key, value in LIGHTS[source].items()},
        **columns,
    }
    tables = {}
    for kind in kinds:
        rows = {
            key: np.array([VALUES[key] * 0.1, VALUES[key] * 0.2])
            for key in PROFILES[kind].columns
        }
        for shape, value in (("gamma", 2.1), ("slope", 8.0)):
            if shape in rows:
                rows[shape] = np.full(2, value)
        if "center_x" in rows:
            rows |= {
                "center_x": np.array([0.71, -0.333]),
                "center_y": np.array([0.222, 0.913]),
            }
        tables[kind] = Perturbers.from_counts(np.array([2]), **rows)
    components = (
        Component("lens", lens),
        Component("lens_light", "sersic", "light_"),
        Component("source", source, "source_"),
    )
    images = (
        np.random.default_rng(1).random((1, 6, 9)) if source == "interpolated" else None
    )
    return Scenes(
        components,
        {k: np.array([float(v)]) for k, v in params.items()},
        tables,
        images=images,
    )


def residual(
    one: Scenes, camera: Instrument, supersampling: int, against: str = "lenstronomy"
) -> float:
    reference = engine(
        against,
        **({"precision": "float64", "kernels": "eager"} if against == "batched" else {}),
    ).render(one, camera, supersampling=supersampling)
    image = engine("autolens").render(one, camera, supersampling=supersampling)
    assert np.isfinite(image).all()
    return float(np.abs(image - reference).max() / reference.max())


@pytest.mark.parametrize(
    "psf",
    [CAMERA.psf, FINE, WIDE],
    ids=["Gaussian", "oversampled kernel", "wider than the stamp"],
)
@pytest.mark.parametrize("supersampling", [2, 4])
@pytest.mark.parametrize("source", LIGHTS)
def test_every_optic_agrees_with_lenstronomy(psf, supersampling, source):
    camera = CAMERA.model_copy(update={"psf": psf})
    assert residual(scene("sie", source, "point_mass"), camera, supersampling) < 1e-7


@pytest.mark.parametrize("lens", ["sie", "epl", "shear", "sheet", "nfw", "tnfw", "uldm"])
@pytest.mark.parametrize("num_pix", [32, 33])
@pytest.mark.filterwarnings(
    "ignore:invalid value encountered in divide:RuntimeWarning:lenstronomy"
)  # its EPL at 0
def test_every_lens_agrees_with_lenstronomy_also_where_a_ray_meets_its_centre(
    lens, num_pix
):
    camera = CAMERA.model_copy(update={"num_pix": num_pix})
    assert residual(scene(lens), camera, 1) < 1e-7


@pytest.mark.parametrize(
    "kind", [name for name in MASSES if name != "cnfw" and not PROFILES[name].one_of]
)
def test_every_perturber_agrees_with_lenstronomy(kind):
    assert residual(scene("sie", "sersic", kind), CAMERA, 2) < 1e-7


def test_cored_nfw_perturbers_agree_with_the_batched_engine():
    """lenstronomy's CNFW jumps by 1 % of its deflection at the core radius; the batched profile does not."""
    assert residual(scene("sie", "sersic", "cnfw"), CAMERA, 2, against="batched") < 1e-7


@pytest.mark.parametrize("lens", ["sie", "epl", "tnfw"])
@pytest.mark.filterwarnings(
    "ignore:invalid value encountered in divide:RuntimeWarning:lenstronomy"
)  # its EPL at 0
def test_deflections_stated_for_another_source_are_scaled(lens):
    one = scene(lens, "sersic", "point_mass", "tnfw", z_source_convention=3.0)
    assert one.deflection_scale()[0] < 0.95
    assert residual(one, CAMERA, 1) < 1e-7


def test_the_singular_core_of_a_point_mass_is_smaller_than_a_micro_arcsecond_scale():
    """A ray may pass a point mass at 1e-6 arcsec: PyAutoLens softens it by 1e-10 arcsec only."""
    for distance in (1e-2, 1e-4, 1e-6):
        theirs = autolens_deflection(
            al.mp.PointMass((0.0, 0.0), 0.1), np.array([[0.0, distance]])
        )[0, 1]
        assert theirs == pytest.approx(0.01 / distance, rel=2e-8)


def test_the_tracer_that_users_get_gives_the_engines_pixels():
    """Its profiles are the plain ones; the engine's differ on their very centres only."""
    one = scene("sie", "sersic", "point_mass", "tnfw")
    camera = CAMERA.model_copy(update={"num_pix": 32, "psf": PixelPSF(kernel=[[1.0]])})
    tracer, grid, _ = to_autolens(one, 0, camera, supersampling=2)
    with pinned():
        image = np.asarray(tracer.image_2d_from(grid=grid).native.array)[::-1]
    rendered = engine("autolens").render(one, camera, supersampling=2)[0, 0]
    np.testing.assert_allclose(image, rendered, rtol=0, atol=1e-13 * rendered.max())


def test_a_tracer_built_by_hand_gives_the_pixels_of_a_preset_with_the_same_numbers(
    lenssim, tmp_path
):
    """What a user of PyAutoLens writes, and what `generate --engine autolens` makes of the same numbers."""
    import h5py

    n, pixel, ours = 1.5, 0.07, 1.9992 * 1.5 - 0.3271
    kernel = np.array([[0.0, 0.1, 0.0], [0.1, 0.5, 0.1], [0.0, 0.2, 0.0]])
    with pinned():
        psf = al.Convolver(
            kernel=al.Array2D.no_mask(kernel[::-1].copy(), pixel_scales=pixel)
        )
        lens = al.Galaxy(
            redshift=0.5,
            mass=al.mp.PowerLaw(
                centre=(0.05, 0.0), ell_comps=(0.1, 0.05), einstein_radius=1.2, slope=2.1
            ),
            shear=al.mp.ExternalShear(gamma_1=0.03, gamma_2=-0.02),
            subhalo=al.mp.NFWTruncatedSph(
                centre=(1.1, 0.3), kappa_s=0.1, scale_radius=0.1, truncation_radius=0.5
            ),
        )
        light = al.lp.Sersic(
            centre=(0.1, -0.05),
            ell_comps=(-0.1, 0.2),
            intensity=0.3,
            effective_radius=0.2,
            sersic_index=n,
        )
        tracer = al.Tracer(galaxies=[lens, al.Galaxy(redshift=1.5, bulge=light)])
        mask = np.pad(np.zeros((50, 50), dtype=bool), 1, constant_values=True)
        grid = al.Grid2D.uniform(
            shape_native=(50, 50), pixel_scales=pixel, over_sample_size=4
        )
        sharp = tracer.image_2d_from(grid=grid).native.array
        inside, around = (
            al.Mask2D(mask=each, pixel_scales=pixel) for each in (mask, ~mask)
        )
        by_hand = psf.convolved_image_from(
            image=al.Array2D(np.asarray(sharp).ravel(), mask=inside),
            blurring_image=al.Array2D(np.zeros(52**2 - 50**2), mask=around),
        )
        by_hand = np.asarray(by_hand.native.array)[1:-1, 1:-1][::-1]
        theirs = light.sersic_constant

    q = (1 - np.hypot(0.1, 0.05)) / (1 + np.hypot(0.1, 0.05))
    preset = {
        "name": "by-hand",
        "instrument": {
            "name": "camera",
            "pixel_scale": pixel,
            "num_pix": 50,
            "exposure_time": 100,
            "background_rms": 0.01,
            "psf": {"kernel": kernel.tolist()},
        },
        "supersampling": 4,
        "cosmology": {"H0": 70, "Om0": 0.3, "Ob0": 0.05},
        "z_lens": 0.5,
        "z_source": 1.5,
        "lens": [
            {
                "profile": "epl",
                "theta_E": float(1.2 * np.sqrt(q) * (2 / (1 + q)) ** (1 / 1.1)),
                "gamma": 2.1,
                "e1": 0.05,
                "e2": 0.1,
                "center_y": 0.05,
            },
            {"profile": "shear", "gamma1": 0.03, "gamma2": -0.02},
            {
                "profile": "tnfw",
                "name": "subhalo",
                "Rs": 0.1,
                "alpha_Rs": float(4 * 0.1 * 0.1 * (1 - np.log(2))),
                "r_trunc": 0.5,
                "center_x": 0.3,
                "center_y": 1.1,
            },
        ],
        "source": [
            {
                "profile": "sersic",
                "amp": float(0.3 / pixel**2 * np.exp(theirs - ours)),
                "R_sersic": float(0.2 * (ours / theirs) ** n),
                "n_sersic": n,
                "e1": 0.2,
                "e2": -0.1,
                "center_x": -0.05,
                "center_y": 0.1,
            }
        ],
        "classes": {"smooth": {"model": "no_sub"}},
    }
    import yaml

    (tmp_path / "by-hand.yaml").write_text(yaml.safe_dump(preset))
    done = lenssim(
        *(
            "generate",
            "--model",
            "by-hand.yaml",
            "--n",
            1,
            "--engine",
            "autolens",
            "--noise",
            "none",
            "--out",
            "data",
        ),
        *("--workers", 0),
    )
    assert done.code == 0, done.err
    with h5py.File(tmp_path / "data" / "shards" / "000000.h5") as file:
        stored = file["images"][0, 0]
    np.testing.assert_allclose(
        stored, by_hand, rtol=0, atol=2e-7 * by_hand.max()
    )  # float32 on disk
    scenes = draw(parse_preset(preset), [0], seed=0)
    rendered = engine("autolens").render(
        scenes, parse_preset(preset).instrument, supersampling=4
    )[0, 0]
    np.testing.assert_allclose(rendered, by_hand, rtol=0, atol=1e-12 * by_hand.max())


SCRIPT = """
import sys
import numpy as np
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.preset import load_preset

preset = load_preset("III")
scenes = draw(preset, np.arange(3), seed=7)
np.save(sys.argv[1], engine("autolens").render(scenes, preset.instrument, supersampling=3))
"""
HOSTILE = {
    "PYAUTO_SMALL_DATASETS": "1",
    "PYAUTO_TEST_MODE": "2",
    "PYAUTO_DISABLE_JAX": "1",
    "PYAUTO_FAST_PLOTS": "1",
    "JAX_ENABLE_X64": "False",
}
CONFIG = """
psf: {use_fft_default: false}
structures: {native_binned_only: true}
numba: {use_numba: false, cache: false, nopython: false, parallel: true}
version: {workspace_version: 2099.1.1.1, minimum_library_version: 2099.1.1.1}
"""


@pytest.mark.thorough
def test_environment_and_config_folders_change_nothing(tmp_path):
    """A folder whose configuration would shrink grids and stop PyAutoLens's import, and variables that do the like."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "general.yaml").write_text(CONFIG)
    stopped = subprocess.run(
        [sys.executable, "-c", "import autolens"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "WorkspaceVersionMismatchError" in stopped.stderr  # hostile it is
    command = [sys.executable, "-W", "error", "-c", SCRIPT, "images.npy"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **HOSTILE}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    preset = load_preset("III")
    here = engine("autolens").render(
        draw(preset, np.arange(3), seed=7), preset.instrument, supersampling=3
    )
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), here)


def test_a_users_own_configuration_and_environment_are_left_alone(monkeypatch):
    from autonerves import conf

    monkeypatch.setenv("PYAUTO_SMALL_DATASETS", "1")
    theirs, errors = conf.instance, np.geterr()
    engine("autolens").render(scene(), CAMERA)
    assert conf.instance is theirs
    assert os.environ["PYAUTO_SMALL_DATASETS"] == "1"
    assert np.geterr() == errors
    with pytest.raises(RuntimeError), pinned():
        raise RuntimeError
    assert conf.instance is theirs
    assert os.environ["PYAUTO_SMALL_DATASETS"] == "1"


def test_nothing_else_imports_autolens():
    modules = "lenssim.cli.main, lenssim.simulate.draw, lenssim.simulate.parity"
    code = f"import {modules}, sys; print('autolens' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_ellipticities_beyond_its_bounds_are_refused_by_name():
    with pytest.raises(
        ConfigError,
        match=r"sie: an ellipticity of 0\.9995; PyAutoLens treats all above 0\.999 alike",
        check=has_code("ellipticity", name="sie"),
    ):
        engine("autolens").render(scene("sie", "sersic", e1=0.9995, e2=0.0), CAMERA)


def test_a_profile_without_a_counterpart_is_named_with_what_can_be_done():
    with pytest.raises(
        ConfigError,
        match=r"no counterpart of 'multipole'.*render with --engine lenstronomy",
        check=has_code("no-counterpart", profile="multipole"),
    ):
        profile_to_autolens("multipole", {}, 0.05)


def test_rays_that_are_no_number_are_refused():
    with pytest.raises(
        ConfigError,
        match="'autolens' cannot sample adaptively",
        check=has_code("engine-options", name="autolens"),
    ):
        engine("autolens").render(scene(), CAMERA, supersampling="adaptive")


def test_a_source_in_front_of_the_lens_is_refused():
    one = scene()
    with pytest.raises(
        ConfigError,
        match=r"z_source must lie behind z_lens, got z_lens 0\.5 and z_source 0\.4",
        check=has_code("out-of-bounds"),
    ):
        replace(one, params={**one.params, "z_source": np.array([0.4])})


def test_an_interpolated_image_is_light_of_autolens():
    image = np.arange(12.0).reshape(3, 4)
    with pinned():
        light = InterpolatedImage((0.0, 0.0), image, 0.5, 0.0, 2.0)
        at = al.Grid2DIrregular(
            [(-0.5, -0.75), (0.5, 0.75), (0.0, 0.25), (-0.5, -1.0), (5.0, 5.0)]
        )
        seen = light.image_2d_from(grid=at)
    assert isinstance(seen, aa.ArrayIrregular)
    np.testing.assert_allclose(seen.array, [0.0, 22.0, 12.0, 0.0, 0.0], atol=1e-13)
