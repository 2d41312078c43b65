import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from lenssim.learn.inputs.normalise import rings, sky
from lenssim.learn.inputs.rings import ring_contrast

SIDE = 61
Y, X = np.indices((SIDE, SIDE)) - SIDE // 2
RADIUS = np.hypot(X, Y)


def galaxy(flux, size=8.0, e=0.3):
    """A galaxy with elliptical isophotes, in units of the sky's noise."""
    elliptical = np.sqrt(X**2 * (1 - e) + Y**2 * (1 + e))
    return flux * np.exp(-elliptical / size)


def arc(flux, radius=14.0, width=1.5, angle=0.7):
    distance = np.angle(np.exp(1j * (np.arctan2(Y, X) - angle)))
    return flux * np.exp(
        -0.5 * ((RADIUS - radius) / width) ** 2 - 0.5 * (distance / 0.4) ** 2
    )


def observed(expected, seed=0):
    noise = np.sqrt(1 + np.clip(expected, 0, None) / 20)
    pixels = expected + noise * np.random.default_rng(seed).normal(size=expected.shape)
    return torch.from_numpy(pixels.astype(np.float32))[None, None]


@pytest.mark.parametrize("flux", [30, 300, 3000])
def test_the_galaxy_is_gone_and_its_noise_is_the_same_at_every_radius(flux):
    """The scatter of white noise is that of pixels averaged in pairs, so pixels have 1.5 of it."""
    contrast = ring_contrast(sky(observed(galaxy(flux))))[0, 0].numpy()
    for low, high in ((6, 12), (12, 20), (20, 28)):
        ring = contrast[(low <= RADIUS) & (high > RADIUS)]
        assert np.median(ring) == pytest.approx(0, abs=0.35)
        assert 1.48 * np.median(np.abs(ring)) == pytest.approx(1.5, abs=0.4)


def test_brightness_and_size_of_the_galaxy_do_not_remain():
    """Trees of ring medians would tell them: the medians are alike."""
    bright = ring_contrast(sky(observed(galaxy(3000, 11))))[0, 0].numpy()
    faint = ring_contrast(sky(observed(galaxy(60, 5), seed=1)))[0, 0].numpy()
    for k in range(6, 26, 5):
        ring = (k <= RADIUS) & (k + 5 > RADIUS)
        assert np.median(bright[ring]) == pytest.approx(np.median(faint[ring]), abs=0.4)


def test_an_arc_stands_out_where_it_is_and_sky_scaling_shows_the_core():
    image = observed(galaxy(1000) + arc(250))
    outside = torch.from_numpy(RADIUS > 2)
    peak = int((rings(image) * outside).argmax())
    assert RADIUS.ravel()[peak] == pytest.approx(14, abs=2.5)
    assert RADIUS.ravel()[int(sky(image).argmax())] < 2


def test_an_arc_stands_out_before_a_disc_seen_from_the_side():
    """An ellipse alone would leave a cross of the disc, which is brighter than the arc."""
    disc = 400 * np.exp(-np.hypot(X, 4.0 * Y) / 10)
    image = observed(galaxy(1000, 4, e=0.1) + disc + arc(40, angle=1.2))
    blurred = avg_pool2d(
        rings(image) * torch.from_numpy(RADIUS > 4), 5, stride=1, padding=2
    )
    peak = int(blurred.argmax())
    assert RADIUS.ravel()[peak] == pytest.approx(14, abs=2.5)
    assert np.arctan2(Y, X).ravel()[peak] == pytest.approx(1.2, abs=0.4)


def test_corners_are_zero():
    shown = rings(observed(galaxy(1000)))[0, 0].numpy()
    assert not shown[RADIUS > SIDE / 2 + 1].any()


def test_mirrored_images_have_mirrored_contrasts():
    image = observed(galaxy(500) + arc(200))
    shown = rings(image)
    for turn in (lambda x: x.flip(-1), lambda x: x.transpose(-1, -2)):
        difference = (rings(turn(image)) - turn(shown)).abs().flatten()
        assert difference.median() < 0.1
        assert (
            torch.corrcoef(
                torch.stack([rings(turn(image)).flatten(), turn(shown).flatten()])
            )[0, 1]
            > 0.97
        )


def test_fast_arithmetic_of_a_training_changes_nothing():
    image = observed(galaxy(500) + arc(200))
    with torch.autocast("cpu", torch.bfloat16):
        fast = ring_contrast(sky(image))
    torch.testing.assert_close(fast, ring_contrast(sky(image)))
