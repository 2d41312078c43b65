"""What adaptation gains on toy images whose shift is known, and what it must not gain.

A class is the side of a spot. In the target, spots are faint and lie on a ramp, so the network of
the source fails there.
"""

import json
import sys
from types import ModuleType

import numpy as np
import pytest
from costs import without_dear
from torch import nn

from lenssim.learn.methods import METHODS
from lenssim.learn.nets import NETS
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train

UNLABELLED = [
    name
    for name, method in METHODS.items()
    if len(method.sources) > 1 and not method.reads_target_truth
]
INTERVAL = 0.08  # half-width of a 95 % interval of accuracies near 0.9, 64 images
CHEAP = "adabn"
every_method = pytest.mark.parametrize("method", without_dear(UNLABELLED, UNLABELLED))
N = 512


def spots(rng, labels):
    """Images (N, 12, 12) of a spot on the left (0) or on the right (1), with noise."""
    y, x = np.mgrid[:12, :12]
    centres = np.where(labels, 8.0, 3.0) + rng.normal(0, 0.7, len(labels))
    rows = rng.uniform(3, 8, len(labels))
    squares = (x - centres[:, None, None]) ** 2 + (y - rows[:, None, None]) ** 2
    return 4 * np.exp(-squares / 4) + rng.normal(0, 0.5, squares.shape)


def domain(folder, seed, *, moved=False, shuffled=False):
    """A data set of spots; `moved` images have a ramp, `shuffled` ones no order of pixels."""
    from lenssim import import_data

    rng = np.random.default_rng(seed)
    labels = np.arange(N) % 2
    images = spots(rng, labels)
    if moved:
        images = 0.4 * images + np.linspace(0, 5, 12)
    if shuffled:
        images = rng.permuted(images.reshape(N, -1), axis=1).reshape(images.shape)
    for name, label in (("left", 0), ("right", 1)):
        place = folder / "files" / name
        place.mkdir(parents=True)
        for i, image in enumerate(images[labels == label]):
            np.save(place / f"{i}.npy", image.astype(np.float32))
    import_data("deeplense", folder / "files", out=folder / "data")
    return folder / "data"


def build_spots(images, outputs):
    return nn.Sequential(
        nn.Conv2d(images.shape[0], 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, outputs),
    )


@pytest.fixture(autouse=True)
def spot_net(monkeypatch):
    module = ModuleType("lenssim.learn.nets.spots")
    module.build = build_spots
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(NETS, "spots", "spots")


@pytest.fixture(scope="session")
def domains(tmp_path_factory):
    """Data sets: the source, more of it, the target, and the target with shuffled pixels."""
    folder = tmp_path_factory.mktemp("domains")
    return {
        "source": domain(folder / "source", 1),
        "alike": domain(folder / "alike", 2),
        "target": domain(folder / "target", 3, moved=True),
        "shuffled": domain(folder / "shuffled", 4, moved=True, shuffled=True),
    }


@pytest.fixture
def accuracy(domains, tmp_path):
    """A function that trains, and returns the accuracy on test images of a domain."""
    from lenssim import load_run

    def of(judged, method=None, target=None, source="source"):
        out = tmp_path / "-".join(map(str, (judged, method, target, source)))
        document = {
            "task": "classify",
            "data": str(domains[source]),
            "net": "spots",
            "batch_size": 32,
            "epochs": 4,
            "augment": "none",
            "normalise": "none",
        }
        if method is not None:
            if getattr(METHODS[method], "needs_start", False):
                start = tmp_path / f"start-{source}"
                if not start.exists():
                    train(parse_config(document), start)
                document |= {"start": str(start), "select": "infomax"}
            document |= {"target": str(domains[target]), "adapt": method}
        train(parse_config(document), out)
        run = load_run(out)
        run.evaluate(str(domains[judged]))
        (path,) = out.glob("evaluation-*/metrics.json")
        return json.loads(path.read_text())["metrics"]["accuracy"]["value"]

    return of


@every_method
def test_a_method_gains_on_its_target_and_nothing_from_shuffled_pixels(accuracy, method):
    before = accuracy("target")
    after = accuracy("target", method, "target")
    shuffled = accuracy("target", method, "shuffled")
    print(method, before, after, shuffled)
    assert before < 0.75
    assert after > before + INTERVAL
    assert shuffled < before + INTERVAL


@every_method
def test_a_target_like_the_source_makes_nothing_worse(accuracy, method):
    before = accuracy("alike")
    after = accuracy("alike", method, "alike")
    print(method, before, after)
    assert before > 0.9
    assert after > before - INTERVAL


@pytest.mark.thorough
def test_domains_can_be_swapped(accuracy):
    """Images without a ramp are no harder, so there is nothing to gain, and nothing is lost."""
    before = accuracy("source", source="target")
    after = accuracy("source", CHEAP, "source", source="target")
    assert before > 0.9
    assert after > before - INTERVAL
