"""The card of a data set: what it is, how to make it again, and whether its classes give themselves away."""

from pathlib import Path
from typing import Any

from lenssim.commands import command
from lenssim.data.format.files import read_json, write
from lenssim.data.format.manifest import PLAN, Manifest, Plan
from lenssim.errors import DataError
from lenssim.names import markdown, printable
from lenssim.simulate.preset import load_preset, presets

__all__ = ["CARD", "LEAK_AUDIT", "card_text", "known_verdict", "write_card"]

CARD, LEAK_AUDIT = "card.md", "leak_audit.json"
_BEFORE = {
    True: "The command, given in this folder, that makes it again into a folder D; plan.json holds all it depends on:",
    False: "The command that made it, given where its files were:",
}


def write_card(folder: Path, plan: Plan, manifest: Manifest) -> None:
    """Write card.md into a data set's folder, with the verdict of its leak audit if there is one."""
    write(
        folder / CARD,
        card_text(plan, manifest, known_verdict(folder, manifest.fingerprint)).encode(),
    )


def known_verdict(folder: Path, fingerprint: str) -> str | None:
    """Verdict of the audit that lies in a data set's folder; None without one, or if it is of other contents."""
    try:
        document = read_json(folder / LEAK_AUDIT)
    except DataError:
        return None
    return document.get("verdict") if document.get("fingerprint") == fingerprint else None


def card_text(plan: Plan, manifest: Manifest, verdict: str | None) -> str:
    """The card as markdown; the same for the same contents and verdict."""
    config = plan.config
    preset, truth = config.get("preset", {}), list(config.get("truth", []))
    facts = {
        "about": _shown(preset.get("summary")),
        "images": f"{manifest.n:,} of {' x '.join(map(str, manifest.image_shape))} (bands x rows x columns)",
        "classes": ", ".join(
            f"{markdown(name)} {count:,}" for name, count in manifest.class_counts.items()
        ),
        "instrument": _shown(preset.get("instrument", {}).get("summary")),
        **{
            name: _shown(config.get(name))
            for name in ("noise", "seed", "split", "engine", "supersampling")
        },
        "storage": _shown(
            " ".join(
                [config.get("storage", "float32"), *filter(None, [config.get("compress")])]
            )
        ),
        "beside the images": _shown(
            ", ".join(truth + ["delta chi2"] * bool(config.get("detectability"))) or None
        ),
        "galaxies": f"sha256 `{preset['galaxies']['sha256']}`"
        if preset.get("galaxies")
        else None,
        "leak audit": _shown(verdict)
        or "not made yet; `lenssim audit` on this folder makes it",
        "fingerprint": f"`{manifest.fingerprint}`",
        "versions": _shown(
            ", ".join(
                f"{name} {number}" for name, number in config.get("versions", {}).items()
            )
            or None
        ),
    }
    return "\n".join(
        [
            f"# {_shown(preset.get('name')) or 'import of ' + markdown(str(config.get('source')))}",
            "",
            "| | |",
            "|---|---|",
            *(
                f"| {name} | {value} |"
                for name, value in facts.items()
                if value is not None
            ),
            "",
            _BEFORE[config.get("kind") == "simulated"],
            "",
            f"    {printable(_command(plan))}",
            "",
        ]
    )


def _command(plan: Plan) -> str:
    config = plan.config
    if "preset" not in config:
        return _import_command(config)
    options: dict[str, Any] = {"model": _model(config["preset"]), "n": plan.n, "out": "D"}
    options |= {
        name: config.get(name)
        for name in ("seed", "split", "noise", "engine", "supersampling", "storage")
    }
    options |= {"galaxies": "PATH" if config["preset"].get("galaxies") else None}
    options |= {
        name: config.get("engine_settings", {}).get(name)
        for name in ("precision", "device")
    }
    options["truth"] = ",".join(config.get("truth", [])) or None
    words: list[object] = []
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", value]
    words += [f"--{name}" for name in ("compress", "detectability") if config.get(name)]
    return command("generate", *words)


def _import_command(config: dict[str, Any]) -> str:
    options = {
        name.replace("_", "-"): config.get(name) for name in ("split", "bands", "extension")
    }
    renamed = config.get("map_classes", {})
    options["map-classes"] = (
        ",".join(f"{folder}={name}" for folder, name in renamed.items()) or None
    )
    options |= dict(zip(("image", "truth"), config.get("folders", ()), strict=False))
    words: list[object] = [
        "import",
        config.get("layout"),
        config.get("source"),
        "--out",
        "D",
    ]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", value]
    return command(*words)


def _model(preset: dict[str, Any]) -> str:
    """The preset's name if it comes with lenssim as it is; else the file beside the card that holds it."""
    name = str(preset.get("name"))
    return (
        name
        if name in presets() and load_preset(name).model_dump(mode="json") == preset
        else PLAN
    )


def _shown(value: Any) -> str | None:
    """A text of the plan's as Markdown shows it; None where there is none."""
    return None if value is None else markdown(str(value))
