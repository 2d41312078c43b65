import pytest
import torch

from lenssim.errors import ConfigError, DataError
from lenssim.learn.model import Model, load_weights
from lenssim.learn.nets import NETS, build_net, parameter_count

COUNTS = {"cnn": 125_683, "resnet18": 11_171_779}  # one band, three classes


def batch(shape, n=4, seed=0):
    return torch.rand((n, *shape), generator=torch.Generator().manual_seed(seed))


def test_every_net_has_its_count_here():
    assert set(COUNTS) == set(NETS)


@pytest.mark.parametrize("name", NETS)
def test_parameter_count(name):
    assert parameter_count(build_net(name, (1, 64, 64), 3)) == COUNTS[name]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("shape", "outputs"), [((1, 16, 16), 2), ((3, 20, 33), 5), ((1, 64, 64), 3)])
def test_any_stamp_and_any_number_of_bands(name, shape, outputs):
    assert build_net(name, shape, outputs)(batch(shape)).shape == (4, outputs)


@pytest.mark.parametrize("name", NETS)
def test_gradients_reach_every_parameter(name):
    net = build_net(name, (2, 32, 32), 3)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):  # a layer that begins at zero lets none through in the first step
        optimiser.step()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(batch((2, 32, 32), 8)), torch.arange(8) % 3).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", NETS)
def test_an_image_s_answer_does_not_depend_on_its_batch(name):
    net = build_net(name, (1, 32, 32), 3).eval()
    images = batch((1, 32, 32), 6)
    with torch.inference_mode():
        together = net(images)
        for i in range(len(images)):
            torch.testing.assert_close(net(images[i : i + 1])[0], together[i], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_weights_follow_from_the_seed_and_the_global_state_stays(name):
    state = torch.get_rng_state()
    first, second, other = (build_net(name, (1, 32, 32), 3, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NETS)
def test_saved_weights_come_back(name, tmp_path):
    shape = (1, 32, 32)
    model, other = Model(name, "minmax", shape, 3, seed=1), Model(name, "minmax", shape, 3, seed=2)
    torch.save({"state_dict": {f"model.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "c.ckpt")
    load_weights(other, tmp_path / "c.ckpt")
    with torch.inference_mode():
        assert torch.equal(model.eval()(batch(shape)), other.eval()(batch(shape)))
    with pytest.raises(DataError, match=f"does not fit the net {name}"):
        load_weights(Model(name, "minmax", shape, 4), tmp_path / "c.ckpt")


def test_bad_names_and_stamps_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'resnet18'"):
        build_net("resnet81", (1, 64, 64), 3)
    with pytest.raises(ConfigError, match="16 pixels and more, got 8 x 64"):
        build_net("cnn", (1, 8, 64), 3)
