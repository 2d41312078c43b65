"""Data sets as a notebook meets them."""

import numpy as np
import pytest
from error_codes import has_code

import lenssim as ls
from lenssim.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def data(tiny_data) -> ls.Dataset:
    return ls.open(tiny_data)


def test_rows_columns_and_images_go_together(data):
    part = data.split("validation")
    assert len(data) == 70
    assert len(part) == len(part.labels) == part.params.rows == 6
    np.testing.assert_array_equal(part.images([0, -1]), data.images(part.rows[[0, -1]]))
    np.testing.assert_array_equal(data.images(slice(2)), data.images(range(2)))
    np.testing.assert_array_equal(part[0]["image"], part.images([0])[0])
    assert data.params.units["theta_E"] == "arcsec"
    assert data.pixel_scale == 0.08


def test_a_plain_dataloader_takes_it(data):
    from torch.utils.data import DataLoader

    batches = list(DataLoader(data, batch_size=32))
    assert [len(batch["image"]) for batch in batches] == [32, 32, 6]
    index = np.concatenate([batch["index"] for batch in batches])
    np.testing.assert_array_equal(index, data.index)


def test_a_loader_gives_each_image_once_an_epoch_in_another_order(data):
    loader = data.loader(batch_size=32)
    epochs = [np.concatenate([batch["index"] for batch in loader]) for _ in range(2)]
    assert len(loader) == 3
    assert (epochs[0] != epochs[1]).any()
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), data.index)
    next(iter(loader))  # an epoch that is left half-way costs the next one nothing
    assert sum(len(batch["index"]) for batch in loader) == 70


def test_what_cannot_be_is_an_error_of_lenssim(data, tmp_path):
    with pytest.raises(ConfigError, check=has_code("unknown-split")):
        data.split("tset")
    with pytest.raises(
        ConfigError,
        match="split already",
        check=has_code("whole-data-needed", split_name="train"),
    ):
        data.split("train").split("test")
    with pytest.raises(ConfigError, check=has_code("no-map", name="kappa")):
        data.images([0], "kappa")
    with pytest.raises(
        ConfigError,
        match="1 to 400",
        check=has_code("option-range", option="count", value=0),
    ):
        data.show(count=0)
    with pytest.raises(DataError, check=has_code("no-folder")):
        ls.open(tmp_path / "nothing")
    with pytest.raises(
        ConfigError,
        match="one of --workers, --cluster and --scheduler",
        check=has_code("options-conflict"),
    ):
        ls.generate("III", 10, tmp_path, workers=0, scheduler="tcp://a:1")


def test_pictures_are_shown_and_kept(data, tmp_path):
    sheets = ls.show(data, tmp_path / "figures", count=2)
    assert sheets["contact-cdm"]._repr_png_().startswith(b"\x89PNG")
    assert sorted(path.stem for path in (tmp_path / "figures").iterdir()) == sorted(sheets)
    assert sheets._repr_html_().count("<img") == 3


def test_what_notebooks_print_is_short(data):
    objects = (
        data,
        data.params,
        data.source.manifest,
        data.loader(),
        data.verify(fast=True),
    )
    for thing in (*objects, ls.render("III", engine="lenstronomy")):
        assert len(repr(thing)) < 600, type(thing)
    for thing in (data, data.params):
        assert len(thing._repr_html_()) < 6000


def test_a_sample_is_the_same_wherever_it_is_made(data):
    number = int(data.index[4])
    name = data.classes[data.labels[4]]
    exposure = ls.render("III", name, number=number // len(data.classes), seed=5)
    np.testing.assert_array_equal(exposure.observed, data.images([4]))
    np.testing.assert_array_equal(
        ls.expose("III", 5, seed=5).observed, data.images(range(5))
    )


@pytest.mark.parametrize("ending", ["npy", "fits", "png"])
def test_an_exposure_is_saved(tmp_path, ending):
    exposure = ls.render("III", "axion", engine="lenstronomy", noise="none")
    path = exposure.save(tmp_path / f"image.{ending}")
    assert path.stat().st_size > 1000
    if ending == "fits":
        from astropy.io import fits

        header = fits.getheader(path)
        assert header["BUNIT"] == "electron/s"
        assert header["theta_E"] == exposure.params["theta_E"][0]
