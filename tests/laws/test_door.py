"""The Python door: each function is the counterpart of a command, importing costs nothing, all is explained."""

import inspect
import subprocess
import sys
from typing import Any

import pytest
import typer

import lenssim as package
from lenssim.api.training import TrainingSettings
from lenssim.cli.main import app
from lenssim.learn.tasks import TASKS

COMMANDS = {  # by function: what a terminal calls it, where that is another word
    "audit": "audit",
    "doctor": "doctor",
    "evaluate": "evaluate",
    "generate": "generate",
    "population": "population",
    "predict": "predict",
    "render": "render",
    "show": "show",
    "verify": "verify",
}
RENAMED = {("predict", "files"): "images"}  # arrays too
OF_THE_TERMINAL = {  # of what is printed, and of work that is done in parts
    "json",
    "dry_run",
    ("generate", "shards"),
    ("render", "out"),  # Exposure.save
    ("render", "sets"),  # keyword arguments
}
FUNCTIONS = [name for name in package.__all__ if inspect.isfunction(getattr(package, name))]
CLASSES = [name for name in package.__all__ if inspect.isclass(getattr(package, name))]


def commands() -> dict[str, Any]:
    return typer.main.get_command(app).commands


def options(name: str, command: Any) -> dict[str, Any]:
    return {
        RENAMED.get((name, parameter.name), parameter.name): parameter
        for parameter in command.params
        if parameter.name not in OF_THE_TERMINAL
        and (name, parameter.name) not in OF_THE_TERMINAL
    }


def parameters(name: str) -> dict[str, inspect.Parameter]:
    signature = inspect.signature(getattr(package, name))
    return {
        key: parameter
        for key, parameter in signature.parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_function_takes_what_its_command_takes(name):
    command = options(name, commands()[COMMANDS[name]])
    function = parameters(name)
    assert set(function) == set(command)
    for key, parameter in function.items():
        option = command[key]
        if option.required:
            assert parameter.default is inspect.Parameter.empty, key
        else:
            default = option.default
            assert parameter.default == (None if default in ((), []) else default), key


@pytest.mark.parametrize("task", TASKS)
def test_train_takes_what_the_commands_take(task):
    command = options("train", commands()["train"].commands[task])
    settings = TrainingSettings.__annotations__
    assert set(command) - {"data", "out", "resume"} <= set(settings)
    assert not parameters("train")["resume"].default
    for key in set(command) & set(settings):
        field = TASKS[task].settings.model_fields.get(key)
        assert command[key].default in (None, False, field and field.default), key


def test_every_setting_of_train_is_an_option_of_a_task():
    known = set().union(
        *(options("train", c) for c in commands()["train"].commands.values())
    )
    assert set(TrainingSettings.__annotations__) <= known


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_explained(name):
    text = inspect.getdoc(getattr(package, name)) or ""
    assert text.splitlines()[0].endswith(".")
    assert "Returns:\n" in text
    assert "Example:\n" in text
    assert ">>> " in text
    if parameters(name):
        assert "Args:\n" in text
        assert "Raises:\n" in text
    described = {line.strip().split(":")[0] for line in text.splitlines()}
    assert set(parameters(name)) <= described


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_explained(name):
    text = inspect.getdoc(getattr(package, name)) or ""
    assert "Example:\n" in text
    assert ">>> " in text


def test_all_names_are_there():
    assert set(package.__all__) <= {*dir(package), "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'generat'"):
        package.generat  # noqa: B018


def test_importing_lenssim_imports_nothing_heavy():
    code = (
        "import sys, lenssim; print([name for name in sys.modules if name.split('.')[0] in "
        "('torch', 'h5py', 'numpy', 'pydantic', 'matplotlib', 'scipy', 'typer')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("room", ["lenssim.data", "lenssim.learn", "lenssim"])
def test_rooms_export_what_they_name(room):
    import importlib

    module = importlib.import_module(room)
    for name in module.__all__:
        assert getattr(module, name) is not None
