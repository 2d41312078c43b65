"""Laws that every profile of the batched engine obeys: a new one is tested by adding its cases to `CASES`."""

import inspect
import pkgutil
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from lenstronomy.LensModel.Profiles.cnfw import CNFW
from lenstronomy.LensModel.Profiles.convergence import Convergence
from lenstronomy.LensModel.Profiles.epl import EPL
from lenstronomy.LensModel.Profiles.nfw import NFW
from lenstronomy.LensModel.Profiles.nie import NIE
from lenstronomy.LensModel.Profiles.point_mass import PointMass
from lenstronomy.LensModel.Profiles.shear import Shear
from lenstronomy.LensModel.Profiles.sie import SIE
from lenstronomy.LensModel.Profiles.tnfw import TNFW
from lenstronomy.LensModel.Profiles.uldm import Uldm
from lenstronomy.LightModel.Profiles.interpolation import Interpol
from lenstronomy.LightModel.Profiles.sersic import SersicElliptic
from lenstronomy.Util.util import rotate

from lenssim.simulate.engines.batched import profiles

LENSTRONOMY = {
    "sie": SIE,
    "epl": EPL,
    "shear": Shear,
    "sheet": Convergence,
    "point_mass": PointMass,
    "nfw": NFW,
    "tnfw": TNFW,
    "cnfw": CNFW,
    "uldm": Uldm,
    "sersic": SersicElliptic,
    "interpolated": Interpol,
}
OWN = {
    "line_mass": ("theta_E", "half_length", "angle", "center_x", "center_y"),
    "spiral": (
        *("amp", "R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y"),
        *("arms", "arm_strength", "winding", "arm_phase"),
    ),
}
FIXED_ORIGIN = {"ra_0", "dec_0"}  # lenstronomy's sheet and shear may be centred elsewhere
GEOMETRY = {"ellipticity", "projection"}
MASSLESS = {"shear", "point_mass", "line_mass"}  # no convergence where there are pixels
FUNCTIONS = ("deflection", "convergence", "surface_brightness")
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}

CENTER = {"center_x": 0.11, "center_y": -0.2}
IMAGE = np.random.default_rng(3).random((7, 10))


@dataclass(frozen=True)
class Case:
    """One profile with one set of parameters."""

    profile: str
    parameters: dict


def cases(profile: str, *parameters: dict, **common) -> list[Case]:
    return [Case(profile, {**common, **own}) for own in parameters]


CASES = [
    *cases(
        "sie",
        {"theta_E": 1.3, "e1": 0.1, "e2": 0.0},
        {"theta_E": 1e-4, "e1": -0.3, "e2": 0.4},
        {"theta_E": 50.0, "e1": -0.66, "e2": 0.0},
        {"theta_E": 1.0, "e1": 5e-4, "e2": -6e-4},
        {"theta_E": 1.0, "e1": 0.0, "e2": 0.0},
        **CENTER,
    ),
    *cases(
        "epl",
        {"theta_E": 1.3, "gamma": 2.1, "e1": 0.1, "e2": 0.05},
        {"theta_E": 0.01, "gamma": 1.6, "e1": 0.3, "e2": -0.3},
        {"theta_E": 1.0, "gamma": 2.5, "e1": -0.66, "e2": 0.0},
        {"theta_E": 1.0, "gamma": 2.0, "e1": 0.0, "e2": 0.0},
        **CENTER,
    ),
    *cases("shear", {"gamma1": 0.05, "gamma2": -0.02}),
    *cases("sheet", {"kappa": 0.1}, {"kappa": -0.2}),
    *cases("point_mass", {"theta_E": 0.01}, {"theta_E": 3.0}, **CENTER),
    *cases(
        "line_mass",
        {"theta_E": 0.2, "half_length": 0.7, "angle": 0.4},
        {"theta_E": 0.2, "half_length": 3e-3, "angle": -2.0},
        **CENTER,
    ),
    *cases(
        "nfw",
        {"Rs": 0.5, "alpha_Rs": 0.1},
        {"Rs": 0.02, "alpha_Rs": 1e-3},
        {"Rs": 20.0, "alpha_Rs": 2.0},
        **CENTER,
    ),
    *cases(
        "tnfw",
        {"Rs": 0.5, "alpha_Rs": 0.1, "r_trunc": 1.0},
        {"Rs": 0.02, "alpha_Rs": 1e-3, "r_trunc": 0.1},
        {"Rs": 0.5, "alpha_Rs": 0.1, "r_trunc": 0.2},
        {"Rs": 1.0, "alpha_Rs": 0.1, "r_trunc": 30.0},
        **CENTER,
    ),
    *cases(
        "cnfw",
        {"Rs": 0.5, "alpha_Rs": 0.1, "r_core": 0.1},
        {"Rs": 0.02, "alpha_Rs": 1e-3, "r_core": 0.01},
        {"Rs": 0.5, "alpha_Rs": 0.1, "r_core": 0.7},
        **CENTER,
    ),
    *cases(
        "uldm",
        {"kappa_0": 0.2, "theta_c": 0.3, "slope": 8.0},
        {"kappa_0": 0.2, "theta_c": 0.01, "slope": 5.0},
        **CENTER,
    ),
    *cases(
        "sersic",
        {"amp": 10.0, "R_sersic": 0.25, "n_sersic": 1.0, "e1": -0.1, "e2": 0.1},
        {"amp": 1e4, "R_sersic": 0.9, "n_sersic": 4.0, "e1": 0.0, "e2": 0.0},
        {"amp": 1e-3, "R_sersic": 0.05, "n_sersic": 6.0, "e1": 0.5, "e2": -0.4},
        {"amp": 1.0, "R_sersic": 1e-3, "n_sersic": 2.0, "e1": 0.2, "e2": 0.0},
        **CENTER,
    ),
    *cases(
        "interpolated", {"image": IMAGE, "amp": 2.0, "phi_G": 0.7, "scale": 0.3}, **CENTER
    ),
]

