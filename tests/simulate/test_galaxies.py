"""Images of galaxies as sources: every file format, the common frame, splits that share none, and what is no galaxy."""

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from error_codes import has_code
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from lenssim.data.generation.simulation import make_plan
from lenssim.data.inspection.resimulation import resimulate
from lenssim.errors import ConfigError
from lenssim.simulate.conventions import ellipticity
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.isothermal import Isothermal
from lenssim.simulate.preset import load_preset
from lenssim.simulate.sources.frame import (
    GALAXY_SIDE,
    GALAXY_WIDTH,
    framed,
    resampled,
)
from lenssim.simulate.sources.galaxies import Galaxies, _load
from lenssim.simulate.sources.isolation import isolated
from lenssim.simulate.sources.light import GalaxyLight
from lenssim.simulate.streams import SPLITS

K = 20


def pictures(k: int = K, side: int = 61) -> np.ndarray:
    """Galaxies (k, side, side) of two clumps, off centre, over a sky of 3."""
    rng = np.random.default_rng(1)
    rows, columns = np.indices((side, side))
    found = np.full((k, side, side), 3.0)
    for own in found:
        for _ in range(2):
            x, y = rng.uniform(0.4, 0.6, 2) * side
            own += rng.uniform(1, 5) * np.exp(
                -0.5 * ((columns - x) ** 2 + 2 * (rows - y) ** 2) / rng.uniform(2, 5) ** 2
            )
    return found


def written(folder, way: str):
    """The pictures in a file or folder of one of the formats, and the path to give."""
    images = pictures()
    if way == "npy":
        np.save(path := folder / "galaxies.npy", images)
    elif way == "cube":
        fits.writeto(path := folder / "galaxies.fits", images)
    elif way == "units":
        path = folder / "galaxies.fits"
        fits.HDUList([fits.PrimaryHDU(), *map(fits.ImageHDU, images)]).writeto(path)
    elif way == "folder":
        path = folder
        for i, image in enumerate(images):
            np.save(folder / f"{i:03d}.npy", image)
    elif way == "hdf5":
        with h5py.File(path := folder / "galaxies.h5", "w") as file:
            file["images"] = images
    else:
        fits.HDUList([fits.PrimaryHDU(images[0]), *map(fits.ImageHDU, images[1:])]).writeto(
            folder / "images.fits"
        )
        path = folder if way == "catalogue's folder" else folder / "real_catalog.fits"
        listed = {"GAL_FILENAME": ["images.fits"] * K, "GAL_HDU": np.arange(K)}
        Table(listed).write(folder / "real_catalog.fits")
        Table({"zphot": np.ones(K)}).write(folder / "real_catalog_fits.fits")
    return path


@pytest.mark.parametrize(
    "way",
    ["npy", "cube", "units", "folder", "hdf5", "catalogue", "catalogue's folder"],
)
def test_formats_say_the_same(tmp_path, way):
    found = Galaxies.model_validate(str(written(tmp_path, way))).images()
    assert found.shape == (K, GALAXY_SIDE, GALAXY_SIDE)
    shown = [resampled(isolated(image).light) for image in pictures()]
    np.testing.assert_array_equal(found, np.stack(shown))


def test_records_of_version_0_1_keep_their_images_and_splits(tmp_path):
    path = written(tmp_path, "npy")
    sha256 = Galaxies.model_validate(str(path)).sha256
    galaxies = Galaxies.model_validate({"path": str(path), "sha256": sha256})
    assert galaxies.model_dump() == {"path": str(path), "sha256": sha256}
    shown = [framed(image) for image in pictures()]
    np.testing.assert_array_equal(galaxies.images(), np.stack(shown))
    assert galaxies.of("validation").tolist() == [8, 18]


def resampled_galaxy(image):
    return resampled(isolated(image).light)


@pytest.mark.parametrize("frame", [framed, resampled_galaxy])
def test_the_frame_is_one_of_half_light_radii(frame):
    middle = (GALAXY_SIDE - 1) / 2
    rows, columns = np.indices((GALAXY_SIDE, GALAXY_SIDE)) - middle
    for image in (frame(own) for own in pictures(4)):
        assert image.sum(dtype=np.float64) == pytest.approx(1, rel=1e-6)
        for axis in (rows, columns):
            assert (axis * image).sum() == pytest.approx(0, abs=0.5)
        radius = np.hypot(rows, columns) * GALAXY_WIDTH / GALAXY_SIDE
        assert image[radius < 1].sum() == pytest.approx(0.5, abs=0.03)
    turned = frame(np.rot90(pictures(1)[0]))
    np.testing.assert_allclose(
        turned, np.rot90(frame(pictures(1)[0])), atol=1e-3 * turned.max()
    )


