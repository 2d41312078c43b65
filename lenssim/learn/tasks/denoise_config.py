"""Settings of a denoiser."""

from typing import Literal, Self

from pydantic import Field, model_validator

from lenssim.learn.config import TrainConfig

__all__ = ["DenoiseConfig"]

_GEOMETRIC = frozenset(("none", "flips", "dihedral", "recentre"))


class DenoiseConfig(TrainConfig):
    """Settings of a training of the task `denoise`."""

    task: Literal["denoise"] = Field(
        default="denoise",
        description="Train a network to take the noise, or the lens light too, off images",
    )
    target: Literal["clean", "arcs", "noisy"] = Field(
        default="clean",
        description="What images should become: clean (no noise), arcs (the sources' light "
        "alone), or noisy (another draw of the noise, as in Noise2Noise)",
    )
    net: str = Field(default="unet", description="Network from images to images: unet")
    normalise: str = Field(
        default="none", description="The network keeps the images' unit: none"
    )

    @model_validator(mode="after")
    def _check_images(self) -> Self:
        from lenssim.data.format.maps import IMAGE, WITH_NOISE
        from lenssim.learn.nets import IMAGE_NETS

        if self.net not in IMAGE_NETS:
            raise ValueError(
                f"net {self.net} gives numbers, not images; nets of denoise are "
                f"{', '.join(IMAGE_NETS)}"
            )
        if self.picture not in (IMAGE, WITH_NOISE):
            raise ValueError(
                f"picture of denoise is {IMAGE} or {WITH_NOISE}: the image, and its noise map"
            )
        if self.normalise != "none":
            raise ValueError("normalise of denoise is none: images keep their unit")
        steps = [step.partition("=")[0] for step in self.augment.split("+")]
        if not _GEOMETRIC.issuperset(steps):
            raise ValueError(
                "augment of denoise takes what moves images alone: "
                f"{', '.join(sorted(_GEOMETRIC))}"
            )
        return self
