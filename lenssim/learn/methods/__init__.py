"""Methods, one a file: a new one is a subclass of `Method` and its line in `METHODS`."""

from functools import partial

from pydantic import ValidationError

from lenssim.errors import ConfigError, from_validation, unknown
from lenssim.learn.config import TrainConfig, explain
from lenssim.learn.methods.adaptation.adabn import AdaBN
from lenssim.learn.methods.adaptation.adamatch import AdaMatch
from lenssim.learn.methods.adaptation.adda import ADDA
from lenssim.learn.methods.adaptation.cgdm import CGDM
from lenssim.learn.methods.adaptation.coral import Coral
from lenssim.learn.methods.adaptation.dann import DANN
from lenssim.learn.methods.adaptation.mmd import MMD
from lenssim.learn.methods.adaptation.self_ensemble import SelfEnsemble
from lenssim.learn.methods.adaptation.sidda import SIDDA
from lenssim.learn.methods.adaptation.transfer import Transfer
from lenssim.learn.methods.adaptation.wdgrl import WDGRL
from lenssim.learn.methods.detectors import DETECTORS
from lenssim.learn.methods.mae import Mae
from lenssim.learn.methods.method import MODEL, Method, TrainingSetup
from lenssim.learn.methods.scan import Scan
from lenssim.learn.methods.simclr import SimClr
from lenssim.learn.methods.supervised import Supervised
from lenssim.learn.tasks.adaptable_config import AdaptableConfig

__all__ = ["METHODS", "MODEL", "Method", "TrainingSetup", "method_of", "target_of"]

METHODS: dict[str, type[Method]] = {
    "supervised": Supervised,
    "adabn": AdaBN,
    "coral": Coral,
    "mmd": MMD,
    "dann": DANN,
    "adda": ADDA,
    "wdgrl": WDGRL,
    "sidda": SIDDA,
    "self_ensemble": SelfEnsemble,
    "adamatch": AdaMatch,
    "cgdm": CGDM,
    "transfer": Transfer,
    **DETECTORS,
    "simclr": SimClr,
    "mae": Mae,
    "scan": Scan,
}


def method_of(config: TrainConfig) -> Method:
    """Return the method of a training with its settings.

    Raises:
        ConfigError: There is no such method or setting, or it needs other data sets.
    """
    name = config.method
    if name not in METHODS:
        raise unknown("method", name, METHODS, code="unknown-method")
    kind = METHODS[name]
    _check_sources(config, kind)
    if kind.tasks and config.task not in kind.tasks:
        raise ConfigError(
            f"the method {name} serves lenssim train {' or '.join(kind.tasks)}, "
            f"not {config.task}",
            code="method-task",
            method=name,
            task=config.task,
        )
    try:
        return kind.model_validate(config.method_settings)
    except ValidationError as error:
        where = f"method {name}"
        raise from_validation(error, where, explain=partial(explain, kind=kind)) from None


def _check_sources(config: TrainConfig, kind: type[Method]) -> None:
    """Raise `ConfigError` if a method needs a target and there is none, or the reverse."""
    target = target_of(config)
    if (target is not None) == (len(kind.sources) > 1):
        return
    pairs = [name for name, method in METHODS.items() if len(method.sources) > 1]
    advice = f"give --target, the data set to adapt to; {config.task} must take it"
    if target is not None:
        advice = f"give --adapt with the target: {', '.join(pairs)}"
    raise ConfigError(
        f"the method {config.method} learns from {' and '.join(kind.sources)}: {advice}",
        code="method-sources",
        method=config.method,
    )


def target_of(config: TrainConfig) -> str | None:
    """Return the data set that a training is adapted to, if any."""
    if isinstance(config, AdaptableConfig):
        return config.target
    return None
