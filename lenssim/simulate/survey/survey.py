"""Surveys: a camera, the lenses of its sky, and the rule by which they are found."""

from collections.abc import Iterator
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError, model_validator

from lenssim.errors import ConfigError, from_validation, unknown
from lenssim.formats.texts import read_text
from lenssim.formats.yaml import parse_yaml
from lenssim.names import printable
from lenssim.record import Record
from lenssim.simulate.camera_choice import PresetCamera
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.profiles import COLOUR
from lenssim.simulate.sources.colours import (
    GALAXY_TYPES,
    apparent_magnitude,
    colours_of_types,
    filter_of,
)
from lenssim.simulate.streams import SURVEY, check_seed, generator
from lenssim.simulate.survey.deflectors import Deflectors
from lenssim.simulate.survey.lenses import SkyModel
from lenssim.simulate.survey.rules import check_rule, found
from lenssim.simulate.survey.scenes import shape_columns
from lenssim.simulate.survey.sources import Sources

__all__ = ["Survey", "load_survey", "surveys"]

_ELLIPTICAL = "E"
_SMALLEST = 0.001  # arcsec, of a source: the bound of R_sersic
_MOST_LIKE = 4  # surveys that one is like
_FAINTEST = 60.0  # mag, the bound of a magnitude


class Survey(Record):
    """A survey: its camera, the model of its sky, and the rule of what it finds.

    Example:
        >>> survey = load_survey("euclid")
        >>> survey.rule, survey.area
        ('collett2015', 15000.0)
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    summary: str = ""
    reference: str = ""
    area: float = Field(gt=0, le=41253, description="of the survey [square degrees]")
    instrument: PresetCamera
    detection_band: str | None = Field(
        default=None, description="band that lenses are found in; needed by several bands"
    )
    seeing: float = Field(
        gt=0, le=10, description="FWHM that the rule calls seeing [arcsec]"
    )
    cosmology: Cosmology = Cosmology(H0=70, Om0=0.3, Ob0=0.05)
    deflectors: Deflectors = Deflectors()
    sources: Sources
    rule: str = "collett2015"
    classes_of: str = Field(
        default="euclid", description="preset whose dark matter may be put into the lenses"
    )

    @model_validator(mode="after")
    def _checked(self) -> "Survey":
        try:
            check_rule(self.rule)
            _ = self.detection_camera
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @cached_property
    def detection_camera(self) -> Instrument:
        """The band that lenses are found in, as an instrument."""
        camera = self.instrument
        if not camera.band_names:
            return camera.instruments[0]
        if self.detection_band is None:
            raise ConfigError(
                f"{camera.name} has the bands {', '.join(camera.band_names)}; state the "
                "detection_band",
                code="unknown-band",
                name=camera.name,
            )
        return camera.instruments[
            camera.band_names.index(_known_band(camera.band_names, self.detection_band))
        ]

    def draw_ideal(
        self, area: float, *, seed: int = 0, split: str = "train"
    ) -> dict[str, np.ndarray]:
        """Draw the ideal lenses of a part of the sky, which have a source inside their ring.

        Each square degree has its own random stream. So a larger area has the lenses of a
        smaller one, and some more.

        Args:
            area: Area [square degrees].
            seed: Seed of all random numbers.
            split: "train", "validation" or "test": three different skies.

        Returns:
            Columns (N,) of scenes, with `sigma_v`, magnitudes in the detection band, colours
            of further bands, and `drawn_area`, the square degrees up to each lens.

        Raises:
            ConfigError: The area holds no ideal lens.
        """
        check_seed(seed)
        parts = list(self.draw_degrees(area, seed=seed, split=split))
        names = parts[0]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
        if not len(columns["theta_E"]):
            raise ConfigError(
                f"no ideal lens on {area:g} square degrees: take a larger area, or more and "
                "fainter sources",
                code="no-survey-lenses",
                area=area,
            )
        return columns

    def draw_degrees(
        self, area: float, *, seed: int = 0, split: str = "train", first: int = 0
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yield the ideal lenses of one square degree after another.

        Args:
            area: As in `draw_ideal`.
            seed: As in `draw_ideal`.
            split: As in `draw_ideal`.
            first: Number of the square degree to begin with.
        """
        self.check_area(area)
        sky = self._sky
        for number in range(first, int(np.ceil(area))):
            lenses = sky.draw(generator(seed, split, SURVEY, number))
            lenses["drawn_area"] = number + lenses.pop("sky")
            rows = lenses["drawn_area"] < area
            part = {name: column[rows] for name, column in lenses.items()}
            yield self._observed(part)

    def check_area(self, area: float) -> None:
        """Refuse an area that is not above 0, or larger than the survey's.

        Raises:
            ConfigError: It is.
        """
        if not 0 < area <= self.area:
            raise ConfigError(
                f"the area must be above 0 and at most the survey's {self.area:g} square "
                f"degrees, got {area:g}",
                code="option-range",
                option="area",
                value=area,
            )

    def check_lenses(self) -> None:
        """Refuse limits of deflectors and sources within which no lens can be.

        Raises:
            ConfigError: The whole survey has less than one ideal lens in the mean.
        """
        if self.ideal_density * self.area < 1:
            raise ConfigError(
                f"the survey {self.name} can have no lens: of deflectors at z below "
                f"{self.deflectors.z_max:g} and the sources stated, its {self.area:g} square "
                f"degrees hold {self.ideal_density * self.area:.2g} ideal lenses in the mean",
                code="no-survey-lenses",
                name=self.name,
            )

    @cached_property
    def ideal_density(self) -> float:
        """Ideal lenses a square degree, in the mean."""
        return self._sky.density()

    @cached_property
    def _sky(self) -> SkyModel:
        return SkyModel(self.deflectors, self.sources, self.cosmology)

    def flags(self, lenses: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what the rule of Collett 2015 asks for beside signal to noise and magnification.

        Args:
            lenses: Columns (N,) with those of `detect`.

        Returns:
            Columns (N,) of 0 and 1: `resolved`, the images are longer than the seeing, and
            `separated`, theta_E^2 > R^2 + (seeing / 2)^2.
        """
        radius = lenses["source_R_sersic"]
        resolved = lenses["magnification"] * radius > self.seeing
        separated = lenses["theta_E"] ** 2 > radius**2 + (self.seeing / 2) ** 2
        return {
            "resolved": resolved.astype(np.float64),
            "separated": separated.astype(np.float64),
        }

    def found(self, lenses: dict[str, np.ndarray]) -> np.ndarray:
        """Return which lenses (N,) the survey's rule accepts, from columns with those of `detect`."""
        return found(self.rule, lenses, seeing=self.seeing)

    def _observed(self, lenses: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return columns of scenes, with magnitudes in the bands of the camera."""
        z_lens = lenses["z_lens"]
        filters = self._filters()
        reference = filters[self.detection_camera.name]
        lens_magnitude = apparent_magnitude(
            lenses["lens_light_absolute_magnitude"],
            z_lens,
            reference,
            _ELLIPTICAL,
            self.cosmology,
        )
        columns = {
            **lenses,
            **shape_columns(lenses),
            "lens_light_magnitude": np.minimum(lens_magnitude, _FAINTEST),
            "source_magnitude": self._source_magnitudes(lenses, reference),
            "source_R_sersic": np.maximum(lenses["source_R_sersic"], _SMALLEST),
        }
        return columns | self._colour_columns(lenses, filters)

    def _colour_columns(
        self, lenses: dict[str, np.ndarray], filters: dict[str, str]
    ) -> dict[str, np.ndarray]:
        """Return the colours (N,) of lens and source in each band but the reference."""
        elliptical = np.full(len(lenses["z_lens"]), float(GALAXY_TYPES.index(_ELLIPTICAL)))
        reference = filters[self.detection_camera.name]
        bands = zip(self.instrument.band_names, self.instrument.instruments, strict=False)
        columns = {}
        for name, camera in bands:
            if camera.name == self.detection_camera.name:
                continue
            band = filters[camera.name]
            columns[f"lens_light_{COLOUR}{name}"] = colours_of_types(
                lenses["z_lens"], elliptical, band, reference
            )
            columns[f"source_{COLOUR}{name}"] = colours_of_types(
                lenses["z_source"], lenses["source_kind"], band, reference
            )
        return columns

    def _filters(self) -> dict[str, str]:
        """Return the filter of each band, by the name of its instrument."""
        return {
            camera.name: camera.filter or filter_of(camera.name)
            for camera in self.instrument.instruments
        }

    def _source_magnitudes(
        self, lenses: dict[str, np.ndarray], reference: str
    ) -> np.ndarray:
        magnitudes = np.zeros(len(lenses["z_source"]))
        for code in np.unique(lenses["source_kind"]):
            of_kind = lenses["source_kind"] == code
            magnitudes[of_kind] = apparent_magnitude(
                lenses["source_absolute_magnitude"][of_kind],
                lenses["z_source"][of_kind],
                reference,
                GALAXY_TYPES[int(code)],
                self.cosmology,
            )
        return np.minimum(magnitudes, _FAINTEST)


def _known_band(bands: tuple[str, ...], name: str) -> str:
    if name not in bands:
        raise unknown("band", printable(name), bands, code="unknown-band")
    return name


def surveys() -> list[str]:
    """Return the names of the surveys that come with lenssim.

    Example:
        >>> "euclid" in surveys()
        True
    """
    files = resources.files(__package__).joinpath("surveys").iterdir()
    return sorted(
        file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")
    )


@lru_cache(maxsize=16)
def load_survey(name: str) -> Survey:
    """Return a survey.

    Args:
        name: Its name, or the path of a .yaml file. A file may be `like` a survey and state what
            differs.

    Raises:
        ConfigError: There is no such survey, or its file cannot be read.
    """
    where = f"survey {printable(name)}"
    folder = Path(name).parent if _is_file(name) else Path()
    document = _document(name, where)
    for _ in range(_MOST_LIKE):
        if "like" not in document:
            break
        base = _document(str(document["like"]), f"{where}, like {document['like']}")
        stated = {key: value for key, value in document.items() if key != "like"}
        document = base | stated
    try:
        return Survey.model_validate(document, context={"folder": folder})
    except ValidationError as error:
        raise from_validation(error, where) from None


def _is_file(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def _document(name: str, where: str) -> dict[str, Any]:
    """Return the document of a survey's file."""
    if _is_file(name):
        text = read_text(Path(name), "the survey")
    elif name in surveys():
        file = resources.files(__package__).joinpath("surveys", f"{name}.yaml")
        text = file.read_text(encoding="utf-8")
    else:
        raise unknown("survey", printable(name), surveys(), code="unknown-survey")
    document = parse_yaml(text, where)
    if not isinstance(document, dict):
        raise ConfigError(
            f"{where} must be a mapping of keys to values",
            code="settings-invalid",
            where=where,
        )
    return document
