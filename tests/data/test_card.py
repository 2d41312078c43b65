"""The card of a data set: what it says, and that its command makes the same data again."""

import shlex

import pytest
from error_codes import has_code

from lenssim.data.format.manifest import read_manifest, read_plan
from lenssim.data.generation.dataset_card import card_text
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.verification import verify
from lenssim.errors import ConfigError
from lenssim.simulate.preset import load_preset, preset_text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six Model III images that differ from the defaults in all that a card repeats."""
    place = tmp_path_factory.mktemp("card") / "III"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENSSIM_KERNELS", "eager")
        options = {
            "seed": 3,
            "split": "test",
            "noise": "nominal",
            "precision": "float64",
            "device": "cpu",
        }
        plan = make_plan(
            load_preset("III"),
            6,
            storage="float16",
            truth=["kappa"],
            detectability=True,
            **options,
        )
        generate(place, plan)
    return place


def test_it_lies_in_the_folder_and_says_what_the_data_are(folder):
    manifest, card = read_manifest(folder), (folder / "card.md").read_text()
    for fact in (
        manifest.fingerprint,
        "no_sub 2, cdm 2, axion 2",
        "| noise | nominal |",
        "| storage | float16 |",
    ):
        assert fact in card
    assert verify(folder).problems == []


def test_its_command_makes_the_data_again(lenssim, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSIM_KERNELS", "eager")
    (line,) = (
        line
        for line in (folder / "card.md").read_text().splitlines()
        if "lenssim generate" in line
    )
    done = lenssim(
        *(tmp_path / "D" if word == "D" else word for word in shlex.split(line)[1:]),
        "--workers",
        0,
    )
    assert done.code == 0, done.err
    assert read_manifest(tmp_path / "D").fingerprint == read_manifest(folder).fingerprint
    assert (tmp_path / "D" / "card.md").read_bytes() == (folder / "card.md").read_bytes()


@pytest.mark.thorough
@pytest.mark.dask
def test_a_preset_of_ones_own_is_made_again_from_the_plan_beside_the_card(
    lenssim, tmp_path, monkeypatch
):
    monkeypatch.setenv("LENSSIM_KERNELS", "eager")
    (tmp_path / "mine.yaml").write_text(
        preset_text("III").replace("magnitude: 20.0", "magnitude: 21.0")
    )
    made = lenssim(
        "generate",
        "--model",
        tmp_path / "mine.yaml",
        "--n",
        3,
        "--out",
        tmp_path / "A",
        "--workers",
        0,
    )
    assert made.code == 0, made.err
    (line,) = (
        line
        for line in (tmp_path / "A" / "card.md").read_text().splitlines()
        if "lenssim generate" in line
    )
    monkeypatch.chdir(tmp_path / "A")
    words = [str(tmp_path / "D") if word == "D" else word for word in shlex.split(line)[1:]]
    assert words[words.index("--model") + 1] == "plan.json"
    assert (done := lenssim(*words)).code == 0, done.err
    assert (
        read_manifest(tmp_path / "D").fingerprint
        == read_manifest(tmp_path / "A").fingerprint
    )


@pytest.mark.parametrize(
    "content", ["[]", '{"config": {"kind": "imported"}}', '{"name": "III"}']
)
def test_a_json_file_that_is_no_plan_is_refused(content, tmp_path):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(
        ConfigError, match="of a simulated data set", check=has_code("not-simulated")
    ):
        load_preset(tmp_path / "plan.json")


def test_an_unfinished_data_set_has_no_card(folder, tmp_path):
    from shutil import copytree

    grown = copytree(folder, tmp_path / "grown")
    plan = read_plan(grown)
    with pytest.raises(RuntimeError, match="enough"):
        generate(grown, plan.model_copy(update={"n": 9}), runner=stopped)
    assert not (grown / "card.md").exists()


def stopped(job, todo):
    raise RuntimeError("enough")


def test_a_verdict_cannot_break_the_table(folder):
    text = card_text(read_plan(folder), read_manifest(folder), "one | two\nthree")
    assert "| leak audit | one \\| two three |" in text.splitlines()