# Where formulas break: no mass, hardly any, enormous ones, the last digits before q = 1, and q = 0.
EDGES = [
    *[
        Case("sie", {"theta_E": t, "e1": e, "e2": 0.0, **CENTER})
        for t in (0.0, 1e-15, 1e4)
        for e in (0.0, 1e-14, 1e-3)
    ],
    *[
        Case("sie", {"theta_E": 1.0, "e1": e1, "e2": e2, **CENTER})
        for e1, e2 in ((1.0, 0.0), (0.0, -3.0), (-0.99, 0.0))
    ],
    *[
        Case("epl", {"theta_E": t, "gamma": 2.0, "e1": 0.0, "e2": e, **CENTER})
        for t in (0.0, 1e-15, 1e4)
        for e in (0.0, 1e-14)
    ],
    *[
        Case("epl", {"theta_E": 1.0, "gamma": g, "e1": 1.0, "e2": 1.0, **CENTER})
        for g in (1.2, 2.8)
    ],
    *[Case("point_mass", {"theta_E": t, **CENTER}) for t in (0.0, 1e-15, 1e3)],
    *[
        Case("line_mass", {"theta_E": t, "half_length": half, "angle": 0.0, **CENTER})
        for t in (0.0, 1e-15, 30.0)
        for half in (0.0, 1e-12, 0.5, 1e3)
    ],
    *[
        Case("nfw", {"Rs": rs, "alpha_Rs": a, **CENTER})
        for rs in (1e-3, 1.0, 1e3)
        for a in (0.0, 1e-12, 1e2)
    ],
    *[
        Case("tnfw", {"Rs": rs, "alpha_Rs": a, "r_trunc": tau * rs, **CENTER})
        for rs in (1e-3, 1e3)
        for a in (0.0, 1e2)
        for tau in (1e-2, 1.0, 1e4)
    ],
    *[
        Case("cnfw", {"Rs": rs, "alpha_Rs": a, "r_core": b * rs, **CENTER})
        for rs in (1e-3, 1e2)
        for a in (0.0, 1e2)
        for b in (0.0, 1.0, 1e2)
    ],
    *[
        Case("uldm", {"kappa_0": k, "theta_c": t, "slope": 8.0, **CENTER})
        for k in (0.0, 1e3)
        for t in (1e-3, 1e3)
    ],
    *[
        Case(
            "sersic",
            {"amp": 1.0, "R_sersic": r, "n_sersic": n, "e1": e, "e2": 0.0, **CENTER},
        )
        for r in (0.0, 1e-6, 1e3)
        for n in (0.3, 10.0)
        for e in (0.0, 1e-14, 1.0)
    ],
    Case(
        "interpolated",
        {"image": IMAGE[:1, :1], "amp": 0.0, "phi_G": 0.0, "scale": 1e-3, **CENTER},
    ),
]


