"""A network and the normalisation it was trained with, as one: from raw images to answers."""

import pickle
from pathlib import Path
from typing import Any, override

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.data.generation.live import LiveDataset
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError
from lenssim.learn.inputs.description import Images
from lenssim.learn.inputs.normalise import normalisation
from lenssim.learn.nets import build_net
from lenssim.learn.nets.dropout import add_dropout, dropouts, thinned

__all__ = [
    "Model",
    "image_outputs",
    "load_weights",
    "outputs",
    "read_checkpoint",
    "read_tensors",
]

_BATCH = 256
_CHUNK = 1024  # images in memory at a time


class Model(nn.Module):
    """Raw images (N, C, H, W) to the outputs (N, K) of the net called `net`.

    With `dropout`, an answer is `draws` passes, each by another draw of the weights; a draw is the same for all images.
    """

    def __init__(
        self,
        net: str,
        normalise: str,
        images: Images,
        outputs: int,
        seed: int = 0,
        *,
        dropout: str = "0",
        draws: int = 1,
    ) -> None:
        super().__init__()
        self.name, self.seed = net, seed
        self.normalise = normalisation(normalise)
        self.net = build_net(net, images, outputs, seed)
        add_dropout(self.net, dropout)
        self.draws = draws if dropouts(self.net) else 1

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self.net(self.normalise(images))

    def passes(self, images: Tensor) -> Tensor:
        """Outputs (P, N, K) of the draws for images (N, C, H, W)."""
        seen = self.normalise(images)
        if not dropouts(self.net):
            return self.net(seen)[None]
        given = []
        for draw in range(self.draws):
            with thinned(
                self.net,
                int(np.random.SeedSequence((self.seed, draw)).generate_state(1)[0]),
            ):
                given.append(self.net(seen))
        return torch.stack(given)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint that training wrote; `DataError` as of `read_tensors`, and if it holds no weights."""
    checkpoint = read_tensors(path)
    if not isinstance(checkpoint, dict) or not isinstance(
        checkpoint.get("state_dict"), dict
    ):
        raise DataError(
            f"{path} is no checkpoint that lenssim train wrote: it holds no state_dict"
        )
    return checkpoint


def read_tensors(path: Path) -> Any:
    """What a training wrote by torch.save, tensors on the CPU; nothing in the file is executed.

    `DataError` if it is missing, damaged, no checkpoint, or wants more than tensors and numbers.
    """
    if not path.is_file():
        raise DataError(
            f"{path} does not exist: a training writes it at the end of its first epoch"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(
            f"{path} is no checkpoint of tensors and numbers alone; it was not read further"
        ) from None
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} is no checkpoint, or a damaged one ({reason})") from None


def load_weights(
    network: nn.Module, path: Path, name: str = "model", *, partly: bool = False
) -> None:
    """Fill a network from a checkpoint; `DataError` if the weights are of another net or shape.

    The checkpoint keeps its weights under `name`. With `partly`, weights of another shape,
    as of a head with more outputs, stay as they are.
    """
    stored = read_checkpoint(path)["state_dict"]
    prefix = f"{name}."
    weights = {
        key.removeprefix(prefix): value
        for key, value in stored.items()
        if key.startswith(prefix)
    }
    own = network.state_dict()
    reshaped = [
        key for key in own if key in weights and own[key].shape != weights[key].shape
    ]
    wrong = sorted(set(own) ^ set(weights)) or ([] if partly else reshaped)
    if wrong:
        net = getattr(network, "name", name)
        raise DataError(
            f"{path} does not fit the net {net}: {len(wrong)} of its weights are missing, unknown or of another "
            f"shape, such as {wrong[0]}; is it the checkpoint of another run?"
        )
    network.load_state_dict(weights | {key: own[key] for key in reshaped})


def outputs(
    model: Model,
    dataset: ShardDataset | LiveDataset,
    rows: np.ndarray,
    device: torch.device,
) -> Tensor:
    """Outputs (P, N, K), on the CPU, for the rows (N,) of a data set."""
    chunks = (
        dataset.images(rows[start : start + _CHUNK])
        for start in range(0, len(rows), _CHUNK)
    )
    return torch.cat([image_outputs(model, images, device) for images in chunks], dim=1)


@torch.inference_mode()
def image_outputs(model: Model, images: np.ndarray, device: torch.device) -> Tensor:
    """Outputs (P, N, K), on the CPU, for images (N, C, H, W)."""
    model = model.to(device).eval()
    parts = [
        model.passes(
            torch.as_tensor(
                images[start : start + _BATCH], dtype=torch.float32, device=device
            )
        )
        .float()
        .cpu()
        for start in range(0, len(images), _BATCH)
    ]
    return torch.cat(parts, dim=1)
