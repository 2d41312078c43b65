"""The deflection of an elliptical power law, and its derivatives, in closed form."""

import torch
from torch import Tensor

__all__ = ["power_law_slopes"]

_CORE2 = 1e-10  # arcsec^2
_TERMS = 30  # of a series in |e|, which is at most 0.65


def power_law_slopes(
    dx: Tensor, dy: Tensor, theta_E: Tensor, e: tuple[Tensor, Tensor], gamma: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the deflection of an elliptical power law and its derivatives.

    Tessore and Metcalf (2015), with z = dx + i dy, w = z - e z*, t = gamma - 1 and
    zeta = -e* w / w*::

        alpha = (theta_E / R)^t w 2F1(1, t / 2; 2 - t / 2; zeta),  R = |w| / sqrt(1 - |e|^2)

    Args:
        dx: Positions (N, R) from the centre of the lens [arcsec].
        dy: Positions, as `dx`.
        theta_E: Einstein radii (N, 1) [arcsec].
        e: e1 and e2, each (N, 1).
        gamma: Slopes (N, 1), 2 for an isothermal lens.

    Returns:
        Deflections, complex (N, R), and their derivatives, complex (N, 6, R), by theta_E, e1,
        e2, dx, dy and gamma.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> alpha, _ = power_law_slopes(one, 0 * one, 1.2 * one, (0 * one, 0 * one), 2 * one)
        >>> round(float(alpha.real), 3)
        1.2
    """
    e1, e2 = e
    e_complex = torch.complex(e1, e2)
    z = torch.complex(dx, dy)
    w = z - e_complex * z.conj()
    ratio = w / (w.conj() + (w == 0))
    zeta = -e_complex.conj() * ratio
    t = gamma - 1
    room = 1 - e1**2 - e2**2
    log_radius = 0.5 * torch.log((w.abs().square() + _CORE2) / room)
    series, by_zeta, by_t = _series(zeta, t)
    scale = torch.exp(t * (torch.log(theta_E) - log_radius)) * w
    alpha = scale * series
    inverse = w.conj() / (w.abs().square() + _CORE2)
    rows = [t / theta_E * alpha]
    moves = (
        (-z.conj(), 1.0, e1),
        (-1j * z.conj(), 1j, e2),
        (1 - e_complex, 0.0, 0.0),
        (1j * (1 + e_complex), 0.0, 0.0),
    )
    for dw, de, along in moves:
        relative = dw * inverse
        dzeta = 2j * zeta * relative.imag
        if de:
            dzeta = dzeta - complex(de).conjugate() * ratio
        shrinks = t * (relative.real + along / room)
        rows.append(alpha * (relative - shrinks) + scale * by_zeta * dzeta)
    rows.append(scale * by_t + alpha * (torch.log(theta_E) - log_radius))
    return alpha, torch.stack(rows, dim=1)


def _series(zeta: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return 2F1(1, t / 2; 2 - t / 2; zeta), and its derivatives by zeta and by t."""
    value = torch.ones_like(zeta)
    by_zeta = torch.zeros_like(zeta)
    by_t = torch.zeros_like(zeta)
    for n in range(_TERMS - 1, -1, -1):
        divisor = n + 2 - t / 2
        factor = (n + t / 2) / divisor
        by_t = zeta * ((n + 1) / divisor**2 * value + factor * by_t)
        by_zeta = factor * (value + zeta * by_zeta)
        value = 1 + factor * zeta * value
    return value, by_zeta, by_t
