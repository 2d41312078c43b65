"""What this process may use of the machine: cores and memory, on every system that Python runs on.

All calls that only some systems have stand here, each with what is done without it.
"""

import math
import os
import platform
import sys
from collections.abc import Buffer, Iterator
from contextlib import suppress
from pathlib import Path

__all__ = [
    "available_cores",
    "available_memory",
    "graphics_cards",
    "open_files_limit",
    "peak_resident_bytes",
    "processor_features",
    "read_at",
    "reset_peak_resident",
]

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_PROCESS = Path("/proc/self")
_CARDS = Path("/proc/driver/nvidia/gpus")
_NO_LIMIT = sys.maxsize


def available_cores() -> int:
    """Return the number of cores that this process may use: its affinity and its container's quota.

    Example:
        >>> available_cores() >= 1
        True
    """
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    for group in _control_groups("cpu"):
        cores = min(cores, _quota(group))
    return max(1, cores)


def available_memory() -> int:
    """Return the bytes of memory that this process may use, by machine, container and `ulimit -m`.

    Example:
        >>> available_memory() > 2**20
        True
    """
    limits = [_installed_memory(), _resident_limit()]
    for group in _control_groups("memory"):
        limits += [
            _number(group / name)
            for name in ("memory.max", "memory.high", "memory.limit_in_bytes")
        ]
    return min(limits)


def graphics_cards() -> list[str]:
    """Return the NVIDIA cards that this process may use, as CUDA_VISIBLE_DEVICES names them.

    Example:
        >>> isinstance(graphics_cards(), list)
        True
    """
    stated = os.environ.get("CUDA_VISIBLE_DEVICES")
    if stated is not None:
        return [name.strip() for name in stated.split(",") if name.strip()]
    with suppress(OSError):
        return [str(number) for number, _ in enumerate(_CARDS.iterdir())]
    return []


def peak_resident_bytes() -> int:
    """Return the most memory, in bytes, that this process has had resident.

    Counted from the last `reset_peak_resident` where the system can, else from the process's begin.

    Example:
        >>> peak_resident_bytes() > 2**20
        True
    """
    with suppress(OSError, StopIteration):
        lines = (_PROCESS / "status").read_text().splitlines()
        return (
            next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
        )
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        peak if sys.platform == "darwin" else peak * 1024
    )  # others than macOS count in KiB


def reset_peak_resident() -> None:
    """Begin anew to watch the resident memory, where the system can do that (Linux)."""
    with suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5")


def open_files_limit() -> tuple[int, int] | None:
    """Return how many files this process may have open, now and at the most; None for no limit."""
    try:
        import resource
    except ImportError:
        return None
    limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if limit == resource.RLIM_INFINITY else (limit, hard_limit)


def processor_features() -> str:
    """Return what programs compiled for this processor may use, as one text.

    Example:
        >>> processor_features() == processor_features()
        True
    """
    described = ("flags", "Features", "model name")  # x86, ARM, both
    lines: set[str] = set()
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(errors="replace")
        lines = {line for line in text.splitlines() if line.startswith(described)}
    return "\n".join([platform.machine(), platform.processor(), *sorted(lines)])


def read_at(descriptor: int, target: Buffer, offset: int) -> int:
    """Fill a contiguous array from an open file at `offset`; return the number of bytes read.

    Raises:
        OSError: The file cannot be read.
    """
    in_place = getattr(os, "preadv", None)  # macOS has it since 11
    if in_place is not None:
        return in_place(descriptor, [target], offset)
    room = memoryview(target).cast("B")
    data = os.pread(descriptor, len(room), offset)
    room[: len(data)] = data
    return len(data)


def _installed_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _NO_LIMIT


def _resident_limit() -> int:
    try:
        import resource
    except ImportError:
        return _NO_LIMIT
    limit, _ = resource.getrlimit(resource.RLIMIT_RSS)
    return limit if limit > 0 else _NO_LIMIT


def _control_groups(controller: str) -> Iterator[Path]:
    """Yield the folder of this process's control group and those above it: each may set a limit."""
    try:
        lines = (_PROCESS / "cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = (
            _CONTROL_GROUPS / controller if controllers else _CONTROL_GROUPS
        )  # version 1, version 2
        folder = top if ".." in name else top / name.lstrip("/")
        yield folder
        while folder != top:
            folder = folder.parent
            yield folder


def _quota(group: Path) -> int:
    """Return the cores that a control group may use, rounded up."""
    try:
        version_2 = group / "cpu.max"
        if version_2.exists():
            quota, period = version_2.read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        cores = math.ceil(int(quota) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # "max" is no number
        return _NO_LIMIT
    return cores if cores > 0 else _NO_LIMIT


def _number(path: Path) -> int:
    """Return the positive number in a file of the system's, or no limit."""
    try:
        value = int(path.read_text())
    except (OSError, ValueError):
        return _NO_LIMIT
    return value if value > 0 else _NO_LIMIT
