import os
import shutil
import signal

import pytest
import torch
from error_codes import has_code
from lightning.pytorch.callbacks import Callback

from lenssim.errors import ConfigError, DataError
from lenssim.learn.config import TrainConfig
from lenssim.learn.nets.model import read_checkpoint
from lenssim.learn.runs.history import COLUMNS, read_epochs
from lenssim.learn.runs.run import open_run
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.callbacks import AtomicCheckpoints
from lenssim.learn.training.training import train

signals = (signal.SIGTERM, signal.SIGINT)


def config(data, **settings):
    return parse_config({"data": str(data), "epochs": 2, "batch_size": 32, **settings})


def weights(run, which="last"):
    return read_checkpoint(getattr(run, which))["state_dict"]


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


def without_seconds(run):
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "waiting")}
        for row in read_epochs(run.metrics)
    ]


def test_a_run_keeps_all_that_is_needed(tiny_run, tiny_dataset):
    record = open_run(tiny_run.folder).record
    assert record.task.classes == ("no_sub", "cdm", "axion")
    assert record.image_shape == (1, 32, 32)
    assert record.samples == {"train": 128, "validation": 64}
    assert (record.data.preset, record.data.noise, record.data.seed, record.data.n) == (
        "III",
        "none",
        4,
        256,
    )
    assert {"lenssim", "torch", "lightning", "python"} <= set(record.versions)
    rows = read_epochs(tiny_run.metrics)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert tuple(rows[0]) == (
        *COLUMNS,
        *(f"val_{name}" for name in record.task.presentation.progress),
    )
    assert record.result.epochs == 2
    cost = record.result.cost
    assert 0 <= cost.waiting < 1
    assert min(cost.images_per_second, cost.inference_ms) > 0
    assert 50 < cost.peak_mib < 1e5
    assert record.result.val_loss == pytest.approx(
        min(row["val_loss"] for row in rows), rel=1e-4
    )
    assert record.result.best_epoch == min(rows, key=lambda row: row["val_loss"])["epoch"]
    assert {path.name for path in tiny_run.folder.iterdir()} >= {
        "run.json",
        "metrics.csv",
        "checkpoints",
    }
    assert sorted(path.name for path in (tiny_run.folder / "checkpoints").iterdir()) == [
        "best.ckpt",
        "last.ckpt",
    ]


def test_two_trainings_give_the_same_weights_and_workers_change_nothing(
    tiny_run, tiny_dataset, tmp_path
):
    state = torch.get_rng_state()
    again = train(config(tiny_dataset, augment="flips", workers=1), tmp_path / "again")
    assert torch.equal(torch.get_rng_state(), state)
    assert_same_weights(weights(again), weights(tiny_run))
    assert without_seconds(again) == without_seconds(tiny_run)
    other = train(
        config(tiny_dataset, augment="flips", seed=1, epochs=1), tmp_path / "other"
    )
    assert any(
        not torch.equal(weights(other)[key], weights(tiny_run)[key])
        for key in weights(other)
    )


