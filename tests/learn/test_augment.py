import numpy as np
import pytest
import torch
import yaml
from torch.nn.functional import pad

from lenssim.errors import ConfigError
from lenssim.learn.inputs.augment import AUGMENTATIONS, augmentation, batch_seed
from lenssim.learn.inputs.description import ImageDescription
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.instruments import instrument
from lenssim.simulate.preset import parse_preset, preset_text


def rotated(k, mirrored):
    return lambda images: (images.mT if mirrored else images).rot90(k, (-2, -1))


ALLOWED = {
    "none": [rotated(0, False)],
    "flips": [rotated(0, False), rotated(2, False), rotated(1, True), rotated(3, True)],
    "dihedral": [rotated(k, mirrored) for k in range(4) for mirrored in (False, True)],
}


CAMERA = instrument("hst_acs_f814w_snap")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ALLOWED)
def test_every_symmetry_occurs_and_nothing_else(name):
    images = torch.rand((400, 2, 6, 6), generator=seeded(1))
    changed, _ = augmentation(name)(images, seeded(2))
    matches = torch.stack([(f(images) == changed).flatten(1).all(1) for f in ALLOWED[name]])
    assert (matches.sum(0) == 1).all()
    assert (matches.sum(1) > 400 / len(ALLOWED[name]) / 2).all()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_generator_decides(name):
    images = torch.rand((20, 1, 6, 6), generator=seeded(1))
    augment, state = augmentation(name, camera=CAMERA), torch.get_rng_state()
    first, again, other = (augment(images, seeded(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert name == "none" or not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_stamps_that_are_not_square_keep_their_shape():
    assert augmentation("dihedral+recentre")(torch.rand(4, 1, 6, 8), seeded(0))[
        0
    ].shape == (4, 1, 6, 8)


def test_places_have_seeds_of_their_own():
    places = [(s, e, b) for s in range(4) for e in range(5) for b in range(6)]
    assert len({batch_seed(*place) for place in places}) == len(places)
    assert all(0 <= batch_seed(*place) < 2**63 for place in places)


@pytest.mark.parametrize(
    ("text", "targets", "message"),
    [
        ("flip", (), "did you mean 'flips'"),
        ("flips+blur", (), "unknown augmentation 'blur'"),
        ("flips=2", (), "flips takes no amount"),
        ("psf=wide", (), "an amount is a number of at least 0"),
        ("gaussian=-1", (), "an amount is a number of at least 0"),
        ("gaussian=nan", (), "an amount is a number of at least 0"),
        ("flips", ("phi",), "no one number says where phi goes"),
        ("dihedral", ("center_x",), "center_x is measured without the other"),
        ("recentre", ("center_x",), "do not say how large a pixel is"),
    ],
)
def test_what_cannot_be_is_refused(text, targets, message):
    with pytest.raises(ConfigError, match=message):
        augmentation(text, targets, ImageDescription((1, 8, 8)))


@pytest.mark.parametrize(
    "name", [name for name, (_, most) in AUGMENTATIONS.items() if most is not None]
)
def test_an_amount_of_zero_changes_nothing(name):
    images = torch.rand((20, 1, 9, 9), generator=seeded(1))
    changed, _ = augmentation(f"{name}=0", camera=CAMERA)(images, seeded(2))
    assert torch.equal(changed, images)


def test_noise_has_the_scatter_that_is_asked_for():
    """The mean variance is a third of the largest's, for amounts are uniform; that of photons follows the light."""
    images = torch.ones((3000, 1, 12, 12), dtype=torch.float64)
    images[:, :, :6] = 0.25
    for name, low in (("gaussian", 1.0), ("poisson", 0.25)):
        noise = (
            (augmentation(f"{name}=0.2")(images, seeded(5))[0] - images)
            .square()
            .mean((0, 1, 3))
        )
        assert noise[6:].mean() == pytest.approx(0.2**2 / 3, rel=0.05)
        assert noise[:6].mean() / noise[6:].mean() == pytest.approx(low, rel=0.05)


def test_the_psf_keeps_light_in_the_middle_and_widens_it_as_two_gaussians_do():
    at = torch.arange(41, dtype=torch.float64) - 20
    images = torch.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2)).repeat(500, 1, 1, 1)
    blurred, _ = augmentation("psf=2")(images, seeded(6))
    assert blurred.sum((1, 2, 3)) == pytest.approx(images.sum((1, 2, 3)), rel=1e-6)
    width = (blurred * at**2).sum((1, 2, 3)) / blurred.sum((1, 2, 3))
    assert (width >= 1.5**2 - 1e-9).all()
    assert width.mean() == pytest.approx(1.5**2 + 2**2 / 3, rel=0.05)


def test_masks_are_discs():
    hidden = (augmentation("mask=4")(torch.ones(500, 2, 32, 32), seeded(7))[0] == 0).sum(
        (2, 3)
    )
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    assert hidden.max() <= np.pi * 5**2
    assert 3 < hidden.double().mean() < np.pi * 4**2 / 3


TARGETS = ("theta_E", "magnification", "e1", "e2", "center_x", "center_y")
SOURCE = tuple(f"source_{name}" for name in TARGETS[2:])


@pytest.mark.parametrize("text", ["flips", "dihedral", "recentre=3", "dihedral+recentre=2"])
def test_targets_move_as_the_simulator_says(text):
    """Images and targets that moved together are those of the scene that has the moved targets."""
    preset = parse_preset(yaml.safe_load(preset_text("sie")))
    scenes, instrument = draw(preset, np.arange(12), seed=3), preset.instrument
    names = TARGETS + SOURCE
    render = engine("lenstronomy").render
    images = torch.from_numpy(render(scenes, instrument))
    targets = torch.from_numpy(np.stack([scenes.params[name] for name in names], axis=1))
    augment = augmentation(
        text, names, ImageDescription(tuple(images.shape[1:]), instrument.pixel_scale)
    )
    moved, followed = augment(images, seeded(1), targets)
    assert not torch.equal(targets, followed)
    scenes.params.update(zip(names, followed.numpy().T, strict=True))
    expected = torch.from_numpy(render(scenes, instrument))
    most = (
        9 if "recentre" in text else 0
    )  # what left on one side came in on the other, and blurs as far as the PSF is wide
    inside = pad(
        torch.ones_like(images[:, :, most : 64 - most, most : 64 - most]), [most] * 4
    )
    away = ((moved - expected) * inside).abs().amax((1, 2, 3)) / images.amax((1, 2, 3))
    assert away.max() < 1e-6
