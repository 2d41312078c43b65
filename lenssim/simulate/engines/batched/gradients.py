"""Derivatives of images by the parameters of lens and source, by forward differentiation."""

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.bands import BandView
from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.optics import pixel_flux
from lenssim.simulate.engines.batched.rays import SurfaceBrightness
from lenssim.simulate.engines.batched.steps import SCENES, scenes_a_step
from lenssim.simulate.engines.batched.tiles import RAYS, Rows, grid_rows, untiled
from lenssim.simulate.instruments import (
    ADAPTIVE,
    AnyCamera,
    Instrument,
    Supersampling,
    check_sampling,
    coarsest_sampling,
)
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.psf.choice import psf_values
from lenssim.simulate.scenes import Component, Scenes
from lenssim.simulate.source_planes import has_further_planes

# torch makes its own forward derivatives with functions that it deprecates
with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    import torch._decomp.decompositions_for_jvp

__all__ = [
    "BandColumn",
    "band_columns",
    "band_jacobian",
    "differentiable",
    "jacobian",
    "regular",
]

BandColumn = tuple[str, int | None]
"""A column, and the number of the band that it belongs to; None for one of all bands."""

_TRACING_TORCH = "2.15"  # this release traces forward derivatives; 2.11 does not


class Slope(nn.Module):
    """Derivative of the brightness along one direction in the parameters of the components."""

    def __init__(self, components: tuple[Component, ...]) -> None:
        super().__init__()
        self.surface_brightness = SurfaceBrightness(components)

    def forward(
        self,
        rays: Tensor,
        alpha: Tensor,
        parameters: Tensor,
        tangent: Tensor,
        *images: Tensor,
    ) -> Tensor:
        """Return the derivative (R, P) at `rays` (R, 2, P) along `tangent` (R, 1 + columns).

        Other arguments are those of `SurfaceBrightness`.
        """
        return torch.func.jvp(
            lambda values: self.surface_brightness(rays, alpha, values, *images),
            (parameters,),
            (tangent,),
        )[1]


def differentiable(components: Sequence[Component]) -> list[str]:
    """Return the engine's columns that an image can be differentiated by.

    They are in the order of the components, and a profile's own: `amp` where scenes have a
    `magnitude`, `theta_E` where they have a `mass`. There is no derivative by the number of
    an interpolated image.
    """
    return [name for name in _columns(components) if not _is_image(name, components)]


def _columns(components: Sequence[Component]) -> list[str]:
    """Return the engine's columns of all components, with their prefixes."""
    names: list[str] = []
    for component in components:
        names += [component.prefix + name for name in PROFILES[component.profile].columns]
    return names


def _is_image(name: str, components: Sequence[Component]) -> bool:
    """Return whether a column says which image an interpolated component shows."""
    return any(
        name == component.prefix + "image"
        for component in components
        if component.profile == "interpolated"
    )


def regular(camera: AnyCamera, supersampling: Supersampling) -> int:
    """Return the rays a pixel side of the grid on which images of a sampling are differentiated."""
    if supersampling == ADAPTIVE:
        return max(2, coarsest_sampling(camera))
    return int(supersampling)


def jacobian(
    scenes: Scenes,
    instrument: Instrument,
    names: Sequence[str],
    *,
    supersampling: int = 1,
    precision: str = "float32",
    kernels: str = "compiled",
) -> np.ndarray:
    """Return derivatives of the expected images by columns of `differentiable`.

    Perturbers do not change.

    Args:
        scenes: N scenes.
        instrument: The camera.
        names: K columns to differentiate by.
        supersampling: Rays a side of a pixel.
        precision: "float32" or "float64".
        kernels: "compiled" or "eager".

    Returns:
        Derivatives (N, K, H, W) [e-/s per pixel and unit of the column].

    Raises:
        ConfigError: There is no derivative by a column, or the sampling is adaptive.
    """
    check_sampling(instrument, supersampling)
    _check_differentiable(scenes.components, names, supersampling)
    if has_further_planes(scenes):
        raise ConfigError(
            "derivatives are those of one source plane, and a source has a redshift of its own",
            code="engine-options",
        )
    engine = Batched(precision, "cpu", kernels)
    derivatives = np.empty(
        (len(scenes), len(names), instrument.num_pix, instrument.num_pix)
    )
    with torch.no_grad():
        step = scenes_a_step(instrument, supersampling)
        for start in range(0, len(scenes), step):
            part = slice(start, min(start + step, len(scenes)))
            derivatives[part] = _step(
                engine, scenes.take(part), instrument, names, supersampling
            ).numpy()
    return derivatives


