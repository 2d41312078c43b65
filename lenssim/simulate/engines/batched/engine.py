"""The batched engine: many scenes at once in torch, compiled, on CPU or GPU, differentiable underneath."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.engines.batched.deflections import Deflections
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.optics import blur, pixel_flux, resolution
from lenssim.simulate.engines.batched.rays import Shine
from lenssim.simulate.engines.batched.tiles import RAYS, Rows, grid_rows, untiled
from lenssim.simulate.instruments import Instrument, check_sampling
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Scenes

__all__ = ["Batched"]

SCENES = 64  # scenes a step: bounds memory


class Batched:
    """Renders with our own profiles. An image's bits do not depend on the batch it is rendered in.

    The arguments are those of `batched_settings`.
    """

    def __init__(self, precision: str = "float32", device: str = "cpu", kernels: str = "compiled") -> None:
        self.dtype, self.device = getattr(torch, precision), torch.device(device)
        self.compiled = kernels == "compiled"
        self.deflections = Deflections(self.dtype, self.device, self.compiled)

    def render(self, scenes: Scenes, instrument: Instrument, *, supersampling: int = 1) -> np.ndarray:
        """Expected images (N, 1, H, W) in e-/s per pixel, in the engine's precision."""
        check_sampling(instrument, supersampling)
        size = instrument.num_pix
        images = np.empty((len(scenes), 1, size, size), np.float32 if self.dtype == torch.float32 else np.float64)
        with torch.inference_mode():
            for start in range(0, len(scenes), SCENES):
                part = slice(start, min(start + SCENES, len(scenes)))
                images[part, 0] = self._render_step(scenes.take(part), instrument, supersampling).cpu().numpy()
        return images

    def _render_step(self, scenes: Scenes, instrument: Instrument, supersampling: int) -> Tensor:
        fine = resolution(instrument)
        flux = self._grid_flux(scenes, instrument, supersampling, fine)
        whole = torch.zeros(SCENES, *flux.shape[1:], dtype=flux.dtype, device=flux.device)
        whole[: len(flux)] = flux  # always the same shape, so that the matrix products are the same for every image
        return blur(whole, instrument)[: len(flux)]

    def _grid_flux(self, scenes: Scenes, instrument: Instrument, supersampling: int, fine: int) -> Tensor:
        """Flux (N, fine H, fine W) [e-/s] of pixels `fine` times finer than the camera's, of a regular grid of rays."""
        side = instrument.num_pix * supersampling
        owner, brightness = torch.arange(len(scenes)), []
        for rays in grid_rows(side, instrument.pixel_scale / supersampling):
            rows = Rows(torch.from_numpy(rays)[None].to(self.dtype).to(self.device), owner)
            brightness.append(self.brightness(scenes, instrument, rows))
        light = untiled(torch.cat(brightness, dim=1) if len(brightness) > 1 else brightness[0], side)
        return pixel_flux(light, supersampling // fine, instrument.pixel_scale / fine)

    def brightness(self, scenes: Scenes, instrument: Instrument, rows: Rows) -> Tensor:
        """Brightness (R, RAYS) [e-/s/arcsec^2] that rows of rays see."""
        shape = None if scenes.images is None else scenes.images.shape[1:]
        shine = _shine(scenes.components, shape, rows.shared, self.dtype, self.device, self.compiled)
        owner = rows.owner.to(self.device)
        parameters = self.component_parameters(scenes, instrument)[owner]
        images, places = self._images(scenes)
        return shine(rows.rays, self.deflections(scenes, rows), parameters, *(images[p[owner]] for p in places))

    def component_parameters(self, scenes: Scenes, instrument: Instrument) -> Tensor:
        """Parameters (N, 1 + columns) of `Shine`."""
        columns = [scenes.deflection_scale()]
        for component in scenes.components:
            values = scenes.of(component, instrument.zero_point)
            columns += [values[name] for name in PROFILES[component.profile].columns]
        return torch.from_numpy(np.stack(columns, axis=1)).to(self.dtype).to(self.device)

    def _images(self, scenes: Scenes) -> tuple[Tensor | None, list[Tensor]]:
        """Images (K, H, W), and for each interpolated component which of them (N,) its scenes show."""
        own = [component for component in scenes.components if component.profile == "interpolated"]
        if not own:
            return None, []
        places = [scenes.params[component.prefix + "image"].astype(np.int64) for component in own]
        images = torch.from_numpy(scenes.images).to(self.dtype).to(self.device)
        return images, [torch.from_numpy(place).to(self.device) for place in places]


@lru_cache
def _shine(
    components: tuple[Component, ...],
    image_shape: tuple[int, int] | None,
    shared: bool,
    dtype: torch.dtype,
    device: torch.device,
    compiled: bool,
) -> Callable[..., Tensor]:
    rows = torch.export.Dim("rows")
    like = {"dtype": dtype, "device": device}
    count = 1 + sum(len(PROFILES[component.profile].columns) for component in components)
    images = [torch.zeros(3, *image_shape, **like) for c in components if c.profile == "interpolated"]
    example = (
        torch.zeros(1 if shared else 3, 2, RAYS, **like),
        torch.zeros(3, 2, RAYS, **like),
        torch.ones(3, count, **like),
        *images,
    )
    dynamic = (
        None if shared else {0: rows},
        {0: rows},
        {0: rows},
        *([tuple({0: rows} for _ in images)] if images else []),
    )
    return kernel(Shine(components), example, f"shine {components}", dynamic, compiled=compiled)
