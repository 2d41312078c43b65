"""`lenssim audit`: what it prints, keeps and refuses; and delta chi2 in generated data sets."""

import json

import numpy as np
import pytest
import yaml
from error_codes import has_code

from lenssim.data.format.files import read_json, write_json
from lenssim.data.format.manifest import read_manifest
from lenssim.data.generation.dataset_card import known_verdict
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.resimulation import resimulate
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.errors import ConfigError
from lenssim.simulate.preset import parse_preset, preset_text

DELTAS = ("delta_chi2_fixed", "delta_chi2")


def small(side=32):
    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = side
    return parse_preset(document)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """180 noise-free Model III images, 60 a class."""
    place = tmp_path_factory.mktemp("audit") / "III"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENSSIM_KERNELS", "eager")
        generate(place, make_plan(small(64), 180, seed=2, noise="none", shard_size=64))
    return place


def test_edges_of_noise_free_point_masses_leak_and_info_says_so(lenssim, folder):
    assert "leak audit" not in lenssim("info", folder).out
    assert "lenssim audit" in (folder / "card.md").read_text()
    before = verify(folder)
    done = lenssim("audit", folder)
    assert done.code == 0, done.err
    rows = [
        line.split() for line in done.out.splitlines() if line.startswith("no_sub / cdm")
    ]
    assert [row[3] for row in rows][:-1] == [
        "flux",
        "ring",
        "moments",
        "noise",
        "layout",
        "edges",
    ]
    (edges,) = (row for row in rows if row[3] == "edges")
    assert float(edges[4]) > 0.85
    assert edges[-1] == "leaks"
    *_, line, last = done.out.splitlines()
    assert line.startswith("leaks: ")
    assert "edges (AUC" in line
    assert last.startswith(f"next: lenssim train classify --net cnn --data {folder}")
    kept = read_json(folder / "leak_audit.json")
    assert kept["verdict"] == line
    assert kept["fingerprint"] == before.fingerprint
    assert kept["images"] == {"no_sub": 60, "cdm": 60, "axion": 60}
    assert f"| leak audit | {line} |" in (folder / "card.md").read_text()
    assert verify(folder) == before
    assert before.problems == []
    assert f"leak audit     {line}" in lenssim("info", folder).out
    assert json.loads(lenssim("info", folder, "--json").out)["leak_audit"] == line


def test_json_and_limit_and_another_file(lenssim, folder, tmp_path):
    done = lenssim("audit", folder, "--json", "--limit", 50, "--out", "elsewhere.json")
    document = json.loads(done.out)
    assert document["images"] == {"no_sub": 50, "cdm": 50, "axion": 50}
    assert len(document["leaks"]) == 3 * 7
    assert read_json(tmp_path / "elsewhere.json") == document


def test_another_data_set_judges(lenssim, folder, tmp_path):
    generate(
        tmp_path / "other",
        make_plan(small(64), 180, seed=6, noise="none", engine_name="lenstronomy"),
    )
    done = lenssim(
        "audit", folder, "--judged-by", tmp_path / "other", "--json", "--out", "judged.json"
    )
    document = json.loads(done.out)
    assert document["judged_by"] == read_manifest(tmp_path / "other").fingerprint
    assert "edges (AUC" in document["verdict"]
    done = lenssim("audit", folder, "--judged-by", folder)
    assert (done.code, "and the same samples" in done.err) == (2, True)


def test_a_verdict_of_other_contents_is_not_shown(tmp_path):
    assert known_verdict(tmp_path, "1" * 64) is None
    write_json(
        tmp_path / "leak_audit.json", {"fingerprint": "1" * 64, "verdict": "no leak found"}
    )
    assert known_verdict(tmp_path, "1" * 64) == "no leak found"
    assert known_verdict(tmp_path, "2" * 64) is None
    (tmp_path / "leak_audit.json").write_text("{")
    assert known_verdict(tmp_path, "1" * 64) is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--limit", 49],
            1,
            "class 'no_sub' has 49 images; a leak audit needs at least 50",
        ),
        (["--limit", 0], 2, "--limit must be at least 1, got 0"),
        (["--out", "audit.txt"], 2, "--out takes a .json file"),
        (["--judged-by", "."], 1, "holds no data set"),
    ],
)
def test_what_cannot_be_is_refused(lenssim, folder, arguments, code, message):
    done = lenssim("audit", folder, *arguments)
    assert done.code == code
    assert message in done.err


def test_no_data_set_is_an_error(lenssim):
    done = lenssim("audit", "nowhere")
    assert done.code == 1
    assert "nowhere" in done.err


def test_detectability_is_stored_with_the_parameters(lenssim, tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSIM_KERNELS", "eager")
    (tmp_path / "small.yaml").write_text(
        yaml.safe_dump(small().model_dump(mode="json"), sort_keys=False)
    )
    common = (
        "generate",
        "-m",
        "small.yaml",
        "-n",
        9,
        "--workers",
        0,
        "--device",
        "cpu",
        "--shard-size",
        5,
    )
    done = lenssim(*common, "--out", "with", "--detectability")
    assert done.code == 0, done.err
    assert lenssim(*common, "--out", "without").code == 0
    mine, plain = ShardDataset(tmp_path / "with"), ShardDataset(tmp_path / "without")
    assert set(mine.params) - set(plain.params) == set(DELTAS)
    assert "detectability" not in plain.config
    fixed, free = (mine.params[name] for name in DELTAS)
    assert np.array_equal(fixed > 0, mine.labels > 0)  # class 0 has no substructure
    assert (fixed >= free).all()
    rows = np.arange(9)
    assert np.array_equal(mine.images(rows), plain.images(rows))
    _, problems = resimulate(tmp_path / "with", 4)
    assert problems == []


def test_detectability_changes_no_other_hash_and_live_data_do_without(monkeypatch):
    monkeypatch.setenv("LENSSIM_KERNELS", "eager")
    plain, mine = make_plan(small(), 9), make_plan(small(), 9, detectability=True)
    assert plain.config | {"detectability": True} == mine.config
    assert plain.config_hash != mine.config_hash
    live = LiveDataset(mine)
    assert np.array_equal(
        live.images(np.arange(3)), LiveDataset(plain).images(np.arange(3))
    )


@pytest.mark.parametrize("engine", ["lenstronomy", "autolens"])
def test_detectability_needs_the_batched_engine(engine):
    with pytest.raises(
        ConfigError,
        match="give --engine batched --device cpu",
        check=has_code("engine-options", option="--detectability"),
    ):
        make_plan(small(), 9, engine_name=engine, detectability=True)


def test_detectability_needs_the_cpu(monkeypatch):
    monkeypatch.setattr(
        "lenssim.simulate.engines.batched.settings.cuda_or_cpu", lambda device: "cuda"
    )
    with pytest.raises(ConfigError, check=has_code("engine-options")):
        make_plan(small(), 9, device="auto", detectability=True)
