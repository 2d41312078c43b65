"""Masses from afar: points within their stated error, and images that agree."""

import numpy as np
import pytest
import torch
from costs import without_dear

from lenssim.simulate.draw import draw
from lenssim.simulate.engines import REFERENCE, engine
from lenssim.simulate.engines.batched.far_field import far_fields, soliton_far_field
from lenssim.simulate.engines.batched.halo_series import halo_series
from lenssim.simulate.engines.batched.profiles import tnfw, uldm
from lenssim.simulate.engines.batched.rays import Deflect
from lenssim.simulate.engines.batched.settings import FAR_FIELDS
from lenssim.simulate.engines.batched.summands import (
    OUTER,
    SUMMANDS,
    HaloSeries,
    NearHalo,
    OuterHalo,
)
from lenssim.simulate.preset import load_preset
from lenssim.simulate.profiles import PROFILES
from lenssim.simulate.spec import SimulationSpec

ERROR = 1e-8  # arcsec


@pytest.mark.parametrize("kappa_0", [1e-4, -0.01, 0.3, 5.0])
@pytest.mark.parametrize("theta_c", [1e-3, 0.02, 0.2, 1.5])
@pytest.mark.parametrize("slope", [2.0, 8.0])
def test_a_soliton_is_a_point_beyond_its_reach(kappa_0, theta_c, slope):
    columns = [torch.tensor([value], dtype=torch.float64) for value in (kappa_0, theta_c)]
    power = torch.tensor([slope], dtype=torch.float64)
    strength, softening, reach = soliton_far_field(*columns, power, ERROR)
    radii = reach * torch.logspace(0, 2, 200, dtype=torch.float64)
    zero = torch.zeros_like(radii)
    exact, _ = uldm.deflection(radii, zero, *columns, power, zero, zero)
    point = strength * radii / (radii**2 + softening)
    assert (exact - point).abs().max() < 1.01 * ERROR
    assert bool(reach >= theta_c)
    assert bool(softening <= theta_c**2)


HALOES = {
    f"tau {tau}, {alpha_Rs} arcsec": (0.07, alpha_Rs, 0.07 * tau)
    for tau in (0.1, 0.7, 1.0, 7.0, 40.0, 200.0)
    for alpha_Rs in (1e-5, -1e-3, 0.5)
}


def halo_of(values) -> dict[str, torch.Tensor]:
    names = ("Rs", "alpha_Rs", "r_trunc")
    columns = torch.tensor(values, dtype=torch.float64)[:, None]
    return dict(zip(names, columns, strict=True))


@pytest.mark.parametrize("halo", HALOES.values(), ids=HALOES)
def test_a_halo_is_a_series_beyond_its_reach(halo):
    halo = halo_of(halo)
    strength, softening, point_reach = tnfw.far_field(**halo, error=ERROR)
    coefficients, reach = halo_series(**halo, softening=softening, error=ERROR)
    assert bool(reach < point_reach)
    radii = reach * torch.logspace(0, 2, 200, dtype=torch.float64)
    zero = torch.zeros_like(radii)
    exact, _ = tnfw.deflection(radii, zero, **halo, center_x=zero, center_y=zero)
    point = strength * radii / (radii**2 + softening)
    series = HaloSeries().slope(radii**2, (reach, *coefficients[0]))
    error = (exact - point - series * radii).abs().max()
    assert error < min(ERROR, 0.3 * (exact - point).abs().max())


def test_a_halo_beyond_numbers_has_no_series():
    halo = halo_of((1e-5, 1e4, 1e200))
    coefficients, reach = halo_series(**halo, softening=halo["Rs"], error=ERROR)
    assert reach.isinf().all()
    assert not coefficients.any()


@pytest.mark.parametrize(
    ("summand", "low", "high"), [(NearHalo, 1e-4, 1e3), (OuterHalo, OUTER, 1e3)]
)
@pytest.mark.parametrize("halo", HALOES.values(), ids=HALOES)
def test_halo_kernels_are_the_formula_less_the_point(halo, summand, low, high):
    halo = halo_of(halo)
    strength, softening, _ = tnfw.far_field(**halo, error=ERROR)
    radii = halo["Rs"] * torch.logspace(np.log10(low), np.log10(high), 300).double()
    zero = torch.zeros_like(radii)
    exact, _ = tnfw.deflection(radii, zero, **halo, center_x=zero, center_y=zero)
    expected = exact - strength * radii / (radii**2 + softening)
    columns = summand.columns(**halo, strength=strength, softening=softening)
    for dtype, tolerance in ((torch.float64, 2e-7), (torch.float32, 5e-6)):
        slope = summand().slope(
            (radii**2).to(dtype), [column.to(dtype) for column in columns]
        )
        error = (slope * radii - expected).abs().max() / halo["alpha_Rs"].abs()
        assert error < tolerance, dtype