@pytest.mark.parametrize(
    ("step", "checkpoint_steps"),
    [(4, None), (6, None), (6, 1), (3, 2), (1, None)],  # four steps an epoch
    ids=[
        "epoch end",
        "mid-epoch",
        "every step",
        "a step lost",
        "before the first epoch's end",
    ],
)
def test_resuming_gives_what_an_undisturbed_training_gives(
    tiny_run, tiny_dataset, tmp_path, kill_at, step, checkpoint_steps
):
    settings = config(tiny_dataset, augment="flips", checkpoint_steps=checkpoint_steps)
    with pytest.raises(MemoryError):
        train(settings, tmp_path / "run", callbacks=[kill_at(step)])
    moved = shutil.move(tmp_path / "run", tmp_path / "moved")
    assert open_run(moved).record.result is None
    run = train(settings, moved, resume=True)
    assert_same_weights(weights(run), weights(tiny_run))
    assert_same_weights(weights(run, "best"), weights(tiny_run, "best"))
    assert without_seconds(run) == without_seconds(tiny_run)
    result, expected = run.record.result, tiny_run.record.result
    assert result.model_copy(
        update=(free := {"seconds": 0, "cost": None})
    ) == expected.model_copy(update=free)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_signals_stop_a_training_that_can_be_resumed(
    tiny_run, tiny_dataset, tmp_path, number, error
):
    class Send(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 5:
                os.kill(os.getpid(), number)

    settings, handlers = (
        config(tiny_dataset, augment="flips"),
        [signal.getsignal(s) for s in signals],
    )
    with pytest.raises(error) as end:
        train(settings, tmp_path / "run", callbacks=[Send()])
    assert number == signal.SIGINT or end.value.code == 143
    assert [signal.getsignal(s) for s in signals] == handlers
    done = read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"]
    assert done == 6  # the step in hand is saved
    assert_same_weights(
        weights(train(settings, tmp_path / "run", resume=True)), weights(tiny_run)
    )


def test_a_second_interrupt_stops_at_once(tiny_dataset, tmp_path):
    class SendTwice(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 5:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(config(tiny_dataset), tmp_path / "run", callbacks=[SendTwice()])
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["global_step"] == 4


def test_more_epochs_continue_a_constant_schedule(tiny_dataset, tmp_path):
    settings = {"schedule": "constant", "optimiser": "adam", "learning_rate": 1e-3}
    whole = train(config(tiny_dataset, **settings), tmp_path / "whole")
    train(config(tiny_dataset, **settings, epochs=1), tmp_path / "parts")
    parts = train(config(tiny_dataset, **settings), tmp_path / "parts", resume=True)
    assert_same_weights(weights(parts), weights(whole))
    assert parts.record.config.epochs == parts.record.result.epochs == 2


def test_resuming_a_finished_training_does_nothing(tiny_run, tiny_dataset):
    before = tiny_run.last.read_bytes(), tiny_run.metrics.read_bytes()
    run = train(config(tiny_dataset, augment="flips"), tiny_run.folder, resume=True)
    assert run.record == tiny_run.record
    assert (tiny_run.last.read_bytes(), tiny_run.metrics.read_bytes()) == before


def test_resuming_another_training_is_refused_with_the_differences(
    tiny_run, tiny_dataset, make_data, tmp_path
):
    other = config(tiny_dataset, augment="none", net="resnet18", seed=3)
    with pytest.raises(
        ConfigError,
        match="net: cnn there, resnet18 asked for",
        check=has_code("config-differs"),
    ) as error:
        train(other, tiny_run.folder, resume=True)
    assert "augment: flips there, none asked for" in str(error.value)
    assert "seed: 0 there, 3 asked for" in str(error.value)
    with pytest.raises(
        ConfigError, match="epochs: 2 there, 3 asked for", check=has_code("config-differs")
    ):  # the one-cycle schedule is laid out
        train(config(tiny_dataset, augment="flips", epochs=3), tiny_run.folder, resume=True)
    with pytest.raises(
        ConfigError, match="data set: fingerprint", check=has_code("config-differs")
    ):
        train(
            config(make_data(tmp_path / "grown", n=320), augment="flips"),
            tiny_run.folder,
            resume=True,
        )
    with pytest.raises(DataError, match="holds no run", check=has_code("no-run")):
        train(other, tmp_path / "nowhere", resume=True)


def test_a_folder_in_use_is_refused(tiny_run, tiny_dataset, tmp_path):
    with pytest.raises(
        ConfigError,
        match="not empty: continue it with --resume",
        check=has_code("folder-in-use"),
    ):
        train(config(tiny_dataset), tiny_run.folder)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        train(config(tiny_dataset), tmp_path)
    with pytest.raises(ConfigError, check=has_code("folder-unusable")):
        train(config(tiny_dataset), tmp_path / "mine.txt" / "run")


def test_a_loss_that_is_not_finite_names_the_batch_and_keeps_the_last_good_checkpoint(
    tiny_dataset, tmp_path
):
    class Poison(Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            if trainer.global_step == 6:
                batch["image"][5, 0, 3, 3] = float("nan")
                self.number = int(batch["index"][5])

    poison = Poison()
    with pytest.raises(
        DataError,
        match="the loss became nan in epoch 2, batch 3",
        check=has_code("loss-not-finite"),
    ) as error:
        train(config(tiny_dataset), tmp_path / "run", callbacks=[poison])
    assert f"samples {poison.number} hold NaN" in str(error.value)
    run = open_run(tmp_path / "run")
    assert read_checkpoint(run.last)["epoch"] == 0
    assert all(torch.isfinite(value).all() for value in weights(run).values())
    assert run.record.result is None


def test_early_stop(tiny_dataset, tmp_path):
    settings = config(
        tiny_dataset, epochs=20, patience=1, schedule="constant", learning_rate=1.0
    )
    run = train(settings, tmp_path / "run")
    assert run.record.result.stopped == "early"
    assert run.record.result.epochs == run.record.result.best_epoch + 1 < 20
    assert train(settings, tmp_path / "run", resume=True).record == run.record


def test_limit_and_sizes(tiny_dataset, tmp_path):
    run = train(config(tiny_dataset, limit=64, epochs=1), tmp_path / "run")
    assert run.record.samples["train"] == 64
    with pytest.raises(
        ConfigError,
        match="a batch of 200 is more than the 128 training samples",
        check=has_code("batch-too-large"),
    ):
        train(config(tiny_dataset, batch_size=200), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_data_without_all_splits_are_refused(make_data, tmp_path):
    with pytest.raises(DataError, check=has_code("split-empty")):
        train(config(make_data(tmp_path / "few", n=65)), tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epoch": 3}, "unknown setting 'epoch': did you mean 'epochs'?"),
        ({"net": "cn"}, "unknown net 'cn': did you mean 'cnn'?"),
        ({"normalise": "max-min"}, "unknown normalisation"),
        ({"augment": "rotations"}, "unknown augmentation"),
        ({"task": "classfy"}, "unknown task 'classfy': did you mean 'classify'?"),
        ({"epochs": 0}, "epochs: must be greater than or equal to 1, got 0"),
        ({"optimiser": "adamm"}, "unknown optimiser 'adamm': did you mean 'adam'?"),
        (
            {"schedule": "as_wrote"},
            "unknown schedule 'as_wrote': did you mean 'as_written'?",
        ),
        ({"class_weights": {"cdm": 0}}, "class_weights"),
        ({"devices": 0}, "devices"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"data": None}, "give either data, the folder of a data set, or live"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises(ConfigError) as error:
        parse_config({"data": "d", **settings})
    assert words in str(error.value)


def test_weights_of_classes_that_are_not_there_and_batches_that_cannot_be_shared_are_refused(
    tiny_dataset, tmp_path
):
    with pytest.raises(
        ConfigError,
        match=r"unknown class in class_weights 'cmd': did you mean 'cdm'",
        check=has_code("unknown-class", name="cmd", suggestion="cdm"),
    ):
        train(config(tiny_dataset, class_weights={"cmd": 2}), tmp_path / "run")
    with pytest.raises(
        ConfigError,
        match="a batch of 32 cannot be shared by 3 processes",
        check=has_code("batch-indivisible"),
    ):
        train(config(tiny_dataset, devices=3, device="cpu"), tmp_path / "other")
    assert not list(tmp_path.iterdir())


@pytest.mark.thorough
def test_two_processes_learn_what_one_does(tiny_dataset, tmp_path):
    """Same batches, same gradients up to rounding: without batch norm, dropout and augmentation."""
    settings = {
        "augment": "none",
        "optimiser": "sgd",
        "learning_rate": 1e-3,
        "schedule": "cosine",
    }
    settings |= {"net": "timm:vit_tiny_patch16_224"}
    one = train(config(tiny_dataset, **settings), tmp_path / "one")
    two = train(config(tiny_dataset, **settings, devices=2, device="cpu"), tmp_path / "two")
    assert two.record.result.val_loss == pytest.approx(one.record.result.val_loss, rel=1e-4)
    assert two.record.result.scores == pytest.approx(one.record.result.scores, abs=0.02)
    for key, value in weights(one).items():
        torch.testing.assert_close(weights(two)[key], value, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(tiny_run, tiny_dataset, tmp_path):
    run = train(config(tiny_dataset, augment="flips", compile=True), tmp_path / "run")
    assert weights(run).keys() == weights(tiny_run).keys()
    assert run.record.result.val_loss == pytest.approx(
        tiny_run.record.result.val_loss, rel=1e-3
    )


def test_a_device_that_is_not_there_is_refused(tiny_dataset, tmp_path):
    with pytest.raises(ConfigError, check=has_code("unknown-device", suggestion="cuda")):
        train(config(tiny_dataset, device="cuds"), tmp_path / "run")
    if not torch.cuda.is_available():
        with pytest.raises(
            ConfigError,
            match="this machine has no cuda device",
            check=has_code("no-device", name="cuda"),
        ):
            train(config(tiny_dataset, device="cuda"), tmp_path / "run")


@pytest.mark.parametrize(("capability", "computed"), [("AVX2", "32"), ("AVX512", "bf16")])
def test_bf16_is_computed_where_the_processor_has_it_and_single_precision_elsewhere(
    tiny_dataset, tmp_path, monkeypatch, capability, computed
):
    monkeypatch.setattr(
        "lenssim.learn.compute.device.get_cpu_capability", lambda: capability
    )
    run = train(
        config(tiny_dataset, epochs=1, device="cpu", precision="bf16"), tmp_path / "run"
    )
    other = train(config(tiny_dataset, epochs=1, device="cpu"), tmp_path / "single")
    assert run.record.config.precision == "bf16"
    assert [each.record.result.cost.precision for each in (run, other)] == [computed, "32"]
    mine, single = weights(run), weights(other)
    assert all(torch.equal(mine[key], single[key]) for key in single) == (computed == "32")


def test_every_setting_is_described():
    assert all(field.description for field in TrainConfig.model_fields.values())


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match="is no checkpoint", check=has_code("checkpoint-invalid")
    ):
        AtomicCheckpoints().load_checkpoint(path)


def test_a_checkpoint_that_would_execute_something_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}, "evil": Evil()}, path)
    with pytest.raises(
        DataError, match="tensors and numbers alone", check=has_code("checkpoint-invalid")
    ):
        read_checkpoint(path)
    assert not (tmp_path / "executed").exists()
    torch.save([1, 2], path)
    with pytest.raises(
        DataError, match="holds no state_dict", check=has_code("checkpoint-invalid")
    ):
        read_checkpoint(path)


def test_a_truncated_checkpoint_is_refused_on_resume(
    tiny_run, tiny_dataset, tmp_path, kill_at
):
    settings = config(tiny_dataset, augment="flips")
    with pytest.raises(MemoryError):
        train(settings, tmp_path / "run", callbacks=[kill_at(4)])
    last = tmp_path / "run/checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:5000])
    with pytest.raises(DataError, check=has_code("file-of-another")):
        train(settings, tmp_path / "run", resume=True)


def test_variables_of_the_environment_do_not_change_a_training(
    tiny_run, tmp_path, monkeypatch
):
    """Lightning takes defaults of its Trainer from PL_TRAINER_...; a training is what its config says."""
    from lenssim.learn.training.lightning import quiet, trainer_of

    monkeypatch.setenv("PL_TRAINER_LIMIT_TRAIN_BATCHES", "1")
    monkeypatch.setenv("PL_TRAINER_GRADIENT_CLIP_VAL", "0.5")
    with quiet():  # Lightning gives advice where SLURM is installed
        trainer = trainer_of(tiny_run.record.config, torch.device("cpu"), tiny_run, [])
    assert (trainer.limit_train_batches, trainer.gradient_clip_val) == (1.0, None)
    assert os.environ["PL_TRAINER_LIMIT_TRAIN_BATCHES"] == "1"
