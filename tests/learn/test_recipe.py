import csv
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from error_codes import has_code

import lenssim
from lenssim.data.format.files import read_json
from lenssim.errors import ConfigError
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets import build_net, parameter_count
from lenssim.learn.recipes.execution import follow
from lenssim.learn.recipes.recipe import load_recipe
from lenssim.learn.runs.run import open_run

SUFFIXES = (".ckpt", ".h5", ".png")  # of what takes long to make
PIPELINES = Path(lenssim.__file__).parents[1] / "pipelines"

TINY = {
    "title": "tiny",
    "generate": {
        "clean": {"model": "tiny.yaml", "n": 256, "noise": "none"},
        "noisy": {"model": "tiny.yaml", "n": 256, "noise": "nominal"},
    },
    "settings": {"epochs": 1, "batch_size": 32},
    "train": {"one": {"data": "clean"}, "two": {"data": "noisy", "seed": 1}},
    "evaluate": [
        {"run": "one", "data": "clean"},
        {"run": "two", "data": "clean"},
    ],
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a recipe, and beside it the preset that it names."""
    from lenssim.simulate.preset import preset_text

    monkeypatch.chdir(tmp_path)
    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = 16
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(document))

    def write(**changes):
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**TINY, **changes}))
        return path

    return write


@pytest.mark.thorough
def test_a_recipe_runs_to_its_report_and_repeating_it_does_nothing_twice(write, tmp_path):
    recipe, steps = load_recipe(write()), []
    rows = follow(recipe, tmp_path / "out", say=steps.append)
    assert [step.split()[0] for step in steps] == [f"[{k}/6]" for k in range(1, 7)]
    assert [(row.run, row.data) for row in rows] == [
        ("one", "clean"),
        ("two", "clean"),
    ]
    assert all(
        row.test_images == 64 and row.samples.startswith("test blocks") for row in rows
    )
    report = read_json(tmp_path / "out/report.json")
    assert [row["metrics"] for row in report["rows"]] == [row.metrics for row in rows]
    text = (tmp_path / "out/report.md").read_text()
    assert "| one | cnn (125,683) | preset III, noise none " in text
    kept = {
        p: p.stat().st_mtime_ns
        for f in ("data", "runs")
        for p in (tmp_path / "out" / f).rglob("*")
        if p.suffix in SUFFIXES
    }
    assert len(kept) > 10
    assert follow(recipe, tmp_path / "out") == rows
    assert {p: p.stat().st_mtime_ns for p in kept} == kept


class Page(HTMLParser):
    """Collects what a page asks for, and its text."""

    def __init__(self):
        super().__init__()
        self.sources, self.text, self.stack = [], [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [
            value
            for name, value in attrs
            if name in ("src", "href", "data", "srcset", "action") and value[0] != "#"
        ]

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.thorough
def test_lists_stand_for_runs_seeds_are_averaged_and_the_page_needs_no_other_file(
    write, tmp_path
):
    path = write(
        generate={"clean": {"model": "tiny.yaml", "n": 512, "noise": "none"}},
        audit=50,
        settings={"epochs": 1, "batch_size": 32},
        nets={
            "deeplense_cnn": {
                "learning_rate": 1e-4,
                "schedule": "as_run",
                "optimiser": "adam",
            }
        },
        train={
            "seeds": {"data": "clean", "seed": [0, 1], "limit": [64, 128]},
            "live": {"live": {"model": "tiny.yaml", "n": 256, "seed": 8}},
        },
        evaluate=[{"run": "seeds", "data": "clean"}, {"run": "live", "data": "clean"}],
    )
    recipe, steps = load_recipe(path), []
    assert set(recipe.trainings) == {
        "live",
        *(f"seeds-limit{n}-seed{k}" for n in (64, 128) for k in (0, 1)),
    }
    rows = follow(recipe, tmp_path / "out", say=steps.append)
    assert steps[-1].startswith(f"[{len(steps)}/{len(steps)}]")
    assert [row.members for row in rows] == [1, 1, 2, 1, 1, 2, 1]
    assert "Over seeds" in (tmp_path / "out/report.md").read_text()
    page = Page()
    page.feed((tmp_path / "out/report.html").read_text())
    assert page.sources
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    text = " ".join(page.text)
    for words in (
        "macro AUC",
        "leak audit",
        "Training-set size",
        "first convolution",
        "integrated gradients",
        "snr",
    ):
        assert words in text
    assert len(list((tmp_path / "out/figures").glob("*.png"))) > 10
    with (tmp_path / "out/report.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    card = (tmp_path / "out/runs/seeds-limit64-seed0/card.md").read_text()
    assert "lenssim train classify" in card
    assert "all statistics but edges reach AUC" in card


def test_settings_of_a_net_lie_between_those_of_all_and_of_a_line(write):
    train = {
        "a": {"data": "clean", "net": ["cnn", "vit"]},
        "b": {"data": "clean", "net": "vit", "epochs": 5},
    }
    path = write(nets={"vit": {"epochs": 3}}, train=train, evaluate=[])
    recipe = load_recipe(path)
    assert {name: recipe.config(name, Path()).epochs for name in recipe.trainings} == {
        "a-cnn": 1,
        "a-vit": 3,
        "b": 5,
    }


@pytest.mark.thorough
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_training_starts_with_the_weights_of_one_above(write, tmp_path, jobs):
    train = {
        "first": {"data": "clean", "net": ["cnn", "compact"]},
        "then": {"data": "noisy", "start": "first"},
    }
    recipe = load_recipe(write(train=train, evaluate=[{"run": "then", "data": "noisy"}]))
    rows = follow(recipe, tmp_path / "out", jobs=jobs)
    runs = tmp_path / "out/runs"
    assert (
        open_run(runs / "then").record.start.checkpoint_sha256
        == open_run(runs / "first-cnn").digest
    )
    kept = (runs / "then/checkpoints/last.ckpt").stat().st_mtime_ns
    shutil.move(tmp_path / "out", tmp_path / "moved")
    assert follow(recipe, tmp_path / "moved")[0].metrics == rows[0].metrics
    assert (tmp_path / "moved/runs/then/checkpoints/last.ckpt").stat().st_mtime_ns == kept


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("frist", "run above it 'frist': did you mean 'first'?"),
        ("then", "run above it 'then'"),
        ("first", "first is 2 runs; name one of them"),
    ],
)
def test_what_a_training_starts_with_must_be_one_run_above_it(write, start, words):
    train = {
        "first": {"data": "clean", "dropout": [0.0, 0.1]},
        "then": {"data": "noisy", "start": start},
    }
    with pytest.raises(ConfigError) as error:
        load_recipe(write(train=train, evaluate=[]))
    assert words in str(error.value)


@pytest.mark.thorough
def test_a_recipe_continues_what_was_interrupted_and_refuses_what_was_changed(
    write, tmp_path
):
    recipe = load_recipe(write(evaluate=[]))

    def stop(text):
        if text.startswith("[4/6]"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(recipe, tmp_path / "out", say=stop)
    done = (tmp_path / "out/runs/one/checkpoints/last.ckpt").read_bytes()
    assert not (tmp_path / "out/runs/two").exists()
    rows = follow(recipe, tmp_path / "out")
    assert [(row.run, row.data) for row in rows] == [("one", "clean"), ("two", "noisy")]
    assert (tmp_path / "out/runs/one/checkpoints/last.ckpt").read_bytes() == done
    changed = load_recipe(write(settings={"epochs": 2, "batch_size": 32}))
    with pytest.raises(
        ConfigError, match="epochs: 1 there, 2 asked for", check=has_code("config-differs")
    ):
        follow(changed, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trains": {}}, "unknown key 'trains': did you mean 'train'?"),
        ({"title": None}, "title"),
        ({"train": {}}, "train"),
        (
            {"train": {"one": {"data": "cleen"}}},
            "unknown data of the training 'one': data set 'cleen'",
        ),
        ({"train": {"one": {"data": "clean", "epoch": 2}}}, "did you mean 'epochs'?"),
        ({"train": {"../one": {"data": "clean"}}}, "train.../one"),
        (
            {
                "train": {
                    "one": {
                        "data": "clean",
                        "seed": list(range(3000)),
                        "limit": list(range(1, 3001)),
                    }
                }
            },
            "its lists stand for 9,000,000 trainings, 9,000,000 of them in train.one; at most 10,000 make a recipe",
        ),
        (
            {"train": {"one": {"data": "clean", "picture": ["../../up"]}}},
            "the training 'one-../../up' cannot be a name",
        ),
        ({"train": {"a\x1b[2J": {"data": "clean"}}}, "train.a\\x1b[2J"),
        ({"generate": {"clean": {"model": "tiny.yaml", "n": 0}}}, "generate.clean.n"),
        (
            {"generate": {"clean": {"model": "tiny.yaml", "n": 9, "noises": "x"}}},
            "did you mean 'noise'?",
        ),
        (
            {
                "generate": {"clean": {"model": "XI", "n": 9}},
                "train": {"a": {"data": "clean"}},
                "evaluate": [],
            },
            "XI",
        ),
        (
            {"evaluate": [{"run": "three", "data": "clean"}]},
            "unknown run to evaluate 'three'",
        ),
        (
            {"evaluate": [{"run": "one", "data": "dirty"}]},
            "unknown data set to evaluate on 'dirty'",
        ),
    ],
)
def test_mistakes_are_named_before_anything_is_done(write, changes, words):
    with pytest.raises(ConfigError, match=r"recipe\.yaml") as error:
        load_recipe(write(**changes))
    assert words in str(error.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "\x00"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path, content):
    (tmp_path / "r.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"r\.yaml"):
        load_recipe(tmp_path / "r.yaml")
    with pytest.raises(ConfigError, check=has_code("unreadable-text")):
        load_recipe(tmp_path / "gone.yaml")


RECIPES = [
    path for path in sorted(PIPELINES.glob("*.yaml")) if "\ntrain:" in path.read_text()
]  # beside presets


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_that_are_shipped_are_sound(path):
    recipe = load_recipe(path)
    assert path.stem in path.read_text(), "the recipe says how to run it"
    for name in recipe.trainings:
        recipe.config(name, Path())


POPULATION = {
    "generate": {
        "train": {"model": "tiny.yaml", "n": 256, "noise": "none", "classes": ["axion"]},
        "many": {
            "model": "tiny.yaml",
            "n": 192,
            "seed": 1,
            "classes": ["axion"],
            "shared": ["log10_m_axion"],
        },
        "others": {
            "model": "tiny.yaml",
            "n": 128,
            "seed": 2,
            "classes": ["axion"],
            "shared": ["log10_m_axion"],
        },
    },
    "settings": {
        "task": "regress",
        "targets": ["log10_m_axion"],
        "data": "train",
        "epochs": 1,
        "batch_size": 32,
    },
    "train": {"one": {}},
    "evaluate": [],
    "populations": [
        {"run": "one", "data": "many", "calibration": "others", "images": [1, 16]}
    ],
}


@pytest.mark.thorough
def test_populations_are_asked_for_and_shown(write, lenssim, tmp_path):
    recipe, steps = load_recipe(write(**POPULATION)), []
    follow(recipe, tmp_path / "out", say=steps.append)
    assert steps[-1] == "[6/6] populations of many by one"
    found = read_json(tmp_path / "out/runs/one/population-many/population.json")
    assert [own["populations"] for own in found["coverage"].values()] == [3, 3, 3]
    assert list(found["coverage"]) == ["1", "16", "64"]
    assert 0 <= found["correlation"] <= 1
    page = (tmp_path / "out/report.html").read_text()
    assert ">Populations: one on many</h2>" in page
    sigma = f"{found['coverage']['64']['log10_m_axion']['sigma']:.3g}"
    assert f">{sigma}</td>" in page
    kept = (tmp_path / "out/runs/one/population-many/populations.png").stat().st_mtime_ns
    follow(recipe, tmp_path / "out")
    assert (
        tmp_path / "out/runs/one/population-many/populations.png"
    ).stat().st_mtime_ns == kept
    asked = ("population", "out/runs/one", "out/data/many", "--calibration")
    told = lenssim(*asked, "out/data/others")
    assert told.code == 0, told.err
    assert (
        f"errors of images of one population correlate by {found['correlation']:.2g}"
        in told.err
    )
    for calibration, code, message in (
        ("out/data/many", 2, "calibrate by populations of another --seed"),
        ("out/data/train", 1, "no two of these images share"),
        ("out/report.md", 1, "is no folder of a data set"),
    ):
        refused = lenssim(*asked, calibration)
        assert (refused.code, message in refused.err) == (code, True), refused.err
    assert (
        "take either calibration or scatter"
        in lenssim(*asked, "out/data/others", "--scatter").err
    )


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"run": "two", "data": "many"}, "unknown run to evaluate 'two'"),
        ({"run": "one", "data": "mny"}, "did you mean 'many'"),
        ({"run": "one", "data": "many", "calibration": "other"}, "did you mean 'others'"),
        (
            {"run": "one", "data": "many", "calibration": "others", "scatter": True},
            "either calibration or scatter",
        ),
        ({"run": "one", "data": "many", "images": [0]}, "greater than or equal to 1"),
        ({"run": "one", "data": "many", "scater": True}, "did you mean 'scatter'"),
    ],
)
def test_populations_that_cannot_be_asked_for_are_refused(write, step, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe(write(**POPULATION | {"populations": [step]}))


@pytest.mark.thorough
def test_a_data_set_may_hold_some_of_the_classes(write, tmp_path):
    step = {"model": "tiny.yaml", "n": 256, "noise": "none", "classes": ["axion"]}
    train = {
        "task": "regress",
        "targets": ["log10_m_axion"],
        "head": "point",
        "data": "axions",
    }
    (row,) = follow(
        load_recipe(write(generate={"axions": step}, train={"mass": train}, evaluate=[])),
        tmp_path / "o",
    )
    assert read_json(tmp_path / "o/data/axions/manifest.json")["class_counts"] == {
        "axion": 256
    }
    assert row.test_images == 64
    with pytest.raises(ConfigError, match="axion"):
        load_recipe(write(generate={"axions": {**step, "classes": ["axoin"]}}))


def test_the_quickstart_is_what_it_promises():
    recipe = load_recipe(PIPELINES / "quickstart.yaml")
    config = recipe.config("cnn-noise-free", Path())
    assert recipe.generate["noise-free"].n == 9000
    count = parameter_count(build_net(config.net, ImageDescription((1, 64, 64)), 3))
    assert count < 200_000
    assert f"{count:,} parameters" in (PIPELINES / "quickstart.yaml").read_text()


@pytest.mark.thorough
def test_the_command_prints_the_report(write, lenssim, tmp_path):
    path = write(
        evaluate=[],
        train={"one": {"data": "clean"}},
        generate={"clean": TINY["generate"]["clean"]},
    )
    done = lenssim("run", path, "--workers", "0")
    assert done.code == 0, done.err
    assert done.out.startswith(
        "run\tjudged on\timages\taccuracy\tmacro AUC\tminutes\none\tclean\t"
    )
    assert "On clean: one (cnn)" in done.out
    assert "[3/3] evaluation of one on clean" in done.err
    assert (tmp_path / "runs/recipe/report.md").exists()
    (row,) = json.loads(lenssim("run", path, "--workers", "0", "--json").out)
    assert row["run"] == "one"
    failed = lenssim("run", "gone.yaml")
    assert (failed.code, failed.out) == (2, "")
