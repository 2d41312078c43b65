"""`lenssim parity`: the same scenes through all engines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lenssim.simulate.parity import Parity

__all__ = ["register"]

_FIGURES = {
    "max/peak": "max_peak",
    "rms/peak": "rms_peak",
    "max/noise": "max_noise",
    "rms/noise": "rms_noise",
}


_Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="Preset, or path of one; may be repeated. Default: every preset.",
    ),
]
_Number = Annotated[int, typer.Option("--n", "-n", help="Scenes a class.")]
_Seed = Annotated[int, typer.Option(help="Seed of the scenes.")]
_Supersampling = Annotated[
    int | None, typer.Option(help="Rays a pixel side, 1 to 12; default: the preset's.")
]
_Engine = Annotated[
    list[str] | None,
    typer.Option(help="Engine to compare with lenstronomy; may be repeated. Default: all."),
]
_Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="PNG of the largest residuals.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print the residuals as JSON.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command()(parity)


def parity(
    model: _Model = None,
    n: _Number = 20,
    seed: _Seed = 0,
    supersampling: _Supersampling = None,
    engine: _Engine = None,
    out: _Out = None,
    json: _Json = False,
) -> None:
    """Render the same scenes with every engine and print how far the images are apart.

    Images are noise-free, of equal supersampling and PSF, and in double precision. The exit
    code is 3 if an engine is off by more than 1e-9 (batched) or 1e-7 (autolens) of the
    peak.
    """
    from json import dumps

    from lenssim.api.comparison import parity as compare

    compared = compare(
        model,
        n,
        seed=seed,
        supersampling=supersampling,
        engine=engine,
        out=out,
        report=None if json else _print_residuals,
    )
    if json:
        print(dumps([result.document() for result in compared], indent=1))
    elif out is not None:
        print(f"{out}: where they differ")
    _refuse_differences(compared)


def _print_residuals(result: "Parity") -> None:
    """Print the residuals of one preset as a table."""
    from lenssim.api.comparison import parity_title
    from lenssim.cli.table import print_table
    from lenssim.simulate.engines import REFERENCE

    print(f"{parity_title(result)}, against {REFERENCE}")
    rows = [
        [
            residual.engine,
            residual.class_name,
            *(f"{getattr(residual, name):.1e}" for name in _FIGURES.values()),
            f"number {residual.number}",
        ]
        for residual in result.residuals
    ]
    print_table(["engine", "class", *_FIGURES, "worst"], rows, right=_FIGURES)


def _refuse_differences(results: "list[Parity]") -> None:
    """Raise an error for the first engine that does not agree with the reference."""
    from lenssim.errors import VerificationError
    from lenssim.simulate.engines import REFERENCE

    for result in results:
        for residual in result.residuals:
            if residual.agrees:
                continue
            raise VerificationError(
                f"{residual.engine} and {REFERENCE} differ by {residual.max_peak:.1e} of "
                f"the peak in class {residual.class_name}, sample {residual.number}; "
                "render it with both and report it",
                code="engines-differ",
                engine=residual.engine,
                number=residual.number,
            )
