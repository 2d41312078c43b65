"""lenstronomy's swarm and PyAutoLens's nested sampling on the lenses of benchmarks/fit.py, from one blind start."""

import logging
import os
import time
import warnings
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from tempfile import TemporaryDirectory

import numpy as np

from lenssim.simulate.bridges.lenstronomy import to_lenstronomy
from lenssim.simulate.conventions import flip_rows
from lenssim.simulate.engines.pyauto import al, pinned
from lenssim.simulate.instruments import Instrument
from lenssim.simulate.scenes import Component, Scenes

RAYS = 2  # a pixel side, as the searches of benchmarks/fit.py
START = {  # the same for every lens and code
    "theta_E": 1.2,
    "gamma": 2.0,
    "e1": 0.0,
    "e2": 0.0,
    "center_x": 0.0,
    "center_y": 0.0,
    "gamma1": 0.0,
    "gamma2": 0.0,
    "source_R_sersic": 0.2,
    "source_n_sersic": 1.5,
    "source_e1": 0.0,
    "source_e2": 0.0,
    "source_center_x": 0.0,
    "source_center_y": 0.0,
    "source_amp": 1.0,
}
RANGES = {  # lowest, highest, and width of the swarm, by the name without its prefix
    "theta_E": (0.4, 2.6, 0.4),
    "gamma": (1.5, 2.6, 0.15),
    "e1": (-0.5, 0.5, 0.15),
    "e2": (-0.5, 0.5, 0.15),
    "center_x": (-0.6, 0.6, 0.15),
    "center_y": (-0.6, 0.6, 0.15),
    "gamma1": (-0.25, 0.25, 0.06),
    "gamma2": (-0.25, 0.25, 0.06),
    "R_sersic": (0.02, 1.5, 0.15),
    "n_sersic": (0.5, 5.0, 0.8),
}
_NARROW = 0.1  # arcsec: the centre of the mass is known better than that of the source
_COMPONENTS = (
    Component("lens", "epl", ""),
    Component("lens", "shear", ""),
    Component("source", "sersic", "source_"),
)

__all__ = ["FULL", "PEERS", "QUICK", "Budget", "blind_start", "seconds"]


@dataclass(frozen=True)
class Budget:
    """How long the peers search.

    Attributes:
        particles: Of the swarm.
        iterations: Of the swarm.
        simplex: Iterations of the simplex behind it.
        live: Live points of Nautilus; None: autofit's 3,000.
        evaluations: The most that Nautilus may take; None: until it is content.
    """

    particles: int = 120
    iterations: int = 100
    simplex: int = 6000
    live: int | None = None
    evaluations: int | None = None


FULL = Budget()
QUICK = Budget(particles=50, iterations=50, simplex=1500, live=150, evaluations=5000)


def blind_start(redshifts: dict[str, float]) -> Scenes:
    """Return the start, as a scene with the redshifts of a lens."""
    columns = {name: np.array([value]) for name, value in (START | redshifts).items()}
    return Scenes(_COMPONENTS, columns)


def fit_lenstronomy(
    start: Scenes, camera: Instrument, image: np.ndarray, sigma: np.ndarray, budget: Budget
) -> tuple[float, float, int]:
    """Return chi2, theta_E and evaluations of a swarm and a simplex; amplitudes are solved for."""
    from lenstronomy.Workflow.fitting_sequence import FittingSequence

    scene = to_lenstronomy(start, 0, camera, RAYS)
    parts = {"kwargs_lens": "lens_model", "kwargs_source": "source_model"}
    parameters = {
        part: _lenstronomy_parameters(scene.kwargs_params[key], part)
        for key, part in parts.items()
    }
    parameters["lens_light_model"] = [[], [], [], [], []]
    data = {**scene.kwargs_data, "image_data": image, "noise_map": sigma}
    sequence = FittingSequence(
        {
            "multi_band_list": [[data, scene.kwargs_psf, scene.kwargs_numerics]],
            "multi_band_type": "multi-linear",
        },
        scene.kwargs_model,
        {},
        {},
        parameters,
        verbose=False,
    )
    swarm = {
        "sigma_scale": 1.0,
        "n_particles": budget.particles,
        "n_iterations": budget.iterations,
    }
    simplex = {"n_iterations": budget.simplex}
    np.random.seed(1)  # noqa: NPY002 (the swarm draws from numpy's global state)
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a spent simplex
        sequence.fit_sequence([["PSO", swarm], ["SIMPLEX", simplex]])
    chi2 = -2 * float(sequence.best_fit_likelihood())
    theta_E = float(sequence.best_fit(bijective=False)["kwargs_lens"][0]["theta_E"])
    return chi2, theta_E, budget.particles * budget.iterations + budget.simplex


