import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from astropy.io import fits
from error_codes import has_code

from lenssim import open as open_data
from lenssim.api.images import images_of
from lenssim.api.run import Run
from lenssim.data.exchange.importers import import_folder
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError
from lenssim.learn.evaluation.prediction import predict
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.inputs.image_files import read_file_images
from lenssim.learn.inputs.resampling import ResampledDataset, Resampling
from lenssim.simulate.preset import parse_preset, preset_text

SHAPE = (1, 32, 32)


@pytest.fixture(scope="module")
def images(other_dataset):
    return ShardDataset(other_dataset).images(np.arange(96)).astype(np.float64)


def probabilities(predictions):
    return np.array([list(p.answer["probabilities"].values()) for p in predictions])


def test_every_kind_of_file_gives_the_same_answers(
    tiny_run, other_dataset, images, tmp_path
):
    expected = list(predict(tiny_run, [other_dataset]))
    assert [p.image for p in expected] == list(range(96))
    assert all(
        p.answer["predicted"] == max(own := p.answer["probabilities"], key=own.get)
        for p in expected
    )
    np.testing.assert_allclose(probabilities(expected).sum(axis=1), 1, rtol=1e-6)
    np.save(tmp_path / "stack.npy", images[:, 0])
    np.save(tmp_path / "bands.npy", images)
    np.save(tmp_path / "flat.npy", images[7].ravel())
    fits.writeto(tmp_path / "stack.fits", images[:, 0].astype(">f8"))
    fits.writeto(tmp_path / "stack.fits.gz", images[:, 0].astype(np.float32))
    for name in ("stack.npy", "bands.npy", "stack.fits", "stack.fits.gz"):
        answers = list(predict(tiny_run, [tmp_path / name]))
        np.testing.assert_allclose(
            probabilities(answers), probabilities(expected), atol=1e-5
        )
        assert {p.file for p in answers} == {str(tmp_path / name)}
    shard = list(predict(tiny_run, [other_dataset / "shards/000000.h5"]))
    np.testing.assert_allclose(
        probabilities(shard), probabilities(expected)[: len(shard)], atol=1e-6
    )
    for i in (7, 30):
        np.save(tmp_path / "one.npy", images[i, 0])
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(images[i, 0])]).writeto(
            tmp_path / "one.fits", overwrite=True
        )
        one = list(predict(tiny_run, [tmp_path / "one.npy", tmp_path / "one.fits"]))
        np.testing.assert_allclose(
            probabilities(one), probabilities(expected)[[i, i]], atol=1e-5
        )
    flat = list(predict(tiny_run, [tmp_path / "flat.npy"]))
    np.testing.assert_allclose(probabilities(flat), probabilities(expected)[[7]], atol=1e-5)


def test_units_do_not_matter_and_a_scaled_integer_fits_is_read(tiny_run, images, tmp_path):
    np.save(tmp_path / "one.npy", images[3, 0])
    np.save(tmp_path / "scaled.npy", 1e4 * images[3, 0])
    unit = fits.PrimaryHDU(images[3, 0])
    unit.scale("int32", bscale=images[3].max() / 2**30)
    unit.writeto(tmp_path / "scaled.fits")
    answers = probabilities(
        predict(tiny_run, [tmp_path / f for f in ("one.npy", "scaled.npy", "scaled.fits")])
    )
    np.testing.assert_allclose(answers, answers[[0, 0, 0]], atol=1e-4)


def magnitudes(image: np.ndarray) -> np.ndarray:
    return 25 - 2.5 * np.log10(image.clip(min=0.1))


NO_FLUXES = {
    "magnitudes": (magnitudes, "magnitudes"),
    "99 where nothing is seen": (
        lambda image: np.where(image < 0.5, 99, magnitudes(image)),
        "magnitudes",
    ),
    "masked by 100": (lambda image: np.where(image > 3.0, 100, image / 4), "image-values"),
    "masked by 1e16": (lambda image: np.where(image > 3.0, 1e16, image), "image-values"),
}


