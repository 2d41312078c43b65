"""One SLACS lens, fitted by lenstronomy and by PyAutoLens from the same start; see docs/slacs.md.

python docs/slacs.py FOLDER NAME     FOLDER holds published.csv and NAME/{image,noise,psf}.fits
"""

import csv
import logging
import os
import sys
import time
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.io import fits
from scipy.optimize import least_squares

from lenssim.simulate.bridges import (
    from_autolens,
    from_lenstronomy,
    to_autolens,
    to_lenstronomy,
)
from lenssim.simulate.conventions import angle_from_coolest, ellipticity, flip_rows
from lenssim.simulate.engines.pyauto import al, pinned
from lenssim.simulate.instruments import Instrument, PixelPSF
from lenssim.simulate.scenes import Component, Scenes

PIXEL = 0.05  # arcsec
SIDE = 101  # pixels that are modelled
RADIUS = 2.4  # arcsec, of the mask
COMPONENTS = (
    Component("lens", "sie"),
    Component("lens", "shear"),
    Component("lens_light", "sersic", "bulge_"),
    Component("lens_light", "sersic", "halo_"),
    Component("source", "sersic", "source_"),
)


def read(
    folder: Path, name: str
) -> tuple[dict[str, float], np.ndarray, np.ndarray, np.ndarray]:
    """Published numbers, and image, noise (SIDE, SIDE) and PSF as float64, row 0 at the smallest y."""
    with (folder / "published.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row.pop("name") == name)
    image, noise, psf = (
        fits.getdata(folder / name / f"{kind}.fits").astype(float)
        for kind in ("image", "noise", "psf")
    )
    cut = slice((len(image) - SIDE) // 2, (len(image) + SIDE) // 2)
    return (
        {key: float(value) for key, value in row.items()},
        image[cut, cut],
        noise[cut, cut],
        psf,
    )


def start(published: dict[str, float], peak: float) -> Scenes:
    """The published SIE, two Sersics for the lens's light, and a small source behind its centre."""
    e1, e2 = ellipticity(published["q_SIE"], angle_from_coolest(published["PA_SIE_deg"]))
    light = {"e1": e1, "e2": e2, "center_x": 0.0, "center_y": 0.0}
    groups = {
        "": {"theta_E": published["theta_E_SIE"], **light, "gamma1": 0.0, "gamma2": 0.0},
        "bulge_": {"amp": peak / PIXEL**2 / 10, "R_sersic": 0.4, "n_sersic": 3.0, **light},
        "halo_": {"amp": peak / PIXEL**2 / 100, "R_sersic": 2.0, "n_sersic": 1.0, **light},
        "source_": {
            "amp": 100.0,
            "R_sersic": 0.15,
            "n_sersic": 1.0,
            "e1": 0.0,
            "e2": 0.0,
            "center_x": 0.0,
            "center_y": 0.0,
        },
    }
    columns = {
        prefix + name: value
        for prefix, group in groups.items()
        for name, value in group.items()
    }
    columns |= {"z_lens": published["z_lens"], "z_source": published["z_source"]}
    return Scenes(
        COMPONENTS, {name: np.array([float(value)]) for name, value in columns.items()}
    )


SPREAD = {
    "theta_E": 0.05,
    "R_sersic": 0.1,
    "n_sersic": 0.3,
}  # of a start; 0.05 of what is not named
LOW = {
    "theta_E": 0.3,
    "R_sersic": 0.03,
    "n_sersic": 0.4,
    "gamma1": -0.2,
    "gamma2": -0.2,
    "e1": -0.5,
    "e2": -0.5,
}
HIGH = {
    "theta_E": 3.0,
    "R_sersic": 6.0,
    "n_sersic": 6.0,
    "gamma1": 0.2,
    "gamma2": 0.2,
    "e1": 0.5,
    "e2": 0.5,
}


def fit_lenstronomy(scenes: Scenes, camera: Instrument, image, noise, mask):
    """Best model image and scene of FittingSequence: a particle swarm, then a simplex; amplitudes are solved for."""
    from lenstronomy.Util.class_creator import create_im_sim
    from lenstronomy.Workflow.fitting_sequence import FittingSequence

    theirs = to_lenstronomy(scenes, 0, camera)
    parameters = {}
    for key, groups in theirs.kwargs_params.items():
        init = [
            {name: value for name, value in group.items() if name != "amp"}
            for group in groups
        ]
        sigma = [{name: SPREAD.get(name, 0.05) for name in group} for group in init]
        low = [{name: LOW.get(name, -1.0) for name in group} for group in init]
        high = [{name: HIGH.get(name, 1.0) for name in group} for group in init]
        fixed = [{"ra_0": 0, "dec_0": 0} if "gamma1" in group else {} for group in init]
        parameters[
            {"kwargs_lens": "lens_model", "kwargs_source": "source_model"}.get(
                key, "lens_light_model"
            )
        ] = [
            *(init, sigma, fixed, low, high),
        ]
    data = {**theirs.kwargs_data, "image_data": image, "noise_map": noise}
    band = [[data, theirs.kwargs_psf, theirs.kwargs_numerics]]
    sequence = FittingSequence(
        {"multi_band_list": band, "multi_band_type": "multi-linear"},
        theirs.kwargs_model,
        {},
        {"image_likelihood_mask_list": [mask]},
        parameters,
        verbose=False,
    )
    steps = [
        ["PSO", {"sigma_scale": 0.5, "n_particles": 120, "n_iterations": 100}],
        ["SIMPLEX", {"n_iterations": 6000}],
    ]
    np.random.seed(1)  # noqa: NPY002 (the swarm draws from numpy's global state)
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # the simplex says that its iterations are spent
        sequence.fit_sequence(steps)
    best = sequence.best_fit(bijective=False)
    found = {key: best[key] for key in theirs.kwargs_params}
    solver = create_im_sim(
        band, "single-band", theirs.kwargs_model, image_likelihood_mask_list=[mask]
    )
    solver.image_linear_solve(**found)  # puts the amplitudes in
    model = theirs.image_model().image(**found)
    return model, from_lenstronomy(theirs.kwargs_model, found, components=COMPONENTS)


def fit_autolens(scenes: Scenes, camera: Instrument, image, noise, mask):
    """Best model image and scene of PyAutoLens: least squares of FitImaging's residuals, then autofit's Emcee."""
    tracer, _, psf = to_autolens(scenes, 0, camera)
    with pinned():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # PyAutoLens tells of the margin it convolves
        rows = al.Mask2D(mask=flip_rows(~mask).copy(), pixel_scales=PIXEL)
        arrays = [
            al.Array2D.no_mask(flip_rows(each).copy(), pixel_scales=PIXEL)
            for each in (image, noise)
        ]
        data = al.Imaging(
            data=arrays[0], noise_map=arrays[1], psf=psf, over_sample_size_lp=1
        )
        data = data.apply_mask(mask=rows).apply_over_sampling(over_sample_size_lp=1)

        names, values, low, high = [], [], [], []
        for k, galaxy in enumerate(tracer.galaxies):
            for attribute, profile in vars(galaxy).items():
                for name, value in (
                    vars(profile).items()
                    if isinstance(profile, al.mp.MassProfile | al.LightProfile)
                    else ()
                ):
                    pair = np.atleast_1d(value)
                    if name in ("slope", "core_radius") or (
                        attribute == "shear" and name in ("centre", "ell_comps")
                    ):
                        continue
                    for j, one in enumerate(pair):
                        names.append((k, attribute, name, j if len(pair) > 1 else None))
                        values.append(np.log(one) if name == "intensity" else one)
                        bounds = {
                            "einstein_radius": (0.3, 3),
                            "effective_radius": (0.03, 6),
                            "sersic_index": (0.4, 6),
                        }
                        inside = bounds.get(
                            name, (-20, 20) if name == "intensity" else (-0.5, 0.5)
                        )
                        low.append(inside[0])
                        high.append(inside[1])

        def apply(vector: np.ndarray) -> None:
            for (k, attribute, name, j), one in zip(names, vector, strict=True):
                profile = getattr(tracer.galaxies[k], attribute)
                one = float(np.exp(one)) if name == "intensity" else float(one)
                if j is not None:
                    pair = list(getattr(profile, name))
                    pair[j] = one
                    one = tuple(pair)
                setattr(profile, name, one)

        def residuals(vector: np.ndarray) -> np.ndarray:
            apply(vector)
            return np.asarray(
                al.FitImaging(dataset=data, tracer=tracer).normalized_residual_map.array
            )

        found = least_squares(
            residuals, values, bounds=(low, high), x_scale="jac", max_nfev=200
        )
        apply(found.x)
        tracer = sampled(
            tracer, names, found, al.AnalysisImaging(dataset=data, use_jax=False)
        )
        model = flip_rows(
            np.asarray(al.FitImaging(dataset=data, tracer=tracer).model_data.native.array)
        )
    return model, from_autolens(tracer, PIXEL)


def sampled(tracer, names, found, analysis):
    """The most probable tracer of autofit's Emcee, which starts in a ball of the errors about what was found."""
    import autofit as af

    errors = np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac)))
    galaxies = {}
    for k, galaxy in enumerate(tracer.galaxies):
        profiles = {
            key: one
            for key, one in vars(galaxy).items()
            if isinstance(one, al.mp.MassProfile | al.LightProfile)
        }
        parts = {key: af.Model(type(one)) for key, one in profiles.items()}
        for key, one in profiles.items():
            for name, value in vars(one).items():
                if name in ("slope", "core_radius", "centre", "ell_comps") and hasattr(
                    parts[key], name
                ):
                    setattr(
                        parts[key], name, value
                    )  # fixed, unless it is among the names below
        galaxies[f"galaxy_{k}"] = af.Model(al.Galaxy, redshift=galaxy.redshift, **parts)
    model, ball = af.Collection(galaxies=af.Collection(**galaxies)), {}
    for (k, attribute, name, j), value, error in zip(names, found.x, errors, strict=True):
        own, reach = getattr(getattr(model.galaxies, f"galaxy_{k}"), attribute), 10 * error
        low, high = value - reach, value + reach
        if name == "intensity":
            prior = af.LogUniformPrior(
                lower_limit=float(np.exp(low)), upper_limit=float(np.exp(high))
            )
            near = float(np.exp(value - error / 10)), float(np.exp(value + error / 10))
        else:
            prior = af.UniformPrior(lower_limit=float(low), upper_limit=float(high))
            near = float(value - error / 10), float(value + error / 10)
        if j is None:
            setattr(own, name, prior)
        else:
            pair = getattr(own, name)
            if isinstance(pair, tuple):
                setattr(
                    own,
                    name,
                    af.TuplePrior(**{f"{name}_{i}": each for i, each in enumerate(pair)}),
                )
            setattr(getattr(own, name), f"{name}_{j}", prior)
        ball[prior] = near
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        here = Path.cwd()
        os.chdir(folder)  # autofit writes its search beside the caller, and talks
        logging.disable(logging.WARNING)
        try:
            search = af.Emcee(
                nwalkers=64, nsteps=25, initializer=af.InitializerParamBounds(ball)
            )
            return search.fit(model=model, analysis=analysis).max_log_likelihood_tracer
        finally:
            logging.disable(logging.NOTSET)
            os.chdir(here)


