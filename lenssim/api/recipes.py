"""Recipes from Python: data sets, trainings, evaluations and a report from one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, overload

from lenssim.api.arguments import Between, checked
from lenssim.api.generation import DEVICE
from lenssim.api.table import Table
from lenssim.api.workers import check_workers

if TYPE_CHECKING:
    from lenssim.learn.report.table import Row

__all__ = ["RecipeReport", "recipe_folder", "recipes", "run"]


class RecipeReport(Table):
    """The report of a recipe: a row for each evaluation.

    Attributes:
        folder: Folder with the data, the runs and `report.html`.
        evaluations: The rows with all their numbers, as in report.json.
        text: The report as Markdown.
    """

    folder: Path
    evaluations: list[Row]
    text: str


@checked
def run(
    recipe: Path | str,
    out: Path | str | None = None,
    *,
    workers: int | None = None,
    jobs: Annotated[int, Between(1, 256)] = 1,
    device: str = DEVICE,
) -> RecipeReport:
    """Generate, train, evaluate and report as a recipe says.

    The same call again does only what is left to do. Progress is shown on stderr.

    Args:
        recipe: Name of a recipe that comes with lenssim, such as quickstart, or a YAML file.
        out: Folder for data, runs and report; None: runs/ and the name of the recipe.
        workers: Processes that simulate. None: as many as pay for their start.
        jobs: Trainings at a time, sharing the GPU or the cores; evaluations too.
        device: auto, cpu, cuda, mps or one of several, such as cuda:1.

    Returns:
        The report, a row for each evaluation.

    Raises:
        ConfigError: The recipe cannot be, or the folder holds that of another.
        IncompleteError: Work stopped before its end; the same call continues it.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("recipe.yaml").write_text('''
        ... title: A first recipe
        ... generate: {small: {model: III, n: 256}}
        ... train: {cnn: {data: small, epochs: 1}}
        ... ''')
        >>> report = run("recipe.yaml", "recipes/first", workers=0)
        >>> report["run"], (report.folder / "report.html").is_file()
        (array(['cnn'], dtype='<U3'), True)
    """
    from lenssim.api.progress import samples_bar
    from lenssim.learn.recipes.execution import follow
    from lenssim.learn.recipes.recipe import load_recipe
    from lenssim.learn.recipes.shipped import find_recipe
    from lenssim.learn.report.table import report_text
    from lenssim.notes import note

    steps = load_recipe(find_recipe(recipe))
    check_workers(workers)
    folder = recipe_folder(recipe, out)
    rows = follow(
        steps,
        folder,
        workers=workers,
        jobs=jobs,
        device=device,
        say=note,
        generating=samples_bar,
        training=_displays,
    )
    report = RecipeReport(_columns(rows), title=steps.title)
    report.folder = folder
    report.evaluations = rows
    report.text = report_text(steps.title, rows)
    return report


@overload
def recipes(name: None = None) -> dict[str, str]: ...
@overload
def recipes(name: str) -> str: ...
@checked
def recipes(name: str | None = None) -> dict[str, str] | str:
    """Return the recipes that come with lenssim, or one as YAML to copy and change.

    Args:
        name: Name of a recipe; None for all.

    Returns:
        The title of each recipe, by name. For one recipe the text of its file.

    Raises:
        ConfigError: There is no such recipe.

    Example:
        >>> recipes()["quickstart"]
        'Quickstart: DeepLense Model III, without and with noise'
        >>> recipes("quickstart").splitlines()[-1].strip()
        'cnn-nominal: {data: nominal}'
    """
    from lenssim.formats.texts import read_text
    from lenssim.formats.yaml import read_yaml
    from lenssim.learn.recipes.shipped import shipped_recipe, shipped_recipes

    if name is not None:
        return read_text(shipped_recipe(name), "the recipe")
    return {
        name: str(read_yaml(path, "the recipe")["title"])
        for name, path in shipped_recipes().items()
    }


def recipe_folder(recipe: Path | str, out: Path | str | None) -> Path:
    """Return the folder of a recipe: `out`, or `runs/` and the name of the recipe.

    Example:
        >>> recipe_folder("pipelines/quickstart.yaml", None).as_posix()
        'runs/quickstart'
    """
    if out is None:
        return Path("runs") / Path(recipe).stem
    return Path(out)


def _columns(rows: list[Row]) -> dict[str, list[str]]:
    """Return the cells of rows by column; a cell is empty where a task has no such score."""
    names = dict.fromkeys(name for row in rows for name in row.cells)
    return {name: [row.cells.get(name, "") for row in rows] for name in names}


def _displays() -> list[Any]:
    """Return what shows the progress of a training."""
    from lenssim.learn.training.progress import progress

    return [progress()]
