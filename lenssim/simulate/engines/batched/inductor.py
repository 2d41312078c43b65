"""torch's compiler, told to keep what it loads again where nobody else can plant programs."""

import os
import sys
from pathlib import Path

from lenssim.cache import private_compilers

__all__ = ["private_inductor"]


def private_inductor() -> None:
    """Move every cache of torch's compiler out of `/tmp/torchinductor_<user>`, a name that anybody can take first.

    `TORCHINDUCTOR_CACHE_DIR` alone leaves precompiled headers and pickled results there.

    Raises:
        SurroundingsError: No folder takes temporary files.
    """
    private_compilers()
    folder = os.environ["TORCHINDUCTOR_CACHE_DIR"]
    import torch._inductor.codecache as codecache
    from torch._inductor.runtime import cache_dir_utils

    before = cache_dir_utils.default_cache_dir
    if getattr(before, "folder", None) == folder:
        return

    def private_folder() -> str:
        return folder

    private_folder.folder = folder  # type: ignore[attr-defined]
    for name, module in list(sys.modules.items()):
        if name.startswith("torch.") and vars(module).get("default_cache_dir") is before:
            module.default_cache_dir = private_folder  # type: ignore[attr-defined]
    if hasattr(codecache, "_HEADER_DIR"):
        headers = Path(folder) / "precompiled_headers"
        codecache._HEADER_DIR = str(headers)
        codecache._HEADER_LOCK_DIR = str(headers / "locks")
