"""Sensitivity: how much chi2 a subhalo of some mass would cost the best smooth model of a lens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lenssim.simulate.cosmology import critical_surface_density
from lenssim.simulate.engines.batched.detectability import unexplained
from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.engines.batched.gradients import differentiable, jacobian
from lenssim.simulate.engines.batched.steps import SCENES
from lenssim.simulate.fit.multipoles import unit_deflections
from lenssim.simulate.halos.concentration import concentration
from lenssim.simulate.halos.halos import deflection_at_scale_radius, nfw_structure
from lenssim.simulate.halos.tides import roche_radius
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.scenes import Perturbers, Scenes

__all__ = ["Sensitivity", "arc_positions", "sensitivity", "subhalo"]

RAYS = 2  # a pixel side
_HOST_DISTANCE = 50.0  # kpc, which truncates a subhalo
_SPACING = 0.15  # arcsec between positions
_BRIGHTEST = 40  # positions


@dataclass(frozen=True)
class Sensitivity:
    """Expected delta chi2 of subhaloes in one lens.

    Attributes:
        masses: Masses M_200c (M,) [Msun].
        positions: Positions x, y (P, 2) [arcsec] from the middle of the image.
        delta_chi2: Expected delta chi2 (M, P).
    """

    masses: np.ndarray
    positions: np.ndarray
    delta_chi2: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """The largest delta chi2 (M,) of each mass."""
        return self.delta_chi2.max(axis=1)

    def least_mass(self, delta_chi2: float) -> float:
        """Return the mass [Msun] that reaches a delta chi2 in the best place; NaN if none does.

        Args:
            delta_chi2: The threshold.
        """
        reaching = np.flatnonzero(self.best >= delta_chi2)
        if not len(reaching):
            return float("nan")
        number = int(reaching[0])
        if number == 0:
            return float(self.masses[0])
        pair = slice(number - 1, number + 1)
        log_mass = np.interp(
            np.log(delta_chi2), np.log(self.best[pair]), np.log(self.masses[pair])
        )
        return float(np.exp(log_mass))


def sensitivity(
    scene: Scenes,
    camera: Instrument,
    sigma: np.ndarray,
    masses: Sequence[float],
    positions: np.ndarray,
) -> Sensitivity:
    """Return the delta chi2 that a subhalo would cost, after the smooth model has adapted.

    With d the change of the image, W the inverse variance and J the derivatives by all
    parameters of mass, shear, lens light and source, and by multipoles of order 3 and 4::

        delta_chi2 = min_p (d - J p)^T W (d - J p)

    This is linear in p, and the source is the scene's Sersic profile. A source with more
    freedom absorbs more, so these numbers are upper limits.

    Args:
        scene: One scene without perturbers: the best smooth model.
        camera: The camera of the image.
        sigma: Noise (H, W), infinite where a pixel does not count.
        masses: Masses M_200c [Msun], in increasing order.
        positions: Places of the subhalo (P, 2) [arcsec], one at a time.
    """
    smooth = replace(scene, perturbers={})
    weights = (1 / sigma).reshape(-1)
    slopes = _slopes(smooth, camera) * weights
    engine = Batched("float32", "cpu", "compiled")
    image = engine.render(smooth, camera, supersampling=RAYS).reshape(-1)
    costs = []
    for mass in masses:
        images = _perturbed(engine, smooth, camera, mass, positions)
        differences = (images - image) * weights
        costs.append([unexplained(difference, slopes) for difference in differences])
    delta_chi2 = np.array(costs).reshape(len(masses), len(positions))
    return Sensitivity(np.array(masses, float), positions, delta_chi2)


def arc_positions(
    arcs: np.ndarray, sigma: np.ndarray, pixel_scale: float, count: int = _BRIGHTEST
) -> np.ndarray:
    """Return where arcs are brightest, x and y (P, 2) [arcsec] from the middle of the image.

    Args:
        arcs: The lensed source (H, W).
        sigma: Noise (H, W), infinite where a pixel does not count.
        pixel_scale: Side of a pixel [arcsec].
        count: The largest number of positions, at least 0.15 arcsec from each other.

    Example:
        >>> arcs = np.zeros((9, 9))
        >>> arcs[4, 6] = 1.0
        >>> arc_positions(arcs, np.ones((9, 9)), 0.1, 1).round(2).tolist()
        [[0.2, 0.0]]
    """
    height, width = arcs.shape
    pulls = arcs / sigma
    places: list[tuple[float, float]] = []
    for pixel in np.argsort(-pulls, axis=None, kind="stable"):
        row, column = divmod(int(pixel), width)
        if pulls[row, column] <= 0 or len(places) == count:
            break
        x = (column - (width - 1) / 2) * pixel_scale
        y = (row - (height - 1) / 2) * pixel_scale
        if all(np.hypot(x - a, y - b) >= _SPACING for a, b in places):
            places.append((x, y))
    return np.array(places).reshape(-1, 2)


def subhalo(scene: Scenes, mass: float, positions: np.ndarray) -> Perturbers:
    """Return a subhalo at each of some positions, one a scene.

    It has the median concentration of its mass at the redshift of the lens, and is truncated at
    the Roche radius of 50 kpc from the centre of an isothermal host.

    Args:
        scene: One scene, of which redshifts and cosmology are used.
        mass: Mass M_200c [Msun].
        positions: Places (P, 2) [arcsec].
    """
    count = len(positions)
    z = scene.params["z_lens"][:1]
    cosmology = scene.cosmology
    masses = np.array([mass])
    kpc = cosmology.kpc_per_arcsec(z)
    surface = critical_surface_density(cosmology, z, scene.params["z_source"][:1]) * kpc**2
    rho_s, r_s = nfw_structure(masses, concentration(masses, z, cosmology), z, cosmology)
    radius = r_s / kpc
    deflection = deflection_at_scale_radius(rho_s, r_s, radius, surface)
    truncation = roche_radius(masses, np.array([_HOST_DISTANCE])) / kpc
    return Perturbers.from_counts(
        np.ones(count, np.int64),
        Rs=np.repeat(radius, count),
        alpha_Rs=np.repeat(deflection, count),
        r_trunc=np.repeat(truncation, count),
        center_x=positions[:, 0],
        center_y=positions[:, 1],
    )


def _perturbed(
    engine: Batched, smooth: Scenes, camera: Instrument, mass: float, positions: np.ndarray
) -> np.ndarray:
    """Return the images (P, pixels) with a subhalo at each position."""
    parts = []
    for start in range(0, len(positions), SCENES):
        part = positions[start : start + SCENES]
        scenes = smooth.take(np.zeros(len(part), np.int64))
        scenes = replace(scenes, perturbers={"tnfw": subhalo(smooth, mass, part)})
        parts.append(engine.render(scenes, camera, supersampling=RAYS))
    images = np.concatenate(parts)
    return images.reshape(len(images), -1)


def _slopes(smooth: Scenes, camera: Instrument) -> np.ndarray:
    """Return derivatives (K, pixels) by the parameters, and by multipoles of the mass.

    A deflection moves the source that a pixel sees, so its derivative follows from those by
    the place of the source. The PSF is taken as narrow against the multipoles.
    """
    names = differentiable(smooth.components)
    slopes = jacobian(
        smooth, camera, names, supersampling=RAYS, precision="float32", kernels="compiled"
    )[0]
    by_name = dict(zip(names, slopes, strict=True))
    pixels = (np.arange(camera.num_pix) - (camera.num_pix - 1) / 2) * camera.pixel_scale
    x, y = np.meshgrid(
        pixels - smooth.params["center_x"][0], pixels - smooth.params["center_y"][0]
    )
    alpha_x, alpha_y = unit_deflections(
        torch.from_numpy(x.reshape(1, -1)), torch.from_numpy(y.reshape(1, -1))
    )
    by_x = by_name["source_center_x"].reshape(1, -1)
    by_y = by_name["source_center_y"].reshape(1, -1)
    multipoles = by_x * alpha_x[0].numpy() + by_y * alpha_y[0].numpy()
    return np.concatenate([slopes.reshape(len(slopes), -1), multipoles])
