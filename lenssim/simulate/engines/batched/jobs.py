"""Which kernels the images of scenes need."""

from lenssim.simulate.engines.batched.compilers import Job
from lenssim.simulate.engines.batched.deflections import Deflections
from lenssim.simulate.engines.batched.hoisted import brightness_job, light_jobs
from lenssim.simulate.engines.batched.light import sampling_error
from lenssim.simulate.instruments import ADAPTIVE, AnyCamera, Supersampling
from lenssim.simulate.scenes import Scenes

__all__ = ["needed_jobs"]


def needed_jobs(
    deflections: Deflections,
    scenes: Scenes,
    instrument: AnyCamera,
    supersampling: Supersampling,
) -> list[Job]:
    """Return the jobs of the kernels that images need, in the order of their use.

    Args:
        deflections: Those of the engine, with its precision and device.
        scenes: What is rendered.
        instrument: The camera.
        supersampling: Rays a pixel side, or "adaptive".
    """
    options = (deflections.dtype, deflections.device, deflections.compiled)
    jobs = [*deflections.jobs(scenes), *light_jobs(scenes, *options)]
    if supersampling == ADAPTIVE:
        bands = instrument.instruments
        sides = [band.num_pix * band.psf.supersampling for band in bands]
        name = f"{sampling_error.__module__}:sampling_error"
        jobs += [(name, (side, *options)) for side in sides]
        jobs.append(brightness_job(scenes, *options))  # of rays off the grid
    return list(dict.fromkeys(jobs))
