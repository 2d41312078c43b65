import pytest
import torch

from lenssim.learn.compute.optimisers import OPTIMISERS, SCHEDULES, optimiser, schedule

STEPS, EPOCHS = 40, 10


def rates(name, rate=0.1):
    """The rate in each step of a training of 40 steps in 10 epochs."""
    made = optimiser("sgd")([torch.nn.Parameter(torch.ones(1))], rate, 0.0)
    own = schedule(name)
    moving, seen = own.make(made, rate, STEPS), []
    for step in range(STEPS):
        seen.append(made.param_groups[0]["lr"])
        made.step()
        if own.interval == "step" or (step + 1) % (STEPS // EPOCHS) == 0:
            moving.step()
    return seen


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_finds_the_bottom_of_a_bowl(name):
    x = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    made = optimiser(name)([x], 0.05, 0.0)
    for _ in range(300):
        made.zero_grad()
        (x**2).sum().backward()
        made.step()
    assert x.abs().max() < 0.05


@pytest.mark.parametrize("shape", [(24, 10), (10, 24), (16, 3, 3, 3)])
def test_a_step_of_muon_is_orthogonal_and_as_long_as_one_of_adamw(shape):
    # Adam's first step is the rate in every weight; AdamW's steps are a fifth of that later on (Liu et al. 2025)
    generator = torch.Generator().manual_seed(1)
    weights, slopes = (
        torch.nn.Parameter(torch.zeros(shape)),
        torch.randn(shape, generator=generator),
    )
    weights.grad = slopes.clone()
    optimiser("muon")([weights], 0.01, 0.0).step()
    step, slopes = weights.detach().flatten(1), slopes.flatten(1)
    longest, shortest = torch.linalg.svdvals(step)[[0, -1]]
    assert longest < 2 * shortest
    longest, shortest = torch.linalg.svdvals(slopes)[[0, -1]]
    assert longest > 2.2 * shortest
    assert (step * slopes).sum() < 0
    assert step.square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.25)


def test_muon_takes_the_same_step_on_processors_with_bf16_and_without(monkeypatch):
    slopes = torch.randn((24, 10), generator=torch.Generator().manual_seed(1))
    steps = []
    for capability in ("AVX512", "AVX2"):
        monkeypatch.setattr(
            "lenssim.learn.compute.device.get_cpu_capability",
            lambda capability=capability: capability,
        )
        weights = torch.nn.Parameter(torch.zeros(24, 10))
        weights.grad = slopes.clone()
        optimiser("muon")([weights], 0.01, 0.0).step()
        steps.append(weights.detach())
    rounded, single = steps
    assert (
        0 < (rounded - single).abs().max() < 0.02 * single.abs().max()
    )  # bf16 has eight bits


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_schedule_leaves_its_range(name):
    seen = rates(name)
    assert len(seen) == STEPS
    assert 0 <= min(seen) <= max(seen) <= 0.1 + 1e-12


def test_the_published_schedules():
    assert rates("as_run") == rates("constant") == [0.1] * STEPS
    assert rates("as_written")[::4] == pytest.approx(
        [0.1 * 0.8**epoch for epoch in range(EPOCHS)]
    )


def test_schedules_that_are_laid_out_end_low():
    for name, own in SCHEDULES.items():
        assert (rates(name)[-1] < 0.002) == own.laid_out
