"""The frame of a stamp: a real image is larger than what is fitted, so its stamp is an image."""

from dataclasses import replace

import numpy as np

from lenssim.simulate.fit.lens_model import LensModel
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.preparation import Prepared

__all__ = ["from_stamp", "stamp_of"]

_PLACES = ("center", "lens_light_center", "source_center", "source", "light")


def stamp_of(model: LensModel) -> tuple[Observation, LensModel]:
    """Return what was fitted of an image as an image, and the model about its middle.

    Pixels beyond the radius of the fit are masked.

    Args:
        model: The model, about the middle of its image.
    """
    prepared = model.result.prepared
    stamp = prepared.observation
    pixels = np.arange(len(stamp.image)) - prepared.origin
    in_circle = np.hypot(pixels[None], pixels[:, None]) * stamp.pixel_scale < prepared.cut
    middle = (len(stamp.image) - 1) / 2
    offset = (prepared.origin - middle) * stamp.pixel_scale
    centred = replace(prepared, offset=(offset, offset))
    result = replace(model.result, prepared=centred)
    shift = -_middle(prepared)
    numbers = _moved(model.numbers, shift)
    observation = replace(stamp, mask=stamp.mask & in_circle)
    return observation, replace(model, numbers=numbers, result=result)


def from_stamp(fitted: LensModel, model: LensModel, observation: Observation) -> LensModel:
    """Return a model of a stamp about the middle of its image.

    Args:
        fitted: The model of the stamp, see `stamp_of`.
        model: The model that the stamp was made from.
        observation: The image.
    """
    shift = _middle(model.result.prepared)
    jacobian = _jacobian(fitted.names, shift)
    pictures = {
        name: _placed(picture, model.result.prepared, observation)
        for name, picture in fitted.pictures.items()
    }
    return replace(
        fitted,
        numbers=_moved(fitted.numbers, shift),
        covariance=jacobian @ fitted.covariance @ jacobian.T,
        sandwich=jacobian @ fitted.sandwich @ jacobian.T,
        pictures=pictures,
        result=model.result,
    )


def _middle(prepared: Prepared) -> np.ndarray:
    """Return the place (x, y) [arcsec] of the stamp's middle, from the middle of the image."""
    stamp = prepared.observation
    middle = ((len(stamp.image) - 1) / 2 - prepared.origin) * stamp.pixel_scale
    return np.array(prepared.offset) + middle


def _moved(numbers: dict[str, float], shift: np.ndarray) -> dict[str, float]:
    """Return numbers about another origin. A scene's shear acts about it, so its source moves."""
    moved = dict(numbers)
    for place in _PLACES:
        for axis, step in zip("xy", shift, strict=True):
            name = f"{place}_{axis}"
            if name in moved:
                moved[name] += float(step)
    if "source_center_x" in moved:
        gamma1 = moved["gamma1"]
        gamma2 = moved["gamma2"]
        moved["source_center_x"] -= gamma1 * shift[0] + gamma2 * shift[1]
        moved["source_center_y"] -= gamma2 * shift[0] - gamma1 * shift[1]
    return moved


def _jacobian(names: tuple[str, ...], shift: np.ndarray) -> np.ndarray:
    """Return the derivatives (K, K) of the moved parameters by those before."""
    rows = {name: number for number, name in enumerate(names)}
    jacobian = np.eye(len(names))
    if {"source_center_x", "gamma1"} <= rows.keys():
        jacobian[rows["source_center_x"], rows["gamma1"]] = -shift[0]
        jacobian[rows["source_center_x"], rows["gamma2"]] = -shift[1]
        jacobian[rows["source_center_y"], rows["gamma1"]] = shift[1]
        jacobian[rows["source_center_y"], rows["gamma2"]] = -shift[0]
    return jacobian


def _placed(
    picture: np.ndarray, prepared: Prepared, observation: Observation
) -> np.ndarray:
    """Return a picture of a stamp on the pixels of its image, 0 beyond it."""
    height, width = observation.image.shape
    scale = observation.pixel_scale
    half = (len(picture) - 1) / 2
    x, y = _middle(prepared) / scale
    column = round(x - half + (width - 1) / 2)
    row = round(y - half + (height - 1) / 2)
    canvas = np.zeros((height, width))
    rows = slice(max(row, 0), min(row + len(picture), height))
    columns = slice(max(column, 0), min(column + len(picture), width))
    canvas[rows, columns] = picture[
        rows.start - row : rows.stop - row, columns.start - column : columns.stop - column
    ]
    return canvas
