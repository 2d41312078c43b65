"""Where a training's images come from: shards on disk, or a live simulation."""

from lenssim.data.format.maps import IMAGE
from lenssim.data.format.spec import earlier_configs
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.data.streaming.source import ImageSource
from lenssim.learn.config import LiveData

__all__ = ["open_source"]


def open_source(
    data: str | None,
    live: LiveData | None,
    picture: str = IMAGE,
    *,
    fingerprint: str | None = None,
) -> ImageSource:
    """Open the images that a training learns from.

    Args:
        data: A folder or URL of a data set, or `follow:` and a folder.
        live: What to simulate in place of `data`.
        picture: The map that is shown for the image.
        fingerprint: Fingerprint of the simulated images that a run has learned from. Where an
            earlier version drew their noise in another way, they are drawn in that way again.

    Raises:
        ConfigError: What is to be simulated cannot be.
        DataError: The data set cannot be read.
    """
    if live is None:
        return ShardDataset(data or "", picture=picture)
    plan = live.plan()
    newest = LiveDataset(plan, live.endless, picture)
    if fingerprint in (None, newest.fingerprint):
        return newest
    for config in earlier_configs(plan.config):
        earlier = plan.model_copy(update={"config": config})
        dataset = LiveDataset(earlier, live.endless, picture)
        if dataset.fingerprint == fingerprint:
            return dataset
    return newest
