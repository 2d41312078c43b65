"""Kernels that are compiled ahead: those of derivatives for every preset, and what does not compile."""

import zipfile

import numpy as np
import pytest
import torch
from costs import DEAR_PRESETS, without_dear
from error_codes import has_code

from lenssim.errors import ConfigError
from lenssim.simulate.draw import draw
from lenssim.simulate.engines.batched.gradients import _slope, differentiable, jacobian
from lenssim.simulate.engines.batched.kernels import kernel
from lenssim.simulate.engines.batched.settings import compiler
from lenssim.simulate.preset import load_preset, presets

pytestmark = pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler here")


@pytest.mark.slow
@pytest.mark.parametrize("name", without_dear(presets(), DEAR_PRESETS))
def test_derivatives_are_compiled_for_every_preset(name):
    preset = load_preset(name)
    scenes, camera = (
        draw(preset, np.arange(4), seed=2),
        preset.instrument.model_copy(update={"num_pix": 16}),
    )
    names = differentiable(scenes.components)
    compiled, eager = (
        jacobian(scenes, camera, names, kernels=kernels)
        for kernels in ("compiled", "eager")
    )
    peak = np.abs(eager).max(axis=(2, 3), keepdims=True)
    assert (peak > 0).any()
    assert not isinstance(
        _slope(scenes.components, torch.float32, True), torch.nn.Module
    ), "it was not compiled"
    np.testing.assert_allclose(
        compiled / np.maximum(peak, 1e-30), eager / np.maximum(peak, 1e-30), atol=1e-4
    )


class Undecided(torch.nn.Module):
    """Cannot be traced: what it does depends on the numbers."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_kernel_that_does_not_compile_is_no_fault_of_a_sample(tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSIM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        ConfigError,
        match=r"kernel 'undecided' does not compile .*--engine lenstronomy",
        check=has_code("kernel-compile"),
    ):
        kernel(Undecided(), (torch.ones(3),), "undecided 1", (None,), compiled=True)
    (log,) = tmp_path.glob("cache/kernels/*.log")
    assert "Undecided" in log.read_text() or "data-dependent" in log.read_text()
    assert not list(tmp_path.glob("cache/kernels/*.pt2"))


class Twice(torch.nn.Module):
    """Twice."""

    def forward(self, x):
        return 2 * x


WITHOUT = """#!/bin/sh
for argument in "$@"; do
    [ "$argument" = -print-file-name=libstdc++.so ] && echo libstdc++.so && exit
    [ "$argument" = -shared ] && static=-static-libstdc++
done
exec {} $static "$@"
"""


@pytest.mark.slow
def test_a_compiler_without_a_shared_library_takes_the_one_that_torch_has(
    tmp_path, monkeypatch
):
    """A second copy of it in the kernel crashes some releases of torch."""
    (tmp_path / "g++").write_text(WITHOUT.format(compiler()))
    (tmp_path / "g++").chmod(0o700)
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (str(tmp_path / "g++"),))
    monkeypatch.setattr(
        "lenssim.simulate.engines.batched.kernels.compiler", lambda: str(tmp_path / "g++")
    )
    monkeypatch.setenv("LENSSIM_CACHE", str(tmp_path / "cache"))
    made = kernel(Twice(), (torch.ones(3),), "twice", (None,), compiled=True)
    assert made(torch.full((3,), 2.0)).tolist() == [4.0] * 3
    (package,) = tmp_path.glob("cache/kernels/*.pt2")
    with zipfile.ZipFile(package) as archive:
        (library,) = (
            archive.read(name) for name in archive.namelist() if name.endswith(".so")
        )
    assert b"libstdc++.so.6" in library
