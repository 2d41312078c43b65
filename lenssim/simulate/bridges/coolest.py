"""Scenes as COOLEST documents (Galan et al. 2023, JOSS 8, 5567; coolest.readthedocs.io), and back.

Plain JSON of the standard's template, written without its package. What COOLEST does not say is in `meta`, under
"lenssim".
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.errors import ConfigError
from lenssim.simulate import conventions as c
from lenssim.simulate.bridges.structure import Piece, scene_of
from lenssim.simulate.cosmology import Cosmology, critical_surface_density
from lenssim.simulate.instruments import GaussianPSF, Instrument
from lenssim.simulate.scenes import Scenes

__all__ = ["TYPES", "from_coolest", "to_coolest"]

TYPES = {
    "sie": "SIE",
    "epl": "PEMD",
    "shear": "ExternalShear",
    "sheet": "ConvergenceSheet",
    "nfw": "NFW",
    "sersic": "Sersic",
}
_NAMES = {coolest: name for name, coolest in TYPES.items()}
_PARAMETERS = {
    "SIE": ("theta_E", "q", "phi", "center_x", "center_y"),
    "PEMD": ("gamma", "theta_E", "q", "phi", "center_x", "center_y"),
    "ExternalShear": ("gamma_ext", "phi_ext"),
    "ConvergenceSheet": ("kappa_s",),
    "NFW": ("r_s", "rho_c", "q", "phi", "center_x", "center_y"),
    "Sersic": ("I_eff", "theta_eff", "n", "q", "phi", "center_x", "center_y"),
}
_FIELDS = ("shear", "sheet")  # COOLEST keeps what no galaxy holds in a MassField


def to_coolest(
    scenes: Scenes, i: int, instrument: Instrument, *, skip: bool = False
) -> dict[str, Any]:
    """System `i` as a COOLEST document in mode MOCK, ready for `json.dumps`.

    Deflections are those that the source sees; I_eff is in e-/s per pixel, as COOLEST's, and rho_c of an NFW halo in
    Msun/arcsec^3. `ConfigError` for a profile that COOLEST does not know; with `skip` it is left out and named in
    meta["lenssim"]["skipped"].
    """
    scene = scenes.take(slice(i, i + 1))
    z_lens, z_source = (float(scene.params[name][0]) for name in ("z_lens", "z_source"))
    factor = float(scene.deflection_scale()[0])
    critical = _critical(scene.cosmology, z_lens, z_source)
    skipped: dict[str, int] = {}
    found: list[
        tuple[str, str, str, dict[str, float]]
    ] = []  # role, profile, name, COOLEST parameters
    for role, profile, name, values in _profiles(scene, instrument):
        if profile not in TYPES:
            if not skip:
                raise ConfigError(
                    f"COOLEST has no {profile!r} (it has {', '.join(TYPES)}): use to_lenstronomy or to_autolens, or "
                    f"skip=True to write a document without it"
                )
            skipped[profile] = skipped.get(profile, 0) + 1
            continue
        own = c.scaled(profile, values, factor) if role == "lens" else values
        found.append(
            (
                role,
                profile,
                name,
                _parameters(profile, own, instrument.pixel_scale, critical),
            )
        )
    entities = []
    for number, (name, roles, redshift) in enumerate(
        (
            ("lens", ("lens", "lens_light"), z_lens),
            ("field", ("field",), z_lens),
            ("source", ("source",), z_source),
        )
    ):
        kind = "MassField" if name == "field" else "Galaxy"
        masses = []
        lights = []
        for role, profile, called, parameters in found:
            place = "field" if profile in _FIELDS else role
            if place in roles:
                group = masses if role == "lens" else lights
                tag = f"{number}-{kind.lower()}-{'mass' if role == 'lens' else 'light'}-{len(group)}-{TYPES[profile]}"
                group.append((_profile(TYPES[profile], parameters, tag), called))
        entity = {
            "type": kind,
            "name": name,
            "redshift": redshift,
            "mass_model": [own for own, _ in masses],
        }
        if kind == "Galaxy":
            entity["light_model"] = [own for own, _ in lights]
        if name != "field" or masses:
            entities.append((entity, [called for _, called in (*masses, *lights)]))
    about = {
        "names": [names for _, names in entities],
        "Ob0": scene.cosmology.Ob0,
        "skipped": skipped,
    }
    flat = scene.cosmology
    return {
        "standard": "COOLEST",
        "mode": "MOCK",
        "meta": {"lenssim": about},
        "coordinates_origin": {"ra": "00h00m00s", "dec": "+00d00m00s"},
        "cosmology": {"H0": flat.H0, "Om0": flat.Om0, "astropy_name": "FlatLambdaCDM"},
        "instrument": _instrument(instrument),
        "observation": _observation(instrument),
        "lensing_entities": [entity for entity, _ in entities],
    }


def from_coolest(
    document: Mapping[str, Any] | str | Path, *, z_source_convention: float | None = None
) -> Scenes:
    """The scene of a COOLEST document, or of the file of that path; intensities per pixel of its instrument.

    `ConfigError` names a field that is missing, a profile that a scene cannot say, and several lens or source planes.
    """
    if not isinstance(document, Mapping):
        document = _read(Path(document))
    if document.get("standard", "COOLEST") != "COOLEST":
        raise ConfigError(
            f"the document's standard is {document['standard']!r}, not COOLEST"
        )
    entities = [
        _entity(entity, k)
        for k, entity in enumerate(_field(document, "lensing_entities", "the document"))
    ]
    pixel = float(
        _field(_field(document, "instrument", "the document"), "pixel_size", "instrument")
    )
    z_lens, z_source = _planes(entities)
    about = document.get("meta", {}).get("lenssim", {})
    flat = document.get("cosmology") or {"H0": 70.0, "Om0": 0.3}
    cosmology = Cosmology(
        H0=float(_field(flat, "H0", "cosmology")),
        Om0=float(_field(flat, "Om0", "cosmology")),
        Ob0=float(about.get("Ob0", 0.0)),
    )
    redshifts = {"z_lens": z_lens, "z_source": z_source}
    factor = 1.0
    if z_source_convention is not None:
        redshifts["z_source_convention"] = z_source_convention
        factor = float(
            cosmology.deflection_scale(*(np.array([z]) for z in redshifts.values()))[0]
        )
    critical = _critical(cosmology, z_lens, z_source)
    pieces = []
    for k, (redshift, masses, lights) in enumerate(entities):
        names = iter(about.get("names", [[]] * len(entities))[k])
        for role, own in (
            ("lens", masses),
            ("source" if redshift == z_source else "lens_light", lights),
        ):
            for profile, parameters in own:
                values = _values(profile, parameters, pixel, critical)
                values = c.scaled(profile, values, 1 / factor) if role == "lens" else values
                pieces.append(Piece(role, profile, values, next(names, "")))
    return scene_of(pieces, redshifts, cosmology)


def _profiles(
    scene: Scenes, instrument: Instrument
) -> list[tuple[str, str, str, dict[str, float]]]:
    found = []
    for component in scene.components:
        values = {
            name: float(column[0])
            for name, column in scene.of(component, instrument.zero_point).items()
        }
        found.append(
            (
                component.role,
                component.profile,
                component.prefix + component.profile,
                values,
            )
        )
    for kind, table in scene.perturbers.items():
        own = table.of(0)
        for k, row in enumerate(zip(*own.values(), strict=True)):
            found.append(
                ("lens", kind, f"{kind}_{k}", dict(zip(own, map(float, row), strict=True)))
            )
    return found


def _critical(cosmology: Cosmology, z_lens: float, z_source: float) -> float:
    """Critical surface density in Msun/arcsec^2."""
    at_lens = np.array([z_lens])
    at_source = np.array([z_source])
    per_kpc2 = critical_surface_density(cosmology, at_lens, at_source)
    return float((per_kpc2 * cosmology.kpc_per_arcsec(at_lens) ** 2)[0])


def _parameters(
    profile: str, v: Mapping[str, float], pixel: float, critical: float
) -> dict[str, float]:
    if profile == "shear":
        return dict(
            zip(
                ("gamma_ext", "phi_ext"),
                c.shear_to_coolest(v["gamma1"], v["gamma2"]),
                strict=True,
            )
        )
    if profile == "sheet":
        return {"kappa_s": v["kappa"]}
    e1 = v.get("e1", 0.0)
    e2 = v.get("e2", 0.0)
    shape = {
        "q": c.axis_ratio(e1, e2),
        "phi": c.angle_to_coolest(c.position_angle(e1, e2)),
        "center_x": v["center_x"],
        "center_y": v["center_y"],
    }
    if profile == "nfw":
        return {
            "r_s": v["Rs"],
            "rho_c": c.nfw_density_to_coolest(v["alpha_Rs"], v["Rs"], critical),
            **shape,
        }
    if profile == "sersic":
        amp = c.intensity_to_autolens(v["amp"], pixel)
        return {"I_eff": amp, "theta_eff": v["R_sersic"], "n": v["n_sersic"], **shape}
    slope = {"gamma": v["gamma"]} if profile == "epl" else {}
    return {**slope, "theta_E": v["theta_E"], **shape}


def _values(
    profile: str, p: Mapping[str, float], pixel: float, critical: float
) -> dict[str, float]:
    if profile == "shear":
        return dict(
            zip(
                ("gamma1", "gamma2"),
                c.shear_from_coolest(p["gamma_ext"], p["phi_ext"]),
                strict=True,
            )
        )
    if profile == "sheet":
        return {"kappa": p["kappa_s"]}
    centre = {"center_x": p["center_x"], "center_y": p["center_y"]}
    if profile == "nfw":
        if p["q"] != 1:
            raise ConfigError(
                f"a scene's NFW halo is round; this one has q = {p['q']:g}. Use q = 1, or a PEMD"
            )
        return {
            "Rs": p["r_s"],
            "alpha_Rs": c.nfw_density_from_coolest(p["rho_c"], p["r_s"], critical),
            **centre,
        }
    shape = (
        dict(
            zip(
                ("e1", "e2"),
                c.ellipticity(p["q"], c.angle_from_coolest(p["phi"])),
                strict=True,
            )
        )
        | centre
    )
    if profile == "sersic":
        amp = c.intensity_from_autolens(p["I_eff"], pixel)
        return {"amp": amp, "R_sersic": p["theta_eff"], "n_sersic": p["n"], **shape}
    slope = {"gamma": p["gamma"]} if profile == "epl" else {}
    return {**slope, "theta_E": p["theta_E"], **shape}


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


def _instrument(instrument: Instrument) -> dict[str, Any]:
    psf: dict[str, Any] = {"type": None, "description": None}
    if isinstance(instrument.psf, GaussianPSF):  # in pixels, says the standard
        psf = {
            "type": "GaussianPSF",
            "description": None,
            "fwhm": instrument.psf.fwhm / instrument.pixel_scale,
        }
    return {
        "name": instrument.name,
        "band": "",
        "pixel_size": instrument.pixel_scale,
        "readout_noise": instrument.read_noise,
        "psf": psf,
    }


def _observation(instrument: Instrument) -> dict[str, Any]:
    n = instrument.num_pix
    half = instrument.num_pix * instrument.pixel_scale / 2
    return {
        "exposure_time": float(instrument.total_exposure()),
        "mag_zero_point": instrument.zero_point,
        "mag_sky_brightness": instrument.sky_brightness,
        "noise": {"type": None},
        "pixels": {
            "field_of_view_x": [-half, half],
            "field_of_view_y": [-half, half],
            "num_pix_x": n,
            "num_pix_y": n,
            "fits_file": {"path": None},
        },
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the COOLEST document {path}: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(
            f"the COOLEST document {path} must be a JSON object, got {type(document).__name__}"
        )
    return document


def _field(owner: Any, name: str, where: str) -> Any:
    if not isinstance(owner, Mapping) or owner.get(name) is None:
        raise ConfigError(f"COOLEST: {where} has no {name!r}, which a scene needs")
    return owner[name]


Profiles = list[tuple[str, dict[str, float]]]


def _entity(entity: Any, k: int) -> tuple[float, Profiles, Profiles]:
    where = f"lensing_entities[{k}]"
    redshift = float(_field(entity, "redshift", where))
    models = []
    for model in ("mass_model", "light_model"):
        own = []
        for j, profile in enumerate(entity.get(model) or ()):
            place = f"{where}.{model}[{j}]"
            type_ = _field(profile, "type", place)
            if type_ not in _PARAMETERS or (_NAMES[type_] == "sersic") == (
                model == "mass_model"
            ):
                raise ConfigError(
                    f"COOLEST: {place} is {type_!r}; a scene can be made of {', '.join(_PARAMETERS)}"
                )
            given = _field(profile, "parameters", place)
            numbers = {}
            for name in _PARAMETERS[type_]:
                estimate = _field(
                    _field(given, name, place), "point_estimate", f"{place}.{name}"
                )
                numbers[name] = float(_field(estimate, "value", f"{place}.{name}"))
            own.append((_NAMES[type_], numbers))
        models.append(own)
    return redshift, *models


def _planes(entities: list[tuple[float, Profiles, Profiles]]) -> tuple[float, float]:
    lens = sorted({redshift for redshift, masses, _ in entities if masses})
    if len(lens) != 1:
        raise ConfigError(
            f"COOLEST: masses at redshifts {', '.join(map(str, lens)) or 'none'}; a scene has one lens plane"
        )
    sources = sorted(
        {redshift for redshift, _, lights in entities if lights and redshift != lens[0]}
    )
    if len(sources) != 1 or sources[0] < lens[0]:
        raise ConfigError(
            f"COOLEST: light at redshifts {', '.join(map(str, sources)) or 'none'} besides the lens's {lens[0]:g}; a "
            f"scene has one source plane behind its lens"
        )
    return lens[0], sources[0]
