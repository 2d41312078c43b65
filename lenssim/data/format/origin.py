"""The origin of a data set: what its config says of how its images were made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lenssim.data.format.bands import bands_of

__all__ = ["Origin"]


@dataclass(frozen=True)
class Origin:
    """How images were simulated, or where they were imported from.

    Attributes:
        kind: simulated or imported; None if the config does not say so.
        preset: Name of the preset; None for imported images.
        instrument: Document of the preset's camera; None for imported images.
        source: Folder that was imported; None for simulated images.
        layout: Importer; None for simulated images.
        noise: Kind of noise.
        seed: Seed of the random numbers.
        split: Split of the random numbers.
        engine: Engine that rendered the images.
        supersampling: Rays a pixel side.
        bands: Names of the bands; none if they have no names.
        pixel_scale: Side of a pixel [arcsec]; None if nobody knows it.
        versions: Versions of the software, by name.

    Example:
        >>> origin = Origin.of({"kind": "imported", "source": "files/III"})
        >>> origin.made_by, origin.seed
        ('import of files/III', None)
    """

    kind: str | None
    preset: str | None
    instrument: Mapping[str, Any] | None
    source: str | None
    layout: str | None
    noise: str | None
    seed: int | None
    split: str | None
    engine: str | None
    supersampling: int | str | None
    bands: tuple[str, ...]
    pixel_scale: float | None
    versions: Mapping[str, str]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Return what a config says, be it of a data set or of one image."""
        preset = config.get("preset") or {}
        instrument = preset.get("instrument") or None
        return cls(
            kind=config.get("kind"),
            preset=preset.get("name"),
            instrument=instrument,
            source=config.get("source"),
            layout=config.get("layout"),
            noise=config.get("noise"),
            seed=config.get("seed"),
            split=config.get("split"),
            engine=config.get("engine"),
            supersampling=config.get("supersampling"),
            bands=bands_of(config),
            pixel_scale=(instrument or config).get("pixel_scale"),
            versions=config.get("versions") or {},
        )

    @property
    def made_by(self) -> str:
        """The preset, or the folder that was imported, in words."""
        return self.preset or f"import of {self.source}"

    def request(self) -> dict[str, int | str]:
        """Return noise, seed, split, engine and supersampling by name, as far as they are known."""
        values = {
            "noise": self.noise,
            "seed": self.seed,
            "split": self.split,
            "engine": self.engine,
            "supersampling": self.supersampling,
        }
        return {name: value for name, value in values.items() if value is not None}