@pytest.mark.parametrize("kind", NO_FLUXES)
def test_what_is_no_flux_is_refused_by_number(tmp_path, kind):
    change, code = NO_FLUXES[kind]
    y, x = np.mgrid[:16, :16] - 7.5
    image = 4 * np.exp(-np.hypot(x, y) / 4) + 0.01 * np.sin(x * y)
    np.save(tmp_path / "a.npy", np.stack([image, change(image), image + 1]))
    problems = []
    (part,) = read_file_images(
        tmp_path / "a.npy", ImageDescription((1, 16, 16)), report=problems.append
    )
    assert part.numbers.tolist() == [0, 2]
    np.testing.assert_allclose(part.images[1, 0], image + 1, rtol=1e-6)
    (problem,) = problems
    assert (problem.image, problem.error.code) == (1, code)
    maps = read_file_images(tmp_path / "a.npy", ImageDescription((1, 16, 16)), "kappa")
    assert len(next(maps).images) == 3


def test_bands_come_first(tmp_path):
    image = np.random.default_rng(0).random((3, 8, 8))
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "stack.npy", np.stack([image, image + 1]))
    fits.writeto(tmp_path / "image.fits", image)
    for name, count in {"image.npy": 1, "image.fits": 1, "stack.npy": 2}.items():
        (pictures,) = read_file_images(tmp_path / name, ImageDescription((3, 8, 8)))
        assert pictures.images.shape == (count, 3, 8, 8)
        np.testing.assert_allclose(pictures.images[0], image, rtol=1e-6)


def test_axes_of_length_one_endings_and_archives_do_not_matter(tiny_run, images, tmp_path):
    image = images[5, 0]
    np.save(tmp_path / "plain.npy", image)
    np.save(tmp_path / "one.npy", image[None, None])
    np.save(tmp_path / "last.npy", image[None, ..., None])
    with (tmp_path / "CAPITALS.NPY").open("wb") as file:
        np.save(file, image)
    np.savez(tmp_path / "a.npz", image=image, label=1)
    fits.writeto(tmp_path / "four.fits", image[None, None])
    names = ("plain.npy", "one.npy", "last.npy", "CAPITALS.NPY", "a.npz", "four.fits")
    answers = probabilities(predict(tiny_run, [tmp_path / name for name in names]))
    np.testing.assert_allclose(answers, answers[[0] * len(names)], atol=1e-5)


def test_what_could_be_read_in_several_ways_is_said(tiny_run, images, tmp_path):
    np.save(tmp_path / "three.npy", images[:3, 0])
    units = [
        fits.ImageHDU(images[1, 0], name="ERR"),
        fits.ImageHDU(images[5, 0], name="SCI"),
    ]
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(tmp_path / "several.fits")
    heard: list[str] = []
    files = [tmp_path / "three.npy", tmp_path / "several.fits"]
    answers = probabilities(predict(tiny_run, files, note=heard.append))
    assert [line.partition(": ")[2] for line in heard] == [
        "read as 3 images of one band, not as one image of 3 bands",
        "took SCI, not ERR",
    ]
    chosen = probabilities(predict(tiny_run, [tmp_path / "several.fits"], extension="err"))
    np.testing.assert_allclose(chosen[0], answers[1], atol=1e-5)


def test_the_command_says_how_a_file_was_read(lenssim, tiny_run, images, tmp_path):
    np.save(tmp_path / "three.npy", images[:3, 0])
    done = lenssim("predict", tiny_run.folder, "three.npy")
    assert done.code == 0, done.err
    assert (
        done.err == "three.npy: read as 3 images of one band, not as one image of 3 bands\n"
    )


def spoiled(image, change):
    image = image.copy()
    change(image)
    return image


def set_nan(image):
    image[0, 2, 3] = np.nan


def set_flat(image):
    image[:] = 2.5


