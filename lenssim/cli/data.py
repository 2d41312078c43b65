"""`lenssim info`, `verify`, `show`, `import` and `export`: data sets that exist."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lenssim.cli.options import Json
from lenssim.commands import command

__all__ = ["register"]

Folder = Annotated[str, typer.Argument(help="Folder of a data set, or its URL (s3://, https://, file:// ...).")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(info)
    app.command()(verify)
    app.command()(show)
    imports = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Turn other people's layouts into a data set."
    )
    imports.command()(deeplense)
    app.add_typer(imports, name="import")
    app.command()(export)


def info(folder: Folder, json: Json = False) -> None:
    """Say what a data set is: preset, size, classes, noise, seed, versions, fingerprint."""
    from json import dumps

    from lenssim.data.card import known_verdict
    from lenssim.data.manifest import MANIFEST, Manifest, ShardRecord, read_manifest, read_plan, read_record
    from lenssim.data.places import complete, is_url

    manifest: Manifest | None
    records: list[ShardRecord | None]
    if is_url(folder):  # whole, or refused; its shards are not looked at
        place = complete(folder)
        here, manifest = place.folder, place.manifest
        plan, records = read_plan(here), list(manifest.shards)
    else:
        here = Path(folder)
        plan = read_plan(here)
        manifest = read_manifest(here) if (here / MANIFEST).exists() else None
        records = [read_record(here, plan, shard) for shard in range(plan.shards)]
    config = plan.config
    facts: dict[str, Any] = {
        "folder": str(folder),
        "complete": manifest is not None,
        "images": f"{sum(record.rows for record in records if record)} of {plan.n}",
        "classes": manifest.class_counts if manifest else list(plan.classes),
        "image_shape": list(manifest.image_shape) if manifest else None,
        "made_by": config.get("preset", {}).get("name") or f"import of {config.get('source')}",
        **{key: config[key] for key in ("noise", "seed", "split", "engine", "supersampling") if key in config},
        "shards": f"{sum(record is not None for record in records)} of {plan.shards}",
        "bytes": sum(record.bytes for record in records if record),
        "versions": config.get("versions", {}),
        "config_hash": plan.config_hash,
        "fingerprint": manifest.fingerprint if manifest else None,
        "leak_audit": known_verdict(here, manifest.fingerprint) if manifest else None,
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
        if value is not None:
            print(
                f"{name.replace('_', ' '):<14} {value:,}"
                if name == "bytes"
                else f"{name.replace('_', ' '):<14} {value}"
            )
    print(f"next: {command('verify', folder)}, or {command('show', folder)}")


def verify(
    folder: Folder,
    fast: Annotated[bool, typer.Option("--fast", help="Presence and sizes only, no hashing.")] = False,
    resimulate: Annotated[
        int, typer.Option("--resimulate", metavar="K", help="Also make K samples again and compare every bit.")
    ] = 0,
    json: Json = False,
) -> None:
    """Check that a data set holds what was written; exit code 3 if it does not."""
    from dataclasses import asdict
    from json import dumps

    from lenssim.data.verify import verify as run
    from lenssim.errors import VerificationError

    report = run(folder, fast=fast)
    if resimulate and not report.problems:
        from lenssim.data.resimulate import resimulate as again

        numbers, problems = again(folder, resimulate)
        report.resimulated, report.problems = len(numbers), problems
    if json:
        print(dumps({"ok": not report.problems, **asdict(report)}))
        raise typer.Exit(VerificationError.exit_code if report.problems else 0)
    for problem in report.problems:
        print(problem)
    if report.problems:
        count = f"{len(report.problems)} problem{'s' if len(report.problems) > 1 else ''}"
        mend = "remove the shards named above and repeat the command that made the data set: they come back bit for bit"
        raise VerificationError(f"{folder}: {count}; {mend if report.shards else 'no shard was looked at'}")
    depth = "present, sizes right" if fast else "every hash right"
    if report.resimulated:
        depth += f", {report.resimulated} samples made again and equal to the bit"
    print(f"{folder}: {report.shards} shards, {report.samples} samples: {depth}\nfingerprint {report.fingerprint}")


def show(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where the pictures go; default: <folder>/figures.")]
    = None,
    count: Annotated[int, typer.Option(help="Images a class.")] = 25,
    picture: Annotated[str, typer.Option(help="image, or clean, kappa, residual if it is kept.")] = "image",
) -> None:  # fmt: skip
    """Draw a contact sheet of each class as PNG."""
    from lenssim.data.contact import contact_sheets
    from lenssim.data.places import is_url
    from lenssim.errors import ConfigError

    if out is None and is_url(folder):
        raise ConfigError(f"say by --out where the pictures of {folder} go")
    for path in contact_sheets(folder, out or Path(folder) / "figures", count, picture):
        print(path)


def deeplense(
    source: Annotated[Path, typer.Argument(help="Folder that holds the class folders of .npy files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the data set to make.")],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out files that cannot be used.")] = False,
) -> None:
    """Import the published DeepLense layout: class folders of .npy files, pickled [image, axion mass] included."""
    from lenssim.cli.progress import samples_bar
    from lenssim.data.convert import import_deeplense

    with samples_bar("importing") as report:
        manifest = import_deeplense(
            source, out, skip_bad=skip_bad, report=report, warn=lambda text: print(text, file=sys.stderr)
        )
    counts = ", ".join(f"{name} {count}" for name, count in manifest.class_counts.items())
    print(f"{out}: {manifest.n} images of {' x '.join(map(str, manifest.image_shape))} ({counts})")
    print(f"next: {command('show', out)}, or {command('train', 'classify', '--net', 'cnn', '--data', out)}")


def export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")],
    to: Annotated[str, typer.Option("--to", help="Layout: npy (published folders), webdataset, fits.")] = "npy",
) -> None:
    """Write a data set in another layout."""
    from lenssim.cli.progress import samples_bar
    from lenssim.data.convert import export_npy
    from lenssim.data.export import export_fits, export_webdataset
    from lenssim.errors import unknown

    layouts = {"npy": export_npy, "webdataset": export_webdataset, "fits": export_fits}
    if to not in layouts:
        raise unknown("layout", to, layouts)
    with samples_bar("exporting") as report:
        places = layouts[to](folder, out, report=report)
    for place in places:
        print(place)
