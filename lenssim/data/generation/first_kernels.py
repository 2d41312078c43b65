"""Kernels, compiled before the first image that needs them, where they are missing."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from lenssim.cache import cache_folder
from lenssim.data.format.files import canonical_json
from lenssim.data.generation.progress import Progress, Report
from lenssim.machine import processor_features
from lenssim.simulate import engines
from lenssim.simulate.arcs import sources_alone
from lenssim.simulate.draw import draw
from lenssim.simulate.spec import SimulationSpec

__all__ = ["compile_kernels"]

_KERNELS = "kernels"  # folder in the cache
_HELPERS = 8  # at most; no data set needs many more kernels
_SCENES_A_CLASS = 4  # drawn to see which kernels are needed


def compile_kernels(
    spec: SimulationSpec,
    report: Report,
    images: int,
    numbers: Sequence[int] | None = None,
) -> None:
    """Compile the kernels that images need and that are not in the cache.

    Where all of them are, a list in the cache says so, and torch is not imported.

    Args:
        spec: What is simulated.
        report: Hears of it as a phase.
        images: How many images there will be, for the report.
        numbers: Sample numbers that tell which kernels are needed. None: those of a whole
            data set are.
    """
    settings = spec.engine_settings
    if spec.engine != "batched" or settings.get("kernels") != "compiled":
        return
    if settings.get("device") != "cpu":
        return
    record = _record_of(spec)
    if record is not None and _is_complete(record):
        return

    def tell(done: int, count: int, seconds: float | None) -> None:
        text = f"compiling kernels {done}/{count}"
        if seconds is not None:
            text += f", about {seconds:.0f} s left"
        report(Progress(0, images, 0, phase=text))

    if numbers is not None:
        _compile(spec, np.asarray(numbers), tell)
        return
    scenes = np.arange(_SCENES_A_CLASS * len(spec.preset.classes))
    packages = _compile(spec, scenes, tell, early=True)
    if record is not None:
        with suppress(OSError):
            record.write_text(json.dumps(packages), encoding="utf-8")


def _compile(
    spec: SimulationSpec,
    numbers: np.ndarray,
    tell: Callable[[int, int, float | None], None],
    *,
    early: bool = False,
) -> list[str]:
    """Compile the missing kernels of samples, and return the files of all.

    `early` processes import torch's compiler while this one finds out what is missing.
    """
    from lenssim.simulate.engines.batched.compilers import waiting_compilers

    helpers = waiting_compilers(_HELPERS) if early else []
    from lenssim.simulate.engines.batched.deflections import Deflections
    from lenssim.simulate.engines.batched.engine import Batched
    from lenssim.simulate.engines.batched.jobs import needed_jobs
    from lenssim.simulate.engines.batched.preparation import compile_all, packages_of

    renderer = Batched(**spec.engine_settings)
    deflections: Deflections = renderer.deflections
    scenes = draw(spec.preset, numbers, seed=spec.seed, split=spec.split)
    camera = spec.preset.instrument
    jobs = needed_jobs(deflections, scenes, camera, spec.supersampling)
    if spec.has_arc_columns:
        arcs = sources_alone(scenes)
        further = needed_jobs(deflections, arcs, camera, spec.supersampling)
        jobs += [job for job in further if job not in jobs]
    compile_all(jobs, tell, helpers)
    return list(packages_of(jobs))


def _record_of(spec: SimulationSpec) -> Path | None:
    """Return the list of kernels of such data sets in the cache, None without a cache."""
    folder = cache_folder(_KERNELS)
    if folder is None:
        return None
    config = spec.config()
    facts = [config["preset"], config["engine_settings"], config["supersampling"]]
    digest = hashlib.sha256(canonical_json([*facts, config["versions"]]))
    digest.update(processor_features().encode())
    for path in sorted((Path(engines.__file__).parent / "batched").rglob("*.py")):
        digest.update(path.read_bytes())
    return folder / f"{digest.hexdigest()[:32]}.json"


def _is_complete(record: Path) -> bool:
    """Return whether all kernels of a list are in the cache."""
    try:
        packages = json.loads(record.read_text(encoding="utf-8"))
        return all((record.parent / str(package)).is_file() for package in packages)
    except (OSError, ValueError, TypeError):
        return False
