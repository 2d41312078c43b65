"""Laws of a GPU: what a network learns and answers there is what it would here, and the same every time."""

import json

import numpy as np
import pytest
import torch

from lenssim.data.streaming.dataset import ShardDataset
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.nets import IMAGE_NETS, NETS, build_net
from lenssim.learn.nets.model import image_outputs, outputs, read_checkpoint
from lenssim.learn.tasks import parse_config
from lenssim.learn.training.training import train

NUMBER_NETS = [name for name in NETS if name not in IMAGE_NETS]
pytestmark = pytest.mark.gpu

CUDA = torch.device("cuda")
CHAOTIC = ("lensformer",)  # sampled at places that follow from the image: small errors grow
RATES = {"swin": 2e-5}  # at which it learns: a larger one leaves it where it is


def config(data, **settings):
    return parse_config(
        {
            "data": str(data),
            "epochs": 2,
            "batch_size": 32,
            "augment": "dihedral+gaussian",
            **settings,
        }
    )


def weights(run):
    return read_checkpoint(run.last)["state_dict"]


@pytest.mark.parametrize("name", NUMBER_NETS)
def test_answers_are_those_of_the_cpu(name):
    net = build_net(name, ImageDescription((1, 64, 64)), 3).eval()
    images = torch.rand((4, 1, 64, 64), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        here, there = net(images), net.to(CUDA)(images.to(CUDA)).cpu()
    torch.testing.assert_close(
        there, here, atol=5e-3 if name in CHAOTIC else 2e-3, rtol=1e-2
    )


@pytest.mark.parametrize("name", NUMBER_NETS)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_net_learns_a_batch_by_heart(name, precision):
    net = build_net(name, ImageDescription((1, 64, 64)), 3).to(CUDA).train()
    images = torch.rand((24, 1, 64, 64), generator=torch.Generator().manual_seed(0)).to(
        CUDA
    )
    labels = torch.arange(24, device=CUDA) % 3
    images[labels == 0, :, :32] += 1.0
    images[labels == 1, :, :, :32] += 1.0
    optimiser, losses = torch.optim.AdamW(net.parameters(), lr=RATES.get(name, 5e-4)), []
    for _ in range(30):
        with torch.autocast("cuda", precision, enabled=precision != torch.float32):
            loss = torch.nn.functional.cross_entropy(net(images).float(), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < 0.8 * losses[0]


@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
def test_two_trainings_give_the_same_weights_and_workers_change_nothing(
    tiny_dataset, tmp_path, precision
):
    one = train(config(tiny_dataset, device="cuda", precision=precision), tmp_path / "one")
    two = train(
        config(tiny_dataset, device="cuda", precision=precision, workers=2),
        tmp_path / "two",
    )
    assert all(torch.equal(value, weights(two)[key]) for key, value in weights(one).items())
    assert one.record.result.cost.device == torch.cuda.get_device_name()
    assert one.record.result.cost.peak_mib > 1


def test_resuming_gives_what_an_undisturbed_training_gives(tiny_dataset, tmp_path, kill_at):
    settings = config(tiny_dataset, device="cuda", checkpoint_steps=1)
    undisturbed = train(settings, tmp_path / "undisturbed")
    with pytest.raises(MemoryError):
        train(settings, tmp_path / "killed", callbacks=[kill_at(6)])
    resumed = train(settings, tmp_path / "killed", resume=True)
    assert all(
        torch.equal(value, weights(resumed)[key])
        for key, value in weights(undisturbed).items()
    )


def test_a_run_answers_alike_on_both(tiny_dataset, tmp_path):
    run = train(config(tiny_dataset, device="cuda", net="compact_grid"), tmp_path / "run")
    dataset = ShardDataset(tiny_dataset)
    rows, model = dataset.rows("test"), run.model()
    there, here = (
        outputs(model, dataset, rows, torch.device(name)) for name in ("cuda", "cpu")
    )
    torch.testing.assert_close(there, here, atol=1e-3, rtol=1e-3)


def test_a_compiled_net_learns_and_answers_as_one_that_is_not(tiny_dataset, tmp_path):
    plain, compiled = (
        train(config(tiny_dataset, device="cuda", compile=compile), tmp_path / str(compile))
        for compile in (False, True)
    )
    dataset = ShardDataset(tiny_dataset)
    images = dataset.images(dataset.rows("test"))
    torch.testing.assert_close(
        image_outputs(compiled.model(), images, CUDA),
        image_outputs(plain.model(), images, CUDA),
        atol=0.05,
        rtol=0.05,
    )


def test_live_images_are_made_by_processes_beside_the_gpu(tmp_path):
    live = {"model": "III", "n": 640}
    settings = {"live": live, "epochs": 1, "batch_size": 32, "device": "cuda"}
    alone, helped = (
        train(parse_config({**settings, "workers": workers}), tmp_path / str(workers))
        for workers in (0, 2)
    )
    assert all(
        torch.equal(value, weights(helped)[key]) for key, value in weights(alone).items()
    )


@pytest.mark.dask
@pytest.mark.parametrize("model", ["III", "III-corrected"])
def test_the_command_line_simulates_on_the_gpu(lenssim, tmp_path, model):
    options = ["--model", model, "-n", 128, "--noise", "none", "--shard-size", 64, "--json"]
    for device, workers in (("cuda", 0), ("cuda", 2), ("cpu", 2)):
        done = lenssim(
            "generate",
            *options,
            "--device",
            device,
            "--workers",
            workers,
            "-o",
            f"{device}{workers}",
        )
        assert done.code == 0, done.err
        assert lenssim("verify", f"{device}{workers}").code == 0
    one, two, cpu = (ShardDataset(tmp_path / name) for name in ("cuda0", "cuda2", "cpu2"))
    assert one.fingerprint == two.fingerprint
    rows = np.arange(128)
    images, expected = one.images(rows), cpu.images(rows)
    worst = np.abs(images - expected).max((1, 2, 3)) / expected.max((1, 2, 3))
    assert np.median(worst) < 1e-5
    assert worst.max() < (
        1e-4 if model == "III" else 0.05
    )  # adaptive rays: a pixel in doubt may be looked at or not
    config = json.loads((tmp_path / "cuda0" / "manifest.json").read_text())
    assert config["n"] == 128
