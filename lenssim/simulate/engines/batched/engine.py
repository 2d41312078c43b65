"""The batched engine: many scenes at once in torch, compiled, on CPU or GPU, differentiable underneath."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lenssim.errors import ConfigError
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.optics import blur, pixel_flux, ray_grid, resolution
from lenssim.simulate.engines.batched.rays import LIGHT, MASS, Deflect, Shine
from lenssim.simulate.instruments import Instrument, check_sampling
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Perturbers, Scenes

__all__ = ["Batched"]

RAYS = 4096  # rays a row: one 64 x 64 stamp; larger stamps and finer grids are more rows
PERTURBERS = 25  # perturbers a row: divides the published subhaloes (25) and beads (100); others are filled up
ROWS = 16  # rows a kernel call on the CPU, so that a call's numbers stay in cache
SCENES = 64  # scenes a step: bounds memory


class Batched:
    """Renders with our own profiles. Shapes of kernel calls never change, so bits do not depend on the batch.

    The arguments are those of `batched_settings`.
    """

    def __init__(self, precision: str = "float32", device: str = "cpu", kernels: str = "compiled") -> None:
        self.dtype, self.device = getattr(torch, precision), torch.device(device)
        self.compiled = kernels == "compiled"

    def render(self, scenes: Scenes, instrument: Instrument, *, supersampling: int = 1) -> np.ndarray:
        """Expected images (N, 1, H, W) in e-/s per pixel, in the engine's precision."""
        _check_known(scenes)
        check_sampling(instrument, supersampling)
        size = instrument.num_pix
        images = np.empty((len(scenes), 1, size, size), np.float32 if self.dtype == torch.float32 else np.float64)
        with torch.inference_mode():
            for start in range(0, len(scenes), SCENES):
                part = slice(start, min(start + SCENES, len(scenes)))
                images[part, 0] = self._render_step(scenes.take(part), instrument, supersampling).cpu().numpy()
        return images

    def _render_step(self, scenes: Scenes, instrument: Instrument, supersampling: int) -> Tensor:
        x, y = ray_grid(instrument.num_pix, instrument.pixel_scale, supersampling)
        tiles = -(-len(x) // RAYS)
        grid = torch.zeros(2, tiles * RAYS, dtype=self.dtype)
        grid[:, : len(x)] = torch.from_numpy(np.stack([x, y]))
        rays = grid.reshape(2, tiles, RAYS).transpose(0, 1).repeat(len(scenes), 1, 1).to(self.device)
        owner = torch.arange(len(scenes)).repeat_interleave(tiles)  # scene of each row
        light = self._brightness(scenes, instrument, rays, owner)
        light = light.reshape(len(scenes), -1)[:, : len(x)]
        fine = resolution(instrument)
        flux = pixel_flux(light, instrument.num_pix * fine, instrument.pixel_scale / fine, supersampling // fine)
        whole = torch.zeros(SCENES, *flux.shape[1:], dtype=flux.dtype, device=flux.device)
        whole[: len(flux)] = flux  # always the same shape, so that the matrix products are the same for every image
        return blur(whole, instrument)[: len(flux)]

    def _brightness(self, scenes: Scenes, instrument: Instrument, rays: Tensor, owner: Tensor) -> Tensor:
        """Brightness (R, P) of rows: `rays` (R, 2, P), and the scene (R,) that each row belongs to."""
        alpha = torch.zeros_like(rays)
        for kind, table in scenes.perturbers.items():
            self._add_perturbers(alpha, kind, table, rays, owner)
        shape = None if scenes.images is None else scenes.images.shape[1:]
        shine = _shine(scenes.components, shape, self.dtype, self.device, self.compiled)
        parameters = self._component_parameters(scenes, instrument)[owner]
        images, places = self._images(scenes)
        return torch.cat(
            [
                _in_rows(shine, rays[p], alpha[p], parameters[p], *(images[place[owner[p]]] for place in places))
                for p in _parts(len(owner))
            ]
        )

    def _images(self, scenes: Scenes) -> tuple[Tensor | None, list[Tensor]]:
        """Images (K, H, W), and for each interpolated component which of them (N,) its scenes show."""
        own = [component for component in scenes.components if component.profile == "interpolated"]
        if not own:
            return None, []
        places = [torch.from_numpy(scenes.params[component.prefix + "image"].astype(np.int64)) for component in own]
        return torch.from_numpy(scenes.images).to(self.dtype).to(self.device), places

    def _add_perturbers(self, alpha: Tensor, kind: str, table: Perturbers, rays: Tensor, owner: Tensor) -> None:
        deflect = _deflect(kind, self.dtype, self.device, self.compiled)
        columns = np.stack([table.columns[name] for name in PROFILES[kind].columns], axis=1)
        flat = torch.from_numpy(np.concatenate([columns, [PROFILES[kind].idle]])).to(self.dtype)
        counts, starts = torch.from_numpy(table.counts), torch.from_numpy(table.offset[:-1])
        for chunk in range(0, int(table.counts.max(initial=0)), PERTURBERS):
            rows = torch.nonzero(counts[owner] > chunk)[:, 0]
            within = chunk + torch.arange(PERTURBERS)
            scene = owner[rows, None]
            place = torch.where(within < counts[scene], starts[scene] + within, len(columns))
            parameters = flat[place].to(self.device)
            for part in _parts(len(rows)):
                own = rows[part].to(self.device)
                alpha[own] += _in_rows(deflect, rays[own], parameters[part])

    def _component_parameters(self, scenes: Scenes, instrument: Instrument) -> Tensor:
        columns = [scenes.deflection_scale()]
        for component in scenes.components:
            values = scenes.of(component, instrument.zero_point)
            columns += [values[name] for name in PROFILES[component.profile].columns]
        return torch.from_numpy(np.stack(columns, axis=1)).to(self.dtype).to(self.device)


def _check_known(scenes: Scenes) -> None:
    for kind in (*scenes.perturbers, *(c.profile for c in scenes.components)):
        if kind not in MASS and kind not in LIGHT:
            raise ConfigError(f"the batched engine has no profile {kind!r}; render with --engine lenstronomy")


def _parts(rows: int) -> list[slice]:
    return [slice(start, min(start + ROWS, rows)) for start in range(0, rows, ROWS)]


def _in_rows(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Call a kernel, which takes `ROWS` rows; where fewer are left, the last is repeated and left out of the result."""
    rows = len(tensors[0])
    if rows == ROWS:
        return function(*tensors)
    index = torch.arange(ROWS, device=tensors[0].device).clamp(max=rows - 1)
    return function(*(tensor[index] for tensor in tensors))[:rows]


@lru_cache
def _deflect(kind: str, dtype: torch.dtype, device: torch.device, compiled: bool) -> Callable[..., Tensor]:
    rays = torch.zeros(ROWS, 2, RAYS, dtype=dtype, device=device)
    parameters = torch.zeros(ROWS, PERTURBERS, len(PROFILES[kind].columns), dtype=dtype, device=device)
    return kernel(Deflect(kind), (rays, parameters), f"deflect {kind}", compiled=compiled)


@lru_cache
def _shine(
    components: tuple[Component, ...],
    image_shape: tuple[int, int] | None,
    dtype: torch.dtype,
    device: torch.device,
    compiled: bool,
) -> Callable[..., Tensor]:
    rays = torch.zeros(ROWS, 2, RAYS, dtype=dtype, device=device)
    count = 1 + sum(len(PROFILES[component.profile].columns) for component in components)
    parameters = torch.ones(ROWS, count, dtype=dtype, device=device)
    shown = [component for component in components if component.profile == "interpolated"]
    images = [torch.zeros(ROWS, *image_shape, dtype=dtype, device=device) for _ in shown]
    example = (rays, rays.clone(), parameters, *images)
    return kernel(Shine(components), example, f"shine {components}", compiled=compiled)
