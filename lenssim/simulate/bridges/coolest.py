"""Scenes as COOLEST documents (Galan et al. 2023, JOSS 8, 5567; coolest.readthedocs.io), and back.

Plain JSON of the standard's template, written without its package. Facts that COOLEST has no
field for are in `meta`, under "lenssim".
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate import conventions as c
from lenssim.simulate.bridges.assembly import ProfileEntry, assemble_scene
from lenssim.simulate.bridges.coolest_terms import (
    PARAMETERS,
    PROFILES,
    TYPES,
    critical_density,
    instrument_document,
    observation_document,
    parameters_of,
    values_of,
)
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.instruments import Instrument, one_band
from lenssim.simulate.scenes import Role, Scenes

__all__ = ["from_coolest", "to_coolest"]

_FIELDS = ("shear", "sheet")  # profiles of a MassField, which belong to no galaxy
_LIGHT_PROFILES = ("sersic",)
_MODELS = {"lens": "mass", "lens_light": "light", "source": "light"}

Profiles = list[tuple[str, dict[str, float]]]


def to_coolest(
    scenes: Scenes, i: int, instrument: Instrument, *, skip: bool = False
) -> dict[str, Any]:
    """Return system `i` as a COOLEST document in mode MOCK, ready for `json.dumps`.

    Deflections are those that the source sees. I_eff is in e-/s per pixel, as COOLEST's, and
    rho_c of an NFW halo in Msun/arcsec^3.

    Args:
        scenes: The scene table.
        i: Row of the system.
        instrument: The camera, of one band.
        skip: Whether to leave out profiles that COOLEST lacks; they are named in
            meta["lenssim"]["skipped"].

    Raises:
        ConfigError: COOLEST lacks a profile, and `skip` is off.
    """
    scene = scenes.take(slice(i, i + 1))
    instrument = one_band(instrument, "COOLEST describes")
    entries, skipped = _known_entries(_entries(scene, instrument), skip)
    entities, names = _entities(scene, entries, instrument)
    flat = scene.cosmology
    return {
        "standard": "COOLEST",
        "mode": "MOCK",
        "meta": {"lenssim": {"names": names, "Ob0": flat.Ob0, "skipped": skipped}},
        "coordinates_origin": {"ra": "00h00m00s", "dec": "+00d00m00s"},
        "cosmology": {"H0": flat.H0, "Om0": flat.Om0, "astropy_name": "FlatLambdaCDM"},
        "instrument": instrument_document(instrument),
        "observation": observation_document(instrument),
        "lensing_entities": entities,
    }


def _known_entries(
    entries: list[ProfileEntry], skip: bool
) -> tuple[list[ProfileEntry], dict[str, int]]:
    """Return the entries that COOLEST knows, and the numbers of others by profile."""
    skipped: dict[str, int] = {}
    for entry in entries:
        if entry.profile in TYPES:
            continue
        if not skip:
            raise ConfigError(
                f"COOLEST has no {entry.profile!r} (it has {', '.join(TYPES)}): use "
                "to_lenstronomy or to_autolens, or skip=True to write a document without it",
                code="no-counterpart",
                profile=entry.profile,
            )
        skipped[entry.profile] = skipped.get(entry.profile, 0) + 1
    return [entry for entry in entries if entry.profile in TYPES], skipped


def _entities(
    scene: Scenes, entries: list[ProfileEntry], instrument: Instrument
) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """Return COOLEST's lens, field and source, and the names of their profiles."""
    z_lens, z_source = (float(scene.params[name][0]) for name in ("z_lens", "z_source"))
    factor = float(scene.deflection_scale()[0])
    critical = critical_density(scene.cosmology, z_lens, z_source)
    members: dict[str, list[tuple[ProfileEntry, dict[str, float]]]] = {
        "lens": [],
        "field": [],
        "source": [],
    }
    for entry in entries:
        values = entry.values
        if entry.role == "lens":
            values = c.scaled(entry.profile, values, factor)
        parameters = parameters_of(entry.profile, values, instrument.pixel_scale, critical)
        members[_entity_of(entry)].append((entry, parameters))
    redshifts = {"lens": z_lens, "field": z_lens, "source": z_source}
    entities: list[dict[str, Any]] = []
    names: list[list[str]] = []
    for number, (name, profiles) in enumerate(members.items()):
        if name == "field" and not profiles:
            continue
        entity, entity_names = _entity_document(number, name, redshifts[name], profiles)
        entities.append(entity)
        names.append(entity_names)
    return entities, names


