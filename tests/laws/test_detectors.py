"""Laws of all detectors: shapes, determinism, save and load, and chance where nothing is to be found."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from error_codes import has_code
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from lenssim.errors import ConfigError, DataError
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.methods import METHODS, MODEL, TrainingSetup, method_of
from lenssim.learn.methods.detectors import DETECTORS
from lenssim.learn.nets import parameter_count
from lenssim.learn.nets.detection.autoencoder import (
    Autoencoder,
    discriminator,
    published_latent,
)
from lenssim.learn.nets.detection.detector import profile_distance
from lenssim.learn.nets.detection.facts import FACTS
from lenssim.learn.scores import anomaly as scores
from lenssim.learn.tasks import parse_config
from lenssim.learn.tasks.anomaly import Anomaly

every_detector = pytest.mark.parametrize("name", DETECTORS)
FITTED = [name for name, kind in DETECTORS.items() if not kind.has_steps]
SETTINGS = {"components": 8, "core": 64, "latent": 16}
USUAL, ODD = 0, 1


@dataclass
class Images:
    """Images in memory, as tasks and methods ask for them."""

    pixels: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ("no_sub", "odd")
    folder: Path = Path("toys")

    @property
    def image_shape(self):
        return self.pixels.shape[1:]

    def __len__(self):
        return len(self.pixels)

    def images(self, rows):
        return self.pixels[rows]


def toys(n: int, seed: int, *, shape=(1, 32, 32), kind: str = "rings") -> Images:
    """Rings of several radii with noise of 1; of the odd ones, a half is turned upside down.

    `noise` has no rings. `permuted` has the same pixels in another order for each image.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    y, x = np.mgrid[: shape[1], : shape[2]]
    radius = rng.uniform(6, 9, size=n)[:, None, None]
    distance = np.hypot(y - (shape[1] - 1) / 2, x - (shape[2] - 1) / 2)
    ring = 30 * np.exp(-((distance - radius) ** 2) / 4) * (1 + 0.7 * (y > shape[1] / 2))
    ring[labels == ODD] = ring[labels == ODD][:, ::-1]
    light = np.repeat(ring[:, None], shape[0], axis=1)
    if kind == "noise":
        light = np.zeros_like(light)
    pixels = (light + rng.normal(size=light.shape)).astype(np.float32)
    if kind == "permuted":
        flat = pixels.reshape(n, -1)
        pixels = rng.permuted(flat, axis=1).reshape(pixels.shape)
    return Images(pixels, labels)


def setup_of(name: str, data: Images, **settings) -> tuple:
    """The method of a detector and what it may know of a training on some images."""
    picture = "residual" if name == "chi2" else "image"
    fields = METHODS[name].model_fields
    config = parse_config(
        {
            "task": "anomaly",
            "data": "d",
            "detector": name,
            "picture": picture,
            "method_settings": {k: v for k, v in SETTINGS.items() if k in fields},
            **settings,
        }
    )
    rows = np.arange(len(data))
    task = Anomaly.fit(config, data, {"train": rows, "validation": rows})
    images = ImageDescription(data.image_shape)
    return method_of(config), TrainingSetup(config, task, images, len(data), 20)


def trained(name: str, data: Images, epochs: int = 1):
    """Networks after `begin` and some epochs on the usual images, and their task."""
    method, setup = setup_of(name, data)
    usual = setup.task.usable(data, np.arange(len(data)))
    networks = method.fresh_networks(setup)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        method.begin(networks, data, usual, setup)
        if method.has_steps:
            _take_steps(method, networks, setup, data.pixels[usual], epochs)
    return method.export(networks).eval(), setup


def _take_steps(method, networks, setup, pixels, epochs):
    steps = {
        turn: torch.optim.Adam(weights, 1e-3)
        for turn, weights in method.optimisers(networks).items()
    }
    for _ in range(epochs):
        for batch in torch.from_numpy(pixels).split(32):
            if len(batch) < 32:
                continue
            for turn, optimiser in steps.items():
                optimiser.zero_grad()
                views = {"data": ({"image": batch},)}
                method.step(networks, views, setup, turn).backward()
                optimiser.step()


@torch.inference_mode()
def answered(model, data: Images) -> torch.Tensor:
    return model(torch.from_numpy(data.pixels))[None]


def area(model, task, data: Images) -> float:
    return roc_auc_score(data.labels == ODD, task.fact(answered(model, data), "score"))


