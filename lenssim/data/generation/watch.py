"""The watch over dask's workers: what each has in hand, and a word when nothing was finished for long."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from lenssim.errors import IncompleteError

__all__ = ["Note", "Watch"]

Note = Callable[[str], None]

_FIRST_WORD = (
    60.0  # s without a finished shard; the next words come after twice the time each
)
_GIVE_UP = 60.0  # s without any worker
_MOST_NAMED = 8  # workers in a word


class Watch:
    """What workers did since a run began, and what they do now.

    `note` hears of long silence. With `gives_up` the run ends when no worker is left and none comes:
    nobody but this program would start one.
    """

    def __init__(
        self, client: Any, note: Note = lambda text: None, *, gives_up: bool = False
    ) -> None:
        self.client = client
        self.note = note
        self.gives_up = gives_up
        self.began = time.monotonic()
        self.last_finish = self.began
        self.last_worker = self.began
        self.next_word = _FIRST_WORD
        self.samples: Counter[str] = Counter()  # made, by worker
        self.finishes: dict[str, float] = {}  # when each worker last finished a shard

    def finished(self, worker: str, samples: int) -> None:
        """Take note of a shard that `worker` finished."""
        self.last_finish = time.monotonic()
        self.next_word = _FIRST_WORD
        self.finishes[worker] = self.last_finish
        self.samples[worker] += samples

    def states(self, shard_of: Mapping[str, int]) -> dict[str, str]:
        """Return what each worker has in hand and has made, by its address; `shard_of` are tasks' shards."""
        seconds = max(time.monotonic() - self.began, 1e-9)
        lines = {}
        for worker, shards in sorted(self._hands(shard_of).items()):
            hand = f"shard {shards[0]}" if shards else "idle"
            samples = self.samples[worker]
            lines[worker] = f"{hand}, {samples:,} images, {samples / seconds:,.0f} img/s"
        return lines

    def look(self, shard_of: Mapping[str, int]) -> None:
        """Look at the workers while nothing is finished.

        Raises:
            OSError: The connection to the scheduler was closed.
            IncompleteError: No worker is left and none comes.
        """
        if self.client.status in ("closing", "closed"):
            raise OSError("the connection was closed")
        now = time.monotonic()
        silence = now - self.last_finish
        if self.gives_up:
            self._look_for_workers(now)
        if silence > self.next_word:
            self.next_word *= 2
            self.note(
                f"no shard was finished for {silence:.0f} s; {self._who(shard_of, now)}"
            )

    def _look_for_workers(self, now: float) -> None:
        if any(status == "running" for status in self._statuses().values()):
            self.last_worker = now
        elif now - self.last_worker > _GIVE_UP:
            raise IncompleteError(
                f"no worker is able to work, for {now - self.last_worker:.0f} s: they died, and no other could be "
                "started; fewer --workers need less memory, --workers 0 works in one process",
                code="workers-lost",
            )

    def _hands(self, shard_of: Mapping[str, int]) -> dict[str, list[int]]:
        """Return the shards that each worker has in hand, by its address."""
        return {
            worker: [shard_of[key] for key in keys if key in shard_of]
            for worker, keys in self.client.processing().items()
        }

    def _statuses(self) -> dict[str, str]:
        workers = self.client.scheduler_info()["workers"]
        return {
            address: str(worker.get("status", "running"))
            for address, worker in workers.items()
        }

    def _who(self, shard_of: Mapping[str, int], now: float) -> str:
        """Return who is at work on what, and who is not, since when."""
        hands = self._hands(shard_of)
        statuses = self._statuses()
        if not hands:
            return "no worker is there"
        words = []
        for worker, shards in sorted(hands.items()):
            since = now - self.finishes.get(worker, self.began)
            hand = f"at work on shard {shards[0]}" if shards else "idle"
            status = statuses.get(worker, "running")
            trouble = "" if status == "running" else f", {status} by dask"
            words.append(f"{worker} {hand} for {since:.0f} s{trouble}")
        busy = sum(bool(shards) for shards in hands.values())
        unnamed = len(words) - _MOST_NAMED
        named = words[:_MOST_NAMED] + ([f"{unnamed} more"] if unnamed > 0 else [])
        return f"{busy} workers busy, {len(hands) - busy} idle: {'; '.join(named)}"
