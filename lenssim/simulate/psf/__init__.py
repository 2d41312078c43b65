"""Point-spread functions, one kind a file. A new kind is a file and a line in `PSF_KINDS`."""

from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Tag

from lenssim.simulate.psf.gaussian import GaussianPSF
from lenssim.simulate.psf.moffat import MoffatPSF
from lenssim.simulate.psf.optical import OpticalPSF
from lenssim.simulate.psf.pixel import PixelPSF
from lenssim.simulate.psf.point_spread import PointSpread
from lenssim.simulate.psf.sets import SetPSF

__all__ = [
    "PSF",
    "PSF_KINDS",
    "GaussianPSF",
    "MoffatPSF",
    "OpticalPSF",
    "PixelPSF",
    "PointSpread",
    "SetPSF",
]

PSF_KINDS: dict[str, type[PointSpread]] = {
    "gaussian": GaussianPSF,
    "moffat": MoffatPSF,
    "optical": OpticalPSF,
    "pixels": PixelPSF,
    "set": SetPSF,
}
_DECISIVE = {"diameter": "optical", "kernel": "pixels", "kernels": "set"}


def _kind(psf: Any) -> str | None:
    """Return which kind of PSF a mapping of keys states; None if it states none, or several."""
    if isinstance(psf, BaseModel):
        return next((name for name, kind in PSF_KINDS.items() if type(psf) is kind), None)
    keys = set(psf) if isinstance(psf, dict) else set()
    stated = {kind for key, kind in _DECISIVE.items() if key in keys}
    if "fwhm" in keys:
        stated.add("moffat" if "beta" in keys else "gaussian")
    return stated.pop() if len(stated) == 1 else None


PSF = Annotated[
    Annotated[GaussianPSF, Tag("gaussian")]
    | Annotated[MoffatPSF, Tag("moffat")]
    | Annotated[OpticalPSF, Tag("optical")]
    | Annotated[PixelPSF, Tag("pixels")]
    | Annotated[SetPSF, Tag("set")],
    Discriminator(
        _kind,
        custom_error_type="psf_kind",
        custom_error_message=(
            "give either fwhm (a Gaussian, in arcsec), fwhm and beta (Moffat), diameter (an "
            "aperture), kernel (an image) or kernels (a set of images)"
        ),
    ),
]
