"""Laws of the modelling wing: derivatives, amplitudes, and results that depend on one lens alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from error_codes import has_code
from scipy.optimize import nnls
from scipy.stats import multivariate_normal

from lenssim.errors import DataError
from lenssim.simulate.fit.amplitudes import RIDGE, amplitudes
from lenssim.simulate.fit.critical_curve import effective_radius, image_count
from lenssim.simulate.fit.evidence import curvature, invert
from lenssim.simulate.fit.gaussians import radius_squared_slopes
from lenssim.simulate.fit.lens_model import fit_lens
from lenssim.simulate.fit.marquardt import minimise
from lenssim.simulate.fit.minima import FINE_SOURCE
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.preparation import Noise, corner_noise, prepare, stamps_of
from lenssim.simulate.fit.projection import PARAMETERS, GaussianModel, Prior
from lenssim.simulate.fit.scan import ScanGrid
from lenssim.simulate.fit.search import search
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.fit.tracing import MASS, SLOPE, trace, trace_slopes
from lenssim.simulate.fit.uncertainty import formal_covariance, sandwich_covariance

PIXEL = 0.08
SIGMA = 0.02
SMALL = Search(
    has_light=False,
    grid=ScanGrid((0.8, 1.0, 1.25), 3),
    starts=3,
    escalates=False,
)
TRUTH = (1.1, 0.12, -0.08, 0.0, 0.0, 0.03, -0.02, 0.12, -0.07, 0.1, 0.05)


def kernel(side=7, sigma=1.1):
    axis = np.arange(side) - side // 2
    plane = np.exp(-(axis**2 + axis[:, None] ** 2) / (2 * sigma**2))
    return plane / plane.sum()


def mock(seed=0, truth=TRUTH, side=48, light=False, name="mock", slope=None):
    """A lens of this wing's own family, with noise."""
    blank = Observation.of(
        name, np.zeros((side, side)), np.full((side, side), SIGMA), kernel(), PIXEL
    )
    stamps = stamps_of([prepare(blank, has_light=False)])
    values = torch.zeros(1, len(PARAMETERS), dtype=torch.float64)
    values[0, : len(truth)] = torch.tensor(truth, dtype=torch.float64)
    values[0, SLOPE] = slope or 0.0
    prior = Prior(torch.zeros_like(values), torch.full_like(values, float("inf")))
    sigmas = (0.4,) if light else ()
    # the slope is degenerate with the size of a source, so this one has the sizes of the fit
    sizes = (0.12,) if slope is None else FINE_SOURCE[2:5]
    model = GaussianModel(stamps, prior, sigmas, (), sizes, 2, has_slope=slope is not None)
    solved = [0.4] * light + [0.0] + [0.014 / len(sizes)] * len(sizes)
    lens_light, arcs = model.images(values, torch.tensor([solved], dtype=torch.float64))
    image = (lens_light + arcs)[0].reshape(side, side).numpy()
    noise = np.random.default_rng(seed).normal(0, SIGMA, image.shape)
    return replace(blank, image=image + noise)


