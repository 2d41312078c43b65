"""The table of a recipe's report: the scores of every run, as markdown, CSV and JSON."""

import csv
import io
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lenssim.data.format.files import write, write_json
from lenssim.learn.runs.run import DataIdentity, Run, RunResult
from lenssim.learn.scores.classification import interval_text
from lenssim.names import markdown

__all__ = ["NOTE", "Row", "report_text", "seed_cells", "write_report"]

NOTE = (
    "Net: parameters in brackets. Images: trained on / judged on. Validation: the loss of the best epoch, by which to "
    "choose among runs. In square brackets: 95 % bootstrap intervals over the images judged on. Audit's AUC: the "
    "largest, over pairs of classes, that the leak audit of the same data reaches without a network: all statistics "
    "but edges / edges. Minutes, images a second (validations included) and memory (on a CPU: of the whole process) of "
    "the training; ms an image of an answer; on the machine that ran it."
)


@dataclass(frozen=True)
class Row:
    """The evaluation of one run, or of the mean output of `members` runs, on one data set."""

    run: str
    group: str
    members: int
    data: str
    title: str
    fingerprint: str
    net: str
    parameters: int
    train_images: int
    test_images: int
    samples: str
    minutes: float
    cost: dict[str, Any]
    headlines: dict[str, str]
    metrics: dict[str, Any]
    leaks: dict[str, Any]
    validation_loss: float | None = None
    through: str = ""
    doubts: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        run: str,
        data: str,
        trained: Run,
        evaluation: dict[str, Any],
        *,
        group: str = "",
        leaks: dict[str, Any] | None = None,
    ) -> "Row":
        """Build the row of a run's evaluation.

        Args:
            run: Name of the run.
            data: Name of the data set.
            trained: The run.
            evaluation: The content of metrics.json.
            group: Name of the runs that differ in their seed alone.
            leaks: The leak audit of the data set.

        Returns:
            The row.
        """
        record = trained.record
        members = evaluation.get("passes", {"runs": 1})["runs"]
        identity = DataIdentity.model_validate(evaluation["data"])
        row = cls(
            run=run,
            group=group or run,
            members=members,
            data=data,
            title=identity.title,
            fingerprint=identity.fingerprint,
            net=record.config.label,
            parameters=record.parameters,
            train_images=record.samples["train"],
            test_images=evaluation["n"],
            samples=evaluation["samples"],
            minutes=0.0,
            cost={},
            headlines=dict(record.task.presentation.headlines),
            metrics=evaluation["metrics"],
            leaks=leaks or {},
            through=record.through.net if record.through else "",
            doubts=tuple(record.task.presentation.doubts(evaluation["metrics"])),
        )
        return row._with_result(record.result)

    def _with_result(self, result: RunResult | None) -> "Row":
        """Add the cost of a finished training and, for a single run, its validation loss."""
        if result is None:
            return self
        cost: dict[str, Any] = {}
        if result.cost is not None:
            cost = result.cost.model_dump()
        validation_loss = result.val_loss if self.members < 2 else None
        return replace(
            self,
            minutes=result.seconds / 60,
            cost=cost,
            validation_loss=validation_loss,
        )

    @property
    def main_scores(self) -> dict[str, str]:
        """Return the two main scores as text, by name."""
        first = dict(list(self.headlines.items())[:2])
        return {name: interval_text(self.metrics[key], 3) for key, name in first.items()}

    @property
    def brief_cells(self) -> dict[str, str]:
        """Return what a first look needs, in six columns."""
        return {
            "run": self.run,
            "judged on": self.data,
            "images": f"{self.train_images:,} / {self.test_images:,}",
            **self.main_scores,
            "minutes": f"{self.minutes:.1f}",
        }

    @property
    def cells(self) -> dict[str, str]:
        """Return the row as text, by column."""
        validation = ""
        if self.validation_loss is not None:
            validation = f"{self.validation_loss:.4f}"
        scores = {
            name: interval_text(self.metrics[key]) for key, name in self.headlines.items()
        }
        return {
            "run": self.run,
            "net": f"{self.net} ({self.parameters:,})",
            "judged on": self.title,
            "images": f"{self.train_images:,} / {self.test_images:,}",
            "validation": validation,
            **scores,
            "audit's AUC": _worst_leaks(self.leaks),
            "minutes": f"{self.minutes:.1f}",
            **_cost_cells(self.cost),
        }


