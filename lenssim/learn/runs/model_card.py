"""The model card of a run: what it is, what it has learned from and what it is not for."""

from pathlib import Path
from typing import Any

from lenssim.commands import command
from lenssim.data.format.files import read_json, write
from lenssim.data.generation.dataset_card import LEAK_AUDIT
from lenssim.data.streaming.locations import path_of
from lenssim.errors import DataError
from lenssim.learn.config import LiveData
from lenssim.learn.runs.record import DataIdentity, RunRecord
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.classification import interval_text
from lenssim.names import markdown, printable

__all__ = ["card_text", "write_card"]

_USE = (
    "For images made, or observed, like the training data: same instrument, pixel scale, "
    "noise and kind of lens. On anything else its answers mean nothing; `lenssim predict` "
    "names some images that look unlike the training data, not all. Not for naming the dark "
    "matter of a real lens. Scores on noise-free simulations say what the pixels hold, not "
    "what a telescope would see; they are no measurement of dark matter."
)


def write_card(run: Run) -> Path:
    """Write card.md into the run's folder, with all of its finished evaluations.

    Returns:
        The path of the card.
    """
    path = run.outputs / "card.md"
    write(path, card_text(run, _evaluations(run)).encode())
    return path


def _evaluations(run: Run) -> list[dict[str, Any]]:
    """Return the documents of the run's evaluations; damaged ones are left out."""
    documents = []
    for path in sorted(run.outputs.glob("evaluation-*/metrics.json")):
        try:
            documents.append(read_json(path))
        except DataError:
            continue
    return documents


def card_text(run: Run, evaluations: list[dict[str, Any]]) -> str:
    """Return the card as markdown.

    Args:
        run: The run.
        evaluations: Documents of its evaluations.
    """
    record = run.record
    lines = [
        *_introduction(record),
        *_data(run),
        *_training(record),
        *_scores(record, evaluations),
        "## To repeat it",
        "",
        "```bash",
        printable(_command(run)),
        "```",
        "",
        "## Use",
        "",
        _USE,
        "",
        f"Versions: {_versions(record)}.",
        "",
    ]
    return "\n".join(lines)


def _introduction(record: RunRecord) -> list[str]:
    """Return the title, and what the network takes and gives."""
    config = record.config
    shape = " x ".join(map(str, record.image_shape))
    bands = ""
    if record.images.bands:
        bands = f", bands {markdown(', '.join(record.images.bands))}"
    return [
        f"# {markdown(config.label)}: {markdown(record.task.title)}",
        "",
        f"A network of {record.parameters:,} parameters that takes images of {shape} "
        f"(bands x rows x columns{bands}), scaled by `{config.normalise}`, "
        f"and gives {record.task.gives}.",
        "",
    ]


def _data(run: Run) -> list[str]:
    """Return the section on the data that the run has learned from."""
    record = run.record
    data = record.data
    title = data.title[0].upper() + data.title[1:]
    return [
        "## Data",
        "",
        f"{markdown(title)}: {data.n:,} samples "
        f"({record.samples['train']:,} for training, "
        f"{record.samples['validation']:,} for validation), "
        f"seed {data.seed}, split {markdown(str(data.split))}, "
        f"engine {markdown(str(data.engine))}, fingerprint `{markdown(data.fingerprint)}`.",
        "",
        *_first_weights(record),
        "Leak audit, whether the classes can be told apart without substructure: "
        f"{_leak_audit(run)}.",
        "",
    ]


def _training(record: RunRecord) -> list[str]:
    """Return the section on settings and result of the training."""
    settings = record.config.model_dump(exclude={"data", "task", "net"})
    rows = [f"| {name} | {markdown(str(value))} |" for name, value in settings.items()]
    lines = ["## Training", "", "| setting | value |", "|---|---|", *rows, ""]
    result = record.result
    if result is None:
        return lines
    return [
        *lines,
        f"{result.epochs} epochs in {result.seconds / 60:.1f} minutes; the weights are "
        f"those of epoch {result.best_epoch}, "
        f"with a validation loss of {result.val_loss:.4f}.",
        "",
    ]


