"""Mass profiles against caustics, against exact arithmetic where lenstronomy has none, and in their limits."""

import mpmath as mp
import numpy as np
import pytest
import torch
from caustics.constants import G_over_c2, arcsec_to_rad, rad_to_arcsec
from caustics.lenses import func as caustics
from lenstronomy.LensModel.Profiles.point_mass import PointMass
from scipy.special import hyp2f1

from lenssim.simulate.engines.batched.profiles import (
    cnfw,
    epl,
    line_mass,
    nfw,
    point_mass,
    sie,
    tnfw,
)
from lenssim.simulate.engines.batched.profiles.projection import NFW_AT_RS

X0, Y0 = 0.11, -0.2


def tensors(**values) -> dict[str, torch.Tensor]:
    return {
        name: torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()
    }


CENTER = tensors(center_x=X0, center_y=Y0)


def plane(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions over a frame, at least 0.02 arcsec from the centre."""
    x, y = torch.as_tensor(np.random.default_rng(0).uniform(-3, 3, (2, count)))
    far = torch.hypot(x - X0, y - Y0) > 0.02
    return x[far], y[far]


def assert_same(mine, theirs, tolerance: float) -> None:
    """Equal to that part of the largest value."""
    mine = torch.stack(mine) if isinstance(mine, tuple) else mine
    theirs = torch.stack(theirs) if isinstance(theirs, tuple) else theirs
    assert (mine - theirs).abs().max() <= tolerance * theirs.abs().max()


@pytest.mark.parametrize(("q", "angle"), [(0.8, 0.3), (0.3, -1.2), (0.99, 2.0)])
def test_caustics_sie(q, angle):
    x, y = plane()
    e = (1 - q) / (1 + q)
    mine = {
        **tensors(theta_E=1.2, e1=e * np.cos(2 * angle), e2=e * np.sin(2 * angle)),
        **CENTER,
    }
    theirs = (
        X0,
        Y0,
        torch.tensor(q, dtype=x.dtype),
        torch.tensor(angle, dtype=x.dtype),
        1.2,
        x,
        y,
    )
    assert_same(
        sie.deflection(x, y, **mine), caustics.reduced_deflection_angle_sie(*theirs), 1e-7
    )
    assert_same(sie.convergence(x, y, **mine), caustics.convergence_sie(*theirs), 1e-7)


def test_caustics_point_mass():
    x, y = plane()
    theirs = caustics.reduced_deflection_angle_point(X0, Y0, 0.3, x, y)
    assert_same(
        point_mass.deflection(x, y, **tensors(theta_E=0.3), **CENTER), theirs, 1e-12
    )


def test_caustics_nfw():
    """Their mass and concentration make an Rs and a deflection there."""
    x, y = plane()
    d_l, density, mass, c = (
        torch.tensor(v, dtype=torch.float64) for v in (1200.0, 1.7e11, 1e13, 6.0)
    )
    Rs = caustics.scale_radius_nfw(density, mass, c) / (d_l * arcsec_to_rad)
    rho = caustics.scale_density_nfw(density, c)
    alpha_Rs = (
        16
        * np.pi
        * G_over_c2
        * rho
        * (Rs * d_l * arcsec_to_rad) ** 2
        * NFW_AT_RS
        * rad_to_arcsec
    )
    theirs = caustics.physical_deflection_angle_nfw(X0, Y0, mass, c, density, d_l, x, y)
    assert_same(nfw.deflection(x, y, Rs=Rs, alpha_Rs=alpha_Rs, **CENTER), theirs, 1e-9)
    # Convergence and deflection are of one source plane when the critical density is c^2 / (4 pi G D_l).
    critical = 1 / (4 * np.pi * G_over_c2 * d_l)
    theirs = caustics.convergence_nfw(critical, density, X0, Y0, mass, c, x, y, d_l)
    assert_same(nfw.convergence(x, y, Rs=Rs, alpha_Rs=alpha_Rs, **CENTER), theirs, 1e-9)


@pytest.mark.parametrize("tau", [0.3, 4.0])
def test_caustics_tnfw(tau):
    x, y = plane()
    d_l, Rs, alpha_Rs = (torch.tensor(v, dtype=torch.float64) for v in (1200.0, 0.4, 0.1))
    M0 = alpha_Rs * Rs * d_l * arcsec_to_rad / (4 * G_over_c2 * rad_to_arcsec * NFW_AT_RS)
    mine = {"Rs": Rs, "alpha_Rs": alpha_Rs, "r_trunc": tau * Rs, **CENTER}
    theirs = caustics.physical_deflection_angle_tnfw(
        X0, Y0, Rs, torch.tensor(tau, dtype=x.dtype), x, y, M0, d_l
    )
    assert_same(
        tnfw.deflection(x, y, **mine), theirs, 2e-6
    )  # theirs is a short series around x = 1
    critical = 1 / (4 * np.pi * G_over_c2 * d_l)
    theirs = caustics.convergence_tnfw(
        X0, Y0, Rs, torch.tensor(tau, dtype=x.dtype), x, y, critical, M0, d_l
    )
    assert_same(tnfw.convergence(x, y, **mine), theirs, 2e-5)


def F(x):
    if x == 1:
        return mp.mpf(1)
    return (
        mp.acosh(1 / x) / mp.sqrt(1 - x**2) if x < 1 else mp.acos(1 / x) / mp.sqrt(x**2 - 1)
    )


def k(x):
    return mp.mpf(1) / 3 if x == 1 else (1 - F(x)) / (x**2 - 1)


def exact_nfw(x):
    """x alpha and kappa, both without their factors."""
    return mp.log(x / 2) + F(x), k(x)


def exact_tnfw(x, tau):
    """Equations A.8 and A.18 of Baltz, Marshall & Oguri 2009 as they are printed."""
    root = mp.sqrt(tau**2 + x**2)
    log = mp.log(x / (tau + root))
    factor = tau**2 / (tau**2 + 1) ** 2
    mass = (tau**2 + 1 + 2 * (x**2 - 1)) * F(x) + tau * mp.pi + (tau**2 - 1) * mp.log(tau)
    mass += root * (-mp.pi + log * (tau**2 - 1) / tau)
    kappa = (
        (tau**2 + 1) * k(x) + 2 * F(x) - mp.pi / root + (tau**2 - 1) / (tau * root) * log
    )
    return factor * mass, factor * kappa


def exact_cnfw(x, b):
    """lenstronomy's closed forms, with b = 1 approached from above."""
    b = b if b != 1 else 1 + mp.mpf(10) ** -15
    mass = (1 - b) ** 2 * mp.log(x**2 / 4) - b**2 * mp.log(b**2)
    mass += 2 * (b**2 - x**2) * F(x / b) + 2 * (1 + b * (x**2 - 2)) * F(x)
    kappa = (1 - b * x**2) * k(x) + b - F(x / b)
    return mass / 2 / (1 - b) ** 2, kappa / (1 - b) ** 2


RADII = [
    1.1e-3,
    3e-3,
    0.02,
    0.1,
    0.3,
    0.5 - 1e-9,
    0.5,
    0.9,
    1 - 1e-7,
    1.0,
    1 + 1e-7,
    1.1,
    3.0,
    10.0,
]
HALOES = [
    (nfw, exact_nfw, ()),
    *[(tnfw, exact_tnfw, (tau,)) for tau in (0.1, 1.0, 10.0, 1e3)],
    *[(cnfw, exact_cnfw, (b,)) for b in (1e-3, 0.1, 0.7, 3.0)],
]


def halo(profile, shape, x, dtype):
    """Deflection and convergence at x, of a halo with Rs = 1 and alpha_Rs = 1."""
    names = [
        "Rs",
        "alpha_Rs",
        *(
            {"tnfw": ["r_trunc"], "cnfw": ["r_core"]}.get(
                profile.__name__.rsplit(".")[-1], []
            )
        ),
    ]
    parameters = {
        name: torch.tensor(value, dtype=dtype)
        for name, value in zip(names, (1.0, 1.0, *shape), strict=True)
    }
    zero = torch.zeros((), dtype=dtype)
    x = torch.as_tensor(x, dtype=dtype)
    alpha, _ = profile.deflection(x, zero, **parameters, center_x=zero, center_y=zero)
    return alpha, profile.convergence(x, zero, **parameters, center_x=zero, center_y=zero)


def exact_halo(profile, exact, shape, x):
    with mp.workdps(60):
        values = [exact(mp.mpf(r), *(mp.mpf(s) for s in shape)) for r in x]
        norm = (
            exact(mp.mpf(1), *(mp.mpf(s) for s in shape))[0]
            if profile is cnfw
            else 1 - mp.log(2)
        )
        alpha = [float(mass / norm / r) for (mass, _), r in zip(values, x, strict=True)]
        return np.array(alpha), np.array([float(kappa / norm / 2) for _, kappa in values])


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str
)
@pytest.mark.parametrize(("profile", "exact", "shape"), HALOES)
def test_haloes_to_the_last_digits(profile, exact, shape, dtype, tolerance):
    """At every radius by itself, also where the published forms, and lenstronomy with them, cancel."""
    x = torch.tensor(RADII, dtype=dtype)
    for mine, theirs in zip(
        halo(profile, shape, x, dtype),
        exact_halo(profile, exact, torch.tensor(shape, dtype=dtype).tolist(), x.tolist()),
        strict=True,
    ):
        digit = 2 * torch.finfo(dtype).eps * theirs.max()
        np.testing.assert_allclose(
            mine.double().numpy(), theirs, rtol=tolerance, atol=digit
        )


