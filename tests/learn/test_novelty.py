import shutil

import numpy as np
import pytest
from error_codes import has_code
from hypothesis import given
from hypothesis import strategies as st

from lenssim.data.format.files import write_json
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError
from lenssim.learn.evaluation.prediction import predict
from lenssim.learn.runs.run import Run
from lenssim.learn.scores.novelty import ALARM_RATE, Novelty, image_features, read_novelty


@pytest.fixture(scope="module")
def images(tmp_path_factory, make_data):
    """1,280 nominal images of 32 x 32 pixels; none is in the other data sets of these tests."""
    dataset = ShardDataset(
        make_data(
            tmp_path_factory.mktemp("novelty") / "many", n=1280, seed=21, noise="nominal"
        )
    )
    return dataset.images(np.arange(1280))


@pytest.fixture(scope="module")
def novelty(images):
    return Novelty.fit("minmax", images[:640], images[640:960])


def flagged(novelty, images):
    return float((novelty.p_values(images) <= novelty.threshold).mean())


def test_images_like_the_training_data_are_flagged_as_seldom_as_promised(novelty, images):
    """320 images: three expected at 1 %, more than ten once in three thousand."""
    assert novelty.threshold == ALARM_RATE
    assert flagged(novelty, images[960:]) <= 10 / 320


def test_strange_images_are_flagged(novelty, images):
    seen, rng = images[960:], np.random.default_rng(0)
    strange = {
        "pure noise": rng.normal(size=seen.shape),
        "another pixel scale": np.repeat(np.repeat(seen[..., 8:24, 8:24], 2, -1), 2, -2),
        "smoothed": (
            seen
            + np.roll(seen, 1, -1)
            + np.roll(seen, 1, -2)
            + np.roll(seen, (1, 1), (-1, -2))
        )
        / 4,
        "a hot pixel": np.where(
            np.arange(32 * 32).reshape(32, 32) == 40, 3 * seen.max(), seen
        ),
        "upside down in flux": -seen,
        "moved by a quarter of the stamp": np.roll(seen, 8, -1),
        "noise of 0.3 % of the peak": seen
        + 0.003 * seen.max((-2, -1), keepdims=True) * rng.normal(size=seen.shape),
    }
    caught = {
        name: flagged(novelty, other.astype(np.float32)) for name, other in strange.items()
    }
    assert min(caught.values()) > 0.9, caught


def test_noise_that_was_never_seen_is_flagged_and_so_is_its_absence(
    tmp_path, images, novelty, make_data
):
    bare = ShardDataset(make_data(tmp_path / "bare", n=960, seed=22))
    clean = bare.images(np.arange(960))
    own = Novelty.fit("minmax", clean[:640], clean[640:])
    assert flagged(novelty, clean[:200]) > 0.95
    assert flagged(own, images[:200]) > 0.95


def test_the_unit_of_a_feature_does_not_matter(images, monkeypatch):
    """Shrinkage towards a multiple of the unit matrix would make it matter, as it did."""
    plain = Novelty.fit("minmax", images[:300], images[300:600]).p_values(images[600:700])
    units = 10.0 ** np.random.default_rng(0).integers(
        -6, 7, image_features(images[:1]).shape[1]
    )
    monkeypatch.setattr(
        "lenssim.learn.scores.novelty.image_features",
        lambda pixels: units * image_features(pixels),
    )
    scaled = Novelty.fit("minmax", images[:300], images[300:600]).p_values(images[600:700])
    np.testing.assert_allclose(scaled, plain, atol=0.01)


@given(st.integers(2, 400), st.integers(0, 5))
def test_p_values_of_exchangeable_distances_are_valid(count, seed):
    """The rank of a new distance among n + 1 alike ones is uniform, whatever their distribution."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_cauchy((200, count + 1))
    p = [1 - np.searchsorted(np.sort(row[:-1]), row[-1]) / (count + 1) for row in drawn]
    own = Novelty(
        normalise="none", mean=(), precision=(), distances=tuple(np.sort(drawn[0, :-1]))
    )
    assert own.threshold >= 1 / (count + 1)
    assert np.mean(np.array(p) <= 0.5) < 0.5 + 5 * 0.5 / np.sqrt(200)


def test_units_do_not_matter_and_bands_count_each(images):
    own = Novelty.fit("minmax", images[:200], images[200:400])
    np.testing.assert_allclose(
        own.p_values(1e4 * images[400:420]), own.p_values(images[400:420]), atol=0.02
    )
    two = np.concatenate([images[:5], 2 * images[:5]], axis=1)
    features = image_features(two)
    assert features.shape == (5, 2 * image_features(images[:5]).shape[1])
    np.testing.assert_allclose(
        features[:, : features.shape[1] // 2], image_features(images[:5])
    )


def test_a_run_keeps_it_and_says_so(tiny_run, other_dataset, tmp_path):
    kept = read_novelty(tiny_run.folder)
    assert len(kept.distances) == 64
    alike = list(predict(tiny_run, [other_dataset]))
    assert np.mean([p.unlike for p in alike]) < 0.15
    np.save(tmp_path / "noise.npy", np.random.default_rng(1).normal(size=(32, 32)))
    (noise,) = predict(tiny_run, [tmp_path / "noise.npy"])
    assert noise.unlike
    assert noise.document()["as_unlike_in_validation"] == pytest.approx(1 / 65)
    assert read_novelty(tmp_path) is None
    write_json(
        tmp_path / "novelty.json", {"normalise": "minmax", "mean": [0.0]}
    )  # of an earlier kind
    assert read_novelty(tmp_path) is None
    write_json(tmp_path / "novelty.json", {"format": "lenssim-novelty/2"})
    with pytest.raises(
        DataError, match=r"novelty\.json", check=has_code("document-invalid")
    ):
        read_novelty(tmp_path)


def test_of_several_runs_the_one_that_knows_an_image_least_decides(
    tiny_run, other_dataset, tmp_path, monkeypatch
):
    """An ensemble is unsure of an image that one of its runs never saw the like of."""
    known = read_novelty(tiny_run.folder)
    stranger = known.model_copy(update={"distances": (0.0,) * 199})
    other = shutil.copytree(tiny_run.folder, tmp_path / "other")
    by_folder = {tiny_run.folder: known, other: stranger}
    monkeypatch.setattr(Run, "novelty", lambda run: by_folder[run.folder])
    alone = list(predict(tiny_run, [other_dataset]))
    assert not all(answer.unlike for answer in alone)
    for runs in (
        (tiny_run, Run(other, tiny_run.record)),
        (Run(other, tiny_run.record), tiny_run),
    ):
        answers = list(predict(runs[0], [other_dataset], others=runs[1:]))
        assert all(answer.unlike for answer in answers)
        assert {answer.novelty for answer in answers} == {1 / 200}
