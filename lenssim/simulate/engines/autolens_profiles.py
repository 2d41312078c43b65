"""Mass and light profiles that PyAutoLens lacks, in its own class hierarchy.

Galaxies, tracers and models take them. Names and units are PyAutoLens's: centres are (y, x)
in arcsec, angles in degrees counter-clockwise from x. Every formula works with numpy and,
as PyAutoLens's own do, with `xp=jax.numpy`.
"""

from typing import Any

import numpy as np

from lenssim.simulate.engines.pyauto import aa, ag, al

__all__ = [
    "CentredPowerLaw",
    "CoredNFW",
    "FlooredNFWTruncated",
    "FlooredSersic",
    "InterpolatedImage",
    "LineMass",
    "PointMasses",
    "Soliton",
]

# Pairs of rays and point masses summed at a time: they fit into the cache, which is three
# times faster.
_PAIRS_AT_A_TIME = 32768
_SOFTENING = 1e-20  # arcsec^2, that of PyAutoLens's PointMass
_MIN_X = 1e-3  # smallest R / Rs of lenstronomy's TNFW: its deflection is linear inside
_MIN_RADIUS = 1e-4  # arcsec, smallest radius of lenstronomy's Sersic
_WINDOW = 0.05  # |r_core / Rs - 1| below which cNFWSph's closed form loses its digits
_CORES = tuple(_WINDOW * k for k in (-3, -2, -1, 1, 2, 3))
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


class PointMasses(al.mp.MassProfile):
    """Many point masses as one profile.

    alpha = sum theta_k^2 (theta - theta_k) / |theta - theta_k|^2. `centres` (K, 2) are (y,
    x), `einstein_radii` (K,), both in arcsec. It is the same as K profiles `PointMass`,
    several times faster. With K = 0 it deflects nothing.
    """

    def __init__(self, centres: Any = (), einstein_radii: Any = ()) -> None:
        super().__init__()
        self.centres = centres
        self.einstein_radii = einstein_radii

    @aa.decorators.to_vector_yx
    def deflections_yx_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the deflection (P, 2), (y, x) [arcsec]."""
        y = grid.array[:, 0]
        x = grid.array[:, 1]
        centres = xp.asarray(self.centres).reshape(-1, 2)
        squares = xp.asarray(self.einstein_radii) ** 2
        alpha_y = xp.zeros_like(y)
        alpha_x = xp.zeros_like(x)
        points = max(1, _PAIRS_AT_A_TIME // max(1, len(y)))
        for start in range(0, len(centres), points):
            part = slice(start, start + points)
            dy = y - centres[part, :1]
            dx = x - centres[part, 1:]
            pull = squares[part, None] / (dy**2 + dx**2 + _SOFTENING)
            alpha_y = alpha_y + (pull * dy).sum(0)
            alpha_x = alpha_x + (pull * dx).sum(0)
        return xp.stack([alpha_y, alpha_x], axis=-1)

    @aa.decorators.to_array
    def convergence_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return zero (P,): all mass is in points, which no pixel resolves."""
        return xp.zeros(grid.shape[0])

    @aa.decorators.to_array
    def potential_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the lensing potential (P,) [arcsec^2]: sum theta_k^2 ln |theta - theta_k|."""
        centres = xp.asarray(self.centres).reshape(-1, 2)
        squares = xp.asarray(self.einstein_radii) ** 2
        offset = grid.array[None] - centres[:, None]
        return 0.5 * (squares[:, None] * xp.log((offset**2).sum(-1) + _SOFTENING)).sum(0)


class LineMass(al.mp.MassProfile):
    """A mass of `einstein_radius` [arcsec] spread evenly on a line: a vortex of an axion condensate.

    The line has half length `half_length` [arcsec] and runs at `position_angle` [degrees,
    counter-clockwise from x] through `centre` (y, x). In complex notation, w = (z - z0)
    e^{-i angle} and L the half length::

        conj(alpha) = theta_E^2 / L artanh(L / w) e^{-i angle}
    """

    def __init__(
        self,
        centre: tuple[float, float] = (0.0, 0.0),
        einstein_radius: float = 0.2,
        half_length: float = 1.0,
        position_angle: float = 0.0,
    ) -> None:
        super().__init__(centre=centre)
        self.einstein_radius = einstein_radius
        self.half_length = half_length
        self.position_angle = position_angle

    @aa.decorators.to_vector_yx
    def deflections_yx_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the deflection (P, 2), (y, x) [arcsec]."""
        w, rotation = self._along(grid, xp)
        alpha = xp.conj(
            self.einstein_radius**2
            / self.half_length
            * xp.arctanh(self.half_length / w)
            / rotation
        )
        return xp.stack([alpha.imag, alpha.real], axis=-1)

    @aa.decorators.to_array
    def convergence_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return zero (P,): all mass is in the line, which no pixel resolves."""
        return xp.zeros(grid.shape[0])

    @aa.decorators.to_array
    def potential_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the lensing potential (P,) [arcsec^2].

        theta_E^2 / (2 L) Re[f(w + L) - f(w - L)], with f(u) = u ln u - u.
        """
        w, _ = self._along(grid, xp)
        ends = (w + self.half_length, w - self.half_length)
        upper, lower = (u * xp.log(u) - u for u in ends)
        return (self.einstein_radius**2 / (2 * self.half_length) * (upper - lower)).real

    def _along(self, grid: Any, xp: Any) -> tuple[Any, Any]:
        rotation = xp.exp(1j * xp.deg2rad(self.position_angle))
        y = grid.array[:, 0] - self.centre[0]
        x = grid.array[:, 1] - self.centre[1]
        return (x + 1j * y) / rotation, rotation


