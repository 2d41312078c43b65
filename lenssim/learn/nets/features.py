"""What a network has made of images before its last layer."""

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.errors import ConfigError
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.model import Model

__all__ = ["network_features", "untrained_model"]

_IMAGES_PER_BATCH = 256


def untrained_model(images: ImageDescription) -> Model:
    """Return a small network with random weights, the same for all images of a shape.

    Args:
        images: The images, of at least 16 x 16 pixels.

    Returns:
        A `compact_grid` of seed 0. It sees images in an asinh stretch.
    """
    return Model("compact_grid", "asinh", images, outputs=1)


def network_features(model: Model, images: np.ndarray, device: torch.device) -> np.ndarray:
    """Return what the last linear layer of a network sees.

    Args:
        model: The network.
        images: Images (N, C, H, W).
        device: Where to compute.

    Returns:
        Features float64 (N, k).

    Raises:
        ConfigError: The network has no linear layer.
    """
    layers = [layer for layer in model.net.modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise ConfigError(
            f"the net {model.name} has no linear layer whose inputs could be features",
            code="no-features",
            net=model.name,
        )
    features: list[Tensor] = []

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        features.append(inputs[0].detach().float().cpu().flatten(1))

    model = model.to(device).eval()
    hook = layers[-1].register_forward_pre_hook(keep)
    try:
        with torch.inference_mode():
            for start in range(0, len(images), _IMAGES_PER_BATCH):
                batch = torch.as_tensor(images[start : start + _IMAGES_PER_BATCH])
                model(batch.to(device, torch.float32))
    finally:
        hook.remove()
    return torch.cat(features).double().numpy()
