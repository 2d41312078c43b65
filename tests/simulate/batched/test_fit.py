"""The best smooth lens of an image: against scipy's, against the statistics of noise, and with nothing to explain."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.batched.detectability import detectability
from lenssim.simulate.engines.batched.fit import smooth_residual
from lenssim.simulate.engines.batched.gradients import differentiable
from lenssim.simulate.observe import noise_sigma, observe
from lenssim.simulate.preset import load_preset
from lenssim.simulate.scenes import Perturbers

PRESET = load_preset("III")
CAMERA = PRESET.instrument.model_copy(update={"num_pix": 32, "pixel_scale": 0.16})
EXACT = {"precision": "float64", "kernels": "eager", "supersampling": 2}
SMOOTH = 3 * np.arange(24)  # sample numbers of the class without substructure


def observed(scenes, noise: str, camera=CAMERA, **options):
    settings = {**EXACT, **options}
    renderer = engine(
        "batched",
        precision=settings["precision"],
        kernels=settings["kernels"],
        device="cpu",
    )
    expected = renderer.render(scenes, camera, supersampling=settings["supersampling"])
    return observe(expected, scenes, camera, noise, numbers=np.arange(len(scenes)), seed=4)


def chi2(residual: np.ndarray) -> np.ndarray:
    return (residual.astype(float) ** 2).sum((1, 2, 3))


@pytest.mark.parametrize("model", ["I", "II", "III", "III-corrected", "hst-arcs", "sie"])
def test_of_a_smooth_lens_without_noise_nothing_is_left(model):
    preset = load_preset(model)
    camera = preset.instrument.model_copy(update={"num_pix": 24})
    scenes = replace(draw(preset, np.arange(4), seed=2), perturbers={})
    images = observed(scenes, "none", camera)
    residual = smooth_residual(images, scenes, camera, **EXACT)
    assert residual.shape == images.shape
    assert residual.dtype == np.float32
    assert np.abs(residual).max() < 0.01  # what images rounded to float32 leave


@pytest.mark.thorough
def test_noise_is_left_but_for_one_degree_of_freedom_a_parameter():
    scenes = draw(PRESET, SMOOTH, seed=1)
    left = chi2(smooth_residual(observed(scenes, "nominal"), scenes, CAMERA, **EXACT))
    degrees = CAMERA.num_pix**2 - len(differentiable(scenes.components))
    assert abs(left.mean() - degrees) < 5 * np.sqrt(2 * degrees / len(left))


@pytest.mark.thorough
def test_scipy_finds_no_better_lens():
    """Levenberg-Marquardt of MINPACK on the same chi2, with derivatives by differences."""
    scenes = draw(PRESET, [1, 2], seed=1)
    images = observed(scenes, "nominal")
    mine = chi2(smooth_residual(images, scenes, CAMERA, **EXACT))
    sigma = noise_sigma(images.astype(float), scenes, CAMERA)
    amp = scenes.of(scenes.components[-1], CAMERA.zero_point)["amp"]
    params = {
        name: column for name, column in scenes.params.items() if name != "source_magnitude"
    }
    smooth = replace(scenes, params={**params, "source_amp": amp}, perturbers={})
    renderer, names = (
        engine("batched", precision="float64", kernels="eager", device="cpu"),
        differentiable(scenes.components),
    )
    for k in range(2):
        one = smooth.take([k])

        def residual(values, one=one, k=k):
            moved = replace(
                one,
                params=one.params
                | {name: np.array([v]) for name, v in zip(names, values, strict=True)},
            )
            return (
                (images[k] - renderer.render(moved, CAMERA, supersampling=2)[0]) / sigma[k]
            ).ravel()

        start = np.array([one.params[name][0] for name in names])
        found = least_squares(
            residual, start, method="lm", x_scale=np.maximum(np.abs(start), 0.01)
        )
        assert mine[k] == pytest.approx(2 * found.cost, abs=0.05)
        assert mine[k] < (residual(start) ** 2).sum() - 1


def test_of_weak_substructure_is_left_what_delta_chi2_says():
    scenes = draw(PRESET, SMOOTH[:6], seed=1)
    radius = scenes.params["theta_E"]
    point = {
        "theta_E": 0.004 * radius,
        "center_x": scenes.params["center_x"] + radius,
        "center_y": scenes.params["center_y"],
    }
    scenes = replace(
        scenes, perturbers={"point_mass": Perturbers.from_counts(np.ones(6, int), **point)}
    )
    left = chi2(smooth_residual(observed(scenes, "none"), scenes, CAMERA, **EXACT))
    expected = detectability(scenes, CAMERA, **EXACT)["delta_chi2"]
    assert (expected > 0.01).any()
    np.testing.assert_allclose(left, expected, rtol=0.05, atol=0.01)


@pytest.mark.thorough
def test_a_residual_does_not_depend_on_the_others():
    scenes = draw(PRESET, np.arange(5), seed=1)
    images = observed(scenes, "nominal")
    options = {"kernels": "eager", "supersampling": 2}
    together = smooth_residual(images, scenes, CAMERA, **options)
    for k in (0, 4):
        alone = smooth_residual(images[k : k + 1], scenes.take([k]), CAMERA, **options)
        np.testing.assert_array_equal(alone, together[k : k + 1])


@pytest.mark.thorough
def test_a_fit_that_would_leave_the_profiles_stays_within():
    """An image of nothing but noise wants any lens but one; the fit ends all the same, with numbers."""
    scenes = draw(PRESET, [0, 3], seed=1)
    noise = 1e-2 * np.random.default_rng(0).standard_normal((2, 1, 32, 32)).astype(
        np.float32
    )
    residual = smooth_residual(noise, scenes, CAMERA, **EXACT)
    assert np.isfinite(residual).all()
    start = observed(replace(scenes, perturbers={}), "none")
    assert (
        chi2(residual) < chi2((noise - start) / noise_sigma(noise, scenes, CAMERA))
    ).all()