@pytest.mark.parametrize("suffix", ["npy", "fits"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: spoiled(x, set_nan)[0], "1 of its pixels are NaN"),
        (lambda x: spoiled(x, set_flat)[0], "the image is flat"),
        (lambda x: x[0, :16, :16], "images of 1 x 16 x 16, but the run takes 1 x 32 x 32"),
        (
            lambda x: np.stack([x[0], x[0], spoiled(x, set_nan)[0]]),
            "image 2: 1 of its pixels are NaN",
        ),
        (lambda x: np.zeros((2, 2, 32, 32)) + x, "have 2 bands, but 1 is wanted"),
        (lambda x: np.stack([x[0]] * 3, axis=-1), "3 bands seem to come last"),
        (lambda x: 1e39 * x[0] / x.max(), "more than float32 can hold"),
        (lambda x: 1e-47 * x[0] / x.max(), "which float32 cannot tell apart"),
    ],
)
def test_images_no_net_should_see_are_refused_by_name(
    tiny_run, images, tmp_path, suffix, make, words
):
    path = tmp_path / f"bad.{suffix}"
    array = make(images[0])
    np.save(path, array) if suffix == "npy" else fits.writeto(path, array)
    with pytest.raises(DataError, match=rf"bad\.{suffix}") as error:
        list(predict(tiny_run, [path]))
    assert words in str(error.value)


def test_files_that_hold_no_images_are_refused_by_name(tiny_run, tiny_data, tmp_path):
    fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.ones(3))]).writeto(
        tmp_path / "table.fits"
    )
    (tmp_path / "text.fits").write_text("no fits")
    (tmp_path / "text.npy").write_text("no npy")
    (tmp_path / "text.h5").write_text("no hdf5")
    (tmp_path / "image.jpg").write_text("")
    (tmp_path / "empty").mkdir()
    fits.writeto(tmp_path / "whole.fits", np.random.default_rng(0).random((32, 32)))
    (tmp_path / "cut.fits").write_bytes((tmp_path / "whole.fits").read_bytes()[:4000])
    bad = {
        "table.fits": "holds no image",
        "text.fits": "cannot be read as FITS",
        "cut.fits": "cannot be read as FITS",
        "text.npy": "text.npy",
        "text.h5": "cannot be opened as HDF5",
        "image.jpg": "give .npy, .npz, .fits, .fit, .fts or .h5 files",
        "empty": "holds no data set (no plan.json) and no images",
        "gone.npy": "does not exist",
    }
    for name, words in bad.items():
        with (
            warnings.catch_warnings(),
            pytest.raises(DataError, match=name.replace(".", r"\.")) as error,
        ):
            list(predict(tiny_run, [tmp_path / name]))
        assert words in str(error.value)
    with pytest.raises(
        DataError,
        match="1 x 64 x 64, but the run takes 1 x 32 x 32",
        check=has_code("image-shape"),
    ):
        list(predict(tiny_run, [tiny_data]))


@pytest.fixture
def files(images, tmp_path):
    """A good file, a stack whose image 1 of 3 is bad, an empty file, one that is not there, and a good file again."""
    np.save(tmp_path / "good.npy", images[0, 0])
    stack = images[:3, 0].copy()
    set_flat(stack[1])
    np.save(tmp_path / "stack.npy", stack)
    (tmp_path / "empty.npy").touch()
    fits.writeto(tmp_path / "last.fits", images[5, 0])
    return ["good.npy", "stack.npy", "empty.npy", "gone.npy", "last.fits"]


def test_a_bad_file_or_image_costs_only_its_own_answer(lenssim, tiny_run, files):
    done = lenssim("predict", tiny_run.folder, *files)
    assert done.code == 1
    lines = [line.split()[:2] for line in done.out.splitlines()[1:]]
    assert lines == [
        ["good.npy", "0"],
        ["stack.npy", "0"],
        ["stack.npy", "2"],
        ["last.fits", "0"],
    ]
    for words in (
        "stack.npy, image 1: the image is flat",
        "empty.npy",
        "gone.npy does not exist",
    ):
        assert words in done.err
    assert "3 problems in 3 files" in done.err