def _scores(record: RunRecord, evaluations: list[dict[str, Any]]) -> list[str]:
    """Return the section on the scores of the evaluations, if there are any."""
    if not evaluations:
        return []
    headlines = record.task.presentation.headlines
    lines = [
        "## Scores on held-out images, with 95 % bootstrap intervals",
        "",
        f"| data | images | {' | '.join(map(markdown, headlines.values()))} |",
        "|---|---" + "|---" * len(headlines) + "|",
    ]
    for document in evaluations:
        data = DataIdentity.model_validate(document["data"])
        cells = [interval_text(document["metrics"][key]) for key in headlines]
        title = f"{markdown(data.title)} (`{markdown(data.fingerprint[:8])}`)"
        lines.append(
            f"| {title}{_passes(document)} | {document['n']:,} | {' | '.join(cells)} |"
        )
    return [*lines, ""]


def _versions(record: RunRecord) -> str:
    """Return the versions of what results depend on, as a list in words."""
    words = [f"{name} {number}" for name, number in record.versions.items()]
    return markdown(", ".join(words))


def _passes(document: dict[str, Any]) -> str:
    """Say in words what was averaged; nothing for one answer of one run."""
    passes = document.get("passes", {})
    runs = passes.get("runs", 1)
    answers = passes.get("answers", 1)
    words = ""
    if runs > 1:
        words += f", {runs} runs averaged"
    if answers > runs:
        words += f", {answers // runs} answers of each averaged"
    return words


def _first_weights(record: RunRecord) -> list[str]:
    """Return a paragraph on what the first weights had learned from, if they were trained."""
    if record.start is None:
        return []
    before = "; ".join(
        f"{markdown(data.title)}, seed {data.seed} (`{markdown(data.fingerprint[:8])}`)"
        for data in record.start.data
    )
    checkpoint = markdown(record.start.checkpoint_sha256[:8])
    return [
        f"Its first weights are those of another run (checkpoint `{checkpoint}`), which had "
        f"learned from {before}.",
        "",
    ]


def _leak_audit(run: Run) -> str:
    """Return the verdict of the leak audit of the training data, with its largest AUC."""
    try:
        document = read_json(path_of(run.record.config.data or "") / LEAK_AUDIT)
        if document["fingerprint"] != run.record.data.fingerprint:
            return "not made of these contents"
        worst = max(document["leaks"], key=_auc_without_edges)
        interval = f"AUC {worst['auc']:.3f} [{worst['low']:.3f}, {worst['high']:.3f}]"
        verdict = markdown(str(document["verdict"]))
    except (DataError, KeyError, ValueError):
        return "not made (`lenssim audit`)"
    return f"{verdict}; all statistics but edges reach {interval}"


def _auc_without_edges(leak: dict[str, Any]) -> float:
    """Return the AUC of all statistics but edges; 0 for other sets of statistics."""
    if leak["statistic"] != "all but edges":
        return 0.0
    return leak["auc"]


def _command(run: Run) -> str:
    """Return the command that trains this run again."""
    config = run.record.config
    words: list[object] = []
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if name in ("task", "device") or value == field.default or value is None:
            continue
        if name == "live":
            words += _live_options(value)
        elif name == "method_settings":
            for key, setting in value.items():
                words += _option(key, setting)
        else:
            words += _option(name, value)
    return command("train", config.task, *words, "--out", run.folder)


def _live_options(live: LiveData) -> list[object]:
    """Return the options that say what is simulated."""
    words: list[object] = [
        "--live",
        live.model,
        "--live-n",
        live.n,
        "--live-seed",
        live.seed,
    ]
    for name, field in type(live).model_fields.items():
        value = getattr(live, name)
        if name in ("model", "n", "seed") or value == field.default:
            continue
        words += _option(f"live_{name}", value)
    return words


def _option(name: str, value: Any) -> list[object]:
    option = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [option]
    if isinstance(value, dict):
        return [option, ",".join(f"{key}={number:g}" for key, number in value.items())]
    if isinstance(value, (list, tuple)):
        return [option, ",".join(map(str, value))]
    return [option, value]
