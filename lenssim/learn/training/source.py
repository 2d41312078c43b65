"""Where a training's images come from: shards on disk, or a preset that is simulated as they are asked for."""

from lenssim.data.format.maps import IMAGE
from lenssim.data.generation.live import LiveDataset
from lenssim.data.generation.simulation import make_plan
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.config import LiveData
from lenssim.simulate.preset import load_preset

__all__ = ["open_source"]


def open_source(
    data: str | None, live: LiveData | None, picture: str = IMAGE
) -> ShardDataset | LiveDataset:
    """The data set that `data` (a folder, a URL, `follow:` and a folder) or else `live` stands for, its `picture`
    shown for the image; errors as of those who open or plan it.
    """
    if live is None:
        return ShardDataset(data or "", picture=picture)
    return LiveDataset(
        make_plan(load_preset(live.model), live.n, seed=live.seed, noise=live.noise),
        live.endless,
    )