def module(profile: str):
    return import_module(f"{profiles.__name__}.{profile}")


def of(functions: tuple[str, ...], table: list[Case]) -> list:
    """Every case with every of those functions that its profile has."""
    return [
        pytest.param(case, function, id=f"{case.profile}{i}-{function}")
        for i, case in enumerate(table)
        for function in functions
        if hasattr(module(case.profile), function)
    ]


def tensors(
    parameters: dict, dtype: torch.dtype = torch.float64
) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(value, dtype=dtype) for name, value in parameters.items()}


def evaluate(
    profile: str, function: str, x: torch.Tensor, y: torch.Tensor, parameters: dict
) -> torch.Tensor:
    """The field, with the two components of a deflection along a first axis."""
    field = getattr(module(profile), function)(x, y, **parameters)
    return torch.stack(field) if isinstance(field, tuple) else field[None]


def grid(parameters: dict) -> tuple[np.ndarray, np.ndarray]:
    """Pixels over the frame, and rings from 0.01 to 5 arcsec that also lie on the axes of the profile."""
    pixels = 0.15 * (np.arange(33) - 16)
    x, y = np.meshgrid(pixels + 0.013, pixels - 0.007)
    radius, angle = np.meshgrid(
        np.geomspace(0.0113, 5, 20), np.linspace(0, 2 * np.pi, 16, endpoint=False)
    )
    x0, y0 = float(parameters.get("center_x", 0)), float(parameters.get("center_y", 0))
    return (
        np.concatenate([x.ravel(), (x0 + radius * np.cos(angle)).ravel()]),
        np.concatenate([y.ravel(), (y0 + radius * np.sin(angle)).ravel()]),
    )


def reference(
    profile: str, function: str, x: np.ndarray, y: np.ndarray, parameters: dict
) -> np.ndarray:
    """lenstronomy's field in double precision, with the components along a first axis."""
    if profile == "line_mass":
        return line_mass(function, x, y, **parameters)
    if (
        profile == "sie" and function == "convergence"
    ):  # lenstronomy's Hessian is a finite difference, good to 1e-6
        return sie_convergence(x, y, **parameters)[None]
    if (
        profile == "sie" and np.hypot(parameters["e1"], parameters["e2"]) < 1e-12
    ):  # lenstronomy would put q = 0.99999999, 1e-8 off
        parameters = {**parameters, "e1": 1e-12}
    model = LENSTRONOMY[profile]()
    if function == "deflection":
        return np.array(model.derivatives(x, y, **parameters))
    if function == "surface_brightness":
        return model.function(x, y, **parameters)[None]
    f_xx, _, _, f_yy = model.hessian(x, y, **parameters)
    return np.broadcast_to(0.5 * (f_xx + f_yy), x.shape)[None]


def sie_convergence(x, y, theta_E, e1, e2, center_x, center_y):
    nie = NIE()
    b, s, q, angle = nie.param_conv(theta_E, e1, e2, SIE()._s_scale)
    return nie.nie_major_axis.kappa(*rotate(x - center_x, y - center_y, angle), b, s, q)


def line_mass(function, x, y, theta_E, half_length, angle, center_x, center_y):
    if function == "convergence":
        return np.zeros((1, *x.shape))
    w = (x - center_x + 1j * (y - center_y)) * np.exp(-1j * angle)
    conjugate = (
        theta_E**2
        / (2 * half_length)
        * np.exp(-1j * angle)
        * np.log((w + half_length) / (w - half_length))
    )
    return np.array([conjugate.real, -conjugate.imag])


def residual(profile: str, function: str, parameters: dict, dtype: torch.dtype) -> float:
    """Largest difference from the reference, in units of the largest value of the field."""
    parameters = tensors(parameters, dtype)
    x, y = (torch.as_tensor(axis, dtype=dtype) for axis in grid(parameters))
    field = evaluate(profile, function, x, y, parameters)
    assert field.dtype == dtype
    # The reference is evaluated at the same rounded inputs: what is compared is the arithmetic.
    rounded = {
        name: value.double().numpy() if value.ndim else value.item()
        for name, value in parameters.items()
    }
    expected = reference(
        profile, function, x.double().numpy().copy(), y.double().numpy().copy(), rounded
    )
    return float(
        np.abs(field.double().numpy() - expected).max()
        / max(np.abs(expected).max(), 1e-300)
    )


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("case", "function"), of(FUNCTIONS, CASES))
def test_lenstronomy(case, function, dtype):
    assert residual(case.profile, function, case.parameters, dtype) < TOLERANCE[dtype]


