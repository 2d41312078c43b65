"""Imports that wait until something is used, so that what is not used costs nothing."""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = (
    False  # as type checkers read it; importing typing takes longer than all else
)
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["import_on_use", "lazy_exports", "load"]


def lazy_exports(
    package: str, sources: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package that imports what it exports on first use.

    Args:
        package: Name of the package, `__name__`.
        sources: The module that holds each exported name. A module that stands for itself is named
            by its own path, `{"errors": "lenssim.errors"}`.

    Returns:
        The two functions of PEP 562, to be assigned in the package.

    Example:
        >>> get, names = lazy_exports("shapes", {"sqrt": "math", "pi": "math"})
        >>> get("sqrt")(9.0), names()
        (3.0, ['pi', 'sqrt'])
    """

    def __getattr__(name: str) -> Any:
        if name not in sources:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(sources[name])
        if sources[name] == f"{package}.{name}":
            return module
        return getattr(module, name)

    def __dir__() -> list[str]:
        return sorted(sources)

    return __getattr__, __dir__


def import_on_use(package: str, name: str) -> None:
    """Let other people's modules say `from package import name` without importing that module.

    From then on, the statement binds a module that is imported when its first attribute is
    read.

    Args:
        package: Name of the package.
        name: Name of a module in it. Nothing happens if it is imported already.

    Example:
        >>> import_on_use("xml", "sax")
        >>> from xml import sax
        >>> sax.ContentHandler.__name__
        'ContentHandler'
    """
    from importlib.util import LazyLoader, find_spec, module_from_spec

    full_name = f"{package}.{name}"
    if full_name in sys.modules:
        return
    spec = find_spec(full_name)
    if spec is None or spec.loader is None:
        return
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    sys.modules[full_name] = module
    spec.loader.exec_module(module)
    setattr(sys.modules[package], name, module)


def load(path: str) -> Any:
    """Return what a registry names by its place, importing the module now.

    Args:
        path: Module and name, such as "math:pi".

    Example:
        >>> load("math:sqrt")(9.0)
        3.0
    """
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
