"""The report of a recipe: one table of what every run reached, as markdown and JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lenssim.data.files import write, write_json
from lenssim.learn.card import interval_text
from lenssim.learn.run import DataIdentity, Run

__all__ = ["Row", "report_text", "write_report"]


@dataclass(frozen=True)
class Row:
    """One run judged on one data set."""

    run: str
    data: str
    title: str
    fingerprint: str
    net: str
    parameters: int
    train_images: int
    test_images: int
    samples: str
    minutes: float
    headlines: dict[str, str]
    metrics: dict[str, Any]

    @classmethod
    def of(cls, run: str, data: str, record: Run, evaluation: dict[str, Any]) -> "Row":
        """The row of a run's evaluation."""
        result, about = record.record.result, DataIdentity.model_validate(evaluation["data"])
        return cls(
            run=run,
            data=data,
            title=about.title,
            fingerprint=about.fingerprint,
            net=record.record.config.net,
            parameters=record.record.parameters,
            train_images=record.record.samples["train"],
            test_images=evaluation["n"],
            samples=evaluation["samples"],
            minutes=result.seconds / 60 if result is not None else 0.0,
            headlines=dict(record.record.task.headlines),
            metrics=evaluation["metrics"],
        )

    @property
    def cells(self) -> dict[str, str]:
        """The row as text, by column."""
        return {
            "run": self.run,
            "net": f"{self.net} ({self.parameters:,})",
            "judged on": self.title,
            "images": f"{self.train_images:,} / {self.test_images:,}",
            **{name: interval_text(self.metrics[key]) for key, name in self.headlines.items()},
            "minutes": f"{self.minutes:.1f}",
        }


def report_text(title: str, rows: list[Row]) -> str:
    """The table as markdown."""
    cells = [row.cells for row in rows]
    head = list(cells[0])
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in head}
    lines = [
        "| " + " | ".join(name.ljust(widths[name]) for name in head) + " |",
        "|" + "|".join("-" * (widths[name] + 2) for name in head) + "|",
        *("| " + " | ".join(row[name].ljust(widths[name]) for name in head) + " |" for row in cells),
    ]
    note = (
        "Net: parameters in brackets. Images: trained on / judged on. In square brackets: 95 % bootstrap intervals "
        "over the images judged on. Minutes: of training, on the machine that ran it."
    )
    return "\n".join([f"# {title}", "", *lines, "", note, ""])


def write_report(folder: Path, title: str, rows: list[Row]) -> None:
    """Write report.md and report.json."""
    write(folder / "report.md", report_text(title, rows).encode())
    document = {"format": "lenssim-report/1", "title": title, "rows": [asdict(row) for row in rows]}
    write_json(folder / "report.json", document)
