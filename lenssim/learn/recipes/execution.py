"""Following a recipe: only what is left of it is done, the trainings and evaluations side by side where wanted."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lenssim.data.format.files import write
from lenssim.data.format.manifest import Plan
from lenssim.data.generation.first_kernels import compile_kernels
from lenssim.data.generation.progress import Progress
from lenssim.data.generation.simulation import generate
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.config import TrainConfig
from lenssim.learn.evaluation.evaluation import (
    evaluate,
    evaluation_folder,
    finished_evaluation,
)
from lenssim.learn.population.report import finished_populations, populations
from lenssim.learn.recipes.processes import Job, fitting_jobs, run_jobs
from lenssim.learn.recipes.real_lenses import fit_lenses, import_images, judge_lenses
from lenssim.learn.recipes.recipe import (
    DATA,
    FITS,
    LENSES,
    RUNS,
    Recipe,
    Training,
)
from lenssim.learn.recipes.steps import FitStep, LensesStep, PopulationStep
from lenssim.learn.report.adaptation import adaptation_cells, adaptation_csv
from lenssim.learn.report.html import EvaluatedRun, write_page
from lenssim.learn.report.table import Row, write_report
from lenssim.learn.report.through import through_cells
from lenssim.learn.runs.model_card import write_card
from lenssim.learn.runs.run import Run, open_run
from lenssim.learn.scores.leaks import LEAK_AUDIT, stored_audit
from lenssim.learn.training.progress import Lines
from lenssim.learn.training.training import train
from lenssim.sky.models.results import PICTURES

__all__ = ["follow"]

Say = Callable[[str], None]
Reporter = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]


def follow(
    recipe: Recipe,
    folder: Path,
    *,
    workers: int | None = 0,
    jobs: int = 1,
    device: str = "auto",
    say: Say = lambda text: None,
    generating: Reporter = lambda verb: nullcontext(lambda progress: None),
    training: Callable[[], list[Any]] = list,
) -> list[Row]:
    """Do what is left to do of a recipe in `folder`; returns the rows of its report.

    `say` is told each step, `generating` and `training` make the displays of long ones. So many `jobs` (audits and
    trainings, then evaluations) are done at a time, each in a process of its own if there are several.
    """
    steps = _Steps(recipe, folder, device)
    announce = _announcer(steps.total, say)
    for name, step in recipe.imports.items():
        announce(f"import {name}: {step.source}")
        import_images(step, steps.data / name, generating, say)
    for name, request in recipe.generate.items():
        plan = request.plan(steps.data / name)
        announce(_describe_data(name, plan))
        with generating("generating") as report:
            compile_kernels(plan.spec, report, plan.n)
            generate(steps.data / name, plan, workers=workers, report=report, note=say)
    for name, fit in recipe.fits.items():
        announce(f"fit {name}: lenses of {fit.data}")
        place = folder / FITS / name
        fit_lenses(fit, recipe.place(fit.data, folder), place, workers, generating, say)
    if jobs > 1:
        while todo := steps.audits_and_trainings():
            _side_by_side(todo, jobs, say)
        _side_by_side(steps.evaluations(), jobs, say)
    leaks = _audit_all(steps, announce)
    for name in recipe.trainings:
        config = steps.config(name)
        announce(_describe_training(name, config))
        _train(config, steps.runs / name, training())
    evaluated = _evaluate_all(steps, leaks, announce)
    inferred = _infer_all(steps, announce)
    for lenses in recipe.lenses:
        announce(f"pages of the lenses of {lenses.fit}")
        fit = recipe.fits[lenses.fit]
        say(f"open {_judged(steps, lenses, fit)}")
    rows = [entry.row for entry in evaluated]
    adapted = adaptation_cells(evaluated)
    write_report(folder, recipe.title, rows, through_cells(rows), adapted)
    if adapted:
        write(folder / "adaptation.csv", adaptation_csv(evaluated).encode())
    write_page(folder, recipe.title, evaluated, inferred)
    return rows


def _judged(steps: "_Steps", lenses: LensesStep, fit: FitStep) -> Path:
    """Write the pages of the lenses of a step, and return the one that lists them."""
    recipe = steps.recipe
    folder = steps.folder
    return judge_lenses(
        lenses,
        fit,
        recipe.place(fit.data, folder),
        recipe.place(lenses.fit, folder),
        steps.runs / lenses.run,
        folder / LENSES / lenses.fit,
    )


def _announcer(total: int, say: Say) -> Say:
    """Return a function that says a step with its number."""
    numbers = iter(range(1, total + 1))
    return lambda text: say(f"[{next(numbers)}/{total}] {text}")


def _describe_data(name: str, plan: Plan) -> str:
    spec = plan.spec
    return f"data {name}: {plan.n} images of {spec.preset.name}, noise {spec.noise}"


def _describe_training(name: str, config: TrainConfig) -> str:
    source = _data_name(Path(config.data or ""))
    if config.live is not None:
        source = f"live {config.live.model}"
    return f"run {name}: {config.label} on {source}, {config.epochs} epochs"


def _data_name(place: Path) -> str:
    """Return the name of a data set in the recipe: models lie in a folder of their fit."""
    return place.parent.name if place.name == PICTURES else place.name


def _audit_all(steps: "_Steps", announce: Say) -> dict[str, dict[str, Any]]:
    """Return the leak audits that the recipe asks for, by data set."""
    images = steps.recipe.audit
    leaks = {}
    for name in steps.audited:
        announce(f"leak audit of {name}: {images} images a class")
        leaks[name] = stored_audit(ShardDataset(steps.data / name), images)
    return leaks


def _evaluate_all(
    steps: "_Steps", leaks: dict[str, dict[str, Any]], announce: Say
) -> list[EvaluatedRun]:
    """Evaluate all runs, and return them with their rows of the report."""
    evaluated = []
    for judgement in steps.judgements:
        data = _data_name(judgement.data)
        announce(f"evaluation of {judgement.name} on {data}")
        run, dataset, folder, document = judgement.evaluated(steps.device)
        row = Row.of(
            judgement.name,
            data,
            run,
            document,
            group=judgement.group,
            leaks=leaks.get(data),
        )
        evaluated.append(EvaluatedRun(row, run, dataset, folder))
    return evaluated


def _infer_all(steps: "_Steps", announce: Say) -> dict[str, dict[str, Any]]:
    """Return the documents of all populations, by a title."""
    documents = {}
    for step, training in steps.populations:
        announce(f"populations of {step.data} by {training.name}")
        run = open_run(steps.runs / training.name)
        files = [steps.recipe.place(step.data, steps.folder)]
        question = step.question(steps.data)
        out = run.folder / f"population-{step.data}"
        document = finished_populations(run, files, question, out=out)
        if not document:
            document = populations(run, files, question, device=steps.device, out=out)
        documents[f"{training.name} on {step.data}"] = document
    return documents


@dataclass(frozen=True)
class _Judgement:
    """Runs, by folder, whose mean answer is to be judged on a data set."""

    name: str
    group: str
    members: tuple[Path, ...]
    data: Path

    def opened(self) -> tuple[Run, ShardDataset, Sequence[Run]]:
        """The first run, the data set, and the other runs."""
        run, *partners = map(open_run, self.members)
        return run, run.opened(self.data), partners

    def evaluated(self, device: str) -> tuple[Run, ShardDataset, Path, dict[str, Any]]:
        """The first run, the data set, and the folder and the document of the evaluation."""
        run, dataset, partners = self.opened()
        document = finished_evaluation(run, dataset, partners) or evaluate(
            run, dataset, others=partners, device=device
        )
        write_card(run)
        return run, dataset, evaluation_folder(run, dataset, partners), document


class _Steps:
    """What a recipe asks for, with its folders."""

    def __init__(self, recipe: Recipe, folder: Path, device: str) -> None:
        self.recipe = recipe
        self.folder = folder
        self.device = device
        self.data = folder / DATA
        self.runs = folder / RUNS
        self.audited = tuple(recipe.generate) if recipe.audit else ()

    @property
    def total(self) -> int:
        """Number of all steps."""
        return sum(
            len(steps)
            for steps in (
                self.recipe.imports,
                self.recipe.generate,
                self.recipe.fits,
                self.audited,
                self.recipe.trainings,
                self.judgements,
                self.populations,
                self.recipe.lenses,
            )
        )

    def config(self, name: str) -> TrainConfig:
        """Of a training, on the device asked for."""
        return self.recipe.config(name, self.folder).model_copy(
            update={"device": self.device}
        )

    @cached_property
    def judgements(self) -> list[_Judgement]:
        """Each run, and the mean of those that differ in their seed alone."""
        judgements = []
        for step in self.recipe.evaluations():
            for group, trainings in self.recipe.groups(step).items():
                data = self.recipe.place(step.data, self.folder)
                folders = tuple(self.runs / training.name for training in trainings)
                judgements += [
                    _Judgement(folder.name, group, (folder,), data) for folder in folders
                ]
                if len(folders) > 1:
                    name = f"{group}-mean-of-{len(folders)}"
                    judgements.append(_Judgement(name, group, folders, data))
        return judgements

    @cached_property
    def populations(self) -> list[tuple[PopulationStep, Training]]:
        """Runs to be asked for populations."""
        recipe = self.recipe
        return [
            (step, training)
            for step in recipe.populations
            for trainings in recipe.groups(step).values()
            for training in trainings
        ]

    def audits_and_trainings(self) -> list[Job]:
        """Those still to do whose start, if they have one in this recipe, is there."""
        trainings = [
            Job(
                f"run {name}",
                _train,
                (self.config(name), self.runs / name, [Lines(f"{name}, ")]),
            )
            for name in self.recipe.trainings
            if not _ended(self.runs / name) and self._can_start(name)
        ]
        audits = [
            Job(
                f"leak audit of {name}",
                stored_audit,
                (ShardDataset(self.data / name), self.recipe.audit),
            )
            for name in self.audited
            if not (self.data / name / LEAK_AUDIT).exists()
        ]
        return trainings + audits

    def _can_start(self, name: str) -> bool:
        needed = self.recipe.needed_by(name).values()
        return all(_ended(self.runs / run) for run in needed)

    def evaluations(self) -> list[Job]:
        """Those still to do, once all runs are there."""
        return [
            Job(
                f"evaluation of {judgement.name} on {_data_name(judgement.data)}",
                _Judgement.evaluated,
                (judgement, self.device),
            )
            for judgement in self.judgements
            if finished_evaluation(*judgement.opened()) is None
        ]


def _side_by_side(pieces: list[Job], jobs: int, say: Say) -> None:
    if pieces:
        count = min(jobs, fitting_jobs())
        short = f" ({jobs} need more memory than there is)" if count < jobs else ""
        say(f"{len(pieces)} steps, {count} at a time{short}")
        run_jobs(pieces, count, lambda name: say(f"done: {name}"))


def _ended(folder: Path) -> bool:
    return (folder / "run.json").exists() and open_run(folder).record.result is not None


def _train(config: TrainConfig, folder: Path, displays: list[Any]) -> None:
    write_card(
        train(config, folder, resume=(folder / "run.json").exists(), callbacks=displays)
    )
