"""The search of a field: every way to it gives the same scores, and what does not fit is refused."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code

import lenssim as ls
from lenssim.errors import ConfigError, DataError, IncompleteError

SIDE = 16
SCALE = 0.1


def stamp(rng: np.random.Generator, is_lens: bool, side: int = SIDE) -> np.ndarray:
    """A galaxy, with a ring around it if it is a lens."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = np.hypot(x, y)
    image = 60 * np.exp(-(radius**2) / 4) + rng.normal(0, 1, (side, side))
    if is_lens:
        image += 30 * np.exp(-((radius - 5) ** 2) / 2)
    return image.astype(np.float32)


def header(scale: float = SCALE) -> fits.Header:
    cards = fits.Header()
    for axis, kind, middle, step in (
        (1, "RA---TAN", 10.0, -scale),
        (2, "DEC--TAN", 5.0, scale),
    ):
        cards[f"CTYPE{axis}"] = kind
        cards[f"CRVAL{axis}"] = middle
        cards[f"CRPIX{axis}"] = 100.0
        cards[f"CD{axis}_{axis}"] = step / 3600
    return cards


LENSES = ((60, 60), (180, 100))
GALAXIES = ((60, 180), (130, 60), (200, 200))


def field(path: Path, scale: float = SCALE) -> Path:
    rng = np.random.default_rng(5)
    image = rng.normal(0, 1, (256, 256)).astype(np.float32)
    quiet = np.random.default_rng(1)
    for places, is_lens in ((LENSES, True), (GALAXIES, False)):
        for x, y in places:
            part = stamp(quiet, is_lens, 21)
            image[y - 10 : y + 11, x - 10 : x + 11] += part
    fits.writeto(path, image, header(scale), overwrite=True)
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with a run that tells lenses from galaxies, and a field."""
    folder = tmp_path_factory.mktemp("search")
    rng = np.random.default_rng(0)
    lines = ["name,class"]
    (folder / "files").mkdir()
    for number in range(256):
        is_lens = number % 2 == 1
        name = f"J{number:04d}"
        fits.writeto(folder / "files" / f"{name}.fits", stamp(rng, is_lens), header())
        lines.append(f"{name},{'lens' if is_lens else 'nolens'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    data = ls.import_data(
        "fits", folder / "files", folder / "data", labels=str(folder / "labels.csv")
    )
    ls.train("classify", data, out=folder / "run", epochs=4, device="cpu", net="cnn")
    field(folder / "field.fits")
    return folder


@pytest.fixture(scope="module")
def found(work) -> "ls.Candidates":
    return ls.search(
        work / "field.fits", work / "run", work / "found", device="cpu", tile=128
    )


def test_lenses_come_first(found):
    assert found.rows == 5
    best = {
        (round(x), round(y)) for x, y in zip(found["x"][:2], found["y"][:2], strict=True)
    }
    assert best == set(LENSES)
    assert (np.diff(found["score"]) <= 0).all()


def test_scores_are_those_that_predict_gives(work, found):
    answers = ls.predict(work / "run", work / "found" / "stamps", device="cpu")
    by_name = dict(zip(answers["name"], answers["lens"], strict=True))
    for name, score in zip(found["name"], found["score"], strict=True):
        assert abs(by_name[name] - score) < 1e-6


def test_the_command_finds_the_same(work, found, lenssim):
    field_and_run = (work / "field.fits", "--run", work / "run")
    done = lenssim("search", *field_and_run, "--out", "s", "--device", "cpu")
    assert done.code == 0, done.err
    assert f"{found.rows} galaxies have a score" in done.out
    with Path("s/catalogue.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == found["name"].tolist()


def test_the_catalogue_is_the_answer(work, found):
    with (work / "found" / "catalogue.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == found["name"].tolist()
    assert {"rank", "ra", "dec", "score", "mag"} - set(rows[0]) == {"mag"}


def test_the_page_has_each_stamp(work, found):
    text = found.page.read_text()
    entries = json.loads(re.search(r"const entries = (.*);", text)[1])
    assert [entry["name"] for entry in entries] == found["name"].tolist()
    for entry in entries:
        assert (work / "found" / entry["figure"]).read_bytes().startswith(b"\x89PNG")
    assert "{{" not in text


def test_a_search_goes_on_where_it_was_stopped(work, found):
    calls = iter([False, False, True])
    arguments = (work / "field.fits", work / "run", work / "again")
    options = {"device": "cpu", "tile": 128}
    with pytest.raises(IncompleteError, check=has_code("stopped")):
        ls.search(*arguments, stop=lambda: next(calls), **options)
    again = ls.search(*arguments, **options)
    assert again["score"].tolist() == found["score"].tolist()
    score = work / "again" / "scores" / "000000.npy"
    before = score.stat().st_mtime_ns
    ls.search(*arguments, **options)
    assert score.stat().st_mtime_ns == before
    score.write_bytes(b"1234567812345678")
    with pytest.raises(DataError, check=has_code("scores-damaged")):
        ls.search(*arguments, **options)


def test_finer_pixels_are_resampled_and_coarser_ones_refused(work, capsys):
    fine = field(work / "fine.fits", scale=0.08)
    candidates = ls.search(fine, work / "run", work / "fine", device="cpu")
    assert "resampled" in capsys.readouterr().err
    assert ls.Dataset(work / "fine" / "stamps").pixel_scale == pytest.approx(SCALE)
    assert candidates.rows
    coarse = field(work / "coarse.fits", scale=0.2)
    with pytest.raises(DataError, check=has_code("pixel-scale-differs")):
        ls.search(coarse, work / "run", work / "coarse", device="cpu")
    assert not (work / "coarse").exists()


def test_other_bands_are_refused(work):
    both = [work / "field_g.fits", work / "field_r.fits"]
    for path in both:
        field(path)
    with pytest.raises(DataError, check=has_code("bands-differ")):
        ls.search(both, work / "run", work / "bands", device="cpu")
    assert not (work / "bands").exists()


def test_an_empty_field_has_an_empty_catalogue(work):
    noise = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    fits.writeto(work / "empty.fits", noise, header())
    candidates = ls.search(
        work / "empty.fits", work / "run", work / "nothing", device="cpu"
    )
    assert candidates.rows == 0
    assert candidates.page.exists()
    assert (work / "nothing" / "catalogue.csv").read_text().startswith("rank,name")


def test_another_folder_is_left_alone(work, found):
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        ls.search(
            work / "field.fits", work / "run", work / "found", device="cpu", threshold=5.0
        )
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        ls.search(work / "field.fits", work / "run", work / "data", device="cpu")


def test_a_run_that_does_not_look_for_lenses_is_refused(work, workplace):
    with pytest.raises(ConfigError, check=has_code("run-not-finder")):
        ls.search(
            work / "field.fits", workplace / "runs" / "cnn", work / "no", device="cpu"
        )
    assert not (work / "no").exists()


BANDS = ("g", "r")


def coloured(rng: np.random.Generator, is_lens: bool, side: int = SIDE) -> np.ndarray:
    """Bands g and r of a galaxy with a ring, which is blue if it is a lens' and red if not."""
    plain, ringed = (stamp(rng, has_ring, side) for has_ring in (False, True))
    return np.stack([ringed, plain] if is_lens else [plain, ringed])


