"""`lenssim nets`, `pretrained` and `recipes`: what there is to choose from; and `pack`."""

from pathlib import Path
from typing import Annotated

import typer

from lenssim.cli.options import Json

__all__ = ["register"]

_RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder that lenssim train wrote.")
]
_Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")]
_Net = Annotated[str | None, typer.Argument(help="Print facts about this network.")]
_Recipe = Annotated[
    str | None, typer.Argument(help="Print this recipe as YAML, comments and all.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command(name="nets")(nets)
    app.command(name="pretrained")(pretrained)
    app.command(name="recipes")(recipes)
    app.command(name="pack")(pack)


def nets(name: _Net = None, json: Json = False) -> None:
    """List the networks, or print facts about one."""
    from json import dumps

    import lenssim
    from lenssim.cli.table import print_table

    choices = lenssim.nets(name)
    if json:
        print(dumps(choices))
        return
    print_table(["", ""], [[key, _text(value)] for key, value in choices.items()])
    print(f"\nnext: lenssim train classify --net {name or 'cnn'} --data D --out R")


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def pretrained(json: Json = False) -> None:
    """List the trained networks that come with lenssim."""
    from json import dumps

    import lenssim
    from lenssim.cli.table import print_table

    networks = lenssim.pretrained()
    if json:
        print(dumps(networks))
        return
    print_table(["", ""], [[name, text] for name, text in networks.items()])
    print("\nnext: lenssim predict pretrained:NAME FILE...")


def pack(run: _RunFolder, out: _Out) -> None:
    """Write a run in a form to share: rounded weights, no code, no history of the training."""
    import lenssim
    from lenssim.commands import command

    packed = lenssim.pack(run, out)
    size = sum(path.stat().st_size for path in packed.folder.rglob("*") if path.is_file())
    print(f"{out}: {size / 1e6:.1f} MB")
    print(f"next: {command('predict', out, 'FILE...')}")


def recipes(name: _Recipe = None, json: Json = False) -> None:
    """List the recipes, or print one as YAML to copy and change."""
    from json import dumps

    import lenssim
    from lenssim.cli.table import print_table
    from lenssim.names import printable

    if name is not None:
        for line in lenssim.recipes(name).splitlines():
            print(printable(line))
        return
    titles = lenssim.recipes()
    if json:
        print(dumps(titles))
        return
    print_table(["", ""], [[recipe, title] for recipe, title in titles.items()])
    print("\nnext: lenssim recipes quickstart > mine.yaml, or lenssim run quickstart")