@pytest.mark.parametrize("frame", [framed, resampled_galaxy])
def test_noise_and_neighbours_are_no_part_of_a_galaxy(frame):
    rows, columns = np.indices((81, 81))
    clean = 100 * np.exp(-0.5 * ((columns - 40) ** 2 + (rows - 42) ** 2) / 4**2)
    seen = clean + 20 * np.exp(-0.5 * ((columns - 70) ** 2 + (rows - 10) ** 2) / 2**2)
    seen += np.random.default_rng(0).normal(0, 0.5, seen.shape)
    np.testing.assert_allclose(frame(seen), frame(clean), atol=0.02 * frame(clean).max())


def test_splits_share_no_galaxy(tmp_path):
    galaxies = Galaxies.model_validate(str(written(tmp_path, "npy")))
    own = [galaxies.of(split) for split in ("train", "validation", "test")]
    assert sorted(np.concatenate(own).tolist()) == list(range(K))
    assert all(len(rows) >= 1 for rows in own)
    assert len(own[0]) > K / 2
    preset = load_preset("III").with_galaxies(tmp_path / "galaxies.npy")
    for split, places in zip(("train", "validation", "test"), own, strict=True):
        drawn = draw(preset, np.arange(128), seed=0, split=split).params["source_image"]
        assert set(drawn) == set(places)


def test_few_galaxies_are_for_training_alone(tmp_path):
    np.save(tmp_path / "few.npy", pictures(3))
    galaxies = Galaxies.model_validate(str(tmp_path / "few.npy"))
    assert galaxies.of("train").tolist() == [0, 1, 2]
    with pytest.raises(
        ConfigError,
        match="none of them for the split 'test'",
        check=has_code("too-few-galaxies", split="test"),
    ):
        galaxies.of("test")


def test_magnification_is_that_of_rays_shot_by_lenstronomy(tmp_path):
    rng = np.random.default_rng(3)
    n = 6
    images = Galaxies.model_validate(str(written(tmp_path, "npy"))).images()
    shape = ellipticity(rng.uniform(0.3, 0.95, n), rng.uniform(0, np.pi, n))
    lens = Isothermal(
        rng.uniform(0.6, 1.5, n),
        *shape,
        *rng.uniform(-0.2, 0.2, (2, n)),
        *rng.uniform(-0.1, 0.1, (2, n)),
    )
    x, y = lens.place(rng)
    image, R_half, phi = (
        np.arange(n, dtype=float),
        rng.uniform(0.1, 0.3, n),
        rng.uniform(0, 2 * np.pi, n),
    )
    found, inside = lens.magnification(
        [GalaxyLight(np.ones(n), images, image, R_half, phi, x, y)], 3.0
    )
    pixel = 0.0125
    axis = (np.arange(960) - 479.5) * pixel
    grid_x, grid_y = (own.ravel() for own in np.meshgrid(axis, axis))
    model = LensModel(["SIE", "SHEAR"])
    names = ("theta_E", "e1", "e2", "center_x", "center_y")
    for i in range(n):
        parameters = [
            {k: getattr(lens, k)[i] for k in names},
            {k: getattr(lens, k)[i] for k in ("gamma1", "gamma2")},
        ]
        beta = model.ray_shooting(grid_x, grid_y, parameters)
        scale = R_half[i] * GALAXY_WIDTH / GALAXY_SIDE
        galaxy = {
            "image": images[i],
            "center_x": x[i],
            "center_y": y[i],
            "phi_G": phi[i],
            "scale": scale,
            "amp": 1,
        }
        seen = LightModel(["INTERPOL"]).surface_brightness(
            *beta, [galaxy]
        )  # each keeps its first image
        assert found[i] == pytest.approx(seen.sum() * pixel**2 / scale**2, rel=0.01)
        held = seen[(np.abs(grid_x) < 3) & (np.abs(grid_y) < 3)].sum() / seen.sum()
        assert inside[i] == pytest.approx(held, abs=0.01)


