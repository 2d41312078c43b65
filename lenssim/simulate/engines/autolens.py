"""The PyAutoLens engine: its profiles, tracer, over-sampling and convolver, in double precision."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate.bands import render_bands
from lenssim.simulate.conventions import flip_rows, scaled
from lenssim.simulate.engines import check_adaptive
from lenssim.simulate.engines.autolens_profiles import (
    CentredPowerLaw,
    FlooredNFWTruncated,
    FlooredSersic,
    PointMasses,
)
from lenssim.simulate.engines.autolens_terms import profile_to_autolens
from lenssim.simulate.engines.pyauto import aa, al, pinned
from lenssim.simulate.instruments import (
    AnyCamera,
    Instrument,
    Supersampling,
    check_sampling,
)
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.source_planes import each_source_plane

__all__ = ["Autolens", "grid", "kernel", "tracer"]

# Classes of the engine instead of the public ones: they differ on their centres, where they
# are finite.
ENGINE_TYPES = {
    "epl": CentredPowerLaw,
    "tnfw": FlooredNFWTruncated,
    "sersic": FlooredSersic,
}


class Autolens:
    """Renders with PyAutoLens.

    Rays are traced once, to a single lens plane, with deflections already scaled to the
    source. So the result is exact for any cosmology of either code. PyAutoLens's
    over-sampler bins the light and its convolver blurs it, on an array that is continued
    beyond the stamp as the instrument's PSF says.
    """

    @each_source_plane
    def render(
        self, scenes: Scenes, instrument: AnyCamera, *, supersampling: Supersampling = 1
    ) -> np.ndarray:
        """Return expected images, float64 (N, bands, H, W), in e-/s per pixel.

        Args:
            scenes: N scenes.
            instrument: The camera.
            supersampling: Rays a side of a pixel.

        Raises:
            ConfigError: The sampling is adaptive, or a profile has no counterpart.
        """
        check_adaptive("autolens", supersampling)
        check_sampling(instrument, supersampling)
        render = partial(_render_band, supersampling=int(supersampling))
        with pinned():
            return render_bands(render, scenes, instrument)


def _render_band(
    scenes: Scenes, instrument: Instrument, *, supersampling: int
) -> np.ndarray:
    """Return the images (N, 1, H, W) of one band; call it within `pinned()`."""
    images = np.empty((len(scenes), 1, instrument.num_pix, instrument.num_pix))
    for i in range(len(scenes)):
        camera = _camera(instrument.of_image(scenes.params, i), supersampling)
        scene = scenes.take(slice(i, i + 1))
        images[i, 0] = camera.image(tracer(scene, instrument, for_engine=True))
    return images


def tracer(scene: Scenes, instrument: Instrument, *, for_engine: bool = False) -> Any:
    """Return the Tracer of one scene; call it within `pinned()`.

    It has a lens galaxy, its substructure, and a source galaxy. Profiles are attributes named
    `<prefix><profile>`, perturbers `<kind>_<number>`.

    Args:
        scene: A scene table of one system.
        instrument: The camera, which sets the unit of intensities.
        for_engine: Whether to make one profile of all point masses, and to take the engine's own
            classes, which are finite on their centres.

    Raises:
        ConfigError: The source is not behind the lens, or a profile has no counterpart.
    """
    z_lens = float(scene.params["z_lens"][0])
    z_source = float(scene.params["z_source"][0])
    if not 0 < z_lens < z_source:
        raise ConfigError(
            f"PyAutoLens traces to a source behind the lens; got z_lens {z_lens:g}, z_source "
            f"{z_source:g}",
            code="lens-planes",
            z_lens=z_lens,
            z_source=z_source,
        )
    factor = float(scene.deflection_scale()[0])
    lens, source = _components(scene, instrument, factor, for_engine)
    substructure = _substructure(scene, instrument.pixel_scale, factor, for_engine)
    galaxies = [al.Galaxy(redshift=z_lens, **lens), al.Galaxy(redshift=z_source, **source)]
    if substructure:
        galaxies.insert(1, al.Galaxy(redshift=z_lens, **substructure))
    flat = scene.cosmology
    cosmology = al.cosmo.FlatLambdaCDM(H0=flat.H0, Om0=flat.Om0, Ob0=flat.Ob0, Tcmb0=0.0)
    return al.Tracer(galaxies=galaxies, cosmology=cosmology)


def _components(
    scene: Scenes, instrument: Instrument, factor: float, for_engine: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the profiles of the lens galaxy and of the source galaxy."""
    types = ENGINE_TYPES if for_engine else None
    lens: dict[str, Any] = {}
    source: dict[str, Any] = {}
    owners = {"lens": lens, "lens_light": lens, "source": source}
    for component in scene.components:
        columns = scene.of(component, instrument.zero_point)
        values: dict[str, Any] = {
            name: float(column[0]) for name, column in columns.items()
        }
        if component.role == "lens":
            values = scaled(component.profile, values, factor)
        elif "image" in values and scene.images is not None:
            values["image"] = scene.images[int(values["image"])]
        owner = owners[component.role]
        owner[component.prefix + component.profile] = profile_to_autolens(
            component.profile, values, instrument.pixel_scale, types
        )
    return lens, source


