"""`lenssim doctor`: what of this machine would stop a run."""

from typing import Annotated

import typer

from lenssim.cli.options import Json

__all__ = ["register"]
_Workers = Annotated[
    int | None, typer.Option(help="Worker processes to judge for. Default: one a core.")
]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(doctor)


def doctor(
    workers: _Workers = None,
    json: Json = False,
) -> None:
    """Look at the machine: cache, temporary files, compiler, memory, network, limits. Exit code 1 if a run would fail.

    `ok` is well, `warn` works but slower or keeps less, `fail` stops a run; each of these says how to mend it.
    """
    from json import dumps

    from lenssim.api.checks import doctor as look_at_machine
    from lenssim.cli.table import print_table
    from lenssim.data.generation.surroundings import FAIL, OK

    checks = look_at_machine(workers)
    rows = [checks.row(number) for number in range(checks.rows)]
    states = {row["state"] for row in rows}
    failed = FAIL in states
    if json:
        print(dumps({"ok": not failed, "checks": rows}))
        raise typer.Exit(int(failed))
    cells = [list(row.values()) for row in rows]
    print_table(["check", "state", "what was seen", "how to mend it"], cells)
    if states == {OK}:
        print("nothing here stops a run")
    raise typer.Exit(int(failed))