def _entity_of(entry: ProfileEntry) -> str:
    if entry.profile in _FIELDS:
        return "field"
    if entry.role == "source":
        return "source"
    return "lens"


def _entity_document(
    number: int,
    name: str,
    redshift: float,
    members: list[tuple[ProfileEntry, dict[str, float]]],
) -> tuple[dict[str, Any], list[str]]:
    """Return one entity of COOLEST, and the names of its profiles: masses, then lights."""
    kind = "Galaxy"
    if name == "field":
        kind = "MassField"
    models: dict[str, list[dict[str, Any]]] = {"mass": [], "light": []}
    names: dict[str, list[str]] = {"mass": [], "light": []}
    for entry, parameters in members:
        model = _MODELS[entry.role]
        type_ = TYPES[entry.profile]
        tag = f"{number}-{kind.lower()}-{model}-{len(models[model])}-{type_}"
        models[model].append(_profile(type_, parameters, tag))
        names[model].append(entry.name)
    entity = {
        "type": kind,
        "name": name,
        "redshift": redshift,
        "mass_model": models["mass"],
    }
    if kind == "Galaxy":
        entity["light_model"] = models["light"]
    return entity, names["mass"] + names["light"]


def from_coolest(
    document: Mapping[str, Any] | str | Path, *, z_source_convention: float | None = None
) -> Scenes:
    """Return the scene of a COOLEST document; intensities are per pixel of its instrument.

    Args:
        document: The document, or the path of its file.
        z_source_convention: Redshift of the source that deflections are to be stated for.

    Raises:
        ConfigError: A field is missing, a profile has no counterpart, or there are several lens
            or source planes.
    """
    document = _checked(document)
    where = "the document"
    entities = [
        _entity(entity, k)
        for k, entity in enumerate(_field(document, "lensing_entities", where))
    ]
    instrument = _field(document, "instrument", where)
    pixel = float(_field(instrument, "pixel_size", "instrument"))
    z_lens, z_source = _planes(entities)
    extra = document.get("meta", {}).get("lenssim", {})
    cosmology = _cosmology(document, extra)
    redshifts = {"z_lens": z_lens, "z_source": z_source}
    factor = 1.0
    if z_source_convention is not None:
        redshifts["z_source_convention"] = z_source_convention
        planes = (np.array([z]) for z in redshifts.values())
        factor = float(cosmology.deflection_scale(*planes)[0])
    critical = critical_density(cosmology, z_lens, z_source)
    entries = []
    for k, (redshift, masses, lights) in enumerate(entities):
        names = iter(extra.get("names", [[]] * len(entities))[k])
        role: Role = "source" if redshift == z_source else "lens_light"
        for profile, parameters in masses:
            values = values_of(profile, parameters, pixel, critical)
            values = c.scaled(profile, values, 1 / factor)
            entries.append(ProfileEntry("lens", profile, values, next(names, "")))
        for profile, parameters in lights:
            values = values_of(profile, parameters, pixel, critical)
            entries.append(ProfileEntry(role, profile, values, next(names, "")))
    return assemble_scene(entries, redshifts, cosmology)


def _cosmology(document: Mapping[str, Any], extra: Mapping[str, Any]) -> Cosmology:
    flat = document.get("cosmology") or {"H0": 70.0, "Om0": 0.3}
    return Cosmology(
        H0=float(_field(flat, "H0", "cosmology")),
        Om0=float(_field(flat, "Om0", "cosmology")),
        Ob0=float(extra.get("Ob0", 0.0)),
    )


