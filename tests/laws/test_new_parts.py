"""A new engine, noise, dark-matter class, instrument or importer is one new file and one line.

Each toy below is what such a file would hold. It is registered by one line, then used through
the command line.
"""

import json
import sys
from types import ModuleType
from typing import ClassVar, Literal

import numpy as np
import pytest
import yaml
from pydantic import Field

from lenssim.data.exchange.importer import Importer, Listing
from lenssim.data.exchange.importers import IMPORTERS
from lenssim.data.exchange.importing import ImportItem
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.simulate.bounds import Bounds
from lenssim.simulate.darkmatter import DARK_MATTER_MODELS, DarkMatterModel
from lenssim.simulate.engines import ENGINES, EngineInfo, double_precision
from lenssim.simulate.engines.lenstronomy import Lenstronomy
from lenssim.simulate.noise import NOISES, NoiseModel
from lenssim.simulate.preset import preset_text
from lenssim.simulate.scenes import Perturbers

SIDE = 16


class ToyEngine:
    """It asks another engine for its images, and counts them."""

    rendered = 0

    def render(self, scenes, instrument, *, supersampling=1):
        ToyEngine.rendered += len(scenes)
        return Lenstronomy().render(scenes, instrument, supersampling=supersampling)


class ToyNoise(NoiseModel):
    """Every pixel is brighter by its band's number, counted from 1."""

    name = "toy"
    unit = "toy"

    def sigma(self, expected, scenes, instrument):
        return np.ones_like(expected)

    def sample(self, expected, scenes, instrument, identity):
        return expected + 1.0


class ToyMatter(DarkMatterModel):
    """One point mass on the ring."""

    kinds: ClassVar[tuple[str, ...]] = ("point_mass",)
    bounds: ClassVar[dict[str, Bounds]] = {"mass": Bounds(1.0, 1e12, "Msun")}
    units: ClassVar[dict[str, str]] = {"toy_mass": "Msun"}

    model: Literal["toy"]
    mass: float = 1e9

    def perturb(self, columns, plane):
        mass = columns.put("toy_mass", np.full(columns.n, self.mass))
        theta_E = np.sqrt(mass) * plane.solar_einstein_radius
        ones = np.ones(columns.n)
        return {
            "point_mass": Perturbers.from_counts(
                np.ones(columns.n, np.int64), theta_E=theta_E, center_x=ones, center_y=ones
            )
        }


class ToyImporter(Importer):
    """Import every n-th image of a folder."""

    step: int = Field(default=2, ge=1, description="Take every so many files")

    def listing(self, source, folder, tally):
        paths = sorted(source.glob("*.npy"))[:: self.step]
        items = [ImportItem(0, path.name, (path,)) for path in paths]
        return Listing(("toy",), items, {"options": {"step": self.step}})


@pytest.fixture
def toy_engine(monkeypatch):
    module = ModuleType("lenssim.simulate.engines.toy")
    module.Toy = ToyEngine
    monkeypatch.setitem(sys.modules, module.__name__, module)
    info = EngineInfo(
        module="toy",
        class_name="Toy",
        libraries=("numpy",),
        settings=double_precision,
        tolerance={"float64": 1e-8},
        parity=1e-9,
    )
    monkeypatch.setitem(ENGINES, "toy", info)


@pytest.fixture
def toy_noise(monkeypatch):
    monkeypatch.setitem(NOISES, "toy", ToyNoise())


@pytest.fixture
def toy_matter(monkeypatch):
    monkeypatch.setitem(DARK_MATTER_MODELS, "toy", ToyMatter)


@pytest.fixture
def toy_importer(monkeypatch):
    monkeypatch.setitem(IMPORTERS, "toy", ToyImporter)


@pytest.fixture
def preset(tmp_path):
    """Writes preset III with small stamps and other keys; returns its path."""

    def write(**keys):
        document = yaml.safe_load(preset_text("III"))
        document["instrument"]["num_pix"] = SIDE
        path = tmp_path / "toy_preset.yaml"
        path.write_text(yaml.safe_dump(document | {"name": "toy"} | keys))
        return path

    return write


def made(lenssim, model, *options):
    """A data set of six images, made and verified by the command line."""
    done = lenssim(
        *("generate", "--model", model, "-n", 6, "--out", "D", "--workers", 0, "--json"),
        *options,
    )
    assert done.code == 0, done.err
    verified = lenssim("verify", "D", "--resimulate", 2)
    assert verified.code == 0, verified.err
    return ShardDataset("D")


