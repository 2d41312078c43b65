"""Backgrounds: real sky under lens and source, its noise, its place, its split, and files that are none."""

import shutil

import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code

from lenssim.data.format.manifest import read_plan
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.resimulation import resimulate
from lenssim.errors import ConfigError, DataError
from lenssim.simulate.backgrounds.background import Background, _load
from lenssim.simulate.backgrounds.cutout import read_cutout
from lenssim.simulate.draw import draw
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset, parse_preset
from lenssim.simulate.spec import SimulationSpec
from lenssim.simulate.streams import SPLITS

SIDE = 90
SIGMA = 0.02


def sky(seed: int, shape=(SIDE, SIDE)) -> tuple[np.ndarray, np.ndarray]:
    """A sky whose level tells its seed, and its noise map."""
    rng = np.random.default_rng(seed)
    sigma = np.full(shape, SIGMA) * (1 + 0.1 * rng.random(shape))
    return rng.normal(0, SIGMA, shape) + seed, sigma


@pytest.fixture
def folder(tmp_path):
    """Twelve cut-outs, each a FITS file with its noise map."""
    place = tmp_path / "sky"
    place.mkdir()
    for seed in range(12):
        image, sigma = sky(seed)
        units = [fits.PrimaryHDU(image), fits.ImageHDU(sigma, name="RMS")]
        fits.HDUList(units).writeto(place / f"sky{seed:02d}.fits")
    return place


def preset_over(background, **changes):
    document = load_preset("III").model_dump(mode="json") | changes
    preset = parse_preset(document | {"background": background})
    preset.check()
    return preset


def exposure_over(preset, count=8, **options):
    spec = SimulationSpec.of(preset, engine="lenstronomy", **options)
    return simulate(spec, np.arange(count))


def test_lens_and_source_lie_over_a_stamp_of_the_sky(folder):
    preset = preset_over(str(folder))
    exposure = exposure_over(preset)
    params = exposure.scenes.params
    for row in range(len(exposure)):
        number, y, x = (
            int(params[f"background_{name}"][row]) for name in ("file", "row", "column")
        )
        name, _ = preset.background.files[number]
        image, sigma = sky(int(name[3:5]))
        window = (slice(y, y + 64), slice(x, x + 64))
        light = exposure.observed[row, 0] - image[window]
        shot = np.sqrt(
            exposure.expected[row, 0].clip(0) / preset.instrument.total_exposure()
        )
        bright = shot > 0.3 * shot.max()
        pull = ((light - exposure.expected[row, 0]) / shot)[bright]
        assert 0.8 < pull.std() < 1.2
        dark = shot < 1e-3 * shot.max()
        assert (
            np.abs((light - exposure.expected[row, 0])[dark]).max()
            < 5 * shot[dark].max() + 1e-5
        )
        np.testing.assert_allclose(
            exposure.sigma[row, 0], np.hypot(shot, sigma[window]), rtol=1e-6
        )


def test_places_and_files_vary_and_scenes_stay(folder):
    plain = draw(
        parse_preset(load_preset("III").model_dump(mode="json")), np.arange(64), seed=0
    )
    scenes = draw(preset_over(str(folder)), np.arange(64), seed=0)
    for name, column in plain.params.items():
        np.testing.assert_array_equal(column, scenes.params[name])
    assert len(set(scenes.params["background_file"])) > 5
    assert len(set(scenes.params["background_row"])) > 10
    assert scenes.params["background_row"].max() <= SIDE - 64


def test_splits_share_no_file_and_files_keep_their_split(folder):
    background = Background.model_validate(str(folder))
    rows = [background.of(split) for split in SPLITS]
    assert sorted(np.concatenate(rows).tolist()) == list(range(12))
    assert all(len(row) for row in rows)
    for split, row in zip(SPLITS, rows, strict=True):
        scenes = draw(preset_over(str(folder)), np.arange(128), seed=0, split=split)
        assert set(scenes.params["background_file"]) <= set(row)


def test_images_without_noise_have_no_sky(folder):
    exposure = exposure_over(preset_over(str(folder)), count=2, noise="none")
    np.testing.assert_allclose(exposure.observed, exposure.expected, rtol=1e-6)


def test_masked_pixels_are_in_no_stamp(folder):
    for file in folder.iterdir():
        with fits.open(file, mode="update") as units:
            units["RMS"].data[:20] = 1e8
            units[0].data[:, 80:] = np.nan
    scenes = draw(preset_over(str(folder)), np.arange(64), seed=0)
    assert scenes.params["background_row"].min() >= 20
    assert scenes.params["background_column"].max() <= 80 - 64
    assert np.isfinite(exposure_over(preset_over(str(folder))).observed).all()


