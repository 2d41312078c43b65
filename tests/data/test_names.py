"""Names that files state become paths: plans and manifests whose classes cannot be names are refused, texts escaped."""

import json
import shutil
from pathlib import Path

import pytest
from error_codes import has_code

from lenssim.data.format.files import read_json, write_json
from lenssim.data.format.manifest import read_manifest, read_plan
from lenssim.data.generation.dataset_card import card_text
from lenssim.data.inspection.verification import verify
from lenssim.errors import DataError
from lenssim.names import is_name, markdown, printable

HOSTILE = (
    "/tmp/x/a",
    "../escaped",
    "a/b",
    "a\\b",
    ".",
    "..",
    ".git",
    "",
    "a\x1b[2J",
    "a\nb",
    "a\u202eb",
    "con:fuse",
)
FRIENDLY = (
    "no_sub",
    "0",
    "no",
    "空白",
    "dunkle Materie",
    "Ω=1",
    "a.b-c",
    "größe",
    "λCDM+baryons",
    "(1)",
)
SCRIPT = "<script>alert(1)</script> | `x` [a](http://b)\n# \x1b[2J"


@pytest.fixture
def signed(tmp_path, tiny_data):
    """Makes a copy of a data set whose plan, or manifest, says something else and is correctly signed."""

    def sign(name: str, **changes: object) -> Path:
        folder = tmp_path / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tiny_data, folder)
        write_json(folder / name, {**read_json(folder / name), **changes})
        return folder

    return sign


@pytest.mark.parametrize("name", HOSTILE)
def test_a_class_that_cannot_be_a_name_is_refused_wherever_it_is_read(signed, name):
    assert not is_name(name)
    with pytest.raises(
        DataError,
        match=r"plan\.json is not what lenssim writes: classes\.0: .* cannot be a name",
        check=has_code("document-invalid"),
    ) as error:
        read_plan(signed("plan.json", classes=[name, "cdm", "axion"]))
    assert str(error.value).isprintable()
    for changes in ({"classes": [name, "cdm", "axion"]}, {"class_counts": {name: 70}}):
        with pytest.raises(
            DataError,
            match=r"manifest\.json is not what lenssim writes: .* cannot be a name",
            check=has_code("document-invalid"),
        ):
            read_manifest(signed("manifest.json", **changes))


@pytest.mark.parametrize("name", FRIENDLY)
def test_names_of_any_script_are_names(signed, name):
    assert is_name(name)
    assert read_plan(signed("plan.json", classes=[name, "cdm", "axion"])).classes[0] == name


def test_commands_refuse_what_would_leave_their_folder(signed, lenssim, tmp_path):
    folder = signed("plan.json", classes=["../../escaped", "cdm", "axion"])
    write_json(
        folder / "manifest.json",
        {**read_json(folder / "manifest.json"), "classes": ["../../escaped", "b", "c"]},
    )
    before = sorted(tmp_path.iterdir())
    for command in (
        ("export", folder, "--to", "npy", "--out", "target/inner"),
        ("show", folder),
        ("info", folder),
    ):
        done = lenssim(*command)
        assert done.code == 1
        assert "cannot be a name" in done.err
        assert "Traceback" not in done.err
    assert sorted(tmp_path.iterdir()) == before


def test_texts_of_a_plan_reach_neither_terminal_nor_markdown_raw(signed, lenssim):
    config = read_json(signed("plan.json") / "plan.json")["config"]
    config["preset"] |= {"summary": SCRIPT}
    config |= {"noise": SCRIPT, "versions": {SCRIPT: SCRIPT}}
    folder = signed("plan.json", config=config)
    done = lenssim("info", folder)
    assert "\x1b" not in done.out + done.err
    assert json.loads(lenssim("info", folder, "--json").out)["noise"] == SCRIPT
    card = card_text(read_plan(folder), read_manifest(signed("plan.json")), SCRIPT)
    prose = [
        line for line in card.splitlines() if not line.startswith("    ")
    ]  # but for the command, which is code
    assert "<script>" not in "\n".join(prose)
    assert "\x1b" not in card
    assert card.count("\n# ") + card.startswith("# ") == 1
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    assert all(line.replace("\\|", "").count("|") == 3 for line in rows)


def test_markdown_is_one_line_that_shows_the_text():
    assert markdown("no_sub | a_b") == r"no_sub \| a_b"
    assert markdown("0.9 [0.8, 1.0]") == "0.9 [0.8, 1.0]"
    shown = markdown(SCRIPT)
    assert shown.isprintable()
    assert r"\](" in shown
    assert printable("空白\t") == "空白\\t"


def test_verify_names_sources_in_front_of_their_lens(tiny_data, monkeypatch):
    import numpy as np

    from lenssim.data.inspection import verification as verifying

    whole = verifying.read_samples

    def older(*arguments):
        samples = whole(*arguments)
        samples.params["z_source_convention"] = np.full(len(samples), 0.4)
        return samples

    monkeypatch.setattr(verifying, "read_samples", older)
    problems = verify(tiny_data).problems
    assert any(
        "sample 0: z_source_convention must lie behind z_lens" in problem
        for problem in problems
    )
