"""Images a second of each layer of the noise of telescopes, on one core.

OMP_NUM_THREADS=1 uv run python benchmarks/noise.py [COUNT]
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from lenssim.simulate.draw import draw
from lenssim.simulate.instruments import Instrument, instrument
from lenssim.simulate.noise import noise_model
from lenssim.simulate.noise.correlated import correlate, resampling_margin
from lenssim.simulate.noise.coverage import exposure_share
from lenssim.simulate.noise.deviates import NEWEST, normal_deviates
from lenssim.simulate.noise.shot import gaussian_shot, poisson_shot
from lenssim.simulate.preset import load_preset

SIDE = 64


def rate(name: str, count: int, step: Callable[[], object]) -> None:
    """Print the images a second of the fastest of three runs, in time of this process."""
    times = []
    for _ in range(3):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    print(f"{name:<34} {count / min(times):>10,.0f} images/s")


def camera_with(**numbers: object) -> Instrument:
    """Return an ACS camera with other numbers."""
    document = instrument("hst_acs_f814w").model_dump()
    return Instrument.model_validate({**document, "saturation": None, **numbers})


def main(count: int) -> None:
    """Print the rate of each layer."""
    numbers = np.arange(count)
    options = {"seed": 0, "split": "train"}
    shape = (1, SIDE, SIDE)
    flux = np.full((count, *shape), 0.01, np.float32)
    deviates = normal_deviates(NEWEST, numbers, shape, **options)
    rate(
        "normal deviates", count, lambda: normal_deviates(NEWEST, numbers, shape, **options)
    )
    rate(
        "shot noise, Gaussian",
        count,
        lambda: gaussian_shot(flux, np.float32(2200), deviates),
    )
    few = min(count, 2000)
    rng = np.random.default_rng(0)
    rate(
        "shot noise, Poisson",
        few,
        lambda: [poisson_shot(f, 2200.0, rng) for f in flux[:few]],
    )
    for kernel, native in (("drizzle", 0.05), ("drizzle", 0.08), ("bilinear", 0.15)):
        camera = camera_with(resampling={"kernel": kernel}, native_scale=native)
        side = SIDE + resampling_margin(camera)
        white = rng.standard_normal((count, side, side), dtype=np.float32)
        taps = len(camera.taps)
        name = f"resampling, {kernel}, {taps} taps"
        rate(name, count, lambda white=white, camera=camera: correlate(white, camera))
    y, x = np.mgrid[-20:21, -20:21]
    rho = np.exp(-(x**2 + y**2) / 4)
    measured = {"kernel": "measured", "measured": {"correlation": rho}}
    camera = camera_with(resampling=measured)
    side = SIDE + resampling_margin(camera)
    white = rng.standard_normal((few, side, side), dtype=np.float32)
    rate("resampling, measured (FFT)", few, lambda: correlate(white, camera))
    rays = camera_with(cosmic_rays={}, dead_pixels=0.001)
    rate(
        "cosmic rays, 4 exposures",
        few,
        lambda: [exposure_share(rays, 550.0, rng) for _ in range(few)],
    )
    scenes = draw(load_preset("III"), numbers, seed=0)
    model = noise_model("telescope")
    for shot in ("gaussian", "poisson"):
        camera = camera_with(shot_noise=shot)
        part = slice(0, few)
        rate(
            f"all of `telescope`, {shot}",
            few,
            lambda camera=camera, part=part: model.sample(
                flux[part], scenes.take(part), camera, numbers=numbers[part], **options
            ),
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
