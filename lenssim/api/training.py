"""Training from Python: the settings of the command line as keyword arguments."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.options import check_names, model_options, settings_of
from lenssim.api.run import Run
from lenssim.api.signatures import takes_options
from lenssim.learn.methods import METHODS
from lenssim.learn.tasks import TASKS

if TYPE_CHECKING:
    from lenssim.learn.config import TrainConfig

__all__ = ["TrainingSettings", "default_folder", "train", "training_settings"]


class TrainingSettings(TypedDict, total=False):
    """Types of the settings of a training; defaults and words stand in the settings of its task."""

    live: Path | str | None
    live_n: int | None
    live_seed: int | None
    live_endless: bool | None
    live_noise: str | None
    live_split: str | None
    live_classes: Sequence[str] | str | None
    live_galaxies: Path | str | None
    live_lenses: Path | str | None
    live_shared: Sequence[str] | str | None
    live_engine: str | None
    live_precision: str | None
    live_device: str | None
    live_supersampling: str | int | None
    live_maps: Sequence[str] | str | None
    live_residual_from: str | None
    live_detectability: bool | None
    net: str | None
    picture: str | None
    start: Path | str | None
    pretrained: bool | None
    through: Path | str | None
    target: Path | str | None
    adapt: str | None
    select: Literal["source", "alignment", "infomax", "bnm"] | None
    epochs: int | None
    batch_size: int | None
    optimiser: str | None
    schedule: str | None
    learning_rate: float | None
    weight_decay: float | None
    seed: int | None
    normalise: str | None
    augment: str | None
    dropout: float | str | None
    draws: int | None
    patience: int | None
    limit: int | None
    checkpoint_steps: int | None
    logger: Literal["csv", "tensorboard", "wandb"] | None
    workers: int | None
    class_weights: Mapping[str, float] | str | None
    precision: Literal["32", "bf16", "16"] | None
    compile: bool | None
    devices: int | None
    device: str | None
    targets: Sequence[str] | str | None
    head: str | None
    only: str | None
    positive: str | None
    prevalence: float | None
    views: Literal["mean", "product"] | None
    balanced: bool | None
    balanced_batches: bool | None
    method: str | None
    coral_weight: float | None
    mmd_weight: float | None
    dann_weight: float | None
    adda_encoder_rate: float | None
    wdgrl_weight: float | None
    wdgrl_steps: int | None
    wdgrl_penalty: float | None
    sidda_warmup: float | None
    ensemble_decay: float | None
    ensemble_confidence: float | None
    ensemble_weight: float | None
    ensemble_balance: float | None
    adamatch_threshold: float | None
    adamatch_noise: float | None
    cgdm_weight: float | None
    cgdm_steps: int | None
    transfer_labels: int | None
    transfer_frozen: bool | None
    detector: str | None
    normal: str | None
    unlabelled: bool | None
    alarm_rate: float | None
    components: int | None
    core: int | None
    deceit: float | None
    divergence: float | None
    latent: int | None
    prior: float | None
    temperature: float | None
    projection: int | None
    masked: float | None
    patch: int | None
    neighbours: int | None
    balance: float | None
    embedding: int | None
    clusters: int | None


@checked
@takes_options(
    *(entry.settings for entry in TASKS.values()),
    *METHODS.values(),
    types=TrainingSettings,
    without=(),
    **dict.fromkeys(TrainingSettings.__annotations__),
)
def train(
    task: str,
    data: Dataset | Path | str | None = None,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    **options: Unpack[TrainingSettings],
) -> Run:
    """Train a network on a data set; test blocks are left for `evaluate`.

    Progress is shown on stderr: a bar on a terminal, else a line an epoch.

    Args:
        task: classify, find, denoise, anomaly, represent, cluster, or regress with `targets=`.
        data: The data set, its folder or its URL; or `live=` names a preset to simulate.
        out: Folder of the run; None: runs/ and the names of net and data.
        resume: Whether to go on with the run in `out`, with its settings.
        **options: Settings of the training.

    Returns:
        The run.

    Raises:
        ConfigError: A setting is unknown or cannot be, or the folder holds another training.
        DataError: The data cannot be learned from.

    Example:
        >>> train("classify", "data/III", out="runs/cnn", resume=True).record.result.epochs
        1
    """
    from lenssim.api.progress import show_first_compilation

    config, folder = _prepared(task, data, out, resume, options)

    # seconds of imports: bad settings are named before
    from lenssim.learn.runs.model_card import write_card
    from lenssim.learn.training.progress import progress
    from lenssim.learn.training.training import train as fit

    if config.live is not None:
        plan = config.live.plan()
        show_first_compilation(plan.spec, plan.n)
    trained = fit(config, folder, resume=resume, callbacks=[progress()])
    write_card(trained)
    return Run(folder)


def _prepared(
    task: str,
    data: Dataset | Path | str | None,
    out: Path | str | None,
    resume: bool,
    settings: Mapping[str, Any],
) -> "tuple[TrainConfig, Path]":
    """Return the checked settings of a training, and the folder of its run."""
    from lenssim.data.streaming.locations import open_location
    from lenssim.data.streaming.urls import is_url
    from lenssim.learn.methods import method_of
    from lenssim.learn.tasks import parse_config
    from lenssim.learn.training.loggers import check_logger

    values = training_settings(task, data, settings)
    folder = default_folder(values) if out is None else Path(out)
    earlier: dict[str, Any] = {}
    if resume:
        from lenssim.learn.runs.run import open_run  # imports torch

        earlier = open_run(folder).record.config.model_dump()
    config = parse_config({**earlier, **values}, "training")
    method_of(config)
    check_logger(config.logger)
    if config.data is not None and not is_url(config.data):
        open_location(config.data)
    return config, folder


def training_settings(
    task: str, data: Dataset | Path | str | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return settings as `parse_config` takes them, without those that are None.

    Args:
        task: Name of the task.
        data: The data set, its folder or its URL.
        settings: The settings by name; those of live data begin with `live_`.

    Raises:
        ConfigError: There is no such task or setting.

    Example:
        >>> training_settings("regress", "data/III", {"targets": "e1,e2", "net": None})
        {'task': 'regress', 'data': 'data/III', 'targets': ('e1', 'e2')}
    """
    from lenssim.learn.tasks import task_entry

    model = task_entry(task).settings
    stated = {name: value for name, value in settings.items() if value is not None}
    if data is not None:
        stated["data"] = str(data.source.folder if isinstance(data, Dataset) else data)
    method_options = [
        option for method in METHODS.values() for option in model_options(method)
    ]
    check_names(stated, [*model_options(model, ("task",)), *method_options])
    values = {"task": task, **settings_of(model, stated)}
    method_settings: dict[str, Any] = {}
    for method in METHODS.values():
        method_settings |= settings_of(method, stated)
    if method_settings:
        values["method_settings"] = method_settings
    return values


def default_folder(settings: Mapping[str, Any]) -> Path:
    """Return `runs/` and the net, the data set or live preset, and the picture, as one name.

    Args:
        settings: Settings as `training_settings` returns them.

    Example:
        >>> default_folder({"data": "data/III", "net": "timm:resnet18"}).as_posix()
        'runs/timm-resnet18-III'
    """
    live = settings.get("live", {}).get("model", "")
    source = Path(live).stem
    if "data" in settings:
        source = Path(settings["data"]).resolve().name
    picture = settings.get("picture", "image")
    words = [settings.get("detector", settings.get("net", "cnn")), source]
    if picture != "image":
        words.append(picture)
    return Path("runs") / "-".join(words).replace(":", "-").replace("/", "-")
