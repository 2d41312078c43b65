"""Delta chi2 of substructure: its limits, what the smooth model can take over, and a fit of real images."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.batched.detectability import UNITS, detectability
from lenssim.simulate.engines.batched.gradients import differentiable
from lenssim.simulate.instruments import ADAPTIVE
from lenssim.simulate.observe import noise_sigma
from lenssim.simulate.preset import load_preset
from lenssim.simulate.scenes import Perturbers

PRESET = load_preset("III")
CAMERA = PRESET.instrument.model_copy(update={"num_pix": 32, "pixel_scale": 0.16})
EXACT = {"precision": "float64", "kernels": "eager", "supersampling": 2}


def smooth(count: int = 1):
    """Scenes of the class without substructure, the same lens with other sources; by amplitude, not magnitude."""
    scenes = draw(PRESET, 3 * np.arange(count), seed=1)
    amp = scenes.of(scenes.components[-1], CAMERA.zero_point)["amp"]
    params = {
        name: column for name, column in scenes.params.items() if name != "source_magnitude"
    }
    return replace(scenes, params={**params, "source_amp": amp})


def perturbed(scenes, kind: str, **columns):
    """One perturber a scene; each column a number or (N,)."""
    values = {
        name: np.broadcast_to(np.asarray(value, float), len(scenes)).copy()
        for name, value in columns.items()
    }
    return replace(
        scenes,
        perturbers={kind: Perturbers.from_counts(np.ones(len(scenes), int), **values)},
    )


def test_no_perturbers_no_difference():
    scenes = draw(PRESET, np.arange(6), seed=1)
    found = detectability(scenes, CAMERA, kernels="eager")
    assert set(found) == set(UNITS)
    for column in found.values():
        assert column.dtype == np.float64
        assert np.array_equal(column == 0, np.arange(6) % 3 == 0)
    none = detectability(smooth(2), CAMERA, kernels="eager")
    assert all((column == 0).all() for column in none.values())


@pytest.mark.parametrize("model", ["II", "III", "III-corrected", "hst-arcs"])
def test_a_model_that_may_move_never_fits_worse(model):
    preset = load_preset(model)
    camera = preset.instrument.model_copy(update={"num_pix": 32})
    scenes = draw(preset, np.arange(8), seed=3)
    found = detectability(
        scenes, camera, supersampling=preset.supersampling, kernels="eager"
    )
    assert (found["delta_chi2"] >= 0).all()
    assert (found["delta_chi2"] <= found["delta_chi2_fixed"]).all()


def test_what_is_a_change_of_the_smooth_model_is_projected_out():
    """More shear is a parameter exactly, a point in the middle nearly a larger theta_E; one on the ring is none."""
    scenes, near, far = (
        smooth(3),
        {"center_x": 0, "center_y": 0},
        {"center_x": 0.8, "center_y": 0.1},
    )
    shear, middle, ring = (
        found["delta_chi2"] / found["delta_chi2_fixed"]
        for found in (
            detectability(perturbed(scenes, kind, **columns), CAMERA, **EXACT)
            for kind, columns in (
                ("shear", {"gamma1": 1e-5, "gamma2": -2e-5}),
                ("point_mass", {"theta_E": 0.01, **near}),
                ("point_mass", {"theta_E": 0.01, **far}),
            )
        )
    )
    assert (shear < 1e-6).all()
    assert (middle < 0.25).all()
    assert (ring > 2 * middle).all()


def test_a_sheet_is_degenerate_with_the_rest_to_first_order():
    """The mass-sheet transformation: a sheet is a smaller source, a larger theta_E and a larger shear (Falco+ 1985)."""
    found = detectability(perturbed(smooth(3), "sheet", kappa=1e-4), CAMERA, **EXACT)
    assert (found["delta_chi2"] < 1e-3 * found["delta_chi2_fixed"]).all()


@pytest.mark.parametrize("name", ["delta_chi2_fixed", "delta_chi2"])
def test_it_goes_with_the_square_of_a_small_deflection(name):
    place = {"Rs": 0.2, "r_trunc": 0.4, "center_x": 0.7, "center_y": 0.3}
    small, twice = (
        detectability(
            perturbed(smooth(2), "tnfw", alpha_Rs=alpha, **place), CAMERA, **EXACT
        )[name]
        for alpha in (1e-5, 2e-5)
    )
    np.testing.assert_allclose(
        twice, 4 * small, rtol=0.01
    )  # the next order is in proportion to the deflection


def test_a_scene_has_the_same_bits_alone():
    """Samples are made again one at a time and compared bit for bit."""
    scenes = draw(PRESET, np.arange(7), seed=4)
    together = detectability(scenes, CAMERA, kernels="eager")
    for row in (1, 5):
        alone = detectability(scenes.take(np.array([row])), CAMERA, kernels="eager")
        assert all(alone[name][0] == together[name][row] for name in UNITS)


def test_single_precision_and_adaptive_rays_are_close():
    scenes = perturbed(
        smooth(2), "tnfw", alpha_Rs=0.01, Rs=0.2, r_trunc=0.4, center_x=0.7, center_y=0.3
    )
    exact = detectability(
        scenes, CAMERA, precision="float64", kernels="eager", supersampling=4
    )
    for options, tolerance in (
        ({"supersampling": 4}, 1e-2),
        ({"supersampling": ADAPTIVE}, 0.1),
    ):
        found = detectability(scenes, CAMERA, kernels="eager", **options)
        for name in UNITS:
            np.testing.assert_allclose(found[name], exact[name], rtol=tolerance)


def test_a_fit_of_rendered_images_finds_the_same():
    """scipy moves all parameters of the smooth lens until its rendered image fits best; no derivative of ours."""
    lens = smooth(1)
    scenes = perturbed(
        lens, "tnfw", alpha_Rs=5e-4, Rs=0.2, r_trunc=0.4, center_x=0.7, center_y=0.3
    )
    renderer = engine("batched", precision="float64", device="cpu", kernels="eager")
    data = renderer.render(scenes, CAMERA, supersampling=2)
    sigma = noise_sigma(data, scenes, CAMERA)
    names = [name for name in differentiable(lens.components) if name in lens.params]
    start = np.array([lens.params[name][0] for name in names])
    scale = np.maximum(np.abs(start), 0.1)

    def residual(moved):
        """(parameter sets, pixels), so that one call renders every step of a derivative."""
        values = start + np.atleast_2d(moved) * scale
        rows = lens.take(np.zeros(len(values), int))
        trial = replace(
            rows, params={**rows.params, **dict(zip(names, values.T, strict=True))}
        )
        return ((renderer.render(trial, CAMERA, supersampling=2) - data) / sigma).reshape(
            len(values), -1
        )

    def slopes(moved):
        steps = 1e-5 * np.eye(len(names))
        return ((residual(moved + steps) - residual(moved - steps)) / 2e-5).T

    zero = np.zeros(len(names))
    fit = least_squares(
        lambda moved: residual(moved)[0], zero, slopes, xtol=1e-12, ftol=1e-12, gtol=1e-12
    )
    found = detectability(scenes, CAMERA, **EXACT)
    assert found["delta_chi2_fixed"][0] == pytest.approx(
        (residual(zero) ** 2).sum(), rel=1e-9
    )
    assert found["delta_chi2"][0] == pytest.approx(2 * fit.cost, rel=0.02)
    assert (
        found["delta_chi2"][0] < 0.7 * found["delta_chi2_fixed"][0]
    )  # else the fit would have nothing to find
