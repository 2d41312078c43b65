"""Trained networks that come with lenssim: `pretrained:NAME` stands wherever a run's folder may."""

from pathlib import Path

import lenssim
from lenssim.errors import unknown

__all__ = ["PREFIX", "outputs_of", "pretrained_runs", "run_folder"]

PREFIX = "pretrained:"


def _home() -> Path:
    return Path(lenssim.__file__).parent / "pretrained"


def pretrained_runs() -> dict[str, Path]:
    """Return the folders of the packed runs that come with lenssim, by name."""
    return {path.parent.name: path.parent for path in sorted(_home().glob("*/run.json"))}


def run_folder(place: Path | str) -> Path:
    """Return the folder of a run.

    Args:
        place: The folder, or `pretrained:` and the name of a network that comes with lenssim.

    Raises:
        ConfigError: No network of this name comes with lenssim.

    Example:
        >>> run_folder("runs/cnn").as_posix()
        'runs/cnn'
    """
    text = str(place)
    if not text.startswith(PREFIX):
        return Path(place)
    runs = pretrained_runs()
    name = text.removeprefix(PREFIX)
    if name not in runs:
        raise unknown("pretrained network", name, runs, code="unknown-pretrained")
    return runs[name]


def outputs_of(folder: Path) -> Path:
    """Return where evaluations of a run are written.

    Args:
        folder: Folder of the run; one that comes with lenssim is never written into.
    """
    if folder.parent == _home():
        return Path("runs") / f"pretrained-{folder.name}"
    return folder