def write_bands(images: np.ndarray, start: Path) -> list[Path]:
    paths = [start.with_name(f"{start.name}_{band}.fits") for band in BANDS]
    for path, image in zip(paths, images, strict=True):
        fits.writeto(path, image.astype(np.float32), header(), overwrite=True)
    return paths


@pytest.fixture(scope="module")
def coloured_work(tmp_path_factory) -> Path:
    """A folder with a run on two bands, and a field of two bands."""
    folder = tmp_path_factory.mktemp("bands")
    (folder / "files").mkdir()
    rng = np.random.default_rng(0)
    lines = ["name,class"]
    for number in range(256):
        is_lens = number % 2 == 1
        write_bands(coloured(rng, is_lens), folder / "files" / f"J{number:04d}")
        lines.append(f"J{number:04d},{'lens' if is_lens else 'nolens'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    labels = str(folder / "labels.csv")
    data = ls.import_data(
        "fits", folder / "files", folder / "data", labels=labels, bands="g,r"
    )
    assert data.image_shape == (2, SIDE, SIDE)
    ls.train(
        "find",
        data,
        out=folder / "run",
        epochs=6,
        device="cpu",
        net="finder",
        learning_rate=5e-3,
    )
    field = rng.normal(0, 1, (2, 256, 256))
    for places, is_lens in ((LENSES, True), (GALAXIES, False)):
        for x, y in places:
            part = coloured(rng, is_lens, 21)
            field[:, y - 10 : y + 11, x - 10 : x + 11] += part
    write_bands(field, folder / "field")
    return folder


@pytest.mark.thorough
def test_a_field_of_two_bands_is_searched(coloured_work):
    paths = [coloured_work / f"field_{band}.fits" for band in BANDS]
    run = coloured_work / "run"
    found = ls.search(paths, run, coloured_work / "found", device="cpu")
    best = {
        (round(x), round(y)) for x, y in zip(found["x"][:2], found["y"][:2], strict=True)
    }
    assert found.rows == 5
    assert best == set(LENSES)
    turned = ls.search(paths[::-1], run, coloured_work / "turned", device="cpu")
    np.testing.assert_allclose(turned["score"], found["score"], atol=1e-6)
    assert turned["name"].tolist() == found["name"].tolist()
    stamps = ls.open(coloured_work / "turned" / "stamps")
    assert stamps.image_shape == (2, SIDE, SIDE)
    with pytest.raises(DataError, check=has_code("band-missing")):
        ls.search(paths[0], run, coloured_work / "one", device="cpu")
    assert not (coloured_work / "one").exists()