def main(folder: Path, name: str) -> None:
    """Fit both, and print them beside the published SIE."""
    published, image, noise, psf = read(folder, name)
    camera = Instrument(
        name=name,
        pixel_scale=PIXEL,
        num_pix=SIDE,
        exposure_time=1,
        background_rms=0.0,
        psf=PixelPSF(kernel=(psf / psf.sum()).tolist()),
    )
    along = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL
    mask = (np.hypot(along[:, None], along) < RADIUS) & (noise < 1e7)
    noise = np.where(noise < 1e7, noise, 1e8)
    scenes = start(published, float(image[mask].max()))
    print(f"{name}: {mask.sum()} pixels within {RADIUS} arcsec, start: the published SIE")
    print(f"{'':<14}{'chi2':>10}{'chi2/pixel':>12}{'theta_E':>9}{'q':>7}{'seconds':>9}")
    print(
        f"{'published':<14}{'':>10}{'':>12}{published['theta_E_SIE']:>9.3f}{published['q_SIE']:>7.2f}"
    )
    for code, fit in (("lenstronomy", fit_lenstronomy), ("PyAutoLens", fit_autolens)):
        begun = time.perf_counter()
        model, best = fit(scenes, camera, image, noise, mask)
        chi2 = float((((image - model) / noise)[mask] ** 2).sum())
        e = float(np.hypot(best.params["e1"], best.params["e2"])[0])
        theta_E = float(best.params["theta_E"][0])
        seconds = time.perf_counter() - begun
        print(
            f"{code:<14}{chi2:>10.0f}{chi2 / mask.sum():>12.3f}{theta_E:>9.3f}{(1 - e) / (1 + e):>7.2f}{seconds:>9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2])
