"""The network that a training begins with."""

from lenssim.learn.config import TrainConfig
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.model import Model

__all__ = ["fresh_model"]


def fresh_model(config: TrainConfig, images: ImageDescription, outputs: int) -> Model:
    """Return the untrained network that a training with these settings begins with.

    Args:
        config: Settings of the training.
        images: Description of its images.
        outputs: Number of outputs of the network.
    """
    options = {"dropout": config.dropout, "draws": config.draws}
    return Model(config.net, config.normalise, images, outputs, config.seed, **options)
