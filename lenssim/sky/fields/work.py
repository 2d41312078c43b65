"""The working folder of an extraction: background and objects of each tile, so that it resumes."""

import io
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import make_folder, read_json, write, write_json
from lenssim.data.generation.failures import Outcome
from lenssim.data.generation.runners import Job, Runner
from lenssim.errors import ConfigError, IncompleteError
from lenssim.formats.limits import refusing
from lenssim.sky.fields.detection import detect_objects
from lenssim.sky.fields.field import BandFiles, WideField, Window, open_field
from lenssim.sky.fields.files import FieldFiles
from lenssim.sky.fields.filtering import settings_of
from lenssim.sky.fields.mesh import BackgroundMesh, measured_mesh
from lenssim.sky.fields.request import ExtractRequest
from lenssim.sky.fields.tiles import tiles_of

__all__ = ["DETECTIONS", "Workspace", "read_arrays", "write_arrays"]

DETECTIONS = "detections"
_FIELD = "field.json"
_MESHES = "meshes.npz"


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays by name as one file, whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write(path, buffer.getbuffer())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name.

    Raises:
        DataError: The file is missing or damaged.
    """
    with refusing(path, ".npz"), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


class Workspace:
    """What is known of a field so far, on disk.

    Args:
        folder: The folder of the data set.
        files: The files of the field.
        request: How its objects are found.

    Raises:
        ConfigError: The folder holds the work on another field, or with other options.
    """

    def __init__(self, folder: Path, files: FieldFiles, request: ExtractRequest) -> None:
        self.folder = folder / DETECTIONS
        self.files = files
        self.request = request
        self._check()

    @property
    def document(self) -> dict[str, Any]:
        """What the objects of a field depend on."""
        return {
            "field": self.files.name,
            "contents_sha256": self.files.digest,
            "options": self.request.config(),
        }

    def _check(self) -> None:
        path = self.folder / _FIELD
        if not path.exists():
            make_folder(self.folder)
            write_json(path, self.document)
            return
        if read_json(path) != self.document:
            raise ConfigError(
                f"{self.folder.parent} holds the objects of another field, or of other "
                "options; choose another --out",
                code="folder-in-use",
                folder=self.folder.parent,
            )

    def meshes(self, field: WideField) -> list[BackgroundMesh]:
        """Return the background of each band, measured once."""
        path = self.folder / _MESHES
        if not path.exists():
            arrays = {}
            for number in range(len(field.names)):
                mesh = _measured(field, number, self.request)
                arrays[f"level{number}"] = mesh.level
                arrays[f"rms{number}"] = mesh.rms
            write_arrays(path, arrays)
        return read_meshes(self.folder, self.request)

    def objects(
        self,
        shape: tuple[int, int],
        runner: Runner,
        report: Callable[[int, int], None],
        stop: Callable[[], bool],
    ) -> dict[str, np.ndarray]:
        """Return the objects of all tiles; those that were found before are read.

        Args:
            shape: Rows and columns of the field.
            runner: Where the tiles are searched.
            report: Is told how many tiles of how many are searched.
            stop: Whether to begin no further tile.

        Raises:
            IncompleteError: Work stopped before its end; the same call continues it.
        """
        side = self.request.tile
        make_folder(self.folder / str(side))
        numbers = range(len(tiles_of(shape, side)))
        paths = [tile_path(self.folder, side, number) for number in numbers]
        todo = [number for number, path in enumerate(paths) if not path.exists()]
        searched = len(paths) - len(todo)
        for _ in runner(self._job(), _until(todo, stop)):
            searched += 1
            report(searched, len(paths))
        if searched < len(paths):
            raise IncompleteError(
                f"stopped: {searched} of {len(paths)} tiles are searched and safe; repeat the "
                "command to continue",
                code="stopped",
            )
        parts = [read_arrays(path) for path in paths]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _job(self) -> Job:
        """Return what searches a tile."""
        files = self.files
        return partial(_search_tile, self.folder, files.bands, self.request, files.psf_fwhm)


def _until(todo: list[int], stop: Callable[[], bool]) -> Iterable[int]:
    for number in todo:
        if stop():
            return
        yield number


def tile_path(folder: Path, side: int, number: int) -> Path:
    """Return the file of the objects of a tile."""
    return folder / str(side) / f"{number:06d}.npz"


def read_meshes(folder: Path, request: ExtractRequest) -> list[BackgroundMesh]:
    """Return the background of each band as it was written."""
    arrays = read_arrays(folder / _MESHES)
    return [
        BackgroundMesh(request.mesh, arrays[f"level{n}"], arrays[f"rms{n}"])
        for n in range(len(arrays) // 2)
    ]


def _search_tile(
    folder: Path,
    bands: tuple[BandFiles, ...],
    request: ExtractRequest,
    psf_fwhm: float | None,
    number: int,
) -> Outcome:
    """Find the objects of one tile: the task of one worker."""
    with open_field(bands, request) as field:
        tile = tiles_of(field.shape, request.tile)[number]
        settings = settings_of(request, field.pixel_scale, psf_fwhm)
        objects = detect_objects(field, read_meshes(folder, request), tile, settings)
    write_arrays(tile_path(folder, request.tile, number), objects)
    return Outcome(number, len(objects["x"]))


def _measured(field: WideField, number: int, request: ExtractRequest) -> BackgroundMesh:
    """Measure the background of one band; its level is 0 where it is subtracted already."""
    columns = slice(0, field.shape[1])

    def read(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        band = field.read(Window(rows, columns))[number]
        return band.flux, ~band.mask

    mesh = measured_mesh(read, field.shape, request.mesh)
    if request.background == "none":
        return BackgroundMesh(mesh.side, np.zeros_like(mesh.level), mesh.rms)
    return mesh
