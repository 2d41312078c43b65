"""Kernels of a data set, compiled before its first image, where they are missing."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np

from lenssim.cache import cache_folder
from lenssim.data.format.files import canonical_json
from lenssim.data.format.manifest import Plan
from lenssim.data.generation.progress import Progress, Report
from lenssim.machine import processor_features
from lenssim.simulate import engines
from lenssim.simulate.arcs import sources_alone
from lenssim.simulate.draw import draw
from lenssim.simulate.spec import SimulationSpec

__all__ = ["compile_kernels"]

_KERNELS = "kernels"  # folder in the cache
_SCENES_A_CLASS = 4  # drawn to see which kernels are needed


def compile_kernels(plan: Plan, report: Report) -> None:
    """Compile the kernels that images of a plan need and that are not in the cache.

    Where all of them are, a list in the cache says so, and torch is not imported.

    Args:
        plan: The plan of a simulated data set.
        report: Hears of it as a phase.
    """
    spec = plan.spec
    settings = spec.engine_settings
    if spec.engine != "batched" or settings.get("kernels") != "compiled":
        return
    if settings.get("device") != "cpu":
        return
    record = _record_of(spec)
    if record is not None and _is_complete(record):
        return
    packages = _compile(plan, report)
    if record is not None:
        with suppress(OSError):
            record.write_text(json.dumps(packages), encoding="utf-8")


def _compile(plan: Plan, report: Report) -> list[str]:
    """Compile the missing kernels of a plan, and return the files of all."""
    from lenssim.simulate.engines.batched.deflections import Deflections
    from lenssim.simulate.engines.batched.engine import Batched
    from lenssim.simulate.engines.batched.jobs import needed_jobs
    from lenssim.simulate.engines.batched.preparation import compile_all, packages_of

    spec = plan.spec
    renderer = Batched(**spec.engine_settings)
    deflections: Deflections = renderer.deflections
    numbers = np.arange(_SCENES_A_CLASS * len(spec.preset.classes))
    scenes = draw(spec.preset, numbers, seed=spec.seed, split=spec.split)
    camera = spec.preset.instrument
    jobs = needed_jobs(deflections, scenes, camera, spec.supersampling)
    if spec.has_arc_columns:
        arcs = sources_alone(scenes)
        further = needed_jobs(deflections, arcs, camera, spec.supersampling)
        jobs += [job for job in further if job not in jobs]

    def tell(done: int, count: int, seconds: float | None) -> None:
        text = f"compiling kernels {done}/{count}"
        if seconds is not None:
            text += f", about {seconds:.0f} s left"
        report(Progress(0, plan.n, 0, phase=text))

    compile_all(jobs, tell)
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
