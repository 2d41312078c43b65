"""Dropout before the layers of any network, which measures the epistemic uncertainty.

Gal & Ghahramani (2016) interpret dropout as variational inference of the weights. Gal, Hron &
Kendall (2017) learn its rate.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, override

import torch
from torch import Tensor, nn

from lenssim.errors import ConfigError

__all__ = [
    "Concrete",
    "Dropout",
    "add_dropout",
    "dropout_rates",
    "dropouts",
    "parse_dropout",
    "penalty",
    "thinned",
]

_INITIAL_RATE = 0.1
# of the concrete distribution, which is differentiable where Bernoulli's is not
_TEMPERATURE = 0.1
_LENGTH_SCALE = 1e-4  # l of the weights' prior
_MIN_INPUTS = 8  # of a layer with dropout; layers with fewer inputs read the image itself
_MIN_UNIFORM = 1e-7


class Dropout(nn.Module):
    """Dropout at a fixed rate: of channels before a convolution, of features before a linear layer.

    In training every image has its own mask. With a `generator` all images share one: the network
    is then one draw of its weights, and an answer does not depend on its batch. Otherwise no input
    is dropped.

    Example:
        >>> Dropout(rate=0.5, axis=-1).eval()(torch.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, rate: float, axis: int) -> None:
        super().__init__()
        self.fixed = rate
        self.axis = axis
        self.generator: torch.Generator | None = None

    @property
    def rate(self) -> Tensor:
        """Return the share of the inputs that is dropped."""
        return torch.tensor(self.fixed)

    def _mask(self, uniform: Tensor) -> Tensor:
        """Return 1 for inputs that stay and 0 for others, from random numbers in [0, 1)."""
        return (uniform >= self.fixed).to(uniform.dtype)

    @override
    def forward(self, x: Tensor) -> Tensor:
        if not self.training and self.generator is None:
            return x
        shape = [1] * x.ndim
        shape[self.axis] = x.shape[self.axis]
        if self.generator is None:
            shape[0] = len(x)
            uniform = torch.rand(shape, device=x.device)
        else:
            uniform = torch.rand(shape, generator=self.generator).to(x.device)
        return x * (self._mask(uniform) / (1 - self.rate)).to(x.dtype)


class Concrete(Dropout):
    """Dropout with a learned rate (Gal, Hron & Kendall 2017, eq. 5; penalty: eqs. 3 and 4)."""

    def __init__(self, inputs: int, axis: int) -> None:
        super().__init__(_INITIAL_RATE, axis)
        self.inputs = inputs
        self.logit = nn.Parameter(torch.logit(torch.tensor(_INITIAL_RATE)))

    @property
    @override
    def rate(self) -> Tensor:
        return self.logit.sigmoid()

    @override
    def _mask(self, uniform: Tensor) -> Tensor:
        noise = torch.logit(uniform.clamp(_MIN_UNIFORM, 1 - _MIN_UNIFORM))
        return 1 - ((self.logit + noise) / _TEMPERATURE).sigmoid()

    def price(self, layer: nn.Module) -> Tensor:
        """Return the divergence of the layer's weights from their prior, in nats, up to a constant.

        It is l^2 |W|^2 / (2 (1 - p)) - K H(p), for K inputs that are dropped at the rate p. W are
        the weights without dropout.

        Args:
            layer: The layer behind this dropout.
        """
        weight = layer.weight
        assert isinstance(weight, Tensor)
        rate = self.rate
        entropy = -(rate * rate.log() + (1 - rate) * (1 - rate).log())
        norm = _LENGTH_SCALE**2 * weight.square().sum() / (2 * (1 - rate))
        return norm - self.inputs * entropy


def parse_dropout(text: str) -> float | None:
    """Parse a dropout setting.

    Args:
        text: A rate such as `0.1`, or `concrete`.

    Returns:
        The rate, None for `concrete`.

    Raises:
        ConfigError: The setting is neither.

    Example:
        >>> parse_dropout("0.1")
        0.1
    """
    if text == "concrete":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < 1:
        raise ConfigError(
            "dropout: give a rate from 0 to below 1, or concrete to have it learned; "
            f"got {text!r}",
            code="option-format",
            option="dropout",
            value=text,
        )
    return rate


def _drop_inputs(layer: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (layer.dropout(inputs[0]), *inputs[1:])


def add_dropout(net: nn.Module, text: str) -> None:
    """Put dropout before every linear layer and convolution with eight inputs or more.

    Args:
        net: The network, which is changed in place.
        text: The setting, as in `parse_dropout`.

    Raises:
        ConfigError: The setting is invalid.
    """
    rate = parse_dropout(text)
    if rate == 0:
        return
    for layer in list(net.modules()):
        if isinstance(layer, nn.Conv2d):
            _add_before(layer, layer.in_channels, 1, rate)
        elif isinstance(layer, nn.Linear):
            _add_before(layer, layer.in_features, -1, rate)


def _add_before(layer: nn.Module, inputs: int, axis: int, rate: float | None) -> None:
    if inputs < _MIN_INPUTS:
        return
    dropout = Concrete(inputs, axis) if rate is None else Dropout(rate, axis)
    layer.add_module("dropout", dropout)
    layer.register_forward_pre_hook(_drop_inputs)


def dropouts(net: nn.Module) -> list[Dropout]:
    """Return the dropout modules of a network."""
    return [module for module in net.modules() if isinstance(module, Dropout)]


def dropout_rates(net: nn.Module) -> dict[str, float]:
    """Return the learned rates by the name of their layer."""
    return {
        name.removesuffix(".dropout"): module.rate.item()
        for name, module in net.named_modules()
        if isinstance(module, Concrete)
    }


def penalty(net: nn.Module) -> Tensor:
    """Return the penalty of all learned rates, which is added to the loss of all training samples.

    Args:
        net: The network.

    Returns:
        The sum of `Concrete.price`, 0 without learned rates.
    """
    prices = []
    for layer in net.modules():
        dropout = getattr(layer, "dropout", None)
        if isinstance(dropout, Concrete):
            prices.append(dropout.price(layer))
    if not prices:
        return torch.zeros(())
    return torch.stack(prices).sum()


@contextmanager
def thinned(net: nn.Module, seed: int) -> Iterator[None]:
    """Turn a network into one draw of its weights, within a `with` block.

    Args:
        net: The network.
        seed: Seed of the draw.
    """
    modules = dropouts(net)
    generator = torch.Generator().manual_seed(seed)
    for module in modules:
        module.generator = generator
    try:
        yield
    finally:
        for module in modules:
            module.generator = None
