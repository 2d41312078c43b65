"""Images of telescopes in folders of FITS, HDF5 or .npy files."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, override

from pydantic import BeforeValidator, Field

from lenssim.data.exchange.importer import Importer, Listing
from lenssim.data.exchange.importing import ImportItem
from lenssim.data.exchange.published import PublishedImage
from lenssim.data.exchange.tally import Tally
from lenssim.data.exchange.telescope.band_image import Grid, ReadingOptions
from lenssim.data.exchange.telescope.catalogue import Catalogue, read_catalogue
from lenssim.data.exchange.telescope.image import TelescopeReader, telescope_columns
from lenssim.data.exchange.telescope.planes import LensFiles, Roles, lenses_in
from lenssim.data.format.labels import UNLABELLED, unlabelled_config
from lenssim.errors import ConfigError, DataError
from lenssim.formats.limits import refusing
from lenssim.names import printable
from lenssim.record import split_values

__all__ = ["FitsImporter", "TelescopeImporter"]

_UNTYPED = ("bands", "skip_bad", "labels")  # the config states them otherwise, or not


class TelescopeImporter(Importer):
    """Import images of telescopes, each with what is known of its noise, mask and PSF.

    A subclass lists the lenses; this class reads them.
    """

    next_words: ClassVar[tuple[str, ...]] = ("info",)

    labels: str | None = Field(
        default=None,
        description="A table with a row for each lens: its name, and perhaps its class and numbers",
    )
    rename: dict[str, str] | None = Field(
        default=None, description="Other names for columns of the table: COLUMN=NAME"
    )
    pixel_scale: float | None = Field(
        default=None,
        gt=1e-4,
        lt=600,
        description="Pixel scale of the data set in arcsec; images with another scale are resampled",
    )
    num_pix: int | None = Field(
        default=None,
        ge=4,
        le=1 << 14,
        description="Pixels a side: the central part of each image is cut out",
    )
    native_scale: float | None = Field(
        default=None,
        gt=1e-4,
        lt=600,
        description="Pixel scale of the files in arcsec, in place of what their headers say",
    )
    masked_values: Annotated[tuple[float, ...], BeforeValidator(split_values)] = Field(
        default=(),
        description="Values of pixels that mean masked, besides NaN",
        json_schema_extra={"text": True, "unset": "none"},
    )
    mask_means: Literal["bad", "good"] = Field(
        default="bad",
        description="What numbers of a mask other than 0 mean: bad or good pixels",
    )
    noise_kind: Literal["sigma", "variance", "weight"] | None = Field(
        default=None,
        description="What noise maps hold, where their names do not say it: sigma, variance or weight",
    )
    psf_supersampling: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Pixels of a PSF kernel along the side of one image pixel",
    )
    recentre_psf: bool = Field(
        default=False,
        description="Move the centroid of PSF kernels to their middle",
    )

    def lenses(self, source: Path, folder: Path, tally: Tally) -> list[LensFiles]:
        """Return the lenses of a folder; arguments and errors as `listing`."""
        raise NotImplementedError

    def classes(
        self, lenses: Sequence[LensFiles]
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the classes that the folder itself tells, and the class of each lens."""
        return (), {}

    @property
    def band_names(self) -> tuple[str, ...]:
        """The bands that the user names, in order."""
        return () if isinstance(self.bands, int) else self.bands

    @override
    def listing(self, source: Path, folder: Path, tally: Tally) -> Listing:
        if self.labels is not None:
            tally.tables.add(Path(self.labels).resolve())
        lenses = self.lenses(source, folder, tally)
        if not lenses:
            raise DataError(
                f"{printable(str(source))} holds no images of lenses (.fits, .h5 or .npy)",
                code="no-images",
                source=source,
            )
        names = [lens.name for lens in lenses]
        classes, class_of = self.classes(lenses)
        catalogue = self._catalogue(names, tally)
        if catalogue is not None and catalogue.classes:
            classes = catalogue.classes
            class_of = catalogue.class_of
        items = _items(lenses, classes, class_of, tally)
        reader = self._reader(lenses)
        config = self._typed_options()
        if not classes:
            config |= unlabelled_config()
        columns = partial(_columns, reader, catalogue)
        return Listing(classes or (UNLABELLED,), items, config, columns, reader)

    def _typed_options(self) -> dict[str, Any]:
        """Return what the config says of the options: those that differ from their defaults."""
        typed: dict[str, str] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in _UNTYPED or value == field.default:
                continue
            if isinstance(value, dict):
                value = [f"{old}={new}" for old, new in value.items()]
            text = (
                ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            )
            typed[name.replace("_", "-")] = text
        if self.labels is None:
            return {"options": typed} if typed else {}
        typed["labels"] = Path(self.labels).name
        with refusing(Path(self.labels), "a table"):
            digest = hashlib.sha256(Path(self.labels).read_bytes()).hexdigest()
        return {"options": typed, "labels_sha256": digest}

    def _catalogue(self, names: Sequence[str], tally: Tally) -> Catalogue | None:
        """Return what the user's table says of the lenses."""
        if self.labels is None:
            if self.rename:
                raise ConfigError(
                    "--rename names columns of a table: give it by --labels",
                    code="option-missing",
                    option="labels",
                )
            return None
        catalogue = read_catalogue(Path(self.labels), names, self.rename or {})
        if catalogue.unmatched:
            example = printable(catalogue.unmatched[0])
            tally.remarks[f"rows of the table without images, the first {example}"] += len(
                catalogue.unmatched
            )
        for column in catalogue.texts:
            tally.remarks[f"column of the table without numbers: {printable(column)}"] += 1
        return catalogue

    def _reader(self, lenses: Sequence[LensFiles]) -> TelescopeReader:
        """Return the reader of the lenses."""
        count = self.bands if isinstance(self.bands, int) else len(self.bands)
        options = ReadingOptions(
            bands=count,
            grid=Grid(self.pixel_scale, self.num_pix),
            native_scale=self.native_scale,
            masked_values=self.masked_values,
            mask_means=self.mask_means,
            noise_kind=self.noise_kind or "",
            psf_supersampling=self.psf_supersampling,
            recentre_psf=self.recentre_psf,
        )
        return TelescopeReader(
            bands=count,
            extension=None,
            lenses={lens.name: lens for lens in lenses},
            options=options,
            wanted=self.band_names,
        )


