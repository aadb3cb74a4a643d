"""Look at the enhanced publisher's figures often enough to tell when it resumed."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.cli.demo.outages import PublisherSample


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import ClientStatistics


INTERVAL_S: Final = 0.005


def waiting(statistics: ClientStatistics) -> int:
    """Return the messages that were published and are not settled."""
    return sum(lane.queued + lane.journaled for lane in statistics.lanes) + statistics.in_flight


class PublisherSampler:
    """
    Note each change of a publisher's figures, on a thread of its own.

    Parameters
    ----------
    statistics : Callable[[], ClientStatistics]
        Asks the publisher.
    """

    def __init__(self, statistics: Callable[[], ClientStatistics]) -> None:
        self._statistics = statistics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[PublisherSample] = []

    def start(self) -> None:
        """Start to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look once more, and no more after that."""
        self._stop.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        figures = self._statistics()
        sample = PublisherSample(time.monotonic_ns(), figures.acknowledged, waiting(figures))
        last = self.samples[-1] if self.samples else None
        if last is None or (last.acknowledged, last.waiting) != (
            sample.acknowledged,
            sample.waiting,
        ):
            self.samples.append(sample)
