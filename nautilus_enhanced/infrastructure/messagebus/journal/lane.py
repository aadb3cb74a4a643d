"""A lane with a journal behind it: what is on disk goes before what is in memory."""

from __future__ import annotations

from collections import Counter
from collections import deque
from typing import TYPE_CHECKING
from typing import Final
from typing import Literal
from typing import NamedTuple

from nautilus_enhanced.infrastructure.messagebus.journal.records import Stored
from nautilus_enhanced.infrastructure.messagebus.publishing.sources import mark_gaps
from nautilus_enhanced.infrastructure.messagebus.publishing.sources import note_gaps
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_GAP
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import FIELD_JOURNALED_AT


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Container
    from collections.abc import Iterable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.journal.ledger import LaneLedger
    from nautilus_enhanced.infrastructure.messagebus.journal.ledger import StoredRun
    from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Entry
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Receipt
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import Route
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
    from nautilus_enhanced.infrastructure.messagebus.settings.durability import Durability


# Messages on disk that stay in memory too, so that the first ones need not be read back; of a
# small journal a part only, since what the writer may take next is not given up.
HEAD_MESSAGES: Final = 2_048
HEAD_BYTES: Final = 2 * 1024 * 1024
HEAD_SHARE: Final = 16
# What waited in the journal for this long tells so in its stream.
LATE_NS: Final = 100_000_000


class Waiting(NamedTuple):
    """A message that is on disk and has been read, or not yet been forgotten."""

    number: int
    entry: Entry
    at_ns: int
    session: int
    gap: int


