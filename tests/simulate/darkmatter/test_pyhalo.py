"""Our populations against pyHalo 1.4.6 at the same parameters; skipped where it is not installed (`lenssim[halos]`)."""

import numpy as np
import pytest
import torch
from error_codes import has_code
from scipy.stats import ks_2samp

from lenssim.errors import ConfigError
from lenssim.simulate.columns import Columns
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.darkmatter.cdm import ColdDarkMatter
from lenssim.simulate.engines.batched.profiles import tnfw
from lenssim.simulate.halos.bridge import (
    from_realizations,
    pyhalo_realization,
    realization_perturbers,
)
from lenssim.simulate.halos.concentration import concentration
from lenssim.simulate.halos.field import two_halo_boost
from lenssim.simulate.halos.halos import deflection_at_scale_radius, nfw_structure
from lenssim.simulate.halos.linear import linear_theory
from lenssim.simulate.halos.mass_function import sheth_tormen, suppression
from lenssim.simulate.halos.soliton import core_density, core_radius, minimum_mass
from lenssim.simulate.halos.tides import roche_radius
from lenssim.simulate.scenes import Component

pytestmark = pytest.mark.thorough

pytest.importorskip("pyHalo", reason="pyHalo is not installed (lenssim[halos])")

COSMOLOGY = Cosmology(H0=67.5, Om0=0.309, Ob0=0.049)  # pyHalo's

# pyHalo takes its scatter of 0.2 "dex" as one in the natural logarithm, and puts subhaloes at whole radii
OPTIONS = {
    "log_mlow": 7.0,
    "log_mhigh": 9.5,
    "concentration_model_subhalos": "DIEMERJOYCE19",
    "concentration_model_fieldhalos": "DIEMERJOYCE19",
    "truncation_model_subhalos": "TRUNCATION_ROCHE_GILMAN2020",
    "subhalo_spatial_distribution": "PROJECTED_NFW",
    "cone_opening_angle_arcsec": 6.0,
    "log_m_host": 13.3,
    "c_host": 6.0,
}
OURS = ColdDarkMatter(
    model="cdm",
    Sigma_sub=0.06,
    mass=(1e7, 10**9.5),
    host_scaling=0.55,
    redshift_scaling=0.37,
    concentration_scatter=0.2 / np.log(10),
    radius=3.0,
    places="host",
    depths="whole",
    line_of_sight=1.0,
)
REALIZATIONS = 4


@pytest.fixture(scope="module")
def theirs():
    """Haloes of pyHalo: columns of subhaloes and of the field, and the perturbers of each realisation."""
    made = [
        pyhalo_realization("CDM", 0.5, 2.0, seed=i, sigma_sub=0.06, **OPTIONS)
        for i in range(REALIZATIONS)
    ]
    perturbers = [realization_perturbers(own, seed=10 + i) for i, own in enumerate(made)]
    tables = {}
    for name in ("subhalos", "field_halos"):
        halos = [halo for own in made for halo in getattr(own, name)]
        tables[name] = {
            "mass": np.array([halo.mass for halo in halos]),
            "radius": np.array([np.hypot(halo.x, halo.y) for halo in halos]),
            "z": np.array([halo.z for halo in halos]),
            "z_structure": np.array([halo.z_eval for halo in halos]),
            "concentration": np.array([halo.c for halo in halos]),
            "r_trunc": np.array([halo.params_physical["r_trunc_kpc"] for halo in halos]),
            "r_s": np.array([halo.params_physical["rs"] for halo in halos]),
            "rho_s": np.array([halo.params_physical["rhos"] for halo in halos]),
            "r3d": np.array(
                [halo.r3d if halo.r3d is not None else np.nan for halo in halos],
                dtype=float,
            ),
        }
    return made, tables, perturbers


@pytest.fixture(scope="module")
def ours(plane_of):
    plane = plane_of(16)
    columns = Columns(16, np.random.default_rng(8))
    OURS.perturb(columns, plane)
    columns.rng = np.random.default_rng(9)
    return OURS._subhalos(columns, plane), OURS._field(columns, plane)


def our_columns(halos) -> dict[str, np.ndarray]:
    names = ("mass", "z", "z_structure", "concentration", "r_trunc", "r_s", "rho_s")
    return {
        "radius": np.hypot(halos.x, halos.y),
        **{name: getattr(halos, name) for name in names},
    }


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", ["mass", "radius", "z_structure", "concentration", "r_trunc", "r_s", "rho_s"]
)
def test_subhaloes_follow_the_same_distributions(theirs, ours, name):
    """Kolmogorov-Smirnov on thousands of haloes. 1e-3 for each of seven: a false alarm in a hundred seeds."""
    halos, own = theirs[1]["subhalos"], our_columns(ours[0])
    assert len(halos["mass"]) > 3000
    assert ks_2samp(halos[name], own[name]).pvalue > 1e-3


