import numpy as np
import pytest
import torch

from lenssim.learn.figures.attribution import (
    features_figure,
    first_features,
    integrated_gradients,
)
from lenssim.learn.figures.comparison import accuracy_figure, sizes_figure
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets import IMAGE_NETS, NETS
from lenssim.learn.nets.model import Model

NUMBER_NETS = [name for name in NETS if name not in IMAGE_NETS]
COARSE = {"vit", "lensformer", "graph"}  # quadrants of the image at once, or objects


@pytest.mark.parametrize("name", NUMBER_NETS)
def test_features_are_those_of_the_first_convolution_of_every_net(name):
    model, image = (
        Model(name, "minmax", ImageDescription((1, 64, 64)), 3),
        torch.rand(1, 64, 64),
    )
    features = first_features(model, image)
    assert (features is None) == (name in COARSE)
    if features is not None:
        assert features.ndim == 3
        assert min(features.shape[1:]) >= 4
        assert features.std() > 0
        first = next(
            (each for each in model.modules() if isinstance(each, torch.nn.Conv2d)), None
        )
        # the first module of that name is another one where symmetries share the weights
        if first is not None and name != "lastro_invariant":
            assert len(features) == first.out_channels
        assert len(features_figure(image.numpy(), features, "t").axes) == 16


def test_integrated_gradients_add_up_to_the_difference_from_zeros():
    """Completeness (Sundararajan et al. 2017, proposition 1), for a path of 32 steps through a smooth net."""
    model, images = (
        Model("cnn", "none", ImageDescription((2, 16, 16)), 3),
        torch.rand(4, 2, 16, 16),
    )
    torch.manual_seed(0)
    model.net = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(512, 32),
        torch.nn.Tanh(),
        torch.nn.Linear(32, 3),
    )
    chosen = torch.tensor([0, 1, 2, 0])
    shares = integrated_gradients(model, images, chosen)
    with torch.inference_mode():
        gained = (model(images) - model(torch.zeros_like(images))).gather(
            1, chosen[:, None]
        )[:, 0]
    assert shares.shape == images.shape
    torch.testing.assert_close(shares.sum((1, 2, 3)), gained, atol=1e-3, rtol=1e-3)


def test_accuracy_is_told_by_class_where_the_column_says_something():
    n = 60
    right = np.arange(n) >= n // 2  # of b, the half with large values is recognised
    table = {
        "label": np.repeat(["a", "b"], n),
        "predicted": np.concatenate([np.repeat("a", n), np.where(right, "b", "a")]),
        "delta_chi2": np.concatenate([np.zeros(n), np.arange(1, n + 1)]),
    }
    (panel,) = accuracy_figure(
        {"run": table}, ("a", "b"), "delta_chi2", "delta chi2", "t"
    ).axes
    assert panel.get_title() == "b"
    curve = panel.containers[0][0]
    np.testing.assert_array_equal(curve.get_ydata(), [0, 0, 0, 1, 1, 1])
    assert np.all(np.diff(curve.get_xdata()) > 0)


def test_seeds_of_one_size_share_a_point_of_the_line():
    points = [(100, 0.5), (200, 0.6), (200, 0.8), (400, 0.9)]
    scores = [(size, {"value": v, "low": v - 0.1, "high": v + 0.05}) for size, v in points]
    (ax,) = sizes_figure({"net": scores}, "accuracy", "t").axes
    line = ax.get_lines()[0]
    np.testing.assert_allclose(line.get_xdata(), [100, 200, 400])
    np.testing.assert_allclose(line.get_ydata(), [0.5, 0.7, 0.9])
