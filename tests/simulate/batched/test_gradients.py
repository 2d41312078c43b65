"""Derivatives of images against central differences of rendered ones."""

from dataclasses import replace

import numpy as np
import pytest
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.engines import engine
from lenssim.simulate.engines.batched.gradients import differentiable, jacobian
from lenssim.simulate.preset import load_preset

PRESET = load_preset("III")
EAGER = {"precision": "float64", "kernels": "eager"}


def scenes_with_amplitudes():
    scenes = draw(PRESET, np.arange(3), seed=1)
    amp = scenes.of(scenes.components[-1], PRESET.instrument.zero_point)["amp"]
    params = {
        name: column for name, column in scenes.params.items() if name != "source_magnitude"
    }
    return replace(scenes, params={**params, "source_amp": amp})


@pytest.mark.parametrize("supersampling", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_derivatives_are_those_of_finite_differences(supersampling):
    scenes, camera = scenes_with_amplitudes(), PRESET.instrument
    names = differentiable(scenes.components)
    derivatives = jacobian(scenes, camera, names, supersampling=supersampling, **EAGER)
    renderer = engine("batched", device="cpu", **EAGER)
    for k, name in enumerate(names):
        step = 1e-5 * max(1.0, np.abs(scenes.params[name]).max())
        up, down = (
            renderer.render(
                replace(
                    scenes,
                    params={**scenes.params, name: scenes.params[name] + sign * step},
                ),
                camera,
                supersampling=supersampling,
            )[:, 0]
            for sign in (1, -1)
        )
        difference = (up - down) / (2 * step)
        # a central difference is off by the third derivative, most where the centre of the lens crosses a ray
        assert (
            np.abs(derivatives[:, k] - difference).max() < 1e-5 * np.abs(difference).max()
        ), name


def test_magnitudes_and_amplitudes_have_the_same_derivatives():
    """Scenes with a magnitude are differentiated by the amplitude that it means."""
    drawn = draw(PRESET, np.arange(3), seed=1)
    mine = jacobian(drawn, PRESET.instrument, ["source_amp"], **EAGER)
    theirs = jacobian(scenes_with_amplitudes(), PRESET.instrument, ["source_amp"], **EAGER)
    np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=0)


def test_what_cannot_be_differentiated_is_refused():
    scenes = scenes_with_amplitudes()
    with pytest.raises(
        ConfigError,
        match="source_magnitude",
        check=has_code(
            "unknown-parameter", name="source_magnitude", suggestion="source_e2"
        ),
    ):
        jacobian(scenes, PRESET.instrument, ["source_magnitude"], **EAGER)
    with pytest.raises(ConfigError, match="regular grid", check=has_code("engine-options")):
        jacobian(scenes, PRESET.instrument, ["e1"], supersampling="adaptive", **EAGER)
