"""The image of a lens as it goes into a data set, and its reader."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, override

import numpy as np

from lenssim.data.exchange.importing import ImportItem, ItemReader
from lenssim.data.exchange.published import PublishedImage
from lenssim.data.exchange.telescope.band_image import BandImage, ReadingOptions
from lenssim.data.exchange.telescope.planes import LensFiles
from lenssim.data.exchange.telescope.reading import bands_of_lens, read_bands
from lenssim.data.exchange.telescope.remarks import remarks_on
from lenssim.data.format.maps import KERNEL, MASK, SIGMA
from lenssim.errors import DataError
from lenssim.formats.images import pixels_of
from lenssim.formats.limits import refusing
from lenssim.names import printable
from lenssim.simulate.noise.telescope import MASKED_SIGMA
from lenssim.simulate.psf.choice import band_column

__all__ = ["TelescopeImage", "TelescopeReader", "padded", "telescope_columns"]

_SAME_SCALE = 2e-3
_UNITS = {"ra": "deg", "dec": "deg", "position_angle": "deg"}


@dataclass(frozen=True)
class TelescopeImage(PublishedImage):
    """An image of C bands with what is known of it.

    Attributes:
        sigma: Noise map float32 (C, H, W), 1e8 where a pixel is masked; None if not known.
        mask: 1 where a pixel was seen, else 0: float32 (C, H, W).
        psf: Kernels (C, K, K), each with the sum 1; None if not known.
        numbers: Zero points [mag], place and orientation on the sky [deg] by name, as far as
            known.
    """

    sigma: np.ndarray | None = None
    mask: np.ndarray = field(default_factory=lambda: np.ones(0, np.float32))
    psf: np.ndarray | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

    @override
    def contents(self) -> Iterator[bytes | np.ndarray]:
        yield from super().contents()
        yield repr(sorted(self.numbers.items())).encode()
        for array in (self.sigma, self.mask, self.psf):
            if array is not None:
                yield np.ascontiguousarray(array)


@dataclass
class _Common:
    """What all images of a data set share, as far as they were read.

    Attributes:
        bands: Names of the bands, or one empty name.
        pixel_scale: Side of a pixel [arcsec].
        maps: Names of the maps that they have.
        first: Name of the lens that decided these.
        kernel_side: Pixels a side of the largest PSF kernel.
        numbers: Names of the numbers that one of them has.
    """

    bands: tuple[str, ...]
    pixel_scale: float
    maps: tuple[str, ...]
    first: str
    kernel_side: int = 0
    numbers: set[str] = field(default_factory=set)


def _words(bands: Sequence[str]) -> str:
    """Return the names of bands as messages say them."""
    if not any(bands):
        return "one band without a name"
    return f"the bands {', '.join(map(printable, bands))}"


@dataclass(frozen=True)
class TelescopeReader(ItemReader):
    """Reads the files of lenses.

    Attributes:
        lenses: The files by the names of the items.
        options: How they are read.
        wanted: Names of the bands in order; none: all that the first lens has.
        common: What all images share; the first one decides it.
        lens_by_pixels: The first lens of each image, by the hash of its pixels.
    """

    lenses: Mapping[str, LensFiles] = field(default_factory=dict)
    options: ReadingOptions = field(default_factory=ReadingOptions)
    wanted: tuple[str, ...] = ()
    common: list[_Common] = field(default_factory=list)
    lens_by_pixels: dict[bytes, str] = field(default_factory=dict)

    @override
    def images(self, item: ImportItem) -> list[PublishedImage]:
        lens = self.lenses[item.name]
        wanted = self.wanted
        if self.common and not wanted:
            wanted = tuple(filter(None, self.common[0].bands))
        with refusing(lens.paths[0], "the images of a lens"):
            bands = read_bands(lens, wanted, self.options)
        self._check_count(lens, bands)
        remarks = [*_unread(lens, wanted), *remarks_on(bands), *self._copies(lens, bands)]
        image = _joined(lens, bands, _band_names(bands, wanted), remarks)
        self._compare(lens, bands, image)
        return [image]

    def _copies(self, lens: LensFiles, bands: Sequence[BandImage]) -> list[str]:
        """Return a remark on a lens that shows the pixels of another one."""
        pixels = hashlib.sha256()
        for band in bands:
            pixels.update(band.pixels.tobytes())
        twin = self.lens_by_pixels.setdefault(pixels.digest(), lens.name)
        if twin == lens.name:
            return []
        return [
            f"shows the same pixels as {printable(twin)}: one of them is a copy, and splits "
            "of the data set may share it"
        ]

    def _check_count(self, lens: LensFiles, bands: Sequence[BandImage]) -> None:
        """Refuse another number of bands than was asked for."""
        if self.bands > 1 and len(bands) != self.bands:
            raise DataError(
                f"{printable(lens.name)} has {len(bands)} bands, but {self.bands} are wanted",
                code="band-missing",
                lens=lens.name,
                bands=[band.band for band in bands],
            )

    def _compare(
        self, lens: LensFiles, bands: Sequence[BandImage], image: TelescopeImage
    ) -> None:
        """Refuse an image that cannot lie beside the first one in a data set."""
        names = _band_names(bands, self.wanted)
        scale = bands[0].sky.pixel_scale
        assert scale is not None
        maps = _maps(image)
        if not self.common:
            self.common.append(_Common(names, scale, maps, lens.name))
        common = self.common[0]
        example = printable(common.first)
        if [name.casefold() for name in names] != [
            name.casefold() for name in common.bands
        ]:
            raise DataError(
                f"{printable(lens.name)} has {_words(names)}, and {example} has "
                f"{_words(common.bands)}; choose bands that all have by --bands",
                code="bands-differ",
                lens=lens.name,
            )
        if abs(scale / common.pixel_scale - 1) > _SAME_SCALE:
            raise DataError(
                f"{printable(lens.name)}: its pixels are {scale:.5g} arcsec wide, those of "
                f"{example} {common.pixel_scale:.5g}; bring all to one scale by --pixel-scale",
                code="pixel-scale-differs",
                lens=lens.name,
                pixel_scale=scale,
            )
        if set(maps) != set(common.maps):
            differing = ", ".join(sorted(set(maps) ^ set(common.maps)))
            raise DataError(
                f"{printable(lens.name)} and {example}: one has {differing}, and the other has "
                "not; add the missing file, or import them apart",
                code="map-missing",
                lens=lens.name,
            )
        if image.psf is not None:
            common.kernel_side = max(common.kernel_side, image.psf.shape[-1])
        common.numbers |= set(image.numbers)

    @override
    def config(self) -> dict[str, Any]:
        common = self.common[0]
        document: dict[str, Any] = {"pixel_scale": common.pixel_scale}
        if len(common.bands) > 1:
            document["bands"] = len(common.bands)
        if common.bands != ("",):
            document["band_names"] = list(common.bands)
        document["truth"] = sorted(common.maps)
        if self.options.psf_supersampling > 1 and KERNEL in common.maps:
            document["psf_supersampling"] = self.options.psf_supersampling
        return document


def _maps(image: TelescopeImage) -> tuple[str, ...]:
    """Return the names of the maps that a data set keeps of an image."""
    maps = [MASK]
    if image.sigma is not None:
        maps.append(SIGMA)
    if image.psf is not None:
        maps.append(KERNEL)
    return tuple(maps)


def _band_names(bands: Sequence[BandImage], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the bands as a data set has them."""
    if len(wanted) == len(bands):
        return tuple(wanted)
    return tuple(band.band.replace("-", "_") for band in bands)


