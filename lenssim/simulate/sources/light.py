"""Light along straight lines of the source plane: what rays from the centre of a lens see."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lenssim.simulate.sources.frame import GALAXY_SIDE, GALAXY_WIDTH, brightness_at
from lenssim.simulate.sources.sersic import b_n, unit_flux

__all__ = ["GalaxyLight", "Light", "SersicLight"]

_NODES_A_LINE = 48  # through a smooth source
_MAX_EFOLDINGS = 16.0  # below its central brightness, where a source ends

Points = Callable[[], tuple[np.ndarray, np.ndarray]]


class Light(Protocol):
    """Light of n sources, one a lens."""

    @property
    def part(self) -> np.ndarray:
        """Shares (n,) of the source's flux."""

    @property
    def center_x(self) -> np.ndarray:
        """Positions (n,) [arcsec]."""

    @property
    def center_y(self) -> np.ndarray:
        """Positions (n,) [arcsec]."""

    @property
    def unit_flux(self) -> np.ndarray:
        """Flux (n,) [arcsec^2] of `brightness`."""

    @property
    def size(self) -> np.ndarray:
        """Unit (n,) [arcsec] of the source's lengths."""

    @property
    def reach(self) -> np.ndarray:
        """Radius (n,) at which the source ends, in units of `size`."""

    @property
    def metric(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """a, b, c (n, 1) of the radius R^2 = a x^2 + 2 b x y + c y^2."""

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return positions (n, K) on a line from -reach to reach, and their widths."""

    def brightness(
        self, rows: np.ndarray, squared: np.ndarray, points: Points
    ) -> np.ndarray:
        """Return the brightness of the sources `rows` on L lines of K points.

        Args:
            rows: Sources (L,).
            squared: Squared radii (L, K), in units of `size`.
            points: Function that returns x and y from the centre, each (L, K) [arcsec].
        """


@dataclass(frozen=True)
class SersicLight:
    """Elliptical Sersic profiles, columns (n,) as in `profiles`."""

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
        return (_MAX_EFOLDINGS / b_n(self.n_sersic)) ** self.n_sersic

    @property
    def metric(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # noqa: D102
        e1 = self.e1[:, None]
        e2 = self.e2[:, None]
        squared = e1**2 + e2**2
        return (
            (1 + squared - 2 * e1) / (1 - squared),
            -2 * e2 / (1 - squared),
            (1 + squared + 2 * e1) / (1 - squared),
        )

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        t = np.arcsinh(self.reach)[:, None] * np.linspace(-1, 1, _NODES_A_LINE)
        return np.sinh(t), np.cosh(t) * (t[:, 1:2] - t[:, :1])

    def brightness(
        self, rows: np.ndarray, squared: np.ndarray, points: Points
    ) -> np.ndarray:
        """Return the Sersic profile's brightness, 1 at R_sersic."""
        shape = squared ** (0.5 / self.n_sersic)[rows, None]
        return np.exp(b_n(self.n_sersic)[rows, None] * (1 - shape))


@dataclass(frozen=True)
class GalaxyLight:
    """Images of galaxies.

    `images` (K, H, W) have sum 1, `image` (n,) are their rows, `R_half` (n,) half-light
    radii [arcsec] and `phi_G` (n,) angles [rad].
    """

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
        ones = np.ones((len(self.R_half), 1))
        return ones, 0 * ones, ones

    def nodes(self) -> tuple[np.ndarray, np.ndarray]:  # noqa: D102
        steps = self.reach[:, None] * np.linspace(-1, 1, GALAXY_SIDE)
        return steps, np.broadcast_to(steps[:, 1:2] - steps[:, :1], steps.shape)

    def brightness(
        self, rows: np.ndarray, squared: np.ndarray, points: Points
    ) -> np.ndarray:
        """Return the images' brightness by linear interpolation."""
        x, y = points()
        scale = self.R_half[rows, None] * GALAXY_WIDTH / GALAXY_SIDE
        cos = np.cos(self.phi_G)[rows, None]
        sin = np.sin(self.phi_G)[rows, None]
        which = self.image.astype(np.int64)[rows, None]
        return brightness_at(
            self.images, which, (cos * x + sin * y) / scale, (cos * y - sin * x) / scale
        )