def _items(
    lenses: Sequence[LensFiles],
    classes: Sequence[str],
    class_of: dict[str, str],
    tally: Tally,
) -> list[ImportItem]:
    """Return the samples, in the order of their names."""
    items = []
    for lens in lenses:
        label = 0
        if classes and lens.name not in class_of:
            error = DataError(
                f"{printable(lens.name)} has no class in the table",
                code="labels-table",
                lens=lens.name,
            )
            tally.leave_out_for(error, "lenses without a class")
            continue
        if classes:
            label = classes.index(class_of[lens.name])
        items.append(ImportItem(label, lens.name, lens.paths))
    return items


def _columns(
    reader: TelescopeReader,
    catalogue: Catalogue | None,
    items: list[ImportItem],
    images: list[list[PublishedImage]],
) -> dict[str, Any]:
    """Return what images and table say of some samples, as fields of `Samples`."""
    parts = telescope_columns(reader, items, images)
    if catalogue is not None:
        names = [item.name for item in items]
        for column in catalogue.columns:
            parts["params"][column] = catalogue.values(column, names)
    return parts


class FitsImporter(TelescopeImporter):
    """Import images of telescopes with noise maps, masks and PSFs, from FITS, HDF5 or .npy files.

    Names of folders, files and extensions say which is which. The data set keeps pixel scale,
    zero points, place and names.
    """

    source_help: ClassVar[str] = (
        "Folder of the images, or one file with all images of a lens."
    )

    noise_extension: str | None = Field(
        default=None, description="The extensions with the noise, one a band: 2,4"
    )
    psf_extension: str | None = Field(
        default=None, description="The extensions with the PSF, one a band"
    )
    mask_extension: str | None = Field(
        default=None, description="The extensions with the mask, one a band"
    )

    @override
    def lenses(self, source: Path, folder: Path, tally: Tally) -> list[LensFiles]:
        return lenses_in(source, tally, self._roles(), folder)

    def _roles(self) -> Roles:
        """Return the extensions that the user names."""
        named = {
            "image": self.extension,
            self.noise_kind or "sigma": self.noise_extension,
            "psf": self.psf_extension,
            "mask": self.mask_extension,
        }
        units = {
            role: tuple(word.strip() for word in text.split(","))
            for role, text in named.items()
            if text is not None
        }
        if units and "image" not in units:
            raise ConfigError(
                "name the extensions with the images too, by --extension",
                code="option-missing",
                option="extension",
            )
        count = len(units.get("image", ()))
        for role, words in units.items():
            if len(words) not in (1, count):
                raise ConfigError(
                    f"--extension names {count} images, and there are {len(words)} for "
                    f"{role}: give as many, in the same order",
                    code="option-format",
                    option=role,
                )
        return Roles(units, self.band_names)
