"""Recipes: what to generate, train, evaluate and report, in one YAML file."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import product, takewhile
from math import prod
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from lenssim.errors import ConfigError, explain_problem, from_validation, unknown
from lenssim.formats.yaml import read_yaml
from lenssim.learn.config import TrainConfig
from lenssim.learn.methods import method_of
from lenssim.learn.nets import check_net
from lenssim.learn.recipes.shipped import find_presets
from lenssim.learn.recipes.steps import (
    EvaluateStep,
    FitStep,
    GenerateStep,
    ImportStep,
    LensesStep,
    PopulationStep,
)
from lenssim.learn.tasks import parse_config
from lenssim.names import name_fault, printable, shown
from lenssim.record import Record
from lenssim.sky.models.results import PICTURES

__all__ = [
    "DATA",
    "FITS",
    "LENSES",
    "RUNS",
    "Recipe",
    "Training",
    "load_recipe",
]

# folders in that of a recipe
DATA = "data"
RUNS = "runs"
FITS = "fits"
LENSES = "lenses"

_RUNS = ("start", "through")  # settings that name a run above
_NUMBERS = ("limit", "dropout", "seed")
_LISTS = ("data", "net", "picture", "target", "adapt", "detector", "method", *_NUMBERS)
MAX_TRAININGS = 10_000
_Name = Annotated[  # of folders, inside the recipe's own
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
]


@dataclass(frozen=True)
class Training:
    """One run of a recipe, the line of `train` that it comes from, and its name but for the seed."""

    name: str
    line: str
    group: str
    settings: dict[str, Any]


class Recipe(Record):
    """The whole of a recipe. Without `evaluate` every run is judged on the data it was trained on.

    In a line of `train`, a list for `data`, `net`, `picture`, `target`, `adapt`, `limit`, `dropout` or `seed` stands
    for a run with each of its values. Runs that differ in their seed alone are judged together too, by the mean of
    their answers. `start` names a line above, whose run of the same net gives the weights to begin with, or is the
    folder of any run. `through` names a line above that denoises. `target` is a data set of the recipe.
    """

    title: str
    imports: dict[_Name, ImportStep] = Field(default={})
    generate: dict[_Name, GenerateStep] = Field(min_length=1)
    fits: dict[_Name, FitStep] = Field(
        default={}, description="models of lenses; their residuals are data sets, too"
    )
    audit: int | None = Field(
        default=None,
        ge=1,
        description="leak audit of every data set, by so many images a class",
    )
    settings: dict[str, Any] = Field(
        default={}, description="of every training, where it does not say otherwise"
    )
    nets: dict[str, dict[str, Any]] = Field(
        default={}, description="settings by net, over those of every training"
    )
    train: dict[_Name, dict[str, Any]] = Field(min_length=1)
    evaluate: tuple[EvaluateStep, ...] = ()
    populations: tuple[PopulationStep, ...] = ()
    lenses: tuple[LensesStep, ...] = ()

    @property
    def data_names(self) -> tuple[str, ...]:
        """Names of all data sets: imported ones, simulated ones, and those of models."""
        return (*self.imports, *self.generate, *self.fits)

    def place(self, name: str, folder: Path) -> Path:
        """Return where a data set of the recipe lies.

        Args:
            name: Its name.
            folder: The folder of the recipe.
        """
        if name in self.fits:
            return folder / FITS / name / PICTURES
        return folder / DATA / name

    @model_validator(mode="after")
    def _countable(self) -> "Recipe":
        """Count the runs that lists stand for before any of them is built."""
        runs = {
            name: prod(map(len, _lists(line).values())) for name, line in self.train.items()
        }
        if sum(runs.values()) > MAX_TRAININGS:
            largest = max(runs, key=runs.__getitem__)
            raise ValueError(
                f"its lists stand for {sum(runs.values()):,} trainings, {runs[largest]:,} of them in "
                f"train.{largest}; at most {MAX_TRAININGS:,} make a recipe"
            )
        return self

    @cached_property
    def trainings(self) -> dict[str, Training]:
        """All runs, by name."""
        trainings = {}
        for line, line_settings in self.train.items():
            lists = _lists(line_settings)
            for values in product(*lists.values()):
                chosen = dict(zip(lists, values, strict=True))
                training = self._training(line, line_settings, chosen)
                trainings[training.name] = training
        return trainings

    def _training(
        self, line: str, line_settings: dict[str, Any], chosen: dict[str, Any]
    ) -> Training:
        """Return the training of a line with one value chosen from each of its lists."""
        words = {
            key: f"-{key if key in _NUMBERS else ''}{value}"
            for key, value in chosen.items()
        }
        name = (line + "".join(words.values())).replace(":", "-")
        if fault := name_fault(name, "the training"):
            raise ConfigError(fault, code="bad-name", name=name)
        words.pop("seed", None)
        group = (line + "".join(words.values())).replace(":", "-")
        settings = {**self.settings, **line_settings, **chosen}
        of_net = self.nets.get(str(settings.get("net", "cnn")), {})
        settings = {**self.settings, **of_net, **line_settings, **chosen}
        return Training(name, line, group, settings)

    def groups(self, step: EvaluateStep) -> dict[str, list[Training]]:
        """Runs to be judged by a step: those with its name, or of the line or the group of its name; by group."""
        groups: dict[str, list[Training]] = {}
        for training in self.trainings.values():
            if step.run in (training.name, training.line, training.group):
                groups.setdefault(training.group, []).append(training)
        return groups

    def evaluations(self) -> tuple[EvaluateStep, ...]:
        """What is judged on what."""
        pairs = list(
            dict.fromkeys(
                (t.group, str(t.settings.get("data", ""))) for t in self.trainings.values()
            )
        )
        return self.evaluate or tuple(
            EvaluateStep(run=run, data=data) for run, data in pairs
        )

    def needed_by(self, name: str) -> dict[str, str]:
        """Return the runs of this recipe that a training needs, by the setting that names them.

        Raises:
            ConfigError: A setting names no run, or several.
        """
        runs = {key: self._named_by(name, key) for key in _RUNS}
        return {key: run for key, run in runs.items() if run is not None}

    def _named_by(self, name: str, key: str) -> str | None:
        """Return the run above a training that its `start` or `through` names."""
        settings = self.trainings[name].settings
        start = settings.get(key)
        if start is None:
            return None
        earlier = list(
            takewhile(lambda training: training.name != name, self.trainings.values())
        )
        candidates = [run for run in earlier if start in (run.name, run.line, run.group)]
        if key == "start":
            candidates = _most_alike(candidates, settings)
        if len(candidates) == 1:
            return candidates[0].name
        if candidates:
            raise ConfigError(
                f"{key} of the training {name!r}: {start} is {len(candidates)} runs; "
                "name one of them",
                code="runs-ambiguous",
                name=name,
                start=start,
            )
        if Path(str(start)).is_dir():
            return None
        lines = dict.fromkeys(run.line for run in earlier)
        raise unknown(
            f"{key} of the training {name!r}: run above it",
            str(start),
            [*lines, *(run.name for run in earlier)],
            code="unknown-step",
        )

    def config(self, name: str, folder: Path) -> TrainConfig:
        """The config of a training of the recipe that is followed in `folder`."""
        settings = self.trainings[name].settings
        if "live" not in settings:
            settings = {**settings, "data": self._located(name, "data", folder)}
        if "adapt" in settings:
            settings = {**settings, "target": self._located(name, "target", folder)}
        for key, run in self.needed_by(name).items():
            settings = {**settings, key: str(folder / RUNS / run)}
        config = parse_config(settings, f"the training {name!r}")
        method_of(config)
        return config

    def _located(self, name: str, key: str, folder: Path) -> str:
        """Return where the data set lies that a setting of a training names."""
        data = str(self.trainings[name].settings.get(key))
        if data not in self.data_names:
            raise unknown(
                f"{key} of the training {name!r}: data set",
                data,
                self.data_names,
                code="unknown-step",
            )
        return str(self.place(data, folder))


def _most_alike(runs: list[Training], settings: dict[str, Any]) -> list[Training]:
    """Return the runs with the net and seed of these settings, where there are such runs."""
    for key in ("net", "seed"):
        default = TrainConfig.model_fields[key].default
        wanted_value = settings.get(key, default)
        if len(runs) > 1:
            runs = [run for run in runs if run.settings.get(key, default) == wanted_value]
    return runs


def load_recipe(path: Path) -> Recipe:
    """A checked recipe; `ConfigError` says what is wrong with the file, key by key, before anything is done."""
    document = read_yaml(path, "the recipe")
    if not isinstance(document, dict):
        content = "nothing" if document is None else shown(document)
        raise ConfigError(
            f"{path} must be a mapping of steps, got {content}",
            code="settings-invalid",
            path=path,
        )
    find_presets(document.get("generate"), path.parent)
    try:
        recipe = Recipe.model_validate(document)
        _check_settings(recipe)
        _check_names(recipe)
    except ValidationError as error:
        raise from_validation(error, path, explain=_explain) from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", code=error.code, **error.fields) from None
    return recipe


def _check_settings(recipe: Recipe) -> None:
    """Check the settings of each step as the step itself will."""
    for net in recipe.nets:
        check_net(net)
    for name in recipe.trainings:
        recipe.config(name, Path())
    for population in recipe.populations:
        population.question(Path())
    for data in recipe.generate.values():
        data.spec()
    for images in recipe.imports.values():
        images.importer()


def _check_names(recipe: Recipe) -> None:
    """Check that each step names runs, fits and data sets of the recipe."""
    twice = [name for name, count in Counter(recipe.data_names).items() if count > 1]
    if twice:
        raise ConfigError(
            f"two data sets are called {twice[0]}; give one another name",
            code="name-twice",
            name=twice[0],
        )
    for fit in recipe.fits.values():
        sources = (*recipe.imports, *recipe.generate)
        _check_name("data set to fit", fit.data, sources)
    runs: set[str] = set()
    for training in recipe.trainings.values():
        runs |= {training.name, training.line, training.group}
    for step in (*recipe.evaluations(), *recipe.populations):
        if step.run not in runs:
            raise unknown(
                "run to evaluate", step.run, recipe.trainings, code="unknown-step"
            )
        for name in step.sources:
            _check_name("data set to evaluate on", name, recipe.data_names)
    for lenses in recipe.lenses:
        _check_name("fit of lenses", lenses.fit, tuple(recipe.fits))
        _check_name("run for lenses", lenses.run, tuple(recipe.trainings))


def _check_name(what: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        raise unknown(what, name, names, code="unknown-step")


def _lists(line: dict[str, Any]) -> dict[str, list[Any]]:
    """The keys of a line of `train` whose lists stand for several runs."""
    return {key: line[key] for key in _LISTS if isinstance(line.get(key), list)}


def _explain(problem: dict[str, Any]) -> str:
    where = ".".join(printable(str(part)) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        owners: dict[str, type[BaseModel]] = {
            "generate": GenerateStep,
            "evaluate": EvaluateStep,
            "populations": PopulationStep,
            "imports": ImportStep,
            "fits": FitStep,
            "lenses": LensesStep,
        }
        owner = owners.get(str(problem["loc"][0]), Recipe)
        key = printable(str(problem["loc"][-1]))
        return f"{unknown('key', key, owner.model_fields)} (at {where})"
    return explain_problem(problem)
