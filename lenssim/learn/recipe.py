"""Recipes: generate, train, evaluate and report from one YAML file; repeating it does only what is left to do."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lenssim.data.build import Progress
from lenssim.data.dataset import ShardDataset
from lenssim.data.generate import generate, make_plan
from lenssim.errors import ConfigError, unknown
from lenssim.learn.config import TrainConfig
from lenssim.learn.report import Row, write_report
from lenssim.learn.tasks import parse_config
from lenssim.simulate.instruments import Supersampling
from lenssim.simulate.preset import load_preset

__all__ = ["Recipe", "load_recipe", "run_recipe"]

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # of folders, inside the recipe's own
Reporter = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]


class GenerateStep(BaseModel):
    """A data set to simulate: the options of `lenssim generate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    n: int = Field(ge=1)
    seed: int = Field(default=0, ge=0)
    split: str = "train"
    noise: str | None = None
    engine: str = "batched"
    supersampling: Supersampling | None = None


class EvaluateStep(BaseModel):
    """A run, by name, to be judged on a data set, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    data: str


class Recipe(BaseModel):
    """The whole of a recipe. Without `evaluate` every run is judged on the data it was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    generate: dict[_Name, GenerateStep] = Field(min_length=1)
    settings: dict[str, Any] = Field(default={}, description="of every training, where it does not say otherwise")
    train: dict[_Name, dict[str, Any]] = Field(min_length=1)
    evaluate: tuple[EvaluateStep, ...] = ()

    def evaluations(self) -> tuple[EvaluateStep, ...]:
        """What is judged on what."""
        own = tuple(EvaluateStep(run=name, data=settings.get("data", "")) for name, settings in self.train.items())
        return self.evaluate or own

    def config(self, name: str, folder: Path) -> TrainConfig:
        """The config of a training whose data sets lie in `folder`."""
        settings = {**self.settings, **self.train[name]}
        data = str(settings.get("data"))
        if data not in self.generate:
            raise unknown(f"data of the training {name!r}: data set", data, self.generate)
        return parse_config({**settings, "data": str(folder / data)}, f"the training {name!r}")


def load_recipe(path: Path) -> Recipe:
    """A checked recipe; `ConfigError` says what is wrong with the file, key by key, before anything is done."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the recipe {path}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must be a mapping of steps, got {type(document).__name__}")
    try:
        recipe = Recipe.model_validate(document)
        for name in recipe.train:
            recipe.config(name, Path())
        for step in recipe.evaluations():
            if step.run not in recipe.train:
                raise unknown("run to evaluate", step.run, recipe.train)
            if step.data not in recipe.generate:
                raise unknown("data set to evaluate on", step.data, recipe.generate)
        for step in recipe.generate.values():
            load_preset(step.model).noise_kind(step.noise)
    except ValidationError as error:
        raise ConfigError(f"{path}: " + "; ".join(_explain(dict(problem)) for problem in error.errors())) from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return recipe


def _explain(problem: dict[str, Any]) -> str:
    where = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        owners = {"generate": GenerateStep, "evaluate": EvaluateStep}
        owner = owners.get(str(problem["loc"][0]), Recipe)
        return str(unknown("key", str(problem["loc"][-1]), owner.model_fields)) + f" (at {where})"
    return f"{where}: {problem['msg']}"


def run_recipe(
    recipe: Recipe,
    folder: Path,
    *,
    workers: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
    generating: Reporter = lambda verb: nullcontext(lambda progress: None),
    training: Callable[[], list[Any]] = list,
) -> list[Row]:
    """Do what is left to do of a recipe in `folder`; returns the rows of its report.

    `say` is told each step, `generating` and `training` make the displays of long ones.
    """
    from lenssim.learn.card import write_card
    from lenssim.learn.evaluate import evaluate, finished_evaluation
    from lenssim.learn.run import open_run
    from lenssim.learn.train import train

    count = _counter(len(recipe.generate) + len(recipe.train) + len(recipe.evaluations()))
    data, runs = folder / "data", folder / "runs"
    for name, step in recipe.generate.items():
        preset = load_preset(step.model)
        say(f"{next(count)} data {name}: {step.n} images of {preset.name}, noise {preset.noise_kind(step.noise)}")
        plan = make_plan(
            preset,
            step.n,
            seed=step.seed,
            split=step.split,
            noise=step.noise,
            engine_name=step.engine,
            supersampling=step.supersampling,
            folder=data / name,
        )
        with generating("generating") as report:
            generate(data / name, plan, workers=workers, report=report)
    for name in recipe.train:
        config = recipe.config(name, data).model_copy(update={"device": device})
        say(f"{next(count)} run {name}: {config.net} on {Path(config.data).name}, {config.epochs} epochs")
        write_card(train(config, runs / name, resume=(runs / name / "run.json").exists(), callbacks=training()))
    rows = []
    for step in recipe.evaluations():
        run, dataset = open_run(runs / step.run), ShardDataset(data / step.data)
        say(f"{next(count)} evaluation of {step.run} on {step.data}")
        document = finished_evaluation(run, dataset) or evaluate(run, dataset, device=device)
        write_card(run)
        rows.append(Row.of(step.run, step.data, run, document))
    write_report(folder, recipe.title, rows)
    return rows


def _counter(total: int) -> Iterator[str]:
    return (f"[{k}/{total}]" for k in range(1, total + 1))
