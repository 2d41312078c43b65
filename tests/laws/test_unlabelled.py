"""Laws of what is learned without labels: losses against plain sums, clusters, probes, few labels."""

from itertools import permutations

import numpy as np
import pytest
import torch
from error_codes import has_code

from lenssim.errors import DataError
from lenssim.learn.inputs.augment import augmentation
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.methods import METHODS, MODEL, TrainingSetup, method_of
from lenssim.learn.methods.mae import masked_patches
from lenssim.learn.methods.scan import agreement
from lenssim.learn.methods.simclr import contrast
from lenssim.learn.nets.decoder import image_decoder
from lenssim.learn.nets.neighbours import Neighbours, nearest
from lenssim.learn.scores import clustering, embedding
from lenssim.learn.tasks import parse_config, task_class

UNLABELLED = {"simclr": "represent", "mae": "represent", "scan": "cluster"}


class Images:
    """Images in memory, without labels."""

    def __init__(self, pixels):
        self.pixels = pixels
        self.index = np.arange(len(pixels))
        self.labels = None

    def images(self, rows):
        return self.pixels[rows]


def test_the_contrast_is_that_of_plain_sums():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 5, 7))
    numbers = np.concatenate([first, second])
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    total = 0.0
    for i in range(10):
        partner = (i + 5) % 10
        weights = [np.exp(numbers[i] @ numbers[j] / 0.3) for j in range(10) if j != i]
        total -= np.log(np.exp(numbers[i] @ numbers[partner] / 0.3) / sum(weights))
    found = contrast(torch.from_numpy(first), torch.from_numpy(second), 0.3)
    assert found.item() == pytest.approx(total / 10, rel=1e-9)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
def test_the_same_share_of_whole_patches_is_masked(share):
    images = torch.zeros(6, 2, 30, 21)
    hidden = masked_patches(images, 8, share, torch.Generator().manual_seed(0))
    assert hidden.shape == (6, 1, 30, 21)
    patches = torch.stack(
        [hidden[:, 0, r::8, c::8][:, :4, :3] for r in (0, 5) for c in (0, 4)]
    )
    assert (patches == patches[0]).all()
    count = hidden[:, 0, ::8, ::8].sum((1, 2))
    assert (count == min(max(1, round(share * 12)), 11)).all()


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 21, 45)])
def test_a_decoder_gives_images_of_its_shape(shape):
    assert image_decoder(10, shape)(torch.zeros(2, 10)).shape == (2, *shape)


def test_neighbours_are_those_of_scikit_learn():
    from sklearn.neighbors import NearestNeighbors

    features = np.random.default_rng(0).normal(size=(60, 5))
    search = NearestNeighbors(n_neighbors=5, metric="cosine").fit(features)
    expected = search.kneighbors(features, return_distance=False)[:, 1:]
    found = nearest(torch.from_numpy(features), 4).numpy()
    np.testing.assert_array_equal(np.sort(found), np.sort(expected))


def test_a_drawn_image_is_a_neighbour():
    features = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    images = torch.arange(20.0).view(20, 1, 1, 1)
    numbers = torch.arange(20).flip(0) * 7
    keeper = Neighbours(20, 2)
    keeper.set(numbers, images, features)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        for _ in range(5):
            rows = keeper.draw(numbers).flatten().long()
            assert (keeper.rows == rows[:, None]).any(1).all()


def test_agreement_is_least_for_sure_and_equal_clusters():
    sure = 20 * torch.eye(2).repeat(4, 1)
    same = 20 * torch.tensor([[1.0, 0.0]]).repeat(8, 1)
    unsure = torch.zeros(8, 2)
    losses = [agreement(x, x, 5.0).item() for x in (sure, same, unsure)]
    assert losses[0] == pytest.approx(-5 * np.log(2), abs=1e-4)
    assert losses[0] < min(losses[1:])


