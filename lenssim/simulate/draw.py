"""Drawing: (preset, seed, split, sample numbers) to scenes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lenssim.errors import ConfigError, unknown
from lenssim.names import printable
from lenssim.rows import row_numbers
from lenssim.simulate.bounds import Bounds
from lenssim.simulate.camera_choice import psf_columns
from lenssim.simulate.class_order import labels
from lenssim.simulate.columns import Columns, Fixed
from lenssim.simulate.composites.composite import follow_parts, share_colours
from lenssim.simulate.composites.settings import composites_of
from lenssim.simulate.conventions import ellipticity
from lenssim.simulate.dark_matter_draw import draw_dark_matter
from lenssim.simulate.dark_sources import darken_sources
from lenssim.simulate.placement import Placement
from lenssim.simulate.plane import LensPlane
from lenssim.simulate.preset import Preset
from lenssim.simulate.profiles import PARAMETERS, POLAR
from lenssim.simulate.psf.choice import psf_values
from lenssim.simulate.scenes import Perturbers, Scenes, check_redshifts
from lenssim.simulate.sources.early_types import isothermal_radius
from lenssim.simulate.sources.frame import GALAXY_SIDE, GALAXY_WIDTH
from lenssim.simulate.spectrum_draw import draw_spectra
from lenssim.simulate.streams import (
    BACKGROUND,
    BLOCK,
    COLOURS,
    MACRO,
    PSF,
    block_numbers,
    blocks,
    generator,
)

__all__ = ["column_names", "draw", "labels", "laws"]

SCALE = Bounds(1e-3, 1e3)  # of deflections, from z_source_convention to z_source
_MOST_DRAWS = 1000  # of a system that a placement refuses


def draw(
    preset: Preset,
    numbers: Sequence[int] | np.ndarray,
    *,
    seed: int,
    split: str = "train",
    fixed: Mapping[str, float] | None = None,
) -> Scenes:
    """The scenes of the samples `numbers` (N,). They depend on preset, seed, split and numbers alone.

    `fixed` sets columns by hand, by name; what follows from them (an Einstein radius from a mass, a vortex's length
    from the axion's mass) follows. `ConfigError` for a name that is not drawn, or numbers below 0.
    """
    numbers = row_numbers(numbers, what="sample numbers")
    if len(numbers) == 0:
        raise ConfigError(
            "no sample numbers: give at least one",
            code="sample-numbers",
        )
    fixed = dict(fixed or {})
    _check_numbers(fixed)
    parts: list[Scenes] = []
    positions_of_parts: list[np.ndarray] = []
    for block, positions, rows in blocks(numbers):
        parts.append(_draw_block(preset, seed, split, block, fixed).take(rows))
        positions_of_parts.append(positions)
    for name in fixed:
        if name not in parts[0].params:
            raise unknown(
                "parameter", printable(name), parts[0].params, code="unknown-parameter"
            )
    scenes = Scenes.concatenate(parts) if len(parts) > 1 else parts[0]
    order = np.argsort(np.concatenate(positions_of_parts), kind="stable")
    if (np.diff(order) == 1).all():
        return scenes
    return scenes.take(order)


def _check_numbers(fixed: Mapping[str, float]) -> None:
    """Raise `ConfigError` for a parameter that is set to no finite number."""
    for name, value in fixed.items():
        if not np.isfinite(value):
            raise ConfigError(
                f"parameter {name!r} must be a finite number, got {value}",
                code="parameter-value",
                name=name,
                value=value,
            )


def column_names(preset: Preset) -> list[str]:
    """Names of all columns a preset draws: those of /params in its shards."""
    return list(_draw_block(preset, 0, "train", 0, {}).params)


def laws(preset: Preset, name: str | None = None) -> dict[str, Any]:
    """What each column of the class `name`, or of all classes, is drawn from: a number or distribution, by column.

    Columns that follow from others are left out, those that classes draw differently, and lens and source of a preset
    whose placement chooses among them.
    """
    class_names = preset.class_names
    if name is not None:
        class_names = (class_names[preset.label(name)],)
    laws_by_class: list[dict[str, Any]] = []
    for class_name in class_names:
        classes = {class_name: preset.classes[class_name]}
        one_class = preset.model_copy(update={"classes": classes})
        laws_by_class.append(_draw_columns(one_class, 0, "train", 0, {})[0].laws)
    return {
        column: law
        for column, law in laws_by_class[0].items()
        if all(laws_of_class.get(column) == law for laws_of_class in laws_by_class)
    }


def _draw_block(
    preset: Preset, seed: int, split: str, block: int, fixed: Mapping[str, float]
) -> Scenes:
    columns, perturbers, units = _draw_columns(preset, seed, split, block, fixed)
    with columns.naming_samples():
        return Scenes(
            preset.components(),
            columns.values,
            perturbers,
            preset.cosmology,
            units,
            _images(preset),
        )


def _draw_columns(
    preset: Preset, seed: int, split: str, block: int, fixed: Mapping[str, float]
) -> tuple[Columns, dict[str, Perturbers], dict[str, str]]:
    """All columns of a block, its perturbers by kind, and the units of what dark matter says."""
    numbers = block_numbers(block)
    table = preset.lenses.of(numbers, split) if preset.lenses else {}
    rng = generator(seed, split, MACRO, block)
    columns = _draw_macro(preset, rng, {**table, **fixed}, split, numbers)
    columns.follow(table)
    _draw_colours(preset, seed, split, block, columns)
    z_lens, z_source = columns.values["z_lens"], columns.values["z_source"]
    solar = preset.masses.solar_einstein_radius(z_lens, z_source, preset.cosmology)
    plane = LensPlane(
        z_lens,
        columns.values.get("z_source_convention", z_source),
        preset.cosmology,
        solar,
        _half_frame(preset),
        dict(columns.values),
        truth=any(model.reports_truth for model in preset.classes.values()),
    )
    perturbers, units = draw_dark_matter(preset, seed, split, block, columns, plane)
    darken_sources(preset, columns, block_numbers(block))
    _draw_psfs(preset, seed, split, block, columns)
    if preset.background is not None:
        rng = generator(seed, split, BACKGROUND, block)
        preset.background.draw(columns, rng, preset.instrument, split)
    return columns, perturbers, units


def _draw_colours(
    preset: Preset, seed: int, split: str, block: int, columns: Columns
) -> None:
    """Draw the colours of light, on a stream of their own: without them all else is the same."""
    colours = preset.colours()
    rng = generator(seed, split, COLOURS, block)
    on_stream = replace(columns, rng=rng)  # it shares values and laws
    if colours:
        for name, value, bounds in colours:
            on_stream.draw(name, value, bounds)
        for composite, setting in composites_of(preset, "lens_light", "source"):
            share_colours(composite, columns, setting)
    draw_spectra(preset, on_stream)


def _draw_psfs(preset: Preset, seed: int, split: str, block: int, columns: Columns) -> None:
    """Draw which PSF each image has in each band, on streams of their own."""
    for number, (column, psf) in enumerate(psf_columns(preset.instrument)):
        if psf.column is not None:
            rng = generator(seed, split, PSF, block, number)
            values = columns.put(column, psf.sample(rng, columns.n))
            psf_values(psf, {psf.column: values})  # what is set by hand


def _images(preset: Preset) -> np.ndarray | None:
    return preset.galaxies.images() if preset.galaxies is not None else None


def _half_frame(preset: Preset) -> float:
    return preset.instrument.num_pix * preset.instrument.pixel_scale / 2


def _draw_macro(
    preset: Preset,
    rng: np.random.Generator,
    fixed: Mapping[str, Fixed],
    split: str,
    numbers: np.ndarray,
) -> Columns:
    """Lens and source of a block; what the preset's placement does not keep is drawn again."""
    columns = _draw_once(preset, rng, fixed, split, numbers)
    if preset.placement is None:
        return columns
    rows = np.arange(BLOCK)
    candidates = columns
    for _ in range(_MOST_DRAWS):
        values = {name: column[rows] for name, column in candidates.values.items()}
        trial = Columns(len(rows), rng, fixed, values)
        accepted = _place(preset, preset.placement, trial)
        for name, column in trial.values.items():
            target = columns.values.setdefault(name, np.full(BLOCK, np.nan))
            target[rows[accepted]] = column[accepted]
        rows = rows[~accepted]
        if not len(rows):
            columns.laws.clear()  # what is kept is not distributed as it was drawn
            return columns
        candidates = _draw_once(preset, rng, fixed, split, numbers)
    raise ConfigError(
        f"{len(rows)} of {BLOCK} systems were drawn {_MOST_DRAWS} times, never magnified by "
        f"{preset.placement.magnification:g} with {preset.placement.in_frame:.0%} of their light in the frame; "
        "lower these numbers in `placement`, make sources smaller or the stamp larger",
        code="placement-hopeless",
        magnification=preset.placement.magnification,
        in_frame=preset.placement.in_frame,
    )


def _place(preset: Preset, placement: Placement, columns: Columns) -> np.ndarray:
    """Place the sources of some systems; returns which of them (n,) the placement accepts."""
    z_lens = columns.values["z_lens"]
    z_source = columns.values["z_source"]
    convention = columns.values.get("z_source_convention", z_source)
    scale = preset.cosmology.deflection_scale(z_lens, z_source, convention)
    accepted = placement.place(
        columns, preset.components(), scale, _half_frame(preset), _images(preset)
    )
    for composite, setting in composites_of(preset, "source"):
        follow_parts(composite, columns, setting)
    for composite, setting in composites_of(preset, "lens_light"):
        composite.placed(columns, setting)
    return accepted


def _draw_once(
    preset: Preset,
    rng: np.random.Generator,
    fixed: Mapping[str, Fixed],
    split: str,
    numbers: np.ndarray,
) -> Columns:
    """All that does not depend on where the lens puts things; `ConfigError` for what no lens can be."""
    columns = Columns(BLOCK, rng, fixed, numbers=numbers)
    for name, value, bounds in preset.drawn():
        columns.draw(name, value, bounds)
    with columns.naming_samples():
        _check_planes(preset, columns.values)
    z_lens, z_source = (columns.values[name] for name in ("z_lens", "z_source"))
    _einstein_radii(
        preset,
        columns,
        preset.masses.solar_einstein_radius(z_lens, z_source, preset.cosmology),
    )
    _ellipticities(preset, columns)
    for composite, setting in composites_of(preset, "lens_light", "source"):
        composite.compose(columns, setting)
    if preset.galaxies is not None:
        _choose_galaxies(preset, columns, preset.galaxies.of(split))
    return columns


def _check_planes(preset: Preset, values: Mapping[str, np.ndarray]) -> None:
    """`OutOfBoundsError` for redshifts between which light does not travel, or which no lens can serve."""
    check_redshifts(values)
    stated = preset.masses.z_source
    if stated is not None:
        Bounds(0.0, stated, open_high=True).check(
            "z_lens, in front of masses.z_source,", values["z_lens"]
        )
    if "z_source_convention" in values:
        triple = (values[name] for name in ("z_lens", "z_source", "z_source_convention"))
        scale = preset.cosmology.deflection_scale(*triple)
        name = "what z_source, z_lens and z_source_convention scale deflections by"
        SCALE.check(name, scale, "; choose a z_source_convention farther behind z_lens")


def _einstein_radii(preset: Preset, columns: Columns, solar: np.ndarray) -> None:
    """Put the Einstein radii of lenses that are stated by a mass or a velocity dispersion."""
    values = columns.values
    for component in preset.components():
        if component.role != "lens":
            continue
        mass = values.get(component.prefix + "mass")
        sigma_v = values.get(component.prefix + "sigma_v")
        stated = "mass"
        if mass is not None:
            radius = solar * np.sqrt(mass)
        elif sigma_v is not None:
            stated = "sigma_v"
            z_source = values.get("z_source_convention", values["z_source"])
            radius = isothermal_radius(
                sigma_v, values["z_lens"], z_source, preset.cosmology
            )
        else:
            continue
        radius = columns.put(component.prefix + "theta_E", radius)
        with columns.naming_samples():
            name = f"{component.prefix}theta_E, from {component.prefix}{stated},"
            PARAMETERS["theta_E"].bounds.check(name, radius)


def _ellipticities(preset: Preset, columns: Columns) -> None:
    for prefix, _ in preset.prefixed():
        q, phi = (columns.values.get(prefix + name) for name in POLAR)
        if q is not None and phi is not None:
            for name, column in zip(("e1", "e2"), ellipticity(q, phi), strict=True):
                columns.put(prefix + name, column)


def _choose_galaxies(preset: Preset, columns: Columns, galaxies: np.ndarray) -> None:
    """Draw the galaxy that each interpolated source shows, of those of a split."""
    for component in preset.components():
        if component.role != "source" or component.profile != "interpolated":
            continue
        prefix = component.prefix
        choice = columns.rng.integers(len(galaxies), size=columns.n)
        columns.put(prefix + "image", galaxies[choice].astype(np.float64))
        if prefix + "R_half" in columns.values:
            scale = columns.values[prefix + "R_half"] * GALAXY_WIDTH / GALAXY_SIDE
            columns.put(prefix + "scale", scale)
