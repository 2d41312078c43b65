"""Sources inside caustics: curves, images and magnifications are lenstronomy's, and draws are what is asked."""

import numpy as np
import pytest
import yaml
from error_codes import has_code
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LensModel.Solver.lens_equation_solver import LensEquationSolver
from lenstronomy.LightModel.light_model import LightModel
from scipy.stats import kstest

from lenssim.errors import ConfigError
from lenssim.simulate.conventions import ellipticity
from lenssim.simulate.draw import draw
from lenssim.simulate.isothermal import Isothermal
from lenssim.simulate.preset import parse_preset, preset_text
from lenssim.simulate.sources.light import SersicLight

MODELS = LensModel(["SIE", "SHEAR"])


def document() -> dict:
    return yaml.safe_load(preset_text("sie"))


def lenses(n: int = 12) -> Isothermal:
    rng = np.random.default_rng(5)
    q, phi = rng.uniform(0.15, 0.98, n), rng.uniform(0, np.pi, n)
    centre = rng.uniform(-0.3, 0.3, (2, n))
    return Isothermal(
        rng.uniform(0.3, 2.0, n),
        *ellipticity(q, phi),
        *centre,
        *rng.uniform(-0.1, 0.1, (2, n)),
    )


def kwargs(lens: Isothermal, i: int) -> list[dict]:
    names = ("theta_E", "e1", "e2", "center_x", "center_y")
    shear = {"gamma1": lens.gamma1[i], "gamma2": lens.gamma2[i]}
    return [
        {name: float(getattr(lens, name)[i]) for name in names},
        {**shear, "ra_0": 0.0, "dec_0": 0.0},
    ]