@pytest.mark.parametrize("number", range(len(MASS)), ids=MASS)
@pytest.mark.parametrize(
    "mass",
    [(1.2, 0.1, -0.2, 0.03, 0.02, 0.04, -0.03), (0.8, -0.3, 0.05, 0.0, 0.1, 0.1, 0.0)],
)
def test_derivatives_of_rays_are_those_of_finite_differences(mass, number):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 40, dtype=torch.float64, generator=generator)
    mass = torch.tensor([mass], dtype=torch.float64)
    beta_x, beta_y, *slopes = trace_slopes(x, y, mass)
    step = torch.zeros_like(mass)
    step[0, number] = 1e-6
    ahead = trace(x, y, mass + step)
    behind = trace(x, y, mass - step)
    torch.testing.assert_close((beta_x, beta_y), trace(x, y, mass))
    for after, before, slope in zip(ahead, behind, slopes, strict=True):
        expected = (after - before) / 2e-6
        torch.testing.assert_close(slope[:, number], expected, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("number", range(4), ids=["dx", "dy", "e1", "e2"])
def test_derivatives_of_radii_are_those_of_finite_differences(number):
    generator = torch.Generator().manual_seed(1)
    place = torch.randn(2, 1, 30, dtype=torch.float64, generator=generator)
    arguments = [place[0], place[1], *torch.tensor([[[0.2]], [[-0.1]]]).double()]
    _, *slopes = radius_squared_slopes(*arguments)
    sides = []
    for sign in (1, -1):
        moved = list(arguments)
        moved[number] = moved[number] + sign * 1e-6
        sides.append(radius_squared_slopes(*moved)[0])
    expected = (sides[0] - sides[1]) / 2e-6
    torch.testing.assert_close(slopes[number], expected, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("number", range(len(PARAMETERS)), ids=PARAMETERS)
def test_slopes_of_the_model_are_those_of_its_projected_image(number):
    """Kaufman's slope is the change at fixed amplitudes, without what amplitudes can follow."""
    lens = prepare(mock(light=True), has_light=False)
    stamps = stamps_of([lens])
    values = torch.zeros(1, len(PARAMETERS), dtype=torch.float64)
    values[0, :11] = torch.tensor(TRUTH, dtype=torch.float64)
    values[0, 11:17] = torch.tensor([0.01, -0.02, 0.1, 0.05, -0.1, 0.02])
    values[0, 17:] = torch.tensor([0.02, -0.01, 0.015, 0.01, -0.1])
    prior = Prior(torch.zeros_like(values), torch.full_like(values, float("inf")))
    model = GaussianModel(stamps, prior, (0.4,), (0.2,), (0.12, 0.3))
    model = replace(model, has_multipoles=True, has_slope=True)
    state = model.evaluate(values, [number])
    images = []
    for sign in (1, -1):
        moved = values.clone()
        moved[0, number] += sign * 1e-6
        images.append(sum(model.images(moved, state.amplitudes)))
    slope = (images[0] - images[1])[0] / 2e-6 * stamps.weights[0]
    columns = torch.cat([model.light_columns(values)[0], model._source(values)[0][0]])[
        state.active[0]
    ]
    basis, _ = torch.linalg.qr(columns.T)
    expected = slope - basis @ (basis.T @ slope)
    difference = (state.slopes[0, 0] - expected).norm() / slope.norm()
    assert difference < 1e-3, "the ridge of the projection leaves a little"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["random", "gaussians"])
def test_amplitudes_are_those_of_scipy(seed, kind):
    generator = np.random.default_rng(seed)
    count = int(generator.integers(3, 30))
    columns = generator.normal(size=(count, 150))
    if kind == "gaussians":
        radius = np.linspace(0, 3, 150)
        sigmas = np.geomspace(0.05, 2, count)
        columns = np.exp(-(radius**2) / 2 / sigmas[:, None] ** 2)
    data = generator.normal(size=150) + columns.T @ generator.normal(size=count)
    is_free = torch.zeros(count, dtype=torch.bool)
    solved, active = amplitudes(
        torch.tensor(columns)[None], torch.tensor(data)[None], is_free
    )
    lengths = np.linalg.norm(columns, axis=1)
    matrix = np.vstack([(columns / lengths[:, None]).T, np.sqrt(RIDGE) * np.eye(count)])
    target = np.concatenate([data, np.zeros(count)])
    expected, norm = nnls(matrix, target, maxiter=10_000)
    mine = np.linalg.norm(matrix @ (solved[0].numpy() * lengths) - target)
    assert (solved >= 0).all()
    assert mine <= norm * (1 + 1e-9)
    assert (active[0].numpy() >= (expected > 1e-9 * expected.max())).all() or mine <= norm


def test_a_free_amplitude_may_be_negative():
    columns = torch.eye(2, dtype=torch.float64)[None]
    data = torch.tensor([[-1.0, -1.0]], dtype=torch.float64)
    solved, active = amplitudes(columns, data, torch.tensor([True, False]))
    torch.testing.assert_close(
        solved, torch.tensor([[-1.0, 0.0]]).double(), atol=1e-5, rtol=0
    )
    assert active.tolist() == [[True, False]]


def result_bits(result):
    return [
        (minimum.values.numpy().tobytes(), minimum.amplitudes.numpy().tobytes())
        for minimum in result.minima
    ]


def test_a_lens_has_the_same_bits_alone_and_after_others():
    """The bank of templates and everything else that stays in memory changes nothing."""
    lenses = [
        prepare(mock(seed, (0.9 + 0.1 * seed, *TRUTH[1:])), has_light=False)
        for seed in range(3)
    ]
    forward = [result_bits(search([lens], SMALL)[0]) for lens in lenses]
    backward = [result_bits(search([lens], SMALL)[0]) for lens in reversed(lenses)]
    assert forward == backward[::-1]


def test_a_batch_finds_what_each_lens_finds_alone():
    """A batch may sum in another order, as on a GPU; the minima are the same."""
    lenses = [
        prepare(mock(seed, (0.9 + 0.1 * seed, *TRUTH[1:])), has_light=False)
        for seed in range(2)
    ]
    alone = [search([lens], SMALL)[0].best for lens in lenses]
    together = [result.best for result in search(lenses, SMALL)]
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.values, other.values, atol=1e-6, rtol=1e-5)


