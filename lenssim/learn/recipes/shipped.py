"""The recipes that come with lenssim, by name, and the presets that lie beside them."""

from pathlib import Path
from typing import Any

import lenssim
from lenssim.errors import unknown

__all__ = ["find_presets", "find_recipe", "shipped_recipe", "shipped_recipes"]

FOLDER = "pipelines"


def shipped_recipes() -> dict[str, Path]:
    """Return the files of the recipes that come with lenssim, by name.

    Example:
        >>> shipped_recipes()["quickstart"].name
        'quickstart.yaml'
    """
    return {path.stem: path for path in sorted(_folder().glob("*.yaml"))}


def _folder() -> Path:
    package = Path(lenssim.__file__).parent
    folder = package / FOLDER  # a wheel has them inside the package
    if folder.is_dir():
        return folder
    return package.parent / FOLDER


def shipped_recipe(name: str) -> Path:
    """Return the file of a recipe that comes with lenssim.

    Args:
        name: Its name.

    Raises:
        ConfigError: There is no recipe of this name. The message suggests the nearest name.
    """
    recipes = shipped_recipes()
    if name not in recipes:
        raise unknown("recipe", name, recipes, code="unknown-recipe")
    return recipes[name]


def find_recipe(recipe: Path | str) -> Path:
    """Return the file of a recipe.

    Args:
        recipe: Path of the file, or the name of a recipe that comes with lenssim. A path
            with a folder or an ending is never taken for a name.

    Raises:
        ConfigError: There is neither a file nor a recipe of this name.

    Example:
        >>> find_recipe("quickstart") == shipped_recipes()["quickstart"]
        True
    """
    path = Path(recipe)
    is_name = path.name == str(recipe) and not path.suffix
    if path.exists() or not is_name:
        return path
    return shipped_recipe(path.name)


def find_presets(steps: Any, folder: Path) -> None:
    """Let steps of a recipe name presets as they lie beside it or the shipped recipes.

    Args:
        steps: What the recipe says of its data sets, by name; changed in place.
        folder: The folder of the recipe.

    Example:
        >>> steps = {"lenses": {"model": "presets/hst-acs-haloes.yaml"}}
        >>> find_presets(steps, shipped_recipes()["real_lenses"].parent)
        >>> Path(steps["lenses"]["model"]).is_absolute()
        True
    """
    if not isinstance(steps, dict):
        return
    for step in steps.values():
        model = step.get("model") if isinstance(step, dict) else None
        if not isinstance(model, str) or Path(model).exists():
            continue
        for place in (folder / model, _folder() / model):
            if place.suffix == ".yaml" and place.exists():
                step["model"] = str(place)
                break