@pytest.mark.parametrize("kappa_0", [-0.01, 5.0])
@pytest.mark.parametrize("theta_c", [1e-3, 1.5])
@pytest.mark.parametrize("slope", [2.0, 2.5, 8.0])
def test_zones_of_solitons_add_up_to_the_formula(kappa_0, theta_c, slope):
    values = {"kappa_0": kappa_0, "theta_c": theta_c, "slope": slope}
    columns = {
        name: torch.tensor([values.get(name, 0.0)], dtype=torch.float64)
        for name in PROFILES["uldm"].columns
    }
    far = far_fields("series")["uldm"].split(columns, ERROR)
    strength, softening, *_ = far.points[0]
    radii = theta_c * torch.logspace(-3, 3, 500, dtype=torch.float64)
    zero = torch.zeros_like(radii)
    exact, _ = uldm.deflection(radii, zero, **columns)
    deflection = strength * radii / (radii**2 + softening)
    rays = torch.stack([radii, zero])[None]
    for zone in far.zones:
        module = Deflect("uldm", less_points=True)
        if zone.kernel in SUMMANDS:
            module = SUMMANDS[zone.kernel]()
        added = module(rays, zone.columns[None])[0, 0]
        deflection = deflection + torch.where(radii < zone.reach, added, 0)
    assert (exact - deflection).abs().max() < 1.01 * ERROR
    used = {zone.kernel for zone in far.zones if zone.reach.any()}
    names = {name: column.numpy() for name, column in columns.items()}
    assert used == set(far_fields("series")["uldm"].kernels(names))


@pytest.mark.parametrize("name", SUMMANDS)
def test_null_masses_deflect_nothing(name):
    summand = SUMMANDS[name]()
    rays = torch.rand(2, 2, 64, generator=torch.Generator().manual_seed(0))
    rays[0, :, 0] = 0
    null = torch.tensor(summand.null).expand(2, 4, -1)
    assert not summand(rays, null).any()


@pytest.mark.parametrize("model", without_dear(["axion", "sidm", "wdm"], ["sidm"]))
def test_images_agree_with_every_perturber_in_full(model):
    preset = load_preset("hst-arcs").with_classes((model,))
    scenes = draw(preset, np.arange(3), seed=4)
    assert any(table.counts.any() for table in scenes.perturbers.values())
    camera = preset.instrument
    full = engine("batched", precision="float64", device="cpu", kernels="eager")
    expected = full.render(scenes, camera, supersampling=1)
    single = {"precision": "float32", "device": "cpu", "kernels": "eager"}
    peaks = expected.max(axis=(1, 2, 3), keepdims=True)
    errors = {}
    for name in FAR_FIELDS:
        images = engine("batched", **single, far_field=name).render(scenes, camera)
        errors[name] = (np.abs(images - expected) / peaks).max()
    assert max(errors.values()) < 1e-5
    assert errors["series"] < 1.5 * errors["haloes"]
    reference = engine(REFERENCE).render(scenes.take(slice(0, 1)), camera)
    assert (np.abs(images[:1] - reference) / peaks[:1]).max() < 1e-5


def test_a_data_set_names_the_far_field_where_it_counts():
    axion = load_preset("hst-arcs").with_classes(("no_sub", "axion"))
    cdm = load_preset("III-corrected").with_classes(("no_sub", "cdm"))
    for preset, names in ((axion, ("series", "solitons")), (cdm, ("series",))):
        for name in FAR_FIELDS:
            settings = SimulationSpec.of(preset, far_field=name).engine_settings
            assert settings.get("far_field") == (name if name in names else None)
        assert SimulationSpec.of(preset).engine_settings["far_field"] == "series"
    for preset, options in (
        (axion, {"precision": "float64"}),
        (axion.with_classes(("no_sub",)), {}),
        (load_preset("III"), {}),
    ):
        assert "far_field" not in SimulationSpec.of(preset, **options).engine_settings
