"""Starts: candidates from outside, which a search tries besides its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lenssim.simulate.fit.scan import Candidate

__all__ = ["NO_STARTS", "Starts"]


@dataclass(frozen=True)
class Starts:
    """Further candidates of lenses. They replace none of a search's own.

    Attributes:
        by_lens: Candidates by the name of the lens.
        digests: What the config says of where they come from: a name and a SHA-256 each.

    Example:
        >>> starts = Starts({"a": (Candidate(1.2, 0.0, 0.0, 0.0, 0.0),)})
        >>> len(starts.of("a")), len(starts.of("b"))
        (1, 0)
    """

    by_lens: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> tuple[Candidate, ...]:
        """Return the candidates of a lens.

        Args:
            name: The name of the lens.
        """
        return self.by_lens.get(name, ())

    def joined(self, further: "Starts") -> "Starts":
        """Return these candidates and those of others.

        Args:
            further: Further candidates.
        """
        names = [
            *self.by_lens,
            *(name for name in further.by_lens if name not in self.by_lens),
        ]
        by_lens = {name: (*self.of(name), *further.of(name)) for name in names}
        return Starts(by_lens, {**self.digests, **further.digests})


NO_STARTS = Starts()