def test_a_new_engine(lenssim, preset, toy_engine):
    model = preset()
    data = made(lenssim, model, "--engine", "toy", "--noise", "none")
    assert ToyEngine.rendered >= len(data)
    assert data.config["versions"].keys() == {"lenssim", "numpy"}
    compared = lenssim("parity", "--model", model, "--n", 1, "--engine", "toy")
    assert compared.code == 0, compared.err
    refused = lenssim(
        *("render", "--model", model, "--out", "a.npy", "--engine", "toy"),
        *("--supersampling", "adaptive"),
    )
    assert refused.code == 2
    assert "the engine 'toy' cannot sample adaptively" in refused.err


def test_a_new_noise(lenssim, preset, toy_noise):
    model = preset(noise=["none", "toy"])
    data = made(lenssim, model, "--engine", "lenstronomy", "--noise", "toy")
    done = lenssim(
        *("render", "--model", model, "--out", "a.npy", "--noise", "none"),
        *("--engine", "lenstronomy"),
    )
    assert done.code == 0, done.err
    image = np.load("a.npy")
    np.testing.assert_allclose(data.images([0])[0, 0], image.squeeze() + 1, rtol=1e-6)
    assert lenssim("export", "D", "--to", "fits", "--out", "F").code == 0
    from astropy.io import fits

    assert fits.getheader("F/000000.fits")["BUNIT"] == "toy"


def test_a_new_dark_matter_class(lenssim, preset, toy_matter):
    model = preset(classes={"no_sub": {"model": "no_sub"}, "toy": {"model": "toy"}})
    data = made(lenssim, model, "--engine", "lenstronomy", "--noise", "none")
    assert data.classes == ("no_sub", "toy")
    masses = data.params["toy_mass"]
    np.testing.assert_array_equal(np.isfinite(masses), data.labels == 1)
    assert (masses[data.labels == 1] == 1e9).all()
    out_of_bounds = preset(classes={"toy": {"model": "toy", "mass": 1e13}})
    refused = lenssim("generate", "--model", out_of_bounds, "-n", 1, "--out", "E")
    assert refused.code == 2
    assert "classes.toy.mass" in refused.err
    unknown = preset(classes={"toy": {"model": "toi"}})
    refused = lenssim("generate", "--model", unknown, "-n", 1, "--out", "E")
    assert "did you mean 'toy'?" in refused.err


def test_a_new_instrument(lenssim, preset, tmp_path):
    """It is a file alone: no line names it."""
    camera = {
        "name": "toy_camera",
        "num_pix": SIDE,
        "pixel_scale": 0.25,
        "zero_point": 25.0,
        "exposure_time": 600.0,
        "background_rms": 0.1,
        "psf": {"fwhm": 0.3},
    }
    (tmp_path / "toy_camera.yaml").write_text(yaml.safe_dump(camera))
    model = preset(instrument="toy_camera.yaml")
    data = made(lenssim, model, "--engine", "lenstronomy")
    assert data.pixel_scale == 0.25
    assert data.image_shape == (1, SIDE, SIDE)
    assert data.config["preset"]["instrument"]["name"] == "toy_camera"


def test_a_new_importer(lenssim, toy_importer, tmp_path):
    (tmp_path / "files").mkdir()
    for number in range(5):
        image = np.random.default_rng(number).random((SIDE, SIDE))
        np.save(tmp_path / "files" / f"{number}.npy", image)
    words = " ".join(lenssim("import", "toy", "--help").out.split())
    assert "--step <int> Take every so many files. Default: 2." in words
    assert "every n-th image" in lenssim("import", "--help").out
    done = lenssim("import", "toy", "files", "--out", "D", "--step", 3)
    assert done.code == 0, done.err
    assert done.out.startswith(f"D: 2 images of 1 x {SIDE} x {SIDE} (toy 2)")
    assert lenssim("verify", "D").code == 0
    info = json.loads(lenssim("info", "D", "--json").out)
    assert info["made_by"] == "import of files"
    card = (tmp_path / "D" / "card.md").read_text()
    assert "lenssim import toy files --out D --step 3" in card
    refused = lenssim("import", "toi", "files", "--out", "E")
    assert refused.code == 2
