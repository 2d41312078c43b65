"""Images on the pixels that a run takes, where a user asks for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenssim.data.exchange.published import Stack
from lenssim.data.exchange.telescope.regridding import regrid
from lenssim.data.format.maps import IMAGE, MASK, SIGMA, parts_of, stacked
from lenssim.data.format.origin import Origin
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import DataError
from lenssim.learn.inputs.description import ImageDescription
from lenssim.names import printable

__all__ = ["ResampledDataset", "Resampling", "opened_dataset", "resampled_stack"]

_SAME_SCALE = 2e-3
_WHOLE = 1e-6  # of a pixel: rounding
_OF_NOISE = "residual"  # in units of the noise of a pixel
_OF_AREA = "kappa"  # a mean over the pixel, and no flux in it


@dataclass(frozen=True)
class Resampling:
    """How images come to the pixels of a run: the flux of each new pixel is that of its area.

    Attributes:
        pixel_scale: Side of a pixel of the run [arcsec].
        num_pix: Pixels a side of the run's images.
        native_scale: Side of a pixel of images that do not state it [arcsec].

    Example:
        >>> resampling = Resampling(pixel_scale=0.2, num_pix=2)
        >>> images, words = resampling(np.ones((1, 1, 4, 4)), 0.1, "a.fits")
        >>> images[0, 0].tolist(), words
        ([[4.0, 4.0], [4.0, 4.0]], 'resampled from 4 x 4 pixels of 0.1" to 2 x 2 of 0.2"')
    """

    pixel_scale: float
    num_pix: int
    native_scale: float | None = None

    @classmethod
    def of(
        cls, images_of_run: ImageDescription, native_scale: float | None = None
    ) -> "Resampling":
        """Return the resampling to the pixels that a run takes.

        Raises:
            DataError: The run does not know the pixel scale of its images.
        """
        if images_of_run.pixel_scale is None:
            raise DataError(
                "the run does not know the pixel scale of its images, so nothing can be "
                "resampled to it; give images of the pixels of its training",
                code="no-pixel-scale",
            )
        return cls(images_of_run.pixel_scale, images_of_run.shape[-1], native_scale)

    def scale_of(self, pixel_scale: float | None, path: object) -> float:
        """Return the pixel scale of images: what the user states, or what they say.

        Raises:
            DataError: It is not known.
        """
        scale = self.native_scale or pixel_scale
        if scale is None:
            raise DataError(
                f"{printable(str(path))}: it does not state the size of its pixels; give "
                "--native-scale, in arcsec",
                code="no-pixel-scale",
                path=path,
            )
        return scale

    def __call__(
        self,
        images: np.ndarray,
        pixel_scale: float | None,
        path: object,
        picture: str = IMAGE,
    ) -> tuple[np.ndarray, str]:
        """Return images on the pixels of the run, and what was done, in words.

        Variances are summed as the flux is. A new pixel is masked if any part of it was.

        Args:
            images: Images (N, C, H, W).
            pixel_scale: Side of their pixels [arcsec]; None if nothing states it.
            path: Where they come from, for messages.
            picture: What they show: the image, or a map such as "sigma" or "mask".

        Raises:
            DataError: The pixel scale is not known, or the images are too small.
        """
        scale = self.scale_of(pixel_scale, path)
        height, width = images.shape[-2:]
        self._check_size(height, width, scale, path)
        target = f"{self.num_pix} x {self.num_pix}"
        if abs(scale / self.pixel_scale - 1) > _SAME_SCALE:
            sizes = f'{height} x {width} pixels of {scale:.4g}" to {target}'
            words = f'resampled from {sizes} of {self.pixel_scale:.4g}"'
            return self._regridded(images, scale, picture), words
        if (height, width) == (self.num_pix, self.num_pix):
            return images, ""
        return self._cut(images), f"cut from {height} x {width} pixels to {target}"

    def _check_size(self, height: int, width: int, scale: float, path: object) -> None:
        """Refuse images that do not fill those of the run."""
        side = int(min(height, width) * scale / self.pixel_scale + _WHOLE)
        if side >= self.num_pix:
            return
        raise DataError(
            f"{printable(str(path))}: {height} x {width} pixels of {scale:.4g} arcsec do "
            f"not fill the {self.num_pix} x {self.num_pix} of {self.pixel_scale:.4g} arcsec "
            "that the run takes; give larger stamps",
            code="stamp-too-small",
            path=path,
            side=side,
        )

    def _cut(self, images: np.ndarray) -> np.ndarray:
        """Return the middle of images."""
        row = (images.shape[-2] - self.num_pix) // 2
        column = (images.shape[-1] - self.num_pix) // 2
        return images[..., row : row + self.num_pix, column : column + self.num_pix]

    def _regridded(self, images: np.ndarray, scale: float, picture: str) -> np.ndarray:
        """Return images of some kind on the new pixels."""

        def total(pixels: np.ndarray) -> np.ndarray:
            return regrid(pixels, scale, self.num_pix, self.pixel_scale)

        exact = images.astype(np.float64)
        if picture == MASK:
            return (total(1 - exact) < _WHOLE).astype(images.dtype)
        if picture == SIGMA:
            return np.sqrt(total(exact**2)).astype(images.dtype)
        sums = total(exact)
        if picture == _OF_AREA:
            sums *= (scale / self.pixel_scale) ** 2
        elif picture == _OF_NOISE:
            sums *= scale / self.pixel_scale
        return sums.astype(images.dtype)


class ResampledDataset(ShardDataset):
    """A data set whose images are shown on the pixels of a run.

    What is kept on disk stays what it is: shards are checked, and copies of training images
    found, by the stored pixels.

    Args:
        folder: The data set's folder or URL.
        resampling: The pixels to show.
        picture: Name of the map that is read as the image.

    Attributes:
        remark: What becomes of the images, in words.

    Raises:
        DataError: The data set does not fit; also the errors of `ShardDataset`.
    """

    def __init__(
        self, folder: Path | str, resampling: Resampling, picture: str = IMAGE
    ) -> None:
        super().__init__(folder, picture=picture)
        self.resampling = resampling
        self._native_scale = Origin.of(self.config).pixel_scale
        native = np.zeros((1, *super().image_shape), np.float32)
        _, self.remark = resampling(native, self._native_scale, folder)

    @property
    def pixel_scale(self) -> float | None:
        """The pixel scale in arcsec that images are shown with."""
        return self.resampling.pixel_scale

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) as images are shown."""
        channels, _, _ = super().image_shape
        return channels, self.resampling.num_pix, self.resampling.num_pix

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Return the images (N, C, H, W) of some rows (N,) on the pixels of the run."""
        maps = [
            self.resampling(
                self.read_map(name, rows), self._native_scale, self.folder, name
            )[0]
            for name in parts_of(self.picture)
        ]
        return stacked(maps)


def opened_dataset(
    location: Path | str, picture: str, resampling: Resampling | None
) -> ShardDataset:
    """Open a data set with the picture that a run looks at, resampled where that is asked for."""
    if resampling is None:
        return ShardDataset(location, picture=picture)
    return ResampledDataset(location, resampling, picture)


def resampled_stack(stack: Stack, path: Path, resampling: Resampling | None) -> Stack:
    """Return the images of a file on the pixels of the run, where that is asked for."""
    if resampling is None:
        return stack
    images, words = resampling(stack.images, stack.pixel_scale, path)
    remark = "; ".join(filter(None, [stack.remark, words]))
    return stack._replace(images=images, remark=remark, pixel_scale=resampling.pixel_scale)
