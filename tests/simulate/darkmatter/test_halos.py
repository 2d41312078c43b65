"""Populations against the formulae they are drawn from."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

from lenssim.simulate.cosmology import Cosmology, critical_surface_density
from lenssim.simulate.darkmatter.wdm import thermal_mass
from lenssim.simulate.halos.concentration import concentration
from lenssim.simulate.halos.field import Field
from lenssim.simulate.halos.linear import linear_theory, transfer
from lenssim.simulate.halos.mass_function import (
    power_law_integral,
    power_law_mass,
    sheth_tormen,
    sheth_tormen_envelope,
    suppression,
)
from lenssim.simulate.halos.tides import (
    depth_in_host,
    infall_redshift,
    projected_radius,
    roche_radius,
    whole_radius,
)

PLANCK = Cosmology(H0=67.5, Om0=0.309, Ob0=0.049)


@pytest.mark.parametrize("slope", [-2.0, -1.9, -1.0, -0.5])
@pytest.mark.parametrize("moment", [0, 1])
def test_power_laws_integrate_to_their_formula(slope, moment):
    expected = quad(lambda u: np.exp(u * (slope + 1 + moment)), np.log(1e-2), np.log(1e2))[
        0
    ]
    assert power_law_integral(slope, 1e6, 1e10, moment) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("slope", [-2.0, -1.9, -1.0])
def test_masses_follow_their_power_law(slope):
    mass = power_law_mass(slope, 1e6, 1e10, np.random.default_rng(0).uniform(size=4000))
    cumulative = power_law_integral(slope, 1e6, 1e10)
    assert (
        kstest(mass, lambda m: power_law_integral(slope, 1e6, m) / cumulative).pvalue > 0.01
    )
    assert 1e6 <= mass.min() < mass.max() <= 1e10


def test_numbers_of_subhaloes_are_those_of_gilman_2020(perturb, plane_of):
    """Poisson with mean Sigma_sub F area int (m / m0)^slope dm / m0: means to 1e-3 of the formula, variance to 10 %."""
    plane = plane_of(2000)
    document = {
        "model": "cdm",
        "Sigma_sub": 0.03,
        "slope": -1.9,
        "mass": [1e8, 1e10],
        "radius": 3.0,
    }
    _, columns = perturb(plane, **document, host_mass=2e13)
    shape = quad(lambda u: np.exp(-0.9 * u), 0.0, np.log(100.0))[0]
    expected = (
        0.03 * 2**0.88 * 1.0**1.7 * np.pi * (3.0 * plane.kpc_per_arcsec[0]) ** 2 * shape
    )
    number = columns["n_subhaloes"]
    assert number.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / 2000))
    assert number.var() == pytest.approx(expected, rel=0.1)
    from lenssim.simulate.columns import Columns
    from lenssim.simulate.darkmatter.cdm import ColdDarkMatter

    model = ColdDarkMatter.model_validate({**document, "host_mass": 2e13})
    own = Columns(2000, np.random.default_rng(0), values=columns)
    np.testing.assert_allclose(model.mean_number(own, plane), expected, rtol=1e-3)
    share, surface = (
        columns["f_sub"],
        0.03 * 2**0.88 * 1e8 * quad(lambda u: np.exp(0.1 * u), 0, np.log(100.0))[0],
    )
    np.testing.assert_allclose(share, 2 * surface / plane.sigma_crit, rtol=1e-3)


def test_f_sub_and_Sigma_sub_are_two_names_of_one_amplitude(perturb, plane):
    one, columns = perturb(plane, model="cdm", Sigma_sub=0.02, mass=[1e8, 1e10])
    other, again = perturb(
        plane, model="cdm", f_sub=float(columns["f_sub"][0]), mass=[1e8, 1e10]
    )
    np.testing.assert_allclose(again["Sigma_sub"], 0.02, rtol=1e-12)
    np.testing.assert_allclose(
        one["tnfw"].columns["Rs"], other["tnfw"].columns["Rs"], rtol=1e-12
    )


def test_suppressions_are_the_published_ones():
    mass, scale = np.geomspace(1e6, 1e10, 9), 1e8
    np.testing.assert_allclose(
        suppression(mass, scale, 4.2**2.5, 2.5, -0.2),
        (1 + (4.2 * scale / mass) ** 2.5) ** -0.2,
        rtol=1e-3,
    )
    np.testing.assert_allclose(
        suppression(mass, scale, 2.3**0.8, 0.8, -1.0),
        1 / (1 + (2.3 * scale / mass) ** 0.8),
        rtol=1e-3,
    )
    assert suppression(np.array([1e8]), 0.0, 1.0, 1.1, -2.2) == 1.0
    assert thermal_mass(1e9, 0.25, 0.7) == pytest.approx(2.32)


def test_thinned_masses_follow_the_suppressed_function(perturb, plane_of):
    plane = plane_of(400)
    _, columns = perturb(
        plane,
        model="wdm",
        Sigma_sub=0.03,
        mass=[1e7, 1e9],
        log10_m_hm=8.0,
        concentration_scatter=0.0,
    )
    grid = np.geomspace(1e7, 1e9, 2001)
    density = grid**-1.9 * suppression(grid, 1e8, 4.2**2.5, 2.5, -0.2)
    share = np.trapezoid(density * grid, np.log(grid)) / np.trapezoid(
        grid**-0.9, np.log(grid)
    )
    full = (
        0.03
        * (10**0.3) ** 0.88
        * np.pi
        * (2.56 * np.sqrt(2) * plane.kpc_per_arcsec[0]) ** 2
    )
    full *= power_law_integral(-1.9, 1e7, 1e9)
    number = columns["n_subhaloes"]
    assert number.mean() == pytest.approx(full * share, abs=4 * np.sqrt(full * share / 400))
    mean = np.trapezoid(density * grid**2, np.log(grid)) / np.trapezoid(
        density * grid, np.log(grid)
    )
    assert columns["substructure_mass"].sum() / number.sum() == pytest.approx(
        mean, rel=0.02
    )


def test_sheth_tormen_is_the_formula_of_its_paper():
    """Against sigma(M) integrated directly, to 1e-3, for haloes of dwarfs to clusters."""
    theory = linear_theory(PLANCK)
    h = 0.675

    def variance(radius: float, k: np.ndarray) -> float:
        x = k * radius
        window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
        power = k**0.965 * transfer(k, h, 0.309, 0.049) ** 2
        return np.trapezoid(window**2 * power * k**3, np.log(k))

    k = np.geomspace(1e-4, 3e4, 200_001)[10:]
    norm = 0.81**2 / variance(8.0, k)
    for mass, z in ((1e8, 0.0), (1e9, 0.5), (1e11, 1.0), (1e13, 0.2)):
        radius = np.cbrt(3 * mass * h / (4 * np.pi * 2.77536627e11 * 0.309))
        here, less, more = (
            np.sqrt(norm * variance(radius * f, k)) for f in (1.0, 0.99, 1.01)
        )
        slope = (np.log(more) - np.log(less)) / (np.log(1.01) - np.log(0.99)) / 3
        omega = 0.309 * (1 + z) ** 3 / (0.309 * (1 + z) ** 3 + 0.691)
        y = 0.707 * (1.68647 * omega**0.0055 / (here * theory.growth(z))) ** 2
        f = 0.3222 * np.sqrt(2 * y / np.pi) * (1 + y**-0.3) * np.exp(-y / 2)
        expected = f * 2.77536627e11 * 0.309 * h**2 / mass**2 * abs(slope)
        assert sheth_tormen(mass, z, PLANCK) == pytest.approx(expected, rel=1e-3)


def test_growth_is_the_matter_dominated_one_where_matter_rules():
    theory = linear_theory(Cosmology(H0=70, Om0=1.0, Ob0=0.05))
    z = np.array([0.0, 1.0, 5.0])
    np.testing.assert_allclose(theory.growth(z), 1 / (1 + z), rtol=1e-4)
    np.testing.assert_allclose(theory.growth_rate(z), 1.0, rtol=1e-4)


@pytest.mark.parametrize(("low", "high"), [(1e6, 1e10), (1e7, 1e12)])
def test_the_envelope_lies_above_sheth_tormen(low, high):
    z, mass = np.linspace(0.01, 4, 37), np.geomspace(low, high, 50)
    slope, height = sheth_tormen_envelope(z, low, high, PLANCK)
    envelope = np.exp(height[:, None] + slope[:, None] * np.log(mass / 1e8))
    exact = sheth_tormen(mass, z[:, None], PLANCK)
    assert (envelope >= exact).all()
    assert (exact / envelope).min() > 0.3


def test_field_haloes_are_as_many_as_sheth_tormen_says(plane_of):
    """Numbers and masses of the field against integrals over the double cone, and quadrature against draws."""
    plane = plane_of(300)
    options = {
        "mass": (1e8, 1e10),
        "radius": 3.0,
        "amount": np.ones(300),
        "host_mass": np.full(300, 2e13),
    }
    field = Field(plane, **options, two_halo=False)
    drawn = field.draw(np.random.default_rng(0))
    z, mass = np.linspace(0.01, 1.998, 800), np.geomspace(1e8, 1e10, 200)
    number = np.trapezoid(
        sheth_tormen(mass, z[:, None], PLANCK) * mass, np.log(mass), axis=1
    )
    chi, lens, source = (PLANCK.comoving_distance(v) for v in (z, 0.5, 2.0))
    scale = np.where(
        z > 0.5, 1 - 0.95 * (chi - lens) * source / (chi * (source - lens)), 1.0
    )
    expected = np.trapezoid(number * np.pi * (3.0 / 206264.806 * scale * chi) ** 2, chi)
    count = len(drawn.owner) / 300
    assert count == pytest.approx(expected, abs=4 * np.sqrt(expected / 300))
    along, heavy = np.random.default_rng(1).uniform(size=(2, 4000))
    nodes, weight = field.quadrature(along, heavy)
    assert (weight * nodes.mass).sum() == pytest.approx(drawn.mass.sum(), rel=0.05)
    assert (weight * nodes.mass / nodes.sigma_crit).sum() == pytest.approx(
        (drawn.mass / drawn.sigma_crit).sum(), rel=0.05
    )
    more = Field(plane, **options, two_halo=True).draw(np.random.default_rng(0))
    assert 0 < (more.z == 0.5).sum() < 0.2 * len(drawn.owner)


def test_haloes_at_the_lens_act_as_they_are_and_others_less(plane_of):
    """Effective scales are continuous at the lens; a foreground halo deflects less, a background one looks larger."""
    plane = plane_of(1)
    field = Field(
        plane,
        mass=(1e8, 1e10),
        radius=3.0,
        amount=np.ones(1),
        host_mass=np.full(1, 2e13),
        two_halo=False,
    )
    z = np.array([0.5 - 1e-6, 0.5 + 1e-6, 0.3, 1.2])
    own = field._effective(np.zeros(4, np.int64), np.full(4, 1e9), z)
    np.testing.assert_allclose(own.sigma_crit[:2], plane.sigma_crit_arcsec[0], rtol=1e-4)
    np.testing.assert_allclose(own.kpc_per_arcsec[:2], plane.kpc_per_arcsec[0], rtol=1e-4)
    at_z = (
        critical_surface_density(PLANCK, z, np.full(4, 2.0)) * PLANCK.kpc_per_arcsec(z) ** 2
    )
    assert own.sigma_crit[2] > at_z[2]
    assert own.kpc_per_arcsec[3] < PLANCK.kpc_per_arcsec(z[3:])


def test_concentrations_fall_with_mass_and_redshift():
    mass = np.geomspace(1e6, 1e14, 9)
    today, early = (concentration(mass, np.full(9, z), PLANCK) for z in (0.0, 3.0))
    assert (np.diff(today) < 0).all()
    assert (early < today).all()
    assert (
        8 < concentration(np.array([1e12]), np.zeros(1), PLANCK)[0] < 10
    )  # Diemer & Joyce 2019, figure 6
    assert (concentration(np.array([1e15]), np.array([20.0]), PLANCK) >= 1.2).all()


def test_places_of_subhaloes_in_their_host():
    u, v = np.random.default_rng(2).uniform(size=(2, 20000))

    def density(x):
        return 1 / ((0.25 + x) * (1 + x) ** 2)

    def surface(x):
        return quad(lambda along: density(np.hypot(x, along)), 0, 200, limit=200)[0]

    x_max = 0.5
    grid = np.linspace(1e-3, x_max, 200)
    mass = np.cumsum([surface(x) * x for x in grid])
    drawn = projected_radius(np.full(len(u), x_max), u)
    assert kstest(drawn[:4000], lambda x: np.interp(x, grid, mass / mass[-1])).pvalue > 0.01
    depth = depth_in_host(np.full(len(u), 0.2), 6.0, v)
    assert depth.min() >= 0.2
    along = np.linspace(0, np.sqrt(36 - 0.04), 20001)
    cumulative = np.cumsum(density(np.hypot(0.2, along)))
    lengths = np.sqrt(depth**2 - 0.04)
    assert (
        kstest(
            lengths[:4000], lambda x: np.interp(x, along, cumulative / cumulative[-1])
        ).pvalue
        > 0.01
    )
    x = np.linspace(1e-4, 6.0, 20001)
    cumulative = np.cumsum(x**2 * density(x))
    assert (
        kstest(
            whole_radius(6.0, u[:4000]),
            lambda r: np.interp(r, x, cumulative / cumulative[-1]),
        ).pvalue
        > 0.01
    )


def test_tides_and_infall():
    assert roche_radius(np.array([1e7]), np.array([50.0])) == pytest.approx(1.4)
    assert roche_radius(np.array([8e7]), np.array([50.0])) == pytest.approx(2.8)
    z = infall_redshift(np.full(5001, 1e8), 2e13, 0.5, np.linspace(0, 1, 5001))
    assert z.min() >= 0.5
    assert z.max() <= 15.5
    assert (np.diff(z) >= 0).all()
    assert 2.5 < np.median(z) < 4.5
