"""Recipes: generate, train, evaluate and report from one YAML file; repeating it does only what is left to do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Annotated, Any, override

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lenssim.data.build import Progress
from lenssim.data.dataset import ShardDataset
from lenssim.data.generate import generate, make_plan
from lenssim.errors import ConfigError, unknown
from lenssim.learn.config import TrainConfig
from lenssim.learn.nets import check_net
from lenssim.learn.question import Question
from lenssim.learn.report import Row, write_report
from lenssim.learn.tasks import parse_config
from lenssim.simulate.instruments import Supersampling
from lenssim.simulate.preset import Preset, load_preset

__all__ = ["Recipe", "Training", "load_recipe", "run_recipe"]

_NUMBERS = ("limit", "dropout", "seed")
_LISTS = ("data", "net", *_NUMBERS)
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
    classes: tuple[str, ...] | None = None
    engine: str = "batched"
    supersampling: Supersampling | None = None
    detectability: bool = False
    shared: tuple[str, ...] | None = None

    @property
    def preset(self) -> Preset:
        """What is drawn; `ConfigError` for what cannot be."""
        preset = load_preset(self.model)
        preset = preset if self.classes is None else preset.with_classes(self.classes)
        return preset if self.shared is None else preset.with_shared(self.shared)


class EvaluateStep(BaseModel):
    """A run, or all runs of a line of `train`, by name, to be judged on a data set, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    data: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of data sets."""
        return (self.data,)


class PopulationStep(EvaluateStep):
    """Runs, by name as in `evaluate`, to be asked for the populations of a data set: options of lenssim population."""

    images: tuple[Annotated[int, Field(ge=1)], ...] = ()
    calibration: str | None = None
    scatter: bool = False

    @override
    @property
    def sources(self) -> tuple[str, ...]:
        return (self.data,) if self.calibration is None else (self.data, self.calibration)

    def question(self, folder: Path) -> Question:
        """With data sets in `folder`."""
        return Question(self.images, self.calibration and folder / self.calibration, self.scatter)


@dataclass(frozen=True)
class Training:
    """One run of a recipe, the line of `train` that it comes from, and its name but for the seed."""

    name: str
    line: str
    group: str
    settings: dict[str, Any]


class Recipe(BaseModel):
    """The whole of a recipe. Without `evaluate` every run is judged on the data it was trained on.

    In a line of `train`, a list for `data`, `net`, `limit`, `dropout` or `seed` stands for a run with each of its
    values. Runs that differ in their seed alone are judged together too, by the mean of their answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    generate: dict[_Name, GenerateStep] = Field(min_length=1)
    audit: int | None = Field(default=None, ge=1, description="leak audit of every data set, by so many images a class")
    settings: dict[str, Any] = Field(default={}, description="of every training, where it does not say otherwise")
    nets: dict[str, dict[str, Any]] = Field(default={}, description="settings by net, over those of every training")
    train: dict[_Name, dict[str, Any]] = Field(min_length=1)
    evaluate: tuple[EvaluateStep, ...] = ()
    populations: tuple[PopulationStep, ...] = ()

    @cached_property
    def trainings(self) -> dict[str, Training]:
        """All runs, by name."""
        found = {}
        for line, asked in self.train.items():
            lists = {key: asked[key] for key in _LISTS if isinstance(asked.get(key), list)}
            for values in product(*lists.values()):
                own = dict(zip(lists, values, strict=True))
                words = {key: f"-{key if key in _NUMBERS else ''}{value}" for key, value in own.items()}
                name = (line + "".join(words.values())).replace(":", "-")
                group = (line + "".join(word for key, word in words.items() if key != "seed")).replace(":", "-")
                net = {**self.settings, **asked, **own}.get("net", "cnn")
                settings = {**self.settings, **self.nets.get(str(net), {}), **asked, **own}
                found[name] = Training(name, line, group, settings)
        return found

    def groups(self, step: EvaluateStep) -> dict[str, list[Training]]:
        """Runs to be judged by a step: those with its name, or of the line or the group of its name; by group."""
        found: dict[str, list[Training]] = {}
        for training in self.trainings.values():
            if step.run in (training.name, training.line, training.group):
                found.setdefault(training.group, []).append(training)
        return found

    def evaluations(self) -> tuple[EvaluateStep, ...]:
        """What is judged on what."""
        own = list(dict.fromkeys((t.group, str(t.settings.get("data", ""))) for t in self.trainings.values()))
        return self.evaluate or tuple(EvaluateStep(run=run, data=data) for run, data in own)

    def config(self, name: str, folder: Path) -> TrainConfig:
        """The config of a training whose data sets lie in `folder`."""
        settings = self.trainings[name].settings
        if "live" not in settings:
            data = str(settings.get("data"))
            if data not in self.generate:
                raise unknown(f"data of the training {name!r}: data set", data, self.generate)
            settings = {**settings, "data": str(folder / data)}
        return parse_config(settings, f"the training {name!r}")


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
        for net in recipe.nets:
            check_net(net)
        for name in recipe.trainings:
            recipe.config(name, Path())
        for step in (*recipe.evaluations(), *recipe.populations):
            if not recipe.groups(step):
                raise unknown("run to evaluate", step.run, recipe.trainings)
            for name in step.sources:
                if name not in recipe.generate:
                    raise unknown("data set to evaluate on", name, recipe.generate)
        for step in recipe.populations:
            step.question(Path())
        for step in recipe.generate.values():
            step.preset.noise_kind(step.noise)
    except ValidationError as error:
        raise ConfigError(f"{path}: " + "; ".join(_explain(dict(problem)) for problem in error.errors())) from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return recipe


