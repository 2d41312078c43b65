"""Opening data sets, and looking at them."""

from pathlib import Path
from typing import TYPE_CHECKING

from lenssim.api.arguments import checked
from lenssim.api.dataset import Dataset
from lenssim.api.pictures import Pictures
from lenssim.api.sheets import draw_sheets

if TYPE_CHECKING:
    from lenssim.data.inspection.class_images import Report

__all__ = ["open", "show"]


@checked
def open(folder: Path | str, split: str | None = None) -> Dataset:
    """Open a data set.

    Args:
        folder: Folder or URL of the data set; `follow:` and a folder for one that still grows.
        split: Only this split's samples: train, validation or test.

    Returns:
        The data set.

    Raises:
        DataError: There is no data set, or a shard is missing or damaged.
        ConfigError: There is no such split.

    Example:
        >>> data = open("data/III")
        >>> data
        Dataset data/III: 300 images of 1 x 64 x 64 (no_sub 100, cdm 100, axion 100), noise nominal
        >>> data.images(range(8)).shape
        (8, 1, 64, 64)
    """
    return Dataset(folder, split)


@checked
def show(
    folder: Path | str | Dataset,
    out: Path | str | None = None,
    count: int = 25,
    picture: str = "image",
    *,
    report: "Report | None" = None,
) -> Pictures:
    """Draw a contact sheet of each class.

    Args:
        folder: A data set, its folder or its URL.
        out: Folder to write the pictures into as PNG; None: nothing is written.
        count: Images a class.
        picture: What to draw: `image`, or `clean`, `kappa` or `residual` if it is kept.
        report: Called with the error of each damaged shard, whose images are left out; None:
            it is raised.

    Returns:
        A picture for each class, which a notebook shows.

    Raises:
        ConfigError: A sheet shows 1 to 400 images, or there is no such picture.
        DataError: There is no data set.
        VerificationError: A shard does not hold what was written.

    Example:
        >>> show("data/III", count=4)
        Pictures: contact-no_sub, contact-cdm, contact-axion
    """
    if isinstance(folder, Dataset):
        sheets = folder.show(count, picture, report=report)
    else:
        from lenssim.data.streaming.locations import open_complete

        location = open_complete(folder)
        sheets = draw_sheets(location, folder, count, picture, None, report)
    if out is not None:
        sheets.save(out)
    return sheets