def test_a_zero_point_changes_the_unit(folder):
    preset = preset_over(str(folder))
    zero_point = preset.instrument.zero_point
    faint = preset_over({"path": str(folder), "zero_point": zero_point + 2.5})
    params = draw(preset, np.arange(4), seed=0).params
    for own, tenth in zip(
        preset.background.stamps(params, preset.instrument),
        faint.background.stamps(params, preset.instrument),
        strict=True,
    ):
        np.testing.assert_allclose(tenth, own / 10)


@pytest.mark.parametrize("way", ["rms", "weight", "variance", "beside", "npy"])
def test_noise_maps_of_every_kind_say_the_same(tmp_path, way):
    image, sigma = sky(3)
    file = tmp_path / "a.fits"
    maps = {
        "rms": ("RMS", sigma),
        "weight": ("VIS_WHT", sigma**-2),
        "variance": ("VAR", sigma**2),
    }
    if way in maps:
        name, array = maps[way]
        fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(array, name=name)]).writeto(
            file
        )
    elif way == "beside":
        fits.writeto(file, image)
        fits.writeto(tmp_path / "a_noise.fits", sigma)
    else:
        file = tmp_path / "a.npy"
        np.save(file, image)
        np.save(tmp_path / "a_weight.npy", sigma**-2)
    cutout = read_cutout(file)
    np.testing.assert_allclose(cutout.image, image)
    np.testing.assert_allclose(cutout.sigma, sigma)
    assert len(Background.model_validate(str(tmp_path)).files) == 1


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({"": np.ones((80, 80))}, "it has no noise map"),
        ({"": np.ones((80, 80)), "RMS": np.ones((70, 80))}, "noise map"),
        ({"": np.ones((80, 80)), "RMS": np.zeros((80, 80))}, "are masked"),
        ({"RMS": np.ones((80, 80))}, "no image of the sky"),
    ],
    ids=["no noise", "shape", "masked", "no image"],
)
def test_files_that_are_no_cutouts(tmp_path, images, message):
    units = [fits.PrimaryHDU()]
    units += [fits.ImageHDU(array, name=name or "SKY") for name, array in images.items()]
    fits.HDUList(units).writeto(tmp_path / "a.fits")
    with pytest.raises(DataError, match=message, check=has_code("background-file")):
        read_cutout(tmp_path / "a.fits")


def test_stamps_larger_than_the_sky_and_pixels_of_another_width(folder):
    preset = preset_over(str(folder))
    large = preset.instrument.model_dump(mode="json") | {"num_pix": 100}
    with pytest.raises(ConfigError, check=has_code("background-place")):
        draw(preset_over(str(folder), instrument=large), [0], seed=0)
    for file in folder.iterdir():
        with fits.open(file, mode="update") as units:
            units[0].header["CD1_1"] = -1 / 3600
            units[0].header["CD2_1"] = 0.0
    with pytest.raises(
        ConfigError,
        match="its pixels are 1 arcsec wide",
        check=has_code("background-unreadable"),
    ):
        draw(preset_over(str(folder)), [0], seed=0)


def test_what_a_background_does_not_go_with(folder, tmp_path):
    preset = preset_over(str(folder))
    with pytest.raises(ConfigError, check=has_code("background-noise")):
        SimulationSpec.of(preset, maps=("residual",))
    with pytest.raises(ConfigError, check=has_code("background-noise")):
        SimulationSpec.of(preset, detectability=True)
    (tmp_path / "empty").mkdir()
    for path, message in {
        "empty": "holds no .fits",
        "none": "no folder of cut-outs",
    }.items():
        with pytest.raises(
            ConfigError, match=message, check=has_code("settings-invalid", where="preset")
        ):
            preset_over(str(tmp_path / path))
    with pytest.raises(ConfigError, check=has_code("out-of-bounds")):
        draw(preset, [0], seed=0, fixed={"background_file": 12.0})


def test_a_data_set_keeps_names_places_and_hashes(folder, tmp_path):
    """Made, moved, continued and made again; refused with other files; no path in it."""
    preset = preset_over(str(folder))
    data = tmp_path / "D"
    options = {"engine_name": "lenstronomy", "shard_size": 4}
    generate(data, make_plan(preset, 4, folder=data, **options))
    document = read_plan(data).config["preset"]["background"]
    assert "path" not in document
    assert [name for name, _ in document["files"]] == [
        f"sky{k:02d}.fits" for k in range(12)
    ]
    assert str(tmp_path).encode() not in (data / "plan.json").read_bytes()
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    with pytest.raises(ConfigError, check=has_code("background-missing")):
        resimulate(data, 2)
    assert resimulate(data, 2, background=moved)[1] == []
    longer = make_plan(preset_over(str(moved)), 8, folder=data, **options)
    generate(data, longer)
    assert resimulate(data, 8, background=moved)[1] == []
    with fits.open(moved / "sky03.fits", mode="update") as units:
        units[0].data += 1
    _load.cache_clear()  # as in a process of its own
    with pytest.raises(
        ConfigError, match="holds another data set", check=has_code("config-differs")
    ):
        generate(data, make_plan(preset_over(str(moved)), 12, folder=data, **options))


