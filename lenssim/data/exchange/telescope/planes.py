"""The images that lie in a folder: where each is, and what its names say of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from lenssim.data.exchange.tally import Tally
from lenssim.data.exchange.telescope.words import parts_of_name, parts_of_path
from lenssim.data.format.manifest import PLAN
from lenssim.errors import DataError
from lenssim.folders import lies_in
from lenssim.formats.files import is_image_name, is_passed_over
from lenssim.formats.fits import fits_names
from lenssim.formats.hdf5 import hdf5_shapes
from lenssim.names import printable

__all__ = [
    "LensFiles",
    "Plane",
    "Roles",
    "files_below",
    "lenses_in",
    "planes_of_file",
]

_HDF5 = (".h5", ".hdf5")
_DEPTH = 6  # folders within folders
_SCALARS = {  # of HDF5 files in the style of lenstronomy
    "background_rms": "background_rms",
    "exposure_time": "exposure_time",
    "transform_pix2angle": "transform",
    "likelihood_mask": "used",
    "kernel_point_source": "psf",
    "pixel_scale": "pixel_scale",
    "deltapix": "pixel_scale",
    "zero_point": "zero_point",
    "magnitude_zero_point": "zero_point",
}
_UNREAD = ("psf_error_map", "psf_variance_map", "ra_at_xy_0", "dec_at_xy_0")


@dataclass(frozen=True)
class Plane:
    """One image of a file.

    Attributes:
        path: The file.
        unit: Name of the extension or dataset; None where the file is one array.
        band: Its band as written, or "".
        role: A key of `ROLES`, or of the numbers beside images in HDF5 files.
    """

    path: Path
    unit: str | None
    band: str
    role: str

    def __str__(self) -> str:
        if self.unit is None:
            return printable(str(self.path))
        return f"{printable(str(self.path))}, {printable(self.unit)}"


@dataclass(frozen=True)
class LensFiles:
    """A lens and all images of it.

    Attributes:
        name: Its name in the data set.
        source: The folder that is imported.
        planes: Its images, noise maps, masks and PSFs, in the order of their files.
    """

    name: str
    source: Path
    planes: tuple[Plane, ...]

    @property
    def file(self) -> str:
        """Path of its first image, relative to the folder that is imported."""
        return self.paths[0].relative_to(self.source).as_posix()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, that of the first image before the others."""
        images = [plane.path for plane in self.planes if plane.role == "image"]
        others = [plane.path for plane in self.planes]
        return tuple(dict.fromkeys([*images[:1], *others]))


@dataclass(frozen=True)
class Roles:
    """Extensions that a user names by hand: names or numbers, one for each band.

    Attributes:
        units: Names by role, such as `{"image": ("1", "3"), "sigma": ("2", "4")}`.
        bands: Names of the bands in the same order; empty where nobody named them.
    """

    units: dict[str, tuple[str, ...]]
    bands: tuple[str, ...] = ()

    def band(self, number: int, count: int) -> str:
        """Return the band of the extension of some number among `count` ones."""
        if count == 1:
            return ""
        if len(self.bands) == count:
            return self.bands[number]
        return str(number + 1)


def lenses_in(source: Path, tally: Tally, roles: Roles, without: Path) -> list[LensFiles]:
    """Return the lenses whose images lie in a folder, in order of their names.

    Args:
        source: The folder, or a single file.
        tally: Counts what is left out.
        roles: Extensions that are named by hand.
        without: A folder in it that is passed over.

    Raises:
        DataError: A file cannot be read, does not say which of its images is meant, or the
            folder holds none.
    """
    home = source.parent if source.is_file() else source
    by_lens: dict[str, list[Plane]] = {}
    for path in files_below(source, tally, without):
        words = parts_of_path(path.relative_to(home))
        try:
            planes = planes_of_file(path, roles, words.band)
        except DataError as error:
            tally.leave_out_for(error, "files that cannot be used")
            continue
        name = words.name or home.resolve().name
        by_lens.setdefault(name, []).extend(planes)
    lenses = [
        LensFiles(name, home, tuple(planes)) for name, planes in sorted(by_lens.items())
    ]
    return [lens for lens in lenses if _is_whole(lens, tally)]


def planes_of_file(path: Path, roles: Roles, band: str) -> list[Plane]:
    """Return the images of a file with what its names say of them.

    Args:
        path: The file.
        roles: Extensions that are named by hand.
        band: Band of those images whose names do not state one.

    Raises:
        DataError: The file cannot be read, or does not say which of its images is meant.
    """
    return [replace(plane, band=plane.band or band) for plane in _planes(path, roles)]


def _is_whole(lens: LensFiles, tally: Tally) -> bool:
    """Tell whether a lens has an image and no two for one purpose; else it is left out."""
    problem = ""
    first: dict[tuple[str, str], Plane] = {}
    for plane in lens.planes:
        key = (plane.role, plane.band.casefold())
        other = first.setdefault(key, plane)
        if other is not plane:
            band = plane.band or "its only band"
            problem = (
                f"{printable(lens.name)} has two images as {plane.role} of {band}: "
                f"{other} and {plane}; name the right ones by --extension, or move one away"
            )
    if not problem and not any(plane.role == "image" for plane in lens.planes):
        problem = f"{printable(lens.name)} has no image, only {lens.planes[0]}"
    if problem:
        error = DataError(problem, code="image-unclear", lens=lens.name)
        tally.leave_out_for(error, "lenses that are unclear")
    return not problem


