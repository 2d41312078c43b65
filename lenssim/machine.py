"""What this process may use of the machine: cores and memory, on every system that Python runs on."""

import sys

__all__ = ["available_cores", "available_memory", "peak_resident_bytes"]


def available_cores() -> int:
    """Return the number of cores that this process may use: its affinity and its container's quota.

    Example:
        >>> available_cores() >= 1
        True
    """
    from dask.system import cpu_count

    return max(1, int(cpu_count()))


def available_memory() -> int:
    """Return the bytes of memory that this process may use, by machine, container and `ulimit -m`.

    Example:
        >>> available_memory() > 2**20
        True
    """
    from distributed.system import memory_limit

    return int(memory_limit())


def peak_resident_bytes() -> int:
    """Return the most memory, in bytes, that this process has had resident since it began.

    Example:
        >>> peak_resident_bytes() > 2**20
        True
    """
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
