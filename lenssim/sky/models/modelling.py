"""Modelling: from the lenses of a data set to a data set of their models, which resumes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import lenssim
from lenssim.data.format.labels import UNLABELLED, unlabelled_config
from lenssim.data.format.manifest import Manifest, Plan
from lenssim.data.format.shard import Samples
from lenssim.data.generation.building import build, provenance
from lenssim.data.generation.finishing import finish_shard
from lenssim.data.generation.runners import local_runner
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError
from lenssim.simulate.fit.lens_model import LensModel, fit_lens
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.power_law import with_power_law
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.fit.stamp_frame import from_stamp, stamp_of
from lenssim.simulate.sources.sersic import unit_flux
from lenssim.sky.models.cameras import camera_of_observation
from lenssim.sky.models.columns import MAPS, column_units, columns_of
from lenssim.sky.models.lenses import Lenses
from lenssim.sky.models.request import FitRequest
from lenssim.sky.models.starts import NO_STARTS, Starts
from lenssim.sky.models.work import SILENT_WORK, Work

__all__ = ["MODULE", "UNUSABLE", "fit_plan", "fit_rows", "model_dataset"]

MODULE = "lenssim.sky.models.modelling"
UNUSABLE = "unusable"  # the flag of a lens that cannot be fitted
_LAYOUT = "fit"
_QUICK: dict[str, Any] = {
    "starts": 3,
    "minima": 2,
    "has_additions": False,
    "escalates": False,
}
_SHARD_ROWS = {"mge": 4, "pixels": 1, "sersic": 64}  # a power law is fitted in batches


def fit_plan(
    dataset: ShardDataset, request: FitRequest, starts: Starts = NO_STARTS
) -> Plan:
    """Return the plan of a data set of models.

    Args:
        dataset: The data set whose lenses are modelled.
        request: How they are modelled.
        starts: Further starts of the searches.
    """
    count = min(len(dataset), request.n or len(dataset))
    labelled = dataset.labels is not None
    labels: dict[str, Any] = {} if labelled else unlabelled_config()
    config = {
        "kind": "imported",
        "layout": _LAYOUT,
        "source": dataset.folder.name,
        "contents_sha256": dataset.fingerprint,
        "options": request.config() | dict(starts.digests),
        "truth": list(MAPS),
        "pixel_scale": dataset.pixel_scale,
        **labels,
        "versions": {"lenssim": lenssim.__version__},
    }
    return Plan(
        n=count,
        shard_size=_shard_rows(dataset, request),
        classes=dataset.classes if labelled else (UNLABELLED,),
        config=config,
    )


def _shard_rows(dataset: ShardDataset, request: FitRequest) -> int:
    """Return how many lenses are modelled before they are written."""
    if dataset.spec is None:  # each has a PSF of its own, so none share a batch
        return min(_SHARD_ROWS[request.source], _SHARD_ROWS["mge"])
    return _SHARD_ROWS[request.source]


def model_dataset(
    folder: Path,
    lenses: Lenses,
    starts: Starts = NO_STARTS,
    work: Work = SILENT_WORK,
) -> Manifest:
    """Model the lenses of a data set, or go on with it.

    Args:
        folder: Folder of the data set of models.
        lenses: The lenses, and how they are modelled.
        starts: Further starts of the searches.
        work: How it is carried out.

    Raises:
        ConfigError: The data set cannot be modelled, or the folder holds something else.
        IncompleteError: Work stopped before its end; the same call continues it.
    """
    lenses.check()
    plan = fit_plan(lenses.dataset, lenses.request, starts)
    source = str(lenses.dataset.folder.resolve())
    task = partial(_make_shard, source, lenses.request, starts)
    count = min(work.workers, plan.shards)
    runner = local_runner(count, preload=[MODULE], note=work.note)
    return build(folder, plan, task, runner, work.report, stop=work.stop)


def _make_shard(
    source: str,
    request: FitRequest,
    starts: Starts,
    folder: str,
    document: dict[str, Any],
    shard: int,
) -> int:
    """Model the lenses of one shard: the task of one worker."""
    plan = Plan.model_validate(document)
    lenses = Lenses(ShardDataset(source), request)
    samples = fit_rows(lenses, plan, np.array(plan.rows(shard)), starts)
    return finish_shard(Path(folder), plan, shard, samples)


@dataclass
class _Results:
    """The models of some rows of a data set, and why others have none."""

    rows: np.ndarray
    observations: dict[int, Observation] = field(default_factory=dict)
    models: dict[int, LensModel] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def fit_rows(
    lenses: Lenses, plan: Plan, rows: np.ndarray, starts: Starts = NO_STARTS
) -> Samples:
    """Return the models of some rows of a data set, as a shard keeps them.

    Args:
        lenses: The lenses.
        plan: The plan of the data set of models.
        rows: Rows (N,) of the data set.
        starts: Further starts of the searches.
    """
    results = _Results(rows)
    for row in rows.tolist():
        try:
            observation = lenses.observation(row)
            results.models[row] = _searched(lenses, observation, starts)
            results.observations[row] = observation
        except DataError as error:
            if error.code != "unfit-observation":
                raise
            results.refused[row] = str(error)
    if lenses.request.source == "sersic":
        _refine(lenses, results)
    for model in results.models.values():
        model.numbers["magnification"] = _magnification(model)
    return _samples(lenses, plan, results)


def _searched(lenses: Lenses, observation: Observation, starts: Starts) -> LensModel:
    """Return the model of one lens with a source of Gaussians or of pixels."""
    quick = _QUICK if lenses.request.quick else {}
    return fit_lens(
        observation,
        Search(
            has_light=lenses.has_light,
            has_multipoles=lenses.request.multipoles,
            has_slope=lenses.request.has_slope,
            **quick,
        ),
        candidates=starts.of(observation.name),
        device=lenses.request.device,
        has_evidence=lenses.request.source == "pixels",
    )


def _magnification(model: LensModel) -> float:
    """Return the flux of the lensed source over that of the source; NaN without a source."""
    names = ("source_R_sersic", "source_n_sersic", "source_amp")
    radius, index, amp = (np.array([model.numbers.get(name, np.nan)]) for name in names)
    if not amp > 0:
        return np.nan
    flux = float((amp * unit_flux(radius, index))[0])
    return float(model.pictures["source"].sum()) / flux


def _refine(lenses: Lenses, results: _Results) -> None:
    """Replace models by those of a power law, where the search found a source."""
    models = results.models
    rows = [row for row, model in models.items() if "no-arcs" not in model.flags]
    if not rows:
        return
    if not lenses.is_simulated:
        for row in rows:
            models[row] = _refined_stamp(models[row], results.observations[row])
        return
    refined = with_power_law(
        [results.observations[row] for row in rows],
        [models[row] for row in rows],
        lenses.camera,
        [lenses.camera_columns(row) for row in rows],
    )
    models.update(zip(rows, refined, strict=True))


def _refined_stamp(model: LensModel, observation: Observation) -> LensModel:
    """Return the power law of a real image, which has a PSF of its own and is large."""
    stamp, start = stamp_of(model)
    camera = camera_of_observation(stamp)
    (fitted,) = with_power_law([stamp], [start], camera, [{}])
    return from_stamp(fitted, model, observation)


def _samples(lenses: Lenses, plan: Plan, results: _Results) -> Samples:
    dataset = lenses.dataset
    names = columns_of(lenses.request)
    band = slice(lenses.band, lenses.band + 1)
    rows = results.rows
    images = dataset.images(rows)[:, band]
    params = {name: _column(results, name) for name in names}
    for name, column in dataset.params.items():
        params[f"true_{name}"] = np.asarray(column, np.float64)[rows]
    labels = np.zeros(len(rows), np.int64)
    if dataset.labels is not None:
        labels = dataset.labels[rows]
    return Samples(
        images=np.nan_to_num(images, posinf=0.0, neginf=0.0),
        labels=labels,
        index=rows,
        params=params,
        perturbers={},
        units=column_units(names),
        attributes=provenance(plan),
        texts=_texts(dataset, results),
        truth={name: _pictures(results, name, images.shape) for name in MAPS},
    )


def _column(results: _Results, name: str) -> np.ndarray:
    """Return a column (N,), NaN where a lens has no such number."""
    values = [
        results.models[row].numbers.get(name, np.nan) if row in results.models else np.nan
        for row in results.rows.tolist()
    ]
    column = np.array(values, np.float64)
    return np.where(np.isfinite(column), column, np.nan)


def _pictures(results: _Results, name: str, shape: Sequence[int]) -> np.ndarray:
    """Return pictures float32 (N, 1, H, W), 0 where a lens was not modelled."""
    pictures = np.zeros(shape, np.float32)
    for position, row in enumerate(results.rows.tolist()):
        if row in results.models:
            picture = results.models[row].pictures[name]
            pictures[position, 0] = np.nan_to_num(picture)
    return pictures


def _texts(dataset: ShardDataset, results: _Results) -> dict[str, list[str]]:
    """Return the texts of each lens: its name, its flags and its covariances."""
    texts: dict[str, list[str]] = {"name": [], "flags": [], "problem": [], "covariance": []}
    for row in results.rows.tolist():
        number = int(dataset.index[row])
        texts["name"].append(dataset.names.get(number, str(number)))
        texts["problem"].append(results.refused.get(row, ""))
        if row not in results.models:
            texts["flags"].append(UNUSABLE)
            texts["covariance"].append("{}")
            continue
        model = results.models[row]
        texts["flags"].append(" ".join(model.flags))
        document = {
            "names": model.names,
            "formal": np.nan_to_num(model.covariance).tolist(),
            "sandwich": np.nan_to_num(model.sandwich).tolist(),
        }
        texts["covariance"].append(json.dumps(document))
    return texts