def test_json_holds_the_answers_and_the_errors(lenssim, tiny_run, files):
    done = lenssim("predict", tiny_run.folder, *files, "--json")
    document = json.loads(done.out)
    assert done.code == 1
    assert [(p["file"], p["image"]) for p in document["predictions"]] == [
        ("good.npy", 0),
        ("stack.npy", 0),
        ("stack.npy", 2),
        ("last.fits", 0),
    ]
    assert [(e["file"], e["image"]) for e in document["errors"]] == [
        ("stack.npy", 1),
        ("empty.npy", None),
        ("gone.npy", None),
    ]
    assert (
        json.loads(lenssim("predict", tiny_run.folder, "good.npy", "--json").out)["errors"]
        == []
    )


def test_nothing_but_bad_files_gives_no_table(lenssim, tiny_run, files):
    one = lenssim("predict", tiny_run.folder, "gone.npy")
    assert (one.code, one.out, one.err) == (1, "", "lenssim: gone.npy does not exist\n")
    two = lenssim("predict", tiny_run.folder, "gone.npy", "empty.npy")
    assert (two.code, two.out) == (1, "")
    assert two.err.count("lenssim: gone.npy") == two.err.count("lenssim: empty.npy") == 1


def test_a_folder_stands_for_the_images_in_it(lenssim, tiny_run, images, tmp_path):
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    np.save(folder / "b.npy", images[1, 0])
    (folder / "b.npy").rename(folder / "b.NPY")
    fits.writeto(folder / "a.Fits", images[2, 0])
    (folder / "._a.fits").write_bytes(bytes(100))
    (folder / "notes.txt").touch()
    done = lenssim("predict", tiny_run.folder, folder)
    assert done.code == 0, done.err
    assert "reading 2 of 4 files; not read: folder (1), .txt (1)" in done.err
    document = json.loads(lenssim("predict", tiny_run.folder, folder, "--json").out)
    assert [Path(p["file"]).name for p in document["predictions"]] == ["a.Fits", "b.NPY"]
    empty = lenssim("predict", tiny_run.folder, folder / "more")
    assert (empty.code, empty.out) == (1, "")
    assert "holds no data set (no plan.json) and no images" in empty.err
    assert (
        "is a run, not images" in lenssim("predict", tiny_run.folder, tiny_run.folder).err
    )


@pytest.mark.parametrize("scale", [0.04, 0.12])
def test_images_of_another_pixel_scale_are_refused(tmp_path, scale):
    """A network knows pixels alone: its radius would be as wrong as the scale."""
    image = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    axes = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    steps = {"CDELT1": -scale / 3600, "CDELT2": scale / 3600}
    cards = fits.Header(axes | steps)
    fits.writeto(tmp_path / "a.fits", image, cards)
    images_of_run = ImageDescription((1, 8, 8), pixel_scale=scale)
    (read,) = read_file_images(tmp_path / "a.fits", images_of_run)
    np.testing.assert_array_equal(read.images[0, 0], image)
    wanted = ImageDescription((1, 8, 8), pixel_scale=0.05)
    with pytest.raises(DataError, check=has_code("pixel-scale-differs", expected=0.05)):
        list(read_file_images(tmp_path / "a.fits", wanted))
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "a.fits").rename(folder / "a.fits")
    import_folder("fits", folder, tmp_path / "D")
    with pytest.raises(DataError, check=has_code("pixel-scale-differs")):
        list(read_file_images(tmp_path / "D", wanted))
    import_folder("fits", folder, tmp_path / "E", pixel_scale=2 * scale)
    (read,) = read_file_images(
        tmp_path / "E", ImageDescription((1, 4, 4), pixel_scale=2 * scale)
    )
    assert read.images.shape == (1, 1, 4, 4)


