import numpy as np
import pytest
import torch

from lenssim.errors import ConfigError
from lenssim.learn.tasks import parse_config
from lenssim.learn.tasks.classify import Classify

CLASSES = ("a", "b", "c")


class Labelled:
    def __init__(self, labels):
        self.labels, self.classes, self.folder = labels, CLASSES, "labelled"


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_of_overconfident_logits_is_recovered(temperature):
    """Labels drawn from the probabilities of logits: multiplied by T, they need the temperature T."""
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(scale=2, size=(20_000, 3)))
    labels = np.array([rng.choice(3, p=p) for p in logits.softmax(1).numpy()])
    task = Classify(classes=CLASSES).calibrated(
        temperature * logits[None], Labelled(labels), np.arange(20_000)
    )
    assert task.temperature == pytest.approx(temperature, rel=0.05)
    torch.testing.assert_close(
        task.probabilities(temperature * logits[None]),
        logits.float().softmax(1),
        atol=0.02,
        rtol=0,
    )


def test_passes_are_averaged_as_probabilities():
    outputs = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0))
    task = Classify(classes=CLASSES, temperature=2.0)
    torch.testing.assert_close(
        task.probabilities(outputs), (outputs / 2).softmax(-1).mean(0)
    )
    answers = task.answers(outputs)
    assert [a["predicted"] for a in answers] == [
        CLASSES[k] for k in task.probabilities(outputs).argmax(1)
    ]


@pytest.mark.parametrize(
    ("weights", "value"),
    [
        ("balanced", "balanced"),
        ("b=3", {"b": 3.0}),
        ("a=1, b=2.5", {"a": 1.0, "b": 2.5}),
        ({"b": 3}, {"b": 3.0}),
        (None, None),
    ],
)
def test_class_weights_are_taken_as_the_command_line_writes_them(weights, value):
    assert parse_config({"data": "d", "class_weights": weights}).class_weights == value


@pytest.mark.parametrize("weights", ["balance", "b", "=1", "b=", "b=0", {"b": "x"}, 3, [1]])
def test_class_weights_that_cannot_be_are_told_once(weights):
    with pytest.raises(ConfigError) as caught:
        parse_config({"data": "d", "class_weights": weights})
    assert str(caught.value).startswith("training: class_weights")
    assert ";" not in str(caught.value).replace("cdm=2; got", "")


def test_balanced_weights_count_every_class_alike():
    """Where one class has nine samples of ten, the loss is the mean of the classes' own losses."""
    labels = np.repeat([0, 1, 2], [90, 6, 4])
    config = parse_config({"data": "d", "class_weights": "balanced"})
    own = Labelled(labels)
    task = Classify.fit(config, own, {"train": np.arange(100)})
    outputs = torch.randn(100, 3, generator=torch.Generator().manual_seed(1))
    mean = torch.stack(
        [
            torch.nn.functional.cross_entropy(
                outputs[labels == k], torch.full(((labels == k).sum(),), k)
            )
            for k in (0, 1, 2)
        ]
    ).mean()
    torch.testing.assert_close(
        task.loss(outputs, {"label": torch.from_numpy(labels)}), mean
    )
    given = Classify.fit(
        parse_config({"data": "d", "class_weights": {"b": 3}}),
        own,
        {"train": np.arange(100)},
    )
    assert given.weights == (1.0, 3.0, 1.0)