def distance(points: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """From points (2, P) to the closed polygon `curve` (2, A)."""
    start, step = curve[..., None], (np.roll(curve, -1, axis=1) - curve)[..., None]
    away = points[:, None] - start
    along = np.clip((away * step).sum(0) / np.maximum((step**2).sum(0), 1e-30), 0, 1)
    return np.sqrt(((away - along * step) ** 2).sum(0)).min(0)


def test_caustics_are_those_of_lenstronomy():
    """Rays see straight lines, from the cut on; where they meet the caustic the Jacobian is singular."""
    lens = lenses()
    cut, caustic = lens.caustics
    radius = ((caustic - cut) * lens.speed).sum(0) / (lens.speed**2).sum(0)
    for i in range(len(lens.theta_E)):
        own, origin = kwargs(lens, i), lens.origin[:, i, None]
        for r, curve in (
            (0.01, cut[:, i] + 0.01 * lens.speed[:, i]),
            (radius[i], caustic[:, i]),
        ):
            at = r * lens.ray + np.array([[lens.center_x[i]], [lens.center_y[i]]])
            np.testing.assert_allclose(
                np.stack(MODELS.ray_shooting(*at, own)), curve + origin, atol=1e-7
            )
        f_xx, f_xy, _, f_yy = MODELS.hessian(*at, own)
        determinant = (1 - f_xx) * (1 - f_yy) - f_xy**2
        np.testing.assert_allclose(
            determinant, 0, atol=1e-4
        )  # of differences 1e-10 apart, six digits each


@pytest.fixture
def global_stream():
    """numpy's global state, which lenstronomy's solver moves."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


@pytest.mark.usefixtures("global_stream")
def test_images_are_counted_as_lenstronomy_finds_them():
    lens, rng = lenses(), np.random.default_rng(1)
    reach = np.abs(lens.caustics[0]).max(-1)
    points = reach[:, :, None] * rng.uniform(-1, 1, (2, len(lens.theta_E), 3))
    counted = lens.images(*points)
    solver, compared = LensEquationSolver(MODELS), []
    for i in range(len(lens.theta_E)):
        near = np.minimum(*(distance(points[:, i], curve[:, i]) for curve in lens.caustics))
        for k in np.flatnonzero(near > 0.03 * lens.theta_E[i]):
            x, y = points[:, i, k] + lens.origin[:, i]
            found, _ = solver.image_position_from_source(
                x,
                y,
                kwargs(lens, i),
                min_distance=0.02,
                search_window=8,
                magnification_limit=1e-3,
            )
            assert len(found) == counted[i, k]
            compared.append(len(found))
    assert set(compared) >= {1, 2, 4}


def test_magnification_is_that_of_rays_shot_by_lenstronomy():
    lens, rng = lenses(), np.random.default_rng(2)
    place = lens.place(rng)
    sizes = (
        rng.uniform(0.1, 0.3, 12),
        rng.uniform(0.5, 3.0, 12),
        *rng.uniform(-0.2, 0.2, (2, 12)),
    )
    light = SersicLight(np.ones(12), *sizes, *place)
    frame, pixel = 3.0, 0.0125
    magnification, inside = lens.magnification([light], frame)
    axis = (np.arange(1200) + 0.5) * pixel - 7.5
    x, y = (grid.ravel() for grid in np.meshgrid(axis, axis))
    sersic = LightModel(["SERSIC_ELLIPSE"])
    held = np.maximum(np.abs(x), np.abs(y)) < frame
    for i in range(0, 12, 3):
        names = ("R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")
        source = [{"amp": 1.0, **{name: float(getattr(light, name)[i]) for name in names}}]
        seen = sersic.surface_brightness(
            *MODELS.ray_shooting(x, y, kwargs(lens, i)), source
        )
        flux = sersic.total_flux(source)[0]
        assert magnification[i] == pytest.approx(seen.sum() * pixel**2 / flux, rel=0.01)
        assert inside[i] == pytest.approx(seen[held].sum() / seen.sum(), abs=0.01)


def test_light_of_several_components_adds_up():
    lens, rng = lenses(), np.random.default_rng(2)
    place = lens.place(rng)
    first, second = (
        SersicLight(
            np.full(12, part), np.full(12, size), np.ones(12), *np.zeros((2, 12)), *place
        )
        for part, size in ((0.3, 0.1), (0.7, 0.2))
    )
    alone = [
        lens.magnification([SersicLight(np.ones(12), *list(vars(own).values())[1:])], 9.0)[
            0
        ]
        for own in (first, second)
    ]
    np.testing.assert_allclose(
        lens.magnification([first, second], 9.0)[0],
        0.3 * alone[0] + 0.7 * alone[1],
        rtol=1e-12,
    )


def test_places_are_even():
    """A round lens has a disc of radius theta_E inside its cut."""
    one = np.ones(3000)
    lens = Isothermal(1.4 * one, 0 * one, 0 * one, 0.2 * one, 0 * one, 0 * one, 0 * one)
    x, y = lens.place(np.random.default_rng(0))
    assert kstest(((x - 0.2) ** 2 + y**2) / 1.4**2, "uniform").pvalue > 0.01
    assert kstest(np.arctan2(y, x - 0.2) / (2 * np.pi) + 0.5, "uniform").pvalue > 0.01


def test_what_is_drawn_is_what_is_asked():
    preset = parse_preset(document())
    values = draw(preset, np.arange(256), seed=0).params
    assert values["magnification"].min() >= 2
    np.testing.assert_allclose(
        (values["e1"], values["e2"]), ellipticity(values["q"], values["phi"]), atol=1e-15
    )
    shape = (values[name] for name in ("theta_E", "e1", "e2", "center_x", "center_y"))
    lens = Isothermal(*shape, np.zeros(256), np.zeros(256))
    source = np.stack([values["source_center_x"], values["source_center_y"]]) - lens.origin
    assert (lens.images(*source[..., None]) > 1).all()
    names = ("R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")
    light = SersicLight(np.ones(256), *(values[f"source_{name}"] for name in names))
    magnification, inside = lens.magnification([light], 3.84)
    np.testing.assert_allclose(magnification, values["magnification"], rtol=1e-12)
    assert inside.min() >= 0.99


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda d: d["lens"].append({"profile": "sheet", "kappa": 0.1}),
            "one sie with or without shear",
        ),
        (lambda d: d["lens"][0].update(e1=0.1), "unknown parameter of sie 'e1'"),
        (lambda d: d["lens"][0].pop("q"), "sie needs q"),
        (lambda d: d["placement"].update(magnificaton=2), "did you mean 'magnification'"),
        (lambda d: d["placement"].update(in_frame=2), "placement.in_frame: must be"),
    ],
)
def test_placements_that_cannot_be_are_refused(spoil, message):
    spoiled = document()
    spoil(spoiled)
    with pytest.raises(
        ConfigError, match=message, check=has_code("settings-invalid", where="preset")
    ):
        parse_preset(spoiled)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"theta_E": 0.0}, "never magnified by 2"),
        ({"q": 1.5}, r"^q must lie in \[0.0002, 1\]"),
        ({"center_x": 5.0}, "in the frame"),
    ],
)
def test_systems_that_cannot_be_kept_are_refused(fixed, message, monkeypatch):
    monkeypatch.setattr("lenssim.simulate.draw._MOST_DRAWS", 20)
    with pytest.raises(ConfigError, match=message):
        draw(parse_preset(document()), [0], seed=0, fixed=fixed)
