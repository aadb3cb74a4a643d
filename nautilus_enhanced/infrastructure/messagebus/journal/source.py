"""A journaled lane as the outbox sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.journal.journal import Journal
    from nautilus_enhanced.infrastructure.messagebus.journal.lane import JournaledLane
    from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable


class JournalSource:
    """
    Take messages from the journal, and then from the lane before it.

    Parameters
    ----------
    journal : Journal
        The journal.
    source : JournaledLane
        The lane, and what is on disk of it.
    """

    def __init__(self, journal: Journal, source: JournaledLane) -> None:
        self.lane = source.lane
        self._journal = journal
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._source!r})"

    @property
    def has_backlog(self) -> bool:
        """Return whether messages wait on disk."""
        return self._source.has_backlog

    def fill(
        self, batch: Batch, max_messages: int, max_bytes: int, routes: RouteTable
    ) -> tuple[int, int]:
        """Move messages into a batch, within both bounds, but at least one if there is any."""
        try:
            return self._journal.fill(self._source, batch, max_messages, max_bytes, routes)
        except Exception as error:  # noqa: BLE001 (`fail` logs it)
            # A mistake of ours, which must not end publishing: from memory it goes on.
            self._journal.fail(error)
            return self._journal.fill(self._source, batch, max_messages, max_bytes, routes)