@pytest.mark.parametrize(
    "b",
    [0.99, 1 - 5.1e-4, 1 - 4.9e-4, 1 - 1e-9, 1.0, 1 + 1e-5, 1 + 4.9e-4, 1 + 5.1e-4, 1.02],
)
def test_core_radius_at_scale_radius(b):
    for mine, theirs in zip(
        halo(cnfw, (b,), RADII, torch.float64),
        exact_halo(cnfw, exact_cnfw, (b,), RADII),
        strict=True,
    ):
        np.testing.assert_allclose(mine.numpy(), theirs, atol=5e-7 * theirs.max(), rtol=0)


def test_haloes_without_core_or_truncation_are_nfw():
    x, y = plane()
    parameters = {**tensors(Rs=0.3, alpha_Rs=0.1), **CENTER}
    one = torch.ones((), dtype=torch.float64)
    for function in ("deflection", "convergence"):
        expected = getattr(nfw, function)(x, y, **parameters)
        assert_same(
            getattr(tnfw, function)(x, y, **parameters, r_trunc=3e6 * one), expected, 1e-10
        )
        assert_same(
            getattr(cnfw, function)(x, y, **parameters, r_core=1e-8 * one), expected, 1e-5
        )


def test_isothermal_power_law_is_sie():
    x, y = plane()
    parameters = {**tensors(theta_E=1.2, e1=0.2, e2=-0.3), **CENTER}
    power_law = {**parameters, **tensors(gamma=2.0)}
    assert_same(
        epl.deflection(x, y, **power_law), sie.deflection(x, y, **parameters), 1e-8
    )  # the core of the SIE
    assert_same(
        epl.convergence(x, y, **power_law), sie.convergence(x, y, **parameters), 1e-8
    )


