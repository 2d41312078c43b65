"""The realism audit on images whose differences are known because they were put there."""

from itertools import product

import numpy as np
import pytest
from error_codes import has_code
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d

from lenssim.errors import DataError
from lenssim.learn.scores.realism import (
    ALL_STATISTICS,
    Separation,
    check_counts,
    compare,
    realism_verdict,
    separate,
)
from lenssim.learn.scores.realism_statistics import REALISM_STATISTICS, realism_statistics
from lenssim.learn.scores.separation import ranked_auc, score_interval
from lenssim.learn.scores.stamps import Stamps

SIDE = 64
DRIZZLED = np.array([np.cos(np.pi / 12), np.sin(np.pi / 12)])  # taps: rho is 1/4, then 0
SMALL, LARGE = 16, 150


def lenses(
    count: int,
    seed: int,
    *,
    flux=1.0,
    blur=1.0,
    noise=0.02,
    light=1.0,
    taps=(1.0,),
    clumps=0,
    neighbours=0,
    sky=0.0,
) -> Stamps:
    """Arcs about elliptical galaxies, with noise; what a set differs by is up to the caller."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    images = []
    for _ in range(count):
        shape, turn = rng.uniform(0.6, 0.9), rng.uniform(0, np.pi)
        along = np.cos(turn) * x + np.sin(turn) * y
        across = np.cos(turn) * y - np.sin(turn) * x
        galaxy = light * np.exp(-((along**2 + (across / shape) ** 2) ** 0.25) * 1.8) * 8
        arc = np.exp(-((np.hypot(x, y) - rng.uniform(9, 12)) ** 2) / 4)
        arc *= 0.5 * (1 + np.cos(np.arctan2(y, x) - turn))
        for _ in range(clumps):
            row, column = rng.integers(10, SIDE - 10, 2)
            arc[row, column] += 6
        for _ in range(neighbours):
            row = rng.integers(2, 8)
            column = rng.integers(16, SIDE - 16)
            arc += 3 * np.exp(-((y + SIDE / 2 - row) ** 2 + (x + SIDE / 2 - column) ** 2))
        brightness = flux * rng.uniform(0.7, 1.4)
        image = brightness * gaussian_filter(galaxy + arc, blur) + sky
        white = rng.normal(0, noise, (SIDE + len(taps) - 1,) * 2)
        images.append(image + convolve2d(white, np.outer(taps, taps), mode="valid"))
    return Stamps(np.stack(images))


def columns(values: dict) -> np.ndarray:
    return np.stack([column for column in values.values() if np.isfinite(column).all()], 1)


@pytest.fixture(scope="module")
def plain() -> dict:
    return realism_statistics(lenses(LARGE, 1))


def test_images_of_one_distribution_are_not_told_apart(plain):
    values = realism_statistics(lenses(SMALL, 2))
    rows = compare(values, plain)
    assert [row.statistic for row in rows if row.betrays] == []
    separation = separate(ALL_STATISTICS, columns(values), columns(plain))
    assert separation.low < 0.5 < separation.high
    assert realism_verdict(rows, [separation], SMALL).startswith("not told apart")


def test_shuffled_images_are_not_told_apart(plain):
    """Two sets that differ in everything, mixed."""
    values = realism_statistics(lenses(LARGE, 3, noise=0.05, blur=2))
    mixed = np.random.default_rng(0).permutation(
        np.concatenate([columns(plain), columns(values)])
    )
    separation = separate("mixed", mixed[:LARGE], mixed[LARGE:])
    assert separation.low < 0.5 < separation.high


@pytest.mark.parametrize(
    ("statistic", "difference"),
    [
        ("background rms", {"noise": 0.04}),
        ("rho(1,0)", {"taps": DRIZZLED}),
        ("flux", {"flux": 3.0}),
        ("width of the peak", {"blur": 2.0}),
        ("concentration", {"light": 0.0}),
        ("residual, skew", {"clumps": 4}),
        ("objects", {"neighbours": 3}),
    ],
)
@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_a_difference_is_found_by_the_statistic_that_is_made_for_it(
    plain, statistic, difference, count
):
    values = realism_statistics(lenses(count, 4, **difference))
    rows = {row.statistic: row for row in compare(values, plain)}
    assert rows[statistic].betrays
    assert rows[statistic].auc > 0.9
    separation = separate(ALL_STATISTICS, columns(values), columns(plain))
    assert separation.auc > 0.9
    assert separation.betrays
    verdict = realism_verdict(list(rows.values()), [separation], count)
    assert verdict.startswith(f"told apart from {count} real images: all statistics")
    assert "; most by " in verdict


def test_the_corners_measure_the_noise():
    """Drizzled noise has rho of 1/4 and 1/16; a sky of any level and a gradient do no harm."""
    rng = np.random.default_rng(0)
    white = rng.normal(0, 2.0, (12, 201, 201))
    images = np.stack(
        [convolve2d(image, np.outer(DRIZZLED, DRIZZLED), mode="valid") for image in white]
    )
    gradient = np.linspace(0, 30, 200)
    values = realism_statistics(Stamps(images + 100 + gradient, np.full(images.shape, 3.0)))
    expected = {
        "background rms": 2.0,
        "rms / noise map": 2 / 3,
        "rho(1,0)": 0.25,
        "rho(1,1)": 0.0625,
        "rho(2,0)": 0.0,
        "skew": 0.0,
        "kurtosis": 3.0,
    }
    for name, number in expected.items():
        assert np.mean(values[name]) == pytest.approx(number, rel=0.05, abs=0.04), name


def test_masked_pixels_change_no_statistic_much(plain):
    stamps = lenses(SMALL, 5)
    spoilt = stamps.images.copy()
    spoilt[:, :3, :3] = np.nan
    spoilt[:, 30, 12] = np.nan
    values = realism_statistics(stamps)
    for name, column in realism_statistics(Stamps(spoilt)).items():
        if name != "rms / noise map":
            assert np.isfinite(column).all(), name
            spread = np.std(values[name]) + 1e-9
            assert np.median(np.abs(column - values[name])) < spread, name


def test_masked_pixels_have_the_light_of_the_far_side_or_of_their_ring():
    stamps = lenses(4, 8, noise=0.001)
    symmetric = stamps.images + stamps.images[:, ::-1, ::-1]
    spoilt = symmetric.copy()
    spoilt[:, 40, 20:30] = np.nan
    np.testing.assert_allclose(Stamps(spoilt).light, Stamps(symmetric).light)
    spoilt[:, 31:33, 31:33] = np.nan  # the middle, which is its own far side
    assert np.isfinite(Stamps(spoilt).light).all()
    assert (Stamps(np.full((1, SIDE, SIDE), np.nan)).light == 0).all()
    round_images = np.full((1, SIDE, SIDE), 7.0)
    for rows, columns in product((slice(12), slice(-12, None)), repeat=2):
        round_images[:, rows, columns] = 0.0
    round_images[:, 20:40, 31:33] = np.nan
    assert (Stamps(round_images).light[0, 20:40, 31:33] == 7).all()


@pytest.mark.parametrize("name", REALISM_STATISTICS)
def test_each_statistic_is_one_number_an_image(name):
    stamps = lenses(3, 6)
    with_map = Stamps(stamps.images, np.ones(stamps.images.shape))
    for known in (with_map, Stamps(np.zeros((3, SIDE, SIDE)))):
        values = REALISM_STATISTICS[name](known)
        assert values.shape == (3,)
        assert values.dtype.kind in "fi"


def test_units_of_the_images_matter_only_to_fluxes_and_the_noise():
    stamps = lenses(5, 7)
    values = realism_statistics(stamps)
    scaled = realism_statistics(Stamps(1000 * stamps.images))
    changed = {
        name
        for name in values
        if not np.allclose(values[name], scaled[name], equal_nan=True)
    }
    assert changed == {"background rms", "flux", "peak"}


def test_the_interval_of_a_perfect_separation_has_a_width():
    assert score_interval(1.0, 16, 1000)[0] == pytest.approx(0.91, abs=0.02)
    assert score_interval(0.0, 16, 1000)[1] == pytest.approx(0.09, abs=0.02)
    low, high = score_interval(0.5, 400, 400)  # Hanley & McNeil 1982
    assert (high - low) / (2 * 1.96) == pytest.approx(
        (801 / (12 * 400**2)) ** 0.5, rel=0.02
    )


@pytest.mark.thorough
def test_without_a_difference_the_auc_scatters_no_more_than_its_interval_says():
    rng = np.random.default_rng(1)
    rows = [
        separate("nothing", rng.normal(size=(SMALL, 6)), rng.normal(size=(120, 6)))
        for _ in range(20)
    ]
    assert sum(row.low < 0.5 < row.high for row in rows) >= 17
    assert np.mean([row.auc for row in rows]) == pytest.approx(0.5, abs=0.06)


def test_the_order_of_pairs():
    assert ranked_auc(np.array([1.0, 1.0]), np.array([1.0])) == 0.5


@pytest.mark.parametrize(
    ("real", "simulated", "name"), [(7, 100, "real"), (8, 49, "simulated")]
)
def test_too_few_images_are_refused(real, simulated, name):
    with pytest.raises(DataError, check=has_code("too-few-images", name=name)):
        check_counts(real, simulated)
    check_counts(8, 50)


def test_a_verdict_names_what_betrays():
    row = Separation("all statistics", 0.97, 0.9, 1.0)
    assert row.betrays
    assert row.document()["betrays"]
