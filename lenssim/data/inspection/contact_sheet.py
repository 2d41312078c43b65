"""Contact sheets: what a data set looks like, one figure a class."""

from collections.abc import Iterable

import numpy as np

from lenssim.data.format.maps import IMAGE
from lenssim.data.inspection.class_images import ClassImages
from lenssim.drawing import colour_image, plain_style, png_bytes, stretched
from lenssim.errors import ConfigError

__all__ = ["check_count", "contact_sheet", "contact_sheets"]

_SIGMA_RANGE = 5  # sigma, at which the colours of residuals end
MAX_IMAGES = 400  # on a contact sheet


@plain_style()
def contact_sheet(
    images: np.ndarray, titles: Iterable[object], title: str, *, signed: bool = False
) -> bytes:
    """Draw a grid of images, each under its own title.

    y points upwards, and the stretch is that of asinh. Several bands are shown in colours, the
    first as blue and the last as red.

    Args:
        images: Images (k, C, H, W).
        titles: The k titles, such as sample numbers.
        title: The title of the sheet.
        signed: Whether to show values above zero in red and below in blue, from -5 to 5. Of
            several bands it is their sum over the root of their number, which has the same noise.

    Returns:
        A PNG file.
    """
    from matplotlib.figure import Figure

    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    size = (1.35 * columns, 1.5 * rows + 0.45)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=10)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image, words in zip(axes, images, titles, strict=False):
        style = {"origin": "lower", "interpolation": "nearest"}
        if signed:
            limits = {"vmin": -_SIGMA_RANGE, "vmax": _SIGMA_RANGE}
            mean = image.sum(0) / np.sqrt(len(image))
            axis.imshow(mean, cmap="RdBu_r", **limits, **style)
        elif len(image) > 1:
            axis.imshow(colour_image(image), **style)
        else:
            axis.imshow(stretched(image[0]), cmap="magma", **style)
        axis.set_title(str(words), fontsize=6, pad=1.5)
    return png_bytes(figure, dpi=130)


def contact_sheets(
    name: str, class_images: ClassImages, picture: str = IMAGE
) -> dict[str, bytes]:
    """Draw a contact sheet of every class.

    Args:
        name: Name of the data set, for the titles.
        class_images: Images of each class, see `first_of_each_class`.
        picture: What they are: "image", or a map that the data set keeps.

    Returns:
        PNG files by their names, `contact-<class>` or `<picture>-<class>`.
    """
    prefix = picture
    suffix = f", {picture}"
    if picture == IMAGE:
        prefix = "contact"
        suffix = ""
    return {
        f"{prefix}-{class_name}": contact_sheet(
            images, titles, f"{name}: {class_name}{suffix}", signed=picture == "residual"
        )
        for class_name, (images, titles) in class_images.items()
    }


def check_count(count: int) -> None:
    """Refuse a number of images that a contact sheet cannot show.

    Raises:
        ConfigError: The number is not in 1 to 400.
    """
    if not 1 <= count <= MAX_IMAGES:
        raise ConfigError(
            f"a contact sheet shows 1 to {MAX_IMAGES} images, got {count}",
            code="option-range",
            option="count",
            value=count,
        )
