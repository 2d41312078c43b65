import pytest
import torch

from lenssim.errors import ConfigError
from lenssim.learn.augment import AUGMENTATIONS, augmentation, batch_seed


def rotated(k, mirrored):
    return lambda images: (images.mT if mirrored else images).rot90(k, (-2, -1))


ALLOWED = {
    "none": [rotated(0, False)],
    "flips": [rotated(0, False), rotated(2, False), rotated(1, True), rotated(3, True)],
    "dihedral": [rotated(k, mirrored) for k in range(4) for mirrored in (False, True)],
}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_symmetry_occurs_and_nothing_else(name):
    images = torch.rand((400, 2, 6, 6), generator=seeded(1))
    changed = augmentation(name)(images, seeded(2))
    matches = torch.stack([(f(images) == changed).flatten(1).all(1) for f in ALLOWED[name]])
    assert (matches.sum(0) == 1).all()
    assert (matches.sum(1) > 400 / len(ALLOWED[name]) / 2).all()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_generator_decides(name):
    images = torch.rand((20, 1, 6, 6), generator=seeded(1))
    augment, state = augmentation(name), torch.get_rng_state()
    assert torch.equal(augment(images, seeded(3)), augment(images, seeded(3)))
    assert name == "none" or not torch.equal(augment(images, seeded(3)), augment(images, seeded(4)))
    assert torch.equal(torch.get_rng_state(), state)


def test_stamps_that_are_not_square_keep_their_shape():
    assert augmentation("dihedral")(torch.rand(4, 1, 6, 8), seeded(0)).shape == (4, 1, 6, 8)


def test_places_have_seeds_of_their_own():
    places = [(s, e, b) for s in range(4) for e in range(5) for b in range(6)]
    assert len({batch_seed(*place) for place in places}) == len(places)
    assert all(0 <= batch_seed(*place) < 2**63 for place in places)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'flips'"):
        augmentation("flip")
