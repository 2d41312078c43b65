"""Comparison of engines from Python: the same scenes through all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenssim.api.arguments import checked
from lenssim.errors import ConfigError

if TYPE_CHECKING:
    from lenssim.simulate.parity import Parity

__all__ = ["parity", "parity_title"]

Report = Callable[["Parity"], None]


@checked
def parity(
    model: Sequence[Path | str] | Path | str | None = None,
    n: int = 20,
    *,
    seed: int = 0,
    supersampling: int | None = None,
    engine: Sequence[str] | str | None = None,
    out: Path | str | None = None,
    report: Report | None = None,
) -> list[Parity]:
    """Render the same scenes with every engine and say how far the images are apart.

    Images are noise-free, of equal supersampling and PSF, and in double precision.

    Args:
        model: Preset, or path of one, or a list of them; None: every preset.
        n: Scenes a class.
        seed: Seed of the scenes.
        supersampling: Rays a pixel side, 1 to 12; None: the preset's.
        engine: Engine to compare with lenstronomy, or a list of them; None: all.
        out: PNG of the largest residuals, for a single preset; None: nothing is drawn.
        report: Function that is called with the residuals of each preset, once they are known.

    Returns:
        The residuals of each preset by engine and class. `.agrees` says whether all of them are
        within the tolerance of their engine.

    Raises:
        ConfigError: A preset or engine is unknown, or a number cannot be.

    Example:
        >>> (compared,) = parity("III", 1, engine="autolens")
        >>> compared.agrees, len(compared.residuals)
        (True, 3)
    """
    from lenssim.data.format.files import write
    from lenssim.data.inspection.residual_figure import residual_figure
    from lenssim.simulate.parity import compare_engines
    from lenssim.simulate.preset import load_preset, presets

    names = [model] if isinstance(model, Path | str) else model or presets()
    engines = [engine] if isinstance(engine, str) else engine
    _check_figure(out, len(names))
    compared = []
    for name in names:
        result = compare_engines(
            load_preset(name), n, seed=seed, supersampling=supersampling, engines=engines
        )
        compared.append(result)
        if out is not None:
            write(Path(out), residual_figure(result.worst, parity_title(result)))
        if report is not None:
            report(result)
    return compared


def _check_figure(out: Path | str | None, presets: int) -> None:
    """Refuse a file that is no figure, or a figure of several presets."""
    if out is None or (Path(out).suffix == ".png" and presets == 1):
        return
    raise ConfigError(
        f"--out takes one preset's figure as .png; got {out} and {presets} presets",
        code="option-format",
        option="out",
        value=out,
    )


def parity_title(parity: Parity) -> str:
    """Say what was compared."""
    scenes = parity.residuals[0].scenes
    rays = parity.supersampling
    return f"{parity.preset}: {scenes} scenes a class, supersampling {rays}"
