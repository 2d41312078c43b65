"""What must never get a confident radius: each such image gets a flag that says so."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from error_codes import has_code
from scipy.signal import fftconvolve

from lenssim.errors import DataError
from lenssim.simulate.fit.lens_model import fit_lens
from lenssim.simulate.fit.multipoles import multipole_slopes
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.scan import ScanGrid
from lenssim.simulate.fit.settings import Search

SIDE = 64
SCALE = 0.08
NOISE = 0.05
GRID = ScanGrid((0.7, 0.9, 1.2, 1.6), 3)
SEARCH = Search(grid=GRID, fine_grid=GRID, starts=3, fine_starts=3, minima=2)
AXIS = (np.arange(SIDE) - (SIDE - 1) / 2) * SCALE
X, Y = np.meshgrid(AXIS, AXIS)
PIXELS = np.arange(9) - 4
PSF = np.exp(-(PIXELS[:, None] ** 2 + PIXELS**2) / 2)
PSF /= PSF.sum()


def sersic(x, y, radius, index, axis_ratio, angle, brightness):
    u = np.cos(angle) * (X - x) + np.sin(angle) * (Y - y)
    v = np.cos(angle) * (Y - y) - np.sin(angle) * (X - x)
    distance = np.sqrt(axis_ratio * u**2 + v**2 / axis_ratio)
    exponent = (distance / radius) ** (1 / index) - 1
    return brightness * np.exp(-(2 * index - 1 / 3) * exponent)


def elliptical(x=0.0, y=0.0):
    return sersic(x, y, 0.9, 4, 0.8, 1.0, 6.0)


def arcs(x=0.0, y=0.0, theta_E=1.1):
    """Images of a round source behind a singular isothermal sphere."""
    distance = np.hypot(X - x, Y - y)
    beta_x = (X - x) * (1 - theta_E / distance)
    beta_y = (Y - y) * (1 - theta_E / distance)
    return 6 * np.exp(-np.hypot(beta_x - 0.2, beta_y - 0.1) / 0.1)


def spiral():
    distance = np.hypot(X, Y)
    phase = 2 * np.arctan2(Y, X) - 5 * np.log(distance + 0.05)
    arms = 8 * np.exp(-distance / 0.9) * (1 + 0.8 * np.cos(phase))
    return sersic(0, 0, 0.4, 3, 0.9, 0.3, 10) + arms


def clumpy_ring():
    angles = np.random.default_rng(4).uniform(0, 2 * np.pi, 7)
    spots = [
        sersic(1.2 * np.cos(angle), 1.2 * np.sin(angle), 0.06, 1, 0.9, 0, 4)
        for angle in angles
    ]
    return elliptical() + np.sum(spots, axis=0)


def observed(expected, psf=PSF, scale=SCALE, **companions):
    blurred = fftconvolve(expected, PSF, mode="same")
    sigma = np.sqrt(NOISE**2 + 0.003 * blurred.clip(min=0))
    image = blurred + np.random.default_rng(1).normal(0, 1, blurred.shape) * sigma
    planes = {"sigma": sigma, "mask": None} | companions
    return Observation.of("test", image, planes["sigma"], psf, scale, planes["mask"])


NO_LENSES = {
    "blank sky": (lambda: 0 * X, {"no-arcs"}),
    "star": (lambda: 4e3 * np.exp(-(X**2 + Y**2) / 0.002), {"no-arcs"}),
    "elliptical": (elliptical, {"no-arcs"}),
    "elliptical with a neighbour": (
        lambda: elliptical() + sersic(1.2, 0.8, 0.2, 1, 0.7, 0.5, 4),
        {"one-image", "no-lens", "no-arcs"},
    ),
    "spiral": (spiral, {"no-lens", "poor-fit", "one-image", "bound"}),
    "ring of clumps": (clumpy_ring, {"no-lens", "chi2", "poor-fit"}),
    "two lenses": (
        lambda: elliptical() + arcs() + elliptical(1.6, -1.4) + arcs(1.6, -1.4, 0.7),
        {"crowded", "poor-fit", "one-image"},
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        "blank sky",
        *(
            pytest.param(name, marks=pytest.mark.thorough)
            for name in NO_LENSES
            if name != "blank sky"
        ),
    ],
)
def test_what_is_no_lens_gets_a_flag_that_says_so(name):
    image, flags = NO_LENSES[name]
    model = fit_lens(observed(image()), SEARCH)
    assert flags & set(model.flags), f"{name}: {model.flags}, {model.numbers['gain']:.0f}"


@pytest.fixture(scope="module")
def lens():
    return elliptical() + arcs()


def test_a_lens_gets_a_radius_and_no_flag(lens):
    model = fit_lens(observed(lens), SEARCH)
    assert model.flags == ()
    assert model.numbers["theta_E"] == pytest.approx(1.1, rel=0.01)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("flag", "companions"),
    [
        ("no-noise-map", {"sigma": None}),
        ("no-psf", {"psf": None}),
        ("saturated", {"mask": np.hypot(X, Y) > 0.15}),
        ("scale", {"scale": 0.01}),
    ],
)
def test_what_is_not_known_of_a_lens_is_said(lens, flag, companions):
    assert flag in fit_lens(observed(lens, **companions), SEARCH).flags


def test_an_image_of_far_too_wide_pixels_is_refused(lens):
    with pytest.raises(DataError, check=has_code("unfit-observation")):
        fit_lens(observed(lens, scale=3.0), SEARCH)


@pytest.mark.thorough
def test_a_core_that_was_cut_off_is_said(lens):
    observation = observed(lens)
    limit = np.sort(observation.image, axis=None)[-9]
    np.minimum(observation.image, limit, out=observation.image)
    assert "saturated" in fit_lens(observation, SEARCH).flags


@pytest.mark.parametrize("damage", ["nan", "masked", "nan noise"])
def test_an_image_without_pixels_is_refused(lens, damage):
    image = np.full_like(lens, np.nan) if damage == "nan" else lens
    mask = np.zeros_like(lens) if damage == "masked" else None
    sigma = np.full_like(lens, np.nan if damage == "nan noise" else NOISE)
    with pytest.raises(DataError, check=has_code("unfit-observation")):
        Observation.of("test", image, sigma, PSF, SCALE, mask)


@pytest.mark.thorough
def test_some_pixels_without_a_number_do_not_matter(lens):
    observation = observed(lens)
    image = observation.image.copy()
    image[40:44, 10:14] = np.nan
    image[5] = np.inf
    damaged = Observation.of("test", image, observation.sigma, PSF, SCALE)
    model = fit_lens(damaged, SEARCH)
    assert model.numbers["theta_E"] == pytest.approx(1.1, rel=0.01)
    assert np.isfinite(model.pictures["residual"]).all()


@pytest.mark.thorough
def test_a_neighbour_does_not_pass_for_an_image(lens):
    """A lens of twice the radius would explain it, and one of the arcs."""
    image = lens + sersic(1.9, -1.7, 0.25, 1, 0.8, 0.7, 4)
    model = fit_lens(observed(image), SEARCH)
    assert model.numbers["theta_E"] == pytest.approx(1.1, rel=0.02)
    assert model.numbers["companions"] >= 1


@pytest.mark.thorough
@pytest.mark.parametrize("share", [0.0, 0.03])
def test_multipoles_of_the_mass_are_measured(share):
    """An isothermal sphere with a multipole of order 4, of a prior of 1 per cent."""
    planes = [torch.from_numpy(axis.reshape(1, -1)) for axis in (X, Y)]
    theta_E = torch.tensor([[1.1]], dtype=torch.float64)
    terms = torch.tensor([[0.0, 0.0, share, 0.0]], dtype=torch.float64)
    bent = multipole_slopes(*planes, theta_E, terms)[:2]
    distance = np.hypot(X, Y)
    beta = [
        axis * (1 - 1.1 / distance) - alpha.numpy().reshape(X.shape)
        for axis, alpha in zip((X, Y), bent, strict=True)
    ]
    source = 6 * np.exp(-np.hypot(beta[0] - 0.1, beta[1] - 0.05) / 0.1)
    search = replace(SEARCH, has_multipoles=True)
    numbers = fit_lens(observed(elliptical() + source), search).numbers
    width = numbers["a4_cos_sigma"]
    assert abs(numbers["a4_cos"] - share) < 3 * width
    assert 0.001 < width < 0.01
    assert abs(numbers["a3_sin"]) < 0.01
