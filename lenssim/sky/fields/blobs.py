"""Blobs: connected pixels above the threshold that begin in a tile, and the objects in them."""

import numpy as np

from lenssim.sky.fields.field import Window
from lenssim.sky.fields.filtering import FilteredWindow, Settings

__all__ = ["Blobs"]

_PIXELS = 1 << 10  # active pixels of sep, at least
_LEVELS = 32  # thresholds of the deblending
_DEBLENDED = 1  # sep's flag


def _holds(window: Window, row: int, column: int) -> bool:
    """Return whether a pixel of the field lies in a window."""
    rows, columns = window.rows, window.columns
    in_rows = rows.start <= row < rows.stop
    return in_rows and columns.start <= column < columns.stop


class Blobs:
    """Connected pixels above the threshold that begin in a tile.

    Attributes:
        labels: Number of the blob of each pixel of the window, 0 for none.
        whole: Numbers of the blobs that the window holds whole.
        cut: First pixels (row, column) in the field of the blobs that it does not.
    """

    def __init__(
        self,
        sky: FilteredWindow,
        shape: tuple[int, int],
        core: Window,
        settings: Settings,
        beginnings: set[tuple[int, int]] | None = None,
    ) -> None:
        from scipy.ndimage import find_objects, label

        self._sky = sky
        self._settings = settings
        is_bright = sky.filtered > settings.request.threshold
        self.labels, _ = label(is_bright, structure=np.ones((3, 3)))
        self.slices = find_objects(self.labels)
        self.whole: set[int] = set()
        self.cut: set[tuple[int, int]] = set()
        self.at_edge: set[int] = set()
        for number, row, column in self._beginnings():
            if not _holds(core, row, column):
                continue
            if beginnings is not None and (row, column) not in beginnings:
                continue
            if self._is_cut(number, shape):
                self.cut.add((row, column))
                continue
            self.whole.add(number)
            if self._touches(number, shape):
                self.at_edge.add(number)

    def _beginnings(self) -> list[tuple[int, int, int]]:
        """Return number and first pixel in the field of each blob."""
        window = self._sky.window
        pixels = np.flatnonzero(self.labels)
        numbers, places = np.unique(self.labels.ravel()[pixels], return_index=True)
        rows, columns = np.divmod(pixels[places], self.labels.shape[1])
        return list(
            zip(
                numbers.tolist(),
                (rows + window.rows.start).tolist(),
                (columns + window.columns.start).tolist(),
                strict=True,
            )
        )

    def _sides(self, number: int) -> list[tuple[int, int, int, int]]:
        """Return start and end of a blob and of the window, along both axes of the field."""
        window = self._sky.window
        sides = []
        for extent, side in zip(
            self.slices[number - 1], (window.rows, window.columns), strict=True
        ):
            start, stop = extent.start + side.start, extent.stop + side.start
            sides.append((start, stop, side.start, side.stop))
        return sides

    def _is_cut(self, number: int, shape: tuple[int, int]) -> bool:
        """Return whether the edge of the window may change a blob."""
        guard = self._settings.guard
        return any(
            (low > 0 and start - guard < low) or (high < length and stop + guard > high)
            for (start, stop, low, high), length in zip(
                self._sides(number), shape, strict=True
            )
        )

    def _touches(self, number: int, shape: tuple[int, int]) -> bool:
        """Return whether a blob reaches the edge of the field."""
        return any(
            start == 0 or stop == length
            for (start, stop, _, _), length in zip(self._sides(number), shape, strict=True)
        )

    def objects(self) -> dict[str, np.ndarray]:
        """Return the objects of the whole blobs, as sep sees them, with pixels of the window."""
        objects = self._extracted(self._sky.filtered)
        labels = self.labels[objects["ypeak"], objects["xpeak"]]
        counts = np.bincount(labels, minlength=len(self.slices) + 1)
        is_whole = np.isin(labels, list(self.whole))
        is_blend = (counts[labels] > 1) | ((objects["flag"] & _DEBLENDED) > 0)
        parts = [_columns(objects[is_whole & ~is_blend], labels[is_whole & ~is_blend])]
        deblended = np.unique(labels[is_whole & is_blend]).tolist()
        parts += [self._alone(number) for number in deblended]
        columns = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        columns["at_edge"] = np.isin(columns["label"], list(self.at_edge))
        bright = np.unique(self.labels[self._sky.saturated])
        columns["saturated"] = np.isin(columns["label"], bright[bright > 0])
        return columns

    def _alone(self, number: int) -> dict[str, np.ndarray]:
        """Return the objects of one blob, deblended without its neighbours.

        sep shares out faint pixels at random, so that they depend on what came before.
        """
        rows, columns = self.slices[number - 1]
        pixels = np.where(
            self.labels[rows, columns] == number, self._sky.filtered[rows, columns], 0
        )
        objects = self._extracted(np.pad(pixels, 1))
        shifted = objects.copy()
        for name, start in (("x", columns.start), ("y", rows.start)):
            shifted[name] += start - 1
            shifted[f"{name}peak"] += start - 1
        return _columns(shifted, np.full(len(shifted), number))

    def _extracted(self, pixels: np.ndarray) -> np.ndarray:
        """Return sep's objects; a blob with too many parts is not deblended."""
        import sep

        request = self._settings.request
        sep.set_extract_pixstack(max(_PIXELS, pixels.size))  # more takes time
        sep.set_sub_object_limit(1 << 14)
        for contrast in (request.deblend_contrast, 1.0):
            try:
                return sep.extract(
                    np.ascontiguousarray(pixels),
                    request.threshold,
                    minarea=request.min_area,
                    filter_kernel=None,
                    deblend_nthresh=_LEVELS,
                    deblend_cont=contrast,
                    clean=False,
                )
            except Exception as error:
                if "deblending overflow" not in str(error) or contrast == 1.0:
                    raise
        raise AssertionError("unreachable")


def _columns(objects: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is kept of sep's objects."""
    columns = {name: objects[name].astype(np.float64) for name in ("a", "b", "theta")}
    columns["x"] = objects["xpeak"].astype(np.float64)
    columns["y"] = objects["ypeak"].astype(np.float64)
    columns["area"] = objects["npix"].astype(np.float64)
    columns["label"] = labels.astype(np.int64)
    return columns
