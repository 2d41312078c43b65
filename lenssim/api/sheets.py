"""Contact sheets of a data set, drawn into memory."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lenssim.api.pictures import Picture, Pictures

if TYPE_CHECKING:
    from lenssim.data.inspection.class_images import Report
    from lenssim.data.streaming.locations import Location

__all__ = ["draw_sheets"]


def draw_sheets(
    location: "Location",
    folder: Path | str,
    count: int,
    picture: str,
    numbers: np.ndarray | None,
    report: "Report | None",
) -> Pictures:
    """Draw a contact sheet of each class of a data set.

    Args:
        location: Where the data set is stored.
        folder: Its folder or URL, as messages and titles name it.
        count: Images a class.
        picture: What to draw.
        numbers: Only these sample numbers (m,); None for all.
        report: Called with the error of each damaged shard; None: it is raised.
    """
    from lenssim.data.format.manifest import read_plan
    from lenssim.data.format.maps import check_kept
    from lenssim.data.inspection.class_images import first_of_each_class, raise_error
    from lenssim.data.inspection.contact_sheet import check_count, contact_sheets
    from lenssim.data.streaming.locations import path_of

    check_count(count)
    check_kept(folder, read_plan(location.folder).config, picture)
    images = first_of_each_class(
        location, count, picture, numbers=numbers, report=report or raise_error
    )
    sheets = contact_sheets(path_of(folder).name, images, picture)
    return Pictures({name: Picture(png) for name, png in sheets.items()})
