"""Distances are astropy's: to the last bit where data sets depend on them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenssim.simulate.cosmology import Cosmology, MassConvention

PUBLISHED = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
EINSTEIN_DE_SITTER = Cosmology(H0=100, Om0=1, Ob0=0)
REDSHIFTS = np.array([0.01, 0.2, 0.5, 1.0, 2.0, 7.3, 25.0])

hubble = st.floats(40, 100)
matter = st.floats(0.05, 1)
redshift = st.floats(0.01, 12)


def cosmologies():
    return st.builds(Cosmology, H0=hubble, Om0=matter, Ob0=st.just(0.0))


@given(cosmologies(), redshift, redshift, redshift)
def test_deflection_scales_are_made_of_astropys_distances(cosmology, lens, behind, further):
    z = (lens, lens + behind, lens + behind + further)
    d_lens, source, convention = (
        cosmology.astropy().comoving_distance(value).to_value("Mpc") for value in z
    )
    scale = ((source - d_lens) / source) / ((convention - d_lens) / convention)
    assert cosmology.deflection_scale(*map(np.array, z)) == scale


@given(cosmologies(), redshift, redshift)
@pytest.mark.parametrize("distances", ["luminosity", "angular_diameter"])
def test_einstein_radii_are_made_of_astropys_distances(distances, cosmology, lens, behind):
    from astropy import constants, units

    source = lens + behind
    astropy = getattr(cosmology.astropy(), f"{distances}_distance")
    d_lens, d_source = (astropy(z).to_value("Mpc") for z in (lens, source))
    d_between = d_source - d_lens
    if distances == "angular_diameter":
        d_between = d_source - d_lens * (1 + lens) / (1 + source)
    four_g_msun = (4 * constants.G * units.M_sun / constants.c**2).to_value(units.Mpc)
    radius = 206265.0 * np.sqrt(four_g_msun * d_between / (d_lens * d_source))
    radii = MassConvention(distances=distances).solar_einstein_radius(
        np.array([lens]), np.array([source]), cosmology
    )
    assert radii == radius


@pytest.mark.parametrize("cosmology", [PUBLISHED, EINSTEIN_DE_SITTER])
def test_interpolated_distances_are_astropys_to_1e_minus_9(cosmology):
    distances = cosmology.comoving_distance(REDSHIFTS)
    expected = cosmology.astropy().comoving_distance(REDSHIFTS).to_value("Mpc")
    np.testing.assert_allclose(distances, expected, rtol=1e-9)
