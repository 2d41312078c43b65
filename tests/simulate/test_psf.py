"""Pixel kernels: both engines alike, flux kept, and kernels that cannot be."""

import numpy as np
import pytest
from astropy.io import fits

from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.preset import load_preset

PRESET = load_preset("III")


def with_psf(psf: dict) -> Instrument:
    return Instrument.model_validate({**PRESET.instrument.model_dump(), "psf": psf})


def lopsided(size: int) -> np.ndarray:
    kernel = np.random.default_rng(0).uniform(0, 1, (size, size)) ** 4
    return kernel / kernel.sum()


@pytest.mark.parametrize(
    ("sampling", "supersampling"), [(1, 1), (1, 2), (2, 2), (2, 4), (3, 3)]
)
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)]
)
def test_engines_agree(sampling, supersampling, precision, tolerance):
    camera = with_psf({"kernel": lopsided(9).tolist(), "supersampling": sampling})
    scenes = draw(PRESET, [0, 1, 2], seed=0)
    batched = engine("batched", precision=precision, device="cpu", kernels="eager")
    image = batched.render(scenes, camera, supersampling=supersampling)
    reference = engine("lenstronomy").render(scenes, camera, supersampling=supersampling)
    assert np.abs(image - reference).max() < tolerance * reference.max()


def test_a_kernel_of_one_pixel_changes_nothing_and_another_keeps_the_flux():
    scenes = draw(PRESET, [0], seed=0)
    renderer = engine("batched", precision="float64", device="cpu", kernels="eager")
    sharp = renderer.render(scenes, with_psf({"kernel": [[1.0]]}))
    blurred = renderer.render(scenes, with_psf({"kernel": lopsided(5).tolist()}))
    assert blurred[0, 0, 8:-8, 8:-8].sum() == pytest.approx(
        sharp[0, 0, 8:-8, 8:-8].sum(), rel=1e-2
    )
    middle = np.zeros((3, 3))
    middle[1, 1] = 1
    same = renderer.render(scenes, with_psf({"kernel": middle.tolist()}))
    np.testing.assert_allclose(same, sharp, rtol=0, atol=1e-12 * sharp.max())


@pytest.mark.parametrize("suffix", ["npy", "fits"])
def test_a_kernel_is_read_from_a_file_and_travels_as_numbers(tmp_path, suffix):
    kernel = 3 * lopsided(5)
    path = tmp_path / f"psf.{suffix}"
    np.save(path, kernel) if suffix == "npy" else fits.writeto(path, kernel)
    camera = with_psf({"kernel": str(path), "normalise": True})
    np.testing.assert_allclose(camera.psf.array(), lopsided(5), rtol=1e-12)
    path.unlink()
    assert Instrument.model_validate_json(camera.model_dump_json()) == camera


@pytest.mark.parametrize(
    ("psf", "message"),
    [
        ({"kernel": (np.ones((4, 4)) / 16).tolist()}, "odd number of pixels"),
        ({"kernel": np.ones((3, 3)).tolist()}, "must sum to 1, got 9"),
        ({"kernel": [[0.5, 0.5]]}, "must be square"),
        ({"kernel": [[float("nan")]]}, "finite"),
        ({"kernel": "nowhere.npy"}, "cannot read the kernel"),
        ({"kernel": "kernel.txt"}, ".npy or .fits"),
        ({"kernel": [[1.0]], "supersampling": 0}, "greater than or equal to 1"),
    ],
)
def test_impossible_kernels_are_refused(psf, message):
    with pytest.raises(ValueError, match=message):
        with_psf(psf)


def test_rays_must_be_as_fine_as_the_kernel():
    camera = with_psf({"kernel": lopsided(5).tolist(), "supersampling": 2})
    scenes = draw(PRESET, [0], seed=0)
    for name in ("batched", "lenstronomy"):
        with pytest.raises(ConfigError, match="multiple of that, got 3"):
            engine(name).render(scenes, camera, supersampling=3)
