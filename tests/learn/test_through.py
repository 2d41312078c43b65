"""Does a denoiser help? The table of a report, for seeds that agree and seeds that do not."""

import pytest
from scipy.stats import ttest_ind

from lenssim.learn.report.table import Row, report_text
from lenssim.learn.report.through import through_cells


def row(score: float, through: str = "", members: int = 1) -> Row:
    return Row(
        *("r", "g", members, "space", "preset challenge-space", "f", "finder", 1, 8000),
        *(1000, "all", 1.0, {}, {"auc": "AUC"}, {"auc": {"value": score}}, {}),
        through=through,
    )


def rows(without, through):
    return [row(score) for score in without] + [row(score, "unet") for score in through]


@pytest.mark.parametrize(
    ("without", "through", "verdict"),
    [
        ([0.90, 0.901, 0.899], [0.95, 0.951, 0.949], "yes"),
        ([0.95, 0.951, 0.949], [0.90, 0.901, 0.899], "no, it harms"),
        ([0.90, 0.92, 0.91], [0.90, 0.93, 0.91], "not shown"),
    ],
)
def test_the_verdict_follows_the_interval(without, through, verdict):
    (line,) = through_cells(rows(without, through))
    assert line["does it help"] == verdict
    interval = ttest_ind(through, without, equal_var=False).confidence_interval(0.95)
    assert line["change"].endswith(f"[{interval.low:+.4f}, {interval.high:+.4f}]")
    text = report_text("title", [])
    assert "denoiser" not in text


def test_one_seed_is_no_comparison():
    assert through_cells(rows([0.9], [0.95])) == []
    joint = [row(0.9, members=3), row(0.95, "unet", members=3)]
    assert through_cells(joint) == []
