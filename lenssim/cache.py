"""Where things are kept between runs and where they lie during one: the cache, temporary files, the folder of a run."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lenssim.errors import SurroundingsError
from lenssim.folders import danger, make_private, refusal, shared_danger
from lenssim.notes import RUN_FOLDER, say_once

__all__ = [
    "KERNEL_ROOM",
    "cache_fault",
    "cache_folder",
    "cache_root",
    "prepare_run_folder",
    "private_compilers",
    "run_folder",
    "scratch_folder",
    "temporary_fault",
    "temporary_folder",
]

KERNEL_ROOM = 32 << 20  # bytes: what compiling and unpacking the kernels of a run takes
_COMPILERS = (
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
    "NUMBA_CACHE_DIR",
    "JAX_COMPILATION_CACHE_DIR",
)


def cache_root() -> Path | None:
    """Return the folder of all that is kept: `LENSSIM_CACHE`, or `lenssim` in the user's cache; None without a home."""
    if named := os.environ.get("LENSSIM_CACHE"):
        return Path(os.path.abspath(named))  # noqa: PTH100 - resolve() would follow links
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path("~/.cache").expanduser()
        except RuntimeError:  # no home is known
            return None
    return base / "lenssim" if base.is_absolute() else None


def cache_folder(name: str) -> Path | None:
    """Return a folder of the cache from which programs may be loaded; None if there is none or others can change it.

    Args:
        name: Name of the folder below the cache's root.
    """
    root = cache_root()
    if root is None or make_private(root / name) or danger(root / name, root):
        return None
    return root / name


def cache_fault(name: str) -> str:
    """Return why nothing can be kept in a folder of the cache, or "" if it can.

    Args:
        name: Name of the folder below the cache's root.
    """
    root = cache_root()
    if root is None:
        return "this user has no home folder"
    folder = root / name
    return make_private(folder) or danger(folder, root) or refusal(folder, KERNEL_ROOM)


def temporary_fault(folder: Path) -> str:
    """Return why programs cannot be unpacked and run in a folder for temporary files, or "" if they can."""
    if not folder.is_dir():
        return "it is no folder"
    fault = shared_danger(folder) or refusal(folder, KERNEL_ROOM)
    if not fault and os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
        return "its file system runs no programs (noexec)"
    return fault


def temporary_folder() -> Path:
    """Return the folder for temporary files, and let every library find the same one through `TMPDIR`.

    Where TMPDIR cannot be used another folder is, and a note says so.

    Raises:
        SurroundingsError: No folder takes temporary files.
    """
    named = [os.environ[name] for name in ("TMPDIR", "TMP", "TEMP") if os.environ.get(name)]
    faults: list[str] = []
    for text in [*named, "/tmp", "/var/tmp"]:
        fault = temporary_fault(Path(text))
        if not fault:
            return _settled(Path(text), faults)
        faults.append(f"{text} cannot be used: {fault}")
    root = cache_root()
    if root is not None and not cache_fault("tmp") and not temporary_fault(root / "tmp"):
        return _settled(root / "tmp", faults)
    raise SurroundingsError(
        f"no folder takes temporary files ({'; '.join(dict.fromkeys(faults))}): set TMPDIR to a folder of your own "
        f"with {KERNEL_ROOM >> 20} MiB of free space",
        code="no-temporary-folder",
    )


def _settled(folder: Path, faults: list[str]) -> Path:
    if faults:
        say_once("tmpdir", f"temporary files go to {folder}; {faults[0]}")
        os.environ["TMPDIR"] = str(folder)
        tempfile.tempdir = str(folder)
    return folder


def run_folder() -> Path:
    """Return a private folder that all processes of this run share; whoever made it removes it in the end.

    Raises:
        SurroundingsError: No folder takes temporary files.
    """
    named = os.environ.get(RUN_FOLDER)
    if named and not danger(Path(named)):
        return Path(named)
    try:
        folder = Path(tempfile.mkdtemp(prefix="lenssim-run-", dir=temporary_folder()))
    except OSError as error:
        raise SurroundingsError(
            f"no folder can be made for temporary files: {error}; set TMPDIR",
            code="no-temporary-folder",
        ) from None
    os.environ[RUN_FOLDER] = str(folder)
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a private folder to work in, gone afterwards.

    Raises:
        SurroundingsError: No folder takes temporary files.
    """
    with tempfile.TemporaryDirectory(
        prefix="lenssim-", dir=temporary_folder(), ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def prepare_run_folder() -> None:
    """Make the folder of the run where the cache cannot keep kernels, so that processes begun later share it.

    Raises:
        SurroundingsError: Kernels can be compiled and unpacked nowhere.
    """
    temporary_folder()
    if cache_fault("kernels"):
        run_folder()


def private_compilers() -> None:
    """Let torch, triton, numba and JAX keep what they compile only where nobody else can plant programs.

    torch's default is a folder in /tmp whose name anybody can take first.

    Raises:
        SurroundingsError: No folder takes temporary files.
    """
    for name in _COMPILERS:
        text = os.environ.get(name)
        if text and not _private(Path(text)):
            say_once(name, f"{name}={text} is not used, because others can write there")
            os.environ[name] = str(_compiler_folder(name))
    if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(_compiler_folder(_COMPILERS[0]))


def _private(folder: Path) -> bool:
    return not make_private(folder) and not danger(folder)


def _compiler_folder(name: str) -> Path:
    part = name.split("_")[0].lower()
    root = cache_root()
    if root is None or cache_fault(part) or temporary_fault(root / part):
        return run_folder() / part
    return root / part
