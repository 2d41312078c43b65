"""Simulation from Python: presets, instruments, single images and data sets."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenssim.api.dataset import Dataset
from lenssim.api.workers import Workers
from lenssim.errors import ConfigError

if TYPE_CHECKING:
    from lenssim.api.exposure import Exposure
    from lenssim.simulate.preset import Preset

__all__ = ["expose", "generate", "instruments", "presets", "render"]

Names = str | Sequence[str]


def presets() -> dict[str, str]:
    """Return the presets that come with lenssim.

    Returns:
        What each preset simulates, by name.

    Example:
        >>> presets()["III"]
        'DeepLense Model III as published (HST WFC3 F160W, 64 x 64)'
    """
    from lenssim.simulate.preset import load_preset
    from lenssim.simulate.preset import presets as names

    return {name: load_preset(name).summary for name in names()}


def instruments() -> dict[str, str]:
    """Return the instruments that come with lenssim.

    Returns:
        What each instrument is, by name.

    Example:
        >>> "euclid_vis" in instruments()
        True
    """
    from lenssim.simulate.instruments import instrument
    from lenssim.simulate.instruments import instruments as names

    return {name: instrument(name).summary for name in names()}


def generate(
    model: "str | Path | Preset",
    n: int,
    out: Path | str,
    *,
    seed: int = 0,
    split: str = "train",
    noise: str | None = None,
    classes: Names | None = None,
    galaxies: Path | str | None = None,
    shared: Names | None = None,
    engine: str = "batched",
    precision: str | None = None,
    device: str = "auto",
    supersampling: int | str | None = None,
    workers: int | None = None,
    shard_size: int | None = None,
    cluster: Path | str | None = None,
    scheduler: str | None = None,
    storage: str | None = None,
    compress: bool = False,
    detectability: bool = False,
    maps: Names | None = None,
    dashboard: bool = False,
) -> Dataset:
    """Simulate a data set; the same call continues what was interrupted.

    Progress is shown on stderr. A script needs no guard of `__main__` for its workers.

    Args:
        model: Preset, by name or by the path of its YAML file, or a `Preset`.
        n: Number of images; a larger number later extends the set.
        out: Folder of the data set.
        seed: Seed; with preset, split and number it decides every sample.
        split: train, validation or test: disjoint random streams.
        noise: nominal, none or published; None: the preset's first.
        classes: Only these of the preset's classes, such as axion.
        galaxies: Images of galaxies as sources: a file or a folder.
        shared: Numbers of dark matter that are drawn once for each 64 images.
        engine: What renders: batched, lenstronomy or autolens.
        precision: float32 or float64; None: the engine's.
        device: cpu, cuda or auto.
        supersampling: Rays a pixel side, 1 to 12, or adaptive; None: the preset's.
        workers: Worker processes; 0 works in this one. None: one a core, as far as memory goes.
        shard_size: Samples a shard; changes no sample.
        cluster: YAML file of a batch queue, whose jobs make the shards.
        scheduler: Address of a dask scheduler, whose workers make the shards.
        storage: float32, or with bounded error and less room: float16, int16.
        compress: Whether to compress by bitshuffle and LZ4 (needs lenssim[compress]).
        detectability: Whether to store each sample's expected delta chi2.
        maps: Maps to keep beside each image: clean, kappa, residual.
        dashboard: Whether to print the address of dask's dashboard.

    Returns:
        The data set.

    Raises:
        ConfigError: A value is unknown, or the folder holds another data set.
        IncompleteError: Work stopped before its end; the same call continues it.
        DataError: A sample cannot be simulated.

    Example:
        >>> generate("III", 300, "data/III", workers=0)
        Dataset data/III: 300 images of 1 x 64 x 64 (no_sub 100, cdm 100, axion 100), noise nominal
    """
    from lenssim.api.progress import samples_bar
    from lenssim.data.format.spec import GenerationSpec
    from lenssim.data.generation.planning import plan_of
    from lenssim.data.generation.simulation import generate as make_dataset

    _check_number("n", n)
    _check_number("the shard size", shard_size)
    places = Workers(workers, cluster, scheduler, dashboard)
    places.check()
    spec = GenerationSpec.of(
        chosen_preset(model, classes, galaxies, shared),
        seed=seed,
        split=split,
        noise=noise,
        engine=engine,
        precision=precision,
        device=device,
        supersampling=supersampling,
        storage=storage,
        compress=compress,
        detectability=detectability,
        maps=tuple(split_names(maps or ())),
    )
    plan = plan_of(spec, n, shard_size, Path(out))
    with samples_bar("generating") as report:
        make_dataset(Path(out), plan, runner=places.runner(Path(out), plan), report=report)
    return Dataset(out)


def render(
    model: "str | Path | Preset",
    class_name: str | None = None,
    *,
    number: int = 0,
    seed: int = 0,
    split: str = "train",
    noise: str | None = None,
    classes: Names | None = None,
    galaxies: Path | str | None = None,
    shared: Names | None = None,
    engine: str = "batched",
    precision: str | None = None,
    device: str = "auto",
    supersampling: int | str | None = None,
    **sets: float,
) -> "Exposure":
    """Render one scene, any of its parameters set by hand.

    Args:
        model: Preset, by name or by the path of its YAML file, or a `Preset`.
        class_name: Class; None: the preset's first.
        number: Which sample of the class, counted from 0.
        seed: Seed of what is not set by hand.
        split: train, validation or test: disjoint random streams.
        noise: nominal, none or published; None: the preset's first.
        classes: Only these of the preset's classes, such as axion.
        galaxies: Images of galaxies as sources: a file or a folder.
        shared: Numbers of dark matter that are drawn once for each 64 images.
        engine: What renders: batched, lenstronomy or autolens.
        precision: float32 or float64; None: the engine's.
        device: cpu, cuda or auto.
        supersampling: Rays a pixel side, 1 to 12, or adaptive; None: the preset's.
        **sets: Values of drawn parameters, under the names of a data set's `params`.

    Returns:
        The image, as an exposure of one sample: `.observed` (1, C, H, W).

    Raises:
        ConfigError: A name or value is unknown, or what is asked for cannot be rendered.

    Example:
        >>> render("III", "axion", engine="lenstronomy", theta_E=1.3).params["theta_E"]
        array([1.3])
    """
    from lenssim.api.exposure import Exposure
    from lenssim.simulate.pipeline import simulate
    from lenssim.simulate.spec import SimulationSpec

    preset = chosen_preset(model, classes, galaxies, shared)
    label = 0 if class_name is None else preset.label(class_name)
    if number < 0:
        raise ConfigError(
            f"number must be at least 0, got {number}",
            code="option-range",
            option="number",
            value=number,
        )
    spec = SimulationSpec.of(
        preset,
        seed=seed,
        split=split,
        noise=noise,
        engine=engine,
        precision=precision,
        device=device,
        supersampling=supersampling,
    )
    numbers = [label + number * len(preset.classes)]
    return Exposure(simulate(spec, numbers, fixed=sets))


def expose(
    model: "str | Path | Preset",
    n: int,
    *,
    seed: int = 0,
    split: str = "train",
    noise: str | None = None,
    classes: Names | None = None,
    galaxies: Path | str | None = None,
    shared: Names | None = None,
    engine: str = "batched",
    precision: str | None = None,
    device: str = "auto",
    supersampling: int | str | None = None,
) -> "Exposure":
    """Simulate images in memory: the first samples of the data set that `generate` would write.

    Args:
        model: Preset, by name or by the path of its YAML file, or a `Preset`.
        n: Number of images.
        seed: Seed; with preset, split and number it decides every sample.
        split: train, validation or test: disjoint random streams.
        noise: nominal, none or published; None: the preset's first.
        classes: Only these of the preset's classes, such as axion.
        galaxies: Images of galaxies as sources: a file or a folder.
        shared: Numbers of dark matter that are drawn once for each 64 images.
        engine: What renders: batched, lenstronomy or autolens.
        precision: float32 or float64; None: the engine's.
        device: cpu, cuda or auto.
        supersampling: Rays a pixel side, 1 to 12, or adaptive; None: the preset's.

    Returns:
        The images with their scenes.

    Raises:
        ConfigError: A name or value is unknown, or what is asked for cannot be rendered.

    Example:
        >>> expose("III", 3, engine="lenstronomy")
        Exposure of III: 3 images of 1 x 64 x 64 (no_sub, cdm, axion), noise nominal
    """
    from lenssim.api.exposure import Exposure
    from lenssim.simulate.pipeline import simulate
    from lenssim.simulate.spec import SimulationSpec

    _check_number("n", n)
    spec = SimulationSpec.of(
        chosen_preset(model, classes, galaxies, shared),
        seed=seed,
        split=split,
        noise=noise,
        engine=engine,
        precision=precision,
        device=device,
        supersampling=supersampling,
    )
    return Exposure(simulate(spec, range(n)))


def _check_number(name: str, number: int | None) -> None:
    """Refuse a number below 1."""
    if number is not None and number < 1:
        raise ConfigError(
            f"{name} must be at least 1, got {number}",
            code="option-range",
            option=name,
            value=number,
        )


def chosen_preset(
    model: "str | Path | Preset",
    classes: Names | None = None,
    galaxies: Path | str | None = None,
    shared: Names | None = None,
) -> "Preset":
    """Return a preset with the classes, galaxies and shared numbers that are asked for.

    Args:
        model: Preset, by name or by the path of its YAML file, or a `Preset`.
        classes: Names of classes, in a list or joined by commas.
        galaxies: Where images of galaxies lie.
        shared: Names of numbers of dark matter.

    Raises:
        ConfigError: There is no such preset, or it does not have what is asked for.
    """
    from lenssim.simulate.preset import Preset, load_preset

    preset = model if isinstance(model, Preset) else load_preset(model)
    if classes is not None:
        preset = preset.with_classes(split_names(classes))
    if galaxies is not None:
        preset = preset.with_galaxies(Path(galaxies).resolve())
    if shared is not None:
        preset = preset.with_shared(split_names(shared))
    return preset


def split_names(names: Names) -> list[str]:
    """Return names that are given in a list, or joined by commas as on a command line."""
    if isinstance(names, str):
        return [name.strip() for name in names.split(",")]
    return list(names)
