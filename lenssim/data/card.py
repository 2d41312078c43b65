"""The card of a data set: what it is, how to make it again, and whether its classes give themselves away."""

import shlex
from pathlib import Path
from typing import Any

from lenssim.data.files import read_json, write
from lenssim.data.manifest import PLAN, Manifest, Plan
from lenssim.errors import DataError
from lenssim.simulate.preset import load_preset, presets

__all__ = ["CARD", "LEAK_AUDIT", "card_text", "known_verdict", "write_card"]

CARD, LEAK_AUDIT = "card.md", "leak_audit.json"
_BEFORE = {
    True: "The command, given in this folder, that makes it again into a folder D; plan.json holds all it depends on:",
    False: "The command that made it, given where its files were:",
}


def write_card(folder: Path, plan: Plan, manifest: Manifest) -> None:
    """Write card.md into a data set's folder, with the verdict of its leak audit if there is one."""
    write(folder / CARD, card_text(plan, manifest, known_verdict(folder, manifest.fingerprint)).encode())


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
        "about": preset.get("summary"),
        "images": f"{manifest.n:,} of {' x '.join(map(str, manifest.image_shape))} (bands x rows x columns)",
        "classes": ", ".join(f"{name} {count:,}" for name, count in manifest.class_counts.items()),
        "instrument": preset.get("instrument", {}).get("summary"),
        **{name: config.get(name) for name in ("noise", "seed", "split", "engine", "supersampling")},
        "storage": " ".join([config.get("storage", "float32"), *filter(None, [config.get("compress")])]),
        "beside the images": ", ".join(truth + ["delta chi2"] * bool(config.get("detectability"))) or None,
        "leak audit": verdict or "not made yet; `lenssim audit` on this folder makes it",
        "fingerprint": f"`{manifest.fingerprint}`",
        "versions": ", ".join(f"{name} {number}" for name, number in config.get("versions", {}).items()) or None,
    }
    return "\n".join(
        [
            f"# {preset.get('name') or 'import of ' + str(config.get('source'))}",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {_cell(value)} |" for name, value in facts.items() if value is not None),
            "",
            _BEFORE[config.get("kind") == "simulated"],
            "",
            f"    {_command(plan)}",
            "",
        ]
    )


def _command(plan: Plan) -> str:
    config = plan.config
    if "preset" not in config:
        return _import_command(config)
    options: dict[str, Any] = {"model": _model(config["preset"]), "n": plan.n, "out": "D"}
    options |= {name: config.get(name) for name in ("seed", "split", "noise", "engine", "supersampling", "storage")}
    options |= {name: config.get("engine_settings", {}).get(name) for name in ("precision", "device")}
    options["truth"] = ",".join(config.get("truth", [])) or None
    words = [f"--{name} {value}" for name, value in options.items() if value is not None]
    words += [f"--{name}" for name in ("compress", "detectability") if config.get(name)]
    return " ".join(["lenssim generate", *words])


def _import_command(config: dict[str, Any]) -> str:
    options = {name.replace("_", "-"): config.get(name) for name in ("split", "bands", "extension")}
    renamed = config.get("map_classes", {})
    options["map-classes"] = ",".join(f"{folder}={name}" for folder, name in renamed.items()) or None
    options |= dict(zip(("image", "truth"), config.get("folders", ()), strict=False))
    words = ["lenssim", "import", str(config.get("layout")), str(config.get("source")), "--out", "D"]
    for name, value in options.items():
        words += [] if value is None else [f"--{name}", str(value)]
    return shlex.join(words)


def _model(preset: dict[str, Any]) -> str:
    """The preset's name if it comes with lenssim as it is; else the file beside the card that holds it."""
    name = str(preset.get("name"))
    return name if name in presets() and load_preset(name).model_dump(mode="json") == preset else PLAN


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