def log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(np.log(low), np.log(high)).map(
        lambda logarithm: float(np.exp(logarithm))
    )


ANGLE = st.builds(
    lambda n, rest: n * np.pi / 8 + rest, st.integers(-8, 7), st.floats(0.01, 0.38)
)  # between the rings' points
ELLIPTICITY = st.floats(-0.46, 0.46)  # either component, hence q > 0.2
HALO = {
    "Rs": log_uniform(0.01, 1.5),
    "alpha_Rs": log_uniform(1e-6, 10),
}  # lenstronomy itself cancels at R < Rs / 100
PRIORS = {
    "sie": {"theta_E": log_uniform(1e-6, 1e2), "e1": ELLIPTICITY, "e2": ELLIPTICITY},
    "epl": {
        "theta_E": log_uniform(1e-6, 1e2),
        "gamma": st.floats(1.3, 2.7),
        "e1": ELLIPTICITY,
        "e2": ELLIPTICITY,
    },
    "point_mass": {"theta_E": log_uniform(1e-6, 1e2)},
    "line_mass": {
        "theta_E": log_uniform(1e-6, 1e2),
        "half_length": log_uniform(1e-2, 10),
        "angle": ANGLE,
    },
    "nfw": HALO,
    "tnfw": {**HALO, "r_trunc": log_uniform(0.02, 10)},
    "uldm": {
        "kappa_0": log_uniform(1e-6, 10),
        "theta_c": log_uniform(0.01, 10),
        "slope": st.floats(3.5, 10),
    },
    "sersic": {
        "amp": log_uniform(1e-3, 1e3),
        "R_sersic": log_uniform(0.01, 3),
        "n_sersic": st.floats(0.5, 8),
        "e1": ELLIPTICITY,
        "e2": ELLIPTICITY,
    },
}


@pytest.mark.parametrize("profile", PRIORS)
@given(data=st.data())
def test_lenstronomy_over_priors(profile, data):
    parameters = {**data.draw(st.fixed_dictionaries(PRIORS[profile])), **CENTER}
    if (
        "Rs" in parameters
    ):  # lenstronomy cancels near R = Rs too: by 3e-8 at a relative distance of 1e-5, 0.4 at 1e-9
        x, y = grid(tensors(parameters))
        radii = (
            np.hypot(x - parameters["center_x"], y - parameters["center_y"])
            / parameters["Rs"]
        )
        assume(np.abs(radii - 1).min() > 3e-4)
    for function in FUNCTIONS:
        if hasattr(module(profile), function):
            for dtype, tolerance in TOLERANCE.items():
                assert residual(profile, function, parameters, dtype) < tolerance


def pixels(
    dtype: torch.dtype = torch.float64, count: int = 5
) -> tuple[torch.Tensor, torch.Tensor]:
    """A few positions, none of them special."""
    rng = np.random.default_rng(11)
    return tuple(
        torch.as_tensor(rng.uniform(-0.9, 0.9, count), dtype=dtype) for _ in range(2)
    )


