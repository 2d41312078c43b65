import csv
import json
import shutil

import numpy as np
import pytest
from error_codes import has_code
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, roc_auc_score

from lenssim.data.format.files import read_json
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError
from lenssim.learn.evaluation.evaluation import (
    evaluate,
    evaluation_folder,
    finished_evaluation,
)
from lenssim.learn.runs.model_card import write_card
from lenssim.learn.runs.overlap import held_out
from lenssim.learn.runs.run import DataIdentity, Run, identify, open_run
from lenssim.learn.tasks.classify import Classify

FILES = {
    "metrics.json",
    "predictions.csv",
    "roc.png",
    "confusion.png",
    "calibration.png",
    "curves.png",
}


@pytest.fixture(scope="module")
def judged(tiny_run, tiny_dataset):
    dataset = ShardDataset(tiny_dataset)
    return dataset, evaluate(tiny_run, dataset), evaluation_folder(tiny_run, dataset)


def table(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_scores_are_scikit_learn_s_of_the_table_of_predictions(judged):
    dataset, document, folder = judged
    rows = table(folder)
    labels = np.array([dataset.classes.index(row["label"]) for row in rows])
    p = np.array([[float(row[name]) for name in dataset.classes] for row in rows])
    assert [dataset.classes[k] for k in p.argmax(axis=1)] == [
        row["predicted"] for row in rows
    ]
    p /= p.sum(axis=1, keepdims=True)
    scores = document["metrics"]
    assert scores["loss"]["value"] == pytest.approx(log_loss(labels, p), rel=1e-5)
    assert scores["accuracy"]["value"] == pytest.approx(
        accuracy_score(labels, p.argmax(axis=1))
    )
    assert scores["macro_auc"]["value"] == pytest.approx(
        roc_auc_score(labels, p, multi_class="ovr"), abs=1e-6
    )
    assert (
        scores["confusion"]["value"]
        == confusion_matrix(labels, p.argmax(axis=1), labels=range(3)).tolist()
    )
    for k, name in enumerate(dataset.classes):
        assert scores["auc"][name]["value"] == pytest.approx(
            roc_auc_score(labels == k, p[:, k]), abs=1e-6
        )
    for name in ("loss", "accuracy", "macro_auc"):
        assert scores[name]["low"] <= scores[name]["value"] <= scores[name]["high"]


def test_only_test_blocks_of_the_training_data_are_used(judged, tiny_run):
    _, document, folder = judged
    assert [int(row["index"]) for row in table(folder)] == list(range(192, 256))
    assert document["n"] == 64
    assert document["samples"].startswith("test blocks")
    assert sum(document["class_counts"].values()) == 64


def test_the_folder_holds_the_numbers_and_the_figures(judged, tiny_run):
    dataset, document, folder = judged
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(
        (folder / name).read_bytes().startswith(b"\x89PNG")
        for name in FILES
        if name.endswith(".png")
    )
    assert read_json(folder / "metrics.json") == document
    assert document["data"]["fingerprint"] == dataset.fingerprint
    assert document["run"]["trained_on"]["preset"] == "III"
    assert finished_evaluation(tiny_run, dataset) == document


def test_repeating_gives_the_same_bytes(judged, tiny_run):
    dataset, _, folder = judged
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    evaluate(tiny_run, dataset)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_all_samples_of_other_data_are_used(tiny_run, other_dataset):
    dataset = ShardDataset(other_dataset)
    document = evaluate(tiny_run, dataset, resamples=50)
    assert document["n"] == 96
    assert document["samples"].startswith("all samples")


def test_data_that_may_share_scenes_are_held_to_their_test_blocks(
    tiny_run, make_data, tmp_path
):
    """The same seed, but noisy, and more of them."""
    dataset = ShardDataset(make_data(tmp_path / "noisy", n=260, seed=4, noise="nominal"))
    rows, which = held_out(tiny_run, dataset)
    assert rows.tolist() == list(range(192, 256))
    assert "same seed" in which
    few = ShardDataset(make_data(tmp_path / "few", n=70, seed=4, noise="nominal"))
    with pytest.raises(
        DataError, match="no samples are held out", check=has_code("split-empty")
    ):
        evaluate(tiny_run, few)


def test_what_shares_samples():
    base = {
        "config_hash": "c",
        "n": 10,
        "kind": "simulated",
        "preset": "III",
        "seed": 1,
        "split": "train",
    }
    one = DataIdentity(fingerprint="f", **base)
    assert one.shares_samples(DataIdentity(fingerprint="g", **base))
    assert one.shares_samples(
        DataIdentity(fingerprint="g", **{**base, "config_hash": "d", "preset": "II"})
    )
    for change in ({"seed": 2}, {"split": "test"}):
        assert not one.shares_samples(
            DataIdentity(fingerprint="g", **{**base, "config_hash": "d", **change})
        )
    imported = DataIdentity(fingerprint="h", config_hash="e", n=3, kind="imported")
    assert imported.shares_samples(imported)
    assert not imported.shares_samples(
        imported.model_copy(update={"fingerprint": "i", "config_hash": "j"})
    )


def test_other_classes_or_stamps_are_refused_naming_both(tiny_run, tiny_dataset, tiny_data):
    record = tiny_run.record.model_copy(
        update={"task": Classify(classes=("no_sub", "axion", "cdm"))}
    )
    with pytest.raises(
        DataError, match="no_sub, cdm, axion", check=has_code("classes-differ")
    ) as error:
        evaluate(Run(tiny_run.folder, record), ShardDataset(tiny_dataset))
    assert "no_sub, axion, cdm" in str(error.value)
    with pytest.raises(
        DataError,
        match=r"1 x 64 x 64; the run .* takes 1 x 32 x 32",
        check=has_code("image-shape"),
    ):
        evaluate(tiny_run, ShardDataset(tiny_data))


def test_damaged_runs_are_refused(tiny_run, tiny_dataset, tmp_path):
    dataset = ShardDataset(tiny_dataset)
    run = open_run(shutil.copytree(tiny_run.folder, tmp_path / "run"))
    run.best.write_bytes(b"nonsense")
    for ask in (evaluate, finished_evaluation):
        with pytest.raises(
            DataError,
            match=r"best\.ckpt is not the file that this training wrote",
            check=has_code("file-of-another"),
        ):
            ask(run, dataset)
    run.best.unlink()
    with pytest.raises(
        DataError, match=r"best\.ckpt does not exist", check=has_code("no-file")
    ):
        evaluate(run, dataset)
    (run.folder / "run.json").write_text(json.dumps({"net": "cnn"}))
    with pytest.raises(DataError, check=has_code("document-damaged")):
        open_run(run.folder)
    with pytest.raises(
        DataError,
        match="give the run's folder, not its checkpoint",
        check=has_code("no-run"),
    ):
        open_run(tiny_run.best)


def test_the_card_says_what_the_run_is(judged, tiny_run):
    text = write_card(tiny_run).read_text()
    identity = identify(judged[0])
    for words in (
        "125,683 parameters",
        "preset III, noise none",
        identity.fingerprint,
        "| epochs | 2 |",
        "## Use",
    ):
        assert words.lower() in text.lower()
    assert f"(`{identity.fingerprint[:8]}`) | 64 |" in text


def test_no_figure_costs_the_numbers(
    lenssim, tiny_run, tiny_dataset, tmp_path, monkeypatch
):
    """Whether it cannot be drawn or cannot be written; the others are there."""
    import lenssim.learn.figures.classification as figures

    def fail(*_: object) -> None:
        raise RuntimeError("no such font")

    run = open_run(shutil.copytree(tiny_run.folder, tmp_path / "run"))
    dataset = ShardDataset(tiny_dataset)
    folder = evaluation_folder(run, dataset)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "confusion.png").mkdir(parents=True)
    monkeypatch.setattr(figures, "roc_figure", fail)
    done = lenssim("evaluate", run.folder, "--data", tiny_dataset)
    assert done.code == 0, done.err
    assert "macro AUC" in done.out
    assert "roc.png is missing: no such font" in done.err
    assert "confusion.png is missing: cannot write" in done.err
    assert read_json(folder / "metrics.json")["n"] == 64
    assert {path.name for path in folder.iterdir() if path.is_file()} == FILES - {
        "roc.png",
        "confusion.png",
    }
    assert finished_evaluation(run, dataset) is None, "a recipe draws them again"


def test_a_run_that_cannot_be_written_into_is_an_error(
    lenssim, tiny_run, tiny_dataset, tmp_path
):
    run = open_run(shutil.copytree(tiny_run.folder, tmp_path / "run"))
    folder = evaluation_folder(run, ShardDataset(tiny_dataset))
    shutil.rmtree(folder, ignore_errors=True)
    folder.touch()
    done = lenssim("evaluate", run.folder, "--data", tiny_dataset)
    assert (done.code, done.out) == (1, "")
    assert f"cannot make the folder {folder}" in done.err
