"""Flags: what of a model is not to be trusted, in words."""

__all__ = ["FLAGS"]

FLAGS = {
    "unusable": "the image could not be fitted",
    "another-minimum": "another minimum fits nearly as well, with another theta_E",
    "bound": "a parameter sits at its bound",
    "poor-fit": "chi2 a pixel is above 3 with the noise of the search",
    "chi2": "chi2 a pixel is above 1.5 times the level of the image's corners",
    "no-arcs": "a lensed source gains less than 100 in chi2",
    "no-lens": "the source explains less than half of what the lens light leaves, or hardly "
    "more than three round spots on the sky do",
    "one-image": "the model has one image of the source only",
    "crowded": "galaxies beside the lens are brighter than its arcs",
    "saturated": "pixels near the centre of the lens are masked, or all equal",
    "scale": "the pixel scale is not plausible: PSF or image are far too wide or too narrow",
    "no-noise-map": "the noise was estimated from the image",
    "no-psf": "the PSF is not known and was left out",
}
