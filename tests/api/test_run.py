"""Runs as a notebook meets them."""

import numpy as np
import pytest
import torch
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


FORMS = {
    "one axis more": lambda image: image[None, :, :, None],
    "last axis": lambda image: image[..., None],
    "several axes": lambda image: image[None, None, None],
    "list": lambda image: [image],
    "list of lists": lambda image: image.tolist(),
    "vector": np.ravel,
    "unmasked": np.ma.masked_array,
    "double": lambda image: image.astype(float),
    "big-endian": lambda image: image.astype(">f4"),
    "tensor": torch.tensor,
    "tensors": lambda image: [torch.tensor(image)],
    "with gradients": lambda image: torch.tensor(image, requires_grad=True),
    "list with gradients": lambda image: [torch.tensor(image, requires_grad=True)],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_image_may_be_held_in_any_form(inside, form):
    run = ls.load_run("runs/cnn")
    (image,) = ls.open("data/III").images([0])[:, 0]
    expected = run.predict(image)
    answers = run.predict(form(image))
    for name in run.record.task.classes:
        np.testing.assert_array_equal(answers[name], expected[name])


def test_half_precision_is_read(inside):
    run = ls.load_run("runs/cnn")
    images = torch.tensor(ls.open("data/III").images([0, 1]))
    assert run.predict(images.bfloat16()).rows == 2
    assert run.predict(images.half()).rows == 2


IMAGE = np.linspace(0, 1, 64 * 64).reshape(64, 64)
NO_IMAGES = {
    "masked": (
        np.ma.masked_array(IMAGE, IMAGE > 0.5),
        "^the array: its mask covers 2048 pixels",
    ),
    "one masked of a list": ([IMAGE, np.ma.masked_array(IMAGE, IMAGE > 0.5)], "mask"),
    "none": (np.zeros((0, 64, 64)), "no image"),
    "empty list": ([], "no image"),
    "empty tuple": ((), "no image"),
    "path and array": (["data", IMAGE], "no array of images"),
    "ragged": ([IMAGE, IMAGE[:32]], "no array of images"),
    "batch without images": ({"x": 1}, "`image`"),
    "complex": (IMAGE + 1j, "not numbers"),
    "texts": (np.full((64, 64), "a"), "not numbers"),
    "objects": (np.full((64, 64), None), "not numbers"),
    "dates": (np.zeros((64, 64), "datetime64[s]"), "not numbers"),
    "nothing": (None, "not numbers"),
    "number": (3, "no image|square array"),
    "function": (len, "not numbers"),
    "set": ({1, 2}, "not numbers"),
}


@pytest.mark.parametrize(("images", "message"), NO_IMAGES.values(), ids=NO_IMAGES)
@pytest.mark.parametrize("ask", ["predict", "posterior"])
def test_what_is_no_image_is_refused(inside, ask, images, message):
    run = ls.load_run({"predict": "runs/cnn", "posterior": "runs/sie"}[ask])
    with pytest.raises(DataError, match=message):
        getattr(run, ask)(images)


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
    with pytest.raises(
        DataError,
        match="the array: images of 1 x 8 x 8",
        check=has_code("image-shape", path="the array"),
    ):
        run.predict(np.ones(64))
    with pytest.raises(
        DataError, match="the array", check=has_code("image-values", where="the array")
    ):
        run.predict(np.full((64, 64), np.nan))
    with pytest.raises(ConfigError, match="classifies", check=has_code("no-posterior")):
        run.posterior(np.ones((64, 64)))
    with pytest.raises(
        ConfigError, match="give the whole data set", check=has_code("whole-data-needed")
    ):
        run.evaluate(ls.open("data/III", "test"))
    with pytest.raises(
        ConfigError,
        match="unknown setting 'epoch'",
        check=has_code("settings-invalid", name="epoch", suggestion="epochs"),
    ):
        ls.train("classify", "data/III", out="runs/typo", epoch=1)


def test_what_notebooks_print_is_short(inside):
    run = ls.load_run("runs/cnn")
    for thing in (run, run.trained, run.history, run.evaluate("data/III")):
        assert len(repr(thing)) < 600
    assert run.history.rows == 1
    assert run.show()["curves"].png.startswith(b"\x89PNG")
