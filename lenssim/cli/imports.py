"""`lenssim import`: a command for each importer, whose options are its fields."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, override

import typer
from typer.core import TyperGroup

from lenssim.cli.options_from_model import parameters_of
from lenssim.commands import command

if TYPE_CHECKING:
    from lenssim.data.exchange.importer import Importer

__all__ = ["register"]

_Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the data set to make.")]


class _ImporterGroup(TyperGroup):
    """A command for each importer. Importers are imported when the group is asked for."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        from lenssim.data.exchange.importers import IMPORTERS

        return list(IMPORTERS)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from lenssim.data.exchange.importers import IMPORTERS

        if cmd_name not in IMPORTERS:
            return None
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        app.command(name=cmd_name)(_command_of(cmd_name, IMPORTERS[cmd_name]))
        return typer.main.get_command(app)


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    imports = typer.Typer(
        cls=_ImporterGroup,
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Turn other people's layouts into a data set.",
    )
    app.add_typer(imports, name="import")


def _command_of(layout: str, importer: type[Importer]) -> Callable[..., None]:
    """Return the command of an importer; its options are the fields of the importer."""

    def import_folder(source: Path, out: Path, **options: Any) -> None:
        _import(layout, importer, source, out, options)

    source = typer.Argument(help=importer.source_help)
    parameters = [
        Parameter(
            "source", Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[Path, source]
        ),
        Parameter("out", Parameter.KEYWORD_ONLY, annotation=_Out),
        *parameters_of(importer),
    ]
    import_folder.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    import_folder.__annotations__ = {}
    import_folder.__doc__ = importer.__doc__
    return import_folder


def _import(
    layout: str,
    importer: type[Importer],
    source: Path,
    out: Path,
    options: dict[str, Any],
) -> None:
    """Import a folder, and say what the data set is."""
    from lenssim.api.exchange import import_data
    from lenssim.data.format.bands import shape_words
    from lenssim.names import printable

    manifest = import_data(layout, source, out, **options).manifest
    counts = ", ".join(
        f"{printable(name)} {count}" for name, count in manifest.class_counts.items()
    )
    shape = shape_words(manifest.image_shape, manifest.bands)
    print(f"{out}: {manifest.n} images of {shape} ({counts})")
    following = [command("show", out)]
    if importer.next_words:
        following.append(command(*_with_folder(importer.next_words, out)))
    print(f"next: {', or '.join(following)}")


def _with_folder(words: tuple[str, ...], out: Path) -> list[object]:
    """Return the words of a command with the folder of the data set."""
    if words[-1].startswith("--"):
        return [*words, out]
    return [words[0], out, *words[1:]]
