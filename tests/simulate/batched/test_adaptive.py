"""Adaptive sampling: as near to the truth as the finest grid, and what it must not depend on."""

import numpy as np
import pytest
import torch

from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.batched import adaptive
from lenssim.simulate.engines.batched.tiles import FEW_RAYS, scattered_rows
from lenssim.simulate.observe import noise_sigma
from lenssim.simulate.preset import load_preset

PRESET = load_preset("III")
ENGINE = {"precision": "float32", "device": "cpu", "kernels": "eager"}


def worst_in_noise(scenes, supersampling, reference) -> np.ndarray:
    image = engine("batched", **ENGINE).render(
        scenes, PRESET.instrument, supersampling=supersampling
    )
    return (
        np.abs(image - reference) / noise_sigma(reference, scenes, PRESET.instrument)
    ).max((1, 2, 3))


@pytest.mark.thorough
def test_smooth_lenses_are_within_a_fraction_of_the_noise_and_others_as_good_as_a_fine_grid():
    scenes = draw(PRESET, np.arange(12), seed=0)
    reference = engine("batched", **ENGINE).render(
        scenes, PRESET.instrument, supersampling=24
    )
    worst = worst_in_noise(scenes, "adaptive", reference)
    smooth = np.arange(12) % 3 == 0
    assert np.median(worst[smooth]) < 0.2
    assert worst[smooth].max() < 0.5
    # close to a point mass no grid has converged: 8 x 8 rays a pixel are further off than this
    assert np.median(worst[~smooth]) < np.median(
        worst_in_noise(scenes, 8, reference)[~smooth]
    )


def test_an_image_does_not_depend_on_its_batch():
    scenes = draw(PRESET, np.arange(9), seed=2)
    renderer = engine("batched", **ENGINE)
    whole = renderer.render(scenes, PRESET.instrument, supersampling="adaptive")
    for i in (0, 1, 5):
        alone = renderer.render(
            scenes.take([i]), PRESET.instrument, supersampling="adaptive"
        )
        np.testing.assert_array_equal(alone[0], whole[i])


@pytest.mark.parametrize("degree", range(8))
def test_the_rule_is_exact_for_polynomials(degree):
    nodes, weights, _ = adaptive._rule()
    exact = (0.5 ** (degree + 1) - (-0.5) ** (degree + 1)) / (degree + 1)
    assert float((nodes[0] ** degree * weights).sum()) == pytest.approx(exact, abs=1e-15)


def test_the_smooth_mean_is_exact_to_third_order_and_its_doubt_vanishes():
    x = torch.arange(-7.0, 8.0, dtype=torch.float64)
    brightness = (
        (x**3)[None, None, :]
        + (x**2)[None, :, None]
        + torch.zeros(1, 15, 15, dtype=torch.float64)
    )
    alpha = torch.zeros(1, 2, 13, 13, dtype=torch.float64)
    mean, doubt = adaptive.SamplingError()(brightness, alpha)
    middle = x[3:-3]
    exact = (middle**3 + middle / 4)[None, :] + (middle**2 + 1 / 12)[:, None]
    np.testing.assert_allclose(mean[0], exact, atol=1e-12)
    assert doubt.abs().max() < 1e-10


def test_scattered_points_come_back_in_place():
    rng = np.random.default_rng(0)
    scene = torch.from_numpy(np.sort(rng.integers(0, 5, 170)))
    points = torch.from_numpy(rng.normal(size=(170, 2, 16)))
    rows, place = scattered_rows(points, scene, 5)
    assert rows.rays.shape[1:] == (2, FEW_RAYS)
    groups = rows.rays.unflatten(2, (-1, 16)).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(groups[place], points, rtol=0, atol=0)
    room = FEW_RAYS // 16
    assert (rows.owner[place // room] == scene).all()
    assert torch.isfinite(rows.rays).all()