def _cost_cells(cost: dict[str, Any]) -> dict[str, str]:
    if not cost:
        return {"images/s": "", "memory": "", "ms an image": ""}
    return {
        "images/s": f"{cost['images_per_second']:,.0f}",
        "memory": f"{cost['peak_mib']:,.0f} MiB",
        "ms an image": f"{cost['inference_ms']:.2f}",
    }


def _worst_leaks(audit: dict[str, Any]) -> str:
    """Return the largest AUC of the statistics without and with edges."""
    leaks = audit.get("leaks", [])
    texts = []
    for name in ("all but edges", "edges"):
        aucs = [leak["auc"] for leak in leaks if leak["statistic"] == name]
        texts.append(f"{max(aucs):.3f}" if aucs else "-")
    return " / ".join(texts)


def seed_cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return mean and standard deviation of scores over trainings with other seeds.

    Args:
        rows: The rows of a report.

    Returns:
        The cells of a table, with one line for each group of such trainings.

    Example:
        >>> seed_cells([])
        []
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.members == 1:
            groups.setdefault((row.group, row.data), []).append(row)
    lines = []
    for (group, _), members in groups.items():
        if len(members) < 2:
            continue
        example = members[0]
        line = {"runs": group, "judged on": example.title, "seeds": str(len(members))}
        for key, name in example.headlines.items():
            line[name] = _mean_text([row.metrics[key]["value"] for row in members])
        lines.append(line)
    return lines


def _mean_text(values: Sequence[float | None]) -> str:
    """Return mean and standard deviation as text, empty for fewer than two defined values."""
    defined = [value for value in values if value is not None]
    if len(defined) < 2:
        return ""
    return f"{statistics.mean(defined):.4f} ± {statistics.stdev(defined):.4f}"


def report_text(
    title: str,
    rows: Sequence[Row],
    through: Sequence[dict[str, str]] = (),
    adapted: Sequence[dict[str, str]] = (),
) -> str:
    """Return the tables of a report as markdown; arguments are those of `write_report`."""
    lines = [f"# {markdown(title)}", "", *_markdown([row.cells for row in rows]), "", NOTE]
    seeds = seed_cells(rows)
    if seeds:
        lines += ["", "Over seeds, mean and standard deviation:", "", *_markdown(seeds)]
    if through:
        lines += ["", "The same net with and without a denoiser before it, 95 % intervals "]
        lines[-1] += "over seeds:"
        lines += ["", *_markdown(through)]
    if adapted:
        lines += ["", "Runs that were adapted to the images they are judged on:", ""]
        lines += _markdown(adapted)
    return "\n".join([*lines, ""])


def _markdown(cells: Sequence[dict[str, str]]) -> list[str]:
    """Return the lines of a markdown table."""
    rows = [{markdown(name): markdown(text) for name, text in row.items()} for row in cells]
    names = list(dict.fromkeys(name for row in rows for name in row))  # tasks may differ
    widths = {
        name: max(len(name), *(len(row.get(name, "")) for row in rows)) for name in names
    }

    def line(texts: Sequence[str]) -> str:
        padded = [text.ljust(widths[name]) for name, text in zip(names, texts, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (widths[name] + 2) for name in names)
    body = [line([row.get(name, "") for name in names]) for row in rows]
    return [line(names), f"|{rule}|", *body]


def write_report(
    folder: Path,
    title: str,
    rows: Sequence[Row],
    through: Sequence[dict[str, str]] = (),
    adapted: Sequence[dict[str, str]] = (),
) -> None:
    """Write report.md, report.csv and report.json.

    Args:
        folder: Folder of the recipe.
        title: Title of the report.
        rows: Its rows.
        through: Cells that compare runs with and without a denoiser.
        adapted: Cells that say what adaptations gain.
    """
    write(folder / "report.md", report_text(title, rows, through, adapted).encode())
    write(folder / "report.csv", _csv(rows).encode())
    document = {
        "format": "lenssim-report/2",
        "title": title,
        "rows": [asdict(row) for row in rows],
    }
    write_json(folder / "report.json", document)


def _csv(rows: Sequence[Row]) -> str:
    lines = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _flat(row: Row) -> dict[str, Any]:
    """Return the values of a row without nesting, by column."""
    values = asdict(row)
    for name in ("headlines", "metrics", "cost", "leaks", "doubts"):
        del values[name]
    values |= row.cost
    for key in row.headlines:
        for suffix, name in {"": "value", "_low": "low", "_high": "high"}.items():
            values[f"{key}{suffix}"] = row.metrics[key][name]
    return values
