"""`lenssim info`, `verify`, `show`, `import` and `export`: data sets that exist."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lenssim.cli.options import Json
from lenssim.commands import command

__all__ = ["register"]

Folder = Annotated[
    str,
    typer.Argument(help="Folder of a data set, or its URL (s3://, https://, file:// ...)."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(info)
    app.command()(verify)
    app.command()(show)
    app.command()(export)


def info(folder: Folder, json: Json = False) -> None:
    """Say what a data set is: preset, size, classes, noise, seed, versions, fingerprint."""
    from json import dumps

    from lenssim.data.format.bands import bands_of
    from lenssim.data.format.manifest import (
        MANIFEST,
        Manifest,
        ShardRecord,
        read_manifest,
        read_plan,
        read_records,
    )
    from lenssim.data.generation.dataset_card import known_verdict
    from lenssim.data.streaming.locations import is_url, open_complete
    from lenssim.names import printable

    manifest: Manifest | None
    records: list[ShardRecord]
    if is_url(folder):  # whole, or refused; its shards are not looked at
        location = open_complete(folder)
        local_folder = location.folder
        manifest = location.manifest
        plan = read_plan(local_folder)
        records = list(manifest.shards)
    else:
        local_folder = Path(folder)
        plan = read_plan(local_folder)
        manifest = (
            read_manifest(local_folder) if (local_folder / MANIFEST).exists() else None
        )
        records = list(read_records(local_folder, plan).values())
    config = plan.config
    facts: dict[str, Any] = {
        "folder": str(folder),
        "complete": manifest is not None,
        "images": f"{sum(record.rows for record in records)} of {plan.n}",
        "classes": manifest.class_counts if manifest else list(plan.classes),
        "image_shape": list(manifest.image_shape) if manifest else None,
        "bands": list(bands_of(config)) or None,
        "made_by": config.get("preset", {}).get("name")
        or f"import of {config.get('source')}",
        **{
            key: config[key]
            for key in ("noise", "seed", "split", "engine", "supersampling")
            if key in config
        },
        "shards": f"{len(records)} of {plan.shards}",
        "bytes": sum(record.bytes for record in records),
        "versions": config.get("versions", {}),
        "config_hash": plan.config_hash,
        "fingerprint": manifest.fingerprint if manifest else None,
        "leak_audit": known_verdict(local_folder, manifest.fingerprint)
        if manifest
        else None,
    }
    if json:
        print(dumps(facts))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        elif isinstance(value, list):
            value = (" x " if name == "image_shape" else ", ").join(map(str, value))
        elif isinstance(value, bool):
            value = "yes" if value else "no: repeat the command that made it to continue"
        value = printable(value) if isinstance(value, str) else value
        if value is not None:
            print(
                f"{name.replace('_', ' '):<14} {value:,}"
                if name == "bytes"
                else f"{name.replace('_', ' '):<14} {value}"
            )
    print(f"next: {command('verify', folder)}, or {command('show', folder)}")


def verify(
    folder: Folder,
    fast: Annotated[
        bool, typer.Option("--fast", help="Presence and sizes only, no hashing.")
    ] = False,
    resimulate: Annotated[
        int,
        typer.Option(
            "--resimulate",
            metavar="K",
            help="Also make K samples again and compare every bit.",
        ),
    ] = 0,
    galaxies: Annotated[
        Path | None,
        typer.Option(
            help="Where the galaxies are that the data set's sources show; for --resimulate."
        ),
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option(
            help="Where the cut-outs of sky are that the images show; for --resimulate."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check that a data set holds what was written; exit code 3 if it does not, 4 if it is unfinished."""
    from dataclasses import asdict
    from json import dumps

    from lenssim.api.verification import depth, inspect, raise_problems
    from lenssim.names import printable

    report = inspect(
        folder, fast=fast, resimulate=resimulate, galaxies=galaxies, background=background
    )
    if json:
        is_whole = not report.problems and not report.incomplete
        print(dumps({"ok": is_whole, **asdict(report)}))
    else:
        for problem in report.problems:
            print(printable(problem))
    raise_problems(folder, report, fast=fast)
    if json:
        return
    remark = depth(fast)
    if report.resimulated:
        remark += f", {report.resimulated} samples made again and equal to the bit"
    print(f"{folder}: {report.shards} shards, {report.samples} samples: {remark}")
    print(f"fingerprint {report.fingerprint}")


def show(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where the pictures go; default: <folder>/figures.")]
    = None,
    count: Annotated[int, typer.Option(help="Images a class.")] = 25,
    picture: Annotated[str, typer.Option(help="image, or a map that is kept, such as clean or sigma.")] = "image",
) -> None:  # fmt: skip
    """Draw a contact sheet of each class as PNG."""
    from lenssim.api.dataset import show as draw_sheets
    from lenssim.cli.problems import raise_last
    from lenssim.data.streaming.locations import is_url
    from lenssim.errors import ConfigError, DataError

    if out is None and is_url(folder):
        raise ConfigError(
            f"say by --out where the pictures of {folder} go",
            code="option-missing",
            option="out",
            folder=folder,
        )
    target = out or Path(folder) / "figures"
    damaged: list[DataError] = []
    for name in draw_sheets(folder, target, count, picture, report=damaged.append):
        print(target / f"{name}.png")
    raise_last(damaged)


def export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")],
    to: Annotated[
        str, typer.Option("--to", help="Layout: npy (published folders), webdataset, fits.")
    ] = "npy",
) -> None:
    """Write a data set in another layout."""
    from lenssim.api.exchange import export as export_data

    for path in export_data(folder, out, to):
        print(path)
