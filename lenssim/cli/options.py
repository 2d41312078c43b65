"""Options that several commands have in common."""

from typing import Annotated

import typer

__all__ = ["Device", "Json"]

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
