"""Fits from scratch beside fits from the truth: uv run python benchmarks/fit.py [--n 60] [--out FILE.jsonl]

With --peers, lenstronomy's swarm and PyAutoLens's Nautilus fit the same lenses, from one blind start: minutes to an
hour of a core a lens. --quick gives them less. With --out, what is done is kept in a file, and the same command goes
on from there.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fit_peers import FULL, PEERS, QUICK, Budget, blind_start, seconds

from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.preparation import binned_psf, prepare
from lenssim.simulate.fit.refinement import refine, refined_scenes
from lenssim.simulate.fit.search import search
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.pipeline import Exposure, simulate
from lenssim.simulate.preset import load_preset
from lenssim.simulate.scenes import Scenes
from lenssim.simulate.spec import SimulationSpec

BATCH = 60
MARGIN = 1.0  # of chi2: a fit within it of the truth-started one is at the same minimum


def main() -> None:
    """Print how many fits from scratch reach the minimum, their errors, and CPU seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="hst-arcs", help="a preset without lens light")
    parser.add_argument("--n", type=int, default=BATCH)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="lines of JSON, one a batch and peer")
    parser.add_argument("--peers", action="store_true", help="fit by other codes, too")
    parser.add_argument("--quick", action="store_true", help="give them less time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    work = Work(options.model, options.seed, Record(options.out))
    batches = [
        work.batch(start, min(start + BATCH, options.n))
        for start in range(0, options.n, BATCH)
    ]
    columns = {
        name: np.concatenate([np.array(batch["columns"][name]) for batch in batches])
        for name in batches[0]["columns"]
    }
    spent = {
        name: sum(batch["spent"][name] for batch in batches) for name in batches[0]["spent"]
    }
    _print(columns, spent)
    if options.peers:
        _print_peers(work, columns, QUICK if options.quick else FULL)


class Record:
    """What is done, by a key; in a file, if there is one, so that it need not be done again."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.done: dict[str, Any] = {}
        if path is not None and path.exists():
            self.done = dict(json.loads(line) for line in path.read_text().splitlines())

    def of(self, key: str, work: Callable[[], Any]) -> Any:
        """Return what was done under a key, or do it."""
        if key not in self.done:
            self.done[key] = work()
            if self.path is not None:
                with self.path.open("a") as file:
                    file.write(json.dumps([key, self.done[key]]) + "\n")
        return self.done[key]


@dataclass
class Work:
    """The lenses of a preset and a seed, and the record of their fits."""

    model: str
    seed: int
    record: Record

    def exposure(self, numbers: np.ndarray) -> Exposure:
        """Return the images of some lenses."""
        preset = load_preset(self.model)
        spec = SimulationSpec.of(preset, seed=self.seed, noise="nominal")
        return simulate(spec, numbers)

    def batch(self, start: int, stop: int) -> dict[str, Any]:
        """Return the fits of some lenses, and the CPU seconds they took."""

        def fit() -> dict[str, Any]:
            spent = {"truth": 0.0, "search": 0.0, "last fit": 0.0}
            columns = _compared(self.exposure(np.arange(start, stop)), spent)
            listed = {name: column.tolist() for name, column in columns.items()}
            return {"columns": listed, "spent": spent}

        return self.record.of(f"{self.model} {self.seed} {start}-{stop}", fit)


def _print_peers(work: Work, columns: dict[str, np.ndarray], budget: Budget) -> None:
    """Fit the same lenses by other codes; print chi2, theta_E and CPU seconds of each."""
    print(f"peers, from one blind start: {budget}")
    answers: dict[str, list[list[float]]] = {name: [] for name in PEERS}
    for row in range(len(columns["chi2"])):
        for name, fit in PEERS.items():
            key = f"{work.model} {work.seed} {row} {name} {budget}"
            chi2, theta_E, evaluations, spent = work.record.of(
                key, partial(_peer, work, row, fit, budget)
            )
            gap = chi2 - columns["truth-started chi2"][row]
            error = 100 * (theta_E / columns["true theta_E"][row] - 1)
            answers[name].append([gap, abs(error), spent])
            print(
                f"{name}: lens {row}, chi2 {gap:+,.1f} from the truth-started, theta_E "
                f"{error:+.2f} %, {spent:.0f} CPU s, {evaluations:,} evaluations",
                flush=True,
            )
    for name, rows in answers.items():
        gaps, errors, spent = np.array(rows).T
        print(
            f"{name}: {len(rows)} lenses, {(gaps <= MARGIN).sum()} at the minimum; theta_E: "
            f"{(errors < 1).sum()} within 1 %, {(errors < 5).sum()} within 5 %; "
            f"{spent.mean():.0f} CPU s a lens"
        )


def _peer(work: Work, row: int, fit: Callable[..., Any], budget: Budget) -> list[float]:
    """Return chi2, theta_E, evaluations and CPU seconds of another code's fit of a lens."""
    exposure = work.exposure(np.array([row]))
    camera = exposure.spec.preset.instrument
    images = exposure.observed.astype(np.float64)
    sigma = noise_sigma(images, exposure.scenes, camera)
    planes = {
        name: float(exposure.scenes.params[name][0]) for name in ("z_lens", "z_source")
    }
    begin = seconds()
    answer = fit(blind_start(planes), camera, images[0, 0], sigma[0, 0], budget)
    return [*map(float, answer[:2]), int(answer[2]), seconds() - begin]


def _compared(exposure: Exposure, spent: dict[str, float]) -> dict[str, np.ndarray]:
    """Fit lenses from the truth and from scratch, at the same rays."""
    camera = exposure.spec.preset.instrument
    images = exposure.observed
    sigma = noise_sigma(images.astype(np.float64), exposure.scenes, camera)
    begin = time.process_time()
    truth = refine(images[:, 0], sigma[:, 0], exposure.scenes, camera)
    spent["truth"] += time.process_time() - begin
    begin = time.process_time()
    results = []
    for row, number in enumerate(exposure.numbers):
        psf = camera.of_image(exposure.scenes.params, row).psf
        kernel = binned_psf(psf.kernel_at(camera.pixel_scale), psf.supersampling)
        lens = Observation.of(
            str(number), images[row, 0], sigma[row, 0], kernel, camera.pixel_scale
        )
        prepared = prepare(lens, has_light=False)
        results.append(search([prepared], Search(has_light=False))[0])
    spent["search"] += time.process_time() - begin
    begin = time.process_time()
    planes = {
        name: exposure.scenes.params[name]
        for name in ("z_lens", "z_source", "psf_index", "psf_fwhm")
        if name in exposure.scenes.params
    }
    starts = [
        refined_scenes(
            result,
            result.best,
            params={name: float(column[row]) for name, column in planes.items()},
        )
        for row, result in enumerate(results)
    ]
    refined = refine(images[:, 0], sigma[:, 0], Scenes.concatenate(starts), camera)
    spent["last fit"] += time.process_time() - begin
    searched = np.array([float(result.best.values[0]) for result in results])
    return {
        "chi2": refined.chi2,
        "truth-started chi2": truth.chi2,
        "search chi2 a pixel": np.array([r.best.chi2 / r.pixels for r in results]),
        "escalated": np.array([bool(r.escalated) for r in results]),
        "theta_E": refined.scenes.params["theta_E"],
        "searched theta_E": searched,
        "true theta_E": exposure.scenes.params["theta_E"],
    }


def _print(columns: dict[str, np.ndarray], spent: dict[str, float]) -> None:
    count = len(columns["chi2"])
    gap = columns["chi2"] - columns["truth-started chi2"]
    print(f"{count} lenses")
    print(f"at the minimum (chi2 <= truth-started + {MARGIN:g}): {(gap <= MARGIN).sum()}")
    print(f"lower by more than {MARGIN:g}: {(gap < -MARGIN).sum()}")
    print(f"searched on the finer grid: {columns['escalated'].sum()}")
    for name in ("searched theta_E", "theta_E"):
        errors = np.abs(columns[name] / columns["true theta_E"] - 1)
        shares = ", ".join(
            f"{(errors < limit).sum()} within {100 * limit:g} %"
            for limit in (0.01, 0.02, 0.05)
        )
        print(f"{name}: {shares}")
    for name, total in spent.items():
        print(f"{name}: {total / count:.2f} CPU s a lens")
    for row in np.flatnonzero(gap > MARGIN):
        print(
            f"missed: row {row}, chi2 {columns['chi2'][row]:,.1f} against "
            f"{columns['truth-started chi2'][row]:,.1f}, search "
            f"{columns['search chi2 a pixel'][row]:.2f} a pixel"
        )


if __name__ == "__main__":
    main()
