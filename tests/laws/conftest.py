from pathlib import Path

import lightning.pytorch  # noqa: F401 - now, because importing it draws from the global random state
import pytest


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