def _substructure(
    scene: Scenes, pixel: float, factor: float, for_engine: bool
) -> dict[str, Any]:
    """Return the profiles of the perturbers."""
    types = ENGINE_TYPES if for_engine else None
    profiles: dict[str, Any] = {}
    for kind, table in scene.perturbers.items():
        columns = scaled(kind, table.of(0), factor)
        if kind == "point_mass" and for_engine:
            centres = np.stack([columns["center_y"], columns["center_x"]], axis=-1)
            profiles[kind] = PointMasses(centres, columns["theta_E"])
            continue
        for k, row in enumerate(zip(*columns.values(), strict=True)):
            values = dict(zip(columns, map(float, row), strict=True))
            profiles[f"{kind}_{k}"] = profile_to_autolens(kind, values, pixel, types)
    return profiles


def grid(instrument: Instrument, supersampling: int, fine: int = 1) -> Any:
    """Return the Grid2D of the stamp.

    Args:
        instrument: The camera.
        supersampling: Rays a side of the camera's pixels.
        fine: Pixels of the grid a side of a camera's pixel.
    """
    return al.Grid2D.uniform(
        shape_native=(instrument.num_pix * fine,) * 2,
        pixel_scales=instrument.pixel_scale / fine,
        over_sample_size=supersampling // fine,
    )


def kernel(instrument: Instrument) -> np.ndarray:
    """Return the PSF as a pixel kernel (K, K) in PyAutoLens's orientation, at its own sampling."""
    return flip_rows(instrument.psf.kernel_at(instrument.pixel_scale)).copy()


@dataclass(frozen=True)
class _Camera:
    """The objects that all scenes of one instrument and supersampling share."""

    grid: Any
    convolver: Any  # None for a kernel of a single pixel
    mask: Any  # of the stamp within its margin
    blurring_mask: Any  # the margin
    margin: int
    fine: int  # pixels of the grid a side of the camera's
    padding: Literal[
        "edge", "constant"
    ]  # whether the edge is continued, or the margin dark

    def image(self, tracer: Any) -> np.ndarray:
        """Return the expected image (H, W) [e-/s per pixel] of a Tracer, with the smallest y first.

        Intensities of the Tracer are per camera pixel.
        """
        light = tracer.image_2d_from(grid=self.grid.over_sampled)
        binned = self.grid.over_sampler.binned_array_2d_from(light)
        image = np.asarray(binned.native.array) / self.fine**2
        if self.convolver is not None:
            image = self._blurred(image)
        size = len(image) // self.fine
        return flip_rows(image.reshape(size, self.fine, size, self.fine).sum((1, 3)))

    def _blurred(self, image: np.ndarray) -> np.ndarray:
        padded = np.pad(image, self.margin, mode=self.padding)
        blurred = self.convolver.convolved_image_from(
            image=al.Array2D(values=padded[~np.array(self.mask)], mask=self.mask),
            blurring_image=al.Array2D(
                values=padded[~np.array(self.blurring_mask)], mask=self.blurring_mask
            ),
        )
        stamp = slice(self.margin, self.margin + len(image))
        return np.asarray(blurred.native.array)[stamp, stamp]


@lru_cache(maxsize=8)
def _camera(instrument: Instrument, supersampling: int) -> _Camera:
    fine = instrument.psf.supersampling
    scale = instrument.pixel_scale / fine
    weights = kernel(instrument)
    margin = len(weights) // 2
    size = instrument.num_pix * fine
    outside = np.ones((size + 2 * margin,) * 2, dtype=bool)
    outside[margin : margin + size, margin : margin + size] = False
    mask = al.Mask2D(mask=outside, pixel_scales=scale)
    convolver = None
    if len(weights) > 1:
        array = al.Array2D.no_mask(values=weights, pixel_scales=scale)
        state = aa.operators.convolver.ConvolverState(kernel=array, mask=mask)
        convolver = al.Convolver(kernel=array, state=state, use_fft=False)
    return _Camera(
        grid=grid(instrument, supersampling, fine),
        convolver=convolver,
        mask=mask,
        blurring_mask=al.Mask2D(mask=~outside, pixel_scales=scale),
        margin=margin,
        fine=fine,
        padding="edge" if instrument.psf.continues_edges else "constant",
    )
