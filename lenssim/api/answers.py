"""What a run says: scores of an evaluation, and posteriors of a regression."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np

from lenssim.api.arguments import Between, checked
from lenssim.api.pictures import Picture, Pictures
from lenssim.api.table import Table

if TYPE_CHECKING:
    from lenssim.learn.scores.posterior import Posterior as Distribution

__all__ = ["Interval", "Posterior", "Scores"]


class Interval(NamedTuple):
    """A score with its 95 % interval; None where the data do not define it."""

    value: float | None
    low: float | None
    high: float | None

    def __repr__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return "not defined"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


class Scores(Mapping[str, Any]):
    """Scores of an evaluation by name, with intervals, figures and everything that was written.

    Args:
        document: What metrics.json holds.
        folder: Folder of the evaluation.
        headlines: Names of the scores that are shown, by key.

    Attributes:
        document: All numbers and facts, as in metrics.json.
        folder: Folder with metrics.json, predictions.csv and the figures.

    Example:
        >>> import lenssim
        >>> scores = lenssim.evaluate("runs/cnn", "data/III")
        >>> 0 <= scores.macro_auc.value <= 1, scores.macro_auc == scores["macro_auc"]
        (True, True)
        >>> "roc" in scores.figures
        True
    """

    def __init__(
        self, document: Mapping[str, Any], folder: Path, headlines: Mapping[str, str]
    ) -> None:
        self.document = dict(document)
        self.folder = folder
        self.headlines = dict(headlines)

    def __getitem__(self, name: str) -> Any:
        return _scored(self.document["metrics"][name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.document["metrics"])

    def __len__(self) -> int:
        return len(self.document["metrics"])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "document":
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            names = ", ".join(self)
            raise AttributeError(f"no score {name!r}; there are {names}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    @cached_property
    def figures(self) -> Pictures:
        """The figures of the evaluation, by name."""
        paths = [self.folder / name for name in self.document["figures"]]
        return Pictures(
            {path.stem: Picture(path.read_bytes()) for path in paths if path.is_file()}
        )

    def table(self) -> Table:
        """Return the scores that a summary shows, a row each."""
        scores = {name: self[key] for key, name in self.headlines.items()}
        return Table(
            {
                "score": list(scores),
                "value": [_number(score.value) for score in scores.values()],
                "low": [_number(score.low) for score in scores.values()],
                "high": [_number(score.high) for score in scores.values()],
            },
            title=f"{self.document['n']} images, 95 % intervals; more in {self.folder}",
        )

    def __repr__(self) -> str:
        lines = [f"{name}: {self[key]!r}" for key, name in self.headlines.items()]
        return "\n".join([f"Scores on {self.document['n']} images, 95 % intervals", *lines])

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() + self.figures._repr_html_()


def _scored(score: Any) -> Any:
    """Return a score with its interval; scores by class or target as a dictionary of them."""
    if isinstance(score, Mapping) and set(score) == {"value", "low", "high"}:
        return Interval(score["value"], score["low"], score["high"])
    if isinstance(score, Mapping):
        return {name: _scored(part) for name, part in score.items()}
    return score


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


class Posterior:
    """Posteriors of T targets for each of N images, in the targets' own units.

    Args:
        names: Names (T,) of the targets.
        distribution: The calibrated probabilities.

    Example:
        >>> import lenssim
        >>> images = lenssim.open("data/III").images(range(2))
        >>> posterior = lenssim.load_run("runs/sie").posterior(images)
        >>> posterior.names
        ('source_center_x', 'source_center_y')
        >>> posterior.mean.shape, posterior.sample(1000).shape
        ((2, 2), (1000, 2, 2))
    """

    def __init__(self, names: tuple[str, ...], distribution: "Distribution") -> None:
        self.names = names
        self.distribution = distribution

    @property
    def mean(self) -> np.ndarray:
        """Means (N, T)."""
        return self.distribution.mean

    @property
    def sigma(self) -> np.ndarray:
        """Standard deviations (N, T)."""
        return self.distribution.sigma

    @property
    def covariance(self) -> np.ndarray:
        """Covariances (N, T, T)."""
        return self.distribution.covariance

    @checked
    def sample(
        self,
        draws: Annotated[int, Between(1, 10**9)] = 1000,
        seed: Annotated[int, Between(0, 2**63 - 1)] = 0,
    ) -> np.ndarray:
        """Draw random targets.

        Args:
            draws: Number of draws of each posterior.
            seed: Seed of the draws.

        Returns:
            Targets (draws, N, T).
        """
        return self.distribution.sample(draws, seed)

    def log_density(self, targets: np.ndarray) -> np.ndarray:
        """Return the logarithm (..., N) of the density at targets (..., N, T)."""
        return self.distribution.log_density(np.asarray(targets, dtype=np.float64))

    def table(self) -> Table:
        """Return means and standard deviations, a row an image."""
        columns: dict[str, np.ndarray] = {}
        for number, name in enumerate(self.names):
            columns[name] = self.mean[:, number]
            columns[f"sigma of {name}"] = self.sigma[:, number]
        return Table(columns)

    def __len__(self) -> int:
        return len(self.mean)

    def __repr__(self) -> str:
        return f"Posterior of {', '.join(self.names)} for {len(self)} images"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.table()._repr_html_()}"
