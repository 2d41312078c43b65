"""The model of one lens: numbers, errors, pictures, and what is not to be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lenssim.errors import ConfigError
from lenssim.simulate.fit.choice import chosen_by_evidence
from lenssim.simulate.fit.critical_curve import effective_radius, image_count
from lenssim.simulate.fit.flags import FLAGS
from lenssim.simulate.fit.minima import Minimum
from lenssim.simulate.fit.multipoles import MULTIPOLES
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.pixel_source import PixelFit
from lenssim.simulate.fit.preparation import FLOOR, Prepared, prepare
from lenssim.simulate.fit.projection import PARAMETERS, Evaluation, GaussianModel
from lenssim.simulate.fit.refinement import refined_scenes
from lenssim.simulate.fit.scan import Candidate
from lenssim.simulate.fit.search import SearchResult, at_bound, doubts, search
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.fit.spots import spots_chi2
from lenssim.simulate.fit.threads import one_thread
from lenssim.simulate.fit.tracing import MASS, SLOPE, mass_of
from lenssim.simulate.fit.uncertainty import formal_covariance, sandwich_covariance

__all__ = ["LensModel", "described", "fit_lens", "is_above_noise"]

RAYS = 4  # a pixel side, for errors and pictures
_MIN_GAIN = 100.0
_MIN_EXPLAINED = 0.5
_MIN_OVER_SPOTS = 1.02
_MAX_COMPANION_SHARE = 0.5
_MAX_OVER_EXPECTED = 1.5
_LEAST_EXPECTED = 0.3  # chi2 a pixel
_PSF_WIDTHS = (0.02, 2.0)  # arcsec at half maximum, of telescopes that resolve lenses
_MIN_HALF_SIZE = 1.2  # arcsec: smaller images hold no lens with its light
_MIN_PLATEAU = 4  # pixels with the same highest value
_LENS_FREE = tuple(range(11))


@dataclass(frozen=True)
class LensModel:
    """The model of a lens with a source of Gaussians.

    Attributes:
        name: The name of the lens.
        numbers: Numbers by the name of their column.
        names: Names of the K parameters of `covariance`.
        covariance: Formal covariance (K, K).
        sandwich: Covariance (K, K) under the measured noise.
        flags: What is not to be trusted, of `FLAGS`.
        pictures: Pictures float64 (H, W) on the pixels of the image: `model`, `lens_light`,
            `source` (the lensed source) in the image's unit, and `residual` in sigma.
        result: What the search found.
    """

    name: str
    numbers: dict[str, float]
    names: tuple[str, ...]
    covariance: np.ndarray
    sandwich: np.ndarray
    flags: tuple[str, ...]
    pictures: dict[str, np.ndarray]
    result: SearchResult


def fit_lens(
    observation: Observation,
    settings: Search,
    *,
    candidates: Sequence[Candidate] = (),
    device: str = "cpu",
    has_evidence: bool = False,
) -> LensModel:
    """Model one lens from scratch, with a source of Gaussians.

    Args:
        observation: The image and its companions.
        settings: How it is searched.
        candidates: Further starts, as of a network or a catalogue.
        device: "cpu" or "cuda".
        has_evidence: Whether the evidence of a source on pixels chooses among the minima.

    Returns:
        The model.

    Example:
        >>> y, x = np.mgrid[-32:32, -32:32] + 0.5
        >>> ring = np.exp(-((np.hypot(x, y) * 0.08 - 1.2) ** 2) / 0.02)
        >>> lens = Observation.of("ring", ring, np.full((64, 64), 0.02), None, 0.08)
        >>> model = fit_lens(lens, Search(has_light=False))
        >>> bool(abs(model.numbers["theta_E"] - 1.2) < 0.1)
        True
    """
    prepared = prepare(observation, has_light=settings.has_light)
    result = search([prepared], settings, [list(candidates)], device)[0]
    if not has_evidence:
        return described(observation, result)
    result, fits = chosen_by_evidence(result)
    model = described(observation, result)
    return replace(model, numbers=model.numbers | _pixel_numbers(model, fits))


def _pixel_numbers(model: LensModel, fits: list[PixelFit]) -> dict[str, float]:
    """Return evidences, and how the mass differs with a source on pixels."""
    numbers = {"log_evidence": fits[0].log_evidence, "log_evidence_gap": np.nan}
    if len(fits) > 1:
        numbers["log_evidence_gap"] = fits[0].log_evidence - fits[1].log_evidence
    numbers["chi2_per_pixel_source"] = fits[0].chi2 / model.result.pixels
    best = model.result.best.values
    parameters = dict(enumerate(MASS))
    if model.result.search.has_slope:
        parameters[SLOPE] = "gamma"
    for number, name in parameters.items():
        difference = float(fits[0].values[number] - best[number])
        numbers[f"{name}_systematic"] = abs(difference)
    return numbers


@one_thread
def described(observation: Observation, result: SearchResult) -> LensModel:
    """Return the model of a lens from what its search found."""
    rows = torch.tensor([0])
    best = result.best
    free = _free(result.search, best)
    model = result.model(floor=0.0, rays=RAYS).take(rows)
    values = best.values[None]
    state = model.evaluate(values, free)
    width = model.prior.width[0, free].numpy()
    slopes = state.slopes[0].numpy()
    prior = width**-2.0
    covariance = formal_covariance(slopes, prior)
    sandwich = sandwich_covariance(slopes, model.stamps.size, result.prepared.noise, prior)
    numbers = _numbers(result, state)
    names = tuple("gamma" if number == SLOPE else PARAMETERS[number] for number in free)
    for name, formal, correlated in zip(
        names, np.diag(covariance), np.diag(sandwich), strict=True
    ):
        numbers[f"{name}_sigma"] = float(np.sqrt(formal))
        numbers[f"{name}_sandwich"] = float(np.sqrt(max(correlated, 0.0)))
    pictures = _pictures(observation, result, model, values, state)
    flags = _flags(observation, result, numbers)
    return LensModel(
        observation.name, numbers, names, covariance, sandwich, flags, pictures, result
    )


def _free(settings: Search, minimum: Minimum) -> list[int]:
    free = [number for number in _LENS_FREE if minimum.has_shear or number not in (5, 6)]
    if settings.has_light:
        free += range(11, 17)
    if settings.has_multipoles:
        free += range(17, 21)
    if settings.has_slope:
        free.append(SLOPE)
    return free


def _numbers(result: SearchResult, state: Evaluation) -> dict[str, float]:
    """Return the parameters about the middle of the image, and the scores of the fit."""
    best = result.best
    numbers = dict(zip(PARAMETERS, best.values.tolist(), strict=True))
    for axis, shift in zip("xy", result.prepared.offset, strict=True):
        for role in ("center", "source", "light"):
            numbers[f"{role}_{axis}"] += shift
    if not result.search.has_light:
        for name in PARAMETERS[11:17]:
            del numbers[name]
    if not result.search.has_multipoles:
        for name in MULTIPOLES:
            del numbers[name]
    if result.search.has_slope:
        numbers["gamma"] = 2 + numbers["slope"]
    del numbers["slope"]
    mass = mass_of(best.values[None])[0]
    pixels = result.pixels
    numbers["theta_E_effective"] = effective_radius(mass)
    numbers["images"] = image_count(mass, float(best.values[7]), float(best.values[8]))
    numbers["chi2"] = float(state.chi2[0])
    numbers["pixels"] = float(pixels)
    numbers["chi2_per_pixel"] = float(state.chi2[0]) / pixels
    numbers["chi2_per_pixel_search"] = best.chi2 / pixels
    numbers["chi2_per_pixel_expected"] = result.prepared.noise.variance
    numbers["noise_correlation"] = result.prepared.noise.neighbours
    numbers["minima"] = float(len(result.minima))
    second = np.nan
    gap = np.nan
    if len(result.minima) > 1:
        second = float(result.minima[1].values[0])
        gap = result.minima[1].objective - best.objective
    numbers["theta_E_other"] = second
    numbers["objective_gap"] = gap
    numbers["companions"] = float(len(best.companions))
    numbers["clumps"] = float(len(best.clumps))
    return _equivalents(result) | numbers | _gains(result)


def _equivalents(result: SearchResult) -> dict[str, float]:
    """Return the lens as a scene with Sersic light, by the growth curves of its Gaussians."""
    try:
        scenes = refined_scenes(result, result.best)
    except ConfigError:  # there is no light
        return {}
    params = {name: float(column[0]) for name, column in scenes.params.items()}
    return {name: value for name, value in params.items() if not name.startswith("z_")}


def _gains(result: SearchResult) -> dict[str, float]:
    """Return what the source gains in chi2, and how that compares with light on the sky."""
    model = result.model(floor=FLOOR).take(torch.tensor([0]))
    without, with_spots = spots_chi2(model, result.best.values[None])
    gain = without - result.best.chi2
    noise = result.pixels * min(result.prepared.noise.variance, 1.0)
    return {
        "companion_share": _companion_share(model, result),
        "gain": gain,
        "explained": min(gain / max(without - noise, 1.0), 1.0),
        "gain_over_spots": gain / max(without - with_spots, 1.0),
    }


def _companion_share(model: GaussianModel, result: SearchResult) -> float:
    """Return the share of companions in the light of companions and arcs."""
    if model.companions is None:
        return 0.0
    values = result.best.values[None]
    amplitudes = model.evaluate(values, []).amplitudes
    _, arcs = model.images(values, amplitudes)
    beside = amplitudes[:, None, model.clump_columns.stop :] @ model.companions
    seen = model.stamps.weights > 0
    light = float((beside[:, 0] * seen).sum())
    return light / max(light + float((arcs * seen).sum()), 1e-300)


def _pictures(
    observation: Observation,
    result: SearchResult,
    model: GaussianModel,
    values: torch.Tensor,
    state: Evaluation,
) -> dict[str, np.ndarray]:
    """Return the pictures on the pixels of the picture image; 0 beyond the stamp."""
    light, arcs = model.images(values, state.amplitudes)
    side = model.stamps.size
    planes = {
        "model": (light + arcs)[0],
        "lens_light": light[0],
        "source": arcs[0],
        "residual": state.residual[0],
    }
    return {
        name: _placed(plane.reshape(side, side).cpu().numpy(), observation, result.prepared)
        for name, plane in planes.items()
    }


def _placed(plane: np.ndarray, observation: Observation, prepared: Prepared) -> np.ndarray:
    """Return a stamp on the pixels of its image."""
    height, width = observation.image.shape
    scale = observation.pixel_scale
    column = round(prepared.offset[0] / scale - prepared.origin + (width - 1) / 2)
    row = round(prepared.offset[1] / scale - prepared.origin + (height - 1) / 2)
    picture = np.zeros((height, width))
    rows = slice(max(row, 0), min(row + len(plane), height))
    columns = slice(max(column, 0), min(column + len(plane), width))
    picture[rows, columns] = plane[
        rows.start - row : rows.stop - row, columns.start - column : columns.stop - column
    ]
    return picture


def _flags(
    observation: Observation, result: SearchResult, numbers: dict[str, float]
) -> tuple[str, ...]:
    """Return what is not to be trusted."""
    flags = list(doubts(result))
    if at_bound(result.best.values) and "bound" not in flags:
        flags.append("bound")
    if is_above_noise(result, numbers["chi2_per_pixel_search"]):
        flags.append("chi2")
    if numbers["gain"] < _MIN_GAIN:
        flags.append("no-arcs")
    is_better = numbers["gain_over_spots"] > _MIN_OVER_SPOTS
    if numbers["explained"] < _MIN_EXPLAINED or not is_better:
        flags.append("no-lens")
    if numbers["companion_share"] > _MAX_COMPANION_SHARE:
        flags.append("crowded")
    if numbers["images"] < 2:
        flags.append("one-image")
    if _is_saturated(observation, result.prepared):
        flags.append("saturated")
    if not _is_plausible_scale(observation):
        flags.append("scale")
    flags += [remark for remark in observation.remarks if remark in FLAGS]
    return tuple(name for name in FLAGS if name in flags)


def is_above_noise(result: SearchResult, chi2_per_pixel: float) -> bool:
    """Return whether chi2 a pixel, with the noise of the search, is above what noise gives.

    Args:
        result: What the search found of the lens.
        chi2_per_pixel: Of a model of it.
    """
    expected = max(result.prepared.noise.variance, _LEAST_EXPECTED)
    return chi2_per_pixel > _MAX_OVER_EXPECTED * expected


def _is_saturated(observation: Observation, prepared: Prepared) -> bool:
    """Return whether pixels near the centre of the lens are masked, or cut off."""
    inner = prepared.observation
    pixels = np.arange(len(inner.image)) - prepared.origin
    is_central = np.hypot(pixels[None], pixels[:, None]) * inner.pixel_scale < 0.3
    if (~inner.mask & is_central).any():
        return True
    highest = float(inner.image[is_central].max())
    plateau = int((inner.image[is_central] == highest).sum())
    return highest > 0 and plateau >= _MIN_PLATEAU


def _is_plausible_scale(observation: Observation) -> bool:
    """Return whether the PSF and the image have sizes [arcsec] that telescopes give."""
    scale = observation.pixel_scale
    half_size = min(observation.image.shape) * scale / 2
    pixels = float((observation.psf > observation.psf.max() / 2).sum())
    width = 2 * np.sqrt(pixels / np.pi) * scale
    low, high = _PSF_WIDTHS
    is_known = "no-psf" not in observation.remarks
    return half_size >= _MIN_HALF_SIZE and (not is_known or low < width < high)
