"""Colours of galaxies against galsim and speclite, from the same spectra; skipped without these packages."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from astropy import units

from lenssim.simulate.sources.colours import GALAXY_TYPES, colour

galsim = pytest.importorskip("galsim", reason="galsim is not installed (group colours)")
filters = pytest.importorskip(
    "speclite.filters", reason="speclite is not installed (group colours)"
)
pytestmark = pytest.mark.thorough

SPECLITE = {
    **{f"lsst_{band}": f"lsst2023-{band}" for band in "grizy"},
    **{f"des_{band}": f"decamDR1-{band}" for band in "griz"},
    **{f"hsc_{band}": f"hsc2017-{band}" for band in "grizy"},
    **{f"sdss_{band}": f"sdss2010-{band}" for band in "griz"},
    "euclid_vis": "Euclid-VIS",
    **{f"euclid_nisp_{band.lower()}": f"Euclid-{band}" for band in "YJH"},
}
GALSIM = {
    "acs_f606w": "ACS_wfc_F606W",
    "acs_f814w": "ACS_wfc_F814W",
    "wfc3_f125w": "WFC3_ir_F125W",
    "wfc3_f160w": "WFC3_ir_F160W",
}
REDSHIFTS = (0.0, 0.2, 0.5, 0.8, 1.1, 2.0, 3.0)
REFERENCE = "lsst_i"


def spectrum(kind, z):
    """The spectrum of a type at a redshift, as galsim reads it."""
    path = Path(galsim.meta_data.share_dir) / "SEDs" / f"CWW_{kind}_ext.sed"
    return galsim.SED(str(path), "Ang", "flambda").atRedshift(z)


def by_speclite(name, kind, z):
    curve = filters.load_filter(SPECLITE[name])
    path = Path(galsim.meta_data.share_dir) / "SEDs" / f"CWW_{kind}_ext.sed"
    wave, flux = np.loadtxt(path, unpack=True)[:2]
    wavelength = wave * (1 + z) * units.AA
    density = flux / (1 + z) * units.Unit("erg / (s cm2 AA)")
    padded, wavelength = curve.pad_spectrum(density, wavelength)
    return float(curve.get_ab_magnitude(padded, wavelength))


def by_galsim(name, kind, z):
    path = Path(galsim.meta_data.share_dir) / "bandpasses" / f"{GALSIM[name]}.dat"
    unit = "nm" if np.loadtxt(path)[:, 0].max() < 3000 else "Ang"
    band = galsim.Bandpass(str(path), wave_type=unit).withZeropoint("AB")
    return spectrum(kind, z).calculateMagnitude(band)


@pytest.mark.parametrize("kind", GALAXY_TYPES)
@pytest.mark.parametrize("name", [*SPECLITE, *GALSIM])
def test_colours_are_those_of_galsim_and_speclite(name, kind):
    witness = by_speclite if name in SPECLITE else by_galsim
    redshifts = [z for z in REDSHIFTS if _is_lit(name, kind, z)]
    assert redshifts
    for z in redshifts:
        expected = witness(name, kind, z)
        assert np.isfinite(expected)
        expected -= _reference(kind, z)
        assert colour(np.array([z]), kind, name, REFERENCE)[0] == pytest.approx(
            expected, abs=0.02
        ), z


@lru_cache
def _reference(kind, z):
    return by_speclite(REFERENCE, kind, z)


def _is_lit(name, kind, z):
    """Whether the spectrum, which ends at 2.5 micrometres, covers the band."""
    red = {"euclid_nisp_h": 2.1, "wfc3_f160w": 1.75, "euclid_nisp_j": 1.6}.get(name, 1.4)
    return red / (1 + z) < 2.5


def test_the_two_witnesses_agree():
    """Of galsim's magnitudes and speclite's, in a band that both have."""
    path = Path(galsim.meta_data.share_dir) / "bandpasses" / "LSST_i.dat"
    band = galsim.Bandpass(str(path), wave_type="nm").withZeropoint("AB")
    for z in (0.2, 0.8):
        seen = [spectrum(kind, z).calculateMagnitude(band) for kind in ("E", "Im")]
        expected = [by_speclite("lsst_i", kind, z) for kind in ("E", "Im")]
        assert seen[0] - seen[1] == pytest.approx(expected[0] - expected[1], abs=0.02)
