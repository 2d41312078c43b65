import pytest
import torch

from lenssim.learn.optimise import OPTIMISERS, SCHEDULES, optimiser, schedule

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


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_schedule_leaves_its_range(name):
    seen = rates(name)
    assert len(seen) == STEPS
    assert 0 <= min(seen) <= max(seen) <= 0.1 + 1e-12


def test_the_published_schedules():
    assert rates("as_run") == rates("constant") == [0.1] * STEPS
    assert rates("as_written")[::4] == pytest.approx([0.1 * 0.8**epoch for epoch in range(EPOCHS)])


def test_schedules_that_are_laid_out_end_low():
    for name, own in SCHEDULES.items():
        assert (rates(name)[-1] < 0.002) == own.laid_out
