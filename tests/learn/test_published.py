"""What only a network that has really learned can show."""

import os

import pytest
import torch

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.evaluation.evaluation import evaluate
from lenssim.learn.evaluation.prediction import predict
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train


@pytest.mark.slow
def test_a_small_training_tells_the_published_image(shared_data, tmp_path):
    """3,000 noise-free images are enough to say no_sub of the published one."""
    published = shared_data / "deeplense/no_sub.npy"
    if not published.exists():
        pytest.skip(
            "the published image is not beside this checkout (shared/data/deeplense/no_sub.npy)"
        )
    from lenssim.data.generation.simulation import generate, make_plan
    from lenssim.simulate.preset import load_preset

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    generate(tmp_path / "III", make_plan(load_preset("III"), 3000, noise="none"))
    settings = {"data": str(tmp_path / "III"), "augment": "flips", "batch_size": 32}
    run = train(parse_config(settings), tmp_path / "run")
    document = evaluate(run, ShardDataset(tmp_path / "III"))
    assert document["metrics"]["macro_auc"]["value"] > 0.97
    (prediction,) = predict(run, [published])
    answer = prediction.answer
    assert answer["predicted"] == "no_sub"
    assert answer["probabilities"]["no_sub"] > 0.5
