"""The batched engine: many scenes at once in torch, compiled, on CPU or GPU, differentiable."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lenssim.errors import ConfigError
from lenssim.simulate.bands import BandView, band_views
from lenssim.simulate.engines.batched.adaptive import (
    MARGIN,
    SamplingError,
    pad_edges,
    refined,
)
from lenssim.simulate.engines.batched.compilation import Axis
from lenssim.simulate.engines.batched.compilers import Job, announce
from lenssim.simulate.engines.batched.deflections import Deflections
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.optics import blur, pixel_flux
from lenssim.simulate.engines.batched.rays import SurfaceBrightness
from lenssim.simulate.engines.batched.tiles import (
    TILE,
    Rows,
    grid_rows,
    scattered_rows,
    untiled,
)
from lenssim.simulate.instruments import (
    ADAPTIVE,
    AnyCamera,
    Instrument,
    Supersampling,
    check_sampling,
)
from lenssim.simulate.noise.variance import pixel_variance
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.psf.choice import psf_values
from lenssim.simulate.scenes import Component, Scenes

__all__ = ["SCENES", "Batched", "scenes_a_step"]

SCENES = 64  # largest number of scenes a step
RAYS_A_STEP = 1 << 22  # of several scenes: bounds the memory
MAX_RAYS = 1 << 26  # rays an image, some GiB


class Batched:
    """Renders with our own profiles.

    An image's bits do not depend on the batch it is rendered in. The arguments are those of
    `batched_settings`.
    """

    def __init__(
        self, precision: str = "float32", device: str = "cpu", kernels: str = "compiled"
    ) -> None:
        self.dtype = getattr(torch, precision)
        self.device = torch.device(device)
        self.compiled = kernels == "compiled"
        self.deflections = Deflections(self.dtype, self.device, self.compiled)

    def render(
        self, scenes: Scenes, instrument: AnyCamera, *, supersampling: Supersampling = 1
    ) -> np.ndarray:
        """Return expected images (N, bands, H, W) in e-/s per pixel, in the engine's precision.

        Args:
            scenes: N scenes.
            instrument: The camera. Its bands share the deflections of perturbers where they
                share a grid of rays.
            supersampling: Rays a side of a pixel; "adaptive" puts rays where they are
                needed, see `adaptive`.

        Raises:
            ConfigError: The sampling does not fit the PSF, or an image has too many rays.
        """
        check_sampling(instrument, supersampling)
        size = instrument.num_pix
        step = scenes_a_step(instrument, supersampling)
        shape = (len(scenes), len(instrument.instruments), size, size)
        images = np.empty(shape, numpy_dtype(self.dtype))
        announce([*self.deflections.jobs(scenes), self._brightness_job(scenes)])
        with torch.inference_mode():
            for start in range(0, len(scenes), step):
                part = slice(start, min(start + step, len(scenes)))
                views = band_views(scenes.take(part), instrument)
                for band, image in self._render_step(views, supersampling, step):
                    images[part, band] = image.cpu().numpy()
        return images

    def _brightness_job(self, scenes: Scenes) -> Job:
        """Return the job of the kernel of the brightness."""
        image_shape = () if scenes.images is None else scenes.images.shape[1:]
        arguments = (scenes.components, image_shape, self.dtype, self.device, self.compiled)
        return f"{__name__}:_surface_brightness", arguments

    def _render_step(
        self, views: list[BandView], supersampling: Supersampling, step: int
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the images (N, H, W) of each band, with the number of the band."""
        for side, bands in _same_grids(views, supersampling).items():
            group = [views[band] for band in bands]
            fluxes = self._fluxes(group, side, supersampling)
            for band, flux in zip(bands, fluxes, strict=True):
                scenes, instrument = views[band]
                values = psf_values(instrument.psf, scenes.params)
                yield band, self.blurred(flux, instrument, step, values)

    def _fluxes(
        self, views: list[BandView], side: int, supersampling: Supersampling
    ) -> Iterator[Tensor]:
        """Yield the flux (N, fine H, fine W) [e-/s] of fine pixels in bands of one grid of rays."""
        _, camera = views[0]
        step = camera.pixel_scale / (side // camera.num_pix)
        lights, alpha = self._on_grid(views, side, step)
        for (scenes, instrument), brightness in zip(views, lights, strict=True):
            if supersampling == ADAPTIVE:
                yield self._adaptive_flux(scenes, instrument, brightness, alpha)
                continue
            fine = instrument.psf.supersampling
            rays = int(supersampling) // fine
            yield pixel_flux(brightness, rays, instrument.pixel_scale / fine)

    @staticmethod
    def blurred(
        flux: Tensor, instrument: Instrument, step: int, values: np.ndarray | None = None
    ) -> Tensor:
        """Return images as the camera takes them.

        Args:
            flux: Flux (N, fine H, fine W) [e-/s] at the PSF's resolution, N at most `step`.
            instrument: The camera.
            step: Number of images that are blurred at once.
            values: What tells which PSF each image has (N,), see `psf_values`.

        Returns:
            Images (N, H, W) [e-/s per pixel].
        """
        # The shape is always the same, so that matrix products are the same for every image.
        padded = torch.zeros(step, *flux.shape[1:], dtype=flux.dtype, device=flux.device)
        padded[: len(flux)] = flux
        if values is not None:
            values = np.pad(values, (0, step - len(values)), mode="edge")
        return blur(padded, instrument, values)[: len(flux)]

    def _adaptive_flux(
        self, scenes: Scenes, instrument: Instrument, brightness: Tensor, alpha: Tensor
    ) -> Tensor:
        """Return the flux (N, fine H, fine W) [e-/s] of fine pixels, from adaptive rays."""
        side = brightness.shape[-1]
        step = instrument.pixel_scale / instrument.psf.supersampling
        scale = torch.as_tensor(
            scenes.deflection_scale() / step, dtype=self.dtype, device=self.device
        )[:, None, None, None]
        smooth = _sampling_error(side, self.dtype, self.device, self.compiled)
        mean, error = smooth(
            pad_edges(brightness[:, None], MARGIN)[:, 0],
            pad_edges(scale * alpha, MARGIN - 1),
        )

        def trace_rays(points: Tensor, scene: Tensor) -> Tensor:
            rows, groups = scattered_rows(points, scene, len(scenes))
            alpha = self.deflections(scenes, rows)
            values = self.brightness(scenes, instrument, rows, alpha)
            return values.unflatten(1, (-1, points.shape[2])).flatten(0, 1)[groups]

        sigma = self._noise(scenes, instrument, brightness, step)
        return refined(trace_rays, mean, error, sigma, step) * step**2

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
        self, views: list[BandView], side: int, step: float
    ) -> tuple[list[Tensor], Tensor]:
        """Return brightness and the perturbers' deflection on a regular grid of rays.

        Returns:
            Brightness (N, side, side) of each band, and the deflection (N, 2, side, side).
        """
        scenes, _ = views[0]
        owner = torch.arange(len(scenes))
        alphas = []
        lights: list[list[Tensor]] = [[] for _ in views]
        for rays in grid_rows(side, step):
            rays_of_one = torch.from_numpy(rays).to(self.dtype).to(self.device)
            rows = Rows(rays_of_one.repeat(len(scenes), 1, 1), owner)
            alphas.append(self.deflections(scenes, rows))
            for light, view in zip(lights, views, strict=True):
                light.append(self.brightness(*view, rows, alphas[-1]))
        alpha = untiled(_joined(alphas).flatten(0, 1), side).unflatten(0, (-1, 2))
        return [untiled(_joined(light), side) for light in lights], alpha

    def brightness(
        self, scenes: Scenes, instrument: Instrument, rows: Rows, alpha: Tensor
    ) -> Tensor:
        """Return the brightness that rows of rays see.

        Args:
            scenes: N scenes.
            instrument: The camera, for its zero point.
            rows: R rows of P rays.
            alpha: Their deflection (R, 2, P) by the perturbers [arcsec].

        Returns:
            Brightness (R, P) [e-/s/arcsec^2].
        """
        _, arguments = self._brightness_job(scenes)
        surface_brightness = _surface_brightness(*arguments)
        owner = rows.owner.to(self.device)
        parameters = self.component_parameters(scenes, instrument)[owner]
        images = self.shown_images(scenes, rows.owner)
        return surface_brightness(rows.rays, alpha, parameters, *images)

    def component_parameters(self, scenes: Scenes, instrument: Instrument) -> Tensor:
        """Return the parameters (N, 1 + columns) of `SurfaceBrightness`."""
        columns = [scenes.deflection_scale()]
        for component in scenes.components:
            values = scenes.of(component, instrument.zero_point)
            columns += [values[name] for name in PROFILES[component.profile].columns]
        return torch.from_numpy(np.stack(columns, axis=1)).to(self.dtype).to(self.device)

    def shown_images(self, scenes: Scenes, owner: Tensor) -> list[Tensor]:
        """Return the images (R, H, W) of each interpolated component, for rows of rays.

        Args:
            scenes: N scenes.
            owner: Scene of each row (R,).
        """
        images: list[Tensor] = []
        for component in scenes.components:
            if component.profile == "interpolated" and scenes.images is not None:
                numbers = scenes.params[component.prefix + "image"].astype(np.int64)
                stack = torch.from_numpy(scenes.images[numbers[owner.numpy()]])
                images.append(stack.to(self.dtype).to(self.device))
        return images


