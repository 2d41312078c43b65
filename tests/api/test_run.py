"""Runs as a notebook meets them."""

import numpy as np
import pytest
from error_codes import has_code

import lenssim as ls
from lenssim.errors import ConfigError, DataError


@pytest.fixture
def inside(workplace, monkeypatch):
    monkeypatch.chdir(workplace)


def test_all_kinds_of_images_have_the_same_answers(inside, tmp_path):
    data = ls.open("data/III")
    run = ls.load_run("runs/cnn")
    images = data.images(range(3))
    np.save(tmp_path / "images.npy", images)
    batch = next(iter(data.loader(batch_size=3, shuffle=False)))
    expected = run.predict(images)
    for other in (images[:, 0], batch, batch["image"], tmp_path / "images.npy"):
        answers = run.predict(other)
        for name in data.classes:
            np.testing.assert_array_equal(answers[name], expected[name])
    assert run.predict(images[0, 0]).rows == 1
    assert run.predict(data.split("test")).rows == 64
    assert run.predict([tmp_path / "images.npy"] * 2).rows == 6


def test_a_posterior_has_draws_of_its_own_mean(inside):
    data = ls.open("data/III")
    posterior = ls.load_run("runs/sie").posterior(data.images(range(4)))
    draws = posterior.sample(4000)
    assert draws.shape == (4000, 4, 2)
    error = np.abs(draws.mean(0) - posterior.mean) / posterior.sigma
    assert error.max() < 0.1
    assert posterior.table().rows == len(posterior) == 4


def test_what_cannot_be_is_an_error_of_lenssim(inside):
    run = ls.load_run("runs/cnn")
    with pytest.raises(DataError, check=has_code("image-shape")):
        run.predict(np.ones((2, 32, 32)))
    with pytest.raises(DataError, match="images are an array"):
        run.predict(np.ones(64))
    with pytest.raises(DataError, match="the array"):
        run.predict(np.full((64, 64), np.nan))
    with pytest.raises(ConfigError, match="classifies"):
        run.posterior(np.ones((64, 64)))
    with pytest.raises(ConfigError, match="give the whole data set"):
        run.evaluate(ls.open("data/III", "test"))
    with pytest.raises(ConfigError, match="unknown setting 'epoch'"):
        ls.train("classify", "data/III", out="runs/typo", epoch=1)


def test_what_notebooks_print_is_short(inside):
    run = ls.load_run("runs/cnn")
    for thing in (run, run.trained, run.history, run.evaluate("data/III")):
        assert len(repr(thing)) < 600
    assert run.history.rows == 1
    assert run.show()["curves"].png.startswith(b"\x89PNG")
