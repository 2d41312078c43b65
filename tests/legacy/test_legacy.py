"""What version 0.1 wrote still opens, verifies, grows, resumes, and gives the same answers.

`lenssim-0.1.tar.xz` holds data sets of every storage, runs of every head and a training that was
killed after two of four epochs, all written before the rooms of the package were rebuilt, with the
answers that version 0.1 gave. It is never written again.
"""

import csv
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from costs import without_dear

ARCHIVE = Path(__file__).with_name("lenssim-0.1.tar.xz")
DATASETS = (
    "float16",
    "float16-compressed",
    "float32",
    "float32-compressed",
    "galaxies",
    "int16",
    "int16-compressed",
    "maps",
    "sie",
    "unseen-classes",
    "unseen-sie",
)
UNSEEN = {
    "classify": "unseen-classes",
    "point": "unseen-sie",
    "diagonal": "unseen-sie",
    "full": "unseen-sie",
    "mixture": "unseen-sie",
    "flow": "unseen-sie",
}
SAME = 2e-3  # float32 networks on other processors


@pytest.fixture(scope="module")
def legacy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("legacy")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "lenssim-0.1"


@pytest.fixture(scope="module")
def expected(legacy) -> dict:
    return json.loads((legacy / "expected.json").read_text())


@pytest.mark.parametrize("name", DATASETS)
def test_data_set_verifies(lenssim, legacy, expected, name):
    done = lenssim("verify", legacy / "data" / name, "--json")
    report = json.loads(done.out)
    assert report["ok"], report
    assert report["fingerprint"] == expected["fingerprints"][name]


@pytest.mark.parametrize("name", ["float32", "int16-compressed", "maps"])
def test_samples_are_made_again_bit_for_bit(lenssim, legacy, name):
    done = lenssim("verify", legacy / "data" / name, "--resimulate", 2)
    assert done.code in (0, 3), (
        done.err
    )  # 3: other versions of libraries, and the report says so
    assert "equal to the bit" in done.out or "version" in done.out + done.err


def test_data_set_grows(lenssim, legacy, tmp_path):
    """The same command with a larger n goes on where version 0.1 stopped."""
    data = shutil.copytree(legacy / "data" / "float32", tmp_path / "grown")
    command = (
        "generate",
        "-m",
        legacy / "classes.yaml",
        "--shard-size",
        48,
        "--workers",
        0,
    )
    done = lenssim(*command, "-n", 144, "-o", data)
    assert done.code == 0, done.err
    assert lenssim("verify", data).code == 0


@pytest.mark.parametrize("name", UNSEEN)
def test_run_gives_the_same_answers(lenssim, legacy, expected, name):
    done = lenssim(
        "predict", legacy / "runs" / name, legacy / "data" / UNSEEN[name], "--json"
    )
    assert done.code == 0, done.err
    predictions = json.loads(done.out)["predictions"]
    for answer, before in zip(predictions, expected["answers"][name], strict=False):
        for key in ("probabilities", "targets", "sigma"):
            for label, value in before.get(key, {}).items():
                assert answer[key][label] == pytest.approx(value, rel=SAME, abs=SAME)


@pytest.mark.parametrize(
    "name", without_dear(UNSEEN, ["point", "diagonal", "full", "mixture"])
)
def test_run_gets_the_same_scores(lenssim, legacy, expected, name):
    done = lenssim(
        "evaluate", legacy / "runs" / name, "--data", legacy / "data" / UNSEEN[name]
    )
    assert done.code == 0, done.err
    (document,) = (legacy / "runs" / name).glob("evaluation-*/metrics.json")
    metrics = json.loads(document.read_text())["metrics"]
    for score, value in expected["metrics"][name].items():
        if isinstance(
            value, list
        ):  # the confusion matrix: one image of 48 may change its class
            continue
        assert metrics[score]["value"] == pytest.approx(value, rel=0.02, abs=0.02), score


def test_killed_training_resumes(lenssim, legacy, expected):
    """The last two epochs are those that version 0.1 would have trained."""
    run = legacy / "runs" / "stopped"
    done = lenssim(
        "train", "classify", "--resume", "--out", run, "--data", legacy / "data/float32"
    )
    assert done.code == 0, done.err
    with (run / "metrics.csv").open() as table:
        losses = [float(row["val_loss"]) for row in csv.DictReader(table)]
    np.testing.assert_allclose(losses, expected["resumed_val_loss"], rtol=SAME)
