"""`lenssim audit --real`: simulated beside real images, what it writes, prints and refuses."""

import json

import numpy as np
import pytest
import yaml
from error_codes import has_code

import lenssim as ls
from lenssim.data.format.files import read_json
from lenssim.data.generation.dataset_card import REALISM_AUDIT, known_verdict
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.verification import verify
from lenssim.errors import ConfigError, DataError
from lenssim.learn.nets.features import network_features, untrained_model
from lenssim.simulate.preset import parse_preset, preset_text

pytestmark = pytest.mark.thorough


def made(folder, seed, count=60, noise="nominal", **camera):
    document = yaml.safe_load(preset_text("sie"))
    document["instrument"] = document["instrument"] | {"num_pix": 32} | camera
    generate(folder, make_plan(parse_preset(document), count, seed=seed, noise=noise))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folders of the same sky, of another PSF, and of other pixels, bands and sizes."""
    place = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENSSIM_KERNELS", "eager")
        made(place / "sim", 1, 100)
        made(place / "same", 2, 20)
        made(place / "blurred", 3, 20, psf={"fwhm": 0.7})
        made(place / "finer", 4, 20, pixel_scale=0.04)
        made(place / "larger", 5, 20, num_pix=40)
        made(place / "few", 6, 7)
    return place


def test_the_only_band_may_have_a_name(folder, tmp_path):
    """Cameras of one band give it none, and files of a telescope do; units may differ."""
    data = ls.open(folder / "same").source
    (tmp_path / "files").mkdir()
    for number, image in enumerate(data.images(np.arange(10))):
        np.save(tmp_path / "files" / f"lens{number}_vis.npy", image[0] * 1e-12)
    scale = data.pixel_scale
    real = ls.import_data("fits", tmp_path / "files", tmp_path / "D", native_scale=scale)
    assert real.source.bands == ("vis",)
    document = ls.audit(folder / "sim", real=real.folder, out=tmp_path / "a.json").document
    assert document["images"]["real"] == 10
    assert document["unit_factors"] == [pytest.approx(1e12, rel=0.1)]
    assert not any(row["betrays"] for row in document["statistics"])


def test_images_of_one_sky_are_not_told_apart_and_the_card_says_so(lenssim, folder):
    before = verify(folder / "sim")
    done = lenssim("audit", folder / "sim", "--real", folder / "same")
    assert done.code == 0, done.err
    *_, line = done.out.splitlines()
    assert line.startswith("not told apart from 20 real images: all statistics (AUC ")
    document = read_json(folder / "sim" / REALISM_AUDIT)
    assert document["verdict"] == line
    assert document["images"] == {"real": 20, "simulated": 100}
    assert f"| realism audit | {line} |" in (folder / "sim" / "card.md").read_text()
    assert known_verdict(folder / "sim", before.fingerprint, REALISM_AUDIT) == line
    for figure in ("realism_audit.png", "realism_audit_images.png"):
        assert (folder / "sim" / "figures" / figure).read_bytes().startswith(b"\x89PNG")
    assert verify(folder / "sim") == before
    printed = lenssim("info", folder / "sim").out
    assert f"realism audit  {line}" in printed
    assert "theta_E" in printed
    facts = json.loads(lenssim("info", folder / "sim", "--json").out)
    assert facts["realism_audit"] == line
    assert {"theta_E", "source_magnitude"} <= set(facts["parameters"])


def test_another_psf_betrays_itself(lenssim, folder, tmp_path):
    options = ("--real", folder / "blurred", "--json", "--out", "audit.json")
    document = json.loads(lenssim("audit", folder / "sim", *options).out)
    assert document["verdict"].startswith("told apart from 20 real images")
    assert read_json(tmp_path / "audit.json") == document
    assert (tmp_path / "figures" / "audit.png").exists()
    assert document["separations"][0]["auc"] > 0.9
    assert {"power, fine", "width of the peak"} & {
        row["statistic"] for row in document["statistics"] if row["betrays"]
    }


def test_a_data_set_is_like_itself(folder, tmp_path):
    table = ls.audit(folder / "sim", real=folder / "sim", out=tmp_path / "itself.json")
    assert table.verdict.startswith("not told apart from 50 real images")
    for row in table.document["separations"]:
        assert row["low"] < 0.5 < row["high"]
    assert not table["betrays"].any()


def test_halves_of_a_small_data_set_are_called_so(folder):
    """Seven real images, compared with themselves, are not said to be three."""
    wanted = has_code("too-few-images", name="all", count=7)
    with pytest.raises(DataError, match=r"compared with itself.*7 images", check=wanted):
        ls.audit(folder / "few", real=folder / "few")


@pytest.mark.parametrize(
    ("real", "error", "code", "fields"),
    [
        ("finer", ConfigError, "pixels-differ", {"scale": 0.04}),
        ("larger", ConfigError, "images-differ", {"shape": (1, 40, 40)}),
        ("few", DataError, "too-few-images", {"name": "real", "count": 7}),
    ],
)
def test_images_that_cannot_be_compared_are_refused(folder, real, error, code, fields):
    with pytest.raises(error, check=has_code(code, **fields)):
        ls.audit(folder / "sim", real=folder / real)


def test_how_to_mend_it_is_said(folder):
    with pytest.raises(
        ConfigError, match=r"lenssim import fits DIR --out REAL .*--num-pix 32"
    ):
        ls.audit(folder / "sim", real=folder / "larger")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"real": "same", "judged_by": "same"}, "options-conflict"),
        ({"run": "run"}, "option-missing"),
        ({"real": "same", "limit": 0}, "option-range"),
    ],
)
def test_options_that_do_not_go_together(folder, options, code):
    places = {
        name: folder / value if isinstance(value, str) else value
        for name, value in options.items()
    }
    with pytest.raises(ConfigError, check=has_code(code)):
        ls.audit(folder / "sim", **places)


def test_the_untrained_network_is_the_same_for_all(folder):
    data = ls.open(folder / "sim").source
    from lenssim.learn.compute.device import pick_device
    from lenssim.learn.inputs.description import describe

    images = data.images(np.arange(300) % 100)
    features = [
        network_features(untrained_model(describe(data)), images, pick_device("cpu"))
        for _ in range(2)
    ]
    assert features[0].shape == (300, 256)
    assert np.array_equal(*features)
    assert np.allclose(features[0][:100], features[0][100:200], atol=1e-5)
