"""Options come from models: their defaults, their help and the tables of the documents."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from error_codes import has_code
from pydantic import BaseModel, Field

from lenssim.api.options import markdown_table, model_options, settings_of
from lenssim.errors import ConfigError
from lenssim.learn.config import TrainConfig
from lenssim.learn.methods import METHODS
from lenssim.learn.tasks import TASKS
from lenssim.learn.tasks.adaptable_config import AdaptableConfig

TRAINING = Path(__file__).parents[2] / "docs" / "training.md"
BASES = (AdaptableConfig, TrainConfig)
TABLE = r"(<!-- options of {} -->\n).*?(<!-- end of options -->)"
MODELS = {"TrainConfig": (TrainConfig, None)}
MODELS |= {"AdaptableConfig": (AdaptableConfig, TrainConfig)}
MODELS |= {
    name: (task.settings, next(base for base in BASES if issubclass(task.settings, base)))
    for name, task in TASKS.items()
}


class Inner(BaseModel):
    model: str
    n: int = Field(default=5, description="how many")


class Settings(BaseModel):
    inner: Inner | None = None
    names: tuple[str, ...] = ()
    weights: dict[str, float] | None = None


@pytest.mark.parametrize("name", MODELS)
def test_the_table_of_options_is_that_of_the_model(name):
    """`LENSSIM_RENEW_DOCS=1` writes the tables."""
    text = TRAINING.read_text()
    table = markdown_table(*MODELS[name])
    pattern = re.compile(TABLE.format(name), re.DOTALL)
    renewed = pattern.sub(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", text)
    if os.environ.get("LENSSIM_RENEW_DOCS"):
        TRAINING.write_text(renewed)
    assert table in renewed
    assert TRAINING.read_text() == renewed


@pytest.mark.parametrize("task", TASKS)
def test_every_setting_has_an_option_with_its_default(lenssim, task):
    done = lenssim("train", task, "--help")
    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    for option in model_options(TASKS[task].settings, without=("task",)):
        assert option.flag in words
        assert " ".join(option.help.split()) in words, option.name


def test_no_method_takes_the_name_of_another_option():
    for task in TASKS.values():
        names = {option.name for option in model_options(task.settings)}
        for method in METHODS.values():
            assert not names & {option.name for option in model_options(method)}


def test_an_inner_model_is_given_by_its_required_field():
    arguments = {"inner": "III", "inner_n": 3, "names": "a, b", "weights": "a=1,b=2"}
    assert settings_of(Settings, arguments) == {
        "inner": {"model": "III", "n": 3},
        "names": ("a", "b"),
        "weights": {"a": "1", "b": "2"},
    }
    with pytest.raises(
        ConfigError,
        match="--inner-n belongs to --inner",
        check=has_code("option-missing", option="inner", flag="--inner-n"),
    ):
        settings_of(Settings, {"inner_n": 3})


def test_an_unknown_task_or_method_is_named(lenssim):
    assert "clasify" in lenssim("train", "clasify").err
    done = lenssim("train", "classify", "--data", "d", "--method", "supervize")
    assert (done.code, done.out) == (2, "")
    assert "did you mean 'supervised'?" in done.err


HELP = [
    ["--help"],
    ["generate", "--help"],
    ["render", "--help"],
    ["train", "--help"],
    *(["train", task, "--help"] for task in TASKS),
]


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_imports_neither_arrays_nor_networks(words):
    """Help reads names, defaults and words; it simulates and learns nothing."""
    code = (
        "import sys; from lenssim.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'scipy', 'torch', 'h5py', 'matplotlib', 'yaml', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(("Usage", "usage")), done.stderr
    assert done.stderr.strip() == "[]"
