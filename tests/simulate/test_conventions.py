"""Laws of every conversion: there and back changes nothing, and both codes compute the same on either side."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from lenssim.simulate import conventions as c
from lenssim.simulate.engines.batched.profiles.sersic import b_n
from lenssim.simulate.profiles import PROFILES

SMALL = st.floats(1e-3, 50)
SIGNED = st.floats(-3, 3)
Q = st.floats(0.05, 1)
GAMMA = st.floats(1.2, 2.8)
INDEX = st.floats(0.5, 8)
PIXEL = st.floats(0.01, 0.5)
RATIO = st.floats(0.01, 20)

# what: (there, back, arguments that are converted, arguments that only help)
PAIRS = {
    "centre": (
        lambda x, y: c.centre_to_autolens(x, y),
        lambda a, b: c.centre_from_autolens((a, b)),
        (SIGNED, SIGNED),
        (),
    ),
    "ellipticity": (
        lambda a, b: c.ellipticity_to_autolens(a, b),
        lambda a, b: c.ellipticity_from_autolens((a, b)),
        (SIGNED, SIGNED),
        (),
    ),
    "axes": (
        lambda q, phi: c.ellipticity(q, phi),
        lambda a, b: (c.axis_ratio(a, b), c.position_angle(a, b)),
        (st.floats(0.05, 0.99), st.floats(-1.5, 1.5)),
        (),
    ),
    "angle": (c.angle_to_autolens, c.angle_from_autolens, (SIGNED,), ()),
    "Einstein radius": (
        c.einstein_radius_to_autolens,
        c.einstein_radius_from_autolens,
        (SMALL,),
        (Q, GAMMA),
    ),
    "Sersic": (
        c.sersic_to_autolens,
        c.sersic_from_autolens,
        (SMALL, SMALL),
        (INDEX, PIXEL),
    ),
    "intensity": (c.intensity_to_autolens, c.intensity_from_autolens, (SMALL,), (PIXEL,)),
    "NFW": (c.nfw_kappa_s, c.nfw_alpha_Rs, (SMALL,), (SMALL,)),
    "cored NFW": (c.cnfw_kappa_s, c.cnfw_alpha_Rs, (SMALL,), (SMALL, SMALL)),
    "COOLEST angle": (
        c.angle_to_coolest,
        c.angle_from_coolest,
        (st.floats(0.001, 3.14),),
        (),
    ),
    "COOLEST shear": (c.shear_to_coolest, c.shear_from_coolest, (SIGNED, SIGNED), ()),
    "COOLEST NFW": (
        c.nfw_density_to_coolest,
        c.nfw_density_from_coolest,
        (SMALL,),
        (SMALL, SMALL),
    ),
    "caustics radius": (c.radius_to_caustics, c.radius_from_caustics, (SMALL,), (Q,)),
}


@pytest.mark.parametrize("what", PAIRS)
@given(data=st.data())
def test_there_and_back_changes_nothing(what, data):
    there, back, converted, helping = PAIRS[what]
    values = tuple(data.draw(each) for each in converted)
    help_ = tuple(data.draw(each) for each in helping)
    found = there(*values, *help_)
    again = back(*(found if isinstance(found, tuple) else (found,)), *help_)
    np.testing.assert_allclose(
        again, values if len(values) > 1 else values[0], rtol=1e-12, atol=1e-13
    )


def test_every_conversion_has_its_formula_in_its_docstring():
    functions = [getattr(c, name) for name in c.__all__ if callable(getattr(c, name))]
    for function in functions:
        assert function.__doc__
        assert any(sign in function.__doc__ for sign in ("=", "->", ":", "~")), (
            function.__name__
        )


def test_position_angles_of_coolest_lie_in_their_interval():
    phi = np.linspace(-7, 7, 2001)
    degrees = c.angle_to_coolest(phi)
    assert ((degrees > -90) & (degrees <= 90)).all()
    np.testing.assert_allclose(
        np.cos(2 * c.angle_from_coolest(degrees)), np.cos(2 * phi), atol=1e-13
    )
    assert c.angle_to_coolest(np.pi / 2) == 0  # along y is north
    assert c.angle_to_coolest(0.0) == 90


def test_rows_are_flipped_and_nothing_else():
    image = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(c.flip_rows(image)[:, 0], image[:, -1])
    np.testing.assert_array_equal(c.flip_rows(c.flip_rows(image)), image)


@pytest.mark.parametrize("n", [0.5, 1.0, 2.3, 4.0, 8.0])
def test_sersic_constants_are_those_of_the_codes(n):
    from lenstronomy.LensModel.Profiles.sersic_utils import SersicUtil

    from lenssim.simulate.engines.pyauto import al

    assert c.sersic_b(n) == pytest.approx(SersicUtil().b_n(n), abs=1e-15)
    assert c.sersic_b(n) == pytest.approx(
        float(b_n(torch.tensor(n, dtype=torch.float64))), abs=1e-15
    )
    assert c.sersic_b_autolens(n) == pytest.approx(
        al.lp.Sersic(sersic_index=n).sersic_constant, abs=1e-15
    )


@given(theta_E=SMALL, q=Q, gamma=GAMMA)
def test_einstein_radii_are_those_of_autolens_own_coolest_bridge(theta_E, q, gamma):
    from autogalaxy.interop.coolest.mass import einstein_radius_ag_from

    assert c.einstein_radius_to_autolens(theta_E, q, gamma) == pytest.approx(
        einstein_radius_ag_from(theta_E, q, gamma), rel=1e-14
    )


@pytest.mark.parametrize(
    "b", [1e-3, 0.05, 0.5, 0.985, 0.9899, 0.9901, 1.0, 1.0099, 1.0101, 1.5, 30.0]
)
def test_cored_nfw_normalisation_is_its_deflection_at_the_scale_radius(b):
    """Against quadrature of the density: alpha(Rs) = 4 / Rs times the integral of x kappa up to Rs, in 2 kappa_s."""
    from scipy.integrate import quad

    def surface(x: float) -> float:  # of 1 / ((b + r) (1 + r)^2), along the line of sight
        def along(t: float) -> float:
            r = np.hypot(x, t)
            return 1 / ((b + r) * (1 + r) ** 2)

        return 2 * quad(along, 0, np.inf, epsabs=0, epsrel=1e-11)[0]

    alpha = 2 * quad(lambda x: x * surface(x), 0, 1, epsabs=0, epsrel=1e-10)[0]
    assert c.cnfw_alpha_Rs(1.0, 1.0, b) == pytest.approx(alpha, rel=1e-8)


@pytest.mark.parametrize(
    ("fwhm", "truncation", "pixel"),
    [(0.08, 5, 0.08), (0.16, 5, 0.101), (0.3, 3, 0.05), (0.01, 3, 1)],
)
def test_the_gaussian_kernel_is_scipys(fwhm, truncation, pixel):
    kernel = c.gaussian_kernel(fwhm, truncation, pixel)
    point = np.zeros((81, 81))
    point[40, 40] = 1
    filtered = gaussian_filter(
        point, fwhm / 2.3548200450309493 / pixel, truncate=truncation, mode="nearest"
    )
    half = len(kernel) // 2
    np.testing.assert_allclose(
        kernel, filtered[40 - half : 41 + half, 40 - half : 41 + half], rtol=0, atol=1e-16
    )
    assert filtered.sum() == pytest.approx(kernel.sum(), abs=1e-14)


MASSES = [name for name, profile in PROFILES.items() if profile.kind == "mass"]


@pytest.mark.parametrize("name", MASSES)
def test_scaled_profiles_deflect_by_the_factor(name):
    from lenssim.simulate.engines.batched import profiles

    module = __import__(f"{profiles.__name__}.{name}", fromlist=["deflection"])
    values = {
        "theta_E": 1.1,
        "gamma": 2.2,
        "e1": 0.1,
        "e2": -0.2,
        "gamma1": 0.1,
        "gamma2": 0.02,
        "kappa": 0.3,
        "half_length": 0.4,
        "angle": 0.3,
        "Rs": 0.5,
        "alpha_Rs": 0.2,
        "r_trunc": 0.9,
        "r_core": 0.1,
        "kappa_0": 0.3,
        "theta_c": 0.4,
        "slope": 8.0,
        "center_x": 0.1,
        "center_y": 0.2,
    }
    own = {key: values[key] for key in PROFILES[name].columns}
    x, y = torch.tensor([[0.3, -1.2, 0.9], [0.8, 0.1, -0.7]], dtype=torch.float64)

    def deflection(parameters):
        alpha = module.deflection(
            x, y, **{k: torch.tensor(v, dtype=torch.float64) for k, v in parameters.items()}
        )
        return torch.stack(alpha).numpy()

    np.testing.assert_allclose(
        deflection(c.scaled(name, own, 0.63)), 0.63 * deflection(own), rtol=1e-11
    )


@given(
    amp=SMALL,
    R=st.floats(0.05, 2),
    n=INDEX,
    e1=st.floats(-0.4, 0.4),
    e2=st.floats(-0.4, 0.4),
)
def test_caustics_sees_the_same_light(amp, R, n, e1, e2):
    import caustics

    from lenssim.simulate.engines.batched.profiles.sersic import surface_brightness

    def doubles(**values):
        return {
            key: torch.tensor(float(value), dtype=torch.float64)
            for key, value in values.items()
        }

    x, y = torch.tensor([[0.3, -0.2, 0.05], [0.1, 0.4, -0.3]], dtype=torch.float64)
    ours = surface_brightness(
        x,
        y,
        **doubles(amp=amp, R_sersic=R, n_sersic=n, e1=e1, e2=e2, center_x=0.02, center_y=0),
    )
    q = float(c.axis_ratio(e1, e2))
    theirs = caustics.light.func.brightness_sersic(
        **doubles(
            x0=0.02,
            y0=0,
            q=q,
            phi=c.position_angle(e1, e2),
            n=n,
            Re=c.radius_to_caustics(R, q),
            Ie=amp,
        ),
        x=x,
        y=y,
        k=torch.tensor(float(c.sersic_b(n)), dtype=torch.float64),
    )
    np.testing.assert_allclose(theirs.numpy(), ours.numpy(), rtol=1e-9)
