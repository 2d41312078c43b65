"""Where a training's images come from: shards on disk, or a live simulation."""

from collections.abc import Iterator

from lenssim.data.format.manifest import Plan
from lenssim.data.format.maps import IMAGE
from lenssim.data.format.spec import earlier_configs
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.data.streaming.source import ImageSource
from lenssim.learn.config import LiveData
from lenssim.simulate.preset import former_preset

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
            earlier version drew them in another way, they are drawn in that way again.

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
    for earlier in _earlier_plans(live, plan):
        dataset = LiveDataset(earlier, live.endless, picture)
        if dataset.fingerprint == fingerprint:
            return dataset
    return newest


def _earlier_plans(live: LiveData, plan: Plan) -> Iterator[Plan]:
    """Yield the plans that earlier versions made of the same wishes."""
    plans = [plan]
    former = former_preset(live.model)
    if former is not None and live.noise in (None, *former.noise):
        plans.append(live.plan(former))
        yield plans[-1]
    for today in plans:
        for config in earlier_configs(today.config):
            yield today.model_copy(update={"config": config})
