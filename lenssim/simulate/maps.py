"""Maps: what else can be computed of a simulated image, pixel by pixel or as one number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.engines import check_convergence, check_derivatives
from lenssim.simulate.instruments import AnyCamera, Supersampling
from lenssim.simulate.noise import noise_model
from lenssim.simulate.noise.model import FLUX_UNIT
from lenssim.simulate.scenes import Scenes

__all__ = [
    "FIT_MODULES",
    "MAPS",
    "Map",
    "MapInput",
    "ResidualStart",
    "check_detectability",
    "check_maps",
    "map_modules",
]

FIT_MODULES = {
    "truth": "lenssim.simulate.engines.batched.fit",
    "search": "lenssim.simulate.fit.residual",
}
DETECTABILITY_MODULE = "lenssim.simulate.engines.batched.detectability"


ResidualStart = Literal["truth", "search"]
"""Where the fit behind a residual starts: at the true lens, or at a search's minimum."""


@dataclass(frozen=True)
class MapInput:
    """What a map is computed from: images (N, C, H, W), their scenes, their rendering."""

    expected: np.ndarray
    observed: np.ndarray
    scenes: Scenes
    instrument: AnyCamera
    engine_settings: Mapping[str, Any]
    supersampling: Supersampling
    sigma: Callable[[], np.ndarray]
    mask: Callable[[], np.ndarray]
    arcs: Callable[[], np.ndarray]
    twin: Callable[[], np.ndarray]
    residual_from: ResidualStart = "truth"

    @property
    def derivative_options(self) -> dict[str, Any]:
        """Options of whatever takes derivatives of the engine."""
        names = ("precision", "kernels")
        options = {name: self.engine_settings[name] for name in names}
        return options | {"supersampling": self.supersampling}


def _clean(images: MapInput) -> np.ndarray:
    """Return the images without noise."""
    return images.expected


def _sigma(images: MapInput) -> np.ndarray:
    """Return the noise map: the rms before resampling, 1e8 where no exposure saw a pixel."""
    return images.sigma()


def _mask(images: MapInput) -> np.ndarray:
    """Return 1 where a pixel was seen, and 0 where it is masked."""
    return images.mask()


def _arcs(images: MapInput) -> np.ndarray:
    """Return the lensed light of the sources alone, without noise."""
    return images.arcs()


def _twin(images: MapInput) -> np.ndarray:
    """Return the images as they would be without sources, with the same noise."""
    return images.twin()


def _kappa(images: MapInput) -> np.ndarray:
    """Return the convergence of the perturbers."""
    # only now: it imports torch
    from lenssim.simulate.engines.batched.convergence import convergence

    names = ("precision", "device", "kernels")
    options = {name: images.engine_settings[name] for name in names}
    return convergence(images.scenes, images.instrument, **options)


def _residual(images: MapInput) -> np.ndarray:
    """Return what the best smooth lens leaves of the images, in sigma."""
    if images.residual_from == "search":
        from lenssim.simulate.fit.residual import searched_residual

        return searched_residual(
            images.observed,
            images.scenes,
            images.instrument,
            mask=images.mask(),
            **images.derivative_options,
        )
    from lenssim.simulate.engines.batched.fit import smooth_residual

    return smooth_residual(
        images.observed, images.scenes, images.instrument, **images.derivative_options
    )


def _no_check(engine: str, settings: Mapping[str, Any], noise: str) -> None:
    """Accept every engine."""


def _check_kappa(engine: str, settings: Mapping[str, Any], noise: str) -> None:
    """Refuse engines that do not compute the convergence."""
    check_convergence(engine)


def _check_residual(engine: str, settings: Mapping[str, Any], noise: str) -> None:
    """Refuse engines without derivatives, and noise of other units than the light's."""
    check_derivatives(engine, settings, "residuals need", "residual")
    if noise_model(noise).unit != FLUX_UNIT:
        raise ConfigError(
            "residuals need images in e-/s with noise of a known sigma; "
            "give --noise nominal, or leave residual out",
            code="no-residual",
        )


def _check_sigma(engine: str, settings: Mapping[str, Any], noise: str) -> None:
    """Refuse noise of other units than the light's."""
    if noise_model(noise).unit != FLUX_UNIT:
        raise ConfigError(
            f"the map sigma is in {FLUX_UNIT}, and noise {noise} in another unit; leave sigma "
            "out",
            code="truth-noise",
            noise=noise,
        )


@dataclass(frozen=True)
class Map:
    """A map: its unit, its function, the check of its engine and noise, and whether bands differ."""

    unit: str
    compute: Callable[[MapInput], np.ndarray]
    check: Callable[[str, Mapping[str, Any], str], None] = _no_check
    has_bands: bool = True


MAPS = {
    "clean": Map(FLUX_UNIT, _clean),
    "kappa": Map("", _kappa, _check_kappa, has_bands=False),
    "residual": Map("", _residual, _check_residual),
    "sigma": Map(FLUX_UNIT, _sigma, _check_sigma),
    "mask": Map("", _mask),
    "arcs": Map(FLUX_UNIT, _arcs),
    "twin": Map(FLUX_UNIT, _twin),
}


def check_maps(
    names: Sequence[str], engine: str, settings: Mapping[str, Any], noise: str
) -> tuple[str, ...]:
    """Return the names of maps in the order of `MAPS`.

    Raises:
        ConfigError: There is no such map, or engine or noise do not serve.
    """
    for name in names:
        if name not in MAPS:
            raise unknown("truth", name, MAPS, code="unknown-map")
    for name in names:
        MAPS[name].check(engine, settings, noise)
    return tuple(name for name in MAPS if name in names)


def check_detectability(engine: str, settings: Mapping[str, Any]) -> None:
    """Refuse engines that cannot say how well a sample's perturbers could be detected."""
    check_derivatives(engine, settings, "detectability needs", "--detectability")


def map_modules(
    maps: Sequence[str], detectability: bool, residual_from: ResidualStart = "truth"
) -> list[str]:
    """Return the modules that take long to import and that maps and detectability need."""
    modules: list[str] = []
    if detectability:
        modules.append(DETECTABILITY_MODULE)
    if "residual" in maps:
        modules.append(FIT_MODULES[residual_from])
    return modules
