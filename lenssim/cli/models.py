"""`lenssim models`: the presets."""

from typing import Annotated

import typer

__all__ = ["register"]
_Name = Annotated[
    str | None, typer.Argument(help="Print this preset as YAML, comments and all.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command(name="models")(models)


def models(
    name: _Name = None,
) -> None:
    """List the presets, or print one as YAML to copy and change."""
    from lenssim.api.presets import loaded_presets, presets
    from lenssim.names import printable

    if name is not None:
        for line in presets(name).splitlines():
            print(printable(line))
        return
    for preset_name, preset in loaded_presets().items():
        print(f"{preset_name:<16} {preset.summary}: {', '.join(preset.class_names)}")
    print(
        "\nnext: lenssim models III, or lenssim generate --model III --n 3000 --out data/III"
    )
