"""Draws docs/images/psfs.png: PSFs of telescopes and noise of drizzled images."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lenssim.simulate.instruments import Instrument, instrument
from lenssim.simulate.noise.correlated import correlate, resampling_margin
from lenssim.simulate.psf import OpticalPSF
from lenssim.simulate.psf.measure import psf_fwhm

IMAGE = Path(__file__).parent / "images" / "psfs.png"
PSFS = (
    "hst_acs_f814w",
    "euclid_vis_q1",
    "roman_f158",
    "nircam_f150w",
    "nircam_f444w",
    "rubin_i",
)
NOISES = ("roman_f158", "hst_acs_f814w", "hst_acs_f814w_cosmos", "euclid_nisp_h_mer")
SHOWN = 1.4  # arcsec


def main() -> None:
    """Draw kernels in the first two rows, a set of wave fronts below, then noise."""
    figure = Figure(figsize=(10.2, 7.2), layout="constrained", facecolor="white")
    axes = figure.subplots(3, 6)
    for axis, name in zip(axes[0], PSFS, strict=True):
        camera = instrument(name)
        shown = SHOWN if camera.pixel_scale < 0.15 else 6.0
        width = psf_fwhm(camera.psf, camera.pixel_scale)
        _kernel(axis, camera, shown, f'{name}\n{width:.3f}"')
    base = instrument("euclid_vis_q1")
    for screen, axis in enumerate(axes[1]):
        psf = base.psf.model_copy(update={"screen": screen, "wfe": 60.0})
        camera = base.model_copy(update={"psf": psf})
        _kernel(axis, camera, SHOWN, f"VIS, 60 nm rms\nscreen {screen}")
    rng = np.random.default_rng(0)
    for axis, name in zip(axes[2], NOISES, strict=False):
        camera = instrument(name)
        side = 48 + resampling_margin(camera)
        noise = correlate(rng.standard_normal((1, side, side)), camera)[0]
        axis.imshow(noise, origin="lower", cmap="gray", vmin=-2, vmax=2)
        loss = camera.pixel_loss
        axis.set_title(f"{name}\nrms {loss:.2f} of the map", fontsize=8)
    for axis in axes[2, len(NOISES) :]:
        axis.set_axis_off()
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.savefig(IMAGE, dpi=110)


def _kernel(axis, camera: Instrument, shown: float, title: str) -> None:
    """Draw a kernel three times finer than the pixels, logarithmic over four decades."""
    psf = camera.psf.model_copy(update={"supersampling": 3})
    if isinstance(psf, OpticalPSF):
        psf = psf.model_copy(update={"radius": shown / 2})
    kernel = psf.kernel_at(camera.pixel_scale)
    half = min(int(shown / 2 / (camera.pixel_scale / 3)), len(kernel) // 2)
    middle = slice(len(kernel) // 2 - half, len(kernel) // 2 + half + 1)
    image = np.log10((kernel / kernel.max())[middle, middle].clip(min=1e-4))
    axis.imshow(image, origin="lower", cmap="magma", vmin=-4, vmax=0)
    axis.set_title(title, fontsize=8)


if __name__ == "__main__":
    main()
