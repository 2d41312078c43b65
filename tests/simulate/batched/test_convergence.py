"""Convergence maps: laws that hold for every profile, and the profiles' own convergence as the witness."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lenssim.simulate.draw import draw
from lenssim.simulate.engines.batched.convergence import convergence
from lenssim.simulate.engines.batched.profiles import cnfw, nfw, sheet, tnfw, uldm
from lenssim.simulate.preset import load_preset
from lenssim.simulate.scenes import Perturbers

PRESET = load_preset("III-corrected")
CAMERA = PRESET.instrument.model_copy(update={"num_pix": 24})
HALF = CAMERA.num_pix * CAMERA.pixel_scale / 2
SMOOTH = replace(draw(PRESET, [0, 3], seed=1), perturbers={})
EXACT = {"precision": "float64", "kernels": "eager"}
PLACE = {"center_x": 0.153, "center_y": -0.268}
PROFILES = {
    "sheet": (sheet, {"kappa": -0.02}),
    "nfw": (nfw, {"Rs": 0.3, "alpha_Rs": 0.02, **PLACE}),
    "tnfw": (tnfw, {"Rs": 0.3, "alpha_Rs": 0.02, "r_trunc": 0.4, **PLACE}),
    "cnfw": (cnfw, {"Rs": 0.3, "alpha_Rs": 0.02, "r_core": 0.1, **PLACE}),
    "uldm": (uldm, {"kappa_0": 0.1, "theta_c": 0.15, "slope": 8.0, **PLACE}),
}


def perturbed(kind: str, n: int = 1, **columns) -> object:
    """The two smooth scenes, the second with `n` equal perturbers."""
    values = {
        name: np.full(n, value) if np.isscalar(value) else value
        for name, value in columns.items()
    }
    return replace(
        SMOOTH, perturbers={kind: Perturbers.from_counts(np.array([0, n]), **values)}
    )


@pytest.mark.parametrize("kind", PROFILES)
def test_pixels_hold_the_mean_convergence_of_the_profile(kind):
    """To 1e-4 of the peak away from the centre, and all pixels together to a thousandth."""
    profile, values = PROFILES[kind]
    found = convergence(perturbed(kind, **values), CAMERA, **EXACT)
    assert found.shape == (2, 1, 24, 24)
    assert not found[0].any()
    fine = 20
    axis = torch.from_numpy((np.arange(24 * fine) + 0.5) * CAMERA.pixel_scale / fine - HALF)
    x, y = axis[None, :], axis[:, None]
    kappa = profile.convergence(
        x, y, **{name: torch.tensor(value).double() for name, value in values.items()}
    )
    mean = (
        kappa.expand(24 * fine, 24 * fine).reshape(24, fine, 24, fine).mean((1, 3)).numpy()
    )
    middle = (np.arange(24) + 0.5) * CAMERA.pixel_scale - HALF
    away = (
        np.hypot(middle[None] - PLACE["center_x"], middle[:, None] - PLACE["center_y"])
        > 2 * CAMERA.pixel_scale
    )
    assert np.abs(found[1, 0] - mean)[away].max() < 1e-4 * np.abs(mean).max()
    assert found.sum() == pytest.approx(mean.sum(), rel=1e-3 if "Rs" in values else 1e-6)


def test_points_and_lines_have_their_mass():
    """pi theta_E^2 on the map's area, whatever pixels or edges the mass lies on; nothing of what is outside."""
    rng = np.random.default_rng(3)
    places = {
        name: rng.uniform(-0.8 * HALF, 0.8 * HALF, 40) for name in ("center_x", "center_y")
    }
    strength = rng.uniform(0.01, 0.05, 40)
    total = np.pi * (strength**2).sum()
    for kind, shape in (
        ("point_mass", {}),
        ("line_mass", {"half_length": 0.1, "angle": rng.uniform(0, 6, 40)}),
    ):
        found = convergence(
            perturbed(kind, 40, theta_E=strength, **places, **shape), CAMERA, **EXACT
        )
        assert found[1].sum() * CAMERA.pixel_scale**2 == pytest.approx(
            total, rel=1e-9 if not shape else 0.02
        )
    outside = convergence(
        perturbed("point_mass", theta_E=0.05, center_x=1.5 * HALF, center_y=0.0),
        CAMERA,
        **EXACT,
    )
    assert np.abs(outside).max() < 1e-9


def test_a_point_is_seen_in_its_own_pixel():
    place = {"center_x": 4.2 * CAMERA.pixel_scale, "center_y": -6.6 * CAMERA.pixel_scale}
    found = convergence(perturbed("point_mass", theta_E=0.03, **place), CAMERA, **EXACT)[
        1, 0
    ]
    assert np.unravel_index(found.argmax(), found.shape) == (5, 16)  # row = y, column = x
    assert found.max() == pytest.approx(np.pi * 0.03**2 / CAMERA.pixel_scale**2, rel=0.05)


def test_it_is_stated_for_the_source():
    """Deflections of published presets are stated for another source; the map is what the own source sees."""
    scenes = perturbed("sheet", kappa=0.01)
    published = replace(
        scenes,
        params={**scenes.params, "z_source_convention": np.full(2, 2.5)},
    )
    factor = published.deflection_scale()[1]
    assert factor < 0.7
    found = convergence(published, CAMERA, **EXACT)[1]
    np.testing.assert_allclose(found, 0.01 * factor, rtol=1e-12)


@pytest.mark.parametrize("model", ["III", "hst-arcs"])
def test_bits_do_not_depend_on_the_batch_and_single_precision_is_near(model):
    preset = load_preset(model)
    scenes = draw(preset, np.arange(len(preset.classes)), seed=2)
    together = convergence(scenes, CAMERA, kernels="eager")
    exact = convergence(scenes, CAMERA, **EXACT)
    assert np.abs(together - exact).max() < 1e-5 * np.abs(exact).max()
    for i in range(len(scenes)):
        alone = convergence(scenes.take(np.array([i])), CAMERA, kernels="eager")
        assert alone.tobytes() == together[i : i + 1].tobytes()
