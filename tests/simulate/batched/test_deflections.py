"""Sums over perturbers: any number of them, near and far, and what cannot be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.batched import nearby
from lenssim.simulate.engines.batched.profiles import point_mass, tnfw
from lenssim.simulate.engines.batched.settings import FAR_FIELDS, FAR_SERIES
from lenssim.simulate.engines.batched.steps import RAYS_A_STEP, SCENES, scenes_a_step
from lenssim.simulate.engines.batched.threads import one_thread
from lenssim.simulate.engines.batched.tiles import TILE, Rows
from lenssim.simulate.engines.batched.zones import Zone
from lenssim.simulate.preset import load_preset
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.scenes import Perturbers

PRESET = load_preset("III")
CENTRED = {"center_x": (-2.5, 2.5), "center_y": (-2.5, 2.5)}
RANGES = {
    "point_mass": {"theta_E": (1e-4, 0.02), **CENTRED},
    "line_mass": {
        "theta_E": (1e-3, 0.1),
        "half_length": (0.01, 1),
        "angle": (0, 3),
        **CENTRED,
    },
    "nfw": {"Rs": (0.01, 0.3), "alpha_Rs": (1e-5, 1e-3), **CENTRED},
    "tnfw": {"Rs": (0.01, 0.3), "alpha_Rs": (1e-5, 1e-3), "r_trunc": (0.005, 1), **CENTRED},
    "cnfw": {
        "Rs": (0.01, 0.3),
        "alpha_Rs": (1e-5, 1e-3),
        "r_core": (0.001, 0.1),
        **CENTRED,
    },
    "uldm": {"kappa_0": (0.01, 0.3), "theta_c": (0.01, 0.1), "slope": (8, 8), **CENTRED},
}
SETTINGS = [
    {"precision": precision, "device": "cpu", "kernels": "eager"}
    for precision in ("float32", "float64")
]


def population(kind: str, counts: list[int], seed: int = 0) -> Perturbers:
    rng = np.random.default_rng(seed)
    columns = {
        name: rng.uniform(*RANGES[kind][name], sum(counts))
        for name in PROFILES[kind].parameters
    }
    return Perturbers.from_counts(np.array(counts), **columns)


def scenes_with(kind: str, counts: list[int]):
    smooth = draw(PRESET, 3 * np.arange(len(counts)), seed=3)
    return replace(smooth, perturbers={kind: population(kind, counts)})


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize(
    "settings",
    [*SETTINGS, {**SETTINGS[0], "far_field": FAR_SERIES}],
    ids=lambda s: f"{s['precision']} {s.get('far_field', '')}",
)
def test_ragged_populations_are_lenstronomys(kind, settings):
    scenes = scenes_with(kind, [0, 1, 7, 40])
    image = engine("batched", **settings).render(scenes, PRESET.instrument)
    reference = engine("lenstronomy").render(scenes, PRESET.instrument)
    error = np.abs(image - reference).max((1, 2, 3)) / reference.max((1, 2, 3))
    # lenstronomy's cored halo jumps at its core by a part of its own deflection (see profiles/cnfw.py)
    own = {"cnfw": 1e-3}.get(kind, 0.0)
    assert error.max() < max(own, 1e-5 if settings["precision"] == "float32" else 1e-9)


@pytest.mark.parametrize("far_field", FAR_FIELDS)
@pytest.mark.parametrize("kind", ["point_mass", "tnfw", "uldm"])
def test_an_image_depends_on_its_own_perturbers_alone(kind, far_field):
    scenes = scenes_with(kind, [3, 150, 0, 2100])
    renderer = engine("batched", **SETTINGS[0], far_field=far_field)
    whole = renderer.render(scenes, PRESET.instrument)
    for i in range(4):
        np.testing.assert_array_equal(
            renderer.render(scenes.take([i]), PRESET.instrument)[0], whole[i]
        )


@pytest.mark.parametrize("tau", [0.2, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("Rs", [0.005, 0.1])
def test_a_truncated_halo_is_a_softened_point_from_its_reach_on(tau, Rs):
    halo = {"Rs": Rs, "alpha_Rs": 1e-4, "r_trunc": tau * Rs}
    halo = {name: torch.tensor(value, dtype=torch.float64) for name, value in halo.items()}
    error = 1e-8
    strength, softening, reach = tnfw.far_field(**halo, error=error)
    radius = reach * torch.logspace(0, 3, 200, dtype=torch.float64)
    nowhere = torch.zeros((), dtype=torch.float64)
    exact, _ = tnfw.deflection(
        radius, 0 * radius, **halo, center_x=nowhere, center_y=nowhere
    )
    assert (exact - strength * radius / (radius**2 + softening)).abs().max() < error
    inside = radius[:1] / 20  # and not already well inside it
    exact, _ = tnfw.deflection(
        inside, 0 * inside, **halo, center_x=nowhere, center_y=nowhere
    )
    assert (exact - strength * inside / (inside**2 + softening)).abs().max() > error


def test_paired_points_are_single_points():
    rng = np.random.default_rng(1)
    theta_E, x0, y0 = (torch.from_numpy(rng.uniform(-1, 1, (8, 1))) for _ in range(3))
    x, y = (torch.from_numpy(rng.uniform(-2, 2, (1, 50))) for _ in range(2))
    x[0, 0], y[0, 0] = x0[3, 0], y0[3, 0]  # a ray through a mass is not deflected by it
    summed = point_mass.summed_deflection(x, y, theta_E**2, 0 * theta_E, x0, y0)
    single = point_mass.deflection(x, y, theta_E, x0, y0)
    for mine, theirs in zip(summed, single, strict=True):
        torch.testing.assert_close(mine, theirs.sum(0), rtol=1e-12, atol=1e-12)


def test_perturbers_outside_the_frame_deflect_and_massless_ones_do_not():
    scenes = scenes_with("point_mass", [2])
    columns = {
        "theta_E": np.array([0.3, 0.0]),
        "center_x": np.array([40.0, 0.1]),
        "center_y": np.array([0.0, 0.1]),
    }
    outside = replace(
        scenes, perturbers={"point_mass": Perturbers.from_counts(np.array([2]), **columns)}
    )
    renderer, reference = engine("batched", **SETTINGS[1]), engine("lenstronomy")
    image = renderer.render(outside, PRESET.instrument)
    np.testing.assert_allclose(
        image, reference.render(outside, PRESET.instrument), rtol=1e-9, atol=1e-12
    )
    assert (
        np.abs(
            image - renderer.render(replace(scenes, perturbers={}), PRESET.instrument)
        ).max()
        > 0
    )


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("theta_E", -0.1, "theta_E must lie in"),
        ("theta_E", np.nan, "got nan"),
        ("center_x", np.inf, "got inf"),
    ],
)
def test_impossible_perturbers_are_refused(column, value, message):
    table = population("point_mass", [2])
    columns = {**table.columns, column: np.array([0.1, value])}
    with pytest.raises(ConfigError, match=message, check=has_code("out-of-bounds")):
        replace(
            scenes_with("point_mass", [2]),
            perturbers={"point_mass": Perturbers.from_counts([2], **columns)},
        )


@pytest.mark.thorough
def test_large_images_are_made_in_small_steps_and_larger_ones_refused():
    preset = load_preset("III")
    camera = preset.instrument.model_copy(update={"num_pix": 600})
    assert scenes_a_step(camera, 1) == RAYS_A_STEP // 600**2
    assert scenes_a_step(preset.instrument, 1) == SCENES
    scenes, renderer = draw(preset, np.arange(13), seed=0), engine("batched", **SETTINGS[0])
    whole = renderer.render(scenes, camera)
    np.testing.assert_array_equal(renderer.render(scenes.take([12]), camera)[0], whole[12])
    with pytest.raises(
        ConfigError, match="are kept in memory", check=has_code("too-many-rays")
    ):
        renderer.render(
            scenes, camera.model_copy(update={"num_pix": 4096}), supersampling=4
        )


@pytest.mark.parametrize("before", [1, 3])
def test_torch_has_its_threads_back_after_one(before):
    def seen(wanted):
        with one_thread(wanted):
            return torch.get_num_threads()

    threads = torch.get_num_threads()
    torch.set_num_threads(before)
    try:
        assert [seen(False), seen(True), torch.get_num_threads()] == [before, 1, before]
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("most", [1, 64, 10_000])
def test_tiles_are_compared_in_groups_of_any_size(most, monkeypatch):
    monkeypatch.setattr(nearby, "TILES", most)
    table = population("tnfw", [30, 0, 50])
    owner = torch.tensor([0] * 5 + [1] + [2] * 7)
    rays = torch.rand(len(owner), 2, 4 * TILE, generator=torch.Generator().manual_seed(0))
    rows = Rows(3 * rays - 1.5, owner)
    reach = torch.linspace(0, 1.5, 80, dtype=torch.float64)
    zone = Zone("near halo", torch.zeros(80, 1), reach, reach / 2)
    columns = [torch.from_numpy(table.columns[name]) for name in ("center_x", "center_y")]
    centres = torch.stack(columns, dim=1)
    ((found, counts),) = nearby.within_reach(rows, centres, [zone], table)
    expected = []
    for row, tiles in enumerate(rows.tiles()):
        for tile in tiles:
            low = tile.min(1).values
            high = tile.max(1).values
            radius = (high - low).norm() / 2
            far = (centres - (low + high) / 2).norm(dim=1)
            inside = (far < reach + radius) & (far >= reach / 2 + radius) & (reach > 0)
            part = slice(*table.offset[int(owner[row]) :][:2])
            expected.append(part.start + np.flatnonzero(inside[part]))
    assert counts.tolist() == [len(numbers) for numbers in expected]
    np.testing.assert_array_equal(found, np.concatenate(expected))