@every_detector
@pytest.mark.parametrize("shape", [(1, 32, 32), (2, 29, 36)])
def test_a_detector_gives_its_numbers_and_a_map(name, shape):
    data = toys(64, 0, shape=shape)
    model, setup = trained(name, data)
    outputs = answered(model, data)
    assert outputs.shape == (1, 64, setup.task.outputs)
    assert torch.isfinite(outputs).all()
    assert setup.task.pictures(outputs).shape == (64, *shape)
    task = setup.task.calibrated(outputs, data, np.arange(64))
    assert len(task.answers(outputs)) == 64
    again = Anomaly.model_validate_json(task.model_dump_json())
    np.testing.assert_array_equal(again.p_values(outputs), task.p_values(outputs))


@every_detector
def test_a_detector_is_the_same_when_trained_again_and_loaded(name):
    data = toys(64, 0)
    model, setup = trained(name, data)
    again, _ = trained(name, data)
    outputs = answered(model, data)
    assert torch.equal(outputs, answered(again, data))
    method = method_of(setup.config)
    loaded = method.export(method.fresh_networks(setup)).eval()
    loaded.load_state_dict(model.state_dict())
    assert torch.equal(outputs, answered(loaded, data))


@every_detector
@pytest.mark.parametrize(
    "kind", ["noise", pytest.param("permuted", marks=pytest.mark.thorough)]
)
def test_a_detector_is_at_chance_where_nothing_is_to_be_found(name, kind):
    model, setup = trained(name, toys(128, 0, kind=kind))
    assert area(model, setup.task, toys(400, 1, kind=kind)) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", ["statistics", "pca", "patchcore"])
def test_a_fitted_detector_finds_what_is_odd(name):
    data = toys(256, 0)
    model, setup = trained(name, data)
    least = {"statistics": 0.4, "pca": 0.95, "patchcore": 0.7}[name]
    assert area(model, setup.task, toys(200, 1)) > least


def test_components_leave_as_little_as_those_of_a_full_decomposition():
    data = toys(100, 0)
    usual = data.labels == USUAL
    model, setup = trained("pca", data)
    scaled = data.pixels / data.pixels.max((1, 2, 3), keepdims=True)
    flat = scaled[usual].reshape(usual.sum(), -1)
    full = PCA(SETTINGS["components"], svd_solver="full").fit(flat)
    least = ((flat - full.inverse_transform(full.transform(flat))) ** 2).mean()
    found = setup.task.fact(answered(model, data), "mse")[usual].mean()
    assert least * (1 - 1e-4) < found < 1.05 * least


@pytest.mark.parametrize(
    ("shape", "flat", "latent", "norms", "last"),
    [((1, 150, 150), 64 * 9 * 9, 1000, 0, 6), ((1, 64, 64), 64 * 7 * 7, 2048, 1, 7)],
)
def test_autoencoders_have_the_published_layers(shape, flat, latent, norms, last):
    """Kernels of 7 but for the last one of large stamps; batch norm and PReLU for small ones."""
    net = Autoencoder("minmax", shape, latent)
    assert published_latent(shape) == latent
    down = (16 * 49 + 16) + (32 * 16 * 49 + 32) + (64 * 32 * 49 + 64)
    down += norms * (2 * (16 + 32 + 64) + 3)
    up = (64 * 32 * 49 + 32) + (32 * 16 * 49 + 16) + (16 * last**2 + 1)
    up += norms * (2 * (32 + 16) + 2)
    assert parameter_count(net.encoder) == down + flat * latent + latent
    assert parameter_count(net.decoder) == up + latent * flat + flat
    images = torch.rand(2, *shape)
    assert net(images).shape == (2, len(FACTS) + images[0].numel())


def test_the_discriminator_has_the_published_layers():
    layers = [m for m in discriminator(1000) if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in layers] == [
        (1000, 256),
        (256, 256),
        (256, 1),
    ]


