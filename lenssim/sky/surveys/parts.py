"""Parts of a survey's sky: what is drawn of each, and its files until all parts are there."""

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenssim.data.format.files import write
from lenssim.formats.tables import read_table, table_text
from lenssim.machine import available_cores
from lenssim.simulate.survey import Survey, detect
from lenssim.simulate.survey.double import with_second_sources
from lenssim.sky.surveys.request import SurveyRequest
from lenssim.sky.surveys.tally import Tally

__all__ = ["Part", "Parts"]


@dataclass(frozen=True)
class Part:
    """A part of the sky that is drawn.

    Attributes:
        file: CSV file of the lenses that are kept.
        rows: How many these are.
        tally: Numbers of all its lenses, as `Tally.document`.
    """

    file: Path
    rows: int
    tally: dict[str, Any]


@dataclass(frozen=True)
class Parts:
    """The parts of a survey's sky, each in a file of its own once it is drawn.

    Attributes:
        folder: The folder of the files.
        survey: The survey, with its rule.
        request: Which lenses are kept.
    """

    folder: Path
    survey: Survey
    request: SurveyRequest

    def part(self, first: int, last: float, most: int | None = None) -> tuple[Part, float]:
        """Return a part of the sky, from its files if these are there, and where it ends.

        Args:
            first: Square degree that it begins with.
            last: Square degrees up to its end.
            most: It ends with this lens that is kept, if it has so many.
        """
        part = self._stored(f"{first:06d}")
        if part is None:
            table, tally = self._draw(first, last)
            part = self._write(f"{first:06d}", table, tally)
        if most is None or part.rows < most:
            return part, last
        area = read_table(part.file)["drawn_area"]
        end = float(np.nextafter(area[most - 1], np.inf))
        return self._write(f"{first:06d}-end", *self._draw(first, end)), end

    def _stored(self, name: str) -> Part | None:
        path = self.folder / f"{name}.json"
        if not path.exists():
            return None
        document: dict[str, Any] = json.loads(path.read_text())
        if "rows" not in document:  # of an earlier version
            return None
        return Part(self.folder / f"{name}.csv", document["rows"], document["tally"])

    def _write(
        self, name: str, table: dict[str, np.ndarray], tally: dict[str, Any]
    ) -> Part:
        """Write the files of a part; those of its tally come last and say that it is there."""
        part = Part(self.folder / f"{name}.csv", len(table["theta_E"]), tally)
        write(part.file, table_text(table).encode(), durable=False)
        document = {"rows": part.rows, "tally": tally}
        path = self.folder / f"{name}.json"
        write(path, json.dumps(document).encode(), durable=False)
        return part

    def _draw(
        self, first: int, last: float
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Draw a part of the sky: the lenses that are kept, and the tally of all."""
        tally = Tally()
        selected: list[dict[str, np.ndarray]] = []
        request = self.request
        degrees = self.survey.draw_degrees(
            last, seed=request.seed, split=request.split, first=first
        )
        for lenses in _detected(self.survey, degrees):
            accepted = self.survey.found(lenses)
            tally.add(lenses, accepted)
            lenses["found"] = accepted.astype(np.float64)
            if request.double_sources:
                lenses = with_second_sources(lenses)
            rows = (lenses["found"] > 0) | request.all
            selected.append({name: column[rows] for name, column in lenses.items()})
        names = selected[0]
        table = {name: np.concatenate([part[name] for part in selected]) for name in names}
        return table, tally.document()


def _detected(
    survey: Survey, degrees: Iterator[dict[str, np.ndarray]]
) -> Iterator[dict[str, np.ndarray]]:
    """Yield lenses with the columns of their detection, which threads compute ahead."""

    def detected(lenses: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        lenses = lenses | detect(lenses, survey.detection_camera, survey.cosmology)
        return lenses | survey.flags(lenses)

    threads = available_cores()
    ahead: deque[Future[dict[str, np.ndarray]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for lenses in degrees:
            ahead.append(pool.submit(detected, lenses))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
