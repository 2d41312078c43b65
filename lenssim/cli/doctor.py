"""`lenssim doctor`: what of this machine would stop a run."""

from typing import Annotated

import typer

from lenssim.cli.options import Json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(doctor)


def doctor(
    workers: Annotated[
        int | None, typer.Option(help="Worker processes to judge for. Default: one a core.")
    ] = None,
    json: Json = False,
) -> None:
    """Look at the machine: cache, temporary files, compiler, memory, network, limits. Exit code 1 if a run would fail.

    `ok` is well, `warn` works but slower or keeps less, `fail` stops a run; each of these says how to mend it.
    """
    from dataclasses import asdict
    from json import dumps

    from lenssim.cli.table import print_table
    from lenssim.data.generation.surroundings import FAIL, OK, examine
    from lenssim.errors import ConfigError
    from lenssim.machine import available_cores

    if workers is not None and not 0 <= workers <= 1024:
        raise ConfigError(
            f"the number of workers must lie in 0..1024, got {workers}",
            code="option-range",
            option="workers",
            value=workers,
        )
    findings = examine(available_cores() if workers is None else workers)
    failed = any(finding.state == FAIL for finding in findings)
    if json:
        print(
            dumps({"ok": not failed, "checks": [asdict(finding) for finding in findings]})
        )
        raise typer.Exit(int(failed))
    rows = [
        [finding.check, finding.state, finding.text, finding.mend] for finding in findings
    ]
    print_table(["check", "state", "what was seen", "how to mend it"], rows)
    if all(finding.state == OK for finding in findings):
        print("nothing here stops a run")
    raise typer.Exit(int(failed))
