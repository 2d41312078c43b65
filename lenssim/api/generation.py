"""Simulation from Python: single images, and data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from lenssim.api.arguments import checked, value_of
from lenssim.api.dataset import Dataset
from lenssim.api.options import parse_request
from lenssim.api.signatures import takes_options
from lenssim.api.simulation_options import GenerationOptions, SimulationOptions
from lenssim.api.workers import Workers
from lenssim.data.generation.request import GenerationRequest
from lenssim.errors import ConfigError
from lenssim.names import shown
from lenssim.simulate.request import SimulationRequest

if TYPE_CHECKING:
    from lenssim.api.exposure import Exposure
    from lenssim.data.format.manifest import Plan
    from lenssim.simulate.preset import Preset
    from lenssim.simulate.spec import SimulationSpec

__all__ = [
    "DEVICE",
    "NOT_OF_ONE_IMAGE",
    "expose",
    "generate",
    "generate_shards",
    "plan_dataset",
    "render",
]

DEVICE = "auto"  # by default: the fastest device of the machine
MAX_SCENES_TO_LOOK_AT = 64  # that tell which kernels are needed
LARGEST_NUMBER = 2**53 - 1  # of a sample in its class
NOT_OF_ONE_IMAGE = ("maps", "residual_from", "detectability")  # fields of a request

Stop = Callable[[], bool]


@checked
@takes_options(GenerationRequest, types=GenerationOptions, device=DEVICE)
def generate(
    model: str | Path | Preset,
    n: int,
    out: Path | str,
    *,
    workers: int | None = None,
    cluster: Path | str | None = None,
    scheduler: str | None = None,
    dashboard: bool = False,
    stop: Stop = lambda: False,
    **options: Unpack[GenerationOptions],
) -> Dataset:
    """Simulate a data set; the same call continues what was interrupted.

    Progress is shown on stderr. A script needs no guard of `__main__` for its workers.

    Args:
        model: Preset, by name or by the path of its YAML file, or a `Preset`.
        n: Number of images; a larger number later extends the set.
        out: Folder of the data set.
        workers: Worker processes; 0 works in this one. None: as many as pay for their start,
            at most one a core.
        cluster: YAML file of a batch queue, whose jobs make the shards.
        scheduler: Address of a dask scheduler, whose workers make the shards.
        dashboard: Whether to print the address of dask's dashboard.
        stop: Function that is asked between shards; True leaves the rest for another call.
        **options: Options of the data set.

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
    from lenssim.data.generation.simulation import generate as make_dataset

    place = Workers(workers, cluster, scheduler, dashboard)
    place.check()
    plan = plan_dataset(model, n, out, **options)
    with samples_bar("generating") as report:
        place.prepare(plan, report)
        runner = place.runner(Path(out), plan)
        manifest = make_dataset(Path(out), plan, runner=runner, report=report, stop=stop)
    return Dataset.just_made(Path(out), manifest)


def plan_dataset(
    model: str | Path | Preset,
    n: int,
    out: Path | str,
    **options: Unpack[GenerationOptions],
) -> Plan:
    """Return the plan of a data set, and simulate nothing; arguments as `generate`."""
    base, values = _request_values(model, options)
    request = parse_request(GenerationRequest, {"n": n, **values})
    return request.plan(Path(out), base)


def generate_shards(
    model: str | Path | Preset,
    n: int,
    out: Path | str,
    shards: str,
    *,
    workers: int | None = None,
    stop: Stop = lambda: False,
    **options: Unpack[GenerationOptions],
) -> tuple[Plan, range, int]:
    """Simulate some shards of a data set; `seal` completes it when all are there.

    Args:
        model: Preset, as in `generate`.
        n: Number of images of the whole data set.
        out: Folder of the data set.
        shards: Numbers of the shards, such as 3::8.
        workers: Worker processes.
        stop: As in `generate`.
        **options: As in `generate`.

    Returns:
        The plan, the numbers of the shards, and the number of their images.
    """
    from lenssim.api.progress import samples_bar
    from lenssim.data.generation.simulation import generate_share, share
    from lenssim.notes import say

    place = Workers(workers)
    place.check()
    plan = plan_dataset(model, n, out, **options)
    numbers = share(shards, plan.shards)
    with samples_bar("generating") as report:
        place.prepare(plan, report)
        images = generate_share(
            Path(out),
            plan,
            numbers,
            workers=place.number(plan, sum(len(plan.rows(shard)) for shard in numbers)),
            report=report,
            note=say,
            stop=stop,
        )
    return plan, numbers, images


