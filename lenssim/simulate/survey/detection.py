"""Detection: what a survey sees of its lenses, as columns."""

from collections.abc import Iterator, Mapping

import numpy as np

from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.engines import engine
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.isothermal import Isothermal
from lenssim.simulate.scenes import Component
from lenssim.simulate.sources.light import SersicLight
from lenssim.simulate.survey.scenes import LENS, LENS_LIGHT, SOURCE, survey_scenes

__all__ = ["detect", "signal_to_noise"]

_BLOCK = 512  # lenses rendered at once
_STAMPS = (48, 64, 96, 128, 192, 256)  # pixels a side
_MARGIN = 0.8  # arcsec, beyond twice the Einstein radius
_BRIGHT = 22.0  # mag, of the faintest source as it is rendered
_LEVELS = 192  # thresholds of signal to noise
_DECADES = (-3.0, 4.0)


def detect(
    lenses: Mapping[str, np.ndarray], camera: Instrument, cosmology: Cosmology
) -> dict[str, np.ndarray]:
    """Return what a camera sees of lenses.

    Args:
        lenses: Columns (N,) of scenes, with magnitudes in the camera's band.
        camera: The camera, of one band.
        cosmology: The cosmology.

    Returns:
        Columns (N,): `magnification` of the flux; `n_images` of the source's centre; `snr`, see
        `signal_to_noise`; `arc_flux_ratio`, the flux of the arcs over that of the lens.

    Example:
        >>> from lenssim.simulate.survey.survey import load_survey
        >>> survey = load_survey("euclid")
        >>> lenses = survey.draw_ideal(area=0.01, seed=1)
        >>> sorted(detect(lenses, survey.detection_camera, survey.cosmology))
        ['arc_flux_ratio', 'magnification', 'n_images', 'snr']
    """
    magnification, n_images = _images(lenses)
    ratio = 0.4 * (lenses["lens_light_magnitude"] - lenses["source_magnitude"])
    snr = np.zeros(len(magnification))
    for rows, num_pix in _groups(lenses, camera):
        part = {name: column[rows] for name, column in lenses.items()}
        stamp = camera.model_copy(update={"num_pix": num_pix})
        snr[rows] = _rendered_snr(part, stamp, cosmology)
    return {
        "magnification": magnification,
        "n_images": n_images,
        "snr": snr,
        "arc_flux_ratio": magnification * 10**ratio,
    }


def signal_to_noise(arcs: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the signal to noise (N,) of the best set of pixels of each image.

    Pixels are taken in the order of their own signal to noise, as many as give the largest
    signal to noise of their sum (Collett 2015). The order has steps of 0.04 dex.

    Args:
        arcs: Noise-free flux (N, P) of the arcs.
        variance: Variance (N, P) of the noise, that of all light included.

    Example:
        >>> flux = np.array([[10.0, 10.0, 0.1]])
        >>> signal_to_noise(flux, np.ones((1, 3))).round(2)
        array([14.14])
    """
    count = len(arcs)
    ratio = np.maximum(arcs / np.sqrt(variance), 10.0 ** _DECADES[0])
    low, high = _DECADES
    level = (np.log10(ratio) - low) * (_LEVELS / (high - low))
    level = np.clip(level.astype(np.int64), 0, _LEVELS - 1)
    cells = (level + _LEVELS * np.arange(count)[:, None]).ravel()
    sums = [
        np.bincount(cells, values.ravel(), _LEVELS * count).reshape(count, _LEVELS)
        for values in (arcs, variance)
    ]
    signal, noise = (total[:, ::-1].cumsum(axis=1) for total in sums)
    return (signal / np.sqrt(np.maximum(noise, 1e-300))).max(axis=1)


def _images(lenses: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the magnification (N,) and number of images (N,) of the sources."""
    names = ("theta_E", "e1", "e2", "center_x", "center_y", "gamma1", "gamma2")
    light = ("R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")
    count = len(lenses["theta_E"])
    magnification = np.empty(count)
    n_images = np.empty(count)
    for start in range(0, count, _BLOCK):
        rows = slice(start, start + _BLOCK)
        lens = Isothermal(*(lenses[name][rows] for name in names))
        columns = [lenses[f"source_{name}"][rows] for name in light]
        source = SersicLight(np.ones(len(columns[0])), *columns)
        magnification[rows], _ = lens.magnification([source], np.inf)
        x, y = np.stack(columns[4:]) - lens.origin
        n_images[rows] = lens.images(x[:, None], y[:, None])[:, 0]
    return magnification, n_images


def _groups(
    lenses: Mapping[str, np.ndarray], camera: Instrument
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield rows of lenses that fit one size of stamp, and that size [pixels]."""
    half = 2 * lenses["theta_E"] + _MARGIN
    number = np.searchsorted(_STAMPS[:-1], 2 * half / camera.pixel_scale)
    for choice in np.unique(number):
        rows = np.flatnonzero(number == choice)
        for start in range(0, len(rows), _BLOCK):
            yield rows[start : start + _BLOCK], _STAMPS[choice]


def _rendered_snr(
    lenses: Mapping[str, np.ndarray], camera: Instrument, cosmology: Cosmology
) -> np.ndarray:
    arcs = _arcs(lenses, camera, cosmology)
    light = _flux(lenses, camera, cosmology, LENS_LIGHT)
    shot = np.maximum(arcs + light, 0) / camera.total_exposure()
    return signal_to_noise(arcs, camera.background() ** 2 + shot)


def _arcs(
    lenses: Mapping[str, np.ndarray], camera: Instrument, cosmology: Cosmology
) -> np.ndarray:
    """Return the flux (N, P) [e-/s] of each pixel that the source gives.

    Adaptive rays are as fine as the noise asks for. So faint sources are rendered as bright ones,
    and dimmed afterwards.
    """
    magnitude = lenses["source_magnitude"]
    rendered = np.minimum(magnitude, _BRIGHT)
    bright = {**lenses, "source_magnitude": rendered}
    dimming = 10 ** (0.4 * (rendered - magnitude))
    return _flux(bright, camera, cosmology, *LENS, SOURCE) * dimming[:, None]


def _flux(
    lenses: Mapping[str, np.ndarray],
    camera: Instrument,
    cosmology: Cosmology,
    *components: Component,
) -> np.ndarray:
    """Return the flux (N, P) [e-/s] of each pixel that some components give."""
    scenes = survey_scenes(lenses, cosmology, *components)
    images = engine("batched").render(scenes, camera, supersampling="adaptive")
    return images.reshape(len(images), -1).astype(np.float64)
