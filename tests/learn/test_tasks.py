import numpy as np
import pytest
import torch

from lenssim.learn.tasks.classify import Classify

CLASSES = ("a", "b", "c")


class Labelled:
    def __init__(self, labels):
        self.labels = labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_of_overconfident_logits_is_recovered(temperature):
    """Labels drawn from the probabilities of logits: multiplied by T, they need the temperature T."""
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(scale=2, size=(20_000, 3)))
    labels = np.array([rng.choice(3, p=p) for p in logits.softmax(1).numpy()])
    task = Classify(classes=CLASSES).calibrated(temperature * logits[None], Labelled(labels), np.arange(20_000))
    assert task.temperature == pytest.approx(temperature, rel=0.05)
    torch.testing.assert_close(
        task.probabilities(temperature * logits[None]), logits.float().softmax(1), atol=0.02, rtol=0
    )


def test_passes_are_averaged_as_probabilities():
    outputs = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0))
    task = Classify(classes=CLASSES, temperature=2.0)
    torch.testing.assert_close(task.probabilities(outputs), (outputs / 2).softmax(-1).mean(0))
    answers = task.answers(outputs)
    assert [a["predicted"] for a in answers] == [CLASSES[k] for k in task.probabilities(outputs).argmax(1)]
