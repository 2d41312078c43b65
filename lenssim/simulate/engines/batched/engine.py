"""The batched engine: many scenes at once in torch, compiled, on CPU or GPU, differentiable."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.bands import BandView, band_views
from lenssim.simulate.engines.batched.adaptive import (
    MARGIN,
    pad_edges,
    refined,
)
from lenssim.simulate.engines.batched.compilers import announce
from lenssim.simulate.engines.batched.deflections import Deflections
from lenssim.simulate.engines.batched.hoisted import (
    behind_lens,
    common_lens,
    unit_deflection,
)
from lenssim.simulate.engines.batched.jobs import needed_jobs
from lenssim.simulate.engines.batched.light import sampling_error, surface_brightness
from lenssim.simulate.engines.batched.optics import banded, blur, pixel_sum
from lenssim.simulate.engines.batched.settings import FAR_HALOES
from lenssim.simulate.engines.batched.steps import scenes_a_step
from lenssim.simulate.engines.batched.threads import one_thread
from lenssim.simulate.engines.batched.tiles import (
    RASTER,
    TILED,
    Rows,
    grid_rays,
    joined,
    on_grid,
    scattered_rows,
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
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.source_planes import each_source_plane

__all__ = ["Batched", "numpy_dtype"]


class Batched:
    """Renders with our own profiles.

    An image's bits do not depend on the batch it is rendered in. The arguments are those of
    `batched_settings`; `far_field` names the masses that are points from afar.
    """

    def __init__(
        self,
        precision: str = "float32",
        device: str = "cpu",
        kernels: str = "compiled",
        far_field: str = FAR_HALOES,
    ) -> None:
        self.dtype = getattr(torch, precision)
        self.device = torch.device(device)
        self.compiled = kernels == "compiled"
        self.deflections = Deflections(self.dtype, self.device, self.compiled, far_field)

    @each_source_plane
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
        size = instrument.num_pix
        shape = (len(scenes), len(instrument.instruments), size, size)
        images = np.empty(shape, numpy_dtype(self.dtype))
        with one_thread(self.compiled and self.device.type == "cpu"):
            for part, band, image in self.steps(scenes, instrument, supersampling):
                images[part, band] = image.cpu().numpy()
        return images

    @torch.inference_mode()
    def steps(
        self, scenes: Scenes, instrument: AnyCamera, supersampling: Supersampling = 1
    ) -> Iterator[tuple[slice, int, Tensor]]:
        """Yield images (n, H, W) on the device: the scenes of a step, the band, its images.

        Arguments and errors as `render`.
        """
        check_sampling(instrument, supersampling)
        step = scenes_a_step(instrument, supersampling, self.device)
        announce(needed_jobs(self.deflections, scenes, instrument, supersampling))
        for start in range(0, len(scenes), step):
            part = slice(start, min(start + step, len(scenes)))
            views = band_views(scenes.take(part), instrument)
            for band, image in self._render_step(views, supersampling, step):
                yield part, band, image

    def _render_step(
        self, views: list[BandView], supersampling: Supersampling, step: int
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the images (N, H, W) of each band, with the number of the band."""
        for side, bands in _same_grids(views, supersampling).items():
            group = [views[band] for band in bands]
            fluxes = self._fluxes(group, side, supersampling)
            for band, (light, area) in zip(bands, fluxes, strict=True):
                yield band, self._taken(light, area, views[band], step)

    def _fluxes(
        self, views: list[BandView], side: int, supersampling: Supersampling
    ) -> Iterator[tuple[Tensor, float]]:
        """Yield the light of fine pixels in bands of one grid of rays.

        Each is the sum (N, fine H, fine W) [e-/s/arcsec^2] over a pixel's rays, and the
        area [arcsec^2] of one ray.
        """
        _, camera = views[0]
        step = camera.pixel_scale / (side // camera.num_pix)
        is_adaptive = supersampling == ADAPTIVE
        lights, alpha = self._on_grid(views, side, step, with_alpha=is_adaptive)
        for (scenes, instrument), brightness in zip(views, lights, strict=True):
            if alpha is not None:
                yield self._adaptive_flux(scenes, instrument, brightness, alpha)
                continue
            fine = instrument.psf.supersampling
            rays = int(supersampling) // fine
            area = (instrument.pixel_scale / fine / rays) ** 2
            yield pixel_sum(brightness, rays), area

    def _taken(self, light: Tensor, area: float, view: BandView, step: int) -> Tensor:
        """Return images (N, H, W) [e-/s per pixel] of the flux `light` * `area`."""
        scenes, instrument = view
        values = psf_values(instrument.psf, scenes.params)
        if values is None and light.device.type == "cpu" and light.dtype == torch.float32:
            compiled = banded(instrument, step)
            if compiled is not None:
                return compiled(light, area)
        return self.blurred(light * area, instrument, step, values)

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
    ) -> tuple[Tensor, float]:
        """Return the mean brightness (N, fine H, fine W) of fine pixels, and their area."""
        side = brightness.shape[-1]
        step = instrument.pixel_scale / instrument.psf.supersampling
        scale = torch.as_tensor(
            scenes.deflection_scale() / step, dtype=self.dtype, device=self.device
        )[:, None, None, None]
        smooth = sampling_error(side, self.dtype, self.device, self.compiled)
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
        return refined(trace_rays, mean, error, sigma, step), step**2

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
        self, views: list[BandView], side: int, step: float, *, with_alpha: bool
    ) -> tuple[list[Tensor], Tensor | None]:
        """Return brightness and the perturbers' deflection on a regular grid of rays.

        Returns:
            Brightness (N, side, side) of each band, and the deflection (N, 2, side, side)
            if it is asked for.
        """
        scenes, _ = views[0]
        grid = TILED if self.deflections.need_tiles(scenes) else RASTER
        alphas = []
        lights: list[list[Tensor]] = [[] for _ in views]
        for rays in grid_rays(side, step, grid, self.dtype, self.device, len(scenes)):
            rows = Rows(rays[: len(scenes)], torch.arange(len(scenes)), same=True)
            alpha = self.deflections(scenes, rows)
            for light, view in zip(lights, views, strict=True):
                light.append(self.brightness(*view, rows, alpha))
            if with_alpha:
                alphas.append(alpha)
        images = [on_grid(joined(light), side, grid) for light in lights]
        if not with_alpha:
            return images, None
        deflection = on_grid(joined(alphas).flatten(0, 1), side, grid)
        return images, deflection.unflatten(0, (-1, 2))

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
        lens = common_lens(scenes) if rows.same else None
        if lens is not None:
            return self._behind_lens(scenes, instrument, rows, alpha, lens)
        image_shape: tuple[int, ...] = ()
        if scenes.images is not None:
            image_shape = scenes.images.shape[1:]
        light = surface_brightness(
            scenes.components, image_shape, self.dtype, self.device, self.compiled
        )
        owner = rows.owner.to(self.device)
        parameters = self.component_parameters(scenes, instrument)[owner]
        images = self.shown_images(scenes, rows.owner)
        return light(rows.rays, alpha, parameters, *images)

    def _behind_lens(
        self, scenes: Scenes, instrument: Instrument, rows: Rows, alpha: Tensor, lens: int
    ) -> Tensor:
        """Return what `brightness` does, where the component `lens` is the same in all scenes."""
        options = (self.dtype, self.device, self.compiled)
        parameters = self.component_parameters(scenes, instrument)
        component = scenes.components[lens]
        names = PROFILES[component.profile].columns
        before = scenes.components[:lens]
        start = 1 + sum(len(PROFILES[other.profile].columns) for other in before)
        columns = parameters[:1, start : start + len(names)].contiguous()
        rays = rows.rays[:1]
        unit = unit_deflection(component.profile, *options)(rays, columns)
        light = behind_lens(scenes.components, lens, *options)
        return light(rays, alpha, parameters, unit)

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
