"""Where a training's images come from: shards on disk, or a live simulation."""

from lenssim.data.format.maps import IMAGE
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.data.streaming.source import ImageSource
from lenssim.learn.config import LiveData

__all__ = ["open_source"]


def open_source(
    data: str | None, live: LiveData | None, picture: str = IMAGE
) -> ImageSource:
    """Open the images that a training learns from.

    Args:
        data: A folder or URL of a data set, or `follow:` and a folder.
        live: What to simulate in place of `data`.
        picture: The map that is shown for the image.

    Raises:
        ConfigError: What is to be simulated cannot be.
        DataError: The data set cannot be read.
    """
    if live is None:
        return ShardDataset(data or "", picture=picture)
    return LiveDataset(live.plan(), live.endless, picture)
