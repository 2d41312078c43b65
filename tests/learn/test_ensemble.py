import numpy as np
import pytest
import torch
from error_codes import has_code

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.evaluation.evaluation import (
    evaluate,
    evaluation_folder,
    finished_evaluation,
)
from lenssim.learn.inputs.augment import symmetries
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.runs.run import Run
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def other_run(tmp_path_factory, tiny_dataset):
    settings = {
        "data": str(tiny_dataset),
        "epochs": 1,
        "batch_size": 32,
        "seed": 7,
        "augment": "none",
    }
    return train(parse_config(settings), tmp_path_factory.mktemp("runs") / "other")


@pytest.fixture(scope="module")
def images(other_dataset):
    return ShardDataset(other_dataset).images(np.arange(6))


def probabilities(ensemble, images):
    task, outputs = ensemble(images)
    return task.probabilities(outputs)


@pytest.mark.parametrize(("name", "count"), [("none", 1), ("flips", 4), ("dihedral", 8)])
def test_symmetries_are_a_group(name, count):
    """All differ, and any two after one another are a third."""
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    views = symmetries(name)
    seen = [view(image) for view in views]
    assert torch.equal(seen[0], image)
    assert len({tuple(each.flatten().tolist()) for each in seen}) == count
    assert all(
        any(torch.equal(view(each), other) for other in seen)
        for view in views
        for each in seen
    )


def test_one_run_alone_is_what_it_was(tiny_run, images):
    expected = tiny_run.model().eval()(torch.from_numpy(images))
    task, outputs = Ensemble([tiny_run], CPU)(images)
    assert task == tiny_run.record.task
    torch.testing.assert_close(outputs, expected.detach()[None])


def test_answers_of_an_ensemble_are_the_mean_of_its_members(tiny_run, other_run, images):
    alone = [probabilities(Ensemble([run], CPU), images) for run in (tiny_run, other_run)]
    together = Ensemble([tiny_run, other_run], CPU)
    assert together.passes == 2
    torch.testing.assert_close(probabilities(together, images), (alone[0] + alone[1]) / 2)


def test_with_all_symmetries_the_answer_does_not_change_with_the_image(tiny_run, images):
    ensemble = Ensemble([tiny_run], CPU, tta=True)
    assert ensemble.passes == 4
    expected = probabilities(ensemble, images)
    for view in symmetries("flips"):
        torch.testing.assert_close(
            probabilities(ensemble, view(torch.from_numpy(images)).numpy()), expected
        )


def test_what_cannot_be_taken_together_is_refused(tiny_run, other_run):
    with pytest.raises(
        ConfigError, match="nothing to average over", check=has_code("no-turns")
    ):
        Ensemble([other_run], CPU, tta=True)
    record = tiny_run.record.model_copy(update={"images": ImageDescription((1, 64, 64))})
    with pytest.raises(
        ConfigError, match="cannot be taken together", check=has_code("runs-differ")
    ):
        Ensemble([tiny_run, Run(other_run.folder, record)], CPU)


def test_evaluations_of_ensembles_lie_beside_the_run_s_own(
    tiny_run, other_run, tiny_dataset
):
    dataset = ShardDataset(tiny_dataset)
    document = evaluate(tiny_run, dataset, others=[other_run], tta=True, resamples=20)
    assert document["passes"] == {"runs": 2, "answers": 5}
    assert set(document["before_calibration"]) == {"loss", "ece"}
    assert document["unlike_training_data"]["n"] == 64
    assert finished_evaluation(tiny_run, dataset, [other_run], True) == document
    assert evaluation_folder(tiny_run, dataset, [other_run], True) != evaluation_folder(
        tiny_run, dataset
    )
    assert finished_evaluation(tiny_run, dataset, [other_run]) is None


def test_all_runs_that_cannot_be_opened_are_named(lenssim, tiny_run, tmp_path):
    done = lenssim(
        "predict",
        tiny_run.folder,
        "image.npy",
        "--with",
        tmp_path / "one",
        "--with",
        tmp_path / "two",
    )
    assert (done.code, done.out) == (1, "")
    assert f"{tmp_path / 'one'} holds no run" in done.err
    assert f"{tmp_path / 'two'} holds no run" in done.err
