"""Contact sheets: what a data set looks like, one picture a class."""

from pathlib import Path

import numpy as np

from lenssim.data.format.digests import check_shard
from lenssim.data.format.files import make_folder, write
from lenssim.data.format.manifest import read_plan
from lenssim.data.format.maps import IMAGE, check_kept
from lenssim.data.format.reading import decoded, open_shard
from lenssim.data.streaming.locations import complete, path_of
from lenssim.drawing import plain_style, png_bytes
from lenssim.errors import ConfigError, StorageError

__all__ = ["contact_sheet", "contact_sheets", "first_of_each_class"]


_SIGNED = 5  # sigma, at which the colours of residuals end


def first_of_each_class(
    folder: Path | str, count: int, picture: str = IMAGE
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each class the first `count` images (k, C, H, W) and their sample numbers (k,), in order of number.

    Or truth pictures; `ConfigError` if the data set keeps none of that name.
    """
    place = complete(folder)
    manifest = place.manifest
    check_kept(folder, read_plan(place.folder).config, picture)
    images: dict[str, list[np.ndarray]] = {name: [] for name in manifest.classes}
    numbers: dict[str, list[int]] = {name: [] for name in manifest.classes}
    for shard in range(len(manifest.shards)):
        if all(len(found) >= count for found in images.values()):
            break
        path = place.path(shard)
        check_shard(path, place.record(shard))
        with open_shard(path) as file:
            labels, index = file["labels"][...], file["index"][...]
            for label, name in enumerate(manifest.classes):
                for row in np.flatnonzero(labels == label)[: count - len(images[name])]:
                    images[name].append(
                        decoded(file, int(row))
                        if picture == IMAGE
                        else file[picture][int(row)]
                    )
                    numbers[name].append(int(index[row]))
    return {
        name: (np.stack(images[name]), np.array(numbers[name]))
        for name in images
        if images[name]
    }


@plain_style()
def contact_sheet(
    images: np.ndarray, numbers: np.ndarray, title: str, *, signed: bool = False
) -> bytes:
    """PNG of a grid of images (k, C, H, W), first band, asinh stretch, y upwards, each under its sample number.

    `signed`: red above zero and blue below, from -5 to 5.
    """
    from matplotlib.figure import Figure

    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    figure = Figure(
        figsize=(1.35 * columns, 1.5 * rows + 0.45), layout="constrained", facecolor="white"
    )
    figure.suptitle(title, fontsize=10)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image, number in zip(axes, images[:, 0], numbers, strict=False):
        if signed:
            shown, colours = image, {"cmap": "RdBu_r", "vmin": -_SIGNED, "vmax": _SIGNED}
        else:
            low, high = np.percentile(image, [1, 99.8])
            shown, colours = (
                np.arcsinh(8 * (image - low) / (high - low or 1.0)),
                {"cmap": "magma"},
            )
        axis.imshow(shown, origin="lower", interpolation="nearest", **colours)
        axis.set_title(str(number), fontsize=6, pad=1.5)
    return png_bytes(figure, dpi=130)


def contact_sheets(
    folder: Path | str, target: Path, count: int = 25, picture: str = IMAGE
) -> list[Path]:
    """Write `contact-<class>.png`, or `<picture>-<class>.png`, for every class into `target`; returns the files."""
    if not 1 <= count <= 400:
        raise ConfigError(f"a contact sheet shows 1 to 400 images, got {count}")
    found = first_of_each_class(folder, count, picture)
    try:
        make_folder(target)
        return _draw(folder, target, found, picture)
    except StorageError as error:
        raise StorageError(
            f"the pictures cannot be kept in {target}; choose another folder by --out\n{error}"
        ) from None


def _draw(
    folder: Path | str,
    target: Path,
    found: dict[str, tuple[np.ndarray, np.ndarray]],
    picture: str,
) -> list[Path]:
    paths = []
    of_image = picture == IMAGE
    for name, (images, numbers) in found.items():
        path = target / f"{'contact' if of_image else picture}-{name}.png"
        title = f"{path_of(folder).name}: {name}{'' if of_image else f', {picture}'}"
        write(path, contact_sheet(images, numbers, title, signed=picture == "residual"))
        paths.append(path)
    return paths