class JournaledLane:
    """
    Take messages from the journal first, and then from the lane.

    Everything here happens under the journal's lock.

    Parameters
    ----------
    lane : Lane
        The lane.
    durability : {'memory', 'spill', 'always'}
        What of it is written to the journal.
    ledger : LaneLedger
        What the journal holds of it.
    max_bytes : int
        Bytes that the journal may take.
    max_age_ns : int or None
        Nanoseconds after which a message that waits on disk is not sent any more.
    read : Callable[[StoredRun], Stored or None]
        Reads a run; None if it is damaged.
    settle : Callable[[Iterable[int]], None]
        Notes that nothing more is to be done about messages.
    routes_of : Callable[[RouteTable, int], RouteTable]
        Finds the routes of the session with a number.
    """

    def __init__(
        self,
        lane: Lane,
        durability: Durability,
        ledger: LaneLedger,
        *,
        max_bytes: int,
        max_age_ns: int | None,
        read: Callable[[StoredRun], Stored | None],
        settle: Callable[[Iterable[int]], None],
        routes_of: Callable[[RouteTable, int], RouteTable],
    ) -> None:
        self.lane = lane
        self.durability = durability
        self.ledger = ledger
        # How many messages of the lane are on disk, or need not be.
        self.written_to = 0
        self.receipts: dict[int, Receipt] = {}
        # What the lane dropped, and what was given up of what stands on disk: not yet told.
        self.gaps: dict[str, int] = {}
        self.shed_gaps: dict[str, int] = {}
        self._expired_gaps: dict[str, int] = {}
        self.unread: deque[StoredRun] = deque()
        # What the writer has, of an earlier process, or gets as the first.
        self.handed: Container[int] = frozenset()
        self._head: deque[Waiting] = deque()
        self._head_bytes = 0
        self._max_head_bytes = min(HEAD_BYTES, max_bytes // HEAD_SHARE)
        self._max_age_ns = max_age_ns
        self._read = read
        self._settle = settle
        self._routes_of = routes_of

    def __len__(self) -> int:
        # What is left to the next process is not for this one.
        return (self.lane.journaled if self.has_backlog else 0) + len(self.lane)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.lane!r}, {self.durability}, {self.lane.journaled})"

    @property
    def has_backlog(self) -> bool:
        """Return whether messages wait on disk."""
        return bool(self._head or self.unread)

    @property
    def oldest_ns(self) -> int:
        """Return when the oldest message that waits on disk was stored; 0 if none does."""
        if self._head:
            return self._head[0].at_ns
        return self.unread[0].at_ns if self.unread else 0

    def fill(
        self, batch: Batch, max_messages: int, max_bytes: int, routes: RouteTable, now_ns: int
    ) -> tuple[int, int, Sequence[Entry], list[int]]:
        """
        Move messages into a batch: of the backlog, or if there is none, of the lane.

        Returns
        -------
        tuple[int, int, Sequence[tuple], int]
            How many and their bytes; those that are to be written before they are sent, and
            the numbers that these got.
        """
        if self.has_backlog:
            count, size = self._fill_from_backlog(batch, max_messages, max_bytes, routes, now_ns)
            if count:
                return count, size, (), []
        taken = self.lane.take(max_messages, max_bytes)
        if not taken:
            return 0, 0, (), []
        note_gaps(self.gaps, self.lane)
        if self._expired_gaps or self.shed_gaps:
            self.gaps = self.untold_gaps()
            self._expired_gaps, self.shed_gaps = {}, {}
        size = sum(len(payload) for _, payload, _ in taken)
        is_written = self.durability == "always"
        numbers = self.give_numbers(len(taken)) if is_written else []
        batch.add(self.lane, taken, mark_gaps(self.gaps, taken, routes), numbers)
        return len(taken), size, taken if is_written else (), numbers

    def untold_gaps(self) -> dict[str, int]:
        """Return the messages of each topic that were given up and not yet told of."""
        untold = Counter(self.gaps)
        untold.update(self.shed_gaps)
        untold.update(self._expired_gaps)
        return dict(untold)

    def give_numbers(self, count: int) -> list[int]:
        """Return the next `count` numbers."""
        first = self.ledger.next_number
        self.ledger.next_number += count
        return list(range(first, first + count))

    def note_stored(self, run: StoredRun, stored: Stored, entries: Sequence[Entry]) -> None:
        """Note that messages were moved from the lane to disk."""
        self.lane.journaled += len(entries)
        for number, (_, _, receipt) in enumerate(entries, stored.first):
            if receipt is not None:
                self.receipts[number] = receipt
        is_head_full = len(self._head) >= HEAD_MESSAGES or self._head_bytes >= self._max_head_bytes
        if self.unread or is_head_full:
            self.unread.append(run)
        else:
            self._take_up(stored)

    def _take_up(self, stored: Stored) -> None:
        settled, handed = self.ledger.settled, self.handed
        for index, (topic, payload) in enumerate(zip(stored.topics, stored.payloads, strict=True)):
            number = stored.first + index
            if number in settled or number in handed:
                continue
            entry = (topic, payload, self.receipts.pop(number, None))
            gap = stored.gaps.get(index, 0) + self.shed_gaps.pop(topic, 0)
            self._head.append(Waiting(number, entry, stored.at_ns, stored.session, gap))
            self._head_bytes += len(payload)

    def _read_next(self) -> bool:
        """Read the next run that has something; False if there is none."""
        while self.unread:
            run = self.unread.popleft()
            stored = self._read(run)
            if stored is None:
                self.give_up(run, "rejected")
                continue
            self._take_up(stored)
            if self._head:
                return True
        return False

    def _fill_from_backlog(
        self, batch: Batch, max_messages: int, max_bytes: int, routes: RouteTable, now_ns: int
    ) -> tuple[int, int]:
        entries: list[Entry] = []
        found: list[Route] = []
        numbers: list[int] = []
        size = 0
        marked: dict[tuple[str, int, int], Route] = {}
        head = self._head
        while len(entries) < max_messages and (head or self._read_next()):
            waiting = head[0]
            topic, payload, _ = waiting.entry
            if self._max_age_ns is not None and now_ns - waiting.at_ns > self._max_age_ns:
                self._expire(head.popleft())
                continue
            if entries and size + len(payload) > max_bytes:
                break
            head.popleft()
            if topic in self._expired_gaps:
                gap = waiting.gap + self._expired_gaps.pop(topic)
                waiting = waiting._replace(gap=gap)
            size += len(payload)
            entries.append(waiting.entry)
            numbers.append(waiting.number)
            table = self._routes_of(routes, waiting.session)
            is_marked = waiting.gap or now_ns - waiting.at_ns >= LATE_NS
            found.append(_route(table, waiting, marked) if is_marked else table.route(topic))
        self._head_bytes -= size
        self.lane.journaled -= len(entries)
        if entries:
            batch.add(self.lane, entries, found, numbers)
        return len(entries), size

    def leave_backlog(self) -> None:
        """Leave what is on disk to the next process, and tell who waits for it."""
        self.durability = "memory"
        waiting = [receipt for _, (_, _, receipt), *_ in self._head if receipt is not None]
        waiting += self.receipts.values()
        self.receipts.clear()
        for receipt in waiting:
            receipt(None)
        self._head.clear()
        self._head_bytes = 0
        self.unread.clear()

    def _expire(self, waiting: Waiting) -> None:
        topic, payload, receipt = waiting.entry
        self._head_bytes -= len(payload)
        self.lane.journaled -= 1
        self.lane.expired += 1
        # A reader is told of what was too old for it as of what was dropped.
        self._expired_gaps[topic] = self._expired_gaps.get(topic, 0) + 1 + waiting.gap
        self._settle((waiting.number,))
        if receipt is not None:
            receipt(False)

    def give_up(self, run: StoredRun, count_as: Literal["shed", "rejected"]) -> None:
        """Count the messages of a run that is on disk only, and settle them."""
        settled = self.ledger.settled
        numbers = [
            number
            for number in range(run.first, run.end)
            if number not in settled and number not in self.handed
        ]
        self.lane.journaled -= len(numbers)
        setattr(self.lane, count_as, getattr(self.lane, count_as) + len(numbers))
        receipts = [self.receipts.pop(number, None) for number in numbers]
        self._settle(numbers)
        for receipt in receipts:
            if receipt is not None:
                receipt(False)


def _route(
    table: RouteTable,
    waiting: Waiting,
    marked: dict[tuple[str, int, int], Route],
) -> Route:
    """Return a route that tells since when the message was in the journal, and of a gap."""
    topic = waiting.entry[0]
    more = [(FIELD_JOURNALED_AT, b"%d" % waiting.at_ns)]
    if waiting.gap:
        return table.marked(topic, [*more, (FIELD_GAP, b"%d" % waiting.gap)])
    # Messages that were written together have it in common.
    key = (topic, waiting.at_ns, waiting.session)
    route = marked.get(key)
    if route is None:
        route = marked[key] = table.marked(topic, more)
    return route