def numpy_dtype(dtype: torch.dtype) -> type[np.floating]:
    """Return numpy's type of images in a precision of torch."""
    if dtype == torch.float32:
        return np.float32
    return np.float64


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Return the values of all rays, of those of some rays each."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat(list(parts), dim=-1)


def _same_grids(
    views: list[BandView], supersampling: Supersampling
) -> dict[int, list[int]]:
    """Return the numbers of the bands that share a grid of rays, by the rays a side of it."""
    grids: dict[int, list[int]] = {}
    for band, (_, instrument) in enumerate(views):
        rays_a_pixel = supersampling
        if rays_a_pixel == ADAPTIVE:
            rays_a_pixel = instrument.psf.supersampling
        grids.setdefault(instrument.num_pix * int(rays_a_pixel), []).append(band)
    return grids


def scenes_a_step(instrument: AnyCamera, supersampling: Supersampling) -> int:
    """Return the number of scenes rendered at a time.

    Raises:
        ConfigError: One image has more rays than fit into memory.
    """
    rays_a_pixel = supersampling
    if rays_a_pixel == ADAPTIVE:
        rays_a_pixel = max(band.psf.supersampling for band in instrument.instruments)
    side = instrument.num_pix * int(rays_a_pixel)
    if side**2 > MAX_RAYS:
        raise ConfigError(
            f"an image of {instrument.num_pix} x {instrument.num_pix} pixels of {supersampling} "
            f"rays a side has {side**2:.2g} rays, more than the {MAX_RAYS:.2g} that are kept in "
            "memory; lower num_pix or supersampling",
            code="too-many-rays",
            num_pix=instrument.num_pix,
            supersampling=supersampling,
        )
    return max(1, min(SCENES, RAYS_A_STEP // side**2))


@lru_cache
def _surface_brightness(
    components: tuple[Component, ...],
    image_shape: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
    compiled: bool,
) -> Callable[..., Tensor]:
    """Return the kernel of the brightness of components along rays."""
    options: Any = {"dtype": dtype, "device": device}
    count = 1 + sum(len(PROFILES[component.profile].columns) for component in components)
    image_count = sum(component.profile == "interpolated" for component in components)
    images = [torch.zeros(3, *image_shape, **options) for _ in range(image_count)]
    example = (
        torch.zeros(3, 2, 3 * TILE, **options),
        torch.zeros(3, 2, 3 * TILE, **options),
        torch.ones(3, count, **options),
        *images,
    )
    rows = Axis("rows")
    rays = {0: rows, 2: Axis("tiles", TILE)}
    dynamic: tuple[Any, ...] = (rays, rays, {0: rows})
    if images:
        dynamic = (*dynamic, tuple({0: rows} for _ in images))
    module = SurfaceBrightness(components)
    name = f"shine {components}"
    return kernel(module, example, name, dynamic, compiled=compiled, one_loop=False)


@lru_cache
def _sampling_error(
    side: int, dtype: torch.dtype, device: torch.device, compiled: bool
) -> Callable[..., Any]:
    """Return the kernel of the mean of smooth pixels and its expected error."""
    rows = Axis("rows")
    size = side + 2 * MARGIN
    example = (
        torch.zeros(3, size, size, dtype=dtype, device=device),
        torch.zeros(3, 2, size - 2, size - 2, dtype=dtype, device=device),
    )
    dynamic = ({0: rows}, {0: rows})
    return kernel(
        SamplingError(), example, "doubt", dynamic, compiled=compiled, one_loop=False
    )
