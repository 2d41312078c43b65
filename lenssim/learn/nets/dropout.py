"""Dropout before the layers of any network: a network is then one of many, and their spread what training left open.

Gal & Ghahramani (2016) read dropout as variational inference of the weights; Gal, Hron & Kendall (2017) learn its rate.
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

_FIRST = 0.1  # rate that learning starts from
_TEMPERATURE = (
    0.1  # of the concrete distribution, which is differentiable where Bernoulli's is not
)
_LENGTH_SCALE = 1e-4  # l of the weights' prior
_FEWEST = 8  # inputs of a layer that can do without some; below, they are the image itself
_TINY = 1e-7


class Dropout(nn.Module):
    """Leaves out inputs of a layer at a fixed rate: whole channels before a convolution, features before a linear one.

    In training every image has its own mask. With a `generator` all images share one: the network is then one draw of
    its weights, and an answer does not depend on its batch. Otherwise nothing is left out.
    """

    def __init__(self, rate: float, axis: int) -> None:
        super().__init__()
        self.fixed, self.axis = rate, axis
        self.generator: torch.Generator | None = None

    @property
    def rate(self) -> Tensor:
        """Share of the inputs that is left out."""
        return torch.tensor(self.fixed)

    def _kept(self, uniform: Tensor) -> Tensor:
        """1 for inputs that stay, 0 for those that go, of random numbers in [0, 1)."""
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
        return x * (self._kept(uniform) / (1 - self.rate)).to(x.dtype)


class Concrete(Dropout):
    """Dropout whose rate is learned (Gal, Hron & Kendall 2017, eq. 5: the relaxation; eqs. 3 and 4: its price)."""

    def __init__(self, inputs: int, axis: int) -> None:
        super().__init__(_FIRST, axis)
        self.inputs = inputs
        self.logit = nn.Parameter(torch.logit(torch.tensor(_FIRST)))

    @property
    @override
    def rate(self) -> Tensor:
        return self.logit.sigmoid()

    @override
    def _kept(self, uniform: Tensor) -> Tensor:
        noise = torch.logit(uniform.clamp(_TINY, 1 - _TINY))
        return 1 - ((self.logit + noise) / _TEMPERATURE).sigmoid()

    def price(self, layer: nn.Module) -> Tensor:
        """Divergence of the layer's weights from their prior, in nats and but for a constant.

        l^2 |W|^2 / (2 (1 - p)) - K H(p), of K inputs left out at the rate p; W is what is multiplied where none is.
        """
        rate = self.rate
        entropy = -(rate * rate.log() + (1 - rate) * (1 - rate).log())
        return (
            _LENGTH_SCALE**2 * layer.weight.square().sum() / (2 * (1 - rate))
            - self.inputs * entropy
        )


def parse_dropout(text: str) -> float | None:
    """The rate that a setting such as `0.1` names, None for `concrete`; `ConfigError` for anything else."""
    if text == "concrete":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < 1:
        raise ConfigError(
            f"dropout: give a rate from 0 to below 1, or concrete to have it learned; got {text!r}"
        )
    return rate


def _thin(layer: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (layer.dropout(inputs[0]), *inputs[1:])


def add_dropout(net: nn.Module, text: str) -> None:
    """Put dropout before every linear layer and convolution of eight inputs or more, as the setting says."""
    rate = parse_dropout(text)
    if rate == 0:
        return
    for layer in list(net.modules()):
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        inputs, axis = (
            (layer.in_channels, 1)
            if isinstance(layer, nn.Conv2d)
            else (layer.in_features, -1)
        )
        if inputs >= _FEWEST:
            layer.add_module(
                "dropout", Concrete(inputs, axis) if rate is None else Dropout(rate, axis)
            )
            layer.register_forward_pre_hook(_thin)


def dropouts(net: nn.Module) -> list[Dropout]:
    """What `add_dropout` put into a network."""
    return [module for module in net.modules() if isinstance(module, Dropout)]


def dropout_rates(net: nn.Module) -> dict[str, float]:
    """Learned rates by the name of their layer."""
    return {
        name.removesuffix(".dropout"): module.rate.item()
        for name, module in net.named_modules()
        if isinstance(module, Concrete)
    }


def penalty(net: nn.Module) -> Tensor:
    """Sum of the prices of all learned rates, to be added to the loss of all training samples; 0 without any."""
    learned = [
        layer
        for layer in net.modules()
        if isinstance(getattr(layer, "dropout", None), Concrete)
    ]
    prices = [layer.dropout.price(layer) for layer in learned]
    return torch.stack(prices).sum() if prices else torch.zeros(())


@contextmanager
def thinned(net: nn.Module, seed: int) -> Iterator[None]:
    """The network as one draw of its weights, that of the seed."""
    own, generator = dropouts(net), torch.Generator().manual_seed(seed)
    for module in own:
        module.generator = generator
    try:
        yield
    finally:
        for module in own:
            module.generator = None
