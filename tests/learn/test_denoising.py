"""Laws of denoising: scores against scikit-image and arithmetic, targets, and the commands."""

import json

import numpy as np
import pytest
import torch
from error_codes import has_code
from scipy.ndimage import gaussian_filter

import lenssim as package
from lenssim.errors import ConfigError
from lenssim.learn.inputs.augment import augmentation
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.methods.supervised import Supervised
from lenssim.learn.nets import IMAGE_NETS, build_net
from lenssim.learn.nets.unet import noise_of
from lenssim.learn.scores import denoising
from lenssim.learn.tasks import parse_config
from lenssim.learn.tasks.denoise import Denoise

SHAPE = (2, 21, 26)
every_image_net = pytest.mark.parametrize("name", IMAGE_NETS)


def scene(n: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth and noisy images (n, 2, 21, 26): a blob each, noise of 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:21, :26]
    truth = (
        30
        * np.exp(-((y - 10) ** 2 + (x - 12.5) ** 2) / 18)
        * rng.uniform(0.5, 2, size=(n, 2, 1, 1))
    )
    return truth, (truth + rng.normal(size=truth.shape)).astype(np.float32)


@every_image_net
@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 21, 33), (3, 101, 101)])
def test_a_net_gives_images_of_the_shape_it_saw(name, shape):
    net = build_net(name, ImageDescription(shape), int(np.prod(shape))).eval()
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answer = net(images)
        assert answer.shape == (2, int(np.prod(shape)))
        for factor, level in ((1e-12, 0.0), (300.0, 5.0)):
            other = net(factor * (images + level))
            torch.testing.assert_close(other / factor, answer + level, atol=1e-3, rtol=1e-4)


@every_image_net
def test_a_net_of_images_gives_no_classes(name):
    with pytest.raises(ConfigError, check=has_code("net-outputs", name=name)):
        build_net(name, ImageDescription((1, 32, 32)), 3)


@every_image_net
def test_gradients_reach_every_weight_of_a_net_of_images(name):
    net = build_net(name, ImageDescription(SHAPE), int(np.prod(SHAPE)))
    truth, noisy = scene()
    answer = net(torch.from_numpy(noisy))
    (answer - torch.from_numpy(truth).flatten(1)).square().mean().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.thorough
@every_image_net
def test_a_net_of_images_learns_to_take_noise_off(name):
    net = build_net(name, ImageDescription(SHAPE), int(np.prod(SHAPE)))
    truth, noisy = map(torch.from_numpy, scene(32))
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        (net(noisy) - truth.float().flatten(1)).square().mean().backward()
        optimiser.step()
    unseen, seen = scene(32, seed=1)
    answer = net(torch.from_numpy(seen)).detach().numpy().reshape(unseen.shape)
    gain = denoising.squared_error(seen, unseen) / denoising.squared_error(answer, unseen)
    assert 10 * np.log10(gain.mean()) > 5


@every_image_net
@pytest.mark.parametrize("factor", [1e-12, 300.0])
def test_a_net_sees_the_noise_map_in_the_unit_of_the_image(name, factor):
    shape = (4, 21, 33)  # two bands, and two noise maps
    numbers = int(np.prod(shape)) // 2
    net = build_net(name, ImageDescription(shape, parts=2), numbers).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 2, 21, 33, generator=generator)
    sigma = 1 + torch.rand(2, 2, 21, 33, generator=generator)
    with torch.inference_mode():
        answer = net(torch.cat([images, sigma], dim=1))
        assert answer.shape == (2, numbers)
        scaled = net(torch.cat([factor * images, factor * sigma], dim=1)) / factor
        torch.testing.assert_close(scaled, answer, atol=1e-3, rtol=1e-4)
        other = net(torch.cat([images, 2 * sigma], dim=1))
        assert not torch.allclose(other, answer)
        sigma[0, 0, :5] = 0.0
        sigma[1, 1, :5] = torch.inf
        assert torch.isfinite(net(torch.cat([images, sigma], dim=1))).all()


@pytest.mark.thorough
def test_the_noise_map_tells_where_to_smooth():
    """The left half of each image is noisier: a net that sees the map gains more there."""
    sigma = np.where(np.arange(26) < 13, 4.0, 0.5) * np.ones((32, 2, 21, 1))
    errors = {}
    for parts in (1, 2):
        shape = (2 * parts, 21, 26)
        net = build_net("unet", ImageDescription(shape, parts=parts), 2 * 21 * 26)
        optimiser = torch.optim.Adam(net.parameters(), 3e-3)
        for seed in range(60):
            truth = scene(32)[0]
            noise = np.random.default_rng(seed).normal(size=truth.shape)
            maps = np.concatenate([truth + sigma * noise, sigma][:parts], axis=1)
            answer = net(torch.from_numpy(maps.astype(np.float32)))
            error = (answer - torch.from_numpy(truth).flatten(1)).square().mean()
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
        errors[parts] = float(error.detach())
    assert errors[2] < 0.9 * errors[1], errors


