"""Derivatives of images with respect to the parameters of lens and source, by forward differentiation of the engine."""

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.engines.batched.engine import SCENES, Batched, scenes_a_step
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.optics import pixel_flux
from lenssim.simulate.engines.batched.rays import Shine
from lenssim.simulate.engines.batched.tiles import RAYS, Rows, grid_rows, untiled
from lenssim.simulate.instruments import ADAPTIVE, Instrument, Supersampling, check_sampling
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Scenes

with (
    warnings.catch_warnings()
):  # torch makes its own forward derivatives with what it deprecates
    warnings.simplefilter("ignore", FutureWarning)
    import torch._decomp.decompositions_for_jvp

__all__ = ["differentiable", "jacobian", "regular"]

_TRACES = (2, 15)  # a release of torch that traces forward derivatives; 2.11 does not


class Slope(nn.Module):
    """Derivative of the brightness along one direction in the parameters of the components."""

    def __init__(self, components: tuple[Component, ...]) -> None:
        super().__init__()
        self.shine = Shine(components)

    def forward(
        self,
        rays: Tensor,
        alpha: Tensor,
        parameters: Tensor,
        tangent: Tensor,
        *images: Tensor,
    ) -> Tensor:
        """Derivative (R, P) at `rays` (R, 2, P) along `tangent` (R, 1 + columns); the rest as in `Shine`."""
        return torch.func.jvp(
            lambda values: self.shine(rays, alpha, values, *images),
            (parameters,),
            (tangent,),
        )[1]


def differentiable(components: Sequence[Component]) -> list[str]:
    """Columns of the engine that an image can be differentiated by, in the order of the components.

    They are a profile's own: `amp` where scenes have a `magnitude`, `theta_E` where they have a `mass`. An interpolated
    image has no derivative by which image it is.
    """
    return [
        c.prefix + name
        for c in components
        for name in PROFILES[c.profile].columns
        if name != "image"
    ]


def regular(instrument: Instrument, supersampling: Supersampling) -> int:
    """Rays a pixel side of the grid on which images of that sampling are differentiated."""
    return (
        max(2, instrument.psf.supersampling) if supersampling == ADAPTIVE else supersampling
    )


def jacobian(
    scenes: Scenes,
    instrument: Instrument,
    names: Sequence[str],
    *,
    supersampling: int = 1,
    precision: str = "float32",
    kernels: str = "compiled",
) -> np.ndarray:
    """Derivatives (N, len(names), H, W) of the expected images by columns of `differentiable`; perturbers stay put.

    In e-/s per pixel and unit of the column. `ConfigError` for a column that there is no derivative by.
    """
    check_sampling(instrument, supersampling)
    if supersampling == ADAPTIVE:
        raise ConfigError(
            "derivatives need a regular grid of rays: give supersampling as a number"
        )
    known = differentiable(scenes.components)
    for name in names:
        if name not in known:
            raise unknown("column to differentiate by", name, known)
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


def _step(
    engine: Batched,
    scenes: Scenes,
    instrument: Instrument,
    names: Sequence[str],
    supersampling: int,
) -> Tensor:
    columns = [
        c.prefix + name for c in scenes.components for name in PROFILES[c.profile].columns
    ]
    slope = _slope(scenes.components, engine.dtype, engine.compiled)
    parameters = engine.component_parameters(scenes, instrument)
    side = instrument.num_pix * supersampling
    fine = instrument.psf.supersampling
    seen = []
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
        seen.append(torch.stack(brightness, dim=1))
    light = untiled(torch.cat(seen, dim=2).flatten(0, 1), side)
    flux = pixel_flux(light, supersampling // fine, instrument.pixel_scale / fine)
    step = scenes_a_step(instrument, supersampling)
    parts = [engine.blurred(part, instrument, step) for part in flux.split(step)]
    return torch.cat(parts).unflatten(0, (len(scenes), -1))


@lru_cache
def _slope(
    components: tuple[Component, ...], dtype: torch.dtype, compiled: bool
) -> Callable[..., Tensor]:
    module = Slope(components)
    traced = torch.__version__ >= _TRACES and all(
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
    of_all = kernel(
        module, example, f"slope {components}", (None,) * 4, compiled=True, one_loop=False
    )

    def slope(*tensors: Tensor) -> Tensor:
        """Torch traces derivatives for a fixed number of rows only: the last is repeated to fill them."""
        rows = torch.arange(SCENES).clamp(max=len(tensors[0]) - 1)
        return of_all(*(tensor[rows] for tensor in tensors))[: len(tensors[0])]

    return slope
