"""Selection functions: counted against the answers themselves, and what is refused."""

import json

import numpy as np
import pytest
from error_codes import has_code

import lenssim as ls
from lenssim.errors import ConfigError


def test_a_selection_function_counts_what_the_network_says(
    workplace, monkeypatch, tmp_path
):
    monkeypatch.chdir(workplace)
    table = ls.completeness(
        "runs/cnn", "data/III", class_name="axion", threshold=0.4, out=tmp_path / "c"
    )
    answers = ls.predict("runs/cnn", "data/III")
    accepted = answers["axion"] >= 0.4
    radii = ls.open("data/III").params["theta_E"]
    rows = table["property"] == "theta_E"
    assert table["lenses"][rows].sum() == len(radii)
    assert table["found"][rows].sum() == accepted.sum()
    for low, high, count in zip(
        table["from"][rows], table["to"][rows], table["found"][rows], strict=True
    ):
        inside = (radii >= low) & (radii < high)
        assert count == (inside & accepted).sum()
    assert (table["low"] <= table["share"]).all()
    assert (table["share"] <= table["high"]).all()
    document = json.loads((tmp_path / "c" / "completeness.json").read_text())
    assert document["found"] == accepted.sum()
    assert (tmp_path / "c" / "completeness.png").stat().st_size > 10_000
    assert np.isfinite(table["share"]).all()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "unknown-class"),
        ({"class_name": "novelty"}, "unknown-class"),
        ({"class_name": "axion", "threshold": 0.0}, "option-range"),
        ({"class_name": "axion", "within": 1.5}, "option-range"),
    ],
)
def test_what_cannot_be_is_refused(workplace, monkeypatch, options, code):
    monkeypatch.chdir(workplace)
    with pytest.raises(ConfigError, check=has_code(code)):
        ls.completeness("runs/cnn", "data/III", **options)