def test_presets_without_a_background_keep_their_documents():
    assert "background" not in load_preset("III").model_dump(mode="json")


# --- several bands ---


@pytest.fixture
def banded(tmp_path):
    """A folder for each band of the toy camera, with twelve cut-outs of the same names."""
    place = tmp_path / "bands"
    for number, band in enumerate("gr"):
        (place / band).mkdir(parents=True)
        for seed in range(12):
            image, sigma = sky(seed)
            units = [
                fits.PrimaryHDU(image + 100 * number),
                fits.ImageHDU(sigma * (1 + number), name="RMS"),
            ]
            fits.HDUList(units).writeto(place / band / f"sky{seed:02d}.fits")
    return place


def banded_preset(background):
    document = load_preset("III").model_dump(mode="json")
    document["instrument"] = {
        "name": "two",
        "pixel_scale": 0.08,
        "num_pix": 32,
        "bands": {"g": {"like": "hst_acs_f814w"}, "r": {"like": "hst_wfc3_f160w"}},
    }
    document["noise"] = ["telescope", "none"]
    preset = parse_preset(document | {"background": background})
    preset.check()
    return preset


def test_each_band_lies_over_its_own_sky_of_the_same_place(banded):
    preset = banded_preset(str(banded))
    assert preset.background.bands == ("g", "r")
    assert parse_preset(preset.model_dump(mode="json")) == preset
    exposure = exposure_over(preset, supersampling=1)
    skies, sigmas = preset.background.stamps(exposure.scenes.params, preset.instrument)
    shot = exposure.observed - exposure.expected - skies
    assert np.abs(shot).max() < 1
    np.testing.assert_allclose(skies[:, 1], skies[:, 0] + 100)
    np.testing.assert_allclose(sigmas[:, 1], 2 * sigmas[:, 0])
    assert (exposure.sigma >= 0.999 * sigmas).all()


def test_a_zero_point_of_each_band(banded):
    preset = banded_preset({"path": str(banded), "zero_point": {"r": 25.96}})
    params = draw(preset, np.arange(3), seed=0).params
    skies, _ = preset.background.stamps(params, preset.instrument)
    plain, _ = banded_preset(str(banded)).background.stamps(params, preset.instrument)
    zero_point = preset.instrument.band("r").zero_point
    np.testing.assert_allclose(skies[:, 0], plain[:, 0])
    np.testing.assert_allclose(
        skies[:, 1], plain[:, 1] * 10 ** (-0.4 * (25.96 - zero_point))
    )


def test_a_pixel_that_one_band_masks_is_in_no_stamp(banded):
    for path in sorted((banded / "r").iterdir()):
        with fits.open(path, mode="update") as units:
            units["RMS"].data[40, 40] = 1e8
    preset = banded_preset(str(banded))
    params = draw(preset, np.arange(64), seed=0).params
    y, x = params["background_row"], params["background_column"]
    assert not ((y <= 40) & (y + 32 > 40) & (x <= 40) & (x + 32 > 40)).any()


def test_bands_that_a_background_does_not_have(banded, folder):
    with pytest.raises(ConfigError, check=has_code("several-bands")):
        draw(banded_preset(str(folder)), [0], seed=0)
    with pytest.raises(ConfigError, check=has_code("unknown-band")):
        draw(preset_over(str(banded)), [0], seed=0)
    (banded / "r" / "sky03.fits").unlink()
    with pytest.raises(ConfigError, match=r"the folder r of .* lacks sky03\.fits") as error:
        banded_preset(str(banded))
    assert error.value.code == "settings-invalid"


def test_a_file_of_several_skies_does_not_show_the_first_without_a_word(tmp_path):
    image, sigma = sky(0)
    beside = [fits.ImageHDU(sigma, name="RMS"), fits.ImageHDU(image * 0, name="MASK")]
    bands = [fits.ImageHDU(image + number, name=f"SKY_{number}") for number in range(2)]
    path = tmp_path / "sky.fits"
    fits.HDUList([fits.PrimaryHDU(), bands[0], *beside]).writeto(path)
    np.testing.assert_allclose(read_cutout(path).image, image)
    fits.HDUList([fits.PrimaryHDU(), *bands, *beside]).writeto(path, overwrite=True)
    with pytest.raises(DataError, match="SKY_0, SKY_1", check=has_code("background-file")):
        read_cutout(path)
