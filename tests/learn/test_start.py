"""Trainings that begin with the weights of another run."""

import shutil

import pytest
import torch
from error_codes import has_code

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError
from lenssim.learn.nets.model import read_checkpoint
from lenssim.learn.runs.model_card import card_text
from lenssim.learn.runs.overlap import held_out
from lenssim.learn.runs.run import Run, open_run
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train


def config(data, start, **settings):
    return parse_config(
        {"data": str(data), "start": str(start), "epochs": 1, "batch_size": 32, **settings}
    )


def trained(path):
    """Weights by name: those that a gradient moves."""
    return {
        key: value
        for key, value in read_checkpoint(path)["state_dict"].items()
        if key.endswith(("weight", "bias"))
    }


def test_weights_are_those_of_the_run_but_for_the_head(tiny_run, tiny_dataset, tmp_path):
    still = {"learning_rate": 1e-12, "weight_decay": 0.0}
    run = train(config(tiny_dataset, tiny_run.folder, **still), tmp_path / "same")
    before, after = trained(tiny_run.best), trained(run.last)
    assert before.keys() == after.keys()
    for key in before:
        torch.testing.assert_close(after[key], before[key], atol=1e-9, rtol=0)
    assert run.record.start.checkpoint_sha256 == tiny_run.digest

    settings = {"task": "regress", "targets": ["source_center_x"], "head": "point", **still}
    run = train(config(tiny_dataset, tiny_run.folder, **settings), tmp_path / "other head")
    after, fresh = trained(run.last), run.fresh_model().state_dict()
    reshaped = [key for key in before if after[key].shape != before[key].shape]
    assert {key.rsplit(".", 1)[-1] for key in reshaped} == {"weight", "bias"}
    assert len(reshaped) == 2
    for key in before:
        expected = fresh[key.removeprefix("model.")] if key in reshaped else before[key]
        torch.testing.assert_close(after[key], expected, atol=1e-9, rtol=0)


def test_data_that_the_weights_learned_from_are_held_back_too(
    tiny_run, tiny_dataset, make_data, tmp_path
):
    run = train(
        config(make_data(tmp_path / "next", seed=21), tiny_run.folder), tmp_path / "run"
    )
    assert [data.seed for data in open_run(run.folder).record.seen] == [21, 4]
    again = train(
        config(make_data(tmp_path / "third", seed=22), run.folder), tmp_path / "again"
    )
    assert [data.seed for data in again.record.seen] == [22, 21, 4]
    assert card_text(again, []).count("preset III, noise none, seed 21") == 1
    rows, _ = held_out(again, ShardDataset(tiny_dataset))
    assert rows.tolist() == ShardDataset(tiny_dataset).rows("test").tolist()


def test_resuming_asks_for_the_weights_only_before_the_first_checkpoint(
    tiny_run, tiny_dataset, tmp_path, kill_at
):
    begun = shutil.copytree(tiny_run.folder, tmp_path / "begun")
    settings = config(tiny_dataset, begun, checkpoint_steps=1)
    whole = train(settings, tmp_path / "whole")
    early = config(tiny_dataset, begun)
    for asked, name in ((early, "before"), (settings, "after")):
        with pytest.raises(MemoryError):
            train(asked, tmp_path / name, callbacks=[kill_at(1)])
    resumed = train(early, tmp_path / "before", resume=True)
    shutil.rmtree(begun)
    for run in (resumed, train(settings, tmp_path / "after", resume=True)):
        assert run.record.start == whole.record.start
        for key, value in trained(run.last).items():
            assert torch.equal(value, trained(whole.last)[key])


def test_what_cannot_be_begun_with_is_refused(tiny_run, tiny_dataset, tmp_path, kill_at):
    with pytest.raises(
        ConfigError,
        match="is a run of the net cnn: vit cannot start with its weights",
        check=has_code("net-differs", net="cnn"),
    ):
        train(config(tiny_dataset, tiny_run.folder, net="vit"), tmp_path / "run")
    with pytest.raises(DataError, check=has_code("no-run")):
        train(config(tiny_dataset, tmp_path / "nowhere"), tmp_path / "run")
    with pytest.raises(DataError, check=has_code("checkpoint-of-another", net="cnn")):
        train(config(tiny_dataset, tiny_run.folder, dropout="concrete"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    begun = shutil.copytree(tiny_run.folder, tmp_path / "begun")
    unhashed = Run(
        begun, tiny_run.record.model_copy(update={"files": None})
    )  # else other weights are damage
    unhashed.write()
    with pytest.raises(MemoryError):
        train(config(tiny_dataset, begun), tmp_path / "run", callbacks=[kill_at(1)])
    other = read_checkpoint(begun / "checkpoints/best.ckpt")
    other["state_dict"]["model.net.0.weight"] += 1
    torch.save(other, begun / "checkpoints/best.ckpt")
    with pytest.raises(
        ConfigError, match="start: other weights in", check=has_code("config-differs")
    ):
        train(config(tiny_dataset, begun), tmp_path / "run", resume=True)
