"""Isothermal ellipsoids with shear, many at once, along rays from their centres: caustics, images, magnifications.

An isothermal ellipsoid deflects alike all along such a ray, which sees a straight line of the source: with theta = r e
in the direction e, beta = r w - alpha, w = (1 - Gamma) e. Questions about a lens become questions about lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial

import numpy as np

from lenssim.simulate.sources.light import Light

__all__ = ["Isothermal"]

_DIRECTIONS = 256
_TRIES = 30  # of eight points a lens: the area inside is above a tenth of what they are drawn from
_ROUND = 1e-6  # sqrt(1 - q^2) below which an ellipsoid is a sphere to rounding


@dataclass(frozen=True)
class Isothermal:
    """n lenses of lenstronomy's parameters, each (n,), for their own source redshift; angles in arcsec."""

    theta_E: np.ndarray
    e1: np.ndarray
    e2: np.ndarray
    center_x: np.ndarray
    center_y: np.ndarray
    gamma1: np.ndarray
    gamma2: np.ndarray

    @cached_property
    def ray(self) -> np.ndarray:
        """Unit vectors e (2, A)."""
        phi = (np.arange(_DIRECTIONS) + 0.5) * 2 * np.pi / _DIRECTIONS
        return np.stack([np.cos(phi), np.sin(phi)])

    @cached_property
    def speed(self) -> np.ndarray:
        """w (2, n, A): the source plane's arcsec for one arcsec along the ray."""
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
        """Deflection (2, n, A) by the ellipsoid: Kormann, Schneider & Bartelmann 1994 (A&A 284, 285), equation 27a."""
        q, cos, sin, u, v = self._axes
        f = np.maximum(np.sqrt(1 - q**2), _ROUND)
        psi = np.hypot(q * u, v)
        strength = self.theta_E[:, None] * np.sqrt(q) / f
        along = strength * np.arctan(f * u / psi)
        across = strength * np.arctanh(f * v / psi)
        return np.stack([cos * along - sin * across, sin * along + cos * across])

    @property
    def origin(self) -> np.ndarray:
        """What the lenses' centres would show (2, n) if the ellipsoids did not deflect: the middle of the caustics."""
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
        """Curves (2, n, A) about `origin` in the source plane: the cut, which radii of 0 see, and the caustic.

        A Hessian of 1 - Gamma - (h / r) t t^T, t across the ray and h = 2 kappa r, is singular at
        r = h t^T adj(1 - Gamma) t / det(1 - Gamma).
        """
        q, _, _, u, v = self._axes
        h = self.theta_E[:, None] * np.sqrt(q) / np.hypot(q * u, v)
        (x, y) = self.ray
        g1 = self.gamma1[:, None]
        g2 = self.gamma2[:, None]
        stretch = (
            1 + g1 * (y**2 - x**2) - 2 * g2 * x * y
        )  # e^T (1 - Gamma) e, which is t^T adj(1 - Gamma) t
        radius = h * stretch / (1 - g1**2 - g2**2)
        return -self.alpha, radius * self.speed - self.alpha

    def images(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Number (n, K) of images of points (n, K) in the source plane, about `origin`.

        An image is a ray that meets the point in front of it: where w x (beta + alpha) changes its sign at r > 0. Pairs
        closer than the rays, 1.4 degrees, may be missed.
        """
        seen = np.stack([x, y])[..., None] + self.alpha[:, :, None]
        w = self.speed[:, :, None]
        aside = w[0] * seen[1] - w[1] * seen[0]
        ahead = w[0] * seen[0] + w[1] * seen[1]
        aside_next = np.roll(aside, -1, axis=-1)
        ahead_next = np.roll(ahead, -1, axis=-1)
        crossed = (aside < 0) != (aside_next < 0)
        part = aside / np.where(crossed, aside - aside_next, 1)
        return (crossed & (ahead + part * (ahead_next - ahead) > 0)).sum(-1)

    def place(self, rng: np.random.Generator) -> np.ndarray:
        """Points (2, n) of the source plane: even over what lies inside the cut or the caustic, NaN if nothing does."""
        reach = np.maximum(*(np.abs(curve).max(-1) for curve in self.caustics))  # (2, n)
        found = np.full_like(reach, np.nan)
        for _ in range(_TRIES):
            if not len(left := np.flatnonzero(np.isnan(found[0]))):
                break
            drawn = rng.uniform(-1, 1, (2, len(left), 8)) * reach[:, left, None]
            inside = self.take(left).images(*drawn) > 1
            some = inside.any(-1)
            first = inside.argmax(-1)
            found[:, left[some]] = drawn[:, some, first[some]]
        return found + self.origin

    def take(self, rows: np.ndarray) -> "Isothermal":
        """The lenses `rows`."""
        return Isothermal(*(getattr(self, own.name)[rows] for own in fields(self)))

    def magnification(
        self, source: Sequence[Light], frame: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Flux (n,) of the images over that of the source, and the part within `frame` arcsec of (0, 0) in x and y.

        The integral of r S(r w - alpha) over rays, with nodes about the point of each ray that is next to the source.
        """
        total = np.zeros(len(self.theta_E))
        inside = np.zeros(len(self.theta_E))
        w = self.speed
        for light in source:
            a, b, c = light.metric
            x, y = (
                self.alpha
                + (np.stack([light.center_x, light.center_y]) - self.origin)[..., None]
            )
            pace = a * w[0] ** 2 + 2 * b * w[0] * w[1] + c * w[1] ** 2
            nearest = (a * w[0] * x + b * (w[0] * y + w[1] * x) + c * w[1] * y) / pace
            missed = (
                np.maximum(a * x**2 + 2 * b * x * y + c * y**2 - pace * nearest**2, 0)
                / light.size[:, None] ** 2
            )
            own, ray = np.nonzero(missed < light.reach[:, None] ** 2)
            steps, widths = light.nodes()
            scale = light.size[own] / np.sqrt(pace[own, ray])
            r = nearest[own, ray, None] + scale[:, None] * steps[own]
            seen = light.brightness(
                own,
                missed[own, ray, None] + steps[own] ** 2,
                partial(_points, r, w[:, own, ray], x[own, ray], y[own, ray]),
            )
            flux = np.maximum(r, 0) * seen * widths[own]
            seen_x = self.center_x[own, None] + r * self.ray[0][ray, None]
            seen_y = self.center_y[own, None] + r * self.ray[1][ray, None]
            held = flux * (np.maximum(np.abs(seen_x), np.abs(seen_y)) < frame)
            weight = scale * (light.part / light.unit_flux)[own] * 2 * np.pi / _DIRECTIONS
            total += np.bincount(own, flux.sum(1) * weight, minlength=len(total))
            inside += np.bincount(own, held.sum(1) * weight, minlength=len(total))
        return total, inside / np.where(total > 0, total, 1)


def _points(
    r: np.ndarray, w: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where rays meet the source plane, from the source's centre."""
    return r * w[0][:, None] - x[:, None], r * w[1][:, None] - y[:, None]
