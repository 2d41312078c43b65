"""The card of a data set: what it holds, how to make it, and what its leak audit says."""

from pathlib import Path
from typing import Any

from lenssim.commands import command
from lenssim.data.format.bands import bands_of
from lenssim.data.format.files import read_json, write_changed
from lenssim.data.format.manifest import PLAN, Manifest, Plan
from lenssim.data.format.origin import Origin
from lenssim.data.format.spec import (
    COMPRESSION,
    DEFAULT_STORAGE,
    GenerationSpec,
    maps_of,
    storage_of,
)
from lenssim.errors import DataError
from lenssim.names import markdown, printable
from lenssim.simulate.preset import load_preset, presets

__all__ = [
    "CARD",
    "LEAK_AUDIT",
    "REALISM_AUDIT",
    "card_text",
    "known_verdict",
    "write_card",
]

CARD = "card.md"
LEAK_AUDIT = "leak_audit.json"
REALISM_AUDIT = "realism_audit.json"
_LINES = (
    *(
        "about",
        "images",
        "bands",
        "classes",
        "instrument",
        "noise",
        "seed",
        "split",
        "engine",
    ),
    *("supersampling", "storage", "beside the images", "galaxies", "leak audit"),
    "realism audit",
    *("fingerprint", "versions"),
)
_BEFORE = {
    True: "The command, given in this folder, that makes it again into a folder D; "
    "plan.json holds all it depends on:",
    False: "The command that made it, given where its files were:",
}


def write_card(folder: Path, plan: Plan, manifest: Manifest) -> None:
    """Write card.md into a data set's folder, with the verdicts of its audits."""
    verdicts = {
        name: known_verdict(folder, manifest.fingerprint, name)
        for name in (LEAK_AUDIT, REALISM_AUDIT)
    }
    text = card_text(plan, manifest, verdicts[LEAK_AUDIT], verdicts[REALISM_AUDIT])
    write_changed(folder / CARD, text.encode())


def known_verdict(folder: Path, fingerprint: str, audit: str = LEAK_AUDIT) -> str | None:
    """Return the verdict of an audit in a data set's folder.

    It is None if there is no audit, or one of other contents.
    """
    try:
        document = read_json(folder / audit)
    except DataError:
        return None
    return document.get("verdict") if document.get("fingerprint") == fingerprint else None


def card_text(
    plan: Plan, manifest: Manifest, verdict: str | None, realism: str | None = None
) -> str:
    """Return the card as Markdown; the same for the same contents and verdicts."""
    facts = _facts(plan)
    shape = " x ".join(map(str, manifest.image_shape))
    bands = ", ".join(map(markdown, manifest.bands))
    class_counts = [
        f"{markdown(name)} {count:,}" for name, count in manifest.class_counts.items()
    ]
    leak_audit = _shown(verdict) or "not made yet; `lenssim audit` on this folder makes it"
    facts |= {
        "images": f"{manifest.n:,} of {shape} (bands x rows x columns)",
        "bands": bands or None,
        "classes": ", ".join(class_counts),
        "leak audit": leak_audit,
        "realism audit": _shown(realism),
        "fingerprint": f"`{manifest.fingerprint}`",
    }
    lines = [
        f"| {name} | {facts[name]} |" for name in _LINES if facts.get(name) is not None
    ]
    return "\n".join(
        [
            f"# {_title(plan)}",
            "",
            "| | |",
            "|---|---|",
            *lines,
            "",
            _BEFORE[plan.is_simulated],
            "",
            f"    {printable(_command(plan))}",
            "",
        ]
    )


def _facts(plan: Plan) -> dict[str, str | None]:
    """Return what the plan says of the data."""
    if plan.is_simulated:
        return _facts_of_simulation(plan.spec)
    return _facts_of_import(plan)


def _title(plan: Plan) -> str:
    """Say what the data set holds."""
    if plan.is_simulated:
        return markdown(plan.spec.preset.name)
    return markdown(Origin.of(plan.config).made_by)


def _facts_of_import(plan: Plan) -> dict[str, str | None]:
    """Return what the plan says of imported data."""
    config = plan.config
    request = Origin.of(config).request()
    facts = {name: _shown(value) for name, value in request.items()}
    facts["storage"] = _stored(storage_of(config), bool(config.get("compress")))
    facts["beside the images"] = _shown(", ".join(maps_of(config)) or None)
    return facts


def _facts_of_simulation(spec: GenerationSpec) -> dict[str, str | None]:
    """Return what the specification says of simulated data."""
    beside_images = [*spec.maps, *["delta chi2"] * spec.detectability]
    versions = [f"{name} {number}" for name, number in spec.versions.items()]
    galaxies = None
    if spec.preset.galaxies is not None:
        galaxies = f"sha256 `{spec.preset.galaxies.sha256}`"
    return {
        "about": markdown(spec.preset.summary),
        "instrument": markdown(spec.preset.instrument.summary),
        "noise": markdown(spec.noise),
        "seed": str(spec.seed),
        "split": markdown(spec.split),
        "engine": markdown(spec.engine),
        "supersampling": markdown(str(spec.supersampling)),
        "storage": _stored(spec.storage, spec.compress),
        "beside the images": _shown(", ".join(beside_images) or None),
        "galaxies": galaxies,
        "versions": _shown(", ".join(versions) or None),
    }


def _stored(storage: str, compress: bool) -> str:
    """Say how images are stored."""
    words = [storage, *[COMPRESSION] * compress]
    return markdown(" ".join(words))


def _command(plan: Plan) -> str:
    """Return the command that makes the data set."""
    if not plan.is_simulated:
        return _import_command(plan.config)
    spec = plan.spec
    options: dict[str, Any] = {
        "model": _model(plan.config["preset"]),
        "n": plan.n,
        "out": "D",
        "seed": spec.seed,
        "split": spec.split,
        "noise": spec.noise,
        "engine": spec.engine,
        "supersampling": spec.supersampling,
    }
    if spec.storage != DEFAULT_STORAGE:
        options["storage"] = spec.storage
    if spec.preset.galaxies is not None:
        options["galaxies"] = "PATH"
    for name in ("precision", "device"):
        options[name] = spec.engine_settings.get(name)
    options["truth"] = ",".join(spec.maps) or None
    if spec.residual_from != "truth":
        options["residual-from"] = spec.residual_from
    switches = {"compress": spec.compress, "detectability": spec.detectability}
    words: list[object] = []
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", value]
    words += [f"--{name}" for name, is_on in switches.items() if is_on]
    return command("generate", *words)


def _import_command(config: dict[str, Any]) -> str:
    options = {
        name.replace("_", "-"): config.get(name) for name in ("split", "bands", "extension")
    }
    if config.get("band_names"):
        options["bands"] = ",".join(bands_of(config))
    renamed = config.get("map_classes", {})
    options["map-classes"] = (
        ",".join(f"{folder}={name}" for folder, name in renamed.items()) or None
    )
    options |= dict(zip(("image", "truth"), config.get("folders", ()), strict=False))
    options |= config.get("options", {})
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
    """Return the preset's name if it comes with lenssim; else the file that holds it."""
    name = str(preset.get("name"))
    if name in presets() and load_preset(name).model_dump(mode="json") == preset:
        return name
    return PLAN


def _shown(value: Any) -> str | None:
    """A text of the plan's as Markdown shows it; None where there is none."""
    return None if value is None else markdown(str(value))