def test_the_noise_is_recovered():
    noisy = np.pad(scene(20)[0], [(0, 0), (0, 0), (20, 20), (20, 20)])
    noisy = noisy + np.random.default_rng(1).normal(size=noisy.shape)
    for noise in (noise_of(torch.from_numpy(noisy)).numpy(), denoising.noise_level(noisy)):
        assert noise.shape == (20, 2, 1, 1)
        assert abs(noise.mean() - 1) < 0.1  # the blob adds a little
    flat = torch.zeros(1, 1, 8, 8)
    assert torch.isfinite(build_net("unet", ImageDescription((1, 8, 8)), 64)(flat)).all()


def test_similarity_and_peak_signal_to_noise_are_those_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(0)
    truth = 40 * gaussian_filter(rng.normal(size=(2, 2, 96, 96)), (0, 0, 3, 3))
    noisy = truth + rng.normal(size=truth.shape)
    peak = 25.0
    ssim = denoising.similarity(noisy, truth, peak)
    psnr = denoising.decibels(denoising.squared_error(noisy, truth), peak)
    for k in range(len(truth)):
        pair = truth[k], noisy[k].astype(float)
        options = {"channel_axis": 0, "gaussian_weights": True, "sigma": 1.5}
        expected = metrics.structural_similarity(
            *pair, data_range=peak, use_sample_covariance=False, **options
        )
        assert ssim[k] == pytest.approx(expected, abs=1e-2)  # edges differ
        assert psnr[k] == pytest.approx(
            metrics.peak_signal_noise_ratio(*pair, data_range=peak), abs=1e-9
        )


def test_the_similarity_of_many_images_needs_the_memory_of_a_few(monkeypatch):
    functional = pytest.importorskip("torchmetrics.functional.image")
    measure = functional.structural_similarity_index_measure
    sizes = []

    def measured(images, *args, **kwargs):
        sizes.append(len(images))
        return measure(images, *args, **kwargs)

    monkeypatch.setattr(functional, "structural_similarity_index_measure", measured)
    truth, noisy = scene(70)
    together = denoising.similarity(noisy, truth, 30.0)
    assert together.shape == (70,)
    assert max(sizes) <= 32
    single = [
        denoising.similarity(noisy[k : k + 1], truth[k : k + 1], 30.0) for k in (0, 69)
    ]
    np.testing.assert_allclose(together[[0, 69]], np.concatenate(single), rtol=1e-9)


def test_nl_means_take_noise_off_and_keep_the_unit():
    pytest.importorskip("skimage")
    truth, noisy = scene()
    cleaned = denoising.nl_means(noisy)
    ratio = denoising.squared_error(noisy, truth) / denoising.squared_error(cleaned, truth)
    assert (ratio > 1.5).all()
    np.testing.assert_allclose(
        denoising.nl_means(1e-3 * noisy), 1e-3 * cleaned, rtol=1e-3, atol=1e-5
    )


def test_the_aperture_is_a_circle_about_the_centre():
    image = np.zeros((1, 1, 21, 21))
    image[0, 0, 10, 10] = 3.0
    image[0, 0, 0, 0] = 100.0
    assert denoising.aperture_flux(image) == pytest.approx(3.0)


class Kept:
    """Five noisy scenes with their truths, as a data set keeps them."""

    folder = "kept"
    classes = ()
    image_shape = SHAPE
    config = {"kind": "simulated", "maps": ["clean", "sigma", "arcs"]}  # noqa: RUF012

    def __init__(self):
        self.truth, self.noisy = scene(40)

    def images(self, rows):
        return self.noisy[rows]

    def read_map(self, name, rows):
        maps = {"clean": self.truth, "arcs": self.truth, "sigma": np.ones_like(self.truth)}
        return maps[name][rows].astype(np.float32)


def denoiser(**settings) -> Denoise:
    return Denoise(**{"target": "clean", "shape": SHAPE, "noise": 1.0, **settings})


@pytest.mark.parametrize("target", ["clean", "arcs", "noisy"])
def test_the_truth_has_no_error_and_the_noise_a_known_one(target, monkeypatch):
    data = Kept()
    monkeypatch.setattr("lenssim.learn.tasks.denoise.maps_of", lambda config: ("sigma",))
    rows = np.arange(40)
    task = denoiser(target=target)
    for images, gain in (
        (data.noisy, 0.0),
        (data.truth + 0.1 * (data.noisy - data.truth), 20),
    ):
        outputs = torch.from_numpy(images.astype(np.float32)).flatten(1)[None]
        metrics = task.judge(outputs, data, rows, 50, 0).metrics
        assert metrics["gain"]["value"] == pytest.approx(gain, abs=1e-3)
        assert metrics["psnr"]["value"] - metrics["psnr_noisy"]["value"] == pytest.approx(
            gain, abs=1e-3
        )
        assert abs(metrics["flux_bias"]["value"]) < 0.03
    expected = 0.81  # (1 - 0.1)^2 of the noise remains
    if target == "arcs":
        assert metrics["chi2"]["value"] is None
    else:
        assert metrics["chi2"]["value"] == pytest.approx(expected, abs=0.03)


