"""Sensitivity to subhaloes, against delta chi2 of simulated haloes and lenstronomy's multipoles."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lenssim.simulate.draw import draw
from lenssim.simulate.engines.batched.detectability import detectability
from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.fit import sensitivity as module
from lenssim.simulate.fit.sensitivity import (
    Sensitivity,
    arc_positions,
    sensitivity,
    subhalo,
)
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.preset import load_preset

MASSES = (1e8, 1e9)


@pytest.fixture(scope="module", autouse=True)
def eager():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENSSIM_KERNELS", "eager")
        yield


@pytest.fixture(scope="module")
def lens():
    """A smooth lens: its scene, camera, noise, and two places on its arcs."""
    preset = load_preset("hst-arcs")
    scene = replace(draw(preset, [0], seed=3), perturbers={})
    camera = preset.instrument
    image = Batched("float32", "cpu", "eager").render(scene, camera, supersampling=2)
    sigma = noise_sigma(image.astype(np.float64), scene, camera)[0, 0]
    positions = arc_positions(image[0, 0], sigma, camera.pixel_scale, 2)
    return scene, camera, sigma, positions


@pytest.mark.thorough
def test_without_multipoles_it_is_the_detectability(lens, monkeypatch):
    scene, camera, sigma, positions = lens
    with_multipoles = sensitivity(scene, camera, sigma, MASSES, positions)
    none = torch.zeros(1, 0, camera.num_pix**2, dtype=torch.float64)
    monkeypatch.setattr(module, "unit_deflections", lambda x, y: (none, none))
    without = sensitivity(scene, camera, sigma, MASSES, positions)
    for mass, costs in zip(MASSES, without.delta_chi2, strict=True):
        haloes = scene.take(np.zeros(len(positions), np.int64))
        haloes = replace(haloes, perturbers={"tnfw": subhalo(scene, mass, positions)})
        expected = detectability(haloes, camera, supersampling=2, kernels="eager")
        np.testing.assert_allclose(costs, expected["delta_chi2"], rtol=0.05)
    assert (with_multipoles.delta_chi2 < without.delta_chi2).all()
    assert (with_multipoles.delta_chi2 > 0).all()


def test_masked_pixels_tell_nothing(lens):
    scene, camera, sigma, positions = lens
    blind = sensitivity(scene, camera, np.full_like(sigma, np.inf), MASSES[:1], positions)
    assert (blind.delta_chi2 == 0).all()


def test_the_least_mass_lies_between_those_that_were_tried():
    costs = np.array([[1.0, 0.5], [10.0, 20.0], [400.0, 100.0]])
    result = Sensitivity(np.array([1e8, 1e9, 1e10]), np.zeros((2, 2)), costs)
    assert result.best.tolist() == [1.0, 20.0, 400.0]
    assert result.least_mass(0.5) == 1e8
    assert 1e9 < result.least_mass(100.0) < 1e10
    assert np.isnan(result.least_mass(1000.0))


def test_positions_keep_their_distance():
    arcs = np.random.default_rng(1).random((40, 40))
    arcs[:, 20:] = 0
    places = arc_positions(arcs, np.ones_like(arcs), 0.05, 12)
    assert len(places) == 12
    assert (places[:, 0] < 0).all()
    distances = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    assert distances[~np.eye(12, dtype=bool)].min() >= 0.15 - 1e-9