@checked
@takes_options(
    SimulationRequest, types=SimulationOptions, without=NOT_OF_ONE_IMAGE, device=DEVICE
)
def render(
    model: str | Path | Preset,
    class_name: str | None = None,
    *,
    number: int = 0,
    sets: Mapping[str, float] | None = None,
    **options: Any,
) -> Exposure:
    """Render one scene, any of its parameters set by hand.

    Further keyword arguments are parameters too: `render("III", theta_E=1.3)`.

    Args:
        model: Preset, by name or by the path of its YAML file, or a `Preset`.
        class_name: Class; None: the preset's first.
        number: Which sample of the class, counted from 0.
        sets: Values of drawn parameters, under the names of a data set's `params`.
        **options: Options of the image.

    Returns:
        The image, as an exposure of one sample: `.observed` (1, C, H, W).

    Raises:
        ConfigError: A name or value is unknown, or what is asked for cannot be rendered.

    Example:
        >>> render("III", "axion", engine="lenstronomy", theta_E=1.3).params["theta_E"]
        array([1.3])
    """
    from lenssim.api.exposure import Exposure
    from lenssim.api.progress import show_first_compilation
    from lenssim.simulate.class_order import number_of
    from lenssim.simulate.pipeline import simulate

    names = SimulationOptions.__annotations__
    fixed = {name: value for name, value in options.items() if name not in names}
    chosen = {name: value for name, value in options.items() if name in names}
    spec = _spec(model, chosen)
    label = 0
    if class_name is not None:
        label = spec.preset.label(class_name)
    if not 0 <= number <= LARGEST_NUMBER:
        raise ConfigError(
            f"number must lie in 0..{LARGEST_NUMBER}, got {shown(number)}",
            code="option-range",
            option="number",
            value=number,
        )
    sample_number = number_of(spec.preset, label, number)
    fixed = {name: value_of(name, value, float) for name, value in fixed.items()}
    show_first_compilation(spec, 1, [sample_number])
    return Exposure(simulate(spec, [sample_number], fixed={**(sets or {}), **fixed}))


@checked
@takes_options(
    SimulationRequest, types=SimulationOptions, without=NOT_OF_ONE_IMAGE, device=DEVICE
)
def expose(
    model: str | Path | Preset, n: int, **options: Unpack[SimulationOptions]
) -> Exposure:
    """Simulate images in memory: the first samples of the data set that `generate` would write.

    Args:
        model: Preset, by name or by the path of its YAML file, or a `Preset`.
        n: Number of images.
        **options: Options of the images.

    Returns:
        The images with their scenes.

    Raises:
        ConfigError: A name or value is unknown, or what is asked for cannot be rendered.

    Example:
        >>> expose("III", 3, engine="lenstronomy")
        Exposure of III: 3 images of 1 x 64 x 64 (no_sub, cdm, axion), noise nominal
    """
    from lenssim.api.exposure import Exposure
    from lenssim.api.progress import show_first_compilation
    from lenssim.simulate.pipeline import simulate

    if n < 1:
        raise ConfigError(
            f"n must be at least 1, got {n}", code="option-range", option="n", value=n
        )
    spec = _spec(model, options)
    show_first_compilation(spec, n, range(min(n, MAX_SCENES_TO_LOOK_AT)))
    return Exposure(simulate(spec, range(n)))


def _spec(model: str | Path | Preset, options: Mapping[str, Any]) -> SimulationSpec:
    """Return the checked specification of images."""
    base, values = _request_values(model, options)
    return parse_request(SimulationRequest, values).spec(base)


def _request_values(
    model: str | Path | Preset, options: Mapping[str, Any]
) -> tuple[Preset | None, dict[str, Any]]:
    """Return a preset that was given as it is, and the fields of a request."""
    values = {**options, "device": options.get("device") or DEVICE}
    if isinstance(model, str | Path):
        return None, {"model": str(model), **values}
    return model, {"model": model.name, **values}
