"""Light profiles: a second witness for Sersic, and which way an image lies."""

import numpy as np
import pytest
import torch
from caustics.light import func as caustics

from lenssim.simulate.engines.batched.profiles import interpolated, sersic


def tensors(**values) -> dict[str, torch.Tensor]:
    return {
        name: torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()
    }


@pytest.mark.parametrize("n_sersic", [0.7, 1.0, 4.0])
@pytest.mark.parametrize(("q", "angle"), [(0.9, 0.4), (0.3, 2.0)])
def test_caustics_sersic(n_sersic, q, angle):
    """Their effective radius lies on the major axis."""
    x, y = torch.as_tensor(np.random.default_rng(0).uniform(-2, 2, (2, 500)))
    e = (1 - q) / (1 + q)
    shape = tensors(n_sersic=n_sersic, e1=e * np.cos(2 * angle), e2=e * np.sin(2 * angle))
    mine = sersic.surface_brightness(
        x, y, **tensors(amp=3.0, R_sersic=0.4, center_x=0.1, center_y=-0.2), **shape
    )
    n, phi = torch.tensor([n_sersic, angle], dtype=x.dtype)
    k = caustics.k_lenstronomy(n)
    theirs = caustics.brightness_sersic(
        0.1, -0.2, q, phi, n, 0.4 / np.sqrt(q), 3.0, x, y, k
    )
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=0)


def test_sersic_at_its_radius_is_its_amplitude():
    parameters = tensors(
        amp=3.0, R_sersic=0.4, n_sersic=2.5, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0
    )
    value = sersic.surface_brightness(
        *torch.tensor([0.0, 0.4], dtype=torch.float64), **parameters
    )
    assert value.item() == pytest.approx(3.0, rel=1e-14)


def image_at(image, x, y, **other) -> float:
    parameters = {
        "amp": 1.0,
        "center_x": 0.0,
        "center_y": 0.0,
        "phi_G": 0.0,
        "scale": 0.5,
        **other,
    }
    x, y = (torch.tensor([value], dtype=torch.float64) for value in (x, y))
    return interpolated.surface_brightness(
        x, y, image=torch.as_tensor(image), **tensors(**parameters)
    ).item()


def test_columns_run_along_x_and_rows_along_y():
    image = np.zeros((3, 5))
    image[0, 4] = 1.0  # lowest row, last column
    assert image_at(image, 1.0, -0.5) == pytest.approx(1)
    assert image_at(image, 1.3, 0.0, center_x=0.3, center_y=0.5) == pytest.approx(1)
    assert image_at(image, 0.5, 1.0, phi_G=np.pi / 2) == pytest.approx(
        1
    )  # turned counter-clockwise
    assert image_at(image, 0.75, -0.5) == pytest.approx(
        0.5
    )  # half-way to the pixel before it


def test_light_ends_one_pixel_beyond_the_outermost_centres():
    image = np.ones((3, 5))
    assert image_at(image, 1.0, 0.0) == pytest.approx(1)
    assert image_at(image, 1.125, 0.0) == pytest.approx(0.75)
    assert image_at(image, 1.5, 0.0) == pytest.approx(0, abs=1e-15)
    assert image_at(image, 9.0, 9.0) == 0


def test_one_image_for_many_scenes_and_one_for_each():
    rng = np.random.default_rng(1)
    images = torch.as_tensor(rng.random((3, 6, 4)))
    x, y = torch.as_tensor(rng.uniform(-1, 1, (2, 3, 11)))
    parameters = tensors(amp=1.0, center_x=0.1, center_y=0.0, phi_G=0.3, scale=0.4)
    each = interpolated.surface_brightness(x, y, image=images, **parameters)
    for i in range(3):
        shared = interpolated.surface_brightness(x, y, image=images[i], **parameters)
        torch.testing.assert_close(shared[i], each[i], rtol=0, atol=0)
