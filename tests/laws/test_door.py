"""The Python door: each function is the counterpart of a command, importing costs nothing, all is explained."""

import inspect
import subprocess
import sys
from typing import Any

import pytest
import typer

import lenssim as package
from lenssim.api.generation import DEVICE
from lenssim.api.training import TrainingSettings
from lenssim.cli.main import app
from lenssim.data.generation.request import GenerationRequest
from lenssim.learn.evaluation.search.request import SearchRequest
from lenssim.learn.tasks import TASKS
from lenssim.simulate.wide.request import MosaicRequest
from lenssim.sky.fields.request import ExtractRequest
from lenssim.sky.models.request import FitRequest
from lenssim.sky.surveys.request import SurveyRequest

COMMANDS = {  # by function: what a terminal calls it, where that is another word
    "audit": "audit",
    "completeness": "completeness",
    "doctor": "doctor",
    "evaluate": "evaluate",
    "export": "export",
    "extract": "extract",
    "fit": "fit",
    "generate": "generate",
    "info": "info",
    "instruments": "instruments",
    "mosaic": "mosaic",
    "nets": "nets",
    "pack": "pack",
    "parity": "parity",
    "population": "population",
    "predict": "predict",
    "presets": "models",
    "pretrained": "pretrained",
    "probe": "probe",
    "recipes": "recipes",
    "render": "render",
    "repack": "repack",
    "run": "run",
    "seal": "seal",
    "search": "search",
    "show": "show",
    "survey": "survey",
    "verify": "verify",
}
OF_OPTIONS = {
    "import": "import_data",
    "train": "train",
}  # commands for each importer and task
OF_REQUESTS = {  # their options are fields of a model
    "search": SearchRequest,
    "extract": ExtractRequest,
    "fit": FitRequest,
    "generate": GenerationRequest,
    "mosaic": MosaicRequest,
    "render": GenerationRequest,
    "survey": SurveyRequest,
}
RENAMED = {("predict", "files"): "images"}  # arrays too
OF_THE_TERMINAL = {  # of what is printed, and of work that is done in parts
    "help",
    "json",
    "dry_run",
    ("generate", "shards"),
    ("predict", "out"),  # Answers.save
    ("render", "out"),  # Exposure.save
    ("survey", "found"),  # the opposite of --all
}
OF_PYTHON = {  # a terminal has Ctrl-C and stderr
    ("extract", "stop"),
    ("search", "stop"),
    ("fit", "stop"),
    ("generate", "stop"),
    ("mosaic", "stop"),
    ("parity", "report"),
    ("population", "report"),
    ("predict", "report"),
    ("repack", "stop"),
    ("show", "report"),
    ("survey", "stop"),
}
FUNCTIONS = [name for name in package.__all__ if inspect.isfunction(getattr(package, name))]
CLASSES = [name for name in package.__all__ if inspect.isclass(getattr(package, name))]


def commands() -> dict[str, Any]:
    return typer.main.get_command(app).commands


def options(name: str, command: Any) -> dict[str, Any]:
    """The parameters of a command by name; those of a model are known to its context."""
    context = command.make_context(name, [], resilient_parsing=True)
    return {
        RENAMED.get((name, parameter.name), parameter.name): parameter
        for parameter in command.get_params(context)
        if parameter.name not in OF_THE_TERMINAL
        and (name, parameter.name) not in OF_THE_TERMINAL
    }


def subcommands(name: str) -> dict[str, Any]:
    """The commands of a group, by name."""
    group = commands()[name]
    context = group.make_context(name, [], resilient_parsing=True)
    return {task: group.get_command(context, task) for task in TASKS}


def parameters(name: str) -> dict[str, inspect.Parameter]:
    signature = inspect.signature(getattr(package, name))
    return {
        key: parameter
        for key, parameter in signature.parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        and (name, key) not in OF_PYTHON
    }


def stated_defaults(name: str, key: str, option: Any) -> tuple[Any, ...]:
    """What an option that is left out means: of one that has no default, what its model says."""
    if option.default not in (None, (), []):
        return (option.default,)
    if key == "device" and name != "fit":
        return (DEVICE,)
    fields = {}
    if name in OF_REQUESTS:
        fields = OF_REQUESTS[name].model_fields
    if key not in fields:
        return (None,)
    return (fields[key].default,)


def test_every_command_has_a_function():
    assert set(commands()) == {*COMMANDS.values(), *OF_OPTIONS}
    assert {*COMMANDS, *OF_OPTIONS.values()} <= set(FUNCTIONS)


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
            assert parameter.default in stated_defaults(name, key, option), key


@pytest.mark.parametrize("task", TASKS)
def test_train_takes_what_the_commands_take(task):
    command = options("train", subcommands("train")[task])
    settings = TrainingSettings.__annotations__
    assert set(command) - {"data", "out", "resume"} <= set(settings)
    assert not parameters("train")["resume"].default
    for key in set(command) & set(settings):
        field = TASKS[task].settings.model_fields.get(key)
        assert command[key].default in (None, False, field and field.default), key


@pytest.mark.parametrize("name", OF_REQUESTS)
def test_an_option_that_is_not_given_may_be_none(name):
    """A command passes None for every option that is not typed; the model has the defaults."""
    fields = OF_REQUESTS[name].model_fields
    for key, parameter in parameters(name).items():
        if key in fields and parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            assert "None" in str(parameter.annotation) or parameter.annotation == "Any", key


def test_every_setting_of_train_is_an_option_of_a_task():
    known = set().union(*(options("train", c) for c in subcommands("train").values()))
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
