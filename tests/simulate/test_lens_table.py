"""Tables of lenses in place of drawn numbers: rows to samples, what they replace, what is refused."""

import numpy as np
import pytest
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw, laws
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset, parse_preset
from lenssim.simulate.spec import SimulationSpec


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "lenses.csv"
    rows = [f"{0.8 + 0.01 * i},{0.1},{i}" for i in range(70)]
    path.write_text("\n".join(["theta_E,e1,rank", *rows]) + "\n")
    return path


def test_sample_i_is_row_i(table):
    preset = load_preset("hst-arcs").with_lenses(table)
    numbers = [3, 66, 0]
    scenes = draw(preset, numbers, seed=1)
    assert scenes.params["theta_E"] == pytest.approx([0.83, 1.46, 0.8])
    assert (scenes.params["e1"] == 0.1).all()
    assert scenes.params["rank"].tolist() == numbers  # truth that travels along


def test_what_a_table_does_not_state_is_drawn_as_ever(table):
    preset = load_preset("hst-arcs").model_copy(update={"placement": None})
    without = draw(preset, [5], seed=1).params
    with_table = draw(preset.with_lenses(table), [5], seed=1).params
    same = {name for name in without if without[name] == with_table[name]}
    assert {"z_lens", "source_magnitude", "e2"} <= same
    assert "theta_E" not in same


def test_a_column_of_a_table_has_no_law(table):
    preset = load_preset("hst-arcs").with_lenses(table)
    assert "theta_E" not in laws(preset)
    assert "gamma1" in laws(preset)


def test_a_preset_may_name_its_table(table):
    document = load_preset("hst-arcs").model_dump(mode="json", exclude={"placement"})
    preset = parse_preset(document | {"lenses": table.name}, folder=table.parent)
    assert preset.lenses.rows == 70
    kept = parse_preset(preset.model_dump(mode="json"))
    assert kept == preset


def test_numbers_beyond_the_last_row_are_refused(table):
    spec = SimulationSpec.of(
        load_preset("hst-arcs").with_lenses(table),
        engine="lenstronomy",
        supersampling=1,
    )
    assert len(simulate(spec, [69])) == 1
    with pytest.raises(ConfigError, check=has_code("table-too-short", rows=70)):
        simulate(spec, [70])


def test_a_table_of_one_split_is_not_drawn_in_another(table):
    document = load_preset("hst-arcs").model_dump(mode="json", exclude={"placement"})
    record = {"path": str(table), "split": "train"}
    preset = parse_preset(document | {"lenses": record})
    draw(preset, [0], seed=0, split="train")
    with pytest.raises(ConfigError, check=has_code("table-split", split="test")):
        draw(preset, [0], seed=0, split="test")


def test_a_table_that_changed_or_is_gone_is_refused(table):
    preset = load_preset("hst-arcs").with_lenses(table)
    table.write_text("theta_E\n1.0\n")
    with pytest.raises(ConfigError, check=has_code("table-differs")):
        draw(preset, [0], seed=0)
    moved = table.with_name("moved.csv")
    table.rename(moved)
    with pytest.raises(ConfigError, check=has_code("lens-table-missing")):
        draw(preset, [0], seed=0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("theta_E\n-1\n", "out-of-bounds"),
        ("theta_E\n\n1e400\n", "out-of-bounds"),
        ("z_source,z_lens\n0.3,0.5\n", "out-of-bounds"),
        ("theta E\n1\n", "table-column"),
        ("theta_E,snr\n,3\n", "out-of-bounds"),
    ],
)
def test_numbers_that_cannot_be_are_refused(tmp_path, text, code):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, check=has_code(code)):
        draw(load_preset("hst-arcs").with_lenses(path), [0], seed=0)


@pytest.mark.parametrize("text", ["", "theta_E\n", "name\nfirst\n"])
def test_a_file_that_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, check=has_code("settings-invalid")):
        load_preset("hst-arcs").with_lenses(path)


def test_a_table_and_a_placement_exclude_each_other(table):
    document = load_preset("euclid-vis").model_dump(mode="json")
    with pytest.raises(ConfigError, check=has_code("settings-invalid")):
        parse_preset(document | {"lenses": str(table)})


def test_presets_without_a_table_have_their_old_documents():
    assert "lenses" not in load_preset("III").model_dump(mode="json")
    assert np.isfinite(draw(load_preset("III"), [0], seed=0).params["theta_E"]).all()
