"""The cut of every net before its last layer: outputs = head(features(images)).

A net states its last layer, as models of timm do, in a method `get_classifier`. Otherwise it is
the last linear layer, or the last convolution of one pixel, that the net has.
"""

from collections.abc import Callable

from torch import Tensor, nn

from lenssim.errors import ConfigError

__all__ = ["features_of", "head_of", "last_layer"]

_OF_IMAGES = ("UNet",)  # their last convolution makes a pixel, and not an answer


def last_layer(net: nn.Module) -> nn.Linear | nn.Conv2d:
    """Return the layer that makes the outputs (N, K) of a net.

    Raises:
        ConfigError: The net has none: it gives images.
    """
    layers = list(net.modules())
    for module in net.modules():
        classifier = getattr(module, "get_classifier", None)
        if callable(classifier):
            layers.append(classifier())
    maps_images = type(net).__name__ in _OF_IMAGES
    for layer in reversed(layers):
        if not maps_images and (isinstance(layer, nn.Linear) or _is_pixelwise(layer)):
            return layer  # type: ignore[return-value]
    raise ConfigError(
        f"the net {type(net).__name__} has no last layer whose inputs could be features; "
        "take a net that gives numbers, such as cnn",
        code="no-features",
        net=type(net).__name__,
    )


def _is_pixelwise(layer: nn.Module) -> bool:
    """Tell whether a layer is a convolution with one pixel."""
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)


def features_of(net: nn.Module, images: Tensor) -> Tensor:
    """Return the inputs (N, D) of the last layer of a net for images (N, C, H, W).

    Raises:
        ConfigError: The net gives images.
    """
    inputs: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        inputs.append(arguments[0])

    hook = last_layer(net).register_forward_pre_hook(keep)
    try:
        net(images)
    finally:
        hook.remove()
    return inputs[-1].flatten(1)


def head_of(net: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the function from features (N, D) to the outputs (N, K) of a net.

    Raises:
        ConfigError: The net gives images.
    """
    layer = last_layer(net)

    def head(features: Tensor) -> Tensor:
        if isinstance(layer, nn.Conv2d):
            return layer(features[:, :, None, None]).flatten(1)
        return layer(features)

    return head
