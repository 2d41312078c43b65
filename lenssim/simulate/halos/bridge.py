"""Bridge from pyHalo's realisations to scenes, to check our populations with.

It needs `lenssim[halos]`.
"""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.scenes import Component, Perturbers, Scenes

__all__ = ["from_realizations", "pyhalo_realization", "realization_perturbers"]

# lenstronomy's names of what pyHalo makes, and the profiles and parameters of ours
_PROFILES = {
    "TNFW": ("tnfw", {"Rs": "Rs", "alpha_Rs": "alpha_Rs", "r_trunc": "r_trunc"}),
    "NFW": ("nfw", {"Rs": "Rs", "alpha_Rs": "alpha_Rs"}),
    "CNFW": ("cnfw", {"Rs": "Rs", "alpha_Rs": "alpha_Rs", "r_core": "r_core"}),
    "ULDM": ("uldm", {"kappa_0": "kappa_0", "theta_c": "theta_c"}),
    "POINT_MASS": ("point_mass", {"theta_E": "theta_E"}),
    "SIS": ("sie", {"theta_E": "theta_E"}),
}
_FILL = {"uldm": {"slope": 8.0}, "sie": {"e1": 0.0, "e2": 0.0}}
_GAUSSIAN_SLOPE = 40.0  # (1 + a r^2)^(1/2 - slope) is a Gaussian to 1 % of its peak


@contextmanager
def _isolated(seed: int) -> Iterator[None]:
    """Seed numpy's global generator within the block, and restore it and warning filters then.

    pyHalo draws from the global generator, silences the warnings of the whole process on
    import, and causes some.
    """
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def pyhalo_realization(
    preset: str, z_lens: float, z_source: float, *, seed: int, **options: Any
) -> Any:
    """Return a realisation of one of pyHalo's presets (CDM, WDM, ULDM, ...).

    Two calls with one seed give the same haloes, and the global generator does not change.
    pyHalo draws some properties of a halo only when they are read, so read them with
    `realization_perturbers` and the same seed.

    Args:
        preset: pyHalo's name of the preset.
        z_lens: Redshift of the lens.
        z_source: Redshift of the source.
        seed: Seed of the realisation.
        options: The preset's own options.

    Raises:
        ConfigError: pyHalo is not installed.
    """
    with _isolated(seed):
        try:
            from pyHalo.preset_models import preset_model_from_name
        except ImportError as error:
            raise ConfigError(
                f"pyHalo is not installed; install lenssim[halos] ({error})",
                code="package-missing",
                package="pyhalo",
            ) from None
        make = preset_model_from_name(preset)
    with _isolated(seed):  # once more: modules draw random numbers on import
        return make(z_lens, z_source, **copy.deepcopy(options))


def realization_perturbers(
    realization: Any, *, seed: int, in_plane: bool = True
) -> dict[str, dict[str, np.ndarray]]:
    """Return the columns (M,) of each kind of perturber of a pyHalo realisation.

    pyHalo states each halo at its own redshift. With `in_plane`, haloes in front of the lens and
    behind it are put into the lens plane as by `halos.field.Field`. The sheets that take away
    the haloes' mean mass, one a plane in pyHalo, become one `sheet`, scaled likewise.

    Args:
        realization: What `pyhalo_realization` returned.
        seed: The seed of that call.
        in_plane: Whether haloes outside the lens plane are put into it.

    Raises:
        ConfigError: There are such haloes and `in_plane` is off.
    """
    with _isolated(seed):
        names, redshifts, kwargs, _ = realization.lensing_quantities(
            add_mass_sheet_correction=True
        )
    z = np.asarray(redshifts, dtype=np.float64)
    z_lens = float(realization.lens_cosmo.z_lens)
    if not in_plane and (np.abs(z - z_lens) > 1e-6).any():
        raise ConfigError(
            "the realisation has haloes outside the lens plane, and in_plane is off",
            code="lens-planes",
        )
    stretch, strength = _effective_scales(realization, z)
    rows: dict[str, list[dict[str, float]]] = {}
    kappa = 0.0
    for name, values, longer, stronger in zip(
        names, kwargs, stretch, strength, strict=True
    ):
        if name == "CONVERGENCE":
            kappa += values["kappa"] * stronger / longer
            continue
        kind, row = _row(name, values)
        rows.setdefault(kind, []).append(_scaled(kind, row, longer, stronger))
    columns = {kind: _columns(kind_rows) for kind, kind_rows in rows.items()}
    if kappa:
        columns["sheet"] = {"kappa": np.array([kappa])}
    return columns


