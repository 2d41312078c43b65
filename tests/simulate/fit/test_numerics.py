"""The numerics of additions and multipoles: finite differences, lenstronomy, known places."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import convolve

from lenssim.simulate.engines.batched.profiles.epl import deflection as epl_deflection
from lenssim.simulate.fit.clumps import clumps_of
from lenssim.simulate.fit.companions import companion_columns, companions_of
from lenssim.simulate.fit.lens_light import LIGHT, LIGHT_B
from lenssim.simulate.fit.minima import FINE_SOURCE
from lenssim.simulate.fit.multipoles import multipole_slopes
from lenssim.simulate.fit.pixel_source import PixelSource
from lenssim.simulate.fit.projection import PARAMETERS, GaussianModel, Prior
from lenssim.simulate.fit.stamps import stamps
from lenssim.simulate.fit.tracing import SLOPE, trace, trace_slopes

MASS_AND_ALL = {
    "theta_E": 1.1,
    "e1": 0.12,
    "e2": -0.07,
    "center_x": 0.02,
    "center_y": -0.03,
    "gamma1": 0.04,
    "gamma2": -0.02,
    "source_x": 0.11,
    "source_y": -0.05,
    "source_e1": 0.15,
    "source_e2": 0.05,
    "light_x": 0.01,
    "light_y": 0.02,
    "light_e1": 0.1,
    "light_e2": -0.05,
    "light_e1_b": 0.05,
    "light_e2_b": 0.08,
    "a3_cos": 0.02,
    "a3_sin": -0.015,
    "a4_cos": 0.01,
    "a4_sin": 0.025,
    "slope": 0.15,
}


def small_model(has_additions=False, slope=MASS_AND_ALL["slope"]):
    """A model of a stamp of 24 pixels, its values, and an image that it nearly explains."""
    rng = np.random.default_rng(3)
    axis = np.arange(5) - 2
    psf = np.exp(-(axis[:, None] ** 2 + axis**2) / 2)
    plane = np.ones((1, 24, 24))
    stamp = stamps(plane, 0.02 * plane, plane > 0, psf[None] / psf.sum(), 0.16)
    values = torch.tensor([list(MASS_AND_ALL.values())], dtype=torch.float64)
    values[:, SLOPE] = slope
    prior = Prior(values.clone(), torch.full_like(values, float("inf")))
    companions = None
    clumps = None
    if has_additions:
        clumps = torch.tensor([[[0.1, 0.05, 0.06], [np.nan] * 3]], dtype=torch.float64)
        shapes = torch.tensor([[[1.2, -0.9, 0.1, 0.05]]], dtype=torch.float64)
        companions = companion_columns(stamp, shapes)
    model = GaussianModel(
        stamp,
        prior,
        LIGHT[::4],
        LIGHT_B[::4],
        FINE_SOURCE[::2],
        2,
        companions=companions,
        clumps=clumps,
        has_multipoles=has_additions,
        has_slope=has_additions,
    )
    columns = model.light_columns(values)
    source, _ = model._source(values)
    every = torch.cat([columns, source], dim=1)
    image = every.mT @ torch.from_numpy(rng.uniform(0.01, 0.03, (1, every.shape[1], 1)))
    noise = torch.from_numpy(rng.normal(0, 1, (1, 576)))
    bright = 60 * image[..., 0] / image.max()
    model.stamps.data.copy_(bright + noise)
    return model, values


@pytest.mark.parametrize("name", PARAMETERS)
def test_gradients_are_those_of_finite_differences(name):
    """Chi2 with all amplitudes solved for: its gradient is -2 J r, Golub and Pereyra's."""
    model, values = small_model(has_additions=True)
    number = PARAMETERS.index(name)
    state = model.evaluate(values, [number])
    gradient = -2 * float(state.slopes[0, 0] @ state.residual[0])
    step = 1e-5
    chi2 = []
    for sign in (1, -1):
        moved = values.clone()
        moved[:, number] += sign * step
        chi2.append(float(model.evaluate(moved, []).chi2))
    difference = (chi2[0] - chi2[1]) / (2 * step)
    assert gradient == pytest.approx(difference, rel=2e-3, abs=0.05)
    assert abs(gradient) > 0.1, "a gradient of 0 would show nothing"


def test_the_transpose_of_the_blur_is_its_transpose():
    model, _ = small_model()
    rng = np.random.default_rng(5)
    image, plane = torch.from_numpy(rng.normal(0, 1, (2, 1, 576)))
    forward = float(model.stamps.blur(image[:, None])[0, 0] @ plane[0])
    backward = float(image[0] @ model.stamps.unblurred(plane)[0])
    assert forward == pytest.approx(backward, rel=1e-9)


def test_clumps_are_found_where_they_are():
    """A spot of a known place in the source, added to an image that the model explains.

    The lens is isothermal: with a steep one, the source takes up so much of the spot that the rest
    of it lies beside its place.
    """
    model, values = small_model(slope=0.0)
    true = torch.tensor([[[0.18, -0.12, 0.08]]], dtype=torch.float64)
    with_clump = replace(model, clumps=true)
    column = with_clump._source(values)[0][:, -1]
    model.stamps.data.add_(60 * column / column.max())
    residual = model.evaluate(values, []).residual
    clumps, gain = clumps_of(model, values, residual, 200.0)
    assert gain > 200
    np.testing.assert_allclose(clumps[0, :2].numpy(), [0.18, -0.12], atol=0.08)
    assert torch.isnan(clumps[1:]).all() or gain > 1000


