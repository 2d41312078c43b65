"""The journal of a mosaic that is being written: how far it has come."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from lenssim.simulate.preset import Preset
from lenssim.simulate.wide.request import MosaicRequest

__all__ = ["Journal"]

_HASH_DIGITS = 12


class Journal:
    """What is finished of a mosaic, beside its unfinished file.

    Light is added to the file, so a part must not be added twice. A journal that was left open,
    as by a killed process, therefore counts for nothing.

    Args:
        path: The FITS file that the mosaic will be.
        preset: What is injected.
        request: Size and content.

    Attributes:
        field: The unfinished file. Its name tells preset and request.
    """

    def __init__(self, path: Path, preset: Preset, request: MosaicRequest) -> None:
        document = [preset.model_dump(mode="json"), request.model_dump(mode="json")]
        text = json.dumps(document, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
        self.field = path.with_name(f".part-{path.name}-{digest}")
        self._file = self.field.with_name(f"{self.field.name}.json")

    def open(self) -> int:
        """Return how many parts are finished, and note that more are being added."""
        finished = 0
        with suppress(OSError, ValueError, KeyError, TypeError):
            if self.field.is_file():
                finished = int(json.loads(self._file.read_text())["finished"])
        self._file.write_text("{}")
        return finished

    def close(self, finished: int) -> None:
        """Note how many parts are in the file, which must be written out."""
        self._file.write_text(json.dumps({"finished": finished}))

    def remove(self) -> None:
        """Remove the unfinished file and the journal."""
        for path in (self.field, self._file):
            with suppress(OSError):
                path.unlink()
