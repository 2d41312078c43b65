"""Facts about networks, for people who choose one."""

from importlib import import_module
from inspect import getdoc
from types import ModuleType
from typing import Any

from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets import IMAGE_NETS, NETS, build_net, parameter_count

__all__ = ["net_facts", "net_summary"]

_STAMP = 64  # pixels
_OUTPUTS = 3


def net_summary(name: str) -> str:
    """Return what a network is, in one sentence.

    Example:
        >>> net_summary("resnet18")
        'Standard backbones as timm builds them, from scratch: resnet18.'
    """
    module, member = _module(name)
    summary = (getdoc(module) or "").splitlines()[0].rstrip(".")
    if not member:
        return f"{summary}."
    return f"{summary.partition(':')[0]}: {member}."


def net_facts(name: str) -> dict[str, Any]:
    """Return the facts about a network, as `lenssim.nets` gives them."""
    module, _ = _module(name)
    smallest = getattr(module, "SMALLEST", 1)
    parameters = None
    if smallest <= _STAMP:
        images = ImageDescription((1, _STAMP, _STAMP))
        parameters = parameter_count(build_net(name, images, _OUTPUTS))
    return {
        "summary": net_summary(name),
        "answers": "images" if name in IMAGE_NETS else "numbers",
        "smallest_stamp": smallest,
        "parameters": parameters,
    }


def _module(name: str) -> tuple[ModuleType, str]:
    """Return the module of a network, and which of a family it is."""
    module, _, member = NETS.get(name, name).partition(":")
    return import_module(f"lenssim.learn.nets.{module}"), member
