"""The calls of a kernel, compiled with declarations of this package, are torch's own calls."""

import pytest
import torch
from torch import nn

from lenssim.simulate.engines.batched import calls, compilation, kernels
from lenssim.simulate.engines.batched.calls import shortened
from lenssim.simulate.engines.batched.compilation import Axis, compile_module
from lenssim.simulate.engines.batched.inductor import private_inductor
from lenssim.simulate.engines.batched.packages import load_package
from lenssim.simulate.engines.batched.settings import compiler

WRITTEN = """
} // extern "C"
extern "C"  void  cpp_fused_0(const float* in_ptr0,
                       float* out_ptr0);
CACHE_TORCH_DTYPE(float32);
    : AOTInductorModelBase(1,
                           1,
                           0,
    in_spec_ = R"([1, "in"])";
    out_spec_ = R"([1, "out"])";
void AOTInductorModel::run_impl(
) {
    cpp_fused_0(0, 0);
} // AOTInductorModel::run_impl
"""


class Sums(nn.Module):
    """Two results of a table, through an intermediate one."""

    def forward(self, table, factors):
        scaled = torch.softmax(table * factors[:, None, :1], dim=2)
        return scaled.sum(dim=1), scaled - factors[:, 1:, None]


@pytest.fixture
def compiled(tmp_path):
    """Compile `Sums`, and return its results for some tables, with the size of its file."""
    if compiler() is None:
        pytest.skip("no C++ compiler")
    private_inductor()
    rows = Axis("rows")
    example = (torch.ones(3, 4, 128), torch.ones(3, 2))
    dynamic = ({0: rows, 2: Axis("tiles", 64)}, {0: rows})

    def results(name):
        path = tmp_path / f"{name}.pt2"
        compile_module(Sums(), example, dynamic, path, kernels._INDUCTOR)
        inputs = torch.rand(7, 4, 192), torch.rand(7, 2)
        torch.testing.assert_close(load_package(path)(*inputs), Sums()(*inputs))
        table = torch.linspace(0, 1, 5 * 4 * 64).reshape(5, 4, 64)
        return load_package(path)(table, table[:, 0, :2]), path.stat().st_size

    return results


@pytest.mark.thorough  # it compiles kernels
@pytest.mark.parametrize("form", [None, "int no_cpp;"])
def test_short_calls_are_torchs_own(form, compiled, monkeypatch):
    expected = calls.shortened
    monkeypatch.setattr(
        calls, "shortened", lambda text: form
    )  # torch's own, or none at all
    slow, slow_size = compiled("slow")
    monkeypatch.setattr(calls, "shortened", expected)
    fast, fast_size = compiled("fast")
    assert all(torch.equal(a, b) for a, b in zip(slow, fast, strict=True))
    assert fast_size < slow_size / 2


@pytest.mark.thorough  # it compiles a kernel
def test_a_kernel_whose_short_calls_cannot_be_loaded_is_compiled_torchs_way(
    compiled, monkeypatch
):
    def cannot_load(path):
        raise RuntimeError("another release of torch")

    monkeypatch.setattr(compilation, "load_package", cannot_load)
    compiled("slow")


def test_what_is_not_needed_is_left_out():
    text = shortened(WRITTEN)
    assert text is not None
    assert "cpp_fused_0(0, 0);" in text
    assert 'OUT_SPEC = R"([1, "out"])"' in text
    assert "AOTInductorModelBase" not in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("                           0,", "                           2,"),  # constants
        ("AOTInductorModelBase(1", "AOTInductorModelBase(33"),
        ("run_impl", "run"),
        ("out_spec_", "specification"),
        ('extern "C"  void  cpp', "void cpp"),
    ],
)
def test_another_form_stays_as_it_is(before, after):
    assert before in WRITTEN
    assert shortened(WRITTEN.replace(before, after)) is None
