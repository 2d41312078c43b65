"""Laws of every kind of PSF: all engines alike, flux kept, kernels mended or refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import ENGINES, engine
from lenssim.simulate.engines.batched.gradients import jacobian
from lenssim.simulate.instruments import Instrument, instrument
from lenssim.simulate.preset import load_preset, parse_preset
from lenssim.simulate.psf import PSF_KINDS, MoffatPSF, OpticalPSF, PixelPSF, SetPSF
from lenssim.simulate.psf.measure import kernel_fwhm, noise_area, psf_fwhm
from lenssim.simulate.scenes import Scenes

PRESET = load_preset("III")
REAL = Path(
    os.environ.get("LENSSIM_SHARED_DATA", Path(__file__).parents[3] / "shared/data")
)
needs_real_kernels = pytest.mark.skipif(
    not (REAL / "psf").is_dir(), reason=f"no real kernels in {REAL / 'psf'}"
)


def lopsided(size: int, seed: int = 0) -> np.ndarray:
    kernel = np.random.default_rng(seed).uniform(0, 1, (size, size)) ** 4
    return kernel / kernel.sum()


def several() -> np.ndarray:
    return np.stack([lopsided(9, seed) for seed in range(3)])


APERTURE = {"diameter": 2.4, "obscuration": 0.33, "struts": 4, "band": [1.4, 1.7]}
KINDS = {
    "gaussian": {"fwhm": 0.2},
    "moffat": {"fwhm": 0.25, "beta": 3.5, "truncation": 2.0},
    "seeing": {"fwhm": {"uniform": [0.2, 0.4]}, "beta": 3.5, "truncation": 2.0},
    "optical": {**APERTURE, "radius": 0.5},
    "screens": {**APERTURE, "wfe": 60, "jitter": 0.01, "draw": 4, "radius": 0.5},
    "pixels": {"kernel": lopsided(9).tolist()},
    "set": {"kernels": several()},
}


def with_psf(psf: dict) -> Instrument:
    return Instrument.model_validate({**PRESET.instrument.model_dump(), "psf": psf})


def preset_with(psf: dict):
    document = PRESET.model_dump(mode="json")
    camera = with_psf(psf).model_copy(update={"num_pix": 24, "pixel_scale": 0.2})
    return parse_preset({**document, "instrument": camera.model_dump(mode="json")})


@pytest.fixture(params=sorted(KINDS))
def psf(request) -> dict:
    return KINDS[request.param]


def render(name: str, scenes: Scenes, camera: Instrument, **options) -> np.ndarray:
    settings = {}
    if name == "batched":
        settings = {"precision": "float64", "device": "cpu", "kernels": "eager"}
    return engine(name, **settings).render(scenes, camera, **options)


def test_every_kind_is_here():
    assert {type(with_psf(psf).psf) for psf in KINDS.values()} == set(PSF_KINDS.values())


@pytest.mark.parametrize("name", sorted(set(ENGINES) - {"lenstronomy"}))
def test_engines_agree(psf, name):
    preset = preset_with(psf)
    scenes = draw(preset, range(4), seed=0)
    image = render(name, scenes, preset.instrument)
    reference = render("lenstronomy", scenes, preset.instrument)
    tolerance = {"batched": 1e-12}.get(name, 1e-9)
    assert np.abs(image - reference).max() < tolerance * reference.max()


@pytest.mark.parametrize("sampling", [2, 3])
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"gaussian"}))
def test_engines_agree_on_finer_kernels(kind, sampling):
    preset = preset_with({**KINDS[kind], "supersampling": sampling})
    scenes = draw(preset, range(3), seed=0)
    images = [
        render(name, scenes, preset.instrument, supersampling=2 * sampling)
        for name in ("batched", "lenstronomy")
    ]
    assert np.abs(images[0] - images[1]).max() < 1e-12 * images[1].max()


def test_an_image_does_not_depend_on_those_beside_it(psf):
    preset = preset_with(psf)
    scenes = draw(preset, range(5), seed=0)
    whole = render("batched", scenes, preset.instrument)
    for rows in ([3], [4, 0]):
        part = render("batched", scenes.take(np.array(rows)), preset.instrument)
        np.testing.assert_array_equal(part, whole[rows])


def test_which_psf_an_image_has_is_a_column(psf):
    preset = preset_with(psf)
    camera = preset.instrument
    column = camera.psf.column
    scenes = draw(preset, range(64), seed=0)
    others = draw(preset_with(KINDS["gaussian"]), range(64), seed=0)
    assert set(scenes.params) - set(others.params) == {column} - {None}
    for name in others.params:  # a stream of its own
        np.testing.assert_array_equal(scenes.params[name], others.params[name])
    if column is None:
        return
    low, high = camera.psf.value_bounds()
    assert scenes.params[column].min() >= low
    assert scenes.params[column].max() <= high
    assert len(set(scenes.params[column])) > 1
    params = {name: values for name, values in scenes.params.items() if name != column}
    with pytest.raises(
        ConfigError, match=f"add the column {column}", check=has_code("psf-column")
    ):
        camera.of_image(params, 0)
    chosen = draw(preset, range(3), seed=0, fixed={column: high})
    assert (chosen.params[column] == high).all()
    with pytest.raises(
        ConfigError, match=f"{column} must lie in", check=has_code("psf-column")
    ):
        draw(preset, range(3), seed=0, fixed={column: high + 1})


def test_a_kernel_keeps_the_flux_and_travels_as_text(psf):
    camera = with_psf(psf)
    values = [0.0]
    if camera.psf.column is not None:
        values = camera.psf.sample(np.random.default_rng(0), 5)
    for value in values:
        kernel = camera.psf.at(value).kernel_at(camera.pixel_scale)
        assert kernel.sum() == pytest.approx(1, abs=1e-6)
        assert len(kernel) % 2 == 1
    assert Instrument.model_validate_json(camera.model_dump_json()) == camera


def test_flux_inside_the_frame_is_kept(psf):
    """A point in the middle of a stamp that holds its kernel."""
    from lenssim.simulate.engines.batched.optics import blur

    torch = pytest.importorskip("torch")
    camera = with_psf(psf).model_copy(update={"num_pix": 101})
    point = torch.zeros((2, 101, 101), dtype=torch.float64)
    point[:, 50, 50] = 7.0
    values = None
    if camera.psf.column is not None:
        values = camera.psf.sample(np.random.default_rng(0), 2)
    image = blur(point, camera, values)
    np.testing.assert_allclose(image.sum((1, 2)), 7.0, rtol=1e-6)


@pytest.mark.parametrize("kind", ["seeing", "set"])
def test_derivatives_have_the_psf_of_their_image(kind):
    preset = preset_with(KINDS[kind])
    scenes = draw(preset, range(3), seed=0)
    params = dict(scenes.params)
    amplitude = scenes.of(scenes.components[-1], preset.instrument.zero_point)["amp"]
    params["source_amp"] = amplitude
    del params["source_magnitude"]
    scenes = Scenes(scenes.components, params, scenes.perturbers, scenes.cosmology)
    slopes = jacobian(
        scenes, preset.instrument, ["source_amp"], precision="float64", kernels="eager"
    )
    image = render("batched", scenes, preset.instrument)
    np.testing.assert_allclose(
        slopes[:, 0] * amplitude[:, None, None], image[:, 0], rtol=1e-9, atol=1e-12
    )


def test_a_kernel_of_one_pixel_changes_nothing():
    scenes = draw(PRESET, [0], seed=0)
    sharp = render("batched", scenes, with_psf({"kernel": [[1.0]]}))
    middle = np.zeros((3, 3))
    middle[1, 1] = 1
    same = render("batched", scenes, with_psf({"kernel": middle.tolist()}))
    np.testing.assert_allclose(same, sharp, rtol=0, atol=1e-12 * sharp.max())


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_single_precision_agrees_too(precision):
    camera = with_psf(KINDS["pixels"])
    scenes = draw(PRESET, [0, 1, 2], seed=0)
    batched = engine("batched", precision=precision, device="cpu", kernels="eager")
    image = batched.render(scenes, camera)
    reference = engine("lenstronomy").render(scenes, camera)
    tolerance = {"float64": 1e-12, "float32": 1e-5}[precision]
    assert np.abs(image - reference).max() < tolerance * reference.max()


# --- widths ---

CAMERAS = {  # aperture, wave-front error [nm], jitter ["], band [um], published width ["]
    "vis": (1.2, 0.35, 3, 0, 30, 0.035, (0.55, 0.90), 0.1, 0.16),
    "f814w": (2.4, 0.33, 4, 0, 40, 0.02, (0.70, 0.96), 0.05, 0.087),
    "f160w": (2.4, 0.33, 4, 0, 40, 0.03, (1.40, 1.70), None, 0.151),
    "f106": (2.36, 0.32, 6, 0, 60, 0.0034, (0.927, 1.192), None, 0.087),
    "f129": (2.36, 0.32, 6, 0, 60, 0.0034, (1.131, 1.454), None, 0.106),
    "f158": (2.36, 0.32, 6, 0, 60, 0.0034, (1.380, 1.774), None, 0.128),
    "f184": (2.36, 0.32, 6, 0, 60, 0.0034, (1.683, 2.000), None, 0.146),
    "f115w": (6.6, 0, 3, 18, 70, 0.007, (1.013, 1.282), None, 0.040),
    "f150w": (6.6, 0, 3, 18, 70, 0.007, (1.331, 1.668), None, 0.050),
    "f277w": (6.6, 0, 3, 18, 70, 0.007, (2.423, 3.132), None, 0.092),
    "f444w": (6.6, 0, 3, 18, 70, 0.007, (3.881, 4.982), None, 0.145),
}


@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_an_aperture_gives_the_published_width(name):
    """Widths of Euclid and ACS are those of images, and include the pixel."""
    diameter, dark, struts, segments, wfe, jitter, band, pixel, published = CAMERAS[name]
    psf = OpticalPSF(
        diameter=diameter,
        obscuration=dark,
        struts=struts,
        segments=segments,
        wfe=wfe,
        jitter=jitter,
        band=band,
        radius=2 * published,
    )
    if pixel is None:
        pixel = published / 12
    assert psf_fwhm(psf, pixel) == pytest.approx(published, rel=0.08)


def test_a_disc_gives_the_airy_pattern():
    from scipy.special import j1

    psf = OpticalPSF(diameter=2.0, band=(1.0, 1.0), radius=0.4)
    pixel = 0.01
    kernel = psf.kernel_at(pixel)
    half = len(kernel) // 2
    x = np.pi * 2.0 / 1e-6 * np.arange(1, half) * pixel * np.pi / 180 / 3600
    airy = (2 * j1(x) / x) ** 2
    profile = kernel[half, half + 1 : 2 * half] / kernel[half, half]
    np.testing.assert_allclose(profile, airy, atol=5e-3)


@pytest.mark.parametrize("beta", [2.5, 5.0])
@pytest.mark.parametrize("sampling", [1, 3])
def test_a_moffat_has_its_width_and_area(beta, sampling):
    psf = MoffatPSF(fwhm=0.9, beta=beta, truncation=12, supersampling=sampling)
    kernel = psf.kernel_at(0.15)
    assert kernel_fwhm(kernel) * 0.15 / sampling == pytest.approx(0.9, rel=0.02)
    numerical = PixelPSF(kernel=kernel, supersampling=sampling)
    assert noise_area(psf, 0.15) == pytest.approx(noise_area(numerical, 0.15), rel=0.02)


def test_wave_fronts_of_a_set_differ_and_stay_in_the_middle():
    psf = with_psf({**KINDS["screens"], "radius": 1.0, "supersampling": 3}).psf
    kernels = np.stack([psf.at(k).kernel_at(0.08) for k in range(4)])
    assert len({kernel.tobytes() for kernel in kernels}) == 4
    offset = np.arange(kernels.shape[1]) - kernels.shape[1] // 2
    centroids = np.abs(kernels.sum(1) @ offset)
    assert centroids.max() < 0.6
    np.testing.assert_array_equal(psf.at(2).kernel_at(0.08), kernels[2])


# --- kernels of files ---


@pytest.mark.parametrize("suffix", ["npy", "fits"])
def test_a_kernel_is_read_from_a_file_and_travels_as_numbers(tmp_path, suffix):
    kernel = 3 * lopsided(5)
    path = tmp_path / f"psf.{suffix}"
    np.save(path, kernel) if suffix == "npy" else fits.writeto(path, kernel)
    camera = with_psf({"kernel": str(path), "normalise": True})
    np.testing.assert_allclose(camera.psf.array(), lopsided(5), rtol=1e-12)
    path.unlink()
    assert Instrument.model_validate_json(camera.model_dump_json()) == camera


def test_another_sum_is_divided_out_with_a_note(tmp_path, capfd):
    np.save(tmp_path / "bright.npy", 17 * lopsided(5))
    camera = with_psf({"kernel": str(tmp_path / "bright.npy")})
    assert (
        "the kernel bright.npy sums to 17 and was divided by it" in capfd.readouterr().err
    )
    np.testing.assert_allclose(camera.psf.array(), lopsided(5), rtol=1e-12)
    with_psf({"kernel": str(tmp_path / "bright.npy"), "normalise": True})
    assert not capfd.readouterr().err


def test_small_negatives_of_a_file_are_noise(tmp_path):
    kernel = lopsided(5)
    kernel[0, 0] = -5e-4 * kernel.max()
    np.save(tmp_path / "k.npy", kernel)
    mended = with_psf({"kernel": str(tmp_path / "k.npy"), "normalise": True}).psf.array()
    assert mended.min() == mended[0, 0] == 0
    assert mended.sum() == pytest.approx(1, abs=1e-12)


def test_a_kernel_is_recentred_on_request():
    y, x = np.mgrid[-10:11, -10:11]
    kernel = np.exp(-((x - 0.4) ** 2 + (y + 0.3) ** 2) / 8)
    kernel /= kernel.sum()
    camera = with_psf({"kernel": kernel, "recentre": True})
    moved = camera.psf.array()
    assert abs((moved * x).sum()) < 0.01
    assert abs((moved * y).sum()) < 0.01
    np.testing.assert_array_equal(with_psf({"kernel": kernel}).psf.array(), kernel)


def test_a_set_is_read_from_a_cube_a_folder_or_a_list(tmp_path):
    cube = several()
    np.save(tmp_path / "cube.npy", cube)
    folder = tmp_path / "kernels"
    folder.mkdir()
    files = [folder / f"{number}.npy" for number in range(3)]
    for file, kernel in zip(files, cube, strict=True):
        np.save(file, kernel)
    for stated in (str(tmp_path / "cube.npy"), str(folder), [str(file) for file in files]):
        np.testing.assert_allclose(SetPSF(kernels=stated).stack(), cube, rtol=1e-12)


def test_bad_kernels_of_a_set_are_named(tmp_path):
    cube = several()
    cube[1, 0] = -0.5
    np.save(tmp_path / "cube.npy", cube)
    with pytest.raises(ValueError, match=r"kernel 1 of cube.npy has negative pixels"):
        SetPSF(kernels=str(tmp_path / "cube.npy"))
    assert SetPSF(kernels=str(tmp_path / "cube.npy"), crop=7, normalise=True).count == 3
    with pytest.raises(ValueError, match="holds 3 kernels"):
        PixelPSF(kernel=str(tmp_path / "cube.npy"))


@pytest.mark.parametrize(
    ("psf", "message"),
    [
        ({"kernel": (np.ones((4, 4)) / 16).tolist()}, "odd number of pixels"),
        ({"kernel": np.ones((3, 3)).tolist(), "normalise": False}, "must sum to 1, got 9"),
        ({"kernel": [[0.5, 0.5]]}, "must be square"),
        ({"kernel": [[float("nan")]]}, "finite"),
        ({"kernel": [[0.0, 0, 0], [0, 1, 0], [0, 0, -0.1]]}, "negative pixels down to 0.1"),
        ({"kernel": np.zeros((3, 3))}, "positive peak"),
        ({"kernel": lopsided(5), "crop": 4}, "crop must be at most its 5 pixels"),
        ({"kernel": "nowhere.npy"}, "cannot read the kernel"),
        ({"kernel": "kernel.txt"}, ".npy or .fits"),
        ({"kernels": []}, "a list of files"),
        ({"kernels": "packed:3x3:AAAA"}, "rows and columns"),
        ({"kernels": "packed:1x3x3:AAAA"}, "damaged"),
        ({"kernel": [[1.0]], "supersampling": 0}, "greater than or equal to 1"),
        ({"fwhm": {"normal": [0.7, 0.1]}, "beta": 3}, "a seeing that is drawn needs ends"),
        ({"fwhm": 0.7, "beta": 1}, "greater than 1"),
        ({"fwhm": 99.0, "beta": 3}, "wider than the stamp"),
        ({"diameter": 2.4, "band": [0.9, 0.7]}, "rising wavelengths"),
        ({"diameter": 2.4, "band": [800, 900]}, "rising wavelengths in micrometres"),
        ({**APERTURE, "segments": 17}, "must fill rings of hexagons"),
        ({**APERTURE, "draw": 3}, "needs a wfe above 0"),
        ({"fwhm": 0.1, "diameter": 2.4}, "give either fwhm"),
    ],
)
def test_impossible_psfs_are_refused(psf, message):
    with pytest.raises(ValueError, match=message):
        with_psf(psf)


def test_rays_must_be_as_fine_as_the_kernel():
    camera = with_psf({"kernel": lopsided(5).tolist(), "supersampling": 2})
    scenes = draw(PRESET, [0], seed=0)
    for name in ("batched", "lenstronomy"):
        with pytest.raises(
            ConfigError,
            match="multiple of that, got 3",
            check=has_code("supersampling", name="hst_wfc3_f160w"),
        ):
            engine(name).render(scenes, camera, supersampling=3)


@needs_real_kernels
@pytest.mark.parametrize(
    ("file", "options", "width", "note"),
    [
        ("psf_wfc3_f160w.npy", {"supersampling": 3}, 0.146, "sums to 0.9995"),
        ("psf_res3x_wfc3_f160w.npy", {"supersampling": 3}, 0.137, ""),
        ("psf_wfc3_f814w.npy", {}, None, ""),
    ],
)
def test_real_kernels_load_with_the_right_notes(file, options, width, note, capfd):
    camera = with_psf({"kernel": str(REAL / "psf" / file), **options})
    error = capfd.readouterr().err
    assert note in error
    assert bool(note) == bool(error)
    if width is not None:
        assert psf_fwhm(camera.psf, 0.08) == pytest.approx(width, rel=0.12)


@needs_real_kernels
def test_a_real_set_has_damaged_kernels_that_a_crop_mends(capfd):
    path = str(REAL / "psf" / "emp_psf_f814w.fits")
    with pytest.raises(ValueError, match=r"kernel 6 of .*negative.*so are 19 more of 56"):
        SetPSF(kernels=path, supersampling=4)
    psf = SetPSF(kernels=path, supersampling=4, crop=99)
    assert "each of 56 kernels" in capfd.readouterr().err
    widths = [psf_fwhm(psf.at(k), 0.0396) for k in range(psf.count)]
    assert np.median(widths) == pytest.approx(0.077, rel=0.02)


@pytest.mark.skipif(not (REAL / "lenses").is_dir(), reason=f"no real lenses in {REAL}")
def test_kernels_of_real_lenses_load_and_have_their_widths():
    slacs = [
        PixelPSF(kernel=str(path), normalise=True)
        for path in sorted((REAL / "lenses/slacs").glob("*/psf.fits"))
    ]
    assert len(slacs) == 16
    _check_alike(instrument("hst_acs_f814w"), [psf.array() for psf in slacs])
    stamps = [
        PixelPSF(kernel=str(path), normalise=True).array()
        for path in (REAL / "lenses/euclid").glob("EUC*/vis/psf.fits")
    ]
    (cutout,) = (REAL / "lenses/euclid").glob("NEG*/cutout.fits")
    stamps.append(fits.getdata(cutout, "VIS_PSF").astype(np.float64))
    _check_alike(instrument("euclid_vis_q1"), stamps)


def _check_alike(camera: Instrument, kernels: list[np.ndarray]) -> None:
    """The width, the peak and the light of 3 x 3 and 5 x 5 pixels are those of real kernels."""
    ours = camera.psf.kernel_at(camera.pixel_scale)
    half = min(len(kernel) // 2 for kernel in kernels)
    rows = np.array([_shape(kernel, half) for kernel in (ours, *kernels)])
    np.testing.assert_allclose(rows[0], np.median(rows[1:], axis=0), rtol=0.07)


def _shape(kernel: np.ndarray, half: int) -> list[float]:
    middle = len(kernel) // 2
    kernel = kernel[middle - half : middle + half + 1, middle - half : middle + half + 1]
    kernel = kernel / kernel.sum()
    light = [
        kernel[half - k : half + k + 1, half - k : half + k + 1].sum() for k in (0, 1, 2)
    ]
    return [kernel_fwhm(kernel), *light]
