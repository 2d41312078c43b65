"""Kinds of noise, one a file. A new kind is a file and a line in `NOISES`."""

from lenssim.errors import unknown
from lenssim.simulate.noise.model import NoiseIdentity, NoiseModel
from lenssim.simulate.noise.nominal import NominalNoise
from lenssim.simulate.noise.none import NoNoise
from lenssim.simulate.noise.published import PublishedNoise
from lenssim.simulate.noise.telescope import TelescopeNoise

__all__ = ["NOISES", "NoiseIdentity", "NoiseModel", "noise_model"]

NOISES: dict[str, NoiseModel] = {
    model.name: model
    for model in (NoNoise(), NominalNoise(), PublishedNoise(), TelescopeNoise())
}


def noise_model(name: str) -> NoiseModel:
    """Return the kind of noise of that name.

    Raises:
        ConfigError: There is none; the message suggests the nearest name.

    Example:
        >>> noise_model("published").unit
        'e-'
    """
    if name not in NOISES:
        raise unknown("noise", name, NOISES, code="unknown-noise")
    return NOISES[name]
