"""The lenses of a data set, as a fit takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.observations import Observation as Stored
from lenssim.errors import ConfigError, DataError, unknown
from lenssim.simulate.engines.batched.settings import cuda_or_cpu
from lenssim.simulate.fit.observation import Observation
from lenssim.simulate.fit.preparation import binned_psf
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.noise import noise_model
from lenssim.simulate.noise.model import FLUX_UNIT
from lenssim.simulate.noise.variance import noise_variance
from lenssim.sky.models.request import FitRequest

__all__ = ["Lenses", "lens_names"]

_JUDGED = 8  # lenses that tell which band is the clearest


@dataclass(frozen=True)
class Lenses:
    """The lenses of a data set and how they are to be modelled.

    Attributes:
        dataset: The data set.
        request: How they are modelled.
    """

    dataset: ShardDataset
    request: FitRequest

    @cached_property
    def band(self) -> int:
        """The number of the band that is fitted: as asked, or else the clearest one.

        Raises:
            ConfigError: There is no such band.
        """
        name = self.request.band
        if name is None:
            return self._clearest_band()
        bands = self.dataset.bands
        if name in bands:
            return bands.index(name)
        count = self.dataset.image_shape[0]
        if name.isdecimal() and int(name) < count:
            return int(name)
        raise unknown("band", name, bands or map(str, range(count)), code="unknown-band")

    def _clearest_band(self) -> int:
        count = self.dataset.image_shape[0]
        if count == 1:
            return 0
        names = self.dataset.bands or tuple(map(str, range(count)))
        requests = [self.request.model_copy(update={"band": name}) for name in names]
        return int(np.argmax([replace(self, request=of).clarity() for of in requests]))

    def clarity(self) -> float:
        """Return how much the first lenses show in the band: signal to noise over PSF width."""
        total = 0.0
        for row in range(min(_JUDGED, len(self.dataset))):
            try:
                lens = self.observation(row)
            except DataError:  # it cannot be fitted, so it does not tell
                continue
            signal = np.linalg.norm(np.where(lens.mask, lens.image / lens.sigma, 0))
            total += float(signal * np.linalg.norm(lens.psf))  # 1 / width of the PSF
        return total

    @property
    def band_words(self) -> str:
        """The band that is fitted, in words; "" where there is one only."""
        bands = self.dataset.bands
        if len(bands) < 2:
            return ""
        return f"band {bands[self.band]} of {', '.join(bands)}"

    @property
    def is_simulated(self) -> bool:
        """Whether the data set was simulated."""
        return self.dataset.spec is not None

    @property
    def camera(self) -> Instrument:
        """The camera of simulated images, in the band that is fitted."""
        assert self.dataset.spec is not None
        camera: Instrument = self.dataset.spec.preset.instrument.instruments[self.band]
        return camera

    @property
    def has_light(self) -> bool:
        """Whether the lenses shine: as asked, as simulated, or else yes."""
        if self.request.lens_light != "auto":
            return self.request.lens_light == "yes"
        if not self.is_simulated:
            return True
        return any(name.startswith("lens_light") for name in self.dataset.params)

    def check(self) -> None:
        """Refuse a data set that cannot be modelled, before any work.

        Raises:
            ConfigError: Images have no unit of flux, or there is no such band or device.
            DataError: The pixel scale is not known.
        """
        if self.dataset.pixel_scale is None:
            raise DataError(
                f"{self.dataset.folder}: the pixel scale is not known; import the images by "
                "lenssim import fits --pixel-scale",
                code="no-pixel-scale",
                folder=self.dataset.folder,
            )
        spec = self.dataset.spec
        if spec is not None and noise_model(spec.noise).unit != FLUX_UNIT:
            raise ConfigError(
                f"{self.dataset.folder}: its images are not in e-/s; a fit needs --noise "
                "nominal or telescope",
                code="no-residual",
            )
        if self.request.multipoles and self.request.source != "mge":
            raise ConfigError(
                "multipoles go with --source mge only",
                code="fit-source",
                source=self.request.source,
            )
        if self.request.device == "cuda":
            cuda_or_cpu("cuda")
        self.band  # noqa: B018 - raises if there is no such band

    def observation(self, row: int) -> Observation:
        """Return what is known of a lens.

        Args:
            row: Row of the data set.

        Raises:
            DataError: The lens cannot be fitted; its code is "unfit-observation".
        """
        (stored,) = self.dataset.observations(np.array([row]))
        return self._checked(row, stored)

    def _checked(self, row: int, stored: Stored) -> Observation:
        image = stored.image[self.band]
        mask = stored.mask[self.band]
        sigma = None
        if stored.sigma is not None:
            sigma = stored.sigma[self.band]
        elif self.is_simulated:
            sigma = self._nominal_sigma(row, image)
        psf = None
        if stored.psf is not None:
            psf = stored.psf[self.band]
            supersampling = stored.psf_supersampling[self.band]
            if supersampling > 1:
                psf = binned_psf(psf, supersampling)
        if stored.pixel_scale is None:
            raise DataError(
                f"{stored.name}: its pixel scale is not known", code="unfit-observation"
            )
        return Observation.of(stored.name, image, sigma, psf, stored.pixel_scale, mask)

    def _nominal_sigma(self, row: int, image: np.ndarray) -> np.ndarray:
        """Return the noise that a camera states of an observed image (H, W)."""
        exposure_time = self.dataset.params.get("exposure_time")
        if exposure_time is not None:
            exposure_time = exposure_time[row : row + 1]
        variance = noise_variance(image[None, None], self.camera, exposure_time)
        return np.sqrt(variance[0, 0])

    def camera_columns(self, row: int) -> Mapping[str, float]:
        """Return the columns of a simulated lens that its camera asks for, and its redshifts."""
        names = ("z_lens", "z_source", "psf_index", "psf_fwhm", "exposure_time")
        params: dict[str, Any] = self.dataset.params
        return {name: float(params[name][row]) for name in names if name in params}


def lens_names(dataset: ShardDataset) -> tuple[str, ...]:
    """Return the names of the lenses: those of the data set, or else their numbers.

    Args:
        dataset: The data set.
    """
    return tuple(
        dataset.names.get(number, str(number)) for number in dataset.index.tolist()
    )
