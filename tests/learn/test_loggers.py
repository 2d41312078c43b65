"""Loggers beside metrics.csv: what a training writes to them, and what happens without their package."""

import csv

import pytest
from error_codes import has_code

import lenssim as package
from lenssim.errors import ConfigError
from lenssim.learn.training import loggers
from lenssim.learn.training.loggers import LOGGERS


def test_tensorboard_gets_what_metrics_csv_has(workplace, tmp_path):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="needs tensorboard",
    )
    data = package.open(workplace / "data/III")
    run = package.train(
        "classify", data, epochs=1, limit=64, logger="tensorboard", out=tmp_path / "run"
    )
    events = reader.EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    with (run.folder / "metrics.csv").open() as table:
        (epoch,) = csv.DictReader(table)
    (logged,) = events.Scalars("val_loss")
    assert logged.value == pytest.approx(float(epoch["val_loss"]), rel=1e-5)


@pytest.mark.parametrize("name", LOGGERS)
def test_a_missing_package_is_named_before_anything_is_written(
    workplace, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    data = package.open(workplace / "data/III")
    with pytest.raises(ConfigError, check=has_code("package-missing")):
        package.train("classify", data, epochs=1, logger=name, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