def _entries(scene: Scenes, instrument: Instrument) -> list[ProfileEntry]:
    """Return all components and perturbers of a scene table of one system."""
    entries = []
    for component in scene.components:
        values = {
            name: float(column[0])
            for name, column in scene.of(component, instrument.zero_point).items()
        }
        name = component.prefix + component.profile
        entries.append(ProfileEntry(component.role, component.profile, values, name))
    for kind, table in scene.perturbers.items():
        columns = table.of(0)
        for k, row in enumerate(zip(*columns.values(), strict=True)):
            values = dict(zip(columns, map(float, row), strict=True))
            entries.append(ProfileEntry("lens", kind, values, f"{kind}_{k}"))
    return entries


def _profile(type_: str, parameters: Mapping[str, float], tag: str) -> dict[str, Any]:
    return {
        "type": type_,
        "id": tag,
        "parameters": {
            name: {
                "id": f"{tag}-{name}",
                "point_estimate": {"value": float(value)},
                "prior": {"type": None},
            }
            for name, value in parameters.items()
        },
    }


def _checked(document: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    """Return a document of the standard, read from its file if need be."""
    if not isinstance(document, Mapping):
        document = _read(Path(document))
    if document.get("standard", "COOLEST") != "COOLEST":
        raise ConfigError(
            f"the document's standard is {document['standard']!r}, not COOLEST",
            code="coolest-invalid",
        )
    return document


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read the COOLEST document {path}: {error}",
            code="coolest-invalid",
            path=path,
        ) from None
    if not isinstance(document, dict):
        raise ConfigError(
            f"the COOLEST document {path} must be a JSON object, got {type(document).__name__}",
            code="coolest-invalid",
            path=path,
        )
    return document


def _field(owner: Any, name: str, where: str) -> Any:
    if not isinstance(owner, Mapping) or owner.get(name) is None:
        raise ConfigError(
            f"COOLEST: {where} has no {name!r}, which a scene needs",
            code="coolest-invalid",
            where=where,
            name=name,
        )
    return owner[name]


def _entity(entity: Any, k: int) -> tuple[float, Profiles, Profiles]:
    """Return the redshift, the masses and the lights of entity `k`."""
    where = f"lensing_entities[{k}]"
    redshift = float(_field(entity, "redshift", where))
    masses = _model(entity, "mass_model", where)
    lights = _model(entity, "light_model", where)
    return redshift, masses, lights


def _model(entity: Any, model: str, where: str) -> Profiles:
    profiles = []
    for j, profile in enumerate(entity.get(model) or ()):
        path = f"{where}.{model}[{j}]"
        type_ = _field(profile, "type", path)
        is_light = PROFILES.get(type_) in _LIGHT_PROFILES
        if type_ not in PARAMETERS or is_light != (model == "light_model"):
            raise ConfigError(
                f"COOLEST: {path} is {type_!r}; a scene can be made of {', '.join(PARAMETERS)}",
                code="no-counterpart",
                profile=type_,
                path=path,
            )
        parameters = _field(profile, "parameters", path)
        numbers = {name: _number(parameters, name, path) for name in PARAMETERS[type_]}
        profiles.append((PROFILES[type_], numbers))
    return profiles


def _number(parameters: Any, name: str, path: str) -> float:
    parameter = _field(parameters, name, path)
    estimate = _field(parameter, "point_estimate", f"{path}.{name}")
    return float(_field(estimate, "value", f"{path}.{name}"))


def _planes(entities: list[tuple[float, Profiles, Profiles]]) -> tuple[float, float]:
    lens = sorted({redshift for redshift, masses, _ in entities if masses})
    if len(lens) != 1:
        raise ConfigError(
            f"COOLEST: masses at redshifts {', '.join(map(str, lens)) or 'none'}; a scene has "
            "one lens plane",
            code="lens-planes",
        )
    sources = sorted(
        {redshift for redshift, _, lights in entities if lights and redshift != lens[0]}
    )
    if len(sources) != 1 or sources[0] < lens[0]:
        raise ConfigError(
            f"COOLEST: light at redshifts {', '.join(map(str, sources)) or 'none'} besides the "
            f"lens's {lens[0]:g}; a scene has one source plane behind its lens",
            code="lens-planes",
        )
    return lens[0], sources[0]