def _columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def _scaled(
    kind: str, row: dict[str, float], longer: float, stronger: float
) -> dict[str, float]:
    """Return a perturber `longer` times as large, with deflections `stronger` times as strong."""
    strength = {"alpha_Rs": stronger, "kappa_0": stronger / longer, "theta_E": stronger}
    if kind == "point_mass":
        strength["theta_E"] = np.sqrt(stronger * longer)
    lengths = dict.fromkeys(
        ("Rs", "r_trunc", "r_core", "theta_c", "center_x", "center_y"), longer
    )
    factors = {**lengths, **strength}
    return {key: value * factors.get(key, 1.0) for key, value in row.items()}


def _row(name: str, values: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    centre = {"center_x": float(values["center_x"]), "center_y": float(values["center_y"])}
    if name in ("GAUSSIAN", "GAUSSIAN_KAPPA"):  # amp / (2 pi sigma^2) exp(-r^2 / 2 sigma^2)
        slope = _GAUSSIAN_SLOPE
        theta_c = values["sigma"] * np.sqrt((2 * slope - 1) * (2 ** (1 / slope) - 1))
        central = values["amp"] / (2 * np.pi * values["sigma"] ** 2)
        return "uldm", {
            "kappa_0": float(central),
            "theta_c": float(theta_c),
            "slope": slope,
            **centre,
        }
    if name not in _PROFILES:
        raise unknown(
            "profile of a pyHalo realisation",
            name,
            [*_PROFILES, "GAUSSIAN", "CONVERGENCE"],
            code="unknown-profile",
        )
    kind, names = _PROFILES[name]
    return kind, {
        **{ours: float(values[theirs]) for theirs, ours in names.items()},
        **_FILL.get(kind, {}),
        **centre,
    }


def _effective_scales(
    realization: Any, redshifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return factors (M,) on angles of haloes behind the lens, and on deflections in front.

    They are 1 elsewhere.
    """
    lens_cosmo = realization.lens_cosmo
    distance_to = lens_cosmo.cosmo.D_C_transverse
    chi = {z: distance_to(z) for z in np.unique(redshifts)}
    lens = distance_to(lens_cosmo.z_lens)
    source = distance_to(lens_cosmo.z_source)
    distance = np.array([chi[z] for z in redshifts])
    nearer = np.minimum(distance, lens)
    farther = np.maximum(distance, lens)
    scale = 1 - 0.95 * (farther - nearer) * source / (farther * (source - nearer))
    behind = redshifts > lens_cosmo.z_lens
    front = redshifts < lens_cosmo.z_lens
    return np.where(behind, 1 / scale, 1.0), np.where(front, scale, 1.0)


def from_realizations(
    realizations: Sequence[Any],
    components: tuple[Component, ...],
    params: Mapping[str, np.ndarray],
    *,
    seed: int,
) -> Scenes:
    """Return the scenes of N pyHalo realisations, in order.

    Args:
        realizations: What `pyhalo_realization` returned, N of them.
        components: The smooth lens and the source of all scenes.
        params: Their parameters, columns (N,).
        seed: The seed of the first realisation; that of realisation i is `seed + i`.

    Raises:
        ConfigError: The numbers or redshifts of realisations and parameters disagree.
    """
    _check_redshifts(realizations, params)
    perturbers = [
        realization_perturbers(realization, seed=seed + i)
        for i, realization in enumerate(realizations)
    ]
    kinds = sorted(set().union(*perturbers))
    tables = {kind: _table(kind, perturbers) for kind in kinds}
    flat = realizations[0].lens_cosmo.cosmo.astropy
    cosmology = Cosmology(H0=flat.H0.value, Om0=flat.Om0, Ob0=flat.Ob0)
    return Scenes(components, dict(params), tables, cosmology)


def _check_redshifts(realizations: Sequence[Any], params: Mapping[str, np.ndarray]) -> None:
    if len(realizations) != len(params["z_lens"]):
        raise ConfigError(
            f"{len(realizations)} realisations for {len(params['z_lens'])} systems",
            code="realisations-differ",
        )
    for i, realization in enumerate(realizations):
        for name in ("z_lens", "z_source"):
            z = getattr(realization.lens_cosmo, name)
            if abs(float(z) - float(params[name][i])) > 1e-6:
                raise ConfigError(
                    f"realisation {i} has {name} {z}, the system {params[name][i]}",
                    code="realisations-differ",
                    name=name,
                )


def _table(kind: str, systems: Sequence[dict[str, dict[str, np.ndarray]]]) -> Perturbers:
    """Return one table of the perturbers of a kind of all systems."""
    columns = [system[kind] for system in systems if kind in system]
    counts = np.zeros(len(systems), np.int64)
    for i, system in enumerate(systems):
        if kind in system:
            counts[i] = len(next(iter(system[kind].values())))
    merged = {
        key: np.concatenate([system[key] for system in columns]) for key in columns[0]
    }
    return Perturbers.from_counts(counts, **merged)
