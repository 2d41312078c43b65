"""The last fit of simulated lenses: a power law with shear and Sersic light, in batches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lenssim.simulate.engines.batched.engine import Batched
from lenssim.simulate.engines.batched.steps import SCENES
from lenssim.simulate.fit.flags import FLAGS
from lenssim.simulate.fit.lens_model import LensModel, is_above_noise
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.preparation import FLOOR
from lenssim.simulate.fit.refinement import Refined, refine, refined_scenes
from lenssim.simulate.fit.uncertainty import formal_covariance, sandwich_covariance
from lenssim.simulate.instruments import ADAPTIVE, Instrument
from lenssim.simulate.scenes import Scenes

__all__ = ["with_power_law"]

_OF_THE_FIT = {"poor-fit", "chi2"}  # flags of the search that a better fit takes away
_COMPARED = ("theta_E", "e1", "e2", "center_x", "center_y", "gamma1", "gamma2")


def with_power_law(
    observations: Sequence[Observation],
    models: Sequence[LensModel],
    camera: Instrument,
    columns: Sequence[Mapping[str, float]],
) -> list[LensModel]:
    """Return models with the numbers and pictures of a power law and Sersic light.

    The difference to the model with Gaussians is the systematic error of each parameter that
    both have.

    Args:
        observations: The N images.
        models: Their models with sources of Gaussians.
        camera: The camera of the images.
        columns: Further columns of each lens, such as redshifts and the one that tells the PSF.
    """
    results: list[LensModel] = []
    for start in range(0, len(models), SCENES):
        part = slice(start, start + SCENES)
        results += _refined(observations[part], models[part], camera, columns[part])
    return results


def _refined(
    observations: Sequence[Observation],
    models: Sequence[LensModel],
    camera: Instrument,
    columns: Sequence[Mapping[str, float]],
) -> list[LensModel]:
    starts = [
        refined_scenes(model.result, model.result.best, params=dict(further))
        for model, further in zip(models, columns, strict=True)
    ]
    images = np.stack([lens.image for lens in observations])
    sigma = np.stack([np.where(lens.mask, lens.sigma, np.inf) for lens in observations])
    refined = refine(images, sigma, Scenes.concatenate(starts), camera)
    rendered = (
        Batched("float32", "cpu", "compiled")
        .render(
            replace(refined.scenes, components=_without_light(refined.scenes)),
            camera,
            supersampling=ADAPTIVE,
        )[:, 0]
        .astype(np.float64)
    )
    return [
        _described(observations[row], models[row], refined, row, rendered[row])
        for row in range(len(models))
    ]


def _without_light(scenes: Scenes) -> tuple:
    return tuple(part for part in scenes.components if part.role != "lens_light")


def _described(
    observation: Observation, model: LensModel, refined: Refined, row: int, arcs: np.ndarray
) -> LensModel:
    """Return the model of one lens with the numbers of its last fit."""
    slopes = refined.slopes[row]
    noise = model.result.prepared.noise
    covariance = formal_covariance(slopes)
    sandwich = sandwich_covariance(slopes, observation.image.shape[1], noise)
    numbers = {
        name: value
        for name, value in model.numbers.items()
        if not name.endswith(("_sigma", "_sandwich"))
    }
    for number, name in enumerate(refined.columns):
        value = float(refined.values[row, number])
        if name in _COMPARED:
            numbers[f"{name}_systematic"] = abs(value - model.numbers[name])
        numbers[name] = value
        numbers[f"{name}_sigma"] = _root(covariance[number, number])
        numbers[f"{name}_sandwich"] = _root(sandwich[number, number])
    model_image = observation.image - refined.left[row]
    residual = np.where(observation.mask, refined.left[row] / observation.sigma, 0.0)
    pixels = int(observation.mask.sum())
    numbers["chi2"] = float((residual**2).sum())
    numbers["pixels"] = float(pixels)
    numbers["chi2_per_pixel"] = numbers["chi2"] / pixels
    softer = np.hypot(observation.sigma, FLOOR * observation.image)
    searched = ((residual * observation.sigma / softer) ** 2).sum() / pixels
    numbers["chi2_per_pixel_search"] = float(searched)
    pictures = {
        "model": np.where(observation.mask, model_image, 0.0),
        "lens_light": np.where(observation.mask, model_image - arcs, 0.0),
        "source": arcs,
        "residual": residual,
    }
    return replace(
        model,
        numbers=numbers,
        names=refined.columns,
        covariance=covariance,
        sandwich=sandwich,
        pictures=pictures,
        flags=_flags(model, numbers["chi2_per_pixel_search"]),
    )


def _flags(model: LensModel, chi2_per_pixel: float) -> tuple[str, ...]:
    """Return the flags of the search, but how well the last fit explains the image."""
    flags = set(model.flags) - _OF_THE_FIT
    if is_above_noise(model.result, chi2_per_pixel):
        flags.add("chi2")
    return tuple(name for name in FLAGS if name in flags)


def _root(variance: float) -> float:
    return float(np.sqrt(variance)) if variance >= 0 else float("nan")
