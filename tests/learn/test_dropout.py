import copy

import numpy as np
import pytest
import torch
from error_codes import has_code
from scipy.optimize import minimize_scalar
from torch import nn

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError
from lenssim.learn.evaluation.ensemble import Ensemble
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets.dropout import (
    Concrete,
    add_dropout,
    dropout_rates,
    dropouts,
    penalty,
)
from lenssim.learn.nets.model import Model, image_outputs, read_checkpoint
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train

CPU = torch.device("cpu")


def model_of(net="cnn", dropout="0.2", draws=4, shape=(1, 32, 32)):
    return Model(
        net, "minmax", ImageDescription(shape), 3, seed=1, dropout=dropout, draws=draws
    )


def pictures(n, shape=(1, 32, 32)):
    return np.random.default_rng(0).random((n, *shape), dtype=np.float32)


@pytest.mark.parametrize("dropout", ["0.2", "concrete"])
@pytest.mark.parametrize(
    "net",
    ["cnn", "compact", "vit", "cvt", "lensformer", "equivariant_c4", "timm:convnext_atto"],
)
def test_every_net_is_many(net, dropout):
    """Passes differ, but repeat; an answer does not depend on the batch it came in; without draws it is the net's."""
    model, images = model_of(net, dropout, shape=(1, 64, 64)), pictures(3, (1, 64, 64))
    assert dropouts(model.net)
    state = torch.get_rng_state()
    with torch.inference_mode():
        nn.init.normal_(
            list(model.net.parameters())[-2], std=0.1
        )  # a last layer that starts at zero hides all
        torch.set_rng_state(state)
    passes = image_outputs(model, images, CPU)
    assert passes.shape == (4, 3, 3)
    assert len(torch.unique(passes[:, 0, 0])) == 4
    assert torch.equal(image_outputs(model, images, CPU), passes)
    torch.testing.assert_close(
        image_outputs(model, images[1:2], CPU)[:, 0], passes[:, 1], atol=1e-5, rtol=1e-4
    )
    assert torch.equal(torch.get_rng_state(), state)
    with torch.inference_mode():
        alone = model.eval()(torch.from_numpy(images))
        assert torch.equal(alone, model(torch.from_numpy(images)))


def test_a_rate_of_zero_is_no_dropout():
    bare = Model("cnn", "minmax", ImageDescription((1, 32, 32)), 3, seed=1)
    none = model_of(dropout="0")
    assert not dropouts(none.net)
    assert none.draws == 1
    assert none.state_dict().keys() == bare.state_dict().keys()
    assert model_of(dropout="0.2").state_dict().keys() == bare.state_dict().keys()


@pytest.mark.parametrize("text", ["1", "-0.1", "often", "nan"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(
        ConfigError,
        match="from 0 to below 1, or concrete",
        check=has_code("settings-invalid", where="training"),
    ):
        parse_config({"data": "d", "dropout": text})


def test_masks_keep_the_mean_and_leave_out_whole_channels():
    net = nn.Sequential(nn.Conv2d(64, 1, 1, bias=False))
    add_dropout(net, "0.3")
    nn.init.ones_(net[0].weight)
    torch.manual_seed(0)
    seen = net[0].dropout(torch.ones(500, 64, 4, 4))
    kept = seen.amax((2, 3))
    assert torch.equal(seen, kept[..., None, None].expand_as(seen))
    np.testing.assert_allclose(np.unique(kept), [0, 1 / 0.7], rtol=1e-6)
    assert seen.mean() == pytest.approx(1, abs=0.02)


def relaxed(rate):
    """Mean and mean square of what the concrete distribution keeps of an input, by integrating over its noise."""
    noise = np.linspace(0, 1, 200_002)[1:-1]
    kept = 1 / (
        1
        + np.exp(
            np.clip(
                (np.log(rate / (1 - rate)) + np.log(noise / (1 - noise))) / 0.1, -500, 500
            )
        )
    )
    return kept.mean(), (kept**2).mean()


@pytest.mark.parametrize("samples", [50, 200])
def test_concrete_dropout_recovers_the_known_optimum_of_a_linear_model(samples):
    """y = w x + noise, x normal and white: the loss a sample, in expectation over x and masks, is known.

    With Bernoulli's masks, weights W and a rate p it is, but for constants and small l,
      [sum (w - W)^2 + sum W^2 p / (1 - p)] / (2 s^2) - K H(p) / N, least at W = w (1 - p).
    Fewer samples want more dropout. The relaxed masks keep a little else in the mean, which moves the optimum.
    """
    inputs, batch = 16, 1024
    draw = torch.Generator().manual_seed(0)
    true = 0.5 * torch.randn(inputs, generator=draw).abs() / inputs**0.5
    strength = float(true.square().sum())

    def optimum(lost):
        def loss(rate):
            entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
            return strength * lost(rate) / 2 - inputs * entropy / samples

        return minimize_scalar(loss, bounds=(1e-3, 0.5), method="bounded").x

    net = nn.Sequential(nn.Linear(inputs, 1, bias=False))
    add_dropout(net, "concrete")
    optimiser = torch.optim.Adam(
        [{"params": [net[0].weight], "lr": 3e-3}, {"params": [net[0].dropout.logit]}],
        lr=3e-2,
    )
    decline = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 800)
    torch.manual_seed(1)
    for _ in range(800):
        x = torch.randn(batch, inputs, generator=draw)
        loss = (net(x)[:, 0] - x @ true).square().mean() / 2 + penalty(
            net
        ) / samples  # the noise adds a constant
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        decline.step()
    (rate,) = dropout_rates(net).values()
    bernoulli, concrete = (
        optimum(lambda p: p),
        optimum(lambda p: 1 - relaxed(p)[0] ** 2 / relaxed(p)[1]),
    )
    assert rate == pytest.approx(concrete, rel=0.05)
    assert rate == pytest.approx(bernoulli, rel=0.15)
    torch.testing.assert_close(net[0].weight[0], true * (1 - rate), atol=0.02, rtol=0)


def test_the_price_of_a_rate_is_least_at_a_half():
    layer = nn.Linear(16, 4)
    add_dropout(layer, "concrete")
    assert isinstance(layer.dropout, Concrete)
    prices = {}
    for rate in (0.1, 0.5, 0.9):
        own = copy.deepcopy(layer)
        own.dropout.logit.data = torch.logit(torch.tensor(rate))
        prices[rate] = penalty(own).item()
    assert prices[0.5] == pytest.approx(-16 * np.log(2), rel=1e-5)
    assert min(prices, key=prices.get) == 0.5


@pytest.mark.parametrize("dropout", ["0.1", "concrete"])
def test_a_training_with_dropout_resumes_to_the_bit(
    tiny_dataset, tmp_path, kill_at, dropout
):
    settings = {
        "data": str(tiny_dataset),
        "epochs": 2,
        "batch_size": 32,
        "checkpoint_steps": 1,
        "draws": 3,
    }
    config = parse_config({**settings, "dropout": dropout})
    whole = train(config, tmp_path / "whole")
    with pytest.raises(MemoryError):
        train(config, tmp_path / "parts", callbacks=[kill_at(6)])
    parts = train(config, tmp_path / "parts", resume=True)
    one, other = (read_checkpoint(run.last)["state_dict"] for run in (whole, parts))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert any("logit" in key for key in one) == (dropout == "concrete")
    ensemble = Ensemble([whole, parts], CPU)
    rows = ShardDataset(tiny_dataset).rows("test")[:5]
    assert ensemble.passes == 6
    assert ensemble.of(ShardDataset(tiny_dataset), rows)[1].shape == (6, 5, 3)
