"""Contact sheets: what a data set looks like, one picture a class."""

import io
from pathlib import Path

import numpy as np

from lenssim.data.files import write
from lenssim.data.places import complete, path_of
from lenssim.data.reading import decoded, open_shard
from lenssim.errors import ConfigError

__all__ = ["contact_sheet", "contact_sheets", "first_of_each_class"]


def first_of_each_class(folder: Path | str, count: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each class the first `count` images (k, C, H, W) and their sample numbers (k,), in order of number."""
    place = complete(folder)
    manifest = place.manifest
    images: dict[str, list[np.ndarray]] = {name: [] for name in manifest.classes}
    numbers: dict[str, list[int]] = {name: [] for name in manifest.classes}
    for shard in range(len(manifest.shards)):
        if all(len(found) >= count for found in images.values()):
            break
        with open_shard(place.path(shard)) as file:
            labels, index = file["labels"][...], file["index"][...]
            for label, name in enumerate(manifest.classes):
                for row in np.flatnonzero(labels == label)[: count - len(images[name])]:
                    images[name].append(decoded(file, int(row)))
                    numbers[name].append(int(index[row]))
    return {name: (np.stack(images[name]), np.array(numbers[name])) for name in images if images[name]}


def contact_sheet(images: np.ndarray, numbers: np.ndarray, title: str) -> bytes:
    """PNG of a grid of images (k, C, H, W), first band, asinh stretch, y upwards, each under its sample number."""
    from matplotlib.figure import Figure

    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.35 * columns, 1.5 * rows + 0.45), layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=10)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image, number in zip(axes, images[:, 0], numbers, strict=False):
        low, high = np.percentile(image, [1, 99.8])
        stretch = np.arcsinh(8 * (image - low) / (high - low or 1.0))
        axis.imshow(stretch, origin="lower", cmap="magma", interpolation="nearest")
        axis.set_title(str(number), fontsize=6, pad=1.5)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def contact_sheets(folder: Path | str, target: Path, count: int = 25) -> list[Path]:
    """Write `contact-<class>.png` for every class into `target`; returns the files."""
    if not 1 <= count <= 400:
        raise ConfigError(f"a contact sheet shows 1 to 400 images, got {count}")
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, (images, numbers) in first_of_each_class(folder, count).items():
        path = target / f"contact-{name}.png"
        write(path, contact_sheet(images, numbers, f"{path_of(folder).name}: {name}"))
        paths.append(path)
    return paths
