"""The table of a recipe's report: what every run reached, as markdown, CSV and JSON."""

import csv
import io
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lenssim.data.format.files import write, write_json
from lenssim.learn.runs.run import DataIdentity, Run
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
    """One run, or the mean of the answers of `members` runs, judged on one data set."""

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

    @classmethod
    def of(
        cls,
        run: str,
        data: str,
        record: Run,
        evaluation: dict[str, Any],
        *,
        group: str = "",
        leaks: dict[str, Any] | None = None,
    ) -> "Row":
        """The row of a run's evaluation; `group` names runs that differ in their seed alone."""
        members = evaluation.get("passes", {"runs": 1})["runs"]
        result, about = (
            record.record.result,
            DataIdentity.model_validate(evaluation["data"]),
        )
        return cls(
            run=run,
            group=group or run,
            members=members,
            data=data,
            title=about.title,
            fingerprint=about.fingerprint,
            net=record.record.config.net,
            parameters=record.record.parameters,
            train_images=record.record.samples["train"],
            test_images=evaluation["n"],
            samples=evaluation["samples"],
            minutes=result.seconds / 60 if result is not None else 0.0,
            cost=result.cost.model_dump()
            if result is not None and result.cost is not None
            else {},
            headlines=dict(record.record.task.presentation.headlines),
            metrics=evaluation["metrics"],
            leaks=leaks or {},
            validation_loss=result.val_loss if result is not None and members < 2 else None,
        )

    @property
    def cells(self) -> dict[str, str]:
        """The row as text, by column."""
        cost = self.cost
        return {
            "run": self.run,
            "net": f"{self.net} ({self.parameters:,})",
            "judged on": self.title,
            "images": f"{self.train_images:,} / {self.test_images:,}",
            "validation": ""
            if self.validation_loss is None
            else f"{self.validation_loss:.4f}",
            **{
                name: interval_text(self.metrics[key])
                for key, name in self.headlines.items()
            },
            "audit's AUC": _worst_leaks(self.leaks),
            "minutes": f"{self.minutes:.1f}",
            "images/s": f"{cost['images_per_second']:,.0f}" if cost else "",
            "memory": f"{cost['peak_mib']:,.0f} MiB" if cost else "",
            "ms an image": f"{cost['inference_ms']:.2f}" if cost else "",
        }


def _worst_leaks(audit: dict[str, Any]) -> str:
    worst = [
        max(
            (leak["auc"] for leak in audit.get("leaks", []) if leak["statistic"] == name),
            default=None,
        )
        for name in ("all but edges", "edges")
    ]
    return " / ".join("-" if auc is None else f"{auc:.3f}" for auc in worst)


def seed_cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    """A line for each group of trainings that differ in their seed alone: mean and standard deviation of its scores."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.members == 1:
            groups.setdefault((row.group, row.data), []).append(row)
    lines = []
    for (group, _), own in groups.items():
        if len(own) < 2:
            continue
        line = {"runs": group, "judged on": own[0].title, "seeds": str(len(own))}
        for key, name in own[0].headlines.items():
            values = [row.metrics[key]["value"] for row in own]
            known = [value for value in values if value is not None]
            line[name] = (
                f"{statistics.mean(known):.4f} ± {statistics.stdev(known):.4f}"
                if len(known) > 1
                else ""
            )
        lines.append(line)
    return lines


def report_text(title: str, rows: Sequence[Row]) -> str:
    """The tables as markdown."""
    seeds = seed_cells(rows)
    over = (
        ["", "Over seeds, mean and standard deviation:", "", *_markdown(seeds)]
        if seeds
        else []
    )
    return "\n".join(
        [
            f"# {markdown(title)}",
            "",
            *_markdown([row.cells for row in rows]),
            "",
            NOTE,
            *over,
            "",
        ]
    )


def _markdown(cells: Sequence[dict[str, str]]) -> list[str]:
    cells = [
        {markdown(name): markdown(text) for name, text in row.items()} for row in cells
    ]
    head = list(dict.fromkeys(name for row in cells for name in row))  # tasks may differ
    widths = {
        name: max(len(name), *(len(row.get(name, "")) for row in cells)) for name in head
    }
    return [
        "| " + " | ".join(name.ljust(widths[name]) for name in head) + " |",
        "|" + "|".join("-" * (widths[name] + 2) for name in head) + "|",
        *(
            "| " + " | ".join(row.get(name, "").ljust(widths[name]) for name in head) + " |"
            for row in cells
        ),
    ]


def write_report(folder: Path, title: str, rows: Sequence[Row]) -> None:
    """Write report.md, report.csv and report.json."""
    write(folder / "report.md", report_text(title, rows).encode())
    write(folder / "report.csv", _csv(rows).encode())
    document = {
        "format": "lenssim-report/2",
        "title": title,
        "rows": [asdict(row) for row in rows],
    }
    write_json(folder / "report.json", document)


def _csv(rows: Sequence[Row]) -> str:
    flat = []
    for row in rows:
        plain = {
            key: value
            for key, value in asdict(row).items()
            if key not in ("headlines", "metrics", "cost", "leaks")
        }
        scores = {
            f"{key}{end}": row.metrics[key][name]
            for key in row.headlines
            for end, name in {"": "value", "_low": "low", "_high": "high"}.items()
        }
        flat.append({**plain, **row.cost, **scores})
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(dict.fromkeys(key for row in flat for key in row)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()
