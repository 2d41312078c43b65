"""The leak audit on images whose leaks are known because they were put there."""

import numpy as np
import pytest
from error_codes import has_code

from lenssim.errors import DataError
from lenssim.learn.scores.leaks import EDGE, STATISTICS, leaks, statistics, verdict

SIDE = 24
CLASSES = ("first", "second")
BOTH = (
    (200, 1),
    (300, 11),
)  # images a class and seed of what is learned from, and of what judges


def rings(
    count: int, seed: int, *, radius=6.0, flux=1.0, shift=0.0, noise=0.02, beads=0
) -> np.ndarray:
    """Noisy rings (N, 1, H, W); what a class differs by is up to the caller."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    own = radius + rng.normal(0, 0.3, (count, 1, 1))
    images = (
        flux
        * rng.uniform(0.8, 1.2, (count, 1, 1))
        * np.exp(-((np.hypot(x - shift, y) - own) ** 2) / 8)
    )
    spots = rng.integers(SIDE // 4, 3 * SIDE // 4, (count, beads, 2))
    for image, places in zip(images, spots, strict=True):
        for row, column in places:  # a spot, and its light taken from beside it
            image[row, column] += 0.3
            image[row, column + 1] -= 0.3
    return (images + rng.normal(0, noise, images.shape))[:, None]


def audited(first: np.ndarray, second: np.ndarray, seed: int = 0) -> dict:
    images = np.concatenate([first, second])
    labels = np.repeat([0, 1], [len(first), len(second)])
    return {
        leak.statistic: leak
        for leak in leaks(statistics(images), labels, CLASSES, seed=seed)
    }


@pytest.mark.parametrize(
    ("statistic", "difference"),
    [
        ("flux", {"flux": 1.5}),
        ("ring", {"radius": 7.5}),
        ("moments", {"shift": 1.5}),
        ("noise", {"noise": 0.04}),
    ],
)
def test_a_leak_is_found_by_the_statistic_that_is_made_for_it(statistic, difference):
    found = audited(rings(150, 1), rings(150, 2, **difference))
    assert found[statistic].leaks
    assert found[statistic].auc > 0.9
    assert found["all but edges"].leaks
    assert f"{statistic} (AUC {found[statistic].auc:.3f}, first / second)" in verdict(
        found.values()
    )


def test_the_layout_of_numbers_is_a_leak():
    """Whole numbers, or a frame of zeros, as files of different programs have."""
    plain, counts = rings(100, 1), np.round(rings(100, 2) * 1000)
    assert audited(plain, counts)["layout"].leaks
    framed = rings(100, 2)
    framed[..., :1, :] = 0
    assert audited(plain, framed)["layout"].auc == 1


def test_classes_of_one_distribution_are_at_chance():
    found = audited(rings(200, 1), rings(200, 2))
    assert set(found) == {*STATISTICS, EDGE, "all but edges"}
    for leak in found.values():
        assert not leak.leaks
        assert abs(leak.auc - 0.5) < 0.1  # three standard deviations of 200 images a class
        assert 0 <= leak.low < leak.auc < leak.high <= 1
    assert verdict(found.values()) == "no leak found"


@pytest.mark.parametrize("radius", [6.0, 7.5])
def test_other_images_judge_what_was_learned_from_all(radius):
    images = [
        np.concatenate([rings(count, seed), rings(count, seed + 1, radius=radius)])
        for count, seed in BOTH
    ]
    learned, judges = (
        (statistics(own), np.repeat([0, 1], len(own) // 2)) for own in images
    )
    found = {leak.statistic: leak for leak in leaks(*learned, CLASSES, judges=judges)}
    assert found["ring"].leaks == (radius != 6)
    assert abs(found["ring"].auc - (0.5 if radius == 6 else 1.0)) < 0.1
    halves = {leak.statistic: leak for leak in leaks(*judges, CLASSES)}
    if (
        radius == 6
    ):  # all of them are judged, not half: the intervals are narrower by the root of two
        wide, narrow = (
            np.median([leak.high - leak.low for leak in own.values()])
            for own in (halves, found)
        )
        assert narrow / wide == pytest.approx(0.5**0.5, rel=0.1)
    with pytest.raises(DataError, check=has_code("too-few-images")):
        list(leaks(*learned, CLASSES, judges=(statistics(images[1][:60]), judges[1][:60])))


@pytest.mark.thorough
def test_without_a_leak_the_auc_scatters_as_its_interval_says():
    """Sixty data sets of nothing but noise. Predictions of cross-validation would scatter by a third more."""
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 200)
    found = [
        next(iter(leaks({"nothing": rng.normal(size=(400, 2))}, labels, CLASSES)))
        for _ in range(60)
    ]
    scatter = np.std([leak.auc for leak in found])
    stated = np.mean([leak.high - leak.low for leak in found]) / (2 * 1.96)
    assert scatter == pytest.approx(stated, rel=0.2)
    assert np.mean([leak.auc for leak in found]) == pytest.approx(
        0.5, abs=4 * scatter / np.sqrt(60)
    )


def test_sharp_spots_of_no_flux_are_left_to_the_edges():
    """What substructure does: light moves, and nothing but second differences tells."""
    found = audited(rings(150, 1), rings(150, 2, beads=4))
    assert found[EDGE].auc > 0.95
    assert found[EDGE].leaks
    assert not any(found[name].leaks for name in ("ring", "moments", "noise"))


def test_the_interval_is_that_of_the_auc():
    """For scores of one distribution the variance of an AUC is (m + n + 1) / (12 m n), Hanley & McNeil 1982."""
    from lenssim.learn.scores.classification import auc_interval

    rng = np.random.default_rng(5)
    truth = np.repeat([False, True], 400)
    _, (low, high) = auc_interval(truth, rng.uniform(size=800), (0.025, 0.975), 0)
    assert (high - low) / (2 * 1.96) == pytest.approx(
        np.sqrt(801 / (12 * 400 * 400)), rel=0.15
    )
    assert auc_interval(truth, np.ones(800), (0.025, 0.975), 0) == (0.5, (0.5, 0.5))
    assert auc_interval(truth, truth * 1.0, (0.025, 0.975), 0) == (1.0, (1.0, 1.0))


def test_the_same_images_and_seed_give_the_same_audit():
    first, second = rings(60, 1), rings(60, 2, flux=1.1)
    assert audited(first, second, seed=3) == audited(first, second, seed=3)
    assert audited(first, second, seed=3) != audited(first, second, seed=4)


def test_every_pair_of_classes_is_judged():
    images = np.concatenate([rings(50, 1), rings(50, 2), rings(50, 3, flux=2)])
    found = list(leaks(statistics(images), np.repeat([0, 1, 2], 50), ("a", "b", "c")))
    assert {leak.classes for leak in found} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert {leak.classes for leak in found if leak.statistic == "flux" and leak.leaks} == {
        ("a", "c"),
        ("b", "c"),
    }


def test_what_cannot_be_judged_is_refused():
    features = statistics(rings(99, 1))
    with pytest.raises(
        DataError,
        match="class 'second' has 49 images; a leak audit needs at least 50",
        check=has_code("too-few-images", name="second"),
    ):
        list(leaks(features, np.repeat([0, 1], [50, 49]), CLASSES))
    with pytest.raises(
        DataError, match="has only first", check=has_code("too-few-classes")
    ):
        list(leaks(features, np.zeros(99, int), ("first",)))
    images = rings(3, 1)
    images[1, 0, 2, 2] = np.nan
    with pytest.raises(
        DataError, match="1 images hold NaN", check=has_code("images-not-finite")
    ):
        statistics(images)


@pytest.mark.parametrize("shape", [(4, 4), (9, 16)])
def test_small_and_oblong_images_have_finite_statistics(shape):
    images = np.random.default_rng(0).normal(size=(5, 2, *shape))
    for columns in statistics(images).values():
        assert columns.shape[0] == 5
        assert np.isfinite(columns).all()