def band_columns(components: Sequence[Component], bands: int) -> list[BandColumn]:
    """Return what images of several bands can be differentiated by.

    Light has an amplitude of its own in each band; all else is the same in all of them.

    Args:
        components: The components of the scenes.
        bands: The number of bands.

    Example:
        >>> source = Component("source", "sersic", "source_")
        >>> band_columns([source], 2)[-2:]
        [('source_amp', 0), ('source_amp', 1)]
    """
    amplitudes = {component.prefix + "amp" for component in components}
    columns: list[BandColumn] = []
    for name in differentiable(components):
        if name in amplitudes:
            columns += [(name, band) for band in range(bands)]
        else:
            columns.append((name, None))
    return columns


def band_jacobian(
    views: Sequence[BandView], columns: Sequence[BandColumn], **options: Any
) -> np.ndarray:
    """Return derivatives of the expected images in all bands.

    Args:
        views: N scenes and the instrument of each of the bands, see `band_views`.
        columns: K columns of `band_columns`.
        **options: Options of `jacobian`.

    Returns:
        Derivatives (N, K, bands, H, W), 0 by the columns of other bands.
    """
    derivatives = []
    for band, (scenes, instrument) in enumerate(views):
        rows = [k for k, (_, owner) in enumerate(columns) if owner in (None, band)]
        names = [columns[k][0] for k in rows]
        of_band = jacobian(scenes, instrument, names, **options)
        if len(rows) < len(columns):
            padded = np.zeros((len(scenes), len(columns), *of_band.shape[2:]))
            padded[:, rows] = of_band
            of_band = padded
        derivatives.append(of_band)
    if len(derivatives) == 1:
        return derivatives[0][:, :, None]
    return np.stack(derivatives, axis=2)


def _check_differentiable(
    components: Sequence[Component], names: Sequence[str], supersampling: Supersampling
) -> None:
    if supersampling == ADAPTIVE:
        raise ConfigError(
            "derivatives need a regular grid of rays: give supersampling as a number",
            code="engine-options",
        )
    columns = differentiable(components)
    for name in names:
        if name not in columns:
            raise unknown(
                "column to differentiate by", name, columns, code="unknown-parameter"
            )


def _step(
    engine: Batched,
    scenes: Scenes,
    instrument: Instrument,
    names: Sequence[str],
    supersampling: int,
) -> Tensor:
    columns = _columns(scenes.components)
    slope = _slope(scenes.components, engine.dtype, engine.compiled)
    parameters = engine.component_parameters(scenes, instrument)
    side = instrument.num_pix * supersampling
    fine = instrument.psf.supersampling
    light_parts = []
    for rays in grid_rows(side, instrument.pixel_scale / supersampling):
        rows = Rows(
            torch.from_numpy(rays).to(engine.dtype).repeat(len(scenes), 1, 1),
            torch.arange(len(scenes)),
        )
        alpha = engine.deflections(scenes, rows)
        images = engine.shown_images(scenes, rows.owner)
        brightness = []
        for name in names:
            tangent = torch.zeros_like(parameters)
            tangent[:, 1 + columns.index(name)] = 1
            brightness.append(slope(rows.rays, alpha, parameters, tangent, *images))
        light_parts.append(torch.stack(brightness, dim=1))
    light = untiled(torch.cat(light_parts, dim=2).flatten(0, 1), side)
    flux = pixel_flux(light, supersampling // fine, instrument.pixel_scale / fine)
    step = scenes_a_step(instrument, supersampling)
    values = psf_values(instrument.psf, scenes.params)
    if values is not None:
        values = np.repeat(values, len(names))
    parts = []
    for start in range(0, len(flux), step):
        part = slice(start, start + step)
        values_of_part = None if values is None else values[part]
        parts.append(engine.blurred(flux[part], instrument, step, values_of_part))
    return torch.cat(parts).unflatten(0, (len(scenes), -1))


@lru_cache
def _slope(
    components: tuple[Component, ...], dtype: torch.dtype, compiled: bool
) -> Callable[..., Tensor]:
    module = Slope(components)
    traced = torch.__version__ >= _TRACING_TORCH and all(
        component.profile != "interpolated" for component in components
    )
    if not (compiled and traced):
        return module
    count = 1 + sum(len(PROFILES[component.profile].columns) for component in components)
    example = (
        torch.zeros(SCENES, 2, RAYS, dtype=dtype),
        torch.zeros(SCENES, 2, RAYS, dtype=dtype),
        *(torch.ones(SCENES, count, dtype=dtype) for _ in range(2)),
    )
    full = kernel(
        module, example, f"slope {components}", (None,) * 4, compiled=True, one_loop=False
    )

    def slope(*tensors: Tensor) -> Tensor:
        # torch traces derivatives for a fixed number of rows only: the last one is repeated
        rows = torch.arange(SCENES).clamp(max=len(tensors[0]) - 1)
        return full(*(tensor[rows] for tensor in tensors))[: len(tensors[0])]

    return slope