class Soliton(al.mp.MassProfile):
    """The core of a halo of ultra-light dark matter.

    rho ~ (1 + a (r / theta_c)^2)^-slope, with a = 2^(1 / slope) - 1. The central
    convergence is `kappa_0`. The density halves at `core_radius` theta_c [arcsec]. Slope 8
    is that of Schive et al. 2014 (arXiv:1406.6586). With u = a (R / theta_c)^2 and p =
    slope - 3/2::

        alpha = kappa_0 (1 - (1 + u)^-p) / (p u) (theta - centre)
    """

    def __init__(
        self,
        centre: tuple[float, float] = (0.0, 0.0),
        kappa_0: float = 0.1,
        core_radius: float = 0.1,
        slope: float = 8.0,
    ) -> None:
        super().__init__(centre=centre)
        self.kappa_0 = kappa_0
        self.core_radius = core_radius
        self.slope = slope

    @aa.decorators.to_vector_yx
    def deflections_yx_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the deflection (P, 2), (y, x) [arcsec]."""
        offset, u, _ = self._scaled(grid, xp)
        p = self.slope - 1.5
        u = xp.maximum(u, 1e-30)
        mean = -self.kappa_0 * xp.expm1(-p * xp.log1p(u)) / (p * u)
        return mean[:, None] * offset

    @aa.decorators.to_array
    def convergence_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the convergence (P,): kappa_0 (1 + u)^(1/2 - slope)."""
        _, u, _ = self._scaled(grid, xp)
        return self.kappa_0 * xp.exp((0.5 - self.slope) * xp.log1p(u))

    @aa.decorators.to_array
    def potential_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the lensing potential (P,) [arcsec^2], 0 at the centre.

        kappa_0 theta_c^2 / (2 a p) times the integral of (1 - e^(-p v)) / (1 - e^-v) from 0
        to ln(1 + u), by Gauss-Legendre quadrature.
        """
        _, u, scale = self._scaled(grid, xp)
        p = self.slope - 1.5
        end = xp.log1p(u)
        v = end[:, None] * (0.5 * (xp.asarray(_NODES) + 1))
        v = xp.maximum(v, 1e-12)
        integral = (
            0.5 * end * (xp.expm1(-p * v) / xp.expm1(-v) * xp.asarray(_WEIGHTS)).sum(-1)
        )
        return 0.5 * self.kappa_0 / (scale * p) * integral

    def _scaled(self, grid: Any, xp: Any) -> tuple[Any, Any, Any]:
        offset = grid.array - xp.asarray(self.centre)
        scale = xp.expm1(xp.log(2.0) / self.slope) / self.core_radius**2
        return offset, scale * (offset**2).sum(-1), scale


class CoredNFW(al.mp.cNFWSph):
    """PyAutoLens's spherical cored NFW, also where the core radius is nearly the scale radius.

    There its closed form is 0 / 0 and loses digits long before. The deflection is smooth in
    the core radius. So within 5 % of the scale radius it is interpolated through six core
    radii on either side, to 1e-8 of itself.
    """

    @aa.decorators.to_vector_yx
    def deflections_yx_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the deflection (P, 2), (y, x) [arcsec]."""
        step = self.core_radius / self.scale_radius - 1
        if abs(step) >= _WINDOW:
            return super().deflections_yx_2d_from(grid=grid, xp=xp, **kwargs).array
        total = 0.0
        for node in _CORES:
            weight = np.prod(
                [(step - core) / (node - core) for core in _CORES if core != node]
            )
            halo = al.mp.cNFWSph(
                self.centre, self.kappa_s, self.scale_radius, self.scale_radius * (1 + node)
            )
            total = (
                total
                + weight * halo.deflections_yx_2d_from(grid=grid, xp=xp, **kwargs).array
            )
        return total