@pytest.mark.thorough
def test_as_many_haloes(theirs, ours):
    """Poisson numbers of one mean to 4 deviations; in the field 3 % more for pyHalo's planes and power-law fit."""
    for name, halos in zip(("subhalos", "field_halos"), ours, strict=True):
        a, b = len(theirs[1][name]["mass"]) / REALIZATIONS, len(halos.mass) / 16
        slack = 0.03 * a if name == "field_halos" else 0.0
        assert abs(a - b) < 4 * np.sqrt(a / REALIZATIONS + b / 16) + slack


@pytest.mark.parametrize("name", ["mass", "concentration", "r_trunc", "rho_s"])
def test_field_haloes_follow_the_same_distributions(theirs, ours, name):
    assert (
        ks_2samp(theirs[1]["field_halos"][name], our_columns(ours[1])[name]).pvalue > 1e-3
    )


def test_field_haloes_lie_at_the_same_redshifts(theirs, ours):
    """pyHalo puts them on planes 0.02 apart, from which each slice begins: ours are counted in its slices."""
    z = theirs[1]["field_halos"]["z"]
    sliced = 0.02 * np.floor((our_columns(ours[1])["z"] - 0.5) / 0.02 + 1e-9) + 0.5
    assert (
        ks_2samp(z, sliced).statistic < 1.95 * np.sqrt(1 / len(z) + 1 / len(sliced)) + 0.02
    )


def test_structure_halo_by_halo(theirs, plane_of):
    """From pyHalo's mass, redshift, concentration and place our formulae make its numbers."""
    halos = theirs[1]["subhalos"]
    rho_s, r_s = nfw_structure(
        halos["mass"], halos["concentration"], halos["z_structure"], COSMOLOGY
    )
    np.testing.assert_allclose(rho_s, halos["rho_s"], rtol=1e-4)
    np.testing.assert_allclose(r_s, halos["r_s"], rtol=1e-4)
    np.testing.assert_allclose(
        roche_radius(halos["mass"], halos["r3d"]), halos["r_trunc"], atol=6e-4
    )  # rounded there
    plane = plane_of(1)
    Rs = r_s / plane.kpc_per_arcsec
    alpha = deflection_at_scale_radius(rho_s, r_s, Rs, plane.sigma_crit_arcsec)
    count = len(theirs[0][0].subhalos)
    first = [halo.lenstronomy_params[0][0] for halo in theirs[0][0].subhalos]
    np.testing.assert_allclose(
        alpha[:count], [own["alpha_Rs"] for own in first], rtol=1e-3, atol=1e-9
    )
    np.testing.assert_allclose(
        Rs[:count], [own["Rs"] for own in first], rtol=1e-4, atol=1e-9
    )
    scatter = np.log(
        halos["concentration"]
        / concentration(halos["mass"], halos["z_structure"], COSMOLOGY)
    )
    assert scatter.mean() == pytest.approx(0, abs=0.012)
    assert scatter.std() == pytest.approx(0.2, abs=0.01)


@pytest.mark.thorough
def test_power_spectra_of_substructure(theirs, plane_of):
    """Convergence and deflection of subhaloes: mean power in bands of wave number within 25 % of pyHalo's."""
    own = OURS.model_copy(update={"line_of_sight": 0.0})
    ours_drawn = Columns(32, np.random.default_rng(5))
    tables = own.perturb(ours_drawn, plane_of(32))["tnfw"]
    halos = theirs[0]
    maps = {"ours": [tables.of(i) for i in range(32)], "theirs": []}
    for realization in halos:
        rows = [halo.lenstronomy_params[0][0] for halo in realization.subhalos]
        maps["theirs"].append(
            {name: np.array([row[name] for row in rows]) for name in rows[0]}
        )
    spectra = {
        name: np.mean([power(columns) for columns in own], axis=0)
        for name, own in maps.items()
    }
    np.testing.assert_allclose(spectra["ours"], spectra["theirs"], rtol=0.25)


def power(columns: dict[str, np.ndarray], n: int = 40, side: float = 4.0) -> np.ndarray:
    """Power (2, 3) of convergence and deflection in three bands of wave number."""
    axis = (np.arange(n) + 0.5) / n * side - side / 2
    x, y = (torch.from_numpy(v.ravel()) for v in np.meshgrid(axis, axis))
    maps = np.zeros((3, n * n))
    # the few heaviest haloes decide the scatter and nothing else: all lighter than alpha_Rs of 1e9 Msun
    light = columns["alpha_Rs"] < np.quantile(columns["alpha_Rs"], 0.99)
    for start in range(0, light.sum(), 500):
        own = {
            k: torch.from_numpy(v[light][start : start + 500, None].astype(np.float64))
            for k, v in columns.items()
        }
        maps[0] += tnfw.convergence(x, y, **own).sum(0).numpy()
        alpha = tnfw.deflection(x, y, **own)
        maps[1:] += np.stack([a.sum(0).numpy() for a in alpha])
    modes = np.abs(np.fft.fft2(maps.reshape(3, n, n), axes=(1, 2))) ** 2
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(n, side / n)] * 2))
    bands = [(k > low) & (k <= high) for low, high in ((0.4, 1.0), (1.0, 2.0), (2.0, 4.5))]
    pair = [modes[0], modes[1] + modes[2]]
    return np.array([[own[band].mean() for band in bands] for own in pair])