@pytest.mark.parametrize(("q", "tolerance"), [(0.2, 1e-12), (0.1, 1e-9), (0.05, 1e-5)])
def test_power_law_series_for_flat_ellipses(q, tolerance):
    x, y = plane()
    e = (1 - q) / (1 + q)
    for gamma in (1.3, 2.0, 2.7):
        alpha = epl.deflection(
            x, y, **tensors(theta_E=1.0, gamma=gamma, e1=e, e2=0.0), **CENTER
        )
        z = q * (x - X0).numpy() + 1j * (y - Y0).numpy()
        t = gamma - 1
        series = hyp2f1(1, t / 2, 2 - t / 2, -e * z / z.conj())
        expected = 2 / (1 + q) * (np.sqrt(q) / np.abs(z)) ** t * z * series
        assert_same(
            alpha,
            (torch.as_tensor(expected.real), torch.as_tensor(expected.imag)),
            tolerance,
        )


def test_sphere():
    x, y = plane()
    parameters = {**tensors(theta_E=1.2, e1=0.0, e2=0.0), **CENTER}
    radius = torch.hypot(x - X0, y - Y0)
    expected = (1.2 * (x - X0) / radius, 1.2 * (y - Y0) / radius)
    assert_same(sie.deflection(x, y, **parameters), expected, 1e-8)  # the core
    assert_same(epl.deflection(x, y, **parameters, **tensors(gamma=2.0)), expected, 1e-14)


