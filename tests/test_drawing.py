"""Figures are the same bytes whatever a user has set matplotlib to, and show names as they are."""

import ast
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

import lenssim
from lenssim.data.inspection.contact_sheet import contact_sheet
from lenssim.data.inspection.residual_figure import residual_figure
from lenssim.drawing import plain_style, png_bytes
from lenssim.learn.figures.attribution import attributions_figure, examples_figure
from lenssim.learn.figures.classification import (
    calibration_figure,
    confusion_figure,
    curves_figure,
    roc_figure,
)
from lenssim.learn.figures.comparison import accuracy_figure, histories_figure, sizes_figure
from lenssim.learn.figures.comparison import roc_figure as compared_roc_figure
from lenssim.learn.figures.regression import (
    corner_figure,
    coverage_figure,
    distance_figure,
    errors_figure,
    truth_figure,
)

FOREIGN = {
    "text.usetex": True,
    "font.family": ["a font that nobody has"],
    "savefig.dpi": 1200,
    "savefig.format": "pdf",
    "figure.autolayout": True,
    "axes.formatter.use_mathtext": True,
    "axes.titlesize": 40,
    "image.origin": "lower",
    "text.parse_math": True,
}
RNG = np.random.default_rng(0)
NAMES = ("no_sub", "$x_1^2$ & $y", "空白 %")
LABELS = np.arange(60) % 3
P = RNG.dirichlet([1, 1, 1], 60)
IMAGES = RNG.random((4, 1, 8, 8)).astype(np.float32)
TRUTH = RNG.normal(size=(60, 2))
TABLE = {
    "label": np.array(NAMES)[LABELS],
    "predicted": np.array(NAMES)[LABELS],
    "snr": RNG.random(60),
} | {name: P[:, k] for k, name in enumerate(NAMES)}
EPOCHS = [
    {"epoch": k, "train_loss": 10.0 / k**3, "val_loss": 1.0 / k, "val_accuracy": 0.5}
    for k in (1, 2, 3, 4)
]
AREA = dict.fromkeys((*NAMES, "macro"), 0.5)
SCORE = {"value": 0.5, "low": 0.4, "high": 0.6}
TITLE = "run $a_b$ of $"

FIGURES = {
    "roc": lambda: roc_figure(LABELS, P, NAMES, AREA, TITLE),
    "confusion": lambda: confusion_figure(np.eye(3, dtype=int), NAMES, TITLE),
    "calibration": lambda: calibration_figure(LABELS, P, 0.1, TITLE),
    "curves": lambda: curves_figure(EPOCHS, {"accuracy": "$acc$"}, 2, TITLE),
    "histories": lambda: histories_figure({TITLE: EPOCHS}, "val_loss", "loss", TITLE),
    "compared roc": lambda: compared_roc_figure({TITLE: TABLE}, NAMES, TITLE),
    "accuracy": lambda: accuracy_figure({TITLE: TABLE}, NAMES, "snr", "$snr$", TITLE),
    "sizes": lambda: sizes_figure({TITLE: [(100, SCORE), (1000, SCORE)]}, "AUC", TITLE),
    "examples": lambda: examples_figure(IMAGES, ["$a$", "b$", "$", "c_d"], TITLE),
    "attributions": lambda: attributions_figure(
        IMAGES, IMAGES, ["$a$", "b$", "$", "c_d"], TITLE
    ),
    "truth": lambda: truth_figure(["$a$", "b"], TRUTH, TRUTH, np.abs(TRUTH), TITLE),
    "coverage": lambda: coverage_figure(
        ["$a$", "b"], np.abs(np.tanh(TRUTH)), np.linspace(0, 1, 60), TITLE
    ),
    "chi2": lambda: distance_figure(np.abs(TRUTH[:, 0]), 1, 0.5, TITLE),
    "errors": lambda: errors_figure(
        "MAE", {TITLE: {"$a$": (1, 0.5, 2)}}, {"$b$": {"$a$": 1.0}}, TITLE
    ),
    "corner": lambda: corner_figure(["$a$", "b"], TRUTH, TRUTH[0], TITLE),
}
SHEETS = {
    "contact": lambda: contact_sheet(IMAGES, np.arange(4), TITLE),
    "residuals": lambda: residual_figure(
        {("autolens", "$a$"): (IMAGES[0, 0], 1e-7 * IMAGES[1, 0])}, TITLE
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_under_any_settings_and_shows_names_as_they_are(name):
    """No axis labels its ticks by mathematics either, which would be shown as its source."""
    figure = FIGURES[name]()
    plain = png_bytes(figure)
    with plain_style():  # ticks of axes that are off are made when they are asked for
        texts = figure.findobj(Text)
    assert not any(text.get_parse_math() for text in texts)
    assert not [text.get_text() for text in texts if "\\math" in text.get_text()]
    with matplotlib.rc_context(FOREIGN):
        assert png_bytes(FIGURES[name]()) == plain
        assert matplotlib.rcParams["text.usetex"], (
            "the user's settings hold again afterwards"
        )


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_is_the_same_under_any_settings(name):
    plain = SHEETS[name]()
    with matplotlib.rc_context(FOREIGN):
        assert SHEETS[name]() == plain


MAKERS = {
    "Figure",
    "axes_of",
    "panels",
    "titled_figure",
    "_panels",
    "_panels_by_class",
}


def test_every_function_that_makes_a_figure_does_so_in_the_plain_style():
    for path in sorted(Path(lenssim.__file__).parent.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or node.name in MAKERS:
                continue
            called = {
                n.func.id
                for n in ast.walk(node)
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
            }
            if called & MAKERS:
                assert "plain_style()" in map(ast.unparse, node.decorator_list), (
                    f"{path.name}: {node.name}"
                )


@pytest.mark.thorough
def test_the_command_line_draws_where_matplotlib_itself_cannot_be_imported(
    tiny_data, tmp_path
):
    """By a backend that does not exist, and settings that ask for LaTeX."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nbackend: nonsense\n")
    environment = {
        "MPLBACKEND": "nonsense",
        "MPLCONFIGDIR": str(tmp_path),
        "PATH": "",
        "HOME": str(tmp_path),
    }
    command = [
        sys.executable,
        "-m",
        "lenssim",
        "show",
        str(tiny_data),
        "-o",
        str(tmp_path / "sheets"),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "sheets").glob("*.png"))) == 3
