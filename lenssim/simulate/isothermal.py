"""Isothermal ellipsoids with shear, many at once: caustics, images and magnifications.

An isothermal ellipsoid has the same deflection all along a ray from its centre. So the ray
sees a straight line of the source: with theta = r e in the direction e, beta = r w - alpha,
w = (1 - Gamma) e. Questions about a lens become questions about lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial

import numpy as np

from lenssim.simulate.sources.light import Light

__all__ = ["Isothermal"]

_DIRECTIONS = 256
_MAX_TRIES = 30  # of eight points a lens; more than a tenth of the area has many images
_ROUND = 1e-6  # sqrt(1 - q^2) below which an ellipsoid is a sphere to rounding


@dataclass(frozen=True)
class Isothermal:
    """n isothermal ellipsoids with shear, each column (n,), for their own source redshift.

    Parameters are lenstronomy's, angles in arcsec.
    """

    theta_E: np.ndarray
    e1: np.ndarray
    e2: np.ndarray
    center_x: np.ndarray
    center_y: np.ndarray
    gamma1: np.ndarray
    gamma2: np.ndarray

    @cached_property
    def ray(self) -> np.ndarray:
        """Unit vectors e (2, A) of A directions."""
        phi = (np.arange(_DIRECTIONS) + 0.5) * 2 * np.pi / _DIRECTIONS
        return np.stack([np.cos(phi), np.sin(phi)])

    @cached_property
    def speed(self) -> np.ndarray:
        """w (2, n, A): arcsec in the source plane for one arcsec along the ray."""
        (x, y) = self.ray
        g1 = self.gamma1[:, None]
        g2 = self.gamma2[:, None]
        return np.stack([(1 - g1) * x - g2 * y, (1 + g1) * y - g2 * x])

    @cached_property
    def _axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """q, cos and sin of the major axis (n, 1), and the rays in the frame of the axes (n, A)."""
        e = np.hypot(self.e1, self.e2)
        phi = 0.5 * np.arctan2(self.e2, self.e1)
        q, cos, sin = (
            column[:, None] for column in ((1 - e) / (1 + e), np.cos(phi), np.sin(phi))
        )
        (x, y) = self.ray
        return q, cos, sin, cos * x + sin * y, cos * y - sin * x

    @cached_property
    def alpha(self) -> np.ndarray:
        """Deflection (2, n, A) by the ellipsoid [arcsec].

        Kormann, Schneider & Bartelmann 1994 (A&A 284, 285), equation 27a.
        """
        q, cos, sin, u, v = self._axes
        f = np.maximum(np.sqrt(1 - q**2), _ROUND)
        psi = np.hypot(q * u, v)
        strength = self.theta_E[:, None] * np.sqrt(q) / f
        along = strength * np.arctan(f * u / psi)
        across = strength * np.arctanh(f * v / psi)
        return np.stack([cos * along - sin * across, sin * along + cos * across])

    @property
    def origin(self) -> np.ndarray:
        """Middle of the caustics (2, n): the lenses' centres as seen without the ellipsoids."""
        x = self.center_x
        y = self.center_y
        return np.stack(
            [
                (1 - self.gamma1) * x - self.gamma2 * y,
                (1 + self.gamma1) * y - self.gamma2 * x,
            ]
        )

    @cached_property
    def caustics(self) -> tuple[np.ndarray, np.ndarray]:
        """Curves (2, n, A) about `origin` in the source plane: the cut and the caustic.

        The cut is seen at radius 0. A Hessian of 1 - Gamma - (h / r) t t^T, with t across
        the ray and h = 2 kappa r, is singular at r = h t^T adj(1 - Gamma) t / det(1 -
        Gamma).
        """
        q, _, _, u, v = self._axes
        h = self.theta_E[:, None] * np.sqrt(q) / np.hypot(q * u, v)
        (x, y) = self.ray
        g1 = self.gamma1[:, None]
        g2 = self.gamma2[:, None]
        # e^T (1 - Gamma) e, which is t^T adj(1 - Gamma) t
        stretch = 1 + g1 * (y**2 - x**2) - 2 * g2 * x * y
        radius = h * stretch / (1 - g1**2 - g2**2)
        return -self.alpha, radius * self.speed - self.alpha

    def images(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the number (n, K) of images of points in the source plane.

        An image is a ray that meets the point in front of it: w x (beta + alpha) changes its sign
        at r > 0. Pairs of images closer than the rays, 1.4 degrees, may be missed.

        Args:
            x: Coordinates (n, K) about `origin` [arcsec].
            y: Coordinates (n, K) about `origin` [arcsec].
        """
        point = np.stack([x, y])[..., None] + self.alpha[:, :, None]
        w = self.speed[:, :, None]
        aside = w[0] * point[1] - w[1] * point[0]
        ahead = w[0] * point[0] + w[1] * point[1]
        aside_next = np.roll(aside, -1, axis=-1)
        ahead_next = np.roll(ahead, -1, axis=-1)
        crossed = (aside < 0) != (aside_next < 0)
        part = aside / np.where(crossed, aside - aside_next, 1)
        return (crossed & (ahead + part * (ahead_next - ahead) > 0)).sum(-1)

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """Draw points (2, n) of the source plane with more than one image.

        They are even over the area inside the cut or the caustic, NaN where there is none.
        """
        reach = np.maximum(*(np.abs(curve).max(-1) for curve in self.caustics))  # (2, n)
        points = np.full_like(reach, np.nan)
        for _ in range(_MAX_TRIES):
            rows = np.flatnonzero(np.isnan(points[0]))
            if not len(rows):
                break
            trials = rng.uniform(-1, 1, (2, len(rows), 8)) * reach[:, rows, None]
            multiple = self.take(rows).images(*trials) > 1
            success = multiple.any(-1)
            trial = multiple.argmax(-1)
            points[:, rows[success]] = trials[:, success, trial[success]]
        return points + self.origin

    def place_within(self, rng: np.random.Generator, radius: float) -> np.ndarray:
        """Draw points (2, n) evenly inside a circle about the middle of the caustics.

        Args:
            rng: Generator of random numbers.
            radius: Radius of the circle, in units of the largest distance of a caustic from
                the middle.
        """
        largest = np.maximum(*(np.hypot(*curve).max(-1) for curve in self.caustics))
        count = len(largest)
        distance = radius * largest * np.sqrt(rng.random(count))
        angle = rng.uniform(0, 2 * np.pi, count)
        return distance * np.stack([np.cos(angle), np.sin(angle)]) + self.origin

    def take(self, rows: np.ndarray) -> "Isothermal":
        """Return the lenses `rows`."""
        return Isothermal(*(getattr(self, column.name)[rows] for column in fields(self)))

    def magnification(
        self, source: Sequence[Light], frame: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the magnification of sources, and the part of the flux inside a frame.

        It is the integral of r S(r w - alpha) over rays, with nodes about the point of each ray
        that is closest to the source.

        Args:
            source: Components of the source, each n lights with their parts of the flux.
            frame: Half the side of the frame about (0, 0) [arcsec].

        Returns:
            Flux (n,) of the images over that of the source, and the share (n,) of it with |x| and
            |y| below `frame`.
        """
        total = np.zeros(len(self.theta_E))
        framed = np.zeros(len(self.theta_E))
        for light in source:
            flux, framed_flux = self._fluxes(light, frame)
            total += flux
            framed += framed_flux
        return total, framed / np.where(total > 0, total, 1)

    def _fluxes(self, light: Light, frame: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the magnified flux (n,) of lights, and that inside the frame."""
        w = self.speed
        x, y, pace, nearest, missed = self._approach(light)
        lens, ray = np.nonzero(missed < light.reach[:, None] ** 2)
        steps, widths = light.nodes()
        scale = light.size[lens] / np.sqrt(pace[lens, ray])
        r = nearest[lens, ray, None] + scale[:, None] * steps[lens]
        brightness = light.brightness(
            lens,
            missed[lens, ray, None] + steps[lens] ** 2,
            partial(_points, r, w[:, lens, ray], x[lens, ray], y[lens, ray]),
        )
        flux = np.maximum(r, 0) * brightness * widths[lens]
        image_x = self.center_x[lens, None] + r * self.ray[0][ray, None]
        image_y = self.center_y[lens, None] + r * self.ray[1][ray, None]
        in_frame = flux * (np.maximum(np.abs(image_x), np.abs(image_y)) < frame)
        weight = scale * (light.part / light.unit_flux)[lens] * 2 * np.pi / _DIRECTIONS
        count = len(self.theta_E)
        return (
            np.bincount(lens, flux.sum(1) * weight, minlength=count),
            np.bincount(lens, in_frame.sum(1) * weight, minlength=count),
        )

    def _approach(self, light: Light) -> tuple[np.ndarray, ...]:
        """Return, for each ray (n, A), how it passes the sources.

        They are x and y of the source's centre from the ray's start, the squared speed, the r of
        the closest point, and its squared distance in units of the source's size.
        """
        w = self.speed
        a, b, c = light.metric
        centre = np.stack([light.center_x, light.center_y])
        x, y = self.alpha + (centre - self.origin)[..., None]
        pace = a * w[0] ** 2 + 2 * b * w[0] * w[1] + c * w[1] ** 2
        nearest = (a * w[0] * x + b * (w[0] * y + w[1] * x) + c * w[1] * y) / pace
        squared = a * x**2 + 2 * b * x * y + c * y**2 - pace * nearest**2
        missed = np.maximum(squared, 0) / light.size[:, None] ** 2
        return x, y, pace, nearest, missed


def _points(
    r: np.ndarray, w: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where rays meet the source plane, from the source's centre."""
    return r * w[0][:, None] - x[:, None], r * w[1][:, None] - y[:, None]
