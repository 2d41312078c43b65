"""The populations of a survey: numbers against their integrals, draws against their laws."""

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.stats import kstest, rayleigh

from lenssim.simulate.cosmology import ARCSEC_PER_RADIAN, C, Cosmology
from lenssim.simulate.survey.counts import Counts
from lenssim.simulate.survey.deflectors import SQUARE_DEGREE, Deflectors
from lenssim.simulate.survey.dispersions import DISPERSION_FUNCTIONS
from lenssim.simulate.survey.luminosity import LuminosityFunction
from lenssim.simulate.survey.shapes import axis_ratios
from lenssim.simulate.survey.survey import load_survey, surveys

COSMOLOGY = Cosmology(H0=70, Om0=0.3, Ob0=0.05)


def volume(z: float) -> float:
    """Comoving volume of a steradian for each unit of redshift [Mpc^3], by astropy."""
    return float(COSMOLOGY.astropy().differential_comoving_volume(z).value)


@pytest.mark.parametrize("name", DISPERSION_FUNCTIONS)
def test_deflectors_are_as_many_as_the_integral_says(name):
    function = DISPERSION_FUNCTIONS[name]

    def integrand(sigma_v: float, z: float) -> float:
        return float(function.density_at(np.array(sigma_v), np.array(z))) * volume(z)

    expected = dblquad(integrand, 1e-6, 2.0, 100.0, 400.0, epsrel=1e-4)[0] * SQUARE_DEGREE
    total = Deflectors(dispersion_function=name).counts(COSMOLOGY).total
    assert total == pytest.approx(expected, rel=1e-3)


def test_choi_has_the_deflectors_of_the_forecast():
    """26,850 a square degree, Collett 2015."""
    assert Deflectors().counts(COSMOLOGY).total == pytest.approx(26_850, rel=2e-3)


def test_luminosity_functions_are_schechters():
    function = LuminosityFunction(density=0.01, magnitude=-20.5, slope=-1.2)

    def schechter(magnitude: float) -> float:
        luminosity = 10 ** (-0.4 * (magnitude + 20.5))
        return 0.4 * np.log(10) * 0.01 * luminosity**-0.2 * np.exp(-luminosity)

    grid = np.linspace(-25, -15, 4001)
    total = np.trapezoid(function.density_at(grid, np.zeros(1)), grid)
    assert total == pytest.approx(quad(schechter, -25, -15)[0], rel=1e-5)


def test_draws_follow_their_counts():
    numbers = np.array([[4.0, 1.0], [0.0, 3.0]])
    counts = Counts(np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0]), numbers)
    x, y = counts.draw(np.random.default_rng(1), 40_000)
    histogram, *_ = np.histogram2d(x, y, (counts.x, counts.y))
    assert histogram[1, 0] == 0
    expected = numbers / numbers.sum() * 40_000
    assert (np.abs(histogram - expected) < 5 * np.sqrt(expected) + 1e-9).all()


def test_axis_ratios_follow_a_truncated_rayleigh_distribution():
    q = axis_ratios(np.random.default_rng(2), np.full(20_000, 0.3))
    law = rayleigh(scale=0.3)
    assert q.min() >= 0.2
    assert kstest(1 - q, lambda x: law.cdf(x) / law.cdf(0.8)).pvalue > 0.01


def test_ideal_lenses_are_as_many_as_the_integral_says():
    survey = load_survey("euclid")
    deflectors = survey.deflectors.counts(COSMOLOGY)
    z_lens = 0.5 * (deflectors.x[1:] + deflectors.x[:-1])
    sigma_v = 0.5 * (deflectors.y[1:] + deflectors.y[:-1])
    expected = 0.0
    lens_distance = COSMOLOGY.comoving_distance(z_lens)
    radius2 = (4 * np.pi * (sigma_v / C) ** 2 * ARCSEC_PER_RADIAN) ** 2
    for _, sources in survey.sources.counts(COSMOLOGY):
        z = 0.5 * (sources.x[1:] + sources.x[:-1])
        ratio = 1 - lens_distance[:, None] / COSMOLOGY.comoving_distance(z)[None, :]
        behind = np.pi * np.maximum(ratio, 0) ** 2 @ sources.numbers.sum(axis=1)
        expected += float(behind @ (deflectors.numbers @ radius2))
    drawn = len(survey.draw_ideal(12, seed=3)["theta_E"]) / 12
    assert abs(drawn - expected) < 4 * np.sqrt(expected / 12)
    assert expected == pytest.approx(325, rel=0.05)  # the forecast's


def test_einstein_radii_are_those_of_an_isothermal_sphere():
    survey = load_survey("euclid")
    lenses = survey.draw_ideal(1, seed=4)
    flat = COSMOLOGY.astropy()
    rows = np.arange(200)
    z_lens, z_source = lenses["z_lens"][rows], lenses["z_source"][rows]
    behind, lens = (flat.comoving_distance(z).value for z in (z_source, z_lens))
    ratio = 1 - lens / behind
    expected = 4 * np.pi * (lenses["sigma_v"][rows] / C) ** 2 * ratio * ARCSEC_PER_RADIAN
    assert lenses["theta_E"][rows] == pytest.approx(expected, rel=1e-4)
    distance = np.hypot(lenses["source_center_x"], lenses["source_center_y"])
    assert (distance < lenses["theta_E"]).all()
    assert (lenses["z_source"] > lenses["z_lens"]).all()


@pytest.mark.parametrize("name", surveys())
def test_a_survey_has_lenses(name):
    survey = load_survey(name)
    assert survey.detection_camera.instruments
    lenses = survey.draw_ideal(0.2, seed=5)
    assert all(np.isfinite(column).all() for column in lenses.values())
    again = survey.draw_ideal(0.2, seed=5)
    assert all((again[key] == column).all() for key, column in lenses.items())


def test_a_larger_area_begins_with_the_smaller_one():
    survey = load_survey("euclid")
    small = survey.draw_ideal(0.7, seed=6)
    large = survey.draw_ideal(1.4, seed=6)
    count = len(small["theta_E"])
    assert count < len(large["theta_E"])
    for name, column in small.items():
        assert (large[name][:count] == column).all(), name
    assert large["drawn_area"].max() < 1.4
    assert (np.diff(large["drawn_area"]) >= 0).all()


def test_seeds_and_splits_are_other_skies():
    survey = load_survey("euclid")
    skies = [
        survey.draw_ideal(0.1, seed=seed, split=split)["theta_E"]
        for seed, split in ((1, "train"), (2, "train"), (1, "test"))
    ]
    assert len({sky[:5].tobytes() for sky in skies}) == 3