def write_sky(path, image, scale):
    """Write an image with a header that states its pixel scale."""
    axes = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    steps = {"CDELT1": -scale / 3600, "CDELT2": scale / 3600}
    path.parent.mkdir(exist_ok=True)
    fits.writeto(path, image.astype(np.float32), fits.Header(axes | steps))


def test_images_are_resampled_to_the_pixels_of_the_run_on_request(tmp_path, capsys):
    """Files, data sets and arrays alike, with their flux; a note says what was done."""
    image = np.random.default_rng(0).random((12, 12))
    write_sky(tmp_path / "set" / "a.fits", image, 0.05)
    import_folder("fits", tmp_path / "set", tmp_path / "D")
    wanted = ImageDescription((1, 4, 4), pixel_scale=0.1)
    record = SimpleNamespace(
        images=wanted, image_shape=wanted.shape, config=SimpleNamespace(picture="image")
    )
    middle = image[2:10, 2:10].reshape(4, 2, 4, 2).sum((1, 3))
    sources = {
        "file": (tmp_path / "set" / "a.fits", None),
        "folder": (tmp_path / "D", None),
        "data": (open_data(tmp_path / "D"), None),
        "array": (image, 0.05),
    }
    for source, native_scale in sources.values():
        resampling = Resampling.of(wanted, native_scale)
        (read,) = images_of(record, source, resampling=resampling)
        np.testing.assert_allclose(read.images[0, 0], middle, rtol=1e-6)
    told = capsys.readouterr().err
    words = 'resampled from 12 x 12 pixels of 0.05" to 4 x 4 of 0.1"'
    assert told.count(words) == len(sources)


@pytest.mark.parametrize("fault", ["no-pixel-scale", "stamp-too-small", "run"])
def test_what_cannot_be_resampled_is_refused(tmp_path, fault):
    image = np.random.default_rng(0).random((12, 12))
    code = {"run": "no-pixel-scale"}.get(fault, fault)
    scale = {"stamp-too-small": 0.02}.get(fault)
    wanted = ImageDescription((1, 8, 8), pixel_scale=None if fault == "run" else 0.05)
    with pytest.raises(DataError, check=has_code(code)):
        Resampling.of(wanted)(image[None, None], scale, "a.fits")


@pytest.mark.parametrize("side", [16, 12])
def test_stamps_of_the_same_pixels_are_cut_and_not_blurred(side):
    image = np.random.default_rng(0).random((1, 1, side, side)).astype(np.float32)
    cut, words = Resampling(0.05, 12)(image, 0.05, "a.fits")
    edge = (side - 12) // 2
    expected = image[..., edge : side - edge, edge : side - edge]
    np.testing.assert_array_equal(cut, expected)
    assert bool(words) == (side == 16)


def test_noise_maps_and_masks_are_resampled_by_their_own_rules():
    rng = np.random.default_rng(0)
    resampling = Resampling(0.15, 4)
    sigma = rng.uniform(1, 2, (1, 1, 12, 12))
    seen = np.ones((1, 1, 12, 12))
    seen[0, 0, 7, 1] = 0
    variance = (sigma**2).reshape(4, 3, 4, 3).sum((1, 3))
    coarse, _ = resampling(sigma, 0.05, "a", "sigma")
    np.testing.assert_allclose(coarse[0, 0], np.sqrt(variance), rtol=1e-12)
    mask, _ = resampling(seen, 0.05, "a", "mask")
    assert np.argwhere(mask[0, 0] == 0).tolist() == [[2, 0]]
    kappa, _ = resampling(seen * 0.3, 0.05, "a", "kappa")
    np.testing.assert_allclose(kappa[0, 0, :2], 0.3, rtol=1e-12)


