"""Parity: the same scenes through every engine, and how far their images are apart."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.draw import draw, labels
from lenssim.simulate.engines import ENGINES, engine, engine_settings
from lenssim.simulate.instruments import ADAPTIVE, check_sampling
from lenssim.simulate.observe import noise_sigma
from lenssim.simulate.preset import Preset

__all__ = ["PRECISIONS", "REFERENCE", "TOLERANCE", "Parity", "Residual", "parity"]

REFERENCE = "lenstronomy"
PRECISIONS = {"batched": "float64"}  # what is compared is formulas, not single precision
TOLERANCE = {"batched": 1e-9, "autolens": 1e-7}  # of the peak, worst pixel


@dataclass(frozen=True)
class Residual:
    """How far one engine's noise-free images of one class are from the reference's, in the worst and the typical pixel.

    `max_*` is the largest of all pixels and scenes, `rms_*` the root mean square over pixels of the worst scene; in
    units of the image's peak and of its nominal noise. `number` is the sample that holds the largest residual.
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
        """Whether the largest residual is within `TOLERANCE`."""
        return bool(self.max_peak <= TOLERANCE.get(self.engine, TOLERANCE["autolens"]))


@dataclass(frozen=True)
class Parity:
    """A residual for every engine and class, and the worst scene of each as images: reference and difference (H, W)."""

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
            "tolerance": TOLERANCE,
            "residuals": [
                asdict(residual) | {"agrees": residual.agrees}
                for residual in self.residuals
            ],
        }


def parity(
    preset: Preset,
    n: int,
    *,
    seed: int = 0,
    supersampling: int | None = None,
    engines: Sequence[str] | None = None,
) -> Parity:
    """Draw `n` scenes of every class and compare the engines' images with lenstronomy's; batched in float64.

    All engines get the same supersampling and PSF. `ConfigError` for an unknown engine and numbers that cannot be.
    """
    engines = (
        [name for name in ENGINES if name != REFERENCE]
        if engines is None
        else list(engines)
    )
    for name in engines:
        if name not in ENGINES or name == REFERENCE:
            raise unknown(
                "engine to compare with lenstronomy", name, set(ENGINES) - {REFERENCE}
            )
    if n < 1:
        raise ConfigError(f"the number of scenes a class must be at least 1, got {n}")
    rays = preset.supersampling if supersampling is None else supersampling
    if supersampling is None and rays == ADAPTIVE:
        rays = 1  # engines are compared ray by ray: how many there are does not matter
    if not isinstance(rays, int) or not 1 <= rays <= 12:
        raise ConfigError(
            f"supersampling must lie in 1..12 and be the same for all engines, got {rays}"
        )
    camera = preset.instrument
    check_sampling(camera, rays)
    numbers = np.arange(n * len(preset.classes))
    scenes, own = draw(preset, numbers, seed=seed), labels(preset, numbers)
    reference = engine(REFERENCE).render(scenes, camera, supersampling=rays)
    sigma = noise_sigma(reference, scenes, camera)
    peak = np.abs(reference).max((1, 2, 3), keepdims=True)
    residuals: list[Residual] = []
    worst: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    for name in engines:
        settings = engine_settings(name, PRECISIONS.get(name))
        difference = (
            engine(name, **settings).render(scenes, camera, supersampling=rays) - reference
        )
        by_peak, by_noise = np.abs(difference) / peak, np.abs(difference) / sigma
        for label, class_name in enumerate(preset.class_names):
            rows = np.flatnonzero(own == label)
            each = [values[rows] for values in (by_peak, by_noise)]
            number = int(rows[each[0].max((1, 2, 3)).argmax()])
            rms = [float(np.sqrt((values**2).mean((1, 2, 3))).max()) for values in each]
            largest = [float(values.max()) for values in each]
            residuals.append(
                Residual(
                    name,
                    class_name,
                    len(rows),
                    largest[0],
                    rms[0],
                    largest[1],
                    rms[1],
                    number,
                )
            )
            worst[name, class_name] = (reference[number, 0], difference[number, 0])
    return Parity(preset.name, rays, tuple(residuals), worst)
