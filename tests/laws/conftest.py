import sys
from pathlib import Path
from types import ModuleType

import lightning.pytorch  # noqa: F401 - now, because importing it draws from the global random state
import pytest
from torch import nn

from lenssim.learn.nets import NETS


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory) -> Path:
    """256 noise-free Model III images of 32 x 32 pixels: 128 train, 64 validation, 64 test."""
    import yaml

    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import parse_preset, preset_text

    folder = tmp_path_factory.mktemp("laws") / "III"
    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = 32
    plan = make_plan(parse_preset(document), 256, seed=4, noise="none", shard_size=100)
    generate(folder, plan)
    return folder


def build_toy(images, outputs):
    channels = images.shape[0]
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, outputs)
    )


@pytest.fixture
def toy_net(monkeypatch):
    module = ModuleType("lenssim.learn.nets.toy")
    module.build = build_toy
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(NETS, "toy", "toy")