def test_formulae_that_pyhalo_states_too(theirs):
    from pyHalo.Halos.HaloModels.ULDM import ULDMFieldHalo
    from pyHalo.Rendering.MassFunctions.density_peaks import evaluate_mass_function
    from pyHalo.Rendering.MassFunctions.mass_function_base import WDMPowerLaw
    from pyHalo.Rendering.two_halo import two_halo_enhancement_factor
    from pyHalo.utilities import MinHaloMassULDM

    lens_cosmo = theirs[0][0].lens_cosmo
    mass = np.geomspace(1e7, 1e12, 6)
    for z in (0.0, 0.5, 1.9):
        np.testing.assert_allclose(
            sheth_tormen(mass, z, COSMOLOGY),
            evaluate_mass_function(mass, 0.675, z, "sheth99"),
            rtol=5e-3,
        )  # colossus counts radiation in its growth
    np.testing.assert_allclose(
        suppression(mass, 1e8, 4.2**2.5, 2.5, -0.2),
        WDMPowerLaw._turnover(mass, 8.0, 36.15, 2.5, -0.2),
        rtol=1e-3,
    )
    halo = ULDMFieldHalo(1e9, 0.0, 0.0, None, 0.5, False, lens_cosmo, {}, None, None, 1.0)
    theory = linear_theory(COSMOLOGY)
    r_c = core_radius(1e-21, 1e9, 0.5, theory)
    assert r_c == pytest.approx(halo._core_radius(-21, 1e9, 1 / 3), rel=1e-6)
    assert core_density(1e-21, r_c, 0.5) == pytest.approx(
        1e9 * halo._central_density(-21, r_c), rel=1e-6
    )
    assert minimum_mass(1e-22, 0.5, theory) == pytest.approx(
        MinHaloMassULDM(-22, lens_cosmo.cosmo.astropy, 6).m_min(0.5)
    )
    boost = two_halo_boost(np.array([0.5]), np.array([10**13.3]), COSMOLOGY)[0]
    _, _, r200 = lens_cosmo.NFW_params_physical(10**13.3, 4.5, 0.5)
    theirs_boost = two_halo_enhancement_factor(
        0.5, 0.02, lens_cosmo, 10**13.3, r200 / 1000, True
    )
    assert boost == pytest.approx(theirs_boost, rel=0.03)


def test_the_bridge_is_seeded_and_leaves_the_global_generator_alone():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    options = {**OPTIONS, "log_mlow": 8.0, "sigma_sub": 0.02}
    drawn = [
        realization_perturbers(
            pyhalo_realization("CDM", 0.5, 2.0, seed=s, **options), seed=s
        )
        for s in (1, 1, 2)
    ]
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    for name, values in drawn[0]["tnfw"].items():
        np.testing.assert_allclose(values, drawn[1]["tnfw"][name], rtol=1e-6, err_msg=name)
    assert len(drawn[2]["tnfw"]["Rs"]) != len(drawn[0]["tnfw"]["Rs"])


def test_realisations_become_scenes_that_render(theirs):
    from lenssim.simulate.engines import engine
    from lenssim.simulate.instruments import instrument

    components = (Component("lens", "sie"), Component("source", "sersic", "source_"))
    params = {
        "z_lens": 0.5, "z_source": 2.0, "theta_E": 1.2, "e1": 0.1, "e2": 0.0, "center_x": 0.0, "center_y": 0.0,
        "source_magnitude": 22.0, "source_R_sersic": 0.2, "source_n_sersic": 1.0, "source_e1": 0.0, "source_e2": 0.1,
        "source_center_x": 0.1, "source_center_y": 0.05,
    }  # fmt: skip
    params = {name: np.full(2, value) for name, value in params.items()}
    options = {
        "log_mlow": 8.5,
        "flucs_shape": "ring",
        "flucs_args": {"rmin": 1.1, "rmax": 1.2},
        "n_cut": 30,
    }
    uldm = pyhalo_realization("ULDM", 0.5, 2.0, seed=2, log10_m_uldm=-21.3, **options)
    cold = pyhalo_realization("CDM", 0.5, 2.0, seed=3, **{**OPTIONS, "log_mlow": 8.5})
    scenes = from_realizations([uldm, cold], components, params, seed=1)
    assert scenes.perturbers["uldm"].counts[0] > 0
    assert scenes.perturbers["uldm"].counts[1] == 0
    camera = instrument("hst_wfc3_f160w")
    images = engine("lenstronomy").render(scenes, camera)
    own = engine("batched", precision="float64", device="cpu", kernels="eager").render(
        scenes, camera
    )
    np.testing.assert_allclose(own, images, atol=1e-4 * images.max())
    with pytest.raises(
        ConfigError, match="2 realisations", check=has_code("realisations-differ")
    ):
        from_realizations(
            [uldm, cold],
            components,
            {name: column[:1] for name, column in params.items()},
            seed=1,
        )
    with pytest.raises(
        ConfigError,
        match=r"has z_lens 0\.5",
        check=has_code("realisations-differ", name="z_lens"),
    ):
        from_realizations(
            [uldm, cold], components, {**params, "z_lens": np.full(2, 0.4)}, seed=1
        )
