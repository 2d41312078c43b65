"""The preset of a survey's images: its lenses come from a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lenssim.errors import unknown
from lenssim.names import printable
from lenssim.simulate.preset import Preset, load_preset, parse_preset
from lenssim.simulate.survey.double import SECOND
from lenssim.simulate.survey.survey import Survey

__all__ = ["survey_preset"]

_SMOOTH = "no_sub"
# Every number here is replaced by that of the table.
_LENS = [
    {"profile": "sie", "theta_E": 1, "e1": 0, "e2": 0, "center_x": 0, "center_y": 0},
    {"profile": "shear", "gamma1": 0, "gamma2": 0},
]
_LIGHT = {"profile": "sersic", "magnitude": 20, "R_sersic": 1, "e1": 0, "e2": 0}
_LIGHT |= {"center_x": 0, "center_y": 0}


def survey_preset(
    survey: Survey,
    table: Path,
    *,
    split: str,
    dark_matter: Sequence[str] = (),
    double_sources: bool = False,
) -> Preset:
    """Return the preset that shows the lenses of a survey's catalogue.

    Args:
        survey: The survey.
        table: The catalogue, see `LensTable`.
        split: The split that its lenses were drawn for.
        dark_matter: Classes of dark matter, of the preset `survey.classes_of`, which are put
            into the lenses in turn. None of them: smooth lenses.
        double_sources: Whether the table has second sources, which are shown too.

    Raises:
        ConfigError: There is no such class, or no such table.
    """
    models = load_preset(survey.classes_of).classes
    names = tuple(dark_matter) or (_SMOOTH,)
    for name in names:
        if name not in models:
            raise unknown("dark matter", printable(name), models, code="unknown-class")
    light = _light(survey)
    sources = [light | {"n_sersic": 1}]
    if double_sources:
        sources.append(sources[0] | {"name": SECOND.removesuffix("_")})
    document: dict[str, Any] = {
        "name": f"survey-{survey.name}",
        "summary": survey.summary,
        "reference": survey.reference,
        "instrument": survey.instrument.model_dump(mode="json"),
        "noise": ["nominal", "none"],
        "supersampling": "adaptive",
        "cosmology": survey.cosmology.model_dump(),
        "z_lens": 0.5,
        "z_source": 2.0,
        "lens": _LENS,
        "lens_light": [light | {"n_sersic": 4}],
        "source": sources,
        "classes": {name: models[name].model_dump(mode="json") for name in names},
        "lenses": {"path": str(table), "split": split},
    }
    return parse_preset(document, f"survey {survey.name}")


def _light(survey: Survey) -> dict[str, Any]:
    """Return a Sersic profile, with a colour in each band that lenses are not found in."""
    bands = survey.instrument.band_names
    colours = {band: 0 for band in bands if band != survey.detection_band}
    return _LIGHT | ({"colours": colours} if colours else {})
