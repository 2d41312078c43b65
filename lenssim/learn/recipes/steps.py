"""Steps of a recipe: what each of its keys may say."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, override

from pydantic import Field, ValidationError, model_validator

from lenssim.data.exchange.importer import Importer
from lenssim.data.exchange.importers import importer_class
from lenssim.data.generation.request import GenerationRequest
from lenssim.errors import from_validation
from lenssim.learn.population.options import PopulationOptions
from lenssim.record import Record
from lenssim.sky.models.request import FitRequest
from lenssim.sky.models.sensitivities import SensitivityOptions

__all__ = [
    "EvaluateStep",
    "FitStep",
    "GenerateStep",
    "ImportStep",
    "LensesStep",
    "PopulationStep",
]

_ELSEWHERE = (
    "start",
    "native_scale",
    "skip_bad",
)  # fields of a fit that a recipe says otherwise
_Mass = Annotated[float, Field(ge=1e5, le=1e13)]
_Redshift = Annotated[float, Field(gt=1e-3, le=10)]


class GenerateStep(GenerationRequest):
    """A data set to simulate: every option of `lenssim generate` that says what it holds."""


class EvaluateStep(Record):
    """A run, or all runs of a line of `train`, by name, to be judged on a data set, by name."""

    run: str
    data: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of data sets."""
        return (self.data,)


class PopulationStep(EvaluateStep):
    """Runs, by name as in `evaluate`, to be asked for the populations of a data set: options of lenssim population."""

    images: tuple[Annotated[int, Field(ge=1)], ...] = ()
    calibration: str | None = None
    scatter: bool = False

    @override
    @property
    def sources(self) -> tuple[str, ...]:
        return (self.data,) if self.calibration is None else (self.data, self.calibration)

    def question(self, folder: Path) -> PopulationOptions:
        """With data sets in `folder`."""
        calibration = None
        if self.calibration:
            calibration = folder / self.calibration
        return PopulationOptions(self.images, calibration, self.scatter)


class ImportStep(Record):
    """Images of a telescope: options of `lenssim import`."""

    layout: Literal["fits", "challenge", "folder"] = "fits"
    source: Path
    options: dict[str, Any] = Field(default={})

    def importer(self) -> Importer:
        """Return the checked importer.

        Raises:
            ConfigError: An option is unknown, or a value cannot be.
        """
        try:
            return importer_class(self.layout).model_validate(self.options)
        except ValidationError as error:
            where = f"the options of the import of {self.source}"
            raise from_validation(error, where) from None


class FitStep(FitRequest):
    """Lenses to model: a data set of the recipe by name, and options of `lenssim fit`."""

    data: str

    @model_validator(mode="after")
    def _only_here(self) -> Self:
        """Refuse what a recipe says in other places."""
        for name in _ELSEWHERE:
            if getattr(self, name):
                raise ValueError(f"{name} is no option of a fit in a recipe")
        return self

    @property
    def request(self) -> FitRequest:
        """The options alone."""
        return FitRequest.model_validate(self.model_dump(exclude={"data"}))


class LensesStep(Record):
    """A page for each lens of a fit: model, classifier of its residual, sensitivity.

    `fit` names the fit, `run` a classifier of residuals.
    """

    fit: str
    run: str
    masses: tuple[_Mass, ...] = (1e8, 3e8, 1e9, 3e9, 1e10)
    positions: int = Field(default=40, ge=1, le=1000)
    z_lens: _Redshift = 0.2
    z_source: _Redshift = 0.6
    threshold: float = Field(default=100.0, gt=0, description="delta chi2 of a detection")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.masses or list(self.masses) != sorted(set(self.masses)):
            raise ValueError("masses must increase")
        if self.z_source <= self.z_lens:
            raise ValueError("z_source must be larger than z_lens")
        return self

    @property
    def options(self) -> SensitivityOptions:
        """Which subhaloes are tried."""
        redshifts = (self.z_lens, self.z_source)
        return SensitivityOptions(self.masses, self.positions, redshifts)
