"""Make lenssim/simulate/sources/galaxy_colours.csv: magnitudes of galaxies of four types, by filter and redshift.

Needs galsim and speclite, which lenssim does not: pip install galsim==2.8.5 speclite==1.0.0. The spectra are those
of Coleman, Wu & Weedman 1980 as galsim holds them; they do not evolve. Beyond their end at 2.5 micrometres starlight
falls as f_nu ~ nu^2, which leaves out dust. Numbers are AB magnitudes of a galaxy whose
absolute magnitude in SDSS r, at rest, is 0, less the distance modulus: apparent = M_r + distance modulus + number.

Usage: python benchmarks/galaxy_colours.py > lenssim/simulate/sources/galaxy_colours.csv
"""

from pathlib import Path

import galsim
import numpy as np
from speclite.filters import load_filter

TYPES = {"E": "CWW_E_ext", "Sbc": "CWW_Sbc_ext", "Scd": "CWW_Scd_ext", "Im": "CWW_Im_ext"}
REDSHIFTS = np.round(np.arange(0.0, 6.001, 0.05), 2)
WAVES = np.geomspace(91.2, 30000, 60000)  # nm
SPECLITE = {
    **{f"sdss_{band}": f"sdss2010-{band}" for band in "ugriz"},
    **{f"des_{band}": f"decamDR1-{band}" for band in "griz"},
    **{f"hsc_{band}": f"hsc2017-{band}" for band in "grizy"},
    **{f"lsst_{band}": f"lsst2023-{band}" for band in "ugrizy"},
    **{f"euclid_{band.lower()}": f"Euclid-{band}" for band in ("VIS",)},
    **{f"euclid_nisp_{band.lower()}": f"Euclid-{band}" for band in "YJH"},
}
GALSIM = {
    "acs_f606w": "ACS_wfc_F606W",
    "acs_f814w": "ACS_wfc_F814W",
    "wfc3_f125w": "WFC3_ir_F125W",
    "wfc3_f160w": "WFC3_ir_F160W",
}
TOP_HATS = {  # micrometres: half-power points of JWST's and Roman's filters
    "f106": (0.927, 1.192),
    "f129": (1.131, 1.454),
    "f158": (1.380, 1.774),
    "f184": (1.683, 2.000),
    "f115w": (1.013, 1.282),
    "f150w": (1.331, 1.668),
    "f277w": (2.423, 3.132),
    "f444w": (3.881, 4.982),
}


def responses() -> dict[str, np.ndarray]:
    """Return the throughput of each filter at `WAVES`."""
    found = {}
    for name, known in SPECLITE.items():
        curve = load_filter(known)
        found[name] = np.interp(WAVES, curve.wavelength / 10, curve.response, 0, 0)
    for name, known in GALSIM.items():
        folder = Path(galsim.meta_data.share_dir) / "bandpasses"
        wave, response = np.loadtxt(folder / f"{known}.dat", unpack=True)[:2]
        nanometres = wave / 10 if wave.max() > 3000 else wave
        found[name] = np.interp(WAVES, nanometres, response, 0, 0)
    for name, (low, high) in TOP_HATS.items():
        found[name] = ((low * 1000 < WAVES) & (high * 1000 > WAVES)).astype(float)
    return found


def magnitude(flux_nu: np.ndarray, response: np.ndarray) -> float:
    """Return the AB magnitude, but for a constant, of photons counted behind a filter."""
    log_step = np.gradient(np.log(WAVES))
    counted = (flux_nu * response * log_step).sum()
    return -2.5 * np.log10(counted / (response * log_step).sum())


def main() -> None:
    """Print the table."""
    filters = responses()
    print("type,z," + ",".join(filters))
    for kind, file in TYPES.items():
        path = Path(galsim.meta_data.share_dir) / "SEDs" / f"{file}.sed"
        wave, flux = np.loadtxt(path, unpack=True)[:2]
        wave = wave / 10
        flux_nu = flux * wave**2
        at_rest = np.interp(WAVES, wave, flux_nu, 0, 0)
        zero = magnitude(at_rest, filters["sdss_r"])
        for z in REDSHIFTS:
            # f_nu of the observed frequency: L_nu (1 + z) / (4 pi D^2)
            rest = WAVES / (1 + z)
            seen = np.interp(rest, wave, flux_nu, 0) * (1 + z)
            seen *= np.minimum(1, wave[-1] / rest) ** 2
            row = []
            for response in filters.values():
                inside = response > 1e-3 * response.max()
                value = np.nan
                if np.isfinite(seen[inside]).all() and (seen[inside] > 0).any():
                    value = magnitude(np.nan_to_num(seen), response) - zero
                row.append("" if not np.isfinite(value) else f"{value:.3f}")
            print(f"{kind},{z:.2f}," + ",".join(row))


if __name__ == "__main__":
    main()
