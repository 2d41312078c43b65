"""One band of a lens, and how it is read."""

from dataclasses import dataclass, field

import numpy as np

from lenssim.formats.sky_header import SkyHeader

__all__ = ["BandImage", "Grid", "ReadingOptions"]


@dataclass(frozen=True)
class Grid:
    """The pixels of a data set.

    Attributes:
        pixel_scale: Side of a pixel [arcsec]; None: that of the files.
        num_pix: Pixels a side; None: those of the files.
    """

    pixel_scale: float | None = None
    num_pix: int | None = None


@dataclass(frozen=True)
class ReadingOptions:
    """How images are read.

    Attributes:
        grid: The pixels of the data set.
        native_scale: Side of a pixel of the files [arcsec], where headers do not say it.
        masked_values: Values of pixels that mean "masked".
        mask_means: What numbers of a mask other than 0 mean: "bad" or "good".
        noise_kind: What noise maps hold, where their names are wrong: a role, or "".
        psf_supersampling: Pixels of PSF kernels in a pixel of the image, along a side.
        recentre_psf: Whether the centroid of PSF kernels is moved to their middle.
        bands: Number of bands that a cube must have; 1: cubes need names for their bands.
    """

    grid: Grid = field(default_factory=Grid)
    native_scale: float | None = None
    masked_values: tuple[float, ...] = ()
    mask_means: str = "bad"
    noise_kind: str = ""
    psf_supersampling: int = 1
    recentre_psf: bool = False
    bands: int = 1


@dataclass(frozen=True)
class BandImage:
    """One band of a lens.

    Attributes:
        band: Its name, or "".
        pixels: Flux in each pixel, float64 (H, W); finite also where it is masked.
        mask: Which pixels were seen, bool (H, W).
        sigma: Rms of the noise float64 (H, W), NaN where it is masked; None if not known.
        psf: Kernel float64 (K, K) with the sum 1; None if not known.
        sky: What is known of scale, zero point and place.
        psf_offset: How far the centroid of the kernel lies from its middle, in image pixels.
    """

    band: str
    pixels: np.ndarray
    mask: np.ndarray
    sigma: np.ndarray | None
    psf: np.ndarray | None
    sky: SkyHeader
    psf_offset: float = 0.0
