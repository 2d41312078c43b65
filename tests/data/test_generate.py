"""Generation: the same bits however the work is cut, interrupted or repeated."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from error_codes import has_code

from lenssim.data.format.files import sweep
from lenssim.data.format.manifest import read_manifest, read_plan, shard_name
from lenssim.data.format.reading import read_samples
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.resimulation import resimulate
from lenssim.data.inspection.verification import verify
from lenssim.errors import ConfigError, DataError, IncompleteError
from lenssim.simulate.engines import ENGINES
from lenssim.simulate.noise import noise_model
from lenssim.simulate.noise.deviates import EARLIEST, NEWEST, STREAMS
from lenssim.simulate.preset import load_preset, presets

GOLDEN = Path(__file__).parents[1] / "golden" / "datasets.json"


def make(
    folder: Path, n: int = 50, *, workers: int = 0, model: str = "III", **options
) -> str:
    plan = make_plan(load_preset(model), n, **{"seed": 3, **options}, folder=folder)
    return generate(folder, plan, workers=workers).fingerprint


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> str:
    return make(tmp_path_factory.mktemp("undisturbed") / "D")


@pytest.mark.dask
@pytest.mark.parametrize(
    ("workers", "shard_size"),
    [
        (0, 7),
        (0, 50),
        (0, 1),
        *(pytest.param(*some, marks=pytest.mark.thorough) for some in ((1, 20), (3, 9))),
    ],
)
def test_fingerprint_does_not_depend_on_workers_or_shards(
    tmp_path, undisturbed, workers, shard_size
):
    assert make(tmp_path / "D", workers=workers, shard_size=shard_size) == undisturbed
    assert verify(tmp_path / "D").problems == []


def test_a_data_set_is_a_prefix_of_a_larger_one(tmp_path, undisturbed):
    larger = make(tmp_path / "large", 80, shard_size=30)
    assert make(tmp_path / "grown", 50, shard_size=30) == undisturbed
    assert make(tmp_path / "grown", 80) == larger  # and the shard size is remembered
    assert verify(tmp_path / "grown").problems == []
    small = np.concatenate(
        [read_samples(tmp_path / "grown/shards" / shard_name(i)).images for i in range(2)]
    )
    np.testing.assert_array_equal(
        small,
        np.concatenate(
            [
                read_samples(tmp_path / "large/shards" / shard_name(i)).images
                for i in range(2)
            ]
        ),
    )
    assert larger != undisturbed


def test_same_data_set_same_bytes(tmp_path):
    for name in "ab":
        make(tmp_path / name, shard_size=32)
    files = [
        sorted(p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*.*"))
        for name in "ab"
    ]
    assert files[0] == files[1]
    for file in files[0]:
        assert (tmp_path / "a" / file).read_bytes() == (
            tmp_path / "b" / file
        ).read_bytes(), file


def test_seeds_splits_and_noise_make_other_data(tmp_path, undisturbed):
    options = [{"seed": 4}, {"split": "test"}, {"noise": "none"}, {"supersampling": 2}]
    prints = {
        make(tmp_path / str(i), 6, **option) for i, option in enumerate([{}, *options])
    }
    assert len(prints) == 5


def test_a_data_set_goes_on_with_the_noise_that_it_began_with(tmp_path, undisturbed):
    old = make(tmp_path / "old", 6, noise_stream=EARLIEST)
    make(tmp_path / "grown", 3, noise_stream=EARLIEST, shard_size=3)
    assert "noise_stream" not in read_plan(tmp_path / "grown").config
    assert make(tmp_path / "grown", 6, shard_size=3) == old  # with no stream asked for
    assert resimulate(tmp_path / "grown", 6)[1] == []
    assert make(tmp_path / "new", 6) != old
    assert read_plan(tmp_path / "new").config["noise_stream"] == NEWEST


@pytest.mark.parametrize("noise", ["none", "published"])
def test_what_has_no_normal_deviates_names_no_stream(noise):
    plans = [
        make_plan(load_preset("I"), 6, noise=noise, noise_stream=stream)
        for stream in STREAMS
    ]
    assert plans[0].config_hash == plans[1].config_hash


def test_an_unknown_stream_is_named():
    with pytest.raises(
        ConfigError,
        match="did you mean 'philox'",
        check=has_code("unknown-noise", name="philx", suggestion="philox"),
    ):
        make_plan(load_preset("III"), 6, noise_stream="philx")


PUBLISHED = (
    "I",
    "II",
    "III",
)  # others hold thousands of haloes and sample adaptively: one engine, one noise
GOLDEN_SETS = [
    (m, kind, name, stream)
    for m in PUBLISHED
    for kind in load_preset(m).noise
    for name in sorted(ENGINES)
    for stream in (sorted(STREAMS) if noise_model(kind).has_streams else [EARLIEST])
]
GOLDEN_SETS += [
    pytest.param(
        m, load_preset(m).noise[0], "batched", EARLIEST, marks=pytest.mark.thorough
    )
    for m in presets()
    if m not in PUBLISHED
]


@pytest.mark.parametrize(("model", "noise", "engine_name", "stream"), GOLDEN_SETS)
def test_golden_data_sets(tmp_path, model, noise, engine_name, stream):
    """Bits are promised per library versions and instruction set; numbers to single precision everywhere.

    To renew after a deliberate change: LENSSIM_RENEW_GOLDEN=1 pytest -n 0 -m "not slow" -k golden
    """
    options = {"noise": noise, "noise_stream": stream, "engine_name": engine_name}
    options["far_field"] = "haloes"  # of the sets whose bits are kept
    fingerprint = make(tmp_path / "D", 6, model=model, seed=1, **options)
    images = read_samples(tmp_path / "D/shards" / shard_name(0)).images.astype(np.float64)
    conditions = {
        "versions": {**read_plan(tmp_path / "D").config["versions"], "lenssim": ""},
        "simd": np.show_config(mode="dicts")["SIMD Extensions"]["found"],
    }
    found = {
        "fingerprint": fingerprint,
        "sum": images.sum(axis=(1, 2, 3)).tolist(),
        "peak": images.max(axis=(1, 2, 3)).tolist(),
        **conditions,
    }
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    key = f"{model} {noise} {engine_name}"
    if stream != EARLIEST:
        key += f" {stream}"
    if os.environ.get("LENSSIM_RENEW_GOLDEN"):
        GOLDEN.write_text(json.dumps({**golden, key: found}, indent=1) + "\n")
        return
    expected = golden[key]
    np.testing.assert_allclose(found["peak"], expected["peak"], rtol=1e-5)
    np.testing.assert_allclose(found["sum"], expected["sum"], rtol=1e-5)
    if all(expected[name] == conditions[name] for name in conditions):
        assert fingerprint == expected["fingerprint"]


def test_another_config_in_the_folder_is_refused_with_the_differences(tmp_path):
    make(tmp_path / "D", 6)
    before = (tmp_path / "D/manifest.json").read_bytes()
    with pytest.raises(ConfigError) as caught:
        make(tmp_path / "D", 6, seed=4, noise="none")
    assert "seed: 3 there, 4 asked for" in str(caught.value)
    assert "noise: nominal there, none asked for" in str(caught.value)
    with pytest.raises(
        ConfigError, match="n: 6 there, 5 asked for", check=has_code("config-differs")
    ):
        make(tmp_path / "D", 5)
    with pytest.raises(
        ConfigError,
        match=r"preset\.name: III there, II asked for",
        check=has_code("config-differs"),
    ):
        make(tmp_path / "D", 6, model="II")
    with pytest.raises(
        ConfigError,
        match="shard_size: 64 there, 3 asked for",
        check=has_code("config-differs"),
    ):
        make(tmp_path / "D", 6, shard_size=3)
    assert (tmp_path / "D/manifest.json").read_bytes() == before


def test_a_strangers_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(ConfigError, check=has_code("folder-in-use")):
        make(tmp_path, 3)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, check=has_code("folder-unusable")):
        make(tmp_path / "file" / "D", 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"n": -5}, "n must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"shard_size": 0}, "shard size must be at least 1"),
        ({"supersampling": 13}, "supersampling must lie in 1..12"),
        ({"split": "tarin"}, "did you mean 'train'"),
        ({"noise": "published"}, "noise of preset III"),
        ({"precision": "float16"}, "precision must be one of"),
        ({"device": "tpu"}, "device must be one of"),
        ({"engine_name": "lenstronomy", "precision": "float32"}, "works in float64"),
        ({"engine_name": "lenstronmy"}, "did you mean 'lenstronomy'"),
    ],
)
def test_impossible_requests(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        make(tmp_path / "D", **{"n": 3, **options})
    assert not (tmp_path / "D").exists()


def test_a_damaged_or_missing_shard_is_made_again(tmp_path):
    whole = make(tmp_path / "D", 12, shard_size=4)
    (tmp_path / "D/shards" / shard_name(0)).unlink()
    (tmp_path / "D/shards/000001.json").write_text("{")
    truncated = tmp_path / "D/shards" / shard_name(2)
    truncated.write_bytes(truncated.read_bytes()[:-1])
    assert make(tmp_path / "D", 12) == whole
    assert verify(tmp_path / "D").problems == []


COMMAND = [
    sys.executable,
    "-m",
    "lenssim",
    "generate",
    "--model",
    "III",
    "--n",
    "50",
    "--seed",
    "3",
]


def start(folder: Path, workers: int) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, "--out", str(folder), "--shard-size", "5", "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".tmp")]


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.BaseContext:
    """Real processes that start with everything imported, so that a kill meets them at work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["lenssim.simulate.engines.batched.engine", "lenssim.simulate.engines.lenstronomy"]
    )
    return context


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_at_random_moments_change_nothing(tmp_path, undisturbed, processes, kills):
    chance, folder = random.Random(kills), tmp_path / "D"
    plan = make_plan(load_preset("III"), 50, seed=3, shard_size=5)
    for _ in range(kills):
        process = processes.Process(target=generate, args=(folder, plan))
        process.start()
        time.sleep(chance.uniform(0.1, 0.6))
        process.kill()
        process.join()
        (folder / "manifest.json").unlink(missing_ok=True)
        for record in sorted(folder.glob("shards/*.json"))[
            5:
        ]:  # leave enough to do for those who follow
            record.unlink()
    assert make(folder) == undisturbed
    assert leftovers(folder) == []
    assert verify(folder).problems == []


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2])
def test_kills_of_a_driver_with_workers_change_nothing(tmp_path, undisturbed, kills):
    """The workers of a killed driver die with it. Then one run to the end, in this process."""
    chance, folder = random.Random(kills), tmp_path / "D"
    for _ in range(kills):
        process = start(folder, 2)
        before = len(list(folder.glob("shards/*")))
        while process.poll() is None and len(list(folder.glob("shards/*"))) == before:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.15))  # some die within their first shard, some later
        process.kill()
        process.communicate()
        (folder / "manifest.json").unlink(missing_ok=True)
        for record in sorted(folder.glob("shards/*.json"))[4:]:
            record.unlink()
    deadline = time.monotonic() + 30
    while (
        leftovers(folder) and time.monotonic() < deadline
    ):  # an orphaned worker may live for a moment
        sweep(folder / "shards")
        time.sleep(0.1)
    assert make(folder) == undisturbed
    assert leftovers(folder) == []
    assert verify(folder).problems == []


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_run_cleanly(tmp_path, undisturbed, number, code):
    folder = tmp_path / "D"
    process = start(folder, 0)
    while not list(folder.glob("shards/*.json")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "repeat the command to continue" in errors
    assert "Traceback" not in errors
    assert leftovers(folder) == []
    assert make(folder) == undisturbed


def test_the_audit_is_recorded_and_fails_loudly(tmp_path, monkeypatch):
    make(tmp_path / "D", 70, shard_size=32)
    manifest = read_manifest(tmp_path / "D")
    assert all(record.audit.samples >= 1 for record in manifest.shards)
    assert manifest.audit.samples == 3
    assert 0 < manifest.audit.peak < 2e-5
    make(tmp_path / "E", 3, engine_name="lenstronomy")
    assert read_manifest(tmp_path / "E").audit is None
    monkeypatch.setitem(ENGINES["batched"].tolerance, "float32", 1e-9)
    with pytest.raises(
        ConfigError,
        match=r"sample 0: single precision is off by .*--precision float64",
        check=has_code("precision-lost"),
    ):
        make(tmp_path / "F", 3)
    assert not list((tmp_path / "F/shards").iterdir())
    monkeypatch.setitem(ENGINES["batched"].tolerance, "float64", 1e-20)
    with pytest.raises(IncompleteError, check=has_code("shards-failed")):
        make(tmp_path / "G", 3, precision="float64")


def test_engines_make_the_same_data_to_their_precision(tmp_path):
    images = {}
    for name, options in {
        "reference": {"engine_name": "lenstronomy"},
        "double": {"precision": "float64"},
        "single": {},
    }.items():
        make(tmp_path / name, 12, noise="none", **options)
        images[name] = read_samples(tmp_path / name / "shards" / shard_name(0)).images
    np.testing.assert_allclose(images["double"], images["reference"], rtol=1e-6, atol=1e-12)
    assert (
        np.abs(images["single"] - images["reference"]).max()
        < 1e-5 * images["reference"].max()
    )


def test_an_unfinished_data_set_says_so(tmp_path):
    folder = tmp_path / "D"
    make(folder, 12, shard_size=4)
    (folder / "manifest.json").unlink()
    with pytest.raises(
        DataError,
        match="incomplete: all 3 shards are there; lenssim seal",
        check=has_code("incomplete-data"),
    ):
        read_manifest(folder)
    (folder / "shards/000001.json").unlink()
    with pytest.raises(
        DataError,
        match="incomplete: 2 of 3 shards; repeat its generate command",
        check=has_code("incomplete-data"),
    ):
        read_manifest(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_stops_cleanly_and_resumes(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(
            IncompleteError,
            match=r"the disk is full.*(?s:.*)samples are done and safe",
            check=has_code("stopped"),
        ):
            make(disk / "D", shard_size=5)
        assert leftovers(disk) == []
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        assert make(disk / "D") == make(tmp_path / "E")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.thorough
def test_two_runs_on_one_folder_do_no_harm(tmp_path, undisturbed):
    processes = [start(tmp_path / "D", 0) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert read_manifest(tmp_path / "D").fingerprint == undisturbed
    assert verify(tmp_path / "D").problems == []
    assert leftovers(tmp_path / "D") == []


def test_threads_of_a_worker_make_the_same_shards(tmp_path, undisturbed):
    plan = make_plan(load_preset("III"), 50, seed=3, shard_size=7)

    def in_threads(job, shards):
        with ThreadPoolExecutor(3) as pool:
            yield from pool.map(job, shards)

    assert generate(tmp_path / "D", plan, runner=in_threads).fingerprint == undisturbed
    assert verify(tmp_path / "D").problems == []