@pytest.mark.parametrize(("case", "function"), of(FUNCTIONS, CASES))
def test_gradients(case, function):
    """Of the field in positions and in every parameter, against finite differences."""
    names = list(case.parameters)
    values = [*pixels(), *tensors(case.parameters).values()]

    def field(x, y, *parameters):
        return evaluate(
            case.profile, function, x, y, dict(zip(names, parameters, strict=True))
        )

    if function == "convergence" and case.profile in MASSLESS:
        assert not field(*values).any()
        return
    inputs = [value.clone().requires_grad_() for value in values]
    assert torch.autograd.gradcheck(field, inputs, eps=1e-7, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "case", [p.values[0] for p in of(("deflection",), CASES)], ids=lambda case: case.profile
)
def test_convergence_is_half_the_divergence(case):
    x, y = (torch.as_tensor(axis).requires_grad_() for axis in grid(case.parameters))
    alpha_x, alpha_y = module(case.profile).deflection(x, y, **tensors(case.parameters))
    a_xx, a_xy = torch.autograd.grad(
        alpha_x.sum(), (x, y), retain_graph=True, materialize_grads=True
    )
    a_yx, a_yy = torch.autograd.grad(alpha_y.sum(), (x, y), materialize_grads=True)
    kappa = module(case.profile).convergence(x, y, **tensors(case.parameters)).expand_as(x)
    shear = (0.25 * (a_xx - a_yy) ** 2 + a_xy**2).sqrt()
    assert ((0.5 * (a_xx + a_yy) - kappa).abs() <= 1e-8 * (kappa.abs() + shear)).all()
    assert ((a_xy - a_yx).abs() <= 1e-8 * (kappa.abs() + shear)).all(), (
        "a deflection has no curl"
    )


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("case", "function"), of(FUNCTIONS, CASES))
def test_batch_is_a_loop(case, function, dtype):
    """(N, 1, P) pixels with (N, K, 1) parameters, bit for bit, whatever shares the batch."""
    rng = np.random.default_rng(5)
    n, k, p = 3, 2, 37
    parameters = {
        name: torch.as_tensor(
            value * rng.uniform(0.9, 1.1, (n, k, 1, 1) if np.ndim(value) else (n, k, 1)),
            dtype=dtype,
        )
        for name, value in case.parameters.items()
    }
    x, y = (torch.as_tensor(rng.uniform(-2, 2, (n, 1, p)), dtype=dtype) for _ in range(2))
    batch = evaluate(case.profile, function, x, y, parameters)
    assert batch.shape[1:] == (n, k, p)
    for i in range(n):
        for j in range(k):
            own = {name: value[i : i + 1, j] for name, value in parameters.items()}
            assert torch.equal(
                batch[:, i, j], evaluate(case.profile, function, x[i], y[i], own)[:, 0]
            )
    flat = {name: value[:, 1] for name, value in parameters.items()}
    assert torch.equal(
        batch[:, :, 1], evaluate(case.profile, function, x[:, 0], y[:, 0], flat)
    )


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("case", "function"), of(FUNCTIONS, [*CASES, *EDGES]))
def test_finite(case, function, dtype):
    """Values and gradients: on the centre, beside it, on the axes, at the ends of a line and far away."""
    x0, y0 = case.parameters.get("center_x", 0.0), case.parameters.get("center_y", 0.0)
    half = case.parameters.get("half_length", 1.0)
    offsets = [
        (0, 0),
        (1e-30, 0),
        (0, -1e-12),
        (1e-7, 1e-7),
        (half, 0),
        (-half, 0),
        (0, 1),
        (0.3, 0),
        (0, -30),
        (1e4, 1e4),
    ]
    dx, dy = torch.tensor(offsets, dtype=torch.float64).T
    parameters = {
        name: value.requires_grad_()
        for name, value in tensors(case.parameters, dtype).items()
    }
    x, y = ((dx + x0).to(dtype).requires_grad_(), (dy + y0).to(dtype).requires_grad_())
    field = evaluate(case.profile, function, x, y, parameters)
    assert field.isfinite().all()
    if field.requires_grad:
        inputs = {"x": x, "y": y, **parameters}
        gradients = torch.autograd.grad(
            field.sum(), list(inputs.values()), allow_unused=True
        )
        for name, gradient in zip(inputs, gradients, strict=True):
            assert gradient is None or gradient.isfinite().all(), name


def test_contract():
    """Each module of the package has the functions of its kind, with lenstronomy's names for the parameters."""
    names = {info.name for info in pkgutil.iter_modules(profiles.__path__)} - GEOMETRY
    assert names == LENSTRONOMY.keys() | OWN.keys()
    for name in names:
        functions = [function for function in FUNCTIONS if hasattr(module(name), function)]
        assert functions in (["deflection", "convergence"], ["surface_brightness"])
        assert set(functions) <= set(module(name).__all__)
        expected = (
            OWN[name] if name in OWN else set(LENSTRONOMY[name].param_names) - FIXED_ORIGIN
        )
        for function in functions:
            x, y, *parameters = inspect.signature(
                getattr(module(name), function)
            ).parameters
            assert (x, y, set(parameters)) == ("x", "y", set(expected))
