"""The model card of a run: a page of markdown that says what it is, what it knows and what it is not for."""

from pathlib import Path
from typing import Any

from lenssim.commands import command
from lenssim.data.format.files import read_json, write
from lenssim.data.generation.dataset_card import LEAK_AUDIT
from lenssim.data.streaming.locations import path_of
from lenssim.errors import DataError
from lenssim.learn.config import LiveData
from lenssim.learn.runs.run import DataIdentity, Run, RunRecord
from lenssim.learn.scores.classification import interval_text
from lenssim.names import markdown, printable

__all__ = ["card_text", "write_card"]


def write_card(run: Run) -> Path:
    """Write card.md into the run's folder, with all of its finished evaluations; returns its path."""
    path = run.folder / "card.md"
    write(path, card_text(run, _evaluations(run)).encode())
    return path


def _evaluations(run: Run) -> list[dict[str, Any]]:
    found = []
    for path in sorted(run.folder.glob("evaluation-*/metrics.json")):
        try:
            found.append(read_json(path))
        except DataError:
            continue
    return found


def card_text(run: Run, evaluations: list[dict[str, Any]]) -> str:
    """The card as markdown."""
    record, config, data = run.record, run.record.config, run.record.data
    shape = " x ".join(map(str, record.image_shape))
    lines = [
        f"# {markdown(config.net)}: {markdown(record.task.title)}",
        "",
        f"A network of {record.parameters:,} parameters that takes images of {shape} (bands x rows x columns), scaled "
        f"by `{config.normalise}`, and gives {record.task.gives}.",
        "",
        "## Data",
        "",
        f"{markdown(data.title[0].upper() + data.title[1:])}: {data.n:,} samples "
        f"({record.samples['train']:,} for training, {record.samples['validation']:,} for validation), "
        f"seed {data.seed}, split {markdown(str(data.split))}, engine {markdown(str(data.engine))}, "
        f"fingerprint `{markdown(data.fingerprint)}`.",
        "",
        *_begun(record),
        f"Leak audit, whether the classes can be told apart without substructure: {_audited(run)}.",
        "",
        "## Training",
        "",
        "| setting | value |",
        "|---|---|",
        *(
            f"| {name} | {markdown(str(value))} |"
            for name, value in config.model_dump(exclude={"data", "task", "net"}).items()
        ),
        "",
    ]
    if record.result is not None:
        result = record.result
        lines += [
            f"{result.epochs} epochs in {result.seconds / 60:.1f} minutes; the weights are those of epoch "
            f"{result.best_epoch}, with a validation loss of {result.val_loss:.4f}.",
            "",
        ]
    if evaluations:
        lines += [
            "## Scores on held-out images, with 95 % bootstrap intervals",
            "",
            f"| data | images | {' | '.join(map(markdown, record.task.presentation.headlines.values()))} |",
            "|---|---" + "|---" * len(record.task.presentation.headlines) + "|",
        ]
        for document in evaluations:
            scores, about = (
                document["metrics"],
                DataIdentity.model_validate(document["data"]),
            )
            cells = [
                interval_text(scores[key]) for key in record.task.presentation.headlines
            ]
            judged = f"{markdown(about.title)} (`{markdown(about.fingerprint[:8])}`){_passes(document)}"
            lines.append(f"| {judged} | {document['n']:,} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        "## To repeat it",
        "",
        "```bash",
        printable(_command(run)),
        "```",
        "",
        "## Use",
        "",
        "For images made, or observed, like the training data: same instrument, pixel scale, noise and kind of lens. "
        "On anything else its answers mean nothing; `lenssim predict` names some images that look unlike the "
        "training data, not all. Not for naming the dark matter of a real lens. Scores on noise-free simulations "
        "say what the pixels hold, not what a telescope would see; they are no measurement of dark matter.",
        "",
        "Versions: "
        + markdown(
            ", ".join(f"{name} {number}" for name, number in record.versions.items())
        )
        + ".",
        "",
    ]
    return "\n".join(lines)


def _passes(document: dict[str, Any]) -> str:
    """What was averaged, in words: nothing for one answer of one run."""
    runs, answers = (document.get("passes", {}).get(key, 1) for key in ("runs", "answers"))
    several = f", {runs} runs averaged" if runs > 1 else ""
    return several + (
        f", {answers // runs} answers of each averaged" if answers > runs else ""
    )


def _begun(record: RunRecord) -> list[str]:
    """A paragraph on what the first weights had learned from, of a run that started with those of another."""
    if record.start is None:
        return []
    before = "; ".join(
        f"{markdown(data.title)}, seed {data.seed} (`{markdown(data.fingerprint[:8])}`)"
        for data in record.start.data
    )
    return [
        "Its first weights are those of another run "
        f"(checkpoint `{markdown(record.start.checkpoint_sha256[:8])}`), which had "
        f"learned from {before}.",
        "",
    ]


def _audited(run: Run) -> str:
    """Verdict of the leak audit that lies with the training data, if it is of them, with its largest AUC."""
    try:
        document = read_json(path_of(run.record.config.data or "") / LEAK_AUDIT)
        if document["fingerprint"] != run.record.data.fingerprint:
            return "not made of these contents"
        worst = max(
            document["leaks"],
            key=lambda leak: leak["auc"] if leak["statistic"] == "all but edges" else 0,
        )
        interval = f"AUC {worst['auc']:.3f} [{worst['low']:.3f}, {worst['high']:.3f}]"
        return f"{markdown(str(document['verdict']))}; all statistics but edges reach {interval}"
    except (DataError, KeyError, ValueError):
        return "not made (`lenssim audit`)"


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
    words: list[object] = [
        "--live",
        live.model,
        "--live-n",
        live.n,
        "--live-seed",
        live.seed,
    ]
    if live.noise:
        words += ["--live-noise", live.noise]
    return [*words, "--live-endless"] if live.endless else words


def _option(name: str, value: Any) -> list[object]:
    option = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [option]
    if isinstance(value, dict):
        return [option, ",".join(f"{key}={number:g}" for key, number in value.items())]
    if isinstance(value, (list, tuple)):
        return [option, ",".join(map(str, value))]
    return [option, value]
