"""Light along straight lines of the source plane: what rays from the centre of an isothermal lens see."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lenssim.simulate.sources.galaxies import GALAXY_SIDE, GALAXY_WIDTH, brightness_at
from lenssim.simulate.sources.sersic import b_n, unit_flux

__all__ = ["GalaxyLight", "Light", "SersicLight"]

_NODES = 48  # on a line through a smooth source
_DARK = 16.0  # e-foldings below its middle at which a source ends

Points = Callable[[], tuple[np.ndarray, np.ndarray]]


class Light(Protocol):
    """Light of n sources, one a lens, about `center_x`, `center_y` (n,) [arcsec]; `part` (n,) of the source's flux.

    `unit_flux` (n,) [arcsec^2] is the flux of `brightness`; `size` (n,) [arcsec] the unit of its lengths, in which it
    ends at `reach` (n,). `metric` are a, b, c (n, 1) of the radius R^2 = a x^2 + 2 b x y + c y^2.
    """

    @property
    def part(self) -> np.ndarray: ...  # noqa: D102

    @property
    def center_x(self) -> np.ndarray: ...  # noqa: D102

    @property
    def center_y(self) -> np.ndarray: ...  # noqa: D102

    @property
    def unit_flux(self) -> np.ndarray: ...  # noqa: D102

    @property
    def size(self) -> np.ndarray: ...  # noqa: D102

    @property
    def reach(self) -> np.ndarray: ...  # noqa: D102

    @property
    def metric(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...  # noqa: D102

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Places (n, K) on a line from -reach to reach, and their widths."""

    def brightness(
        self, own: np.ndarray, squared: np.ndarray, points: Points
    ) -> np.ndarray:
        """Of the sources `own` (L,), at squared radii (L, K) and at points from the centre, two (L, K) [arcsec]."""


@dataclass(frozen=True)
class SersicLight:
    """Elliptical Sersic profiles: columns (n,) as in `profiles`."""

    part: np.ndarray
    R_sersic: np.ndarray
    n_sersic: np.ndarray
    e1: np.ndarray
    e2: np.ndarray
    center_x: np.ndarray
    center_y: np.ndarray

    @property
    def unit_flux(self) -> np.ndarray:  # noqa: D102
        return unit_flux(self.R_sersic, self.n_sersic)

    @property
    def size(self) -> np.ndarray:  # noqa: D102
        return self.R_sersic

    @property
    def reach(self) -> np.ndarray:  # noqa: D102
        return (_DARK / b_n(self.n_sersic)) ** self.n_sersic

    @property
    def metric(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # noqa: D102
        e1, e2 = self.e1[:, None], self.e2[:, None]
        squared = e1**2 + e2**2
        return (
            (1 + squared - 2 * e1) / (1 - squared),
            -2 * e2 / (1 - squared),
            (1 + squared + 2 * e1) / (1 - squared),
        )

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        t = np.arcsinh(self.reach)[:, None] * np.linspace(-1, 1, _NODES)
        return np.sinh(t), np.cosh(t) * (t[:, 1:2] - t[:, :1])

    def brightness(
        self, own: np.ndarray, squared: np.ndarray, points: Points
    ) -> np.ndarray:
        shape = squared ** (0.5 / self.n_sersic)[own, None]
        return np.exp(b_n(self.n_sersic)[own, None] * (1 - shape))


@dataclass(frozen=True)
class GalaxyLight:
    """Images of galaxies: `images` (K, H, W) of sum 1, which of them (n,), half-light radii and angles [rad] (n,)."""

    part: np.ndarray
    images: np.ndarray
    image: np.ndarray
    R_half: np.ndarray
    phi_G: np.ndarray
    center_x: np.ndarray
    center_y: np.ndarray

    @property
    def unit_flux(self) -> np.ndarray:  # noqa: D102
        return (self.R_half * GALAXY_WIDTH / GALAXY_SIDE) ** 2

    @property
    def size(self) -> np.ndarray:  # noqa: D102
        return self.R_half

    @property
    def reach(self) -> np.ndarray:  # noqa: D102
        return np.full(len(self.R_half), GALAXY_WIDTH / np.sqrt(2))

    @property
    def metric(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # noqa: D102
        one = np.ones((len(self.R_half), 1))
        return one, 0 * one, one

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        steps = self.reach[:, None] * np.linspace(-1, 1, GALAXY_SIDE)
        return steps, np.broadcast_to(steps[:, 1:2] - steps[:, :1], steps.shape)

    def brightness(
        self, own: np.ndarray, squared: np.ndarray, points: Points
    ) -> np.ndarray:
        x, y = points()
        scale = self.R_half[own, None] * GALAXY_WIDTH / GALAXY_SIDE
        cos, sin = np.cos(self.phi_G)[own, None], np.sin(self.phi_G)[own, None]
        which = self.image.astype(np.int64)[own, None]
        return brightness_at(
            self.images, which, (cos * x + sin * y) / scale, (cos * y - sin * x) / scale
        )
