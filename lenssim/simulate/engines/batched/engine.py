"""The batched engine: many scenes at once in torch, compiled, on CPU or GPU, differentiable underneath."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lenssim.errors import ConfigError
from lenssim.simulate.engines.batched.adaptive import MARGIN, Doubt, bordered, refined
from lenssim.simulate.engines.batched.deflections import Deflections
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.optics import blur, pixel_flux
from lenssim.simulate.engines.batched.rays import Shine
from lenssim.simulate.engines.batched.tiles import (
    TILE,
    Rows,
    grid_rows,
    scattered_rows,
    untiled,
)
from lenssim.simulate.instruments import ADAPTIVE, Instrument, Supersampling, check_sampling
from lenssim.simulate.noise.variance import pixel_variance
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Component, Scenes

__all__ = ["SCENES", "Batched", "scenes_a_step"]

SCENES = 64  # scenes a step, at most
STEP_RAYS = 1 << 22  # rays a step, where more than one scene makes them: bounds memory
MOST_RAYS = 1 << 26  # rays an image, some GiB


class Batched:
    """Renders with our own profiles. An image's bits do not depend on the batch it is rendered in.

    The arguments are those of `batched_settings`.
    """

    def __init__(
        self, precision: str = "float32", device: str = "cpu", kernels: str = "compiled"
    ) -> None:
        self.dtype, self.device = getattr(torch, precision), torch.device(device)
        self.compiled = kernels == "compiled"
        self.deflections = Deflections(self.dtype, self.device, self.compiled)

    def render(
        self, scenes: Scenes, instrument: Instrument, *, supersampling: Supersampling = 1
    ) -> np.ndarray:
        """Expected images (N, 1, H, W) in e-/s per pixel, in the engine's precision.

        `supersampling` "adaptive" spends rays where they are needed, see `adaptive`.
        """
        check_sampling(instrument, supersampling)
        size, step = instrument.num_pix, scenes_a_step(instrument, supersampling)
        images = np.empty(
            (len(scenes), 1, size, size),
            np.float32 if self.dtype == torch.float32 else np.float64,
        )
        with torch.inference_mode():
            for start in range(0, len(scenes), step):
                part = slice(start, min(start + step, len(scenes)))
                images[part, 0] = (
                    self._render_step(scenes.take(part), instrument, supersampling)
                    .cpu()
                    .numpy()
                )
        return images

    def _render_step(
        self, scenes: Scenes, instrument: Instrument, supersampling: Supersampling
    ) -> Tensor:
        fine = instrument.psf.supersampling
        if supersampling == ADAPTIVE:
            flux = self._adaptive_flux(scenes, instrument, fine)
        else:
            flux = self._grid_flux(scenes, instrument, supersampling, fine)
        return self.blurred(flux, instrument, scenes_a_step(instrument, supersampling))

    @staticmethod
    def blurred(flux: Tensor, instrument: Instrument, step: int) -> Tensor:
        """Images (N, H, W) [e-/s] as the camera takes them, N at most `step`, of `flux` at the PSF's resolution."""
        whole = torch.zeros(step, *flux.shape[1:], dtype=flux.dtype, device=flux.device)
        whole[: len(flux)] = (
            flux  # always the same shape, so that the matrix products are the same for every image
        )
        return blur(whole, instrument)[: len(flux)]

    def _grid_flux(
        self, scenes: Scenes, instrument: Instrument, supersampling: int, fine: int
    ) -> Tensor:
        """Flux (N, fine H, fine W) [e-/s] of pixels `fine` times finer than the camera's, of a regular grid of rays."""
        side = instrument.num_pix * supersampling
        brightness, _ = self._on_grid(
            scenes, instrument, side, instrument.pixel_scale / supersampling
        )
        return pixel_flux(brightness, supersampling // fine, instrument.pixel_scale / fine)

    def _adaptive_flux(self, scenes: Scenes, instrument: Instrument, fine: int) -> Tensor:
        """The same from rays spent where they are needed."""
        side, step = instrument.num_pix * fine, instrument.pixel_scale / fine
        brightness, alpha = self._on_grid(scenes, instrument, side, step)
        like = {"dtype": self.dtype, "device": self.device}
        scale = torch.as_tensor(scenes.deflection_scale() / step, **like)[
            :, None, None, None
        ]
        smooth = _doubt(side, self.dtype, self.device, self.compiled)
        mean, doubt = smooth(
            bordered(brightness[:, None], MARGIN)[:, 0], bordered(scale * alpha, MARGIN - 1)
        )

        def look(points: Tensor, scene: Tensor) -> Tensor:
            rows, place = scattered_rows(points, scene, len(scenes))
            seen, _ = self.brightness(scenes, instrument, rows)
            return seen.unflatten(1, (-1, points.shape[2])).flatten(0, 1)[place]

        sigma = self._noise(scenes, instrument, brightness, step)
        return refined(look, mean, doubt, sigma, step) * step**2

    def _noise(
        self, scenes: Scenes, instrument: Instrument, brightness: Tensor, step: float
    ) -> Tensor:
        """Return the nominal noise (N, side, side) of the brightness of pixels of `step` arcsec."""
        exposure_time = scenes.params.get(
            "exposure_time", np.full(len(scenes), instrument.exposure_time)
        )
        # a finer pixel has its share of the background and all of the time
        share = (step / instrument.pixel_scale) ** 2
        background = torch.from_numpy(instrument.background(exposure_time) ** 2 * share)
        total = torch.from_numpy(instrument.total_exposure(exposure_time))
        variance = pixel_variance(
            brightness * step**2,
            background.to(brightness)[:, None, None],
            total.to(brightness)[:, None, None],
        )
        return variance.sqrt() / step**2

    def _on_grid(
        self, scenes: Scenes, instrument: Instrument, side: int, step: float
    ) -> tuple[Tensor, Tensor]:
        """Brightness (N, side, side) and the perturbers' deflection (N, 2, side, side) on a regular grid of rays."""
        owner, parts = torch.arange(len(scenes)), []
        for rays in grid_rows(side, step):
            rows = Rows(
                torch.from_numpy(rays)
                .to(self.dtype)
                .to(self.device)
                .repeat(len(scenes), 1, 1),
                owner,
            )
            parts.append(self.brightness(scenes, instrument, rows))
        brightness, alpha = (
            part[0] if len(part) == 1 else torch.cat(part, dim=-1)
            for part in zip(*parts, strict=True)
        )
        return untiled(brightness, side), untiled(alpha.flatten(0, 1), side).unflatten(
            0, (-1, 2)
        )

    def brightness(
        self, scenes: Scenes, instrument: Instrument, rows: Rows
    ) -> tuple[Tensor, Tensor]:
        """Brightness (R, P) [e-/s/arcsec^2] that rows of rays see, and the perturbers' deflection (R, 2, P)."""
        shape = None if scenes.images is None else scenes.images.shape[1:]
        shine = _shine(scenes.components, shape, self.dtype, self.device, self.compiled)
        owner = rows.owner.to(self.device)
        parameters = self.component_parameters(scenes, instrument)[owner]
        alpha = self.deflections(scenes, rows)
        return shine(
            rows.rays, alpha, parameters, *self.shown_images(scenes, rows.owner)
        ), alpha

    def component_parameters(self, scenes: Scenes, instrument: Instrument) -> Tensor:
        """Parameters (N, 1 + columns) of `Shine`."""
        columns = [scenes.deflection_scale()]
        for component in scenes.components:
            values = scenes.of(component, instrument.zero_point)
            columns += [values[name] for name in PROFILES[component.profile].columns]
        return torch.from_numpy(np.stack(columns, axis=1)).to(self.dtype).to(self.device)

    def shown_images(self, scenes: Scenes, owner: Tensor) -> list[Tensor]:
        """What each interpolated component shows: images (R, H, W) for rows of the scenes `owner` (R,)."""
        own = [
            component
            for component in scenes.components
            if component.profile == "interpolated"
        ]
        places = [
            scenes.params[component.prefix + "image"].astype(np.int64)[owner.numpy()]
            for component in own
        ]
        return [
            torch.from_numpy(scenes.images[place]).to(self.dtype).to(self.device)
            for place in places
        ]


def scenes_a_step(instrument: Instrument, supersampling: Supersampling) -> int:
    """Scenes rendered at a time; `ConfigError` if one image has more rays than fit into memory."""
    side = instrument.num_pix * (
        instrument.psf.supersampling if supersampling == ADAPTIVE else supersampling
    )
    if side**2 > MOST_RAYS:
        raise ConfigError(
            f"an image of {instrument.num_pix} x {instrument.num_pix} pixels of {supersampling} rays a side has "
            f"{side**2:.2g} rays, more than the {MOST_RAYS:.2g} that are kept in memory; lower num_pix or supersampling"
        )
    return max(1, min(SCENES, STEP_RAYS // side**2))


@lru_cache
def _shine(
    components: tuple[Component, ...],
    image_shape: tuple[int, int] | None,
    dtype: torch.dtype,
    device: torch.device,
    compiled: bool,
) -> Callable[..., Tensor]:
    rows, tiles = torch.export.Dim("rows"), torch.export.Dim("tiles")
    like = {"dtype": dtype, "device": device}
    count = 1 + sum(len(PROFILES[component.profile].columns) for component in components)
    images = [
        torch.zeros(3, *image_shape, **like)
        for c in components
        if c.profile == "interpolated"
    ]
    example = (
        torch.zeros(3, 2, 3 * TILE, **like),
        torch.zeros(3, 2, 3 * TILE, **like),
        torch.ones(3, count, **like),
        *images,
    )
    rays = {0: rows, 2: TILE * tiles}
    dynamic = (
        rays,
        rays,
        {0: rows},
        *([tuple({0: rows} for _ in images)] if images else []),
    )
    return kernel(
        Shine(components),
        example,
        f"shine {components}",
        dynamic,
        compiled=compiled,
        one_loop=False,
    )


@lru_cache
def _doubt(
    side: int, dtype: torch.dtype, device: torch.device, compiled: bool
) -> Callable[..., tuple[Tensor, Tensor]]:
    rows = torch.export.Dim("rows")
    example = (
        torch.zeros(3, side + 2 * MARGIN, side + 2 * MARGIN, dtype=dtype, device=device),
        torch.zeros(
            3, 2, side + 2 * MARGIN - 2, side + 2 * MARGIN - 2, dtype=dtype, device=device
        ),
    )
    return kernel(
        Doubt(), example, "doubt", ({0: rows}, {0: rows}), compiled=compiled, one_loop=False
    )
