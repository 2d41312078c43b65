"""The scan: how much chi2 a lensed source of each mass, place and size would gain."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lenssim.simulate.fit.stamps import Stamps, filtered
from lenssim.simulate.fit.tracing import trace

__all__ = ["FINE", "QUICK", "Candidate", "ScanGrid", "candidates", "scan"]

_MAX_BANK = 128 << 20  # bytes of templates that are kept
_MIN_LIGHT = 1e-3  # of the largest singular value of the light's columns
_SEPARATION = 0.07  # in ln theta_E
_QUADRUPOLE = 0.12


@dataclass(frozen=True)
class ScanGrid:
    """The masses and sources of a scan.

    Attributes:
        theta_E: Einstein radii [arcsec].
        angles: Number of position angles of an ellipticity of 0.22, besides none.
        half_width: Largest offset of a source from the lens [arcsec].
        step: Step of the offsets [arcsec].
        sizes: Standard deviations of the sources [arcsec].
    """

    theta_E: tuple[float, ...]
    angles: int
    half_width: float = 0.45
    step: float = 0.09
    sizes: tuple[float, ...] = (0.05, 0.14)

    def masses(self) -> Tensor:
        """Return masses (M, 7), without shear, about (0, 0)."""
        angles = 2 * np.pi * np.arange(self.angles) / max(self.angles, 1)
        quadrupoles = [(0.0, 0.0), *(0.22 * np.stack([np.cos(angles), np.sin(angles)], 1))]
        rows = torch.zeros(len(self.theta_E), len(quadrupoles), 7, dtype=torch.float64)
        rows[:, :, 0] = torch.tensor(self.theta_E, dtype=torch.float64)[:, None]
        rows[:, :, 1:3] = torch.from_numpy(np.array(quadrupoles, np.float64))
        return rows.reshape(-1, 7)

    def sources(self) -> Tensor:
        """Return x, y and size of the sources (S, 3)."""
        count = round(self.half_width / self.step)
        axis = np.arange(-count, count + 1) * self.step
        rows = [(x, y, size) for size in self.sizes for y in axis for x in axis]
        return torch.tensor(rows, dtype=torch.float64)


def _radii(low: float, high: float, count: int) -> tuple[float, ...]:
    return tuple(float(radius) for radius in np.geomspace(low, high, count))


QUICK = ScanGrid(_radii(0.5, 2.2, 9), 3)
FINE = ScanGrid(_radii(0.4, 2.6, 18), 6)


@dataclass(frozen=True)
class Candidate:
    """A start of a fit: theta_E, ellipticity, shear, source position [arcsec], its gain."""

    theta_E: float
    e1: float
    e2: float
    source_x: float
    source_y: float
    gain: float = 0.0
    gamma1: float = 0.0
    gamma2: float = 0.0


_BANKS: "OrderedDict[tuple, Tensor]" = OrderedDict()


def scan(stamps: Stamps, light: Tensor, grid: ScanGrid) -> tuple[Tensor, Tensor]:
    """Return the gain in chi2 of every mass, with all amplitudes of the light refitted.

    The score of a template T is max(0, T d)^2 / T T, with the light's columns projected out
    of both.

    Args:
        stamps: One lens (1, P), its centre at (0, 0).
        light: Columns of the lens light and the sky (K, P), weighted.
        grid: The masses and sources.

    Returns:
        The largest gain of each mass (M,), and the number of its source (M,).
    """
    basis = _orthonormal(light)
    data = stamps.data[0] - basis.T @ (basis @ stamps.data[0])
    weights = stamps.weights[0]
    planes = torch.cat([data[None], basis]) * weights
    planes = planes.to(torch.float32)
    squares = (weights**2).to(torch.float32)
    gains = []
    for templates in _templates(stamps, grid):
        products = templates @ planes.T
        norm = templates.square() @ squares - products[..., 1:].square().sum(-1)
        floor = 1e-4 * norm.amax(-1, keepdim=True) + 1e-12
        gains.append(products[..., 0].clamp(min=0).square() / (norm.clamp(min=0) + floor))
    best = torch.cat(gains).max(dim=-1)
    return best.values.to(torch.float64), best.indices


def candidates(
    stamps: Stamps, light: Tensor, grid: ScanGrid, count: int
) -> list[Candidate]:
    """Return the best masses of a scan that differ from each rival.

    Args:
        stamps: One lens (1, P).
        light: Columns of the lens light and the sky (K, P), weighted.
        grid: The masses and sources.
        count: How many are wanted.
    """
    gains, sources = scan(stamps, light, grid)
    masses = grid.masses()
    places = grid.sources()
    chosen: list[Candidate] = []
    for row in torch.argsort(gains, descending=True, stable=True).tolist():
        theta_E, e1, e2 = masses[row, :3].tolist()
        if not all(_differs(theta_E, e1, e2, rival) for rival in chosen):
            continue
        x, y, _ = places[int(sources[row])].tolist()
        chosen.append(Candidate(theta_E, e1, e2, x, y, float(gains[row])))
        if len(chosen) == count:
            break
    return chosen


def _differs(theta_E: float, e1: float, e2: float, rival: Candidate) -> bool:
    return (
        abs(np.log(theta_E / rival.theta_E)) > _SEPARATION
        or np.hypot(e1 - rival.e1, e2 - rival.e2) > _QUADRUPOLE
    )


def _orthonormal(light: Tensor) -> Tensor:
    """Return an orthonormal basis (k, P) of columns (K, P)."""
    lengths = light.square().sum(1, keepdim=True).sqrt()
    units = light / torch.where(lengths > 0, lengths, 1.0)
    _, sizes, basis = torch.linalg.svd(units, full_matrices=False)
    return basis[sizes > _MIN_LIGHT * sizes[0]]


def _templates(stamps: Stamps, grid: ScanGrid) -> Iterator[Tensor]:
    """Yield templates (m, S, P), float32, of some masses at a time, kept where small."""
    key = _key(stamps, grid)
    if key in _BANKS:
        _BANKS.move_to_end(key)
        yield _BANKS[key]
        return
    masses = grid.masses().to(stamps.data.device)
    sources = grid.sources().to(stamps.data.device)
    size = 4 * len(masses) * len(sources) * stamps.data.shape[1]
    parts = []
    for mass in masses:
        part = _of_mass(stamps, mass[None], sources)
        if size > _MAX_BANK:
            yield part
        else:
            parts.append(part)
    if parts:
        while sum(bank.nbytes for bank in _BANKS.values()) + size > 2 * _MAX_BANK:
            _BANKS.popitem(last=False)
        _BANKS[key] = torch.cat(parts)
        yield _BANKS[key]


def _of_mass(stamps: Stamps, mass: Tensor, sources: Tensor) -> Tensor:
    """Return the templates (1, S, P) of one mass."""
    x, y = stamps.rays()
    beta_x, beta_y = trace(x, y, mass)
    dx = (beta_x - sources[:, :1]).to(torch.float32)
    dy = (beta_y - sources[:, 1:2]).to(torch.float32)
    variance = (sources[:, 2:] ** 2).to(torch.float32)
    brightness = torch.exp(-((dx * dx + dy * dy) / (2 * variance)).clamp(max=60.0))
    images = brightness.unflatten(-1, (stamps.size, stamps.size))
    blurred = filtered(images, stamps.transform[0].to(torch.complex64))
    return blurred[None].flatten(-2).contiguous()


def _key(stamps: Stamps, grid: ScanGrid) -> tuple:
    """Return what templates depend on: PSF, pixels and grid."""
    transform = stamps.transform[0].cpu().contiguous()
    digest = hashlib.sha256(torch.view_as_real(transform).numpy().tobytes()).hexdigest()
    place = (stamps.size, stamps.pixel_scale, stamps.origin, str(stamps.data.device))
    return (digest, *place, grid)
