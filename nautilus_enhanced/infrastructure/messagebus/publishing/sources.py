"""Where the outbox takes messages from: a lane, and whatever stands before it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_GAP
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import Route


if TYPE_CHECKING:
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Entry
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable


class Source(Protocol):
    """Messages of one priority, in order, of which only the writer takes."""

    @property
    def lane(self) -> Lane:
        """Return the lane that they come through, which counts what becomes of them."""

    @property
    def has_backlog(self) -> bool:
        """Return whether some have waited long enough already."""

    def __len__(self) -> int:
        """Return how many wait."""

    def fill(
        self, batch: Batch, max_messages: int, max_bytes: int, routes: RouteTable
    ) -> tuple[int, int]:
        """
        Move messages into a batch, within both bounds, but at least one if there is any.

        Returns
        -------
        tuple[int, int]
            How many, and the bytes of their payloads.
        """


class LaneSource:
    """
    Take messages from a lane.

    Parameters
    ----------
    lane : Lane
        The lane.
    """

    has_backlog = False

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._gaps: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.lane)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.lane!r})"

    def fill(
        self, batch: Batch, max_messages: int, max_bytes: int, routes: RouteTable
    ) -> tuple[int, int]:
        """Move messages into a batch, within both bounds, but at least one if there is any."""
        taken = self.lane.take(max_messages, max_bytes)
        if taken:
            note_gaps(self._gaps, self.lane)
            batch.add(self.lane, taken, mark_gaps(self._gaps, taken, routes))
        return len(taken), sum(len(payload) for _, payload, _ in taken)


def note_gaps(gaps: dict[str, int], lane: Lane) -> None:
    """Add to `gaps` what a lane dropped since the last time."""
    for topic, count in lane.new_gaps().items():
        gaps[topic] = gaps.get(topic, 0) + count


def mark_gaps(gaps: dict[str, int], entries: Sequence[Entry], routes: RouteTable) -> list[Route]:
    """Return the routes of messages; the first of a topic with a gap before it tells so, once."""
    found = routes.routes(topic for topic, _, _ in entries)
    if gaps:
        for index, (topic, _, _) in enumerate(entries):
            if topic in gaps:
                found[index] = routes.marked(topic, [(FIELD_GAP, b"%d" % gaps.pop(topic))])
    return found
