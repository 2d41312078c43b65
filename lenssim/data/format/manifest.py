"""The plan that opens a data set's folder and the manifest that closes it."""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    model_serializer,
    model_validator,
)

from lenssim.data.format.differences import differences
from lenssim.data.format.files import (
    canonical_json,
    cause,
    read_json,
    signed_json,
    write_changed,
    write_json,
)
from lenssim.data.format.galaxy_records import with_first_recipe
from lenssim.data.format.records import Audit, Sha256, ShardRecord, Side
from lenssim.data.format.spec import GenerationSpec, asked_for
from lenssim.errors import ConfigError, DataError, from_validation
from lenssim.names import name_fault
from lenssim.record import Record
from lenssim.simulate.instruments import BandNames

__all__ = [
    "CATALOGUE",
    "SURVEY",
    "ClassName",
    "Manifest",
    "Plan",
    "check_size",
    "how_to_continue",
    "read_manifest",
    "read_plan",
    "read_record",
    "read_records",
    "shard_name",
    "sidecars",
]

PLAN = "plan.json"
MANIFEST = "manifest.json"
SHARDS = "shards"
CATALOGUE = "catalogue.csv"  # a table of the lenses that the images show
SURVEY = "survey.json"  # how many lenses a survey has


def _check_class(name: str) -> str:
    if fault := name_fault(name, "the class"):
        raise ValueError(fault)
    return name


ClassName = Annotated[str, AfterValidator(_check_class)]
_MAX_SAMPLES = 1 << 40  # samples; numbers beyond are damage or malice
_MAX_SHARDS = 1_000_000  # their names have six digits


