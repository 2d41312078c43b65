"""What calls the loops of a kernel, written so that g++ takes a tenth of a second for it.

torch writes these calls anew for each kernel, for headers that take g++ six seconds. calls.h
declares the same names in a hundred lines. The loops themselves stay as torch writes them.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["short_calls"]

_DECLARATIONS = Path(__file__).with_name("calls.h")
_MOST_INPUTS = 32  # of calls.h
_LOOPS = re.compile(r'^extern "C" +void +\w+\([^)]*\);', re.MULTILINE)
_CONSTANTS = re.compile(r"^CACHE_TORCH_\w+\(\w+\);", re.MULTILINE)
_COUNTS = re.compile(r"AOTInductorModelBase\((\d+),\s*(\d+),\s*(\d+),")
_SPEC = re.compile(r'^ *(in|out)_spec_ = (R"\(.*\)");$', re.MULTILINE)
_CALLS = re.compile(
    r"^void AOTInductorModel::run_impl\(.*^\} // AOTInductorModel::run_impl$",
    re.MULTILINE | re.DOTALL,
)


@contextmanager
def short_calls() -> Iterator[None]:
    """Let torch compile the calls of a kernel with the declarations of calls.h.

    Calls of a form that is not known here stay as they are.
    """
    from torch._inductor import codecache

    compiler = codecache.AotCodeCompiler

    class Short(compiler):  # type: ignore[misc, valid-type]
        """torch's compiler, given short calls."""

        @classmethod
        def compile(cls, module: Any, calls: str, *rest: Any, **options: Any) -> Any:
            return compiler.compile(module, shortened(calls) or calls, *rest, **options)

    codecache.AotCodeCompiler = Short  # type: ignore[misc]
    try:
        yield
    finally:
        codecache.AotCodeCompiler = compiler  # type: ignore[misc]


def shortened(text: str) -> str | None:
    """Return what torch wrote of a kernel, less all that its calls do not need.

    Args:
        text: torch's C++ of the calls.

    Returns:
        None where the text has another form, or the kernel holds constants.
    """
    counts = _COUNTS.search(text)
    calls = _CALLS.search(text)
    specs = dict(_SPEC.findall(text))
    loops = _LOOPS.findall(text)
    if counts is None or calls is None or not loops or set(specs) != {"in", "out"}:
        return None
    inputs, outputs, constants = map(int, counts.groups())
    if constants or inputs > _MOST_INPUTS:
        return None
    parts = [
        _DECLARATIONS.read_text(encoding="utf-8"),
        f"const size_t NUM_OUTPUTS = {outputs};",
        f"const char* const IN_SPEC = {specs['in']};",
        f"const char* const OUT_SPEC = {specs['out']};",
        *loops,
        *_CONSTANTS.findall(text),
        "namespace torch::aot_inductor {",
        calls.group(),
        "}",
    ]
    return "\n".join(parts) + "\n"
