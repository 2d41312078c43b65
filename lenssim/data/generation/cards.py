"""Graphics cards: which worker has which, and writing beside a card that renders."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from lenssim.data.format.manifest import Plan
from lenssim.data.generation.failures import Outcome
from lenssim.machine import graphics_cards

__all__ = ["WRITERS", "card_of", "cards_of", "in_threads", "is_on_card", "pinning_plugin"]

WRITERS = 3  # threads that hash and write shards while another one renders


def is_on_card(plan: Plan) -> bool:
    """Return whether the images of a plan are rendered by a card."""
    settings = plan.config.get("engine_settings", {})
    return bool(settings.get("device", "cpu") != "cpu")


def cards_of(plan: Plan) -> list[str]:
    """Return the cards that render the images of a plan; none where the CPU does."""
    if not is_on_card(plan):
        return []
    return graphics_cards() or ["0"]


def card_of(worker: int, cards: Sequence[str]) -> str:
    """Return the card of a worker: each has its turn.

    Example:
        >>> [card_of(worker, ["0", "1"]) for worker in range(4)]
        ['0', '1', '0', '1']
    """
    return cards[worker % len(cards)]


def in_threads(job: Any, shards: Iterable[int]) -> Iterator[Outcome]:
    """Run shards in threads of this process: one renders while others hash and write."""
    waiting = iter(shards)
    pending: set[Future[Outcome]] = set()
    with ThreadPoolExecutor(WRITERS + 1) as threads:
        while True:
            while len(pending) <= WRITERS:
                shard = next(waiting, None)
                if shard is None:
                    break
                pending.add(threads.submit(job, shard))
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def pinning_plugin(cards: Sequence[str]) -> Any:
    """Return a plugin of dask that gives each local worker its card.

    A worker's name is its number. It sees no other card, because it sets the variable before
    its first use of CUDA.
    """
    from distributed import WorkerPlugin

    class Pinned(WorkerPlugin):
        """Names one card for everything that the worker runs."""

        name = "pinned"

        def __init__(self, cards: Sequence[str]) -> None:
            self.cards = list(cards)

        def setup(self, worker: Any) -> None:
            os.environ["CUDA_VISIBLE_DEVICES"] = card_of(int(worker.name), self.cards)

    return Pinned(cards)
