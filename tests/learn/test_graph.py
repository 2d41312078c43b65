"""The graph net: objects as they were drawn, messages against plain loops, order and turns."""

import numpy as np
import pytest
import torch

from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets import build_net
from lenssim.learn.nets.graph import EdgeConvolution, _objects


def blobs(places, widths, side=48, noise=1.0):
    """An image (1, 1, side, side) of Gaussian blobs at places (x, y) in pixels."""
    y, x = np.mgrid[:side, :side].astype(float)
    rng = np.random.default_rng(0)
    image = noise * rng.normal(size=(side, side))
    for (px, py), (wx, wy) in zip(places, widths, strict=True):
        image += 200 * np.exp(-((x - px) ** 2) / 2 / wx**2 - (y - py) ** 2 / 2 / wy**2)
    return torch.from_numpy(image[None, None].astype(np.float32))


def test_objects_lie_where_they_were_drawn():
    numbers, places, present = _objects(blobs([(12, 30), (38, 9)], [(2, 2), (2, 2)]))
    assert present.all()
    low = torch.isclose(numbers[0, :, 8], torch.tensor(0.25))
    found = 23.5 + 23.5 * places[0, low].numpy()
    found = found[np.argsort(found[:, 0])]
    np.testing.assert_allclose(found, [[12, 30], [38, 9]], atol=0.3)


def test_an_arc_lies_across_the_line_to_the_middle():
    across = _objects(blobs([(24, 40)], [(6, 1.5)]))[0][0, 1, 7]
    towards = _objects(blobs([(24, 40)], [(1.5, 6)]))[0][0, 1, 7]
    assert across > 0.7
    assert towards < -0.7


def test_messages_are_those_of_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    layer = EdgeConvolution(3, 4)
    objects = torch.randn(1, 5, 3, generator=generator)
    places = torch.randn(1, 5, 2, generator=generator)
    present = torch.tensor([[True, True, True, True, False]])
    found = layer(objects, places, present)
    for i in range(4):
        messages = []
        for j in range(4):
            shift = places[0, j] - places[0, i]
            length = (shift.square().sum() + 1e-6).sqrt()
            pair = [objects[0, i], objects[0, j] - objects[0, i], shift, length[None]]
            messages.append(layer.message(torch.cat(pair)))
        torch.testing.assert_close(found[0, i], torch.stack(messages).amax(0))
    assert (found[0, 4] == 0).all()


def test_an_answer_does_not_depend_on_the_order_of_objects():
    layer = EdgeConvolution(3, 4)
    objects, places = torch.randn(1, 6, 3), torch.randn(1, 6, 2)
    present = torch.ones(1, 6, dtype=torch.bool)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(
        layer(objects, places, present)[:, order],
        layer(objects[:, order], places[:, order], present),
    )


@pytest.mark.parametrize("image", [torch.zeros(1, 1, 16, 16), torch.ones(1, 2, 16, 20)])
def test_an_image_without_objects_has_an_answer(image):
    net = build_net("graph", ImageDescription(tuple(image.shape[1:])), 3)
    assert torch.isfinite(net(image)).all()


def test_answers_know_no_unit():
    net = build_net("graph", ImageDescription((1, 48, 48)), 3).eval()
    image = blobs([(12, 30), (38, 9)], [(2, 3), (2, 2)])
    with torch.inference_mode():
        torch.testing.assert_close(net(1e3 * image + 7e3), net(image), atol=1e-3, rtol=1e-3)