def test_a_companion_is_found_where_it_is():
    model, values = small_model()
    shape = torch.tensor([[[-1.1, 0.6, 0.2, 0.0]]], dtype=torch.float64)
    column = companion_columns(model.stamps, shape)[:, 2] * model.stamps.weights
    model.stamps.data.add_(80 * column / column.max())
    residual = model.evaluate(values, []).residual
    shapes, gains = companions_of(model.stamps, residual, torch.tensor([100.0]))
    assert float(gains[0]) > 100
    np.testing.assert_allclose(shapes[0, :2].numpy(), [-1.1, 0.6], atol=0.05)


@pytest.mark.parametrize("order", [3, 4])
def test_multipoles_are_those_of_lenstronomy(order):
    from lenstronomy.LensModel.lens_model import LensModel

    theta_E = 1.3
    share = 0.03
    angle = 0.4
    x, y = np.random.default_rng(2).uniform(-2, 2, (2, 50))
    witness = LensModel(["MULTIPOLE"])
    keywords = {"m": order, "a_m": theta_E * share, "phi_m": angle}
    expected = witness.alpha(x, y, [keywords | {"center_x": 0.0, "center_y": 0.0}])
    terms = np.zeros((1, 4))
    first = 2 * (order - 3)
    terms[0, first] = share * np.cos(order * angle)
    terms[0, first + 1] = share * np.sin(order * angle)
    planes = [torch.from_numpy(axis[None]) for axis in (x, y)]
    scale = torch.tensor([[theta_E]], dtype=torch.float64)
    found = multipole_slopes(*planes, scale, torch.from_numpy(terms))
    np.testing.assert_allclose(found[0][0], expected[0], atol=1e-9)
    np.testing.assert_allclose(found[1][0], expected[1], atol=1e-9)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("side", [1, 5, 23, 41])
def test_the_blur_is_a_convolution(side):
    """Nothing wraps round, however large the PSF is."""
    rng = np.random.default_rng(side)
    image = rng.random((1, 24, 24))
    psf = rng.random((1, side, side))
    flat = np.ones_like(image)
    stamp = stamps(image, flat, flat > 0, psf, 0.1)
    blurred = stamp.blur(torch.from_numpy(image.reshape(1, 1, -1)))[0, 0]
    whole = convolve(image[0], psf[0], method="direct")
    half = side // 2
    expected = whole[half : half + 24, half : half + 24]
    np.testing.assert_allclose(blurred.reshape(24, 24), expected, rtol=1e-9)


def power_law(slope, e1=0.2, e2=-0.1):
    return torch.tensor(
        [[1.1, e1, e2, 0.03, -0.02, 0.04, -0.03, slope]], dtype=torch.float64
    )


def test_an_isothermal_power_law_is_the_ellipsoid():
    x, y = torch.from_numpy(np.random.default_rng(1).normal(0, 1, (2, 60)))
    mass = power_law(0.0)
    expected = trace_slopes(x, y, mass[:, :7])
    for found, known in zip(trace_slopes(x, y, mass), expected, strict=True):
        found = found[:, :7] if found.ndim == 3 else found
        torch.testing.assert_close(found, known, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("slope", [-0.4, 0.0, 0.3])
@pytest.mark.parametrize("shape", [(0.0, 0.0), (0.2, -0.1), (-0.3, 0.25)])
def test_power_laws_are_those_of_the_engine(slope, shape):
    x, y = torch.from_numpy(np.random.default_rng(2).normal(0, 1, (2, 60)))
    mass = power_law(slope, *shape)
    theta_E, e1, e2, center_x, center_y, *shear, _ = mass.split(1, dim=1)
    alpha = epl_deflection(x, y, theta_E, 2 + mass[:, 7:], e1, e2, center_x, center_y)
    dx = x - center_x
    dy = y - center_y
    gamma1, gamma2 = shear
    expected_x = x - alpha[0] - gamma1 * dx - gamma2 * dy
    expected_y = y - alpha[1] - gamma2 * dx + gamma1 * dy
    beta_x, beta_y = trace(x, y, mass)
    torch.testing.assert_close(beta_x, expected_x, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(beta_y, expected_y, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("slope", [-0.4, 0.0, 0.3])
def test_derivatives_of_power_laws_are_those_of_finite_differences(number, slope):
    x, y = torch.from_numpy(np.random.default_rng(3).normal(0, 1, (2, 60)))
    mass = power_law(slope)
    _, _, *slopes = trace_slopes(x, y, mass)
    step = torch.zeros_like(mass)
    step[0, number] = 1e-6
    ahead = trace(x, y, mass + step)
    behind = trace(x, y, mass - step)
    for after, before, derivative in zip(ahead, behind, slopes, strict=True):
        expected = (after - before) / 2e-6
        torch.testing.assert_close(derivative[:, number], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("slope", [0.0, 0.15])
def test_gradients_of_a_source_on_pixels_are_those_of_finite_differences(slope):
    """At the best source the objective changes by -2 J r alone (the envelope theorem).

    Between its pixels a source has kinks, so that derivatives agree to some per cent.
    """
    model, values = small_model()
    values[0, SLOPE] = slope
    width = torch.full_like(values, 0.5)
    prior = Prior(torch.zeros_like(values), width)
    light = model.light_columns(values)[0]
    source = PixelSource(model.stamps, light, prior, (0.11, -0.05), 0.6)
    free = [0, 1, 4, 6, SLOPE] if slope else [0, 2, 3, 5]
    start = source._state(values[0])
    strength = start.inversion.strength
    _, gradient = source._system(values[0], start, free)
    for number, expected in zip(free, gradient, strict=True):
        step = 2e-4
        objectives = []
        for sign in (1, -1):
            moved = values[0].clone()
            moved[number] += sign * step
            objectives.append(source._state(moved, strength).objective)
        difference = -(objectives[0] - objectives[1]) / (4 * step)
        scale = np.abs(gradient).max()
        assert difference == pytest.approx(expected, rel=0.05, abs=0.05 * scale), number
