"""Modelling: from the lenses of a data set to a data set of their models, which resumes."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import lenssim
from lenssim.data.format.labels import UNLABELLED, unlabelled_config
from lenssim.data.format.manifest import Manifest, Plan
from lenssim.data.format.shard import Samples
from lenssim.data.generation.building import Stop, build, provenance
from lenssim.data.generation.finishing import finish_shard
from lenssim.data.generation.progress import Progress
from lenssim.data.generation.runners import local_runner
from lenssim.data.modelling.columns import MAPS, column_units, columns_of
from lenssim.data.modelling.guesses import guesses_digest, read_guesses
from lenssim.data.modelling.lenses import Lenses
from lenssim.data.modelling.request import FitRequest
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError
from lenssim.simulate.fit.lens_model import LensModel, fit_lens
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.power_law import with_power_law
from lenssim.simulate.fit.scan import Candidate
from lenssim.simulate.fit.settings import Search

__all__ = ["MODULE", "UNUSABLE", "fit_plan", "fit_rows", "model_dataset"]

MODULE = "lenssim.data.modelling.modelling"
UNUSABLE = "unusable"  # the flag of a lens that cannot be fitted
_LAYOUT = "fit"
_SHARD_ROWS = {"mge": 4, "pixels": 1, "sersic": 64}  # a power law is fitted in batches


def fit_plan(dataset: ShardDataset, request: FitRequest) -> Plan:
    """Return the plan of a data set of models.

    Args:
        dataset: The data set whose lenses are modelled.
        request: How they are modelled.
    """
    count = min(len(dataset), request.n or len(dataset))
    labelled = dataset.labels is not None
    labels: dict[str, Any] = {} if labelled else unlabelled_config()
    guesses: dict[str, str] = {}
    if request.guesses is not None:
        guesses["guesses_sha256"] = guesses_digest(request.guesses)
    config = {
        "kind": "imported",
        "layout": _LAYOUT,
        "source": dataset.folder.name,
        "contents_sha256": dataset.fingerprint,
        "options": request.config() | guesses,
        "truth": list(MAPS),
        "pixel_scale": dataset.pixel_scale,
        **labels,
        "versions": {"lenssim": lenssim.__version__},
    }
    return Plan(
        n=count,
        shard_size=_SHARD_ROWS[request.source],
        classes=dataset.classes if labelled else (UNLABELLED,),
        config=config,
    )


def _names(dataset: ShardDataset) -> tuple[str, ...]:
    """Return the names of the lenses: those of the data set, or else their numbers."""
    return tuple(
        dataset.names.get(number, str(number)) for number in dataset.index.tolist()
    )


def model_dataset(
    folder: Path,
    dataset: ShardDataset,
    request: FitRequest,
    *,
    workers: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
    note: Callable[[str], None] = lambda text: None,
    stop: Stop = lambda: False,
) -> Manifest:
    """Model the lenses of a data set, or go on with it.

    Args:
        folder: Folder of the data set of models.
        dataset: The data set whose lenses are modelled.
        request: How they are modelled.
        workers: Processes of dask; 0: this one.
        report: Is told of the progress.
        note: Hears of workers that do not fit into memory.
        stop: Whether to begin no further shard.

    Raises:
        ConfigError: The data set cannot be modelled, or the folder holds something else.
        IncompleteError: Work stopped before its end; the same call continues it.
    """
    Lenses(dataset, request).check()
    starts: dict[str, Candidate] = {}
    if request.guesses is not None:
        starts = read_guesses(request.guesses, _names(dataset))
    plan = fit_plan(dataset, request)
    task = partial(_make_shard, str(dataset.folder.resolve()), request, starts)
    count = min(workers, plan.shards)
    runner = local_runner(count, preload=[MODULE], note=note)
    return build(folder, plan, task, runner, report, stop=stop)


def _make_shard(
    source: str,
    request: FitRequest,
    starts: dict[str, Candidate],
    folder: str,
    document: dict[str, Any],
    shard: int,
) -> int:
    """Model the lenses of one shard: the task of one worker."""
    plan = Plan.model_validate(document)
    lenses = Lenses(ShardDataset(source), request)
    samples = fit_rows(lenses, plan, np.array(plan.rows(shard)), starts)
    return finish_shard(Path(folder), plan, shard, samples)


def fit_rows(
    lenses: Lenses, plan: Plan, rows: np.ndarray, starts: dict[str, Candidate]
) -> Samples:
    """Return the models of some rows of a data set, as a shard keeps them.

    Args:
        lenses: The lenses.
        plan: The plan of the data set of models.
        rows: Rows (N,) of the data set.
        starts: Further starts by the name of the lens.
    """
    settings = Search(has_light=lenses.has_light)
    models: dict[int, LensModel] = {}
    observations: dict[int, Observation] = {}
    refused: dict[int, str] = {}
    for row in rows.tolist():
        try:
            observation = lenses.observation(row)
            extra = [starts[observation.name]] if observation.name in starts else []
            models[row] = fit_lens(
                observation,
                settings,
                candidates=extra,
                device=lenses.request.device,
                has_evidence=lenses.request.source == "pixels",
            )
            observations[row] = observation
        except DataError as error:
            if error.code != "unfit-observation":
                raise
            refused[row] = str(error)
    if lenses.request.source == "sersic" and models:
        _refine(lenses, observations, models)
    return _samples(lenses, plan, rows, models, refused)


def _refine(
    lenses: Lenses, observations: dict[int, Observation], models: dict[int, LensModel]
) -> None:
    """Replace models by those of a power law, where the search found a source."""
    rows = [row for row, model in models.items() if "no-arcs" not in model.flags]
    if not rows:
        return
    refined = with_power_law(
        [observations[row] for row in rows],
        [models[row] for row in rows],
        lenses.camera,
        [lenses.camera_columns(row) for row in rows],
    )
    models.update(zip(rows, refined, strict=True))


def _samples(
    lenses: Lenses,
    plan: Plan,
    rows: np.ndarray,
    models: dict[int, LensModel],
    refused: dict[int, str],
) -> Samples:
    dataset = lenses.dataset
    names = columns_of(lenses.request)
    band = slice(lenses.band, lenses.band + 1)
    images = dataset.images(rows)[:, band]
    params = {name: _column(models, rows, name) for name in names}
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
        texts=_texts(dataset, rows, models, refused),
        truth={name: _pictures(models, rows, name, images.shape) for name in MAPS},
    )


def _column(models: dict[int, LensModel], rows: np.ndarray, name: str) -> np.ndarray:
    """Return a column (N,), NaN where a lens has no such number."""
    values = [
        models[row].numbers.get(name, np.nan) if row in models else np.nan
        for row in rows.tolist()
    ]
    column = np.array(values, np.float64)
    return np.where(np.isfinite(column), column, np.nan)


def _pictures(
    models: dict[int, LensModel], rows: np.ndarray, name: str, shape: Sequence[int]
) -> np.ndarray:
    """Return pictures float32 (N, 1, H, W), 0 where a lens was not modelled."""
    pictures = np.zeros(shape, np.float32)
    for position, row in enumerate(rows.tolist()):
        if row in models:
            pictures[position, 0] = np.nan_to_num(models[row].pictures[name])
    return pictures


def _texts(
    dataset: ShardDataset,
    rows: np.ndarray,
    models: dict[int, LensModel],
    refused: dict[int, str],
) -> dict[str, list[str]]:
    """Return the texts of each lens: its name, its flags and its covariances."""
    texts: dict[str, list[str]] = {"name": [], "flags": [], "problem": [], "covariance": []}
    for row in rows.tolist():
        number = int(dataset.index[row])
        texts["name"].append(dataset.names.get(number, str(number)))
        texts["problem"].append(refused.get(row, ""))
        if row not in models:
            texts["flags"].append(UNUSABLE)
            texts["covariance"].append("{}")
            continue
        model = models[row]
        texts["flags"].append(" ".join(model.flags))
        document = {
            "names": model.names,
            "formal": np.nan_to_num(model.covariance).tolist(),
            "sandwich": np.nan_to_num(model.sandwich).tolist(),
        }
        texts["covariance"].append(json.dumps(document))
    return texts
