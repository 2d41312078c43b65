"""How many scenes are rendered at a time: what fits into the memory of a core or a card."""

import torch

from lenssim.errors import ConfigError
from lenssim.simulate.instruments import ADAPTIVE, AnyCamera, Supersampling

__all__ = ["MAX_RAYS", "RAYS_A_STEP", "SCENES", "rays_of_card", "scenes_a_step"]

SCENES = 64  # largest number of scenes a step
SCENES_OF_GPU = 1024  # a card needs more work at once than a core
RAYS_A_STEP = 1 << 22  # of several scenes: bounds the memory
MAX_RAYS = 1 << 26  # rays an image, some GiB
BYTES_A_RAY = 1024  # of a card's memory, with all that is computed of a ray
_CPU = torch.device("cpu")


def rays_of_card(memory: int) -> int:
    """Return the number of rays that a card takes at once.

    Args:
        memory: Its memory in bytes.

    Example:
        >>> rays_of_card(4 << 30) == RAYS_A_STEP
        True
    """
    return max(RAYS_A_STEP // 4, min(MAX_RAYS // 4, memory // BYTES_A_RAY))


def scenes_a_step(
    instrument: AnyCamera,
    supersampling: Supersampling,
    device: torch.device = _CPU,
) -> int:
    """Return the number of scenes rendered at a time.

    Raises:
        ConfigError: One image has more rays than fit into memory.
    """
    rays_a_pixel = supersampling
    if rays_a_pixel == ADAPTIVE:
        rays_a_pixel = max(band.psf.supersampling for band in instrument.instruments)
    side = instrument.num_pix * int(rays_a_pixel)
    if side**2 > MAX_RAYS:
        raise ConfigError(
            f"an image of {instrument.num_pix} x {instrument.num_pix} pixels of {supersampling} "
            f"rays a side has {side**2:.2g} rays, more than the {MAX_RAYS:.2g} that are kept in "
            "memory; lower num_pix or supersampling",
            code="too-many-rays",
            num_pix=instrument.num_pix,
            supersampling=supersampling,
        )
    if device.type == "cpu":
        return max(1, min(SCENES, RAYS_A_STEP // side**2))
    memory = torch.cuda.get_device_properties(device).total_memory
    return max(1, min(SCENES_OF_GPU, rays_of_card(memory) // side**2))
