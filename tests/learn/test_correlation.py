import numpy as np
import pytest
import torch
from scipy.stats import binom

from lenssim.learn.heads import head
from lenssim.learn.population.correlation import correlation
from lenssim.learn.population.inference import Prior, infer, power
from lenssim.learn.scores.posterior import Posterior
from lenssim.simulate.distributions import Normal, Uniform

MEAN, SPREAD = np.array([0.1, -1.8]), np.array([0.04, 0.08])
PRIORS = {
    "normal": Prior(tuple(Normal(normal=pair) for pair in zip(MEAN, SPREAD, strict=True))),
    "uniform": Prior(
        tuple(
            Uniform(uniform=(m - 3 * s, m + 3 * s))
            for m, s in zip(MEAN, SPREAD, strict=True)
        )
    ),
}


def populations(kind, r, count, images, seed):
    """Posteriors of observations of one truth a population, whose normal errors have the spread of the prior and
    correlate by r: right one by one.
    """
    rng = np.random.default_rng(seed)
    weight = 0.5 if kind == "normal" else 1.0
    found = []
    for _ in range(count):
        truth = PRIORS[kind].sample(1, rng)[0]
        error = np.sqrt(r) * rng.normal(size=2) + np.sqrt(1 - r) * rng.normal(
            size=(images, 2)
        )
        white = weight * ((truth - MEAN) / SPREAD + error)
        root = np.broadcast_to(-0.5 * np.log(weight), (images, 2))
        outputs = torch.from_numpy(
            np.concatenate([white, root, np.zeros((images, 1))], axis=1)
        )[None]
        found.append(
            (
                Posterior(head("full", 2), outputs, MEAN, SPREAD, np.ones(2), np.ones(2)),
                truth,
            )
        )
    return found


@pytest.mark.parametrize(
    ("r", "kind", "images"),
    [
        (0.0, "uniform", 16),
        (0.2, "normal", 16),
        *(
            pytest.param(r, kind, 64, marks=pytest.mark.slow)
            for r in (0.0, 0.02, 0.2, 0.8)
            for kind in PRIORS
        ),
    ],
)
def test_it_is_the_one_that_errors_have(r, kind, images):
    found = correlation(populations(kind, r, 96, images, 5), PRIORS[kind], seed=1)
    design = 1 + (images - 1) * np.array([r, found])
    assert abs(np.log(design[1] / design[0])) < 3 / np.sqrt(
        96
    )  # of a variance known by 2 x 96 normal errors: 0.1


def test_images_count_as_the_design_effect_says():
    assert power(64, 0.0) == 1
    assert power(1, 0.7) == 1
    assert power(64, 1.0) == pytest.approx(1 / 64)
    assert power(5, 0.25) == pytest.approx(1 / 2)


def test_single_images_tell_nothing_and_a_seed_gives_the_same_again():
    assert correlation(populations("normal", 0.5, 8, 1, 0), PRIORS["normal"]) == 0
    asked = populations("normal", 0.5, 8, 4, 0)
    assert correlation(asked, PRIORS["normal"], seed=3) == correlation(
        asked, PRIORS["normal"], seed=3
    )


@pytest.mark.slow
@pytest.mark.parametrize("r", [0.2, 0.8])
def test_what_other_populations_teach_covers_the_truth(r):
    """Of 60 populations of 16 images; without it far fewer are covered."""
    prior = PRIORS["normal"]
    learned = correlation(populations("normal", r, 96, 16, 11), prior)
    judged = populations("normal", r, 60, 16, 12)
    for own, right in ((learned, True), (0.0, False)):
        below = np.array(
            [
                infer(p, prior, correlation=own, seed=k).below(t)
                for k, (p, t) in enumerate(judged)
            ]
        )
        inside = int((np.abs(2 * below - 1) <= 0.683).sum())
        assert right == (1e-3 < binom.cdf(inside, 120, 0.683) < 1 - 1e-3), (own, inside)