def _explain(problem: dict[str, Any]) -> str:
    where = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        owners = {"generate": GenerateStep, "evaluate": EvaluateStep, "populations": PopulationStep}
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
    from lenssim.learn.evaluate import evaluate, evaluation_folder, finished_evaluation
    from lenssim.learn.leaks import kept_audit
    from lenssim.learn.page import Judged, write_page
    from lenssim.learn.population_report import finished_populations, populations
    from lenssim.learn.run import Run, open_run
    from lenssim.learn.train import train

    evaluations = [(step, group, own) for step in recipe.evaluations() for group, own in recipe.groups(step).items()]
    judgements = sum(len(own) + (len(own) > 1) for _, _, own in evaluations)
    audits = len(recipe.generate) if recipe.audit else 0
    asked = [(step, one) for step in recipe.populations for own in recipe.groups(step).values() for one in own]
    count = _counter(len(recipe.generate) + audits + len(recipe.trainings) + judgements + len(asked))
    data, runs = folder / "data", folder / "runs"
    for name, step in recipe.generate.items():
        preset = step.preset
        say(f"{next(count)} data {name}: {step.n} images of {preset.name}, noise {preset.noise_kind(step.noise)}")
        plan = make_plan(
            preset,
            step.n,
            seed=step.seed,
            split=step.split,
            noise=step.noise,
            engine_name=step.engine,
            supersampling=step.supersampling,
            detectability=step.detectability,
            folder=data / name,
        )
        with generating("generating") as report:
            generate(data / name, plan, workers=workers, report=report)
    leaks = {}
    for name in recipe.generate if recipe.audit else ():
        say(f"{next(count)} leak audit of {name}: {recipe.audit} images a class")
        leaks[name] = kept_audit(ShardDataset(data / name), recipe.audit)
    for name in recipe.trainings:
        config = recipe.config(name, data).model_copy(update={"device": device})
        source = Path(config.data).name if config.data else f"live {config.live.model}"
        say(f"{next(count)} run {name}: {config.net} on {source}, {config.epochs} epochs")
        write_card(train(config, runs / name, resume=(runs / name / "run.json").exists(), callbacks=training()))
    judged: list[Judged] = []

    def judge(name: str, step: EvaluateStep, group: str, run: Run, others: Sequence[Run]) -> None:
        say(f"{next(count)} evaluation of {name} on {step.data}")
        dataset = ShardDataset(data / step.data)
        document = finished_evaluation(run, dataset, others) or evaluate(run, dataset, others=others, device=device)
        write_card(run)
        row = Row.of(name, step.data, run, document, group=group, leaks=leaks.get(step.data))
        judged.append(Judged(row, run, dataset, evaluation_folder(run, dataset, others)))

    for step, group, own in evaluations:
        members = [open_run(runs / each.name) for each in own]
        for each, run in zip(own, members, strict=True):
            judge(each.name, step, group, run, ())
        if len(own) > 1:
            judge(f"{group}-mean-of-{len(own)}", step, group, members[0], members[1:])
    inferred: dict[str, dict[str, Any]] = {}
    for step, one in asked:
        say(f"{next(count)} populations of {step.data} by {one.name}")
        run, files = open_run(runs / one.name), [data / step.data]
        question = step.question(data)
        out = run.folder / f"population-{step.data}"
        found = finished_populations(run, files, question, out=out)
        found = found or populations(run, files, question, device=device, out=out)
        inferred[f"{one.name} on {step.data}"] = found
    rows = [each.row for each in judged]
    write_report(folder, recipe.title, rows)
    write_page(folder, recipe.title, judged, inferred)
    return rows


def _counter(total: int) -> Iterator[str]:
    return (f"[{k}/{total}]" for k in range(1, total + 1))