@pytest.mark.thorough
def test_a_run_judges_data_of_finer_pixels_on_request(tiny_run, tmp_path, lenssim):
    """The network sees what an import would make of the images; shards are checked as they are."""
    document = yaml.safe_load(preset_text("III"))
    scale = tiny_run.record.images.pixel_scale
    document["instrument"] |= {"num_pix": 64, "pixel_scale": scale / 2}
    plan = make_plan(parse_preset(document), 24, seed=9, noise="none", supersampling=1)
    fine = tmp_path / "F"
    generate(fine, plan)
    dataset = ShardDataset(fine)
    native = dataset.images(np.arange(24)).astype(np.float64)
    shown = ResampledDataset(fine, Resampling.of(tiny_run.record.images))
    expected = native.reshape(24, 1, 32, 2, 32, 2).sum((3, 5))
    np.testing.assert_allclose(shown.images(np.arange(24)), expected, rtol=1e-6)
    digests = [data.verified_digests(np.arange(24)) for data in (dataset, shown)]
    np.testing.assert_array_equal(*digests)
    run = Run(tiny_run.folder)
    with pytest.raises(DataError, check=has_code("pixel-scale-differs")):
        run.evaluate(fine)
    document = run.evaluate(fine, resample=True).document
    assert document["pixels"].startswith("resampled from 64 x 64")
    answers = run.predict(expected)
    right = np.array(answers["predicted"]) == np.array(dataset.classes)[dataset.labels]
    assert document["metrics"]["accuracy"]["value"] == pytest.approx(right.mean())
    with pytest.raises(ConfigError, check=has_code("option-missing", option="resample")):
        run.predict(fine, native_scale=0.1)
    said = lenssim("predict", tiny_run.folder, fine, "--resample")
    assert said.code == 0
    assert "resampled from" in said.err


@pytest.mark.parametrize("bands", [1, 3])
def test_a_batch_of_one_is_read_as_batches_of_several_are(tmp_path, bands):
    images = np.random.default_rng(0).random((2, bands, 8, 8))
    for count in (1, 2):
        np.save(tmp_path / f"{count}.npy", images[:count])
        (read,) = read_file_images(
            tmp_path / f"{count}.npy", ImageDescription((bands, 8, 8))
        )
        np.testing.assert_array_equal(read.images, images[:count].astype(np.float32))


@pytest.mark.parametrize("shape", [(64, 64, 3), (2, 64, 64, 3)])
@pytest.mark.parametrize("bands", [1, 3])
def test_bands_that_come_last_are_named(tmp_path, shape, bands):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random(shape))
    with pytest.raises(DataError, match="bands") as refused:
        list(read_file_images(tmp_path / "a.npy", ImageDescription((bands, 64, 64))))
    assert refused.value.code == "image-shape"


def test_a_file_of_several_images_lists_them(tmp_path):
    """An answer from the first of 24 images would be one nobody asked for."""
    image = np.random.default_rng(0).random((8, 8))
    units = [fits.ImageHDU(image, name=name) for name in ("DES_G_BGSUB", "VIS_BGSUB")]
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(tmp_path / "a.fits")
    with pytest.raises(DataError, match=r"DES_G_BGSUB.*VIS_BGSUB.*--extension"):
        list(read_file_images(tmp_path / "a.fits", ImageDescription((1, 8, 8))))


def test_answers_name_the_lenses_of_a_data_set(tiny_run, tmp_path, lenssim):
    rng = np.random.default_rng(0)
    for name in ("J0029", "J0157"):
        (tmp_path / "set" / name).mkdir(parents=True)
        np.save(tmp_path / "set" / name / "image.npy", rng.random(SHAPE[1:]))
    scale = tiny_run.record.images.pixel_scale
    import_folder("fits", tmp_path / "set", tmp_path / "D", pixel_scale=scale)
    answers = list(predict(tiny_run, [tmp_path / "D"]))
    assert [answer.name for answer in answers] == ["J0029", "J0157"]
    assert answers[1].document()["name"] == "J0157"
    done = lenssim("predict", tiny_run.folder, tmp_path / "D")
    assert done.code == 0, done.err
    assert [line.split()[2] for line in done.out.splitlines()] == ["name", "J0029", "J0157"]
