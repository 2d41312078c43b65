"""Wide fields from Python: mosaics, and stamps of the galaxies in a field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.options import parse_request
from lenssim.api.signatures import takes_options
from lenssim.api.table import Table
from lenssim.api.workers import check_workers
from lenssim.simulate.wide.request import MosaicRequest
from lenssim.sky.fields.request import ExtractRequest

if TYPE_CHECKING:
    from lenssim.simulate.preset import Preset

__all__ = ["ExtractOptions", "MosaicOptions", "extract", "field_paths", "mosaic"]

Stop = Callable[[], bool]


class ExtractOptions(TypedDict, total=False):
    """Options of an extraction: fields of `ExtractRequest`."""

    num_pix: int | None
    pixel_scale: float | None
    native_scale: float | None
    bands: Any
    extension: str | None
    noise_extension: str | None
    mask_extension: str | None
    noise_kind: str | None
    mask_means: str | None
    masked_values: Any
    saturation: float | None
    background: str | None
    mesh: int | None
    threshold: float | None
    min_area: int | None
    filter_fwhm: float | None
    deblend_contrast: float | None
    aperture: float | None
    merge_radius: float | None
    part_ratio: float | None
    min_snr: float | None
    max_masked: float | None
    tile: int | None


class MosaicOptions(TypedDict, total=False):
    """Options of a mosaic: fields of `MosaicRequest`."""

    size: int | None
    lenses: int | None
    galaxies: float | None
    stars: float | None
    bad_pixels: float | None
    seed: int | None
    split: str | None
    camera: str | None
    ra: float | None
    dec: float | None


@checked
@takes_options(ExtractRequest, types=ExtractOptions)
def extract(
    field: Path | str | Iterable[Path | str],
    out: Path | str,
    *,
    workers: int = 0,
    stop: Stop = lambda: False,
    **options: Unpack[ExtractOptions],
) -> Dataset:
    """Find the galaxies of a wide field and cut out a stamp of each, as a data set.

    The same call continues what was interrupted. `catalogue.csv` in the folder has a row a
    stamp. What gets no stamp is said on stderr.

    Args:
        field: The FITS file of the field, or the files of its bands, noise maps, masks, PSFs.
        out: Folder of the data set to make.
        workers: Worker processes; 0 works in this one.
        stop: Function that is asked between tiles and shards; True leaves the rest for
            another call.
        **options: How galaxies are found and cut out.

    Returns:
        The data set. Its parameters are the columns of the catalogue.

    Raises:
        DataError: A file cannot be used, or no galaxy of the field gets a stamp.
        ConfigError: A value is unknown, or the folder holds something else.
        IncompleteError: Work stopped before its end; the same call continues it.

    Example:
        >>> _ = mosaic("euclid-vis", "field.fits", size=256, lenses=1, seed=3)
        >>> stamps = extract("field.fits", "data/field", num_pix=32)
        >>> stamps.image_shape, sorted(stamps.params)[:3]
        ((1, 32, 32), ['angle', 'area', 'at_edge'])
    """
    from lenssim.api.progress import samples_bar
    from lenssim.notes import say
    from lenssim.sky.fields.extraction import extract_field

    check_workers(workers)
    request = parse_request(ExtractRequest, options)
    paths = field_paths(field)
    folder = Path(out)
    with samples_bar("extracting") as report:
        listeners: dict[str, Any] = {"report": report, "note": say, "stop": stop}
        manifest = extract_field(folder, paths, request, workers=workers, **listeners)
    return Dataset.just_made(folder, manifest)


def field_paths(field: Path | str | Iterable[Path | str]) -> list[Path]:
    """Return the files of a field."""
    if isinstance(field, Path | str):
        field = [field]
    return [Path(path) for path in field]


@checked
@takes_options(MosaicRequest, types=MosaicOptions)
def mosaic(
    model: str | Path | Preset,
    out: Path | str,
    *,
    stop: Stop = lambda: False,
    **options: Unpack[MosaicOptions],
) -> Table:
    """Simulate a wide field with galaxies, stars, and a preset's lenses at known places.

    The file holds an image, a noise map and a PSF for each band. The table of what lies in it
    has the same name with the ending .truth.csv.

    Args:
        model: Preset, by name or by the path of its YAML file, or a `Preset`.
        out: The FITS file to write.
        stop: Function that is asked between parts; True leaves the rest for another call.
        **options: Size and content of the mosaic.

    Returns:
        What lies in the mosaic, a row an object: kind, class, sample number, ra, dec, x, y,
        magnitude, theta_E.

    Raises:
        ConfigError: A name or value is unknown, or the lenses do not fit into the field.
        StorageError: The file cannot be written.
        IncompleteError: Work stopped before its end; the same call continues it.

    Example:
        >>> truth = mosaic("euclid-vis", "field.fits", size=256, lenses=1, seed=3)
        >>> list(truth)[:5], str(truth["kind"][0])
        (['kind', 'class', 'number', 'ra', 'dec'], 'lens')
    """
    from lenssim.api.progress import samples_bar
    from lenssim.data.generation.progress import Progress
    from lenssim.simulate.preset import load_preset
    from lenssim.simulate.wide.mosaic import write_mosaic

    request = parse_request(MosaicRequest, options)
    preset = load_preset(model) if isinstance(model, str | Path) else model
    with samples_bar("simulating") as bar:

        def report(done: int, total: int) -> None:
            bar(Progress(done, total, 0, phase="parts of the field"))

        truth = write_mosaic(Path(out), preset, request, report, stop)
    return Table(truth.columns, {"ra": "deg", "dec": "deg", "theta_E": "arcsec"})