@pytest.mark.parametrize("name", UNLABELLED)
@pytest.mark.parametrize("shape", [(1, 24, 24), (2, 20, 26)])
def test_a_method_learns_images_without_labels(name, shape):
    rng = np.random.default_rng(0)
    data = Images(rng.normal(size=(40, *shape)).astype(np.float32))
    config = parse_config(
        {"task": UNLABELLED[name], "data": "d", "method": name, "net": "cnn"}
    )
    task = task_class(config.task).fit(config, data, {})
    method = method_of(config)
    setup = TrainingSetup(config, task, ImageDescription(shape), 40, 10)
    networks = method.fresh_networks(setup)
    method.begin(networks, data, np.arange(40), setup)
    batch = {"image": torch.from_numpy(data.pixels), "index": torch.arange(40)}
    augment = augmentation(config.augment)
    losses = []
    for _ in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(1)
            views = method.views(batch, augment, torch.Generator().manual_seed(1))
            losses.append(method.step(networks, {"data": views}, setup, MODEL))
    assert losses[0].item() == losses[1].item()
    losses[0].backward()
    weights = dict(networks[MODEL].named_parameters())
    assert all(weight.grad is not None for weight in weights.values())
    outputs, loss = method.validation_step(networks, batch, setup)
    assert outputs.shape == (40, task.outputs)
    assert torch.isfinite(loss)
    scores = task.metrics()
    task.update(scores, outputs, batch)
    assert all(torch.isfinite(value) for value in scores.compute().values())
    assert len(task.answers(outputs.detach()[None])) == 40


def test_all_methods_that_serve_these_tasks_are_tested_here():
    served = {
        name for name, kind in METHODS.items() if {"represent", "cluster"} & set(kind.tasks)
    }
    assert served == set(UNLABELLED)


@pytest.mark.parametrize("count", [2, 3])
def test_clusters_are_matched_as_the_best_permutation(count):
    rng = np.random.default_rng(count)
    clusters, labels = rng.integers(count, size=(2, 50))
    classes = ("a", "b", "c")[:count]
    best = max(
        permutations(range(count)), key=lambda p: (np.array(p)[clusters] == labels).sum()
    )
    names = clustering.matched(clusters, labels, count, classes)
    agreed = (np.array([classes.index(n) for n in names])[clusters] == labels).sum()
    assert agreed == (np.array(best)[clusters] == labels).sum()


def test_more_clusters_than_classes_stand_for_the_most_frequent():
    clusters = np.array([0, 0, 1, 2, 2, 2])
    labels = np.array([0, 0, 1, 0, 1, 1])
    assert clustering.matched(clusters, labels, 4, ("a", "b")) == ("a", "b", "b", "a")
    metrics, facts = clustering.clustering_scores(
        clusters, labels, ("a", "b", "b", "a"), ("a", "b"), resamples=20, seed=0
    )
    assert metrics["accuracy"]["value"] == pytest.approx(5 / 6)
    assert facts["majority"] == 0.5
    assert facts["confusion"] == [[2, 1], [0, 3]]


def features_of(n: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    features = rng.normal(size=(n, 6))
    features[:, 0] += distance * (2 * labels - 1)
    return features, labels


@pytest.mark.parametrize(
    ("distance", "low", "high"), [(12.0, 0.99, 1.0), (0.0, 0.35, 0.65)]
)
def test_probes_find_what_is_there_and_nothing_else(distance, low, high):
    features, labels = features_of(80, distance)
    metrics, facts = embedding.representation_scores(features, labels, ("a", "b"), 0)
    assert facts["majority"] == 0.5
    for name in ("probe", "probe_auc", "neighbours"):
        assert low <= metrics[name]["value"] <= high, name
    rows = embedding.few_shot_scores(features, labels, ("a", "b"), shots=(1, 5), draws=20)
    assert [row["shots"] for row in rows] == [1, 5]
    for row in rows:
        for name in ("prototypes", "logistic"):
            assert low - 0.03 <= row[name]["value"] <= high + 0.03


def test_more_labels_are_better():
    features, labels = features_of(200, 1.0)
    rows = embedding.few_shot_scores(features, labels, ("a", "b"), shots=(1, 20), draws=20)
    for name in ("prototypes", "logistic"):
        assert rows[0][name]["value"] + 0.05 < rows[1][name]["value"]


@pytest.mark.parametrize(
    ("labels", "code"),
    [(np.zeros(30, int), "too-few-classes"), (np.arange(30) // 27, "too-few-images")],
)
def test_features_need_classes_with_images(labels, code):
    features = np.zeros((30, 4))
    with pytest.raises(DataError, check=has_code(code)):
        embedding.representation_scores(features, labels, ("a", "b"), 0)
    with pytest.raises(DataError, check=has_code(code)):
        embedding.few_shot_scores(features, labels, ("a", "b"), shots=(5,), draws=2)


def test_projections_keep_what_lies_apart():
    features, labels = features_of(60, 12.0)
    planes = embedding.projections(features)
    for name in ("pca", "tsne"):
        points = planes[name]
        centres = [points[labels == k].mean(0) for k in (0, 1)]
        gap = np.linalg.norm(centres[0] - centres[1])
        assert gap > 2 * points[labels == 0].std(), name
