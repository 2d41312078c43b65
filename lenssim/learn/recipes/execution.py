"""Following a recipe: only what is left of it is done, the trainings and evaluations side by side where wanted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lenssim.data.generation.building import Progress
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
from lenssim.learn.recipes.recipe import DATA, RUNS, PopulationStep, Recipe, Training
from lenssim.learn.report.html import EvaluatedRun, write_page
from lenssim.learn.report.table import Row, write_report
from lenssim.learn.runs.model_card import write_card
from lenssim.learn.runs.run import Run, open_run
from lenssim.learn.scores.leaks import LEAK_AUDIT, stored_audit
from lenssim.learn.training.progress import Lines
from lenssim.learn.training.training import train

__all__ = ["follow"]

Reporter = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]


def follow(
    recipe: Recipe,
    folder: Path,
    *,
    workers: int = 0,
    jobs: int = 1,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
    generating: Reporter = lambda verb: nullcontext(lambda progress: None),
    training: Callable[[], list[Any]] = list,
) -> list[Row]:
    """Do what is left to do of a recipe in `folder`; returns the rows of its report.

    `say` is told each step, `generating` and `training` make the displays of long ones. So many `jobs` (audits and
    trainings, then evaluations) are done at a time, each in a process of its own if there are several.
    """
    steps = _Steps(recipe, folder, device)
    count = _counter(steps.total)
    for name, request in recipe.generate.items():
        plan = request.plan(steps.data / name)
        spec = plan.spec
        say(
            f"{next(count)} data {name}: {plan.n} images of {spec.preset.name}, "
            f"noise {spec.noise}"
        )
        with generating("generating") as report:
            generate(steps.data / name, plan, workers=workers, report=report, note=say)
    if jobs > 1:
        while todo := steps.audits_and_trainings():
            _side_by_side(todo, jobs, say)
        _side_by_side(steps.evaluations(), jobs, say)
    leaks = {}
    for name in steps.audited:
        say(f"{next(count)} leak audit of {name}: {recipe.audit} images a class")
        leaks[name] = stored_audit(ShardDataset(steps.data / name), recipe.audit)
    for name in recipe.trainings:
        config = steps.config(name)
        source = Path(config.data or "").name
        if config.live is not None:
            source = f"live {config.live.model}"
        say(f"{next(count)} run {name}: {config.net} on {source}, {config.epochs} epochs")
        _train(config, steps.runs / name, training())
    judged: list[EvaluatedRun] = []
    for judgement in steps.judgements:
        say(f"{next(count)} evaluation of {judgement.name} on {judgement.data.name}")
        run, dataset, where, document = judgement.evaluated(device)
        row = Row.of(
            judgement.name,
            judgement.data.name,
            run,
            document,
            group=judgement.group,
            leaks=leaks.get(judgement.data.name),
        )
        judged.append(EvaluatedRun(row, run, dataset, where))
    inferred: dict[str, dict[str, Any]] = {}
    for step, one in steps.populations:
        say(f"{next(count)} populations of {step.data} by {one.name}")
        run, files = open_run(steps.runs / one.name), [steps.data / step.data]
        question = step.question(steps.data)
        out = run.folder / f"population-{step.data}"
        found = finished_populations(run, files, question, out=out)
        found = found or populations(run, files, question, device=device, out=out)
        inferred[f"{one.name} on {step.data}"] = found
    rows = [each.row for each in judged]
    write_report(folder, recipe.title, rows)
    write_page(folder, recipe.title, judged, inferred)
    return rows


@dataclass(frozen=True)
class _Judgement:
    """Runs, by folder, whose mean answer is to be judged on a data set."""

    name: str
    group: str
    members: tuple[Path, ...]
    data: Path

    def opened(self) -> tuple[Run, ShardDataset, Sequence[Run]]:
        """The first run, the data set, and the other runs."""
        run, *others = map(open_run, self.members)
        return run, run.opened(self.data), others

    def evaluated(self, device: str) -> tuple[Run, ShardDataset, Path, dict[str, Any]]:
        """The first run, the data set, and the folder and the document of the evaluation."""
        run, dataset, others = self.opened()
        document = finished_evaluation(run, dataset, others) or evaluate(
            run, dataset, others=others, device=device
        )
        write_card(run)
        return run, dataset, evaluation_folder(run, dataset, others), document


class _Steps:
    """What a recipe asks for, with its folders."""

    def __init__(self, recipe: Recipe, folder: Path, device: str) -> None:
        self.recipe, self.folder, self.device = recipe, folder, device
        self.data, self.runs = folder / DATA, folder / RUNS
        self.audited = tuple(recipe.generate) if recipe.audit else ()

    @property
    def total(self) -> int:
        """Number of all steps."""
        rest = len(self.judgements) + len(self.populations)
        return (
            len(self.recipe.generate)
            + len(self.audited)
            + len(self.recipe.trainings)
            + rest
        )

    def config(self, name: str) -> TrainConfig:
        """Of a training, on the device asked for."""
        return self.recipe.config(name, self.folder).model_copy(
            update={"device": self.device}
        )

    @cached_property
    def judgements(self) -> list[_Judgement]:
        """Each run, and the mean of those that differ in their seed alone."""
        found = []
        for step in self.recipe.evaluations():
            for group, own in self.recipe.groups(step).items():
                members = tuple(self.runs / each.name for each in own)
                single = [
                    (each.name, (member,))
                    for each, member in zip(own, members, strict=True)
                ]
                together = (
                    [(f"{group}-mean-of-{len(own)}", members)] if len(own) > 1 else []
                )
                found += [
                    _Judgement(name, group, runs, self.data / step.data)
                    for name, runs in single + together
                ]
        return found

    @cached_property
    def populations(self) -> list[tuple[PopulationStep, Training]]:
        """Runs to be asked for populations."""
        recipe = self.recipe
        return [
            (step, one)
            for step in recipe.populations
            for own in recipe.groups(step).values()
            for one in own
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
        start = self.recipe.started_by(name)
        return start is None or _ended(self.runs / start)

    def evaluations(self) -> list[Job]:
        """Those still to do, once all runs are there."""
        return [
            Job(
                f"evaluation of {each.name} on {each.data.name}",
                _Judgement.evaluated,
                (each, self.device),
            )
            for each in self.judgements
            if finished_evaluation(*each.opened()) is None
        ]


def _side_by_side(pieces: list[Job], jobs: int, say: Callable[[str], None]) -> None:
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


def _counter(total: int) -> Iterator[str]:
    return (f"[{k}/{total}]" for k in range(1, total + 1))
