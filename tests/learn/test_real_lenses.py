"""From a folder of cut-outs to a page for each lens: simulated ones, and those of SLACS."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from error_codes import has_code

import lenssim as package
from lenssim.errors import ConfigError
from lenssim.learn.recipes.execution import follow
from lenssim.learn.recipes.recipe import load_recipe
from lenssim.learn.recipes.shipped import shipped_recipe
from lenssim.simulate.fit.scan import ScanGrid
from lenssim.simulate.fit.settings import Search
from lenssim.sky.models import modelling

SLACS = (
    Path(os.environ.get("LENSSIM_SHARED_DATA", Path(__file__).parents[3] / "shared/data"))
    / "lenses/slacs"
)
SIMULATED = {"model": "hst-arcs", "seed": 3, "classes": "no_sub,cdm"}
TRAINED = {
    "title": "real lenses",
    "generate": {
        "simulated": {**SIMULATED, "n": 80},  # 64 for training, 16 for validation
        "tested": {**SIMULATED, "n": 8, "split": "test"},
    },
    "fits": {
        "simulated-fits": {"data": "simulated", "quick": True},
        "tested-fits": {"data": "tested", "quick": True},
    },
    "settings": {"picture": "residual", "epochs": 1, "batch_size": 16},
    "train": {"residual": {"data": "simulated-fits", "net": "cnn"}},
    "evaluate": [{"run": "residual", "data": "tested-fits"}],
}


def recipe_of(tmp_path, **changes):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**TRAINED, **changes}))
    return load_recipe(path)


def with_lenses(source, lens_light, **options):
    """Steps that bring the lenses of a folder to their pages."""
    sky = {"source": str(source), "options": options}
    fit = {"data": "sky", "lens_light": lens_light, "quick": True}
    return {
        "imports": {"sky": sky},
        "fits": {**TRAINED["fits"], "sky-fits": fit},
        "lenses": [
            {"fit": "sky-fits", "run": "residual", "masses": [1e8, 1e10], "positions": 6}
        ],
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a recipe whose classifier is trained; searches have few starts."""
    folder = tmp_path_factory.mktemp("trained")
    grid = ScanGrid((0.8, 1.0, 1.25, 1.6), 3)

    def search(**options):
        return Search(**options | {"grid": grid, "starts": 2, "minima": 1})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelling, "Search", search)
        follow(recipe_of(folder), folder / "out")
        yield folder


def pages_of(folder):
    """The table of the lenses; every page and picture that their list names is there."""
    place = folder / "out" / "lenses" / "sky-fits"
    with (place / "lenses.csv").open() as file:
        rows = list(csv.DictReader(file))
    text = (place / "index.html").read_text()
    for number in range(len(rows)):
        assert f"href='{number:06d}.html'" in text
        assert (place / f"{number:06d}.html").exists()
        assert (place / f"{number:06d}.png").exists()
    return rows


@pytest.mark.slow
def test_from_exported_files_to_pages(trained, tmp_path):
    data = package.generate(
        "hst-arcs", 3, tmp_path / "sky", seed=9, workers=0, shard_size=1, maps="sigma"
    )
    package.export(data, tmp_path / "files", "fits")
    for number, stored in enumerate(data.source.observations(np.arange(3))):
        psf = stored.psf[0].astype(np.float32)
        fits.writeto(tmp_path / "files" / f"{number:06d}_psf.fits", psf)
    recipe = recipe_of(trained, **with_lenses(tmp_path / "files", "no"))
    follow(recipe, trained / "out")
    rows = pages_of(trained)
    assert len(rows) == 3
    for row in rows:
        shares = [float(row[f"probability of {name}"]) for name in ("no_sub", "cdm")]
        assert sum(shares) == pytest.approx(1, abs=0.01)
        is_unlike = float(row["novelty"]) <= 1 / 17 + 1e-3  # of 16 validation images
        assert row["unlike the training"] == ("yes" if is_unlike else "")
        costs = [float(row[f"delta chi2 of {mass} Msun"]) for mass in ("1e+08", "1e+10")]
        assert 0 <= costs[0] < costs[1]
    place = trained / "out/lenses/sky-fits"
    before = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    follow(recipe, trained / "out")
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == before


@pytest.mark.slow
@pytest.mark.skipif(not SLACS.exists(), reason=f"there are no SLACS lenses in {SLACS}")
def test_from_slacs_to_pages(trained, tmp_path):
    """On the pixels that the classifier knows; it says that these are no images it knows."""
    steps = with_lenses(SLACS, "yes", native_scale=0.05, pixel_scale=0.08, num_pix=64)
    place = tmp_path / "slacs"
    for part in ("data", "fits", "runs"):
        shutil.copytree(trained / "out" / part, place / "out" / part)
    follow(recipe_of(place, **steps), place / "out")
    rows = pages_of(place)
    assert len(rows) == 16
    unlike = [row["unlike the training"] == "yes" for row in rows]
    assert sum(unlike) > 8
    usable = [row for row in rows if row["theta_E"]]
    assert len(usable) == 16


@pytest.mark.parametrize("name", ["real_lenses", "real_lenses_small"])
@pytest.mark.parametrize("is_copy", [False, True])
def test_the_recipes_load_in_any_folder(tmp_path, monkeypatch, name, is_copy):
    """Their preset lies beside the shipped ones, and the lenses where the user is."""
    monkeypatch.chdir(tmp_path)
    path = shipped_recipe(name)
    if is_copy:
        path = shutil.copy(path, tmp_path)
    recipe = load_recipe(Path(path))
    assert recipe.generate["simulated"].spec().preset.name == "hst-acs-haloes"
    assert recipe.imports["cutouts"].source == Path("lenses")
    fits = [fit.model_copy(update={"data": ""}) for fit in recipe.fits.values()]
    assert all(fit == fits[0] for fit in fits), "the sky is fitted as the simulations are"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"lenses": [{"fit": "nothing", "run": "residual"}]}, "unknown-step"),
        ({"lenses": [{"fit": "simulated-fits", "run": "nobody"}]}, "unknown-step"),
        ({"fits": {"a": {"data": "nothing"}}}, "unknown-step"),
        (
            {"fits": {**TRAINED["fits"], "simulated": {"data": "simulated"}}},
            "name-twice",
        ),
        ({"fits": {"a": {"data": "simulated", "start": "run"}}}, "settings-invalid"),
        ({"imports": {"a": {"source": "x", "options": {"scale": 1}}}}, "settings-invalid"),
        (
            {
                "lenses": [
                    {"fit": "simulated-fits", "run": "residual", "masses": [1e9, 1e8]}
                ]
            },
            "settings-invalid",
        ),
    ],
)
def test_steps_that_cannot_be_are_refused(tmp_path, changes, code):
    with pytest.raises(ConfigError, check=has_code(code)):
        recipe_of(tmp_path, **changes)