@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5, 4.0])
def test_sie_is_continuous_in_ellipticity(angle):
    """Where its series takes over from the closed form, and where the square root of e changes sign."""
    x, y = plane()

    def deflection(e1, e2):
        return sie.deflection(x, y, **tensors(theta_E=1.0, e1=e1, e2=e2), **CENTER)

    inside, outside = (sie.ROUND * (1 + step) for step in (-1e-12, 1e-12))
    cos, sin = np.cos(angle), np.sin(angle)
    assert_same(
        deflection(inside * cos, inside * sin),
        deflection(outside * cos, outside * sin),
        1e-9,
    )
    assert_same(deflection(1e-14, -0.3), deflection(-1e-14, -0.3), 1e-12)
    assert_same(deflection(-0.3, 1e-14), deflection(-0.3, -1e-14), 1e-12)


LINE = tensors(theta_E=0.3, half_length=0.8, angle=0.5)


def line(x, y, **other):
    return line_mass.deflection(x, y, **{**LINE, **CENTER, **tensors(**other)})


def beads(x, y, count: int) -> np.ndarray:
    """The deflection of `count` equal point masses, each in the middle of its part of the line."""
    along = 0.8 * (2 * (np.arange(count) + 0.5) / count - 1)
    bead = {"theta_E": 0.3 / np.sqrt(count)}
    return sum(
        np.array(
            PointMass().derivatives(
                x.numpy(),
                y.numpy(),
                center_x=X0 + s * np.cos(0.5),
                center_y=Y0 + s * np.sin(0.5),
                **bead,
            )
        )
        for s in along
    )


def published_beads(x, y, count: int) -> np.ndarray:
    """The same with the beads from end to end, as the published data have them."""
    along = torch.linspace(-0.8, 0.8, count, dtype=torch.float64)
    own = tensors(theta_E=0.3 / np.sqrt(count))
    center = {
        "center_x": X0 + along[:, None] * np.cos(0.5),
        "center_y": Y0 + along[:, None] * np.sin(0.5),
    }
    return torch.stack(point_mass.deflection(x, y, **own, **center)).sum(1).numpy()


def test_line_is_the_limit_of_beads():
    """Away from the line the differences fall as 1 / N, and as 1 / N^2 for beads that do not overhang."""
    x, y = plane()
    w = (x - X0 + 1j * (y - Y0)) * np.exp(-0.5j)
    away = (w.imag.abs() > 0.2) | (w.real.abs() > 1.0)
    x, y = x[away], y[away]
    exact = torch.stack(line(x, y)).numpy()
    for chain, order in ((published_beads, 1), (beads, 2)):
        differences = [np.abs(chain(x, y, count) - exact).max() for count in (100, 1000)]
        assert differences[0] < 0.05 * np.abs(exact).max()
        assert differences[0] / differences[1] == pytest.approx(10**order, rel=0.1)


def test_line_jumps_on_itself_and_nowhere_else():
    w = torch.tensor([-3.0, -0.8001, -0.5, 0.0, 0.7, 0.8001, 2.0], dtype=torch.float64)
    across = [
        tuple(line(X0 + w, Y0 + h * torch.ones_like(w), angle=0.0)) for h in (1e-12, -1e-12)
    ]
    on = line(X0 + w, Y0 * torch.ones_like(w), angle=0.0)
    jump = np.pi * 0.3**2 / 0.8 * (w.abs() < 0.8).double()
    torch.testing.assert_close(across[0][1] - across[1][1], jump, rtol=1e-8, atol=1e-7)
    torch.testing.assert_close(across[0][0], across[1][0], rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(on[1], torch.zeros_like(w), rtol=0, atol=1e-15)


def test_line_is_continuous_around_itself():
    """Along a loop around it, and so over every branch cut, steps stay as small as the step."""
    phi = torch.linspace(-np.pi, np.pi, 20_001, dtype=torch.float64)
    for angle in (0.0, 0.5, np.pi / 2, np.pi, -2.0):
        alpha = torch.stack(line(X0 + 0.9 * phi.cos(), Y0 + 0.9 * phi.sin(), angle=angle))
        assert alpha.diff().abs().max() < 3e-3 * alpha.abs().max()


def test_short_line_is_a_point_mass():
    x, y = plane()
    for half_length in (0.0, 1e-9, 1e-6):
        point = point_mass.deflection(x, y, **tensors(theta_E=0.3), **CENTER)
        assert_same(line(x, y, half_length=half_length), point, 1e-8)
