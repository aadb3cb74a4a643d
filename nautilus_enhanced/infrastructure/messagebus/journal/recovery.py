"""What earlier processes left in a journal: read when it is opened, and handed to the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import JournalError
from nautilus_enhanced.infrastructure.messagebus.journal.ledger import StoredRun
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch


if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.connection.connection import Identity
    from nautilus_enhanced.infrastructure.messagebus.journal.file import JournalFile
    from nautilus_enhanced.infrastructure.messagebus.journal.lane import JournaledLane
    from nautilus_enhanced.infrastructure.messagebus.journal.ledger import JournalLedger
    from nautilus_enhanced.infrastructure.messagebus.journal.records import Row
    from nautilus_enhanced.infrastructure.messagebus.journal.records import SentId
    from nautilus_enhanced.infrastructure.messagebus.journal.records import State
    from nautilus_enhanced.infrastructure.messagebus.journal.records import Stored


class Recovered(msgspec.Struct):
    """
    What an earlier process had begun to send.

    Attributes
    ----------
    in_flight : Batch
        Messages with entry IDs, under which they may have been sent.
    unsent : Batch
        Messages without: they go next.
    identity : tuple or None
        Which connection to which server it was.
    """

    in_flight: Any = msgspec.field(default_factory=Batch)
    unsent: Any = msgspec.field(default_factory=Batch)
    identity: Any = None


class Loaded(msgspec.Struct):
    """
    What was read from a journal, beside what the ledger knows then.

    Attributes
    ----------
    state : State or None
        The state that holds.
    sessions : set[int]
        The sessions that messages come from.
    damaged : dict[int, str]
        Rows that are not as they were written, and why.
    """

    state: State | None = None
    sessions: set[int] = msgspec.field(default_factory=set)
    damaged: dict[int, str] = msgspec.field(default_factory=dict)


def load(file: JournalFile, ledger: JournalLedger) -> Loaded:
    """
    Read all rows, and take account of them.

    Raises
    ------
    sqlite3.Error
        If the database is damaged.
    """
    loaded = Loaded()
    for position, size, row in file.rows():
        if isinstance(row, JournalError):
            loaded.damaged[position] = str(row)
            continue
        for stored in row.stored:
            run = StoredRun(stored.first, stored.end, position, size, stored.at_ns)
            ledger.note_run(stored.lane, run)
            loaded.sessions.add(stored.session)
        if row.state is not None:
            # Behind its own messages: a row that has neither is forgotten.
            loaded.state = row.state
            ledger.note_state(position)
    if loaded.state is not None:
        ledger.restore_settled(loaded.state.settled)
    for lane, of in enumerate(ledger.lanes):
        # What is not there cannot be sent: it was settled and forgotten, or is damaged.
        ledger.settle(lane, _numbers_between(of.runs, of.settled.below))
    return loaded


def _numbers_between(runs: Sequence[StoredRun], begin: int) -> Iterator[int]:
    """Yield the numbers from `begin` to the last run that are in none."""
    for run in runs:
        yield from range(begin, run.first)
        begin = max(begin, run.end)


def take_up(lanes: Sequence[JournaledLane], state: State | None) -> None:
    """Have the lanes send what waits, without what is handed to the writer."""
    for lane in lanes:
        priority = lane.lane.priority
        sent = () if state is None else state.sent
        lane.handed = frozenset(one.number for one in sent if one.lane == priority)
        if state is not None:
            lane.shed_gaps.update(state.gaps[priority])
        ledger = lane.ledger
        lane.unread.extend(ledger.runs)
        waiting = ledger.unsettled
        lane.lane.restored += waiting
        lane.lane.taken += waiting
        on_writer = sum(
            number not in ledger.settled
            and any(run.first <= number < run.end for run in ledger.runs)
            for number in lane.handed
        )
        lane.lane.journaled += waiting - on_writer


class SentFinder:
    """
    Find the messages that an earlier process had begun to send.

    Parameters
    ----------
    file : JournalFile
        The file.
    ledger : JournalLedger
        What it holds.
    """

    def __init__(self, file: JournalFile, ledger: JournalLedger) -> None:
        self._file = file
        self._ledger = ledger
        self._rows: dict[int, Row] = {}

    def find(self, sent: SentId) -> tuple[Stored, int] | None:
        """
        Return where a message stands, or None if nothing is to be done about it.

        Raises
        ------
        JournalError
            If it cannot be read.
        """
        ledger = self._ledger.lanes[sent.lane]
        if sent.number in ledger.settled:
            return None
        for run in ledger.runs:
            if not run.first <= sent.number < run.end:
                continue
            row = self._rows.get(run.position)
            if row is None:
                row = self._rows[run.position] = self._file.read(run.position)
            for stored in row.stored:
                if stored.lane == sent.lane and stored.first == run.first:
                    return stored, sent.number - run.first
        return None


def encode_identity(identity: Identity | None) -> bytes:
    """Return which connection to which server it is, as a state has it."""
    return b"" if identity is None else msgspec.msgpack.encode(identity)


def decode_identity(raw: bytes) -> Identity | None:
    """Return what `encode_identity` was given."""
    if not raw:
        return None

    def as_tuple(value: Any) -> Any:
        return tuple(map(as_tuple, value)) if isinstance(value, list) else value

    identity: Identity = as_tuple(msgspec.msgpack.decode(raw))
    return identity
