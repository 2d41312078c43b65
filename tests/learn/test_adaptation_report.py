"""The table that says how much of a gap each adaptation closes."""

from types import SimpleNamespace

import pytest

from lenssim.learn.report.adaptation import adaptation_cells


def evaluated(run, data, judged, value, *, target=None, group="", method="supervised"):
    """An evaluation, as far as the table asks."""
    config = SimpleNamespace(net="cnn", method=method, select="source")
    record = SimpleNamespace(
        config=config,
        data=SimpleNamespace(fingerprint=data),
        target=target and SimpleNamespace(fingerprint=target),
        result=SimpleNamespace(best_epoch=2),
    )
    epochs = [{"val_oracle_accuracy": score} for score in (0.9, 0.7, 0.6)]
    row = SimpleNamespace(
        run=run,
        group=group or run,
        members=1,
        data=judged,
        fingerprint=judged,
        headlines={"accuracy": "accuracy"},
        metrics={"accuracy": {"value": value}},
    )
    return SimpleNamespace(
        row=row, run=SimpleNamespace(record=record, epochs=lambda: epochs)
    )


ADAPTED = {"target": "t", "group": "mmd", "method": "mmd"}
SOURCE_ONLY = [evaluated("plain", "s", "s", 1.0), evaluated("plain", "s", "t", 0.5)]


def test_the_gap_is_that_to_a_network_of_the_target():
    runs = [
        *SOURCE_ONLY,
        evaluated("learned", "t", "t", 0.9),
        evaluated("mmd-0", "s", "t", 0.7, **ADAPTED),
        evaluated("mmd-1", "s", "t", 0.9, **ADAPTED),
        evaluated("mmd-0", "s", "s", 0.2, **ADAPTED),  # judged on the source: no line
    ]
    (line,) = adaptation_cells(runs)
    assert line["seeds"] == "2"
    assert line["source only: accuracy"] == "0.5000"
    assert line["reference: accuracy"] == "0.9000"
    # shares 50 % and 100 %: t (1 degree of freedom) is 12.7, and the standard error 25 %
    assert line["gap closed"] == "75% [-243%, 393%]"
    assert (line["validation at the choice"], line["at the oracle's"]) == (
        "0.7000",
        "0.9000",
    )


def test_without_such_a_network_the_gap_is_that_to_the_source():
    (line,) = adaptation_cells(
        [*SOURCE_ONLY, evaluated("mmd-0", "s", "t", 0.75, **ADAPTED)]
    )
    assert line["reference: accuracy"] == "1.0000"
    assert line["gap closed"] == "50%"


@pytest.mark.parametrize("judged", ["s", "u"])
def test_other_data_are_no_line(judged):
    runs = [*SOURCE_ONLY, evaluated("mmd-0", "s", judged, 0.75, **ADAPTED)]
    assert adaptation_cells(runs) == []
