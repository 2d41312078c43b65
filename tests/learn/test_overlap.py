"""No run is judged by images that it has learned from, as far as that can be known; where it cannot, that is said."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from error_codes import has_code

from lenssim.data.exchange.importers import import_folder
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError, VerificationError
from lenssim.learn.evaluation.evaluation import evaluate
from lenssim.learn.evaluation.prediction import predict
from lenssim.learn.runs.overlap import held_out, read_seen
from lenssim.learn.runs.run import Run, open_run
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train


def import_images(folder: Path, images: np.ndarray) -> Path:
    """A data set of imported images (N, H, W), half of them of each of two classes."""
    half = len(images) // 2
    for name, part in {"cdm": images[:half], "no_sub": images[half:]}.items():
        (folder / "files" / name).mkdir(parents=True)
        for k, image in enumerate(part):
            np.save(folder / "files" / name / f"{k:05d}.npy", image)
    import_folder("deeplense", folder / "files", folder / "data")
    return folder / "data"


def rings(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Path:
    """512 images of noise: 384 for training, 64 for validation, 64 for tests."""
    return import_images(tmp_path_factory.mktemp("imported"), rings(512, 1))


def settings(data: Path, **more):
    return parse_config(
        {"data": str(data), "epochs": 1, "batch_size": 32, "net": "cnn", **more}
    )


@pytest.fixture(scope="module")
def imported_run(tmp_path_factory, imported) -> Run:
    return train(settings(imported), tmp_path_factory.mktemp("runs") / "imported")


def without_hashes(run: Run, folder: Path) -> Run:
    """The run as it would have been made before images were hashed."""
    shutil.copytree(run.folder, folder)
    for name in ("seen.npz", "hashes.json"):
        (folder / name).unlink()
    old = Run(folder, run.record.model_copy(update={"files": None}))
    old.write()
    return old


def test_images_that_a_run_learned_from_are_kept_by_their_hashes(imported_run, imported):
    (hashes,) = read_seen(imported_run).values()
    assert len(hashes) == 448
    dataset = ShardDataset(imported)
    digests = dataset.verified_digests(dataset.rows("test"))
    assert not np.isin(
        np.ascontiguousarray(digests[:, :8]).view("<u8").ravel(), hashes
    ).any()


def test_copies_of_training_images_are_left_out_under_any_name(
    imported_run, imported, tmp_path
):
    dataset = ShardDataset(imported)
    seen, unseen = dataset.rows("train")[5:25], dataset.rows("test")[:20]
    copies = dataset.images(np.concatenate([seen, unseen]))[:, 0]
    data = ShardDataset(import_images(tmp_path, np.concatenate([copies, rings(24, 2)])))
    rows, words = held_out(imported_run, data)
    assert len(rows) == 64 - 20
    assert words == "all samples but 20 that the run learned from"
    np.testing.assert_array_equal(np.sort(data.images(rows)[:, 0, 0, 0]), np.sort(
        np.concatenate([copies[20:], rings(24, 2)])[:, 0, 0]
    ))  # fmt: skip


def test_copies_alone_cannot_judge(lenssim, imported_run, imported, tmp_path):
    dataset = ShardDataset(imported)
    data = import_images(
        tmp_path / "copies", dataset.images(dataset.rows("train")[:40])[:, 0]
    )
    done = lenssim("evaluate", imported_run.folder, "--data", data)
    assert (done.code, done.out) == (1, "")
    assert (
        "on 0 of 40 images: all of them are among those that the run learned from"
        in done.err
    )


def test_new_images_are_proven_to_be_new(imported_run, tmp_path):
    rows, words = held_out(
        imported_run, ShardDataset(import_images(tmp_path, rings(32, 3)))
    )
    assert len(rows) == 32
    assert (
        words == "all samples (none is an exact copy of an image that the run learned from)"
    )


def test_of_another_seed_no_image_is_in_the_training_data(tiny_run, other_dataset):
    rows, words = held_out(tiny_run, ShardDataset(other_dataset))
    assert len(rows) == 96
    assert words == "all samples (the training data were drawn by another seed)"


def test_an_exported_and_imported_copy_of_a_simulation_is_known(
    tiny_run, tiny_dataset, tmp_path
):
    from lenssim.data.exchange.export import export_npy

    export_npy(tiny_dataset, tmp_path / "files")
    import_folder("deeplense", tmp_path / "files", tmp_path / "copy")
    rows, words = held_out(tiny_run, ShardDataset(tmp_path / "copy"))
    assert len(rows) == 64
    assert words == "all samples but 192 that the run learned from"


def test_where_it_cannot_be_known_that_is_said(imported_run, imported, tmp_path):
    """Of a run without hashes, unless its data set still lies where it was."""
    other = ShardDataset(import_images(tmp_path / "other", rings(32, 3)))
    old = without_hashes(imported_run, tmp_path / "old")
    assert "none is an exact copy" in held_out(old, other).words
    gone = old.record.config.model_copy(update={"data": str(tmp_path / "gone")})
    old.record = old.record.model_copy(update={"config": gone})
    rows, words = held_out(old, other)
    assert len(rows) == 32
    assert (
        words == "all samples; whether the run learned from copies of them cannot be known"
    )


def test_a_run_made_live_knows_no_images(tmp_path):
    live = {"model": "III", "n": 384, "noise": "none"}
    config = parse_config(
        {"live": live, "epochs": 1, "batch_size": 32, "net": "cnn", "limit": 32}
    )
    run = train(config, tmp_path / "live")
    assert not run.seen.exists()
    images = np.random.default_rng(0).normal(size=(8, 64, 64)).astype(np.float32)
    for name in ("no_sub", "cdm", "axion"):
        (tmp_path / "files" / name).mkdir(parents=True)
        for k in range(4):
            np.save(tmp_path / "files" / name / f"{k}.npy", images[k] + len(name))
    import_folder("deeplense", tmp_path / "files", tmp_path / "data")
    assert (
        "cannot be known"
        in held_out(open_run(run.folder), ShardDataset(tmp_path / "data")).words
    )


def test_what_the_first_weights_learned_from_is_left_out_too(
    imported_run, imported, tmp_path
):
    data = import_images(tmp_path / "next", rings(512, 5))
    run = train(settings(data, start=str(imported_run.folder)), tmp_path / "run")
    assert set(read_seen(run)) == {
        ShardDataset(data).fingerprint,
        ShardDataset(imported).fingerprint,
    }
    copies = ShardDataset(imported).images(np.arange(20))[:, 0]
    rows, words = held_out(
        run,
        ShardDataset(
            import_images(tmp_path / "asked", np.concatenate([copies, rings(8, 6)]))
        ),
    )
    assert (len(rows), words) == (8, "all samples but 20 that the run learned from")
    old = without_hashes(imported_run, tmp_path / "old")
    gone = old.record.config.model_copy(update={"data": str(tmp_path / "gone")})
    old.record = old.record.model_copy(update={"config": gone})
    old.write()
    run = train(settings(data, start=str(old.folder)), tmp_path / "unknown")
    assert (
        "cannot be known"
        in held_out(run, ShardDataset(import_images(tmp_path / "new", rings(8, 7)))).words
    )


def test_validation_images_that_are_training_images_are_counted(tmp_path, capfd):
    images = rings(512, 8)
    images[32:42] = images[
        :10
    ]  # classes come in turn: rows 64, 66, ... are the first of the validation
    train(settings(import_images(tmp_path, images)), tmp_path / "run")
    assert (
        "10 of the 64 validation images are exact copies of training images"
        in capfd.readouterr().err
    )


def zero_a_shard(data: Path) -> Path:
    path = sorted((data / "shards").glob("*.h5"))[-1]
    with h5py.File(path, "r+") as file:
        file["images"][:] = 0
    return path


def test_images_that_were_changed_in_a_shard_are_refused_by_name(
    imported_run, tiny_run, other_dataset, tmp_path
):
    data = shutil.copytree(other_dataset, tmp_path / "data")
    path = zero_a_shard(data)
    for ask in (
        lambda: evaluate(tiny_run, ShardDataset(data)),
        lambda: train(settings(data), tmp_path / "run"),
        lambda: list(predict(tiny_run, [data])),
    ):
        with pytest.raises(
            (VerificationError, DataError), match=path.name, check=has_code("damaged-data")
        ):
            ask()
    assert not (tmp_path / "run").exists()


def test_predict_answers_for_the_shards_that_are_whole(
    lenssim, tiny_run, tiny_dataset, tmp_path
):
    data = shutil.copytree(tiny_dataset, tmp_path / "data")
    path = zero_a_shard(data)
    done = lenssim("predict", tiny_run.folder, data)
    assert done.code == 1
    assert len(done.out.splitlines()) == 1 + 200
    assert path.name in done.err
    alone = lenssim("predict", tiny_run.folder, path)
    assert (alone.code, alone.out) == (3, "")
    assert "dataset images does not hold what was written" in alone.err