def files_below(source: Path, tally: Tally, without: Path) -> list[Path]:
    """Return the files of images in a folder and in the folders within, by name.

    Args:
        source: The folder, or a single file, which is all there is.
        tally: Counts what is passed over, or cannot be read.
        without: A folder in it that is passed over.

    Raises:
        DataError: It is no folder, or cannot be read.
    """
    if source.is_file() and _is_readable(source.name):
        return [source]
    if not source.is_dir():
        raise DataError(
            f"{printable(str(source))} is no folder and no .fits, .h5 or .npy file; give the folder of the images",
            code="no-folder",
            folder=source,
        )
    return _files(source, tally, without, 0)


def _listed(folder: Path, tally: Tally, depth: int) -> list[Path]:
    """Return what lies in a folder, by name; nothing of a data set, or where it is left out."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        fault = DataError(
            f"cannot read {printable(str(folder))}: {error.strerror}",
            code="unreadable-file",
            folder=folder,
        )
        if depth == 0:
            raise fault from None
        tally.leave_out_for(fault, "folders that cannot be read")
        return []
    if depth > 0 and any(path.name == PLAN for path in paths):
        tally.remarks[f"data set of lenssim, not read: {printable(folder.name)}"] += 1
        return []
    return paths


def _files(folder: Path, tally: Tally, without: Path, depth: int) -> list[Path]:
    """Return the files of images at some depth and below."""
    files: list[Path] = []
    for path in _listed(folder, tally, depth):
        if is_passed_over(path.name):
            tally.passed_over += 1
        elif path.is_dir():
            leads_back = path.is_symlink() and lies_in(folder, path)
            if depth < _DEPTH and not leads_back and not lies_in(path, without):
                files += _files(path, tally, without, depth + 1)
        elif not _is_utf8(path.name):
            tally.leave_out(
                f"{printable(str(path))} has a name that is not UTF-8: rename it",
                "names that cannot be read",
            )
        elif _is_readable(path.name):
            files.append(path)
        elif path.suffix and path.resolve() not in tally.tables:
            tally.remarks[f"of another kind, not read: {printable(path.suffix)}"] += 1
    return files


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_readable(name: str) -> bool:
    lowered = name.lower()
    return lowered.endswith(_HDF5) or (is_image_name(name) and ".npz" not in lowered)


def _planes(path: Path, roles: Roles) -> list[Plane]:
    """Return the images of a file with what its names say of them."""
    file_role = parts_of_path(path).role
    is_image = file_role in ("", "image")
    if path.name.lower().endswith(_HDF5):
        return _hdf5_planes(path, file_role, roles)
    if path.name.lower().endswith(".npy"):
        if roles.units and is_image:
            raise _no_extension(path, roles.units["image"][0], ["one array without a name"])
        return [Plane(path, None, "", file_role or "image")]
    names = fits_names(path)
    if not names:
        raise DataError(
            f"{printable(str(path))}: it holds no image", code="image-unclear", path=path
        )
    if roles.units and (is_image or len(names) > 1):
        return _named_planes(path, roles)
    if len(names) == 1:
        words = parts_of_name(names[0])
        role = file_role if file_role not in ("", "image") else words.role or "image"
        return [Plane(path, names[0], words.band, role)]
    return _told_planes(path, names, file_role)


def _named_planes(path: Path, roles: Roles) -> list[Plane]:
    """Return the extensions that a user named; reading says which of them the file lacks."""
    planes = []
    for role, units in roles.units.items():
        for number, unit in enumerate(units):
            band = roles.band(number, len(units))
            planes.append(Plane(path, unit, band, role))
    return planes


def _no_extension(path: Path, unit: str, present: Sequence[str]) -> DataError:
    """Return the error of a file without an extension that a user named."""
    return DataError(
        f"{printable(str(path))}: it has no image {unit!r}; it has "
        f"{', '.join(map(printable, present))}",
        code="image-unclear",
        path=path,
        extension=unit,
    )


def _told_planes(path: Path, names: Sequence[str], file_role: str) -> list[Plane]:
    """Return the extensions of a file whose names say what they are."""
    words = [parts_of_name(name) for name in names]
    planes = [
        Plane(path, name, part.band, part.role or file_role or "image")
        for name, part in zip(names, words, strict=True)
        if part.role or (part.band and not part.name)
    ]
    if not any(plane.role == (file_role or "image") for plane in planes):
        raise DataError(
            f"{printable(str(path))} holds {len(names)} images, and their names do not say "
            f"which is meant: {', '.join(printable(name) for name in names[:30])}; name them "
            "by --extension 1,3 and their noise by --noise-extension 2,4",
            code="image-unclear",
            path=path,
            names=list(names),
        )
    return planes


def _hdf5_planes(path: Path, file_role: str, roles: Roles) -> list[Plane]:
    """Return the arrays of an HDF5 file as a user, or lenstronomy and dolphin, name them."""
    names = list(hdf5_shapes(path))
    planes = []
    for name in names:
        key = name.rpartition("/")[2].lower()
        words = parts_of_path(PurePosixPath(name))
        role = _SCALARS.get(key) or words.role
        if role and key not in _UNREAD:
            planes.append(Plane(path, name, words.band, role))
    if roles.units:
        named = _named_planes(path, roles)
        missing = [plane.unit for plane in named if plane.unit not in names]
        if missing:
            raise _no_extension(path, str(missing[0]), names)
        planes = [plane for plane in planes if plane.role not in roles.units]
        return planes + named
    if not any(plane.role in ("image", "psf", "sigma", "mask") for plane in planes):
        raise DataError(
            f"{printable(str(path))}: none of its arrays is called image_data, noise_map or "
            f"kernel_point_source; it has {', '.join(map(printable, names)) or 'none'}",
            code="image-unclear",
            path=path,
        )
    return planes
