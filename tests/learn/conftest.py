from pathlib import Path

import lightning.pytorch  # noqa: F401 - now, because importing it draws from the global random state
import pytest


@pytest.fixture(scope="session")
def make_data():
    """A function that makes a data set of Model III images of 32 x 32 pixels."""
    return _make_data


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory) -> Path:
    """256 noise-free Model III images of 32 x 32 pixels: 128 train, 64 validation, 64 test."""
    return _make_data(tmp_path_factory.mktemp("learn") / "III")


@pytest.fixture(scope="session")
def other_dataset(tmp_path_factory) -> Path:
    """96 images of another seed, so that none is in `tiny_dataset`."""
    return _make_data(tmp_path_factory.mktemp("learn") / "other", n=96, seed=9)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tiny_dataset):
    """The net `cnn`, trained on `tiny_dataset` for two epochs."""
    from lenssim.learn.tasks import parse_config
    from lenssim.learn.training.training import train

    config = parse_config(
        {"data": str(tiny_dataset), "epochs": 2, "batch_size": 32, "augment": "flips"}
    )
    return train(config, tmp_path_factory.mktemp("runs") / "cnn")


@pytest.fixture
def kill_at():
    """A callback that raises at a step of a training, as a crash would: nothing is saved on the way out."""
    from lightning.pytorch.callbacks import Callback

    class Kill(Callback):
        def __init__(self, step: int) -> None:
            self.step = step

        def on_train_batch_start(self, trainer, *_) -> None:
            if trainer.global_step == self.step:
                raise MemoryError

    return Kill


def _make_data(folder: Path, n: int = 256, seed: int = 4, noise: str = "none") -> Path:
    import yaml

    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import parse_preset, preset_text

    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = 32
    generate(
        folder, make_plan(parse_preset(document), n, seed=seed, noise=noise, shard_size=100)
    )
    return folder