def _lenstronomy_parameters(groups: list[dict[str, float]], part: str) -> list[list]:
    """Return start, width, fixed values and bounds of one part of the model."""
    start = [
        {name: value for name, value in group.items() if name != "amp"} for group in groups
    ]
    columns: dict[int, list] = {0: [], 1: [], 2: []}
    for group in start:
        free = [name for name in group if name not in ("ra_0", "dec_0")]
        for number, column in columns.items():
            column.append({name: _range(name, part)[number] for name in free})
    low, high, width = columns.values()
    fixed = [{"ra_0": 0, "dec_0": 0} if "gamma1" in group else {} for group in start]
    return [start, width, fixed, low, high]


def _range(name: str, part: str) -> tuple[float, float, float]:
    if part == "lens_model" and name.startswith("center"):
        return -_NARROW, _NARROW, _NARROW / 2
    return RANGES[name]


def fit_pyautolens(
    start: Scenes, camera: Instrument, image: np.ndarray, sigma: np.ndarray, budget: Budget
) -> tuple[float, float, int]:
    """Return chi2, theta_E and evaluations of autofit's Nautilus, with autofit's own settings.

    The intensity of the source is solved for. Priors are uniform over the ranges of the swarm.
    """
    import autofit as af

    from lenssim.simulate.bridges.autolens import to_autolens

    psf = to_autolens(start, 0, camera, RAYS).psf
    with pinned(), TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")  # it tells of the margin that it convolves
        planes = [
            al.Array2D.no_mask(flip_rows(plane).copy(), pixel_scales=camera.pixel_scale)
            for plane in (image, sigma)
        ]
        data = al.Imaging(
            data=planes[0], noise_map=planes[1], psf=psf, over_sample_size_lp=RAYS
        )
        model = _autolens_model(start)
        options = {"n_live": budget.live, "n_like_max": budget.evaluations}
        options = {name: value for name, value in options.items() if value is not None}
        logging.disable(logging.WARNING)
        try:
            with chdir(folder):
                result = af.Nautilus(name="peer", number_of_cores=1, **options).fit(
                    model=model, analysis=al.AnalysisImaging(dataset=data, use_jax=False)
                )
        finally:
            logging.disable(logging.NOTSET)
        fit = result.max_log_likelihood_fit
        lens = result.instance.galaxies.lens.mass
        return float(fit.chi_squared), float(lens.einstein_radius), _evaluations(result)


def _evaluations(result) -> int:
    info = getattr(result.samples, "samples_info", None) or {}
    return int(info.get("total_samples", 0))


def _autolens_model(start: Scenes):
    """Return the same family with uniform priors; lengths and shapes as PyAutoLens states them."""
    import autofit as af

    def uniform(low: float, high: float):
        return af.UniformPrior(lower_limit=low, upper_limit=high)

    mass = af.Model(al.mp.PowerLaw)
    mass.einstein_radius = uniform(*RANGES["theta_E"][:2])
    mass.slope = uniform(*RANGES["gamma"][:2])
    shear = af.Model(al.mp.ExternalShear)
    light = af.Model(al.lp_linear.Sersic)
    light.effective_radius = uniform(*RANGES["R_sersic"][:2])
    light.sersic_index = uniform(*RANGES["n_sersic"][:2])
    for profile, reach in ((mass, _NARROW), (light, RANGES["center_x"][1])):
        profile.centre.centre_0 = uniform(-reach, reach)
        profile.centre.centre_1 = uniform(-reach, reach)
        profile.ell_comps.ell_comps_0 = uniform(*RANGES["e1"][:2])
        profile.ell_comps.ell_comps_1 = uniform(*RANGES["e1"][:2])
    shear.gamma_1 = uniform(*RANGES["gamma1"][:2])
    shear.gamma_2 = uniform(*RANGES["gamma2"][:2])
    z_lens = float(start.params["z_lens"][0])
    z_source = float(start.params["z_source"][0])
    return af.Collection(
        galaxies=af.Collection(
            lens=af.Model(al.Galaxy, redshift=z_lens, mass=mass, shear=shear),
            source=af.Model(al.Galaxy, redshift=z_source, light=light),
        )
    )


PEERS = {"lenstronomy, swarm": fit_lenstronomy, "PyAutoLens, Nautilus": fit_pyautolens}


def seconds() -> float:
    """Return the CPU seconds of this process and of its children."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
