"""Parity: the same scenes through every engine, and how far their images are apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import (
    ENGINES,
    REFERENCE,
    engine,
    engine_info,
    engine_settings,
)
from lenssim.simulate.instruments import ADAPTIVE, FINEST, Supersampling, check_sampling
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.preset import Preset
from lenssim.simulate.streams import check_seed

__all__ = ["Parity", "Residual", "compare_engines", "compared_engines"]

_MOST_SCENES = 10**6  # of a class: more do not fit into memory
_PIXELS = (1, 2, 3)  # axes of images
_SIDES = (2, 3)  # of one band


@dataclass(frozen=True)
class Residual:
    """How far one engine's noise-free images of one class are from the reference's.

    `max_*` is the largest of all pixels and scenes, `rms_*` the root mean square over
    pixels of the worst scene; in units of the band's peak and of its nominal noise.
    `number` is the sample that holds the largest residual.
    """

    engine: str
    class_name: str
    scenes: int
    max_peak: float
    rms_peak: float
    max_noise: float
    rms_noise: float
    number: int

    @property
    def agrees(self) -> bool:
        """Whether the largest residual is within the engine's tolerance."""
        return bool(self.max_peak <= engine_info(self.engine).parity)


@dataclass(frozen=True)
class Parity:
    """A residual for every engine and class.

    `worst` holds the worst band of the worst scene of each as images (H, W): the reference
    and the difference.
    """

    preset: str
    supersampling: int
    residuals: tuple[Residual, ...]
    worst: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]  # by (engine, class)

    @property
    def agrees(self) -> bool:
        """Whether every engine agrees with the reference for every class."""
        return all(residual.agrees for residual in self.residuals)

    def document(self) -> dict[str, Any]:
        """The residuals as plain numbers, ready for `json.dumps`."""
        return {
            "preset": self.preset,
            "supersampling": self.supersampling,
            "reference": REFERENCE,
            "tolerance": {name: engine_info(name).parity for name in compared_engines()},
            "residuals": [
                asdict(residual) | {"agrees": residual.agrees}
                for residual in self.residuals
            ],
        }


def compared_engines() -> list[str]:
    """Return the names of the engines that can be compared with the reference."""
    return [name for name in ENGINES if name != REFERENCE]


def _checked_engines(names: Sequence[str] | None) -> list[str]:
    """Return the names of engines to compare; `ConfigError` if one cannot be compared."""
    known = compared_engines()
    for name in names or ():
        if name not in known:
            what = "engine to compare with lenstronomy"
            raise unknown(what, name, known, code="unknown-engine")
    return list(names or known)


def compare_engines(
    preset: Preset,
    n: int,
    *,
    seed: int = 0,
    supersampling: int | None = None,
    engines: Sequence[str] | None = None,
) -> Parity:
    """Render the same scenes with several engines and compare the images.

    All engines get the same supersampling and PSF and work in double precision, because
    formulas are compared.

    Args:
        preset: What is drawn.
        n: Scenes of every class.
        seed: Seed of the scenes.
        supersampling: Rays a pixel side; None for the preset's.
        engines: Names of the engines; None for all.

    Returns:
        The residuals by engine and class.

    Raises:
        ConfigError: An engine is unknown, or a number cannot be.
    """
    names = _checked_engines(engines)
    if not 1 <= n <= _MOST_SCENES:
        raise ConfigError(
            f"the number of scenes a class must lie in 1..{_MOST_SCENES:,}, got {n}",
            code="option-range",
            option="n",
            value=n,
        )
    check_seed(seed)
    rays = _rays(preset, supersampling)
    scenes = draw(preset, np.arange(n * len(preset.classes)), seed=seed)
    camera = preset.instrument
    reference = engine(REFERENCE).render(scenes, camera, supersampling=rays)
    sigma = noise_sigma(reference, scenes, camera)
    residuals: list[Residual] = []
    worst: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    for name in names:
        settings = engine_settings(name, engine_info(name).parity_precision)
        images = engine(name, **settings).render(scenes, camera, supersampling=rays)
        difference = images - reference
        for residual in _residuals(name, preset, difference, reference, sigma):
            residuals.append(residual)
            band = _worst_band(difference[residual.number], reference[residual.number])
            pixels = (residual.number, band)
            worst[name, residual.class_name] = (reference[pixels], difference[pixels])
    return Parity(preset.name, rays, tuple(residuals), worst)


def _rays(preset: Preset, supersampling: int | None) -> int:
    """Return the rays a pixel side that all engines get; refuse what cannot be."""
    rays: Supersampling = preset.supersampling
    if supersampling is not None:
        rays = supersampling
    elif rays == ADAPTIVE:
        rays = 1  # engines are compared ray by ray: their number does not matter
    if not isinstance(rays, int) or not 1 <= rays <= FINEST:
        raise ConfigError(
            f"supersampling must lie in 1..{FINEST} and be the same for all engines, "
            f"got {rays}",
            code="supersampling",
            rays=rays,
        )
    check_sampling(preset.instrument, rays)
    return rays


def _residuals(
    name: str,
    preset: Preset,
    difference: np.ndarray,
    reference: np.ndarray,
    sigma: np.ndarray,
) -> Iterator[Residual]:
    """Yield the residual of every class of one engine's images (N, C, H, W)."""
    by_peak = np.abs(difference) / np.abs(reference).max(_SIDES, keepdims=True)
    by_noise = np.abs(difference) / sigma
    sample_labels = labels(preset, np.arange(len(reference)))
    for label, class_name in enumerate(preset.class_names):
        rows = np.flatnonzero(sample_labels == label)
        yield Residual(
            engine=name,
            class_name=class_name,
            scenes=len(rows),
            max_peak=float(by_peak[rows].max()),
            rms_peak=_worst_rms(by_peak[rows]),
            max_noise=float(by_noise[rows].max()),
            rms_noise=_worst_rms(by_noise[rows]),
            number=int(rows[by_peak[rows].max(_PIXELS).argmax()]),
        )


def _worst_band(difference: np.ndarray, reference: np.ndarray) -> int:
    """Return the band of an image (C, H, W) with the largest residual by its own peak."""
    peaks = np.abs(reference).max((1, 2))
    return int((np.abs(difference).max((1, 2)) / peaks).argmax())


def _worst_rms(values: np.ndarray) -> float:
    """Return the largest root mean square over pixels of images (N, C, H, W)."""
    return float(np.sqrt((values**2).mean(_PIXELS)).max())