def check_size(n: int, shard_size: int) -> None:
    """Check that a data set of `n` samples in shards of `shard_size` fits into one folder.

    Raises:
        ConfigError: There are too many samples or too many shards.
    """
    if n > _MAX_SAMPLES:
        raise ConfigError(
            f"a data set holds at most {_MAX_SAMPLES:,} samples, got {n:,}",
            code="data-too-large",
            n=n,
        )
    shards = -(-n // shard_size)
    if shards > _MAX_SHARDS:
        raise ConfigError(
            f"{n:,} samples in shards of {shard_size:,} are {shards:,} shards, and a data set has at most "
            f"{_MAX_SHARDS:,}; choose a larger --shard-size",
            code="data-too-large",
            n=n,
            shard_size=shard_size,
        )


def shard_name(number: int) -> str:
    """File name of a shard, inside `shards/`."""
    return f"{number:06d}.h5"


class Plan(Record):
    """What a folder is to hold, written before the first shard.

    `config` is everything its bits depend on (preset, seed, split, noise, engine, supersampling, versions of the
    engine's libraries; for an import, where the files came from); `n` and `shard_size` are not part of it.
    `hints` say where files lie on this machine, such as `galaxies`. They are no part of a data set's identity and are
    never written.
    """

    format: str = Field(default="lenssim-plan/1", pattern=r"^lenssim-plan/1$")
    n: int = Field(ge=1, le=_MAX_SAMPLES)
    shard_size: int = Field(ge=1, le=_MAX_SAMPLES)
    classes: tuple[ClassName, ...] = Field(min_length=1)
    config: dict[str, Any] = Field(repr=False)
    hints: dict[str, str] = Field(default_factory=dict, repr=False)

    @model_validator(mode="after")
    def _fits_a_folder(self) -> "Plan":
        try:
            check_size(self.n, self.shard_size)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def config_hash(self) -> str:
        """sha256 of the config as canonical JSON."""
        return hashlib.sha256(canonical_json(self.config)).hexdigest()

    @property
    def spec(self) -> GenerationSpec:
        """What `config` states; galaxies lie where `hints` say, if they do.

        Raises:
            ConfigError: The data were imported, or the config holds a preset that cannot be.
        """
        return GenerationSpec.from_config(
            self.config,
            self.hints.get("galaxies"),
            self.hints.get("background"),
            self.hints.get("lenses"),
        )

    @property
    def is_simulated(self) -> bool:
        """Whether the samples were simulated, rather than imported."""
        return self.config.get("kind") == "simulated"

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.n // self.shard_size)

    def rows(self, shard: int) -> range:
        """Sample numbers of a shard."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, self.n))

    def write(self, folder: Path) -> None:
        """Write plan.json."""
        write_json(folder / PLAN, self.model_dump(mode="json", exclude={"hints"}))

    def continuing(self, earlier: "Plan", folder: Path) -> "Plan":
        """Return this plan as the continuation of the one already in `folder`, whose config it takes over.

        Where files lie may differ, and the stream of the noise: the earlier one stays. Old plans name the path of their
        galaxies in the config, and keep it.

        Raises:
            ConfigError: The two do not make the same data set. The message lists every difference.
        """
        requested = with_first_recipe(self.config, earlier.config)
        lines = differences(asked_for(earlier.config), asked_for(requested))
        if earlier.shard_size != self.shard_size:
            lines.append(
                f"shard_size: {earlier.shard_size} there, {self.shard_size} asked for"
            )
        if earlier.n > self.n:
            lines.append(
                f"n: {earlier.n} there, {self.n} asked for (a data set can grow, not shrink)"
            )
        if lines:
            raise ConfigError(
                f"{folder} holds another data set:\n  " + "\n  ".join(lines) + "\n"
                "choose another --out, or repeat the options it was made with",
                code="config-differs",
            )
        return self.model_copy(update={"config": earlier.config})


class Manifest(Record):
    """The seal of a complete data set: every shard's record and a fingerprint of all contents."""

    format: str = Field(default="lenssim-manifest/1", pattern=r"^lenssim-manifest/1$")
    n: int = Field(ge=1, le=_MAX_SAMPLES)
    classes: tuple[ClassName, ...]
    config_hash: Sha256
    fingerprint: Sha256
    image_shape: tuple[Side, Side, Side]
    bands: BandNames = ()
    class_counts: dict[ClassName, int]
    audit: Audit | None = None
    shards: tuple[ShardRecord, ...] = Field(repr=False)

    @model_validator(mode="after")
    def _names_all_bands(self) -> "Manifest":
        if self.bands and len(self.bands) != self.image_shape[0]:
            raise ValueError(
                f"it names {len(self.bands)} bands of images of {self.image_shape[0]}"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_absent_bands(self, write: Any) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        if not self.bands:
            document.pop("bands", None)
        return document

    def write(self, folder: Path) -> None:
        """Write manifest.json: from here on the data set is complete."""
        write_changed(folder / MANIFEST, signed_json(self.model_dump(mode="json")))


def _parse(model: type[BaseModel], path: Path) -> Any:
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        where = f"{path} is not what lenssim writes"
        raise from_validation(error, where, kind=DataError) from None


def read_plan(folder: Path) -> Plan:
    """The plan of a data set's folder; `DataError` if there is none."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no folder; a data set is the folder given to --out",
            code="no-folder",
            folder=folder,
        )
    if not (folder / PLAN).exists():
        raise DataError(
            f"{folder} holds no data set (no {PLAN})", code="no-data-set", folder=folder
        )
    return _parse(Plan, folder / PLAN)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a complete data set; `DataError` if it is missing, with what that means."""
    plan = read_plan(folder)
    if not (folder / MANIFEST).exists():
        raise DataError(
            f"{folder} is incomplete: {how_to_continue(folder, plan, len(sidecars(folder, plan)))}",
            code="incomplete-data",
            folder=folder,
        )
    manifest: Manifest = _parse(Manifest, folder / MANIFEST)
    if len(manifest.shards) != plan.shards:
        counts = f"{len(manifest.shards)} shards, its plan {plan.shards}"
        raise DataError(
            f"{folder / MANIFEST} lists {counts}; repeat the command that made the data set",
            code="manifest-wrong",
            counts=counts,
        )
    return manifest


def how_to_continue(folder: Path, plan: Plan, done: int) -> str:
    """Say how many shards of a plan are done, and what makes the data set complete."""
    if done == plan.shards:
        return f"all {done} shards are there; lenssim seal {folder} completes it"
    return f"{done} of {plan.shards} shards; repeat its generate command to continue"


def read_record(folder: Path, plan: Plan, shard: int) -> ShardRecord | None:
    """The record of a finished shard of this plan; None if the shard has to be made (again)."""
    path = folder / SHARDS / shard_name(shard)
    try:
        document = read_json(path.with_suffix(".json"))
        if document.pop("config_hash", None) != plan.config_hash:
            return None
        record = ShardRecord.model_validate(document)
        rows = plan.rows(shard)
        fits = (record.rows, record.first, record.last) == (len(rows), rows[0], rows[-1])
        return record if fits and path.stat().st_size == record.bytes else None
    except (DataError, ValueError, OSError):
        return None


def sidecars(folder: Path, plan: Plan) -> list[int]:
    """Numbers of the shards of a plan that have a sidecar, in order: the work is bounded by the files there are."""
    try:
        with os.scandir(folder / SHARDS) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(
            f"cannot read {folder / SHARDS}: {cause(error)}", code="unreadable-file"
        ) from None
    numbers = [int(name[:6]) for name in names if re.fullmatch(r"[0-9]{6}\.json", name)]
    return sorted(number for number in numbers if number < plan.shards)


def read_records(folder: Path, plan: Plan) -> dict[int, ShardRecord]:
    """Records of the finished shards of a plan, by number, in order."""
    records = {}
    for shard in sidecars(folder, plan):
        record = read_record(folder, plan, shard)
        if record is not None:
            records[shard] = record
    return records