def test_rows_of_a_minimisation_do_not_depend_on_each_other():
    stamps = stamps_of([prepare(mock(), has_light=False)])
    start = torch.zeros(2, len(PARAMETERS), dtype=torch.float64)
    start[:, :11] = torch.tensor(TRUTH, dtype=torch.float64)
    start[0, 0] = 1.2
    start[1, 0] = 1.0
    rows = torch.zeros(2, dtype=torch.long)
    prior = Prior(torch.zeros_like(start), torch.full_like(start, 0.3))
    model = GaussianModel(stamps.take(rows), prior, source=(0.12, 0.3))
    free = list(range(11))
    both, _ = minimise(model, start, free, steps=8)
    for row in range(2):
        chosen = torch.tensor([row])
        single, _ = minimise(model.take(chosen), start[chosen], free, steps=8)
        torch.testing.assert_close(single[0], both[row], atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("light", [False, True])
def test_the_search_finds_the_lens(light):
    observation = mock(light=light)
    settings = replace(SMALL, has_light=light, grid=ScanGrid((0.8, 1.0, 1.25), 3))
    model = fit_lens(observation, settings)
    assert model.numbers["theta_E"] == pytest.approx(TRUTH[0], rel=0.01)
    assert model.numbers["theta_E_effective"] == pytest.approx(TRUTH[0], rel=0.02)
    assert model.flags == ()
    residual = (observation.image - model.pictures["model"]) / SIGMA
    inside = model.pictures["residual"] != 0
    np.testing.assert_allclose(
        residual[inside], model.pictures["residual"][inside], atol=1e-9
    )


@pytest.mark.thorough
@pytest.mark.parametrize(("slope", "has_evidence"), [(-0.1, False), (0.15, True)])
def test_the_slope_of_a_power_law_is_measured(slope, has_evidence):
    observation = mock(slope=slope)
    settings = replace(SMALL, has_slope=True)
    model = fit_lens(observation, settings, has_evidence=has_evidence)
    numbers = model.numbers
    assert abs(numbers["gamma"] - 2 - slope) < 4 * numbers["gamma_sigma"]
    assert 0.003 < numbers["gamma_sigma"] < 0.1
    assert "gamma" in model.names
    if has_evidence:
        assert numbers["gamma_systematic"] < 0.1


def test_pulls_of_the_errors_are_normal():
    pulls = []
    for seed in range(12):
        model = fit_lens(mock(seed), replace(SMALL, priors=None))
        numbers = model.numbers
        pulls.append((numbers["theta_E"] - TRUTH[0]) / numbers["theta_E_sigma"])
    assert 0.4 < np.std(pulls) < 1.8
    assert abs(np.mean(pulls)) < 1.2


def test_white_noise_gives_both_covariances_alike():
    slopes = np.random.default_rng(0).normal(size=(3, 100))
    formal = formal_covariance(slopes)
    np.testing.assert_allclose(sandwich_covariance(slopes, 10, Noise(1, 0, 0)), formal)
    np.testing.assert_allclose(
        sandwich_covariance(slopes, 10, Noise(0.25, 0, 0)), 0.25 * formal
    )


def test_a_sandwich_is_the_scatter_under_correlated_noise():
    generator = np.random.default_rng(0)
    size = 24
    y, x = np.mgrid[:size, :size] / size
    slopes = np.stack([np.sin(3 * x) * y, np.cos(2 * y)]).reshape(2, -1)
    estimates = []
    for _ in range(3000):
        white = generator.normal(size=(size + 1, size + 1))
        noise = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 2
        estimates.append(np.linalg.lstsq(slopes.T, noise.ravel(), rcond=None)[0])
    predicted = sandwich_covariance(slopes, size, Noise(1.0, 0.5, 0.25))
    np.testing.assert_allclose(np.cov(np.transpose(estimates)), predicted, rtol=0.15)


def test_the_noise_of_the_corners_is_measured():
    generator = np.random.default_rng(0)
    white = generator.normal(size=(129, 129))
    noise = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 2
    observation = Observation.of("n", 3 * noise, np.full((128, 128), 6.0), kernel(), 0.05)
    measured = corner_noise(observation)
    assert measured.variance == pytest.approx(0.25, rel=0.1)
    assert measured.neighbours == pytest.approx(0.5, abs=0.08)
    assert measured.diagonals == pytest.approx(0.25, abs=0.08)


@pytest.mark.parametrize("q", [1.0, 0.7])
def test_the_critical_curve_of_an_ellipsoid_has_the_area_of_theta_e(q):
    e = (1 - q) / (1 + q)
    mass = torch.tensor([1.3, e, 0.0, 0.1, 0.0, 0.0, 0.0], dtype=torch.float64)
    assert effective_radius(mass) == pytest.approx(1.3, rel=0.01)


def test_a_source_inside_the_caustic_has_four_images():
    mass = torch.tensor([1.2, 0.15, 0.0, 0.0, 0.0, 0.05, 0.0], dtype=torch.float64)
    assert image_count(mass, 0.01, 0.01) == 4
    assert image_count(mass, 0.5, 0.1) == 2
    assert image_count(mass, 2.0, 0.0) == 1


REFUSED = {
    "all-masked": {"mask": np.zeros((32, 32))},
    "noise-shape": {"sigma": np.ones((16, 16))},
    "even-psf": {"psf": np.ones((4, 4))},
    "nan-psf": {"psf": np.full((3, 3), np.nan)},
    "pixel-scale": {"pixel_scale": 0.0},
    "bands": {"image": np.ones((2, 32, 32))},
    "small": {"image": np.ones((8, 8)), "sigma": None},
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_fitted_is_refused_with_its_name(change):
    arguments = {
        "image": np.ones((32, 32)),
        "sigma": np.ones((32, 32)),
        "psf": np.ones((3, 3)),
        "pixel_scale": 0.1,
    }
    check = has_code("unfit-observation", name="J0000")
    with pytest.raises(DataError, check=check):
        Observation.of("J0000", **arguments | change)


def elliptical(side=64, flux=2.0):
    axis = (np.arange(side) - (side - 1) / 2) * PIXEL
    radius = np.hypot(axis[None], 1.3 * axis[:, None])
    return flux * np.exp(-7.67 * ((radius / 0.8) ** 0.25 - 1)) / 30


NO_LENS = {
    "blank": (np.zeros((64, 64)), True),
    "blank-without-light": (np.zeros((64, 64)), False),
    "elliptical": (elliptical(), True),
    "star": (np.pad(100 * kernel(), (28, 29)), True),
}


@pytest.mark.parametrize(("image", "light"), NO_LENS.values(), ids=NO_LENS)
def test_an_image_without_a_lens_is_flagged(image, light):
    side = len(image)
    noise = np.random.default_rng(3).normal(0, SIGMA, image.shape)
    observation = Observation.of(
        "none", image + noise, np.full((side, side), SIGMA), kernel(), PIXEL
    )
    model = fit_lens(observation, replace(SMALL, has_light=light))
    assert {"no-arcs", "no-lens", "one-image"} & set(model.flags)


def test_what_was_assumed_is_flagged():
    plain = mock()
    observation = Observation.of("m", plain.image, None, None, PIXEL)
    assert observation.remarks == ("no-noise-map", "no-psf")
    assert observation.sigma[0, 0] == pytest.approx(SIGMA, rel=0.2)
    flags = fit_lens(observation, SMALL).flags
    assert {"no-noise-map", "no-psf"} <= set(flags)


def test_a_masked_core_is_flagged():
    plain = mock(light=True)
    mask = plain.mask.copy()
    mask[22:26, 22:26] = False
    observation = Observation.of("m", plain.image, plain.sigma, plain.psf, PIXEL, mask)
    assert "saturated" in fit_lens(observation, replace(SMALL, has_light=True)).flags


@pytest.mark.parametrize("strength", [0.01, 1.0, 30.0])
def test_the_evidence_is_the_likelihood_of_the_data(strength):
    """ln N(d; 0, 1 + A (lambda R)^-1 A^T), whatever the strength of the prior."""
    generator = np.random.default_rng(2)
    side = 3
    columns = generator.normal(size=(side * side, 20))
    data = generator.normal(size=20)
    prior = curvature(side)
    inversion = invert(
        columns @ columns.T,
        columns @ data,
        float(data @ data),
        prior,
        float(np.linalg.slogdet(prior)[1]),
        strength,
    )
    covariance = np.eye(20) + columns.T @ np.linalg.inv(strength * prior) @ columns
    expected = multivariate_normal(np.zeros(20), covariance).logpdf(data)
    constant = -10 * np.log(2 * np.pi)
    assert inversion.log_evidence + constant == pytest.approx(expected, rel=1e-6)


def test_a_source_on_pixels_keeps_the_lens_and_fits_the_noise():
    observation = mock()
    model = fit_lens(observation, SMALL, has_evidence=True)
    numbers = model.numbers
    assert numbers["theta_E"] == pytest.approx(TRUTH[0], rel=0.01)
    assert numbers["theta_E_systematic"] < 0.03
    assert 0.8 < numbers["chi2_per_pixel_source"] < 1.2
    assert np.isfinite(numbers["log_evidence"])
