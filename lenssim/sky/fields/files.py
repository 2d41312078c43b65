"""The files of a wide field: which image is which band, noise map, mask or PSF."""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from lenssim.data.exchange.telescope.pixels import kernel_of
from lenssim.data.exchange.telescope.planes import Plane, Roles, planes_of_file
from lenssim.data.exchange.telescope.words import parts_of_path
from lenssim.errors import DataError
from lenssim.formats.fits import read_fits
from lenssim.formats.fits_sections import open_sections, plain_file
from lenssim.names import printable
from lenssim.scratch import scratch_folder
from lenssim.simulate.psf.measure import kernel_fwhm
from lenssim.sky.fields.field import BandFiles
from lenssim.sky.fields.request import ExtractRequest

__all__ = ["FieldFiles", "field_files"]

_NOISE = ("sigma", "variance", "weight")
_MASKS = ("mask", "flags")
_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz", ".fit.gz", ".fts.gz")
_CHUNK = 1 << 22  # bytes


class FieldFiles:
    """The bands of a field, and the PSF of each.

    Args:
        bands: Where the images of each band lie.
        psfs: Kernels (K, K) by band; empty if they are not known.
        name: What the field is called.
        digest: Hash of all its files.
    """

    def __init__(
        self,
        bands: tuple[BandFiles, ...],
        psfs: tuple[np.ndarray, ...],
        name: str,
        digest: str,
    ) -> None:
        self.bands = bands
        self.psfs = psfs
        self.name = name
        self.digest = digest

    @property
    def psf_fwhm(self) -> float | None:
        """Width of the widest PSF in pixels; None if they are not known."""
        if not self.psfs:
            return None
        return max(kernel_fwhm(psf) for psf in self.psfs)


def field_files(paths: Sequence[Path], request: ExtractRequest) -> FieldFiles:
    """Return what the names of files and extensions say of a field.

    Args:
        paths: FITS files: images, and perhaps noise maps, masks and PSFs.
        request: The bands and extensions that the user names.

    Raises:
        DataError: A file cannot be read, or it is not clear what it holds.
    """
    planes: list[Plane] = []
    for path in paths:
        _check_ending(path)
        copy = plain_file(path, scratch_folder())
        words = parts_of_path(PurePath(path.name))
        planes_of_path = planes_of_file(copy, _roles(request), words.band)
        planes += [_told_by_name(plane, path) for plane in planes_of_path]
    images = [plane for plane in planes if plane.role == "image"]
    if not images:
        raise DataError(
            f"{printable(str(paths[0]))}: no image among the files, only "
            f"{', '.join(sorted({plane.role for plane in planes}))}",
            code="no-images",
            path=paths[0],
        )
    bands = _cube_bands(images[0], planes, request) or _chosen(images, planes, request)
    psfs = tuple(_psf(planes, band.name) for band in bands)
    kernels = tuple(psf for psf in psfs if psf is not None)
    if len(kernels) < len(bands):
        kernels = ()
    return FieldFiles(bands, kernels, paths[0].name, _digest(paths))


def _check_ending(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{printable(str(path))} does not exist", code="no-file", path=path)
    if not path.name.lower().endswith(_ENDINGS):
        raise DataError(
            f"{printable(str(path))}: a field is a FITS file ({', '.join(_ENDINGS[:4])})",
            code="image-format",
            path=path,
        )


def _told_by_name(plane: Plane, path: Path) -> Plane:
    """Return a plane with the role that the name of a packed file states."""
    role = parts_of_path(PurePath(path.name)).role
    if plane.path != path and plane.role == "image" and role not in ("", "image"):
        return Plane(plane.path, plane.unit, plane.band, role)
    return plane


def _roles(request: ExtractRequest) -> Roles:
    """Return the extensions that the user names."""
    named = {
        "image": request.extension,
        request.noise_kind or "sigma": request.noise_extension,
        "mask": request.mask_extension,
    }
    units = {
        role: tuple(word.strip() for word in text.split(","))
        for role, text in named.items()
        if text is not None
    }
    return Roles(units, request.bands)


def _chosen(
    images: Sequence[Plane], planes: Sequence[Plane], request: ExtractRequest
) -> tuple[BandFiles, ...]:
    """Return the bands that are wanted, in order."""
    names = [plane.band for plane in images]
    folded = [name.casefold() for name in names]
    repeated = next((name for name in folded if folded.count(name) > 1), None)
    if repeated is not None:
        raise _two_images(images, repeated)
    band_names = request.bands or tuple(names)
    if len(images) == 1 and len(band_names) == 1 and not names[0]:
        return (_files(images[0], planes, band_names[0], None),)
    missing = [name for name in band_names if name.casefold() not in folded]
    if missing:
        listed = ", ".join(printable(name) or "one without a name" for name in names)
        raise DataError(
            f"the field has no band {printable(missing[0])}; it has {listed}",
            code="band-missing",
            band=missing[0],
            bands=names,
        )
    return tuple(
        _files(images[folded.index(name.casefold())], planes, name, None)
        for name in band_names
    )


def _two_images(images: Sequence[Plane], band: str) -> DataError:
    """Return the error of a band with two images."""
    twins = [str(plane) for plane in images if plane.band.casefold() == band]
    return DataError(
        f"two images are of {band or 'a band without a name'}: {', '.join(twins)}; name the "
        "files by their bands, such as field_g.fits, or choose by --extension",
        code="image-unclear",
        band=band,
    )


def _files(
    image: Plane, planes: Sequence[Plane], name: str, number: int | None
) -> BandFiles:
    """Return a band with the noise map and masks of its name, or of no name."""
    belonging = [
        plane for plane in planes if plane.band.casefold() == image.band.casefold()
    ]
    noise = [plane for plane in belonging if plane.role in _NOISE]
    if len(noise) > 1:
        raise DataError(
            f"two noise maps belong to {image}: {', '.join(map(str, noise))}; leave one out",
            code="image-unclear",
            image=str(image),
        )
    masks = tuple(plane for plane in belonging if plane.role in _MASKS)
    return BandFiles(name.replace("-", "_"), image, number, next(iter(noise), None), masks)


def _cube_bands(
    image: Plane, planes: Sequence[Plane], request: ExtractRequest
) -> tuple[BandFiles, ...]:
    """Return the bands of a cube; none if the image is no cube.

    Raises:
        DataError: It is a cube, and the user does not name as many bands.
    """
    with open_sections(image.path, image.unit) as section:
        shape = section.shape
    if len(shape) == 2:
        return ()
    if len(shape) != 3 or len(request.bands) != shape[0]:
        raise DataError(
            f"{image}: its shape is {shape}; give an image (rows, columns), or name the bands "
            "of a cube (bands, rows, columns) by --bands, as many and in this order",
            code="image-shape",
            shape=shape,
        )
    return tuple(
        _files(image, planes, name, number) for number, name in enumerate(request.bands)
    )


def _psf(planes: Sequence[Plane], band: str) -> np.ndarray | None:
    """Return the PSF of a band, or that of no band; None if there is none."""
    kernels = [plane for plane in planes if plane.role == "psf"]
    by_band = {plane.band.casefold(): plane for plane in kernels}
    plane = by_band.get(band.casefold()) or by_band.get("")
    if plane is None:
        return None
    return kernel_of(read_fits(plane.path, plane.unit).array, str(plane))


def _digest(paths: Sequence[Path]) -> str:
    """Return a hash of the contents of files."""
    hasher = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while data := file.read(_CHUNK):
                hasher.update(data)
    return hasher.hexdigest()
