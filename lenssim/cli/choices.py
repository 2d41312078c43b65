"""`lenssim nets` and `recipes`: what a training and a run can choose from."""

from typing import Annotated

import typer

from lenssim.cli.options import Json

__all__ = ["register"]

_Net = Annotated[str | None, typer.Argument(help="Print facts about this network.")]
_Recipe = Annotated[
    str | None, typer.Argument(help="Print this recipe as YAML, comments and all.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command(name="nets")(nets)
    app.command(name="recipes")(recipes)


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