def test_noise_to_noise_has_the_loss_of_another_draw():
    """The error against another draw is the error against the truth plus the noise's variance."""
    truth, noisy = scene(200)
    batch = {
        "image": torch.from_numpy(noisy),
        "clean": torch.from_numpy(truth),
        "sigma": torch.full(truth.shape, 2.0).double(),
    }
    outputs = torch.from_numpy(noisy).flatten(1)
    clean = denoiser().loss(outputs, batch)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        other = denoiser(target="noisy").loss(outputs, batch)
    assert float(clean) == pytest.approx(1.0, abs=0.02)
    assert float(other - clean) == pytest.approx(4.0, abs=0.1)
    assert denoiser(target="noisy").maps == ("clean", "sigma")


@pytest.mark.parametrize("augment", ["dihedral", "recentre=3", "flips", "none"])
def test_maps_move_with_their_image(augment):
    images = torch.rand(8, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    batch = {
        "image": images,
        "clean": 2 * images,
        "sigma": 3 * images,
        "index": torch.arange(8),
    }
    (view,) = Supervised().views(
        batch, augmentation(augment), torch.Generator().manual_seed(1)
    )
    (alone,) = Supervised().views(
        {"image": images}, augmentation(augment), torch.Generator().manual_seed(1)
    )
    torch.testing.assert_close(view["image"], alone["image"], rtol=0, atol=0)
    torch.testing.assert_close(view["clean"], 2 * view["image"])
    torch.testing.assert_close(view["sigma"], 3 * view["image"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("net", "cnn"),
        ("normalise", "minmax"),
        ("augment", "dihedral+gaussian"),
        ("target", "x"),
        ("picture", "sigma"),
    ],
)
def test_settings_that_cannot_be_are_refused(key, value):
    settings = {"task": "denoise", "data": "d", key: value}
    with pytest.raises(ConfigError, check=has_code("settings-invalid")) as refused:
        parse_config(settings)
    assert key in str(refused.value)


@pytest.fixture(scope="module")
def kept_data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("denoise") / "III"
    package.generate("III", 256, folder, workers=0, maps="clean,sigma", noise="nominal")
    return folder


@pytest.mark.thorough
def test_denoise_and_look_through_from_the_command_line(lenssim, kept_data, tmp_path):
    options = ("--data", kept_data, "--epochs", 1, "--batch-size", 32)
    done = lenssim("train", "denoise", *options, "--out", "d", "--lr", 0.003)
    assert done.code == 0, done.err
    done = lenssim("evaluate", "d", "--data", kept_data, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["metrics"]["gain"]["value"] > -3  # after four steps
    assert (tmp_path / document["folder"] / "examples.png").is_file()
    assert "peak" in lenssim("predict", "d", kept_data).out
    through = ("--net", "cnn", "--through", "d", "--out", "c", "--limit", 64)
    done = lenssim("train", "classify", *options, *through, "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert record["through"]["net"] == "unet"
    (tmp_path / "d").rename(tmp_path / "moved")  # the run keeps what it needs
    done = lenssim("evaluate", "c", "--data", kept_data)
    assert done.code == 0, done.err


@pytest.mark.thorough
def test_a_denoiser_with_the_noise_map_stands_before_a_network(kept_data, tmp_path):
    settings = {"data": kept_data, "epochs": 1, "batch_size": 32, "picture": "image+sigma"}
    denoise = package.train("denoise", out=tmp_path / "d", **settings)
    assert denoise.record.image_shape == (2, 64, 64)
    assert denoise.record.task.shape == (1, 64, 64)
    metrics = denoise.evaluate(kept_data).document["metrics"]
    assert metrics["gain"]["value"] > -3
    through = package.train(
        "classify",
        net="cnn",
        through=tmp_path / "d",
        limit=64,
        out=tmp_path / "c",
        **settings,
    )
    assert through.evaluate(kept_data).document["n"] == 64
    with pytest.raises(ConfigError, check=has_code("no-denoiser")):
        package.train(
            "classify", kept_data, net="cnn", through=tmp_path / "d", out=tmp_path / "e"
        )


def test_a_run_that_gives_no_images_is_no_denoiser(lenssim, workplace):
    done = lenssim(
        *("train", "classify", "--data", workplace / "data/III", "--net", "cnn"),
        *("--through", workplace / "runs/cnn", "--out", "c"),
    )
    assert done.code == 2
    assert "denoise" in done.err
