"""Limits that each dark matter must have, and laws of what is in its haloes."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import j0

from lenssim.simulate.engines.batched.profiles import tnfw, uldm
from lenssim.simulate.halos.halos import tnfw_mass, tnfw_projected_mass
from lenssim.simulate.halos.linear import linear_theory
from lenssim.simulate.halos.soliton import (
    SLOPE,
    Granules,
    coherence_length,
    core_density,
    core_radius,
    granule_rms,
    soliton_mass,
)
from lenssim.simulate.scenes import Component, Perturbers, Scenes

HALOES = {"Sigma_sub": 0.02, "mass": [1e7, 1e10], "line_of_sight": 0.3}


@pytest.mark.parametrize(
    ("name", "document", "limit", "rtol"),
    [
        ("wdm", {"log10_m_hm": 8.0}, {"log10_m_hm": -9.0}, 1e-12),
        ("axion", {"log10_m_axion": -21.5}, {"log10_m_axion": -3.0}, 1e-12),
        ("sidm", {"cross_section": 50.0}, {"cross_section": 0.0}, 1e-15),
    ],
)
def test_the_limit_is_cold_dark_matter_halo_by_halo(
    perturb, plane, name, document, limit, rtol
):
    """With the same random numbers the haloes of the limit are those of CDM, to rounding."""
    cold, _ = perturb(plane, model="cdm", **HALOES)
    other, columns = perturb(plane, model=name, **HALOES, **limit)
    np.testing.assert_array_equal(other["tnfw"].counts, cold["tnfw"].counts)
    for column, values in cold["tnfw"].columns.items():
        np.testing.assert_allclose(
            other["tnfw"].columns[column], values, rtol=rtol, err_msg=column
        )
    np.testing.assert_allclose(
        other["sheet"].columns["kappa"], cold["sheet"].columns["kappa"], rtol=1e-9
    )
    if name == "axion":  # what is left of solitons and granules deflects by nothing
        weight = other["uldm"].columns["kappa_0"] * other["uldm"].columns["theta_c"] ** 2
        assert np.abs(weight).max() < 1e-12
        assert columns["granule_rms"].max() < 1e-9
    if name == "sidm":
        assert other["uldm"].counts.sum() == 0
    far, _ = perturb(plane, model=name, **HALOES, **document)
    assert len(far["tnfw"].columns["Rs"]) != len(cold["tnfw"].columns["Rs"])


def test_the_line_is_what_beads_tend_to(perturb, plane):
    """Differences fall with the number of beads; drawn lines keep mass and length of the published ones."""
    from lenssim.simulate.engines.lenstronomy import Lenstronomy
    from lenssim.simulate.instruments import instrument

    line, columns = perturb(plane, model="vortex", mass=3e9, log10_m_axion=-23.0)
    own = {name: column[:1] for name, column in line["line_mass"].columns.items()}
    assert columns["vortex_half_length"] == pytest.approx(0.3)
    assert own["theta_E"][0] == pytest.approx(
        np.sqrt(3e9 / (np.pi * plane.sigma_crit_arcsec[0]))
    )
    components = (Component("lens", "sie"), Component("source", "sersic", "source_"))
    params = {
        "z_lens": 0.5, "z_source": 2.0, "theta_E": 1.2, "e1": 0.1, "e2": 0.0, "center_x": 0.0, "center_y": 0.0,
        "source_amp": 10.0, "source_R_sersic": 0.2, "source_n_sersic": 1.0, "source_e1": 0.0, "source_e2": 0.1,
        "source_center_x": 0.1, "source_center_y": 0.05,
    }  # fmt: skip
    params = {name: np.array([value]) for name, value in params.items()}

    def image(**perturbers):
        scenes = Scenes(components, params, perturbers)
        return Lenstronomy().render(scenes, instrument("hst_wfc3_f160w"))[0, 0]

    expected = image(line_mass=Perturbers.from_counts(np.array([1]), **own))
    errors = []
    for beads in (30, 300):
        along = (np.arange(beads) + 0.5) / beads * 2 - 1
        x, y = (
            own[f"center_{axis}"] + along * own["half_length"] * part(own["angle"])
            for axis, part in (("x", np.cos), ("y", np.sin))
        )
        chain = Perturbers.from_counts(
            np.array([beads]),
            theta_E=np.full(beads, own["theta_E"] / np.sqrt(beads)),
            center_x=x,
            center_y=y,
        )
        errors.append(np.abs(image(point_mass=chain) - expected).mean() / expected.mean())
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] < 1e-3


def test_solitons_obey_their_relations(perturb, plane):
    """r_c ~ m^-1 M^(-1/3), rho_c ~ m^-2 r_c^-4, and the profile drawn has that core and that central density."""
    theory = linear_theory(plane.cosmology)
    today = core_radius(np.array([1e-22, 2e-22]), 1e9, 0.0, theory)
    np.testing.assert_allclose(
        today, [1.6, 0.8], rtol=1e-12
    )  # kpc, Schive et al. 2014b, equation 7 at z = 0
    np.testing.assert_allclose(core_density(1e-23, 1.0, 0.0), 1.9e9, rtol=1e-12)
    mass = np.geomspace(1e8, 1e10, 5)
    radius = core_radius(1e-21, mass, 0.5, theory)
    np.testing.assert_allclose(
        np.diff(np.log(radius)) / np.diff(np.log(mass)), -1 / 3, rtol=1e-9
    )
    tables, columns = perturb(
        plane,
        model="axion",
        **{**HALOES, "line_of_sight": 0.0},
        log10_m_axion=-20.5,
        granules=0.0,
    )
    solitons, envelopes = tables["uldm"], tables["tnfw"]
    np.testing.assert_array_equal(solitons.counts, columns["n_subhaloes"])
    r_c = solitons.columns["theta_c"] * plane.kpc_per_arcsec[0]
    implied = 1e9 * (core_radius(10**-20.5, 1e9, 0.5, theory) / r_c) ** 3
    assert np.bincount(
        np.repeat(np.arange(64), solitons.counts), weights=implied
    ) == pytest.approx(columns["substructure_mass"])
    rho_c = core_density(10**-20.5, r_c, 0.5)
    along = quad(lambda x: (1 + (2 ** (1 / SLOPE) - 1) * x**2) ** -SLOPE, -60, 60)[0]
    expected = rho_c * r_c * along / plane.sigma_crit[0]
    fits = (
        envelopes.columns["alpha_Rs"] > 0
    )  # where the halo has mass enough for its soliton
    assert fits.mean() > 0.5
    np.testing.assert_allclose(solitons.columns["kappa_0"][fits], expected[fits], rtol=1e-6)
    assert (solitons.columns["kappa_0"][~fits] <= expected[~fits] * (1 + 1e-9)).all()


@pytest.mark.parametrize("slope", [2.5, 8.0])
def test_mass_of_a_soliton(slope):
    a = 2 ** (1 / slope) - 1
    mass = quad(lambda r: 4 * np.pi * r**2 * (1 + a * r**2) ** -slope, 0, np.inf)[0]
    assert soliton_mass(1.0, 1.0, slope) == pytest.approx(mass, rel=1e-6)


def test_granules_have_the_de_broglie_scale_and_the_amplitude_they_state(perturb, plane):
    """lambda = h / (m sigma); the power of drawn blobs follows rms^2 pi l^2 exp(-l^2 k^2 / 4) to 5 % of its top."""
    assert 2 * np.pi * coherence_length(1e-22, 200.0) == pytest.approx(
        0.6, rel=0.01
    )  # kpc, as in pyHalo
    document = {
        "Sigma_sub": 0.0,
        "log10_m_axion": -22.3,
        "max_granules": 20000,
        "smoothing": 0.0,
    }
    tables, columns = perturb(plane, model="axion", **document)
    length, rms = columns["coherence_length"][0], columns["granule_rms"][0]
    blobs = tables["uldm"]
    disc = 2.56 * np.sqrt(2)
    k = np.array([0.3, 1.0, 2.0, 3.0]) / length
    waves = np.exp(-1j * k * blobs.columns["center_x"][:, None])
    radius = np.linspace(0, 40, 40001) * blobs.columns["theta_c"][0]
    shape = (1 + (2 ** (1 / SLOPE) - 1) * (radius / blobs.columns["theta_c"][0]) ** 2) ** (
        0.5 - SLOPE
    )
    one = np.array(
        [np.trapezoid(2 * np.pi * radius * shape * j0(radius * own), radius) for own in k]
    )
    owner = np.repeat(np.arange(64), blobs.counts)
    sums = np.zeros((64, len(k)), complex)
    np.add.at(sums, owner, blobs.columns["kappa_0"][:, None] * waves)
    power = (np.abs(sums * one) ** 2).mean(0) / (np.pi * disc**2)
    expected = rms**2 * np.pi * length**2 * np.exp(-((length * k) ** 2) / 4)
    scatter = np.sqrt(1 / 64)  # |sum|^2 of a Gaussian field is exponential
    np.testing.assert_array_less(
        np.abs(power / expected - 1), 4 * scatter + 0.05 * expected[0] / expected
    )
    assert power[0] / power[-1] > 3
    # and with the expectation over blobs in closed form there is no scatter
    field = Granules(np.array([length]), np.array([rms]))
    density = 3.0 / length**2
    closed = density * field.amplitude(density) ** 2 * one**2
    np.testing.assert_array_less(np.abs(closed - expected), 0.05 * expected[0])
    variance = (
        density
        * field.amplitude(density) ** 2
        * np.trapezoid(2 * np.pi * radius * shape**2, radius)
    )
    assert variance == pytest.approx(rms**2, rel=1e-3)
    smooth = field.smoothed(3 * length)
    assert smooth.length == pytest.approx(np.sqrt(10) * length)
    assert smooth.rms * smooth.length == pytest.approx(
        field.rms * field.length
    )  # the power of long waves


def test_granules_are_what_waves_make_of_a_halo():
    """The rms is that of a density times a field of correlation exp(-(r / l)^2), summed along a line of sight."""
    length, depth = 0.3, np.linspace(-30, 30, 3001)
    r = np.hypot(5.0, depth) / 10.0
    density = 1 / (r * (1 + r) ** 2) * (depth[1] - depth[0])
    correlation = np.exp(-(((depth[:, None] - depth) / length) ** 2))
    expected = granule_rms(
        *(np.array([value]) for value in (length, 5.0, 1.0, 10.0, 1.0)), 3.0
    )[0]
    assert np.sqrt(density @ correlation @ density) == pytest.approx(expected, rel=2e-3)


def test_self_interaction_moves_mass_within_haloes(perturb, plane):
    """Cores and collapsed cores keep the mass of each halo; cores are flat, collapsed ones concentrate mass."""
    document = {**HALOES, "line_of_sight": 0.0}
    tables, columns = perturb(plane, model="sidm", **document, cross_section=30.0)
    cold, _ = perturb(plane, model="cdm", **document)
    assert 0 < columns["n_collapsed"].sum() < columns["n_subhaloes"].sum()
    far = torch.tensor([1000.0], dtype=torch.float64)

    def deflection(table, function, x):
        own = {
            name: torch.from_numpy(values)[:, None]
            for name, values in table.columns.items()
        }
        return function.deflection(x, torch.zeros_like(x), **own)[0].numpy()

    hollowed = deflection(tables["tnfw"], tnfw, far).sum()
    total = hollowed + deflection(tables["uldm"], uldm, far).sum()
    whole = deflection(cold["tnfw"], tnfw, far).sum()
    assert total == pytest.approx(whole, rel=1e-3)
    assert hollowed < 0.99 * whole


def test_a_core_is_flat_and_joins_the_halo():
    """NFW less a hollow of 1.8 r_c plus its sphere: near the halo's own density at r_c, never rising."""
    from lenssim.simulate.darkmatter.sidm import FILL, HOLLOW, SLOPE

    r_c, r_trunc = 0.3, 5.0
    hollow, core = HOLLOW * r_c, FILL * HOLLOW * r_c
    central = tnfw_mass(1.0, 1.0, hollow) / soliton_mass(1.0, core, SLOPE)

    def nfw(r):
        return 1 / (r * (1 + r) ** 2)

    r = np.geomspace(1e-3, 3.0, 300)
    taken = nfw(r) * hollow**2 / (hollow**2 + r**2)
    density = (
        nfw(r) * r_trunc**2 / (r_trunc**2 + r**2)
        - taken
        + central * (1 + (2 ** (1 / SLOPE) - 1) * (r / core) ** 2) ** -SLOPE
    )
    assert density[0] == pytest.approx(nfw(r_c), rel=0.35)
    assert (np.diff(density) < 0.02 * density[0]).all()
    assert density[0] < 1.1 * density[r < 0.3 * r_c].min()
    np.testing.assert_allclose(
        density[r > 4 * r_c],
        (nfw(r) * r_trunc**2 / (r_trunc**2 + r**2))[r > 4 * r_c],
        rtol=0.25,
    )


@pytest.mark.parametrize("tau", [0.05, 0.7, 1.0, 3.0, 40.0])
def test_mass_of_a_truncated_halo(tau):
    def density(r):
        return 1 / (r * (1 + r) ** 2) * tau**2 / (tau**2 + r**2)

    mass = quad(lambda r: 4 * np.pi * r**2 * density(r), 0, np.inf, limit=200)[0]
    assert tnfw_mass(1.0, 1.0, tau) == pytest.approx(mass, rel=1e-6)
    assert tnfw_projected_mass(1.0, 1.0, tau, np.array([1e4])) == pytest.approx(
        mass, rel=1e-3
    )
    x = torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)
    alpha, _ = tnfw.deflection(
        x, 0 * x, *(torch.tensor(v, dtype=torch.float64) for v in (1.0, 1.0, tau, 0.0, 0.0))
    )
    # alpha_Rs = 4 (1 - ln 2) rho_s r_s^2 / Sigma_crit, and alpha = M / (pi Sigma_crit R)
    projected = tnfw_projected_mass(1.0, 1.0, tau, x.numpy())
    np.testing.assert_allclose(
        alpha.numpy() * 4 * (1 - np.log(2)), projected / (np.pi * x.numpy()), rtol=1e-7
    )