class FlooredNFWTruncated(al.mp.NFWTruncatedSph):
    """PyAutoLens's truncated NFW with a finite centre.

    It is linear inside 1e-3 scale radii, as lenstronomy's TNFW.
    """

    @aa.decorators.to_vector_yx
    def deflections_yx_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the deflection (P, 2), (y, x) [arcsec]."""
        offset = grid.array - xp.asarray(self.centre)
        eta = xp.maximum(xp.sqrt((offset**2).sum(-1)) / self.scale_radius, _MIN_X)
        slope = (
            4
            * self.kappa_s
            * xp.real(self.coord_func_m(grid_radius=eta + 0j, xp=xp))
            / eta**2
        )
        return slope[:, None] * offset


class CentredPowerLaw(al.mp.PowerLaw):
    """PyAutoLens's power law, without deflection on its centre, where its direction is undefined."""

    @aa.decorators.to_vector_yx
    def deflections_yx_2d_from(self, grid: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the deflection (P, 2), (y, x) [arcsec]."""
        alpha = super().deflections_yx_2d_from(grid=grid, xp=xp, **kwargs).array
        centre = (grid.array == xp.asarray(self.centre)).all(-1)
        return xp.where(centre[:, None], 0.0, alpha)


class FlooredSersic(al.lp.Sersic):
    """PyAutoLens's Sersic light, constant within 1e-4 arcsec of its centre.

    lenstronomy's and lenssim's are so too.
    """

    def image_2d_via_radii_from(self, grid_radii: Any, xp: Any = np, **kwargs: Any) -> Any:
        """Return the brightness at radii (P,) [arcsec]."""
        floored = aa.ArrayIrregular(xp.maximum(grid_radii.array, _MIN_RADIUS))
        return super().image_2d_via_radii_from(floored, xp=xp, **kwargs)


class InterpolatedImage(al.LightProfile):
    """An image as light, interpolated bilinearly: `intensity` times `image` (H, W).

    Row 0 is at the smallest y. The middle of the image is at `centre` (y, x), its pixels
    are `pixel_scale` [arcsec] wide, and it is turned counter-clockwise by `position_angle`
    [degrees]. Beyond the outermost pixels' centres the light falls to 0 linearly within one
    pixel.
    """

    def __init__(
        self,
        centre: tuple[float, float] = (0.0, 0.0),
        image: Any = ((1.0,),),
        pixel_scale: float = 0.1,
        position_angle: float = 0.0,
        intensity: float = 1.0,
    ) -> None:
        super().__init__(centre=centre, intensity=intensity)
        self.image = image
        self.pixel_scale = pixel_scale
        self.position_angle = position_angle

    @aa.over_sample
    @aa.decorators.to_array
    @ag.profiles.light.decorators.check_operated_only
    def image_2d_from(
        self, grid: Any, xp: Any = np, operated_only: bool | None = None, **kwargs: Any
    ) -> Any:
        """Return the brightness (P,) at the coordinates of `grid`."""
        image = xp.pad(xp.asarray(self.image), 1)  # the dark pixel that the light falls to
        y = grid.array[:, 0] - self.centre[0]
        x = grid.array[:, 1] - self.centre[1]
        cos, sin = (f(xp.deg2rad(self.position_angle)) for f in (xp.cos, xp.sin))
        positions = []
        for along, size in (
            (y * cos - x * sin, image.shape[0]),
            (x * cos + y * sin, image.shape[1]),
        ):
            position = xp.clip(along / self.pixel_scale + 0.5 * (size - 1), 0, size - 1)
            pixel = xp.minimum(xp.floor(position).astype(int), size - 2)
            positions.append((pixel, position - pixel))
        (row, dy), (column, dx) = positions
        lower = image[row, column] * (1 - dx) + image[row, column + 1] * dx
        upper = image[row + 1, column] * (1 - dx) + image[row + 1, column + 1] * dx
        return self._intensity * (lower * (1 - dy) + upper * dy)
