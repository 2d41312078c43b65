"""The command `lenssim`: its groups of commands and its one way of reporting errors."""

import os
import sys
from typing import Annotated

import typer

import lenssim
from lenssim.cli import answer, audit, data, folder, generate, models, parity, population, recipe, train
from lenssim.errors import LenssimError
from lenssim.scratch import temporary_files

__all__ = ["app", "main"]

app = typer.Typer(
    name="lenssim",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would make --help three times slower
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Dark-matter models to strong-lensing training data, and training data to answers.\n\n"
    "Start with: lenssim generate --model III --n 3000 --out data/III",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"lenssim {lenssim.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]
    = False,
) -> None:  # fmt: skip
    pass


for group in (models, generate, folder, parity, data, audit, train, answer, recipe, population):
    group.register(app)


def main() -> None:
    """Run the command line; exit codes: 0 ok, 1 failure, 2 usage or config, 3 verification, 4 incomplete, 130 / 143."""
    try:
        with temporary_files():
            app()
    except LenssimError as error:
        print(f"lenssim: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output left (lenssim ... | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
