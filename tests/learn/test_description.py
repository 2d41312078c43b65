"""What a network is told of its images: sizes of rings, also where they cannot be drawn again."""

import numpy as np
import yaml

from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.inputs.description import describe
from lenssim.simulate.draw import draw
from lenssim.simulate.preset import parse_preset, preset_text


def test_data_of_real_galaxies_are_described_without_their_files(tmp_path, monkeypatch):
    """A data set does not say where the galaxies lie; its training needs them not."""
    monkeypatch.setenv("LENSSIM_KERNELS", "eager")
    y, x = np.mgrid[:32, :32] - 15.5
    rng = np.random.default_rng(0)
    shapes = rng.uniform(0.7, 1.0, 12)
    stamps = [np.exp(-np.hypot(x, y / shape) / 3) for shape in shapes]
    galaxies = tmp_path / "galaxies.npy"
    np.save(galaxies, np.stack(stamps) + rng.normal(0, 1e-4, (12, 32, 32)))
    document = yaml.safe_load(preset_text("sie"))
    document["instrument"]["num_pix"] = 32
    preset = parse_preset(document).with_galaxies(galaxies)
    generate(tmp_path / "D", make_plan(preset, 12, seed=3, supersampling=1))
    scenes = draw(preset, np.arange(12), seed=3)
    radii = scenes.params["theta_E"] * scenes.deflection_scale()
    galaxies.unlink()
    described = describe(ShardDataset(tmp_path / "D"))
    assert described.theta_E == (radii.min(), radii.max())
    assert described.pixel_scale == preset.instrument.pixel_scale
