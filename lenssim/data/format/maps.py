"""Truth: what a data set may keep of each sample besides its parameters, as pictures and as detectability."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.preset import Preset
from lenssim.simulate.scenes import Scenes

__all__ = [
    "IMAGE",
    "PAIRED",
    "PICTURES",
    "TRUTHS",
    "UNITS",
    "Sight",
    "check_kept",
    "check_picture",
    "pictures",
    "scalars",
    "truth_config",
    "truth_modules",
]


@dataclass(frozen=True)
class Sight:
    """Some samples as a picture may need them: `expected` and `observed` images (N, C, H, W), scenes and how made."""

    expected: np.ndarray
    observed: np.ndarray
    scenes: Scenes
    preset: Preset
    config: dict[str, Any]


def _clean(sight: Sight) -> np.ndarray:
    return sight.expected


def _kappa(sight: Sight) -> np.ndarray:
    from lenssim.simulate.engines.batched.convergence import (
        convergence,
    )  # only now: it imports torch

    return convergence(
        sight.scenes, sight.preset.instrument, **sight.config["engine_settings"]
    )


def _residual(sight: Sight) -> np.ndarray:
    from lenssim.simulate.engines.batched.fit import smooth_residual

    return smooth_residual(
        sight.observed, sight.scenes, sight.preset.instrument, **_derived(sight.config)
    )


# Pictures (N, C, H, W), by the name of their dataset.
TRUTHS: dict[str, Callable[[Sight], np.ndarray]] = {
    "clean": _clean,
    "kappa": _kappa,
    "residual": _residual,
}
IMAGE = "image"  # the picture that is the image itself
PAIRED = "hr"  # of imported pairs: the same sky on finer pixels, of a size of its own
PICTURES = (*TRUTHS, PAIRED)  # whatever a shard may keep beside its images
UNITS = {"clean": "e-/s", "kappa": "", "residual": ""}


def truth_config(
    config: dict[str, Any], truth: Sequence[str], detectability: bool
) -> dict[str, Any]:
    """What the config says of the truth asked for; nothing where none is, so that the hashes of other sets stay.

    `ConfigError` for names that are not in `TRUTHS`, and for what the engine of the `config` cannot make.
    """
    for name in truth:
        if name not in TRUTHS:
            raise unknown("truth", name, TRUTHS)
    if "kappa" in truth and config["engine"] != "batched":
        raise ConfigError(
            "kappa needs the deflections of the batched engine; give --engine batched, or leave it out"
        )
    for what, requested, option in (
        ("detectability needs", detectability, "--detectability"),
        ("residuals need", "residual" in truth, "residual"),
    ):
        if requested and (
            config["engine"] != "batched" or config["engine_settings"]["device"] != "cpu"
        ):
            raise ConfigError(
                f"{what} the derivatives of the batched engine on the CPU; "
                f"give --engine batched --device cpu, or leave {option} out"
            )
    if "residual" in truth and config["noise"] == "published":
        raise ConfigError(
            "residuals need images in e-/s with noise of a known sigma; give --noise nominal, or leave residual out"
        )
    named = [name for name in TRUTHS if name in truth]
    return ({"detectability": True} if detectability else {}) | (
        {"truth": named} if named else {}
    )


def check_picture(name: str) -> None:
    """`ConfigError` with a suggestion for what is neither the image nor in `PICTURES`."""
    if name not in (IMAGE, *PICTURES):
        raise unknown("picture", name, [IMAGE, *PICTURES])


def check_kept(folder: Path | str, config: dict[str, Any], *names: str) -> None:
    """`ConfigError` if a data set of that config does not keep one of the pictures."""
    for name in names:
        check_picture(name)
        if name != IMAGE and name not in config.get("truth", ()):
            maker = (
                "lenssim import pairs"
                if name == PAIRED
                else f"lenssim generate --truth {name}"
            )
            raise ConfigError(f"{folder} keeps no {name!r}; pictures are kept by {maker}")


def truth_modules(config: dict[str, Any]) -> list[str]:
    """Modules that take long to import and that the truth of a config needs."""
    requested = {
        "detectability": config.get("detectability"),
        "fit": "residual" in config.get("truth", ()),
    }
    return [
        f"lenssim.simulate.engines.batched.{name}"
        for name, needed in requested.items()
        if needed
    ]


def pictures(sight: Sight) -> dict[str, np.ndarray]:
    """The pictures that a config asks for, float32 (N, C, H, W)."""
    return {
        name: TRUTHS[name](sight).astype(np.float32)
        for name in sight.config.get("truth", ())
    }


def scalars(
    scenes: Scenes, preset: Preset, config: dict[str, Any], truth: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The columns (N,) that a config asks for besides the drawn ones: see `detectability`; chi2 of a residual."""
    columns = {}
    if config.get("detectability"):
        from lenssim.simulate.engines.batched.detectability import detectability

        columns = detectability(scenes, preset.instrument, **_derived(config))
    if "residual" in truth:
        columns["chi2"] = (truth["residual"].astype(np.float64) ** 2).sum(axis=(1, 2, 3))
    return columns


def _derived(config: dict[str, Any]) -> dict[str, Any]:
    """Options of what takes derivatives of the engine."""
    return {name: config["engine_settings"][name] for name in ("precision", "kernels")} | {
        "supersampling": config["supersampling"]
    }
