"""The networks that a training can choose from."""

from typing import Any, overload

from lenssim.api.arguments import checked

__all__ = ["nets"]


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
