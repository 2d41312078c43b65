"""Whatever an answer depends on carries a hash that is checked when it is read."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from error_codes import has_code

from lenssim import notes
from lenssim.data.format.files import read_json
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError
from lenssim.learn.runs import hashes as hashes_module
from lenssim.learn.runs.hashes import ABSENT, FileHashes, file_sha256
from lenssim.learn.runs.run import Run, open_run
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train

BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"
READ = {  # by command: files of the run that its answer depends on
    "predict": ["run.json", BEST, "novelty.json"],
    "evaluate": ["run.json", BEST, "novelty.json", "metrics.csv", "seen.npz"],
    "start": ["run.json", BEST, "seen.npz"],
}
CASES = [(command, name) for command, names in READ.items() for name in names]


@pytest.fixture(scope="module")
def second_run(tmp_path_factory, tiny_dataset):
    """Another run of the same net on some of the same images, scaled in another way."""
    settings = {
        "data": str(tiny_dataset),
        "epochs": 2,
        "batch_size": 32,
        "normalise": "asinh",
        "limit": 96,
    }
    return train(parse_config(settings), tmp_path_factory.mktemp("runs") / "second")


@pytest.fixture
def run_copy(tiny_run, tmp_path) -> Path:
    return shutil.copytree(tiny_run.folder, tmp_path / "run")


def unfinished(settings, folder, kill_at) -> Run:
    with pytest.raises(MemoryError):
        train(
            settings, folder, callbacks=[kill_at(5)]
        )  # after the first epoch of four steps
    return open_run(folder)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)


def arguments(command: str, run: Path, data: Path, image: Path) -> list[object]:
    return {
        "predict": ["predict", run, image],
        "evaluate": ["evaluate", run, "--data", data],
        "start": [
            "train",
            "classify",
            "--data",
            data,
            "--start",
            run,
            "--epochs",
            1,
            "--out",
            "next",
        ],
    }[command]


@pytest.fixture
def image(tiny_dataset, tmp_path) -> Path:
    np.save(
        tmp_path / "image.npy", ShardDataset(tiny_dataset).images(np.array([200]))[0, 0]
    )
    return tmp_path / "image.npy"


def test_a_run_names_all_its_files(tiny_run):
    files = tiny_run.record.files
    assert set(files) == {BEST, LAST, "metrics.csv", "novelty.json", "seen.npz"}
    assert all(
        file_sha256(tiny_run.folder / name) == digest for name, digest in files.items()
    )


@pytest.mark.parametrize(("command", "name"), CASES)
def test_one_flipped_bit_is_an_error_that_names_the_file(
    lenssim, run_copy, tiny_dataset, image, command, name
):
    flip(run_copy / name, len((run_copy / name).read_bytes()) // 2)
    done = lenssim(*arguments(command, run_copy, tiny_dataset, image))
    assert (done.code, done.out) == (1, "")
    assert str(run_copy / name) in done.err


@pytest.mark.parametrize(
    ("command", "name"), [case for case in CASES if case[1] != "run.json"]
)
def test_a_file_of_another_run_is_refused(
    lenssim, run_copy, second_run, tiny_dataset, image, command, name
):
    shutil.copy(second_run.folder / name, run_copy / name)
    done = lenssim(*arguments(command, run_copy, tiny_dataset, image))
    assert (done.code, done.out) == (1, "")
    assert f"{name} is not the file that this training wrote" in done.err


@pytest.mark.parametrize("name", ["novelty.json", "seen.npz", BEST])
def test_a_file_that_is_gone_is_missed(lenssim, run_copy, tiny_dataset, image, name):
    (run_copy / name).unlink()
    done = lenssim(*arguments("evaluate", run_copy, tiny_dataset, image))
    assert done.code == 1
    assert f"{name} does not exist" in done.err


@pytest.mark.parametrize(
    "name", ["run.json", "hashes.json", BEST, LAST, "metrics.csv", "seen.npz"]
)
def test_a_damaged_training_is_not_resumed(tiny_dataset, tmp_path, kill_at, name):
    settings = parse_config({"data": str(tiny_dataset), "epochs": 2, "batch_size": 32})
    run = unfinished(settings, tmp_path / "run", kill_at)
    flip(run.folder / name, -30)
    with pytest.raises(DataError, match=name.split("/")[-1]):
        train(settings, run.folder, resume=True)


def test_answers_of_a_run_that_still_trains_are_checked_too(
    tiny_dataset, tmp_path, kill_at
):
    run = unfinished(
        parse_config({"data": str(tiny_dataset), "epochs": 2, "batch_size": 32}),
        tmp_path / "r",
        kill_at,
    )
    run.model()
    flip(run.best, 3000)
    with pytest.raises(DataError, check=has_code("file-of-another")):
        run.model()


def test_a_run_that_was_made_before_files_were_hashed_is_opened_with_a_note(
    lenssim, run_copy, tiny_dataset, image
):
    notes._said.clear()
    old = Run(run_copy, open_run(run_copy).record.model_copy(update={"files": None}))
    old.write()
    for name in ("hashes.json", "seen.npz"):
        (run_copy / name).unlink()
    for command in ("predict", "evaluate"):
        done = lenssim(*arguments(command, run_copy, tiny_dataset, image))
        assert done.code == 0, done.err
        assert done.err.count("cannot be checked") == (command == "predict"), "said once"


def test_a_training_that_began_before_files_were_hashed_goes_on_with_hashes(
    tiny_dataset, tmp_path, kill_at
):
    settings = parse_config(
        {"data": str(tiny_dataset), "epochs": 2, "batch_size": 32, "augment": "flips"}
    )
    run = unfinished(settings, tmp_path / "run", kill_at)
    run.record = run.record.model_copy(update={"files": None})
    run.write()
    for path in (run.hashes.path, run.seen):
        path.unlink()
    ended = train(settings, run.folder, resume=True)
    assert set(ended.record.files) == {
        BEST,
        LAST,
        "metrics.csv",
        "novelty.json",
        "seen.npz",
    }
    assert open_run(run.folder).digest == ended.record.files[BEST]


class Died(BaseException):
    """What a kill is to the process that it hits."""


@pytest.mark.parametrize("before", [None, b"old"], ids=["first", "again"])
@pytest.mark.parametrize("moment", range(6))
def test_a_kill_at_any_moment_leaves_a_file_that_its_record_knows(
    tmp_path, monkeypatch, moment, before
):
    """Before and after each of the three writes; then the file is written again, and known by one hash."""
    hashes, path = FileHashes(tmp_path), tmp_path / "file"
    if before is not None:
        hashes.write_file(path, before)
    written = 0

    def deadly(write):
        def write_and_die(*arguments) -> None:
            nonlocal written
            if written == moment:
                raise Died
            write(*arguments)
            written += 2
            if written == moment + 1:
                raise Died

        return write_and_die

    with monkeypatch.context() as patch:
        for name in ("write", "write_json"):
            patch.setattr(hashes_module, name, deadly(getattr(hashes_module, name)))
        with pytest.raises(Died):
            hashes.write_file(path, b"new")
    assert file_sha256(path) in hashes.read().get("file", [ABSENT])
    hashes.write_file(path, b"newer")
    assert hashes.read()["file"] == [file_sha256(path)]


def test_a_training_killed_between_a_checkpoint_and_its_record_goes_on(
    tiny_dataset, tmp_path, monkeypatch
):
    settings = parse_config({"data": str(tiny_dataset), "epochs": 2, "batch_size": 32})
    whole = train(settings, tmp_path / "whole")
    write = hashes_module.write

    def die_after_best(path: Path, data: bytes) -> None:
        write(path, data)
        if path.name == "best.ckpt":
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr(hashes_module, "write", die_after_best)
        with pytest.raises(Died):
            train(settings, tmp_path / "run")
    ended = train(settings, tmp_path / "run", resume=True)
    assert ended.record.files[BEST] == whole.record.files[BEST]


def flipped_places(folder: Path, names: list[str], count: int) -> list[tuple[str, int]]:
    """Places spread over files by their size, ends and zip paddings included."""
    sizes = np.array([(folder / name).stat().st_size for name in names])
    first = np.cumsum(sizes) - sizes
    places = np.linspace(0, sizes.sum() - 1, count).astype(int)
    owners = np.searchsorted(first, places, side="right") - 1
    return [
        (names[k], int(place - first[k])) for k, place in zip(owners, places, strict=True)
    ]


@pytest.mark.parametrize("count", [30, pytest.param(300, marks=pytest.mark.thorough)])
def test_flipped_bytes_all_over_a_run_are_found_by_name(run_copy, count):
    """Each file of the run that an answer depends on, wherever the byte lies, is refused as what reads it opens it."""
    names = sorted(open_run(run_copy).record.files)
    readers = {
        BEST: Run.model,
        LAST: lambda run: run.check(run.last),
        "metrics.csv": lambda run: run.check(run.metrics),
        "novelty.json": Run.novelty,
        "seen.npz": lambda run: run.check(run.seen),
    }
    spread = flipped_places(run_copy, names, count) + [
        place for name in names for place in ((name, 0), (name, -1))
    ]
    for name, place in spread:
        flip(run_copy / name, place)
        with pytest.raises(
            DataError, match=name.split("/")[-1], check=has_code("file-of-another")
        ):
            readers[name](open_run(run_copy))
        flip(run_copy / name, place)
    for place in range(0, (run_copy / "run.json").stat().st_size, 97):
        flip(run_copy / "run.json", place)
        with pytest.raises(DataError, match=r"run\.json"):
            open_run(run_copy)
        flip(run_copy / "run.json", place)
    assert read_json(run_copy / "run.json")


def test_a_damaged_table_of_an_evaluation_is_not_shown(tiny_run, tiny_dataset, tmp_path):
    from lenssim.learn.evaluation.evaluation import (
        evaluate,
        evaluation_folder,
        finished_evaluation,
        read_table,
    )

    run = open_run(shutil.copytree(tiny_run.folder, tmp_path / "run"))
    dataset = ShardDataset(tiny_dataset)
    evaluate(run, dataset, resamples=20)
    folder = evaluation_folder(run, dataset)
    assert finished_evaluation(run, dataset) is not None
    flip(folder / "predictions.csv", 60)
    assert finished_evaluation(run, dataset) is None
    with pytest.raises(
        DataError, match=r"predictions\.csv", check=has_code("table-missing")
    ):
        read_table(folder)
