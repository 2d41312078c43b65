"""A network together with its normalisation: from raw images to outputs."""

import pickle
from pathlib import Path
from typing import Any, override

import numpy as np
import torch
from torch import Tensor, nn

from lenssim.data.streaming.source import ImageSource
from lenssim.errors import DataError
from lenssim.learn.inputs.description import ImageDescription
from lenssim.learn.inputs.normalise import normalisation
from lenssim.learn.nets import build_net
from lenssim.learn.nets.cut import features_of, head_of
from lenssim.learn.nets.dropout import add_dropout, dropouts, thinned

__all__ = [
    "PACKED",
    "Model",
    "image_outputs",
    "load_weights",
    "outputs",
    "read_checkpoint",
    "read_tensors",
]

PACKED = "best.safetensors"
"""Name of the file of rounded weights, in place of a checkpoint."""
_IMAGES_PER_BATCH = 256
_IMAGES_PER_CHUNK = 1024  # in memory at a time


class Model(nn.Module):
    """A network from raw images (N, C, H, W) to outputs (N, K).

    With dropout, an answer consists of several passes. Each pass is another draw of the weights,
    and a draw is the same for all images.
    """

    def __init__(
        self,
        net: str | nn.Module,
        normalise: str,
        images: ImageDescription,
        outputs: int,
        seed: int = 0,
        *,
        dropout: str = "0",
        draws: int = 1,
        through: str | None = None,
    ) -> None:
        """Build the network.

        Args:
            net: Name of the net, or the network itself.
            normalise: Name of the normalisation.
            images: The images.
            outputs: Number K of outputs.
            seed: Seed of the weights and of the draws.
            dropout: A rate, or `concrete`.
            draws: Number of passes of an answer, if there is dropout.
            through: Net from images to images, whose fixed weights change the images first.
        """
        super().__init__()
        self.name = getattr(net, "name", str(net))
        self.seed = seed
        self.normalise = normalisation(normalise)
        pictures = images if through is None else images.first_part
        self.picture_shape = pictures.shape
        if isinstance(net, str):
            net = build_net(net, pictures, outputs, seed)
        self.net = net
        add_dropout(self.net, dropout)
        self.draws = draws if dropouts(self.net) else 1
        self.through: nn.Module | None = None
        if through is not None:
            self.through = build_net(through, images, int(np.prod(pictures.shape)), seed)
            self.through.requires_grad_(requires_grad=False)

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self.net(self.scaled(images))

    def scaled(self, images: Tensor) -> Tensor:
        """Return what the network sees of raw images (N, C, H, W)."""
        if self.through is not None:
            images = self.through(images).unflatten(1, self.picture_shape)
        return self.normalise(images)

    def features(self, images: Tensor) -> Tensor:
        """Return what the last layer sees of images (N, C, H, W), as (N, D).

        Raises:
            ConfigError: The net gives images, and so has no such layer.
        """
        return features_of(self.net, self.scaled(images))

    def head(self, features: Tensor) -> Tensor:
        """Return the outputs (N, K) of features (N, D)."""
        return head_of(self.net)(features)

    def passes(self, images: Tensor) -> Tensor:
        """Return the outputs (P, N, K) of the draws for images (N, C, H, W)."""
        normalised = self.scaled(images)
        if not dropouts(self.net):
            return self.net(normalised)[None]
        passes = []
        for draw in range(self.draws):
            sequence = np.random.SeedSequence((self.seed, draw))
            with thinned(self.net, int(sequence.generate_state(1)[0])):
                passes.append(self.net(normalised))
        return torch.stack(passes)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a training.

    Args:
        path: The file.

    Returns:
        The checkpoint, with tensors on the CPU.

    Raises:
        DataError: As `read_tensors`, and if the file holds no weights.
    """
    if path.name == PACKED:
        return {"state_dict": _read_packed(path)}
    checkpoint = read_tensors(path)
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("state_dict"), dict):
        return checkpoint
    raise DataError(
        f"{path} is no checkpoint that lenssim train wrote: it holds no state_dict",
        code="checkpoint-invalid",
        path=path,
    )


def _read_packed(path: Path) -> dict[str, Tensor]:
    """Return the weights of a packed run, in float32."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path} is no file of weights, or a damaged one ({error})",
            code="checkpoint-invalid",
            path=path,
        ) from None
    return {
        name: value.float() if value.is_floating_point() else value
        for name, value in weights.items()
    }