def test_radial_profiles_have_the_distance_of_scipy():
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.random((3, 1, 21, 21)))
    answers = torch.from_numpy(rng.random((3, 1, 21, 21)) ** 3)
    y, x = np.mgrid[:21, :21] - 10
    rings = np.hypot(y, x).round().ravel()
    expected = [
        wasserstein_distance(rings, rings, a.numpy().ravel(), b.numpy().ravel())
        for a, b in zip(images, answers, strict=True)
    ]
    np.testing.assert_allclose(profile_distance(images, answers), expected, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_p_values_alarm_at_the_stated_rate(rate):
    """Over calibrations, the mean rate is that of exchangeable scores: floor(a (n + 1)) / (n + 1)."""
    rng = np.random.default_rng(0)
    alarms = [
        (scores.conformal_p(rng.normal(size=200), rng.normal(size=199)) <= rate).mean()
        for _ in range(400)
    ]
    assert np.mean(alarms) == pytest.approx(rate, abs=4 * np.std(alarms) / 20)


def test_scores_do_not_depend_on_brightness_once_it_is_known():
    """A score that rises with light alone says nothing of an image."""
    rng = np.random.default_rng(0)
    conditions = rng.normal(size=(800, 3)) + np.array([0, 5, -1])
    raw = 2 * conditions[:, 1] - conditions[:, 2] ** 2 + 0.1 * rng.normal(size=800)
    fitted = scores.Conditions.fit(raw[:400], conditions[:400])
    excess = fitted.excess(raw[400:], conditions[400:])
    assert abs(np.corrcoef(excess, conditions[400:, 1])[0, 1]) < 0.15
    assert excess.std() == pytest.approx(1, abs=0.15)
    constant = scores.Conditions.fit(raw[:400], np.zeros((400, 3)))
    assert np.isfinite(constant.excess(raw, conditions)).all()


def test_counts_and_areas():
    labels = np.array([0, 0, 1, 1, 2])
    found = scores.areas(labels, np.array([1, 2, 3, 0, 5.0]), ("a", "b", "c"), "a", 0)
    assert {name: area["value"] for name, area in found.items()} == {
        "b": 0.5,
        "c": 1.0,
        "all": pytest.approx(2 / 3),
    }
    alarms = np.array([True, False, True, False, True])
    assert scores.counts_at(alarms, labels > 0) == {"TP": 2, "FP": 1, "TN": 1, "FN": 1}
    alone = scores.areas(labels * 0, np.arange(5.0), ("a", "b"), "a", 0)
    assert alone["all"]["value"] is None


def test_other_noise_is_flagged_and_not_answered():
    data = toys(128, 0)
    model, setup = trained("pca", data)
    task = setup.task.calibrated(answered(model, data), data, np.arange(128))
    louder = Images(3 * data.pixels, data.labels)
    outputs = answered(model, louder)
    answers = task.answers(outputs)
    assert all(a["p"] is None and a["alarm"] is None for a in answers)
    assert "128 of 128 images have noise" in task.remarks(answers)[0]
    with pytest.raises(DataError, check=has_code("noise-differs")):
        task.judge(outputs, louder, np.arange(128), 10, 0)


def test_odd_images_in_a_set_that_is_said_to_be_clean_are_told(capfd):
    data = toys(256, 0)
    model, setup = trained("pca", data)
    few = data.labels == USUAL
    few[np.flatnonzero(data.labels == ODD)[:6]] = True
    mixed = Images(data.pixels[few])
    task = setup.task.calibrated(answered(model, mixed), mixed, np.arange(few.sum()))
    assert task.outliers > 0.01
    assert "stand out" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"pixels": np.ones((64, 1, 16, 16), np.float32)}, "images-constant"),
        ({"labels": np.ones(64, int)}, "split-empty"),
        ({"classes": ("lens", "other")}, "unknown-class"),
        ({"labels": None}, "no-labels"),
    ],
)
def test_images_that_cannot_be_learned_from(change, error):
    fields = {"pixels": toys(64, 0).pixels, "labels": np.zeros(64, int)}
    data = Images(**(fields | change))
    with pytest.raises((ConfigError, DataError), check=has_code(error)):
        setup_of("pca", data)


def test_unlabelled_images_are_learned_from_when_told_so():
    data = Images(toys(64, 0).pixels)
    _, setup = setup_of("pca", data, unlabelled=True)
    assert len(setup.task.usable(data, np.arange(64))) == 64
    with pytest.raises(DataError, check=has_code("classes-differ")):
        setup.task.check(data)


def test_chi2_needs_the_residual_of_a_fit():
    config = parse_config({"task": "anomaly", "data": "d", "detector": "chi2"})
    task = Anomaly(detector="chi2", normal="no_sub", shape=(1, 8, 8))
    setup = TrainingSetup(config, task, ImageDescription((1, 8, 8)), 64, 1)
    with pytest.raises(ConfigError, check=has_code("picture-needed")):
        method_of(config).fresh_networks(setup)


@pytest.mark.parametrize(
    "settings", [{"detector": "pcb"}, {"detector": "ae", "method": "pca"}]
)
def test_settings_that_cannot_be(settings):
    with pytest.raises(ConfigError):
        parse_config({"task": "anomaly", "data": "d", **settings})


def test_a_detector_serves_its_task_alone():
    config = parse_config({"task": "classify", "data": "d", "method": "pca"})
    with pytest.raises(ConfigError, check=has_code("method-task")):
        method_of(config)


def test_fitted_detectors_are_known():
    assert set(FITTED) == {"chi2", "statistics", "pca", "patchcore"}
    assert MODEL == "model"