def _unread(lens: LensFiles, wanted: Sequence[str]) -> list[str]:
    """Return a remark on the bands of a lens that are not read, if there are any."""
    chosen = {band.casefold() for band in bands_of_lens(lens, wanted)}
    bands = [plane.band for plane in lens.planes if plane.role == "image"]
    unread = [printable(band) for band in bands if band.casefold() not in chosen]
    return [f"did not read the bands {', '.join(unread)}"] if unread else []


def _joined(
    lens: LensFiles,
    bands: Sequence[BandImage],
    names: Sequence[str],
    remarks: Sequence[str],
) -> TelescopeImage:
    """Return the bands of a lens as one image; `names` are those that the data set has."""
    where = printable(lens.name)
    pixels = np.stack([pixels_of(band.pixels, where) for band in bands])
    mask = np.stack([band.mask for band in bands])
    sigma = None
    if all(band.sigma is not None for band in bands):
        values = np.stack([np.asarray(band.sigma) for band in bands])
        sigma = np.where(mask, values, MASKED_SIGMA).astype(np.float32)
    kernels = [band.psf for band in bands if band.psf is not None]
    psf = None
    if len(kernels) == len(bands):
        side = max(len(kernel) for kernel in kernels)
        psf = np.stack([padded(kernel, side) for kernel in kernels])
    return TelescopeImage(
        pixels,
        remark="\n".join(remarks),
        sigma=sigma,
        mask=mask.astype(np.float32),
        psf=psf,
        numbers=_numbers(bands, names),
    )


def padded(kernel: np.ndarray, side: int) -> np.ndarray:
    """Return a kernel (..., K, K) with zeros around it, `side` pixels a side."""
    margin = (side - kernel.shape[-1]) // 2
    around = [(0, 0)] * (kernel.ndim - 2) + [(margin, margin)] * 2
    return np.pad(kernel, around)


def _numbers(bands: Sequence[BandImage], names: Sequence[str]) -> dict[str, float]:
    """Return what headers say of the zero points and the place of a lens."""
    numbers: dict[str, float] = {}
    for image, name in zip(bands, names, strict=True):
        band = name if len(bands) > 1 else None
        if image.sky.zero_point is not None:
            numbers[band_column("zero_point", band)] = image.sky.zero_point
    first = bands[0].sky
    if first.ra is not None and first.dec is not None:
        numbers |= {"ra": first.ra, "dec": first.dec}
    if first.position_angle is not None:
        numbers["position_angle"] = first.position_angle
    return numbers


def telescope_columns(
    reader: TelescopeReader, items: list[ImportItem], images: list[list[PublishedImage]]
) -> dict[str, Any]:
    """Return maps, numbers and names of images, as fields of `Samples`.

    Args:
        reader: The reader, after it has read all images once.
        items: The samples (n,).
        images: The image of each, in a list of one.
    """
    common = reader.common[0]
    shown = [image for (image,) in images if isinstance(image, TelescopeImage)]
    maps: dict[str, np.ndarray] = {MASK: np.stack([image.mask for image in shown])}
    if SIGMA in common.maps:
        maps[SIGMA] = np.stack([np.asarray(image.sigma) for image in shown])
    if KERNEL in common.maps:
        kernels = [
            padded(np.asarray(image.psf), common.kernel_side).astype(np.float32)
            for image in shown
        ]
        maps[KERNEL] = np.stack(kernels)
    params = {
        name: np.array([image.numbers.get(name, np.nan) for image in shown])
        for name in sorted(common.numbers)
    }
    units = {name: _UNITS.get(name, "mag") for name in params}
    texts = {
        "file": [reader.lenses[item.name].file for item in items],
        "name": [item.name for item in items],
    }
    return {"truth": maps, "params": params, "units": units, "texts": texts}
