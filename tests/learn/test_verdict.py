"""What a report concludes from its rows."""

from dataclasses import replace

import numpy as np

from lenssim.learn.figures.presentations.classification import ClassificationPresentation
from lenssim.learn.figures.presentations.regression import RegressionPresentation
from lenssim.learn.report.table import Row
from lenssim.learn.report.verdict import best_rows, verdict


def score(value: float, half: float = 0.02) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


ROW = Row(
    run="first",
    group="first",
    members=1,
    data="III",
    title="preset III",
    fingerprint="0",
    net="cnn",
    parameters=10,
    train_images=800,
    test_images=100,
    samples="test",
    minutes=1.0,
    cost={},
    headlines={"accuracy": "accuracy", "macro_auc": "macro AUC"},
    metrics={"accuracy": score(0.9), "macro_auc": score(0.95)},
    leaks={},
    validation_loss=0.4,
)


def test_validation_chooses_and_not_the_test_score():
    better_on_test = replace(
        ROW,
        run="second",
        validation_loss=0.5,
        metrics={"accuracy": score(1), "macro_auc": score(1)},
    )
    assert best_rows([ROW, better_on_test]) == {"III": ROW}
    (sentence,) = verdict([ROW, better_on_test])
    assert sentence.startswith("On III: first (cnn), the best of 2 by its validation loss.")


def test_means_over_seeds_are_no_candidates():
    mean = replace(ROW, run="mean", members=2, validation_loss=None)
    assert best_rows([mean, ROW]) == {"III": ROW}


def test_a_leak_audit_above_the_network_is_a_warning():
    weak = replace(ROW, leaks={"leaks": [{"statistic": "edges", "auc": 0.99}]})
    assert any("0.990" in line and line.startswith("Warning") for line in verdict([weak]))
    strong = replace(ROW, leaks={"leaks": [{"statistic": "edges", "auc": 0.6}]})
    assert not any(line.startswith("Warning") for line in verdict([strong]))


def test_a_constant_answer_and_chance_are_doubts():
    presentation = ClassificationPresentation(("no_sub", "cdm"))
    confusion = {"value": np.array([[5, 0], [5, 0]])}
    doubts = presentation.doubts({"confusion": confusion, "macro_auc": score(0.5)})
    assert doubts == ["the answer is no_sub for every image", "no better than chance"]
    sure = presentation.doubts(
        {"confusion": {"value": [[5, 0], [0, 5]]}, "macro_auc": score(0.9)}
    )
    assert sure == []
    lines = verdict(
        [replace(ROW, doubts=tuple(doubts)), replace(ROW, run="b", doubts=tuple(doubts))]
    )
    assert "Warning, no better than chance: first on III, b on III." in lines


def test_answering_the_mean_is_a_doubt():
    presentation = RegressionPresentation(("theta_E", "e1"))
    targets = {
        "theta_E": {"mae": score(0.1), "mae_of_the_mean": score(0.2)},
        "e1": {"mae": score(0.2), "mae_of_the_mean": score(0.2)},
    }
    assert presentation.doubts({"targets": targets}) == [
        "no better than always answering the mean for e1"
    ]
