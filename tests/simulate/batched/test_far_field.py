"""Masses from afar: points within their stated error, and images that agree."""

import numpy as np
import pytest
import torch

from lenssim.simulate.draw import draw
from lenssim.simulate.engines import REFERENCE, engine
from lenssim.simulate.engines.batched.far_field import far_fields, soliton_far_field
from lenssim.simulate.engines.batched.profiles import uldm
from lenssim.simulate.preset import load_preset
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


def test_images_agree_with_every_perturber_in_full():
    preset = load_preset("hst-arcs").with_classes(("axion",))
    scenes = draw(preset, np.arange(3), seed=4)
    assert scenes.perturbers["uldm"].counts.any()
    camera = preset.instrument
    full = engine("batched", precision="float64", device="cpu", kernels="eager")
    expected = full.render(scenes, camera, supersampling=1)
    single = {"precision": "float32", "device": "cpu", "kernels": "eager"}
    peaks = expected.max(axis=(1, 2, 3), keepdims=True)
    for name in ("haloes", "solitons"):
        images = engine("batched", **single, far_field=name).render(scenes, camera)
        assert (np.abs(images - expected) / peaks).max() < 1e-5, name
    reference = engine(REFERENCE).render(scenes.take(slice(0, 1)), camera)
    assert (np.abs(images[:1] - reference) / peaks[:1]).max() < 1e-5


def test_a_data_set_names_the_far_field_where_it_counts():
    axion = load_preset("hst-arcs").with_classes(("no_sub", "axion"))
    settings = SimulationSpec.of(axion).engine_settings
    assert settings["far_field"] == "solitons"
    assert "far_field" not in SimulationSpec.of(axion, far_field="haloes").engine_settings
    for preset, options in (
        (axion, {"precision": "float64"}),
        (axion.with_classes(("no_sub",)), {}),
        (load_preset("III"), {}),
    ):
        assert "far_field" not in SimulationSpec.of(preset, **options).engine_settings
    assert set(far_fields("haloes")) < set(far_fields("solitons"))
