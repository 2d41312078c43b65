"""`lenssim info`, `verify`, `show`, `import` and `export`: data sets that exist."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lenssim.cli.options import Json
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.data.format.manifest import Manifest

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
    imports = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Turn other people's layouts into a data set.",
    )
    imports.command()(deeplense)
    imports.command()(pairs)
    app.add_typer(imports, name="import")
    app.command()(export)


def info(folder: Folder, json: Json = False) -> None:
    """Say what a data set is: preset, size, classes, noise, seed, versions, fingerprint."""
    from json import dumps

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
    json: Json = False,
) -> None:
    """Check that a data set holds what was written; exit code 3 if it does not, 4 if it is unfinished."""
    from dataclasses import asdict
    from json import dumps

    from lenssim.api.verification import depth, inspect, raise_problems
    from lenssim.names import printable

    report = inspect(folder, fast=fast, resimulate=resimulate, galaxies=galaxies)
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
    picture: Annotated[str, typer.Option(help="image, or clean, kappa, residual if it is kept.")] = "image",
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


Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the data set to make.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out what cannot be used, and name it.")
]
Bands = Annotated[
    int,
    typer.Option("--bands", help="Bands of an image; they come before rows and columns."),
]
Extension = Annotated[
    str | None,
    typer.Option(
        "--extension",
        metavar="NAME|NUMBER",
        help="The FITS extension, or array of .npz files, to read.",
    ),
]


def deeplense(
    source: Annotated[
        Path, typer.Argument(help="Folder that holds the class folders, or their splits.")
    ],
    out: Out,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="train, validation or test: the folder above the class folders."
        ),
    ] = None,
    map_classes: Annotated[
        str | None,
        typer.Option(
            "--map-classes", metavar="FOLDER=CLASS,...", help="Other names for the classes."
        ),
    ] = None,
    bands: Bands = 1,
    extension: Extension = None,
    skip_bad: SkipBad = False,
) -> None:
    """Import class folders of .npy, .npz or FITS files, as DeepLense publishes them, axion masses included."""
    from lenssim.cli.progress import samples_bar
    from lenssim.data.exchange.deeplense import import_deeplense
    from lenssim.data.exchange.importing import Listeners

    with samples_bar("importing") as report:
        manifest = import_deeplense(
            source,
            out,
            skip_bad=skip_bad,
            split=split,
            map_classes=_renamed(map_classes),
            bands=bands,
            extension=extension,
            listeners=Listeners(report, warn=_note, note=_note),
        )
    _print_imported(out, manifest)
    print(
        f"next: {command('show', out)}, or {command('train', 'classify', '--net', 'cnn', '--data', out)}"
    )


def pairs(
    source: Annotated[
        Path, typer.Argument(help="Folder that holds the two folders of images.")
    ],
    out: Out,
    image: Annotated[str, typer.Option("--image", help="Folder of the images.")] = "LR",
    truth: Annotated[
        str, typer.Option("--truth", help="Folder of the pictures kept beside them as hr.")
    ] = "HR",
    bands: Bands = 1,
    extension: Extension = None,
    skip_bad: SkipBad = False,
) -> None:
    """Import pairs of images with the same file names in two folders, as super-resolution sets are published."""
    from lenssim.cli.progress import samples_bar
    from lenssim.data.exchange.importing import Listeners
    from lenssim.data.exchange.pairs import import_pairs

    with samples_bar("importing") as report:
        manifest = import_pairs(
            source,
            out,
            image=image,
            truth=truth,
            skip_bad=skip_bad,
            bands=bands,
            extension=extension,
            listeners=Listeners(report, warn=_note, note=_note),
        )
    _print_imported(out, manifest)
    print(f"next: {command('show', out)}, or {command('show', out, '--picture', 'hr')}")


def _note(text: str) -> None:
    from lenssim.names import printable

    print("\n".join(printable(line) for line in text.splitlines()), file=sys.stderr)


def _renamed(text: str | None) -> dict[str, str]:
    """Names of classes by folder, from FOLDER=CLASS,FOLDER=CLASS."""
    from lenssim.errors import ConfigError

    renamed: dict[str, str] = {}
    for part in text.split(",") if text is not None else []:
        folder, equals, name = part.strip().rpartition("=")
        if not equals or not folder or not name or folder in renamed:
            raise ConfigError(
                f"--map-classes takes FOLDER=CLASS,FOLDER=CLASS, each folder once; got {text!r}",
                code="option-format",
                option="map_classes",
                value=text,
            )
        renamed[folder] = name
    return renamed


def _print_imported(out: Path, manifest: "Manifest") -> None:
    from lenssim.names import printable

    counts = ", ".join(
        f"{printable(name)} {count}" for name, count in manifest.class_counts.items()
    )
    print(
        f"{out}: {manifest.n} images of {' x '.join(map(str, manifest.image_shape))} ({counts})"
    )


def export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")],
    to: Annotated[
        str, typer.Option("--to", help="Layout: npy (published folders), webdataset, fits.")
    ] = "npy",
) -> None:
    """Write a data set in another layout."""
    from lenssim.cli.progress import samples_bar
    from lenssim.data.exchange.export import export_fits, export_npy, export_webdataset
    from lenssim.errors import unknown

    layouts = {"npy": export_npy, "webdataset": export_webdataset, "fits": export_fits}
    if to not in layouts:
        raise unknown("layout", to, layouts, code="unknown-layout")
    with samples_bar("exporting") as report:
        places = layouts[to](folder, out, report=report)
    for place in places:
        print(place)
