"""Imports and exports from Python."""

from pathlib import Path
from typing import Any

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.options import parse_request

__all__ = ["export", "import_data"]


@checked
def import_data(
    layout: str, source: Path | str, out: Path | str, **options: Any
) -> Dataset:
    """Turn a folder of other people's images into a data set.

    Progress, and what is left out, is shown on stderr.

    Args:
        layout: deeplense (class folders), folder (images without classes), pairs, or fits
            (telescope images with noise maps, masks and PSFs).
        source: Folder of the images.
        out: Folder of the data set to make.
        **options: Options of the importer: `bands`, `extension`, `skip_bad`; for deeplense
            `split` and `map_classes`; for pairs `image` and `truth`; for fits `labels`,
            `rename`, `pixel_scale`, `num_pix` and what `lenssim import fits --help` lists.

    Returns:
        The data set.

    Raises:
        DataError: A folder or file cannot be used; the message names it.
        ConfigError: An option is unknown or does not fit the folder.

    Example:
        >>> _ = export("data/III", "files/III")
        >>> import_data("deeplense", "files/III", "data/again").class_counts
        {'no_sub': 100, 'cdm': 100, 'axion': 100}
    """
    from lenssim.api.progress import samples_bar
    from lenssim.data.exchange.importers import importer_class
    from lenssim.data.exchange.importing import Listeners
    from lenssim.names import printable
    from lenssim.notes import note

    def tell(text: str) -> None:
        note("\n".join(printable(line) for line in text.splitlines()))

    importer = parse_request(importer_class(layout), options)
    with samples_bar("importing") as report:
        listeners = Listeners(report, warn=tell, note=tell)
        manifest = importer.import_folder(layout, Path(source), Path(out), listeners)
    return Dataset.just_made(Path(out), manifest)


@checked
def export(folder: Dataset | Path | str, out: Path | str, to: str = "npy") -> list[Path]:
    """Write a data set in another layout.

    Args:
        folder: The data set, its folder or its URL.
        out: Folder to write to.
        to: Layout: npy (published folders), webdataset, fits (a file a shard) or cutouts (a file
            an image, with noise map, mask and PSF).

    Returns:
        The files or folders that were written.

    Raises:
        ConfigError: There is no such layout, or the folder holds something else.
        VerificationError: A shard does not hold what was written.
        IncompleteError: The disk refuses; the same call continues.

    Example:
        >>> [path.name for path in export("data/III", "files/npy")]
        ['no_sub', 'cdm', 'axion']
    """
    from lenssim.api.progress import samples_bar
    from lenssim.data.exchange.export import EXPORTERS
    from lenssim.errors import unknown

    if to not in EXPORTERS:
        raise unknown("layout", to, EXPORTERS, code="unknown-layout")
    if isinstance(folder, Dataset):
        folder = folder.folder
    with samples_bar("exporting") as report:
        return EXPORTERS[to](folder, Path(out), report=report)
