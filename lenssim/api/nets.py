"""Networks: those that a training can choose from, and trained ones that come with lenssim."""

from pathlib import Path
from typing import Any, overload

from lenssim.api.arguments import checked
from lenssim.api.run import Run, as_run

__all__ = ["nets", "pack", "pretrained"]


@overload
def nets(name: None = None) -> dict[str, str]: ...
@overload
def nets(name: str) -> dict[str, Any]: ...
@checked
def nets(name: str | None = None) -> dict[str, Any]:
    """Return the networks that `train` knows, or facts about one.

    Args:
        name: Name of a network, or `timm:` and the name of a model of timm; None for all.

    Returns:
        What each network is, by name. For one network `summary`, `answers` (numbers or
        images), `smallest_stamp` in pixels, and `parameters` for stamps of 64 pixels, one
        band and three outputs (None where the network takes only larger stamps).

    Raises:
        ConfigError: There is no such network.

    Example:
        >>> "swin" in nets()
        True
        >>> nets("cnn")["parameters"]
        125683
    """
    from lenssim.learn.nets import NETS, check_net
    from lenssim.learn.nets.facts import net_facts, net_summary

    if name is None:
        return {name: net_summary(name) for name in NETS}
    check_net(name)
    return net_facts(name)


@checked
def pretrained() -> dict[str, str]:
    """Return the trained networks that come with lenssim.

    `pretrained:NAME` stands wherever a run's folder may: in `predict`, `evaluate`, `load_run`,
    and as the start of a training.

    Returns:
        What each network does, and what it has learned from, by name.

    Example:
        >>> all(isinstance(text, str) for text in pretrained().values())
        True
    """
    from lenssim.learn.runs.pretrained import pretrained_runs
    from lenssim.learn.runs.run import open_run

    texts = {}
    for name, folder in pretrained_runs().items():
        record = open_run(folder).record
        images = f"{record.samples['train']:,} images of {record.data.title}"
        texts[name] = f"{record.task.title}; {record.config.net}, learned from {images}"
    return texts


@checked
def pack(run: Run | Path | str, out: Path | str) -> Run:
    """Write a run in a form to share: rounded weights, no code, no history of the training.

    Args:
        run: The run, or its folder.
        out: Folder to write to.

    Returns:
        The packed run. It evaluates and predicts, and trainings start from it.

    Raises:
        ConfigError: The training has not ended, or the folder holds something.
        DataError: A file of the run is damaged.

    Example:
        >>> packed = pack("runs/cnn", "packed/cnn")
        >>> sorted(path.name for path in packed.folder.rglob("*") if path.is_file())
        ['best.safetensors', 'card.md', 'hashes.json', 'novelty.json', 'run.json']
    """
    from lenssim.learn.runs.model_card import write_card
    from lenssim.learn.runs.packing import pack_run

    packed = pack_run(as_run(run).trained, Path(out))
    write_card(packed)
    return Run(packed.folder)
