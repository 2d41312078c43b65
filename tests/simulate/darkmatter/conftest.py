"""A plane of lenses for dark-matter models to draw in."""

import numpy as np
import pytest

from lenssim.simulate.cosmology import Cosmology
from lenssim.simulate.plane import LensPlane

COSMOLOGY = Cosmology(H0=67.5, Om0=0.309, Ob0=0.049)  # pyHalo's


def make_plane(
    n: int = 64, z_lens: float = 0.5, z_source: float = 2.0, frame: float = 2.56
) -> LensPlane:
    return LensPlane(
        np.full(n, z_lens),
        np.full(n, z_source),
        COSMOLOGY,
        np.full(n, 1.2e-6),
        frame,
        {"theta_E": np.full(n, 1.2)},
        truth=True,
    )


@pytest.fixture
def plane() -> LensPlane:
    return make_plane()


@pytest.fixture(scope="session")
def plane_of():
    return make_plane


@pytest.fixture
def perturb():
    """Draws the perturbers and columns of a model, given as in a preset."""
    from pydantic import TypeAdapter

    from lenssim.simulate.columns import Columns
    from lenssim.simulate.darkmatter import DarkMatter

    def run(plane, seed: int = 3, fixed=None, **document):
        model = TypeAdapter(DarkMatter).validate_python(document)
        columns = Columns(len(plane), np.random.default_rng(seed), fixed or {})
        return model.perturb(columns, plane), columns.values

    return run
