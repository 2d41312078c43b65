"""The command `lenssim`: its groups of commands and its one way of reporting errors."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

import lenssim
from lenssim.cli import (
    answer,
    audit,
    choices,
    completeness,
    data,
    doctor,
    fields,
    fit,
    folder,
    generate,
    imports,
    instruments,
    models,
    parity,
    population,
    probe,
    recipe,
    survey,
    train,
)
from lenssim.cli.garbage import spare_collections
from lenssim.cli.sections import SectionedGroup
from lenssim.cli.streams import stdout_fault, whole_streams
from lenssim.drawing import ignore_user_settings
from lenssim.errors import LenssimError
from lenssim.folders import reason
from lenssim.names import printable
from lenssim.notes import say
from lenssim.scratch import temporary_files

__all__ = ["app", "main"]

_ABOUT_PATHS = (  # another path would do
    errno.EACCES,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)

_LOADING = re.compile(r"\.so[.\d]*: |\.dylib|shared object|cannot allocate memory", re.I)

app = typer.Typer(
    name="lenssim",
    cls=SectionedGroup,
    no_args_is_help=True,
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


for group in (
    models,
    instruments,
    choices,
    generate,
    folder,
    parity,
    data,
    imports,
    survey,
    fields,
    fit,
    audit,
    train,
    answer,
    probe,
    completeness,
    recipe,
    population,
    doctor,
):
    group.register(app)


def main() -> None:
    """Run the command line; exit codes: 0 ok, 1 failure, 2 usage or config, 3 verification, 4 incomplete, 130 / 143."""
    ignore_user_settings()
    spare_collections()
    with whole_streams(), _safe_path():
        code = _run()
        fault = stdout_fault()
        if fault:
            say(f"cannot write to stdout: {fault}")
        if fault is not None and code == 0:
            code = 1
        sys.exit(code)


def _run() -> int:
    """Exit code of the command; errors are told on stderr, in a line."""
    try:
        with temporary_files():
            app()
    except SystemExit as end:
        return _code(end)
    except LenssimError as error:
        say(str(error))
        return error.exit_code
    except OSError as error:
        return _refused(error)
    except ImportError as error:
        if not _is_of_the_loader(error):
            raise
        say(
            f"the system cannot load a library: {printable(str(error))}; is memory limited "
            "(ulimit -v)? lenssim doctor looks for what is wrong here"
        )
        return 2
    except MemoryError as error:
        say(
            f"there is not enough memory{f' ({error})' if str(error) else ''}; fewer workers or smaller data need less"
        )
        return 1
    return 0


def _is_of_the_loader(error: ImportError) -> bool:
    """Say whether the system refused to load a library, rather than Python to find a module."""
    return bool(_LOADING.search(str(error)))


@contextmanager
def _safe_path() -> Iterator[None]:
    """Processes that are begun meanwhile import nothing from the working folder, where others may write."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = before or "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]


def _code(end: SystemExit) -> int:
    if isinstance(end.code, str):
        say(end.code)
        return 1
    return end.code or 0


def _refused(error: OSError) -> int:
    """Tell what the system refused, where nothing nearer to it did; the exit code."""
    if error.filename is None:
        say(
            f"the system refused: {reason(error)}; lenssim doctor looks for what is wrong here"
        )
        return 1
    say(f"cannot use {printable(os.fsdecode(error.filename))}: {reason(error)}")
    return 2 if error.errno in _ABOUT_PATHS else 1
