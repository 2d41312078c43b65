"""The columns of a table of models: names, units and meanings."""

from lenssim.sky.models.request import FitRequest

__all__ = ["COLUMNS", "MAPS", "column_units", "columns_of"]

MAPS = ("residual", "model", "lens_light", "source")
_ARCSEC = "arcsec"
_MASS = {
    "theta_E": (_ARCSEC, "Einstein radius: product average of the axes, without shear"),
    "e1": ("", "ellipticity of the mass"),
    "e2": ("", "ellipticity of the mass"),
    "center_x": (_ARCSEC, "centre of the mass from the middle of the image"),
    "center_y": (_ARCSEC, "centre of the mass from the middle of the image"),
    "gamma1": ("", "external shear"),
    "gamma2": ("", "external shear"),
}
_MULTIPOLES = {
    name: ("", f"multipole of order {order} over the monopole, {wave}")
    for name, order, wave in (
        ("a3_cos", 3, "cosine"),
        ("a3_sin", 3, "sine"),
        ("a4_cos", 4, "cosine"),
        ("a4_sin", 4, "sine"),
    )
}
_SLOPE = {"gamma": ("", "slope of the power law")}
_GAUSSIAN_SOURCE = {
    "source_x": (_ARCSEC, "centre of the source from the middle of the image"),
    "source_y": (_ARCSEC, "centre of the source from the middle of the image"),
    "source_e1": ("", "ellipticity of the source"),
    "source_e2": ("", "ellipticity of the source"),
}
_SERSIC = {
    "R_sersic": (_ARCSEC, "half-light radius"),
    "n_sersic": ("", "Sersic index"),
    "e1": ("", "ellipticity"),
    "e2": ("", "ellipticity"),
    "center_x": (_ARCSEC, "centre"),
    "center_y": (_ARCSEC, "centre"),
    "amp": ("e-/s/arcsec^2", "brightness at the half-light radius"),
}
_SCORES = {
    "theta_E_effective": (_ARCSEC, "radius of the circle with the critical curve's area"),
    "magnification": ("", "flux of the lensed source over that of the source"),
    "images": ("", "images of the source's centre"),
    "chi2": ("", "with the noise map as it is"),
    "pixels": ("", "pixels that were fitted"),
    "chi2_per_pixel": ("", "chi2 over pixels"),
    "chi2_per_pixel_search": (
        "",
        "the same with 2 per cent of each pixel as further noise",
    ),
    "chi2_per_pixel_expected": ("", "variance of the image's corners over the noise map"),
    "noise_correlation": ("", "of neighbouring pixels in the corners"),
    "gain": ("", "chi2 that the lensed source gains"),
    "explained": ("", "its share of what the lens light leaves"),
    "gain_over_spots": ("", "`gain` over that of three round spots on the sky"),
    "companions": ("", "galaxies beside the lens that were modelled"),
    "companion_share": ("", "their share of the light of companions and arcs"),
    "clumps": ("", "spots of the source beside its smooth light"),
    "minima": ("", "distinct minima that were found"),
    "theta_E_other": (_ARCSEC, "Einstein radius of the second minimum"),
    "log_evidence": ("", "of a source on pixels (source pixels)"),
    "log_evidence_gap": ("", "how much less the second minimum has"),
    "chi2_per_pixel_source": ("", "chi2 over pixels with the source on pixels"),
    "objective_gap": ("", "how much larger chi2 and priors of the second minimum are"),
}
_ERRORS = {
    "sigma": "formal error",
    "sandwich": "error under the measured noise",
    "systematic": "difference to the model with another source",
}
COLUMNS = {
    **_MASS,
    **_MULTIPOLES,
    **_SLOPE,
    **_GAUSSIAN_SOURCE,
    **{f"source_{name}": entry for name, entry in _SERSIC.items()},
    **{f"lens_light_{name}": entry for name, entry in _SERSIC.items()},
    **_SCORES,
}


def columns_of(request: FitRequest) -> tuple[str, ...]:
    """Return the columns of a table, the same for all lenses.

    Args:
        request: How the lenses are modelled.

    Example:
        >>> columns_of(FitRequest())[:2]
        ('theta_E', 'theta_E_sigma')
    """
    fitted = [*_MASS, *_GAUSSIAN_SOURCE]
    if request.multipoles:
        fitted += _MULTIPOLES
    if request.has_slope:
        fitted += _SLOPE
    errors = ("sigma", "sandwich")
    systematic = {*_MASS, *_SLOPE} if request.has_slope else {*_MASS}
    names: list[str] = []
    if request.source == "sersic":
        fitted = [*_MASS, *_SLOPE]
        fitted += [f"source_{name}" for name in _SERSIC]
        fitted += [f"lens_light_{name}" for name in _SERSIC]
    shapes = [f"{role}_{name}" for role in ("source", "lens_light") for name in _SERSIC]
    equivalents = [name for name in (*_SLOPE, *shapes) if name not in fitted]
    for name in fitted:
        names += [name, *(f"{name}_{kind}" for kind in errors)]
        if request.source != "mge" and name in systematic:
            names.append(f"{name}_systematic")
    return (*names, *equivalents, *_SCORES)


def column_units(names: tuple[str, ...]) -> dict[str, str]:
    """Return the units of columns that have one."""
    units = {}
    for name in names:
        stem, _, kind = name.rpartition("_")
        is_error = kind in _ERRORS and stem in COLUMNS
        units[name] = COLUMNS[stem if is_error else name][0]
    return {name: unit for name, unit in units.items() if unit}