def read_tensors(path: Path) -> Any:
    """Read a file that a training wrote with torch.save. No code in the file is executed.

    Args:
        path: The file.

    Returns:
        Its content, with tensors on the CPU.

    Raises:
        DataError: The file is missing, damaged, no checkpoint, or holds more than tensors and
            numbers.
    """
    if not path.is_file():
        raise DataError(
            f"{path} does not exist: a training writes it at the end of its first epoch",
            code="no-checkpoint",
            path=path,
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(
            f"{path} is no checkpoint of tensors and numbers alone; it was not read further",
            code="checkpoint-invalid",
            path=path,
        ) from None
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path} is no checkpoint, or a damaged one ({reason})",
            code="checkpoint-invalid",
            path=path,
        ) from None


def load_weights(
    network: nn.Module, path: Path, name: str = "model", *, partly: bool = False
) -> None:
    """Load the weights of a checkpoint into a network.

    Args:
        network: The network, which is changed in place.
        path: The checkpoint.
        name: Name of the network in the checkpoint.
        partly: Keep the network's weights where the shape differs, as for a head with more outputs.

    Raises:
        DataError: The weights are those of another net or shape.
    """
    stored = read_checkpoint(path)["state_dict"]
    prefix = f"{name}."
    weights = {
        key.removeprefix(prefix): value
        for key, value in stored.items()
        if key.startswith(prefix)
    }
    initial = network.state_dict()
    reshaped = [
        key
        for key, value in initial.items()
        if key in weights and value.shape != weights[key].shape
    ]
    mismatched = sorted(set(initial) ^ set(weights))
    if not mismatched and not partly:
        mismatched = reshaped
    if mismatched:
        raise _mismatch(path, getattr(network, "name", name), mismatched)
    network.load_state_dict(weights | {key: initial[key] for key in reshaped})


def _mismatch(path: Path, net: str, names: list[str]) -> DataError:
    """Return the error for a checkpoint whose weights of these names do not fit."""
    return DataError(
        f"{path} does not fit the net {net}: {len(names)} of its weights are "
        f"missing, unknown or of another shape, such as {names[0]}; is it the "
        "checkpoint of another run?",
        code="checkpoint-of-another",
        path=path,
        net=net,
    )


def outputs(
    model: Model,
    dataset: ImageSource,
    rows: np.ndarray,
    device: torch.device,
) -> Tensor:
    """Compute the outputs of a model for a data set.

    Args:
        model: The model.
        dataset: The data set.
        rows: Rows (N,) of the data set.
        device: Where to compute.

    Returns:
        Outputs (P, N, K) on the CPU.
    """
    chunks = (
        dataset.images(rows[start : start + _IMAGES_PER_CHUNK])
        for start in range(0, len(rows), _IMAGES_PER_CHUNK)
    )
    return torch.cat([image_outputs(model, images, device) for images in chunks], dim=1)


@torch.inference_mode()
def image_outputs(model: Model, images: np.ndarray, device: torch.device) -> Tensor:
    """Compute the outputs of a model for images.

    Args:
        model: The model.
        images: Images (N, C, H, W).
        device: Where to compute.

    Returns:
        Outputs (P, N, K) on the CPU.
    """
    model = model.to(device).eval()
    batches = []
    for start in range(0, len(images), _IMAGES_PER_BATCH):
        batch = images[start : start + _IMAGES_PER_BATCH]
        tensor = torch.as_tensor(batch, dtype=torch.float32, device=device)
        batches.append(model.passes(tensor).float().cpu())
    return torch.cat(batches, dim=1)