@pytest.mark.parametrize("model", ["hst-arcs", "sie"])
def test_both_engines_show_them_and_light_is_kept(tmp_path, model):
    preset = load_preset(model).with_galaxies(written(tmp_path, "cube"))
    scenes = draw(preset, np.arange(4), seed=2)
    eager, camera = engine("batched", kernels="eager"), preset.instrument
    one, other = (
        each.render(scenes, camera, supersampling=2)
        for each in (eager, engine("lenstronomy"))
    )
    np.testing.assert_allclose(one, other, atol=2e-5 * other.max())
    if model == "sie":
        flux = 10 ** (-0.4 * (scenes.params["source_magnitude"] - camera.zero_point))
        shown = eager.render(scenes, camera, supersampling=4).sum((-2, -1)).ravel() / flux
        np.testing.assert_allclose(shown, scenes.params["magnification"], rtol=0.03)
        assert scenes.params["magnification"].min() >= 2


@pytest.mark.thorough
def test_generated_from_the_command_line_and_made_again(tmp_path, lenssim):
    path = written(tmp_path, "npy")
    done = lenssim(
        "generate",
        "--model",
        "sie",
        "--galaxies",
        path,
        "--n",
        70,
        "--out",
        "D",
        "--workers",
        0,
    )
    assert done.code == 0, done.err
    assert resimulate(tmp_path / "D", 4, galaxies=path)[1] == []
    assert (
        lenssim("generate", "--model", "sie", "--n", 70, "--out", "D", "--workers", 0).code
        == 2
    )  # another config
    np.save(path, pictures()[::-1])
    _load.cache_clear()  # as in a process of its own
    done = lenssim("verify", "D", "--resimulate", 2, "--galaxies", path)
    assert done.code == 2
    assert "are not those the data set was planned with" in done.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((3, 20, 20)), "is no galaxy"),
        (np.full((2, 20, 20), np.nan), "is no galaxy"),
        (np.ones((2, 3, 3)), "is no galaxy"),
        (np.arange(5.0), "is no galaxy"),
        (np.array([{"a": 1}], dtype=object), "it holds a dict"),
        (b"no image at all", "cannot read the galaxies"),
    ],
    ids=["dark", "nan", "tiny", "line", "pickle", "rubbish"],
)
def test_what_is_no_galaxy(tmp_path, content, message):
    path = tmp_path / "galaxies.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(ConfigError, match=message):
        make_plan(load_preset("sie").with_galaxies(path), 10, folder=tmp_path / "D")
    assert not (tmp_path / "D").exists()


def test_files_that_are_not_there(tmp_path, lenssim):
    for path, message in {"none.npy": "does not exist", ".": "holds no .npy"}.items():
        (tmp_path / "empty").mkdir(exist_ok=True)
        done = lenssim(
            "generate",
            "--model",
            "sie",
            "--galaxies",
            tmp_path / "empty" / path,
            "--n",
            5,
            "--out",
            "D",
        )
        assert done.code == 2
        assert message in done.err
    with pytest.raises(
        ConfigError,
        match="sersic sources that have a magnitude",
        check=has_code("no-galaxies", name="I"),
    ):
        load_preset("I").with_galaxies(tmp_path)


def test_cosmos_galaxies(shared_data):
    galaxies = Galaxies.model_validate(str(shared_data / "galaxies/cosmos"))
    images = galaxies.images()
    assert len(images) == 10
    assert sorted(len(galaxies.of(split)) for split in SPLITS) == [1, 1, 8]
    np.testing.assert_allclose(images.sum((1, 2), dtype=np.float64), 1, rtol=1e-6)


def test_a_data_set_of_version_0_1_goes_on_with_its_galaxies(tmp_path):
    """The same command asks for the new recipe, and continues the old one."""
    path = written(tmp_path, "npy")
    asked = make_plan(load_preset("sie").with_galaxies(path), 8, shard_size=4)
    record = asked.config["preset"]["galaxies"]
    assert record["recipe"] == 2
    preset = asked.config["preset"] | {"galaxies": {"sha256": record["sha256"]}}
    earlier = asked.model_copy(update={"config": asked.config | {"preset": preset}})
    assert asked.continuing(earlier, tmp_path).config == earlier.config
    assert earlier.spec.preset.galaxies.recipe == 1
    preset = preset | {"galaxies": {"sha256": "0" * 64}}
    other = asked.model_copy(update={"config": asked.config | {"preset": preset}})
    with pytest.raises(
        ConfigError, match="holds another data set", check=has_code("config-differs")
    ):
        asked.continuing(other, tmp_path)
