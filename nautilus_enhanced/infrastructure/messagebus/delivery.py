"""
What to send, what to send again, and what an answer means: decided here, without I/O.

Exactly once, for the one writer of a stream. Entry IDs are made by the writer, and the server
refuses an ID that is not above the stream's last one. One batch is in flight; nothing follows
until its fate is known. A batch is one transaction (MULTI ... EXEC), so a refusal in the middle
cannot leave a hole. After a broken connection the server is asked which of the batch's IDs are
in (XRANGE) and only the rest is sent again, with the old IDs. Only what the server answered
with an error gets a new ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from enum import auto
from enum import unique
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.lanes import Lane
from nautilus_enhanced.infrastructure.messagebus.lanes import Receipt
from nautilus_enhanced.infrastructure.messagebus.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.wire import Route
from nautilus_enhanced.infrastructure.messagebus.wire import Stream
from nautilus_enhanced.infrastructure.messagebus.wire import command
from nautilus_enhanced.infrastructure.messagebus.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.wire import parse_entry_id


MULTI: Final = command(b"MULTI")
EXEC: Final = command(b"EXEC")
QUEUED: Final = b"QUEUED"

# A waiting lane gets at least one message in this many of a batch, however long the lanes
# before it are.
LANE_SHARE: Final = 16

# Answers that say "not now" rather than "not this". Source: the server's error codes,
# https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors and `server.c`.
_LATER_CODES: Final = frozenset(
    {
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "NOAUTH",
        "NOPERM",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
        "UNBLOCKED",
        "WRONGPASS",
    },
)
_BEHIND_PHRASE: Final = "equal or smaller than the target stream top item"


@unique
class Fate(Enum):
    """What an answer says about one message."""

    ACCEPTED = auto()
    """It is in the stream."""
    NOT_RUN = auto()
    """It was not run because another command of its batch was refused: send it again."""
    LATER = auto()
    """The server cannot take it now: send it again after a pause."""
    BEHIND = auto()
    """Its ID was used up by another writer: ask for the last ID and send it again."""
    NEVER = auto()
    """The server will never take it."""


def plan_batch(queued: Sequence[int], limit: int) -> list[int]:
    """
    Share a batch among the lanes that are due.

    Parameters
    ----------
    queued : sequence of int
        Messages that each lane would like to send, most urgent lane first.
    limit : int
        Messages that the batch may hold.

    Returns
    -------
    list[int]
        Messages for each lane: the urgent ones first, but at least a sixteenth of the batch
        for each lane that waits, so that none starves when the batch has room for one of each.
    """
    reserve = max(1, limit // LANE_SHARE)
    shares = [0] * len(queued)
    left = limit
    for index, wanted in enumerate(queued):
        kept_back = sum(min(reserve, later) for later in queued[index + 1 :])
        shares[index] = min(wanted, max(min(reserve, left), left - kept_back))
        left -= shares[index]
    return shares


def fate_of_error(message: str) -> Fate:
    """Return what the text of an error answer to XADD means for its message."""
    if _BEHIND_PHRASE in message:
        return Fate.BEHIND
    return Fate.LATER if message.partition(" ")[0] in _LATER_CODES else Fate.NEVER


class Batch:
    """
    The messages in flight: sent together, their fate decided together.

    Attributes
    ----------
    routes : list[Route]
        Stream and command parts of each message.
    payloads : list[bytes]
        What each message carries.
    lanes : list[Lane]
        Where each message came from.
    receipts : list[Callable[[bool], None] | None]
        Whom to tell what became of each message.
    ids : list[tuple[int, int]]
        The entry ID of each message; empty while the batch is to be numbered (again).
    """

    __slots__ = ("ids", "lanes", "payloads", "receipts", "routes")

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.payloads: list[bytes] = []
        self.lanes: list[Lane] = []
        self.receipts: list[Receipt | None] = []
        self.ids: list[EntryId] = []

    def __len__(self) -> int:
        return len(self.routes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} messages, {len(self.ids)} numbered)"

    def add(self, route: Route, payload: bytes, lane: Lane, receipt: Receipt | None) -> None:
        """Append a message."""
        self.routes.append(route)
        self.payloads.append(payload)
        self.lanes.append(lane)
        self.receipts.append(receipt)

    def settle(self, *, accepted: bool) -> None:
        """Count all messages as accepted, or as refused for good, and tell whom it concerns."""
        for lane in self.lanes:
            if accepted:
                lane.acknowledged += 1
            else:
                lane.rejected += 1
        self._tell(accepted=accepted)

    def abandon(self) -> None:
        """Count all messages as abandoned and tell whom it concerns."""
        for lane in self.lanes:
            lane.abandoned += 1
        self._tell(accepted=False)

    def _tell(self, *, accepted: bool) -> None:
        for receipt in self.receipts:
            if receipt is not None:
                receipt(accepted)

    def _move(self, index: int, other: Batch) -> None:
        other.add(self.routes[index], self.payloads[index], self.lanes[index], self.receipts[index])

    def unknown_streams(self) -> list[Stream]:
        """Return the streams whose last ID must be asked for before numbering."""
        streams = dict.fromkeys(route.stream for route in self.routes)
        return [stream for stream in streams if stream.last_id is None]

    def number(self, now_ms: int) -> None:
        """Give each message an entry ID, unless they have theirs already."""
        if not self.ids:
            self.ids = [route.stream.next_id(now_ms) for route in self.routes]

    def encode(self) -> tuple[bytes, int]:
        """Return the commands and how many answers they get."""
        commands = [
            route.xadd(b"%d-%d" % entry_id, payload)
            for route, entry_id, payload in zip(self.routes, self.ids, self.payloads, strict=True)
        ]
        if len(commands) == 1:
            return commands[0], 1
        return b"".join((MULTI, *commands, EXEC)), len(commands) + 2

    def fates(self, answers: Sequence[Any]) -> list[Fate]:
        """Return the fate of each message, given the answers to `encode`."""
        if len(answers) == 1:
            return [_fate(answers[0])]
        executed = answers[-1]
        if isinstance(executed, list):
            return [_fate(answer) for answer in executed]
        # The transaction was refused: whoever was refused at queueing is the cause.
        queued = [_queued_fate(answer) for answer in answers[1:-1]]
        if all(fate is Fate.NOT_RUN for fate in queued):
            return [Fate.LATER] * len(queued)
        return queued

    def split(self, fates: Sequence[Fate]) -> tuple[Batch, Batch, Batch]:
        """Return the messages that are accepted, to be sent again, and refused for good."""
        accepted, again, never = Batch(), Batch(), Batch()
        by_fate = {Fate.ACCEPTED: accepted, Fate.NEVER: never}
        for index, fate in enumerate(fates):
            self._move(index, by_fate.get(fate, again))
            if fate is Fate.BEHIND:
                self.routes[index].stream.last_id = None
        return accepted, again, never

    def without(self, found: dict[bytes, dict[EntryId, bytes]]) -> tuple[Batch, Batch]:
        """
        Return what is in the streams and what must be sent again, IDs kept.

        Parameters
        ----------
        found : dict[bytes, dict[tuple[int, int], bytes]]
            What the server has, for each stream key: payloads by ID. An ID under which another
            writer put something else is not ours.
        """
        present, missing = Batch(), Batch()
        for index, entry_id in enumerate(self.ids):
            entries = found.get(self.routes[index].stream.key, {})
            part = present if entries.get(entry_id) == self.payloads[index] else missing
            self._move(index, part)
            part.ids.append(entry_id)
        return present, missing

    def recovery_queries(self) -> list[tuple[bytes, bytes]]:
        """Return stream key and XRANGE command that tell what of the batch has arrived."""
        ids: dict[bytes, list[EntryId]] = {}
        for route, entry_id in zip(self.routes, self.ids, strict=True):
            ids.setdefault(route.stream.key, []).append(entry_id)
        return [
            (key, command(b"XRANGE", key, format_entry_id(min(of)), format_entry_id(max(of))))
            for key, of in ids.items()
        ]


def first_error(answers: Sequence[Any]) -> str:
    """Return the text of the first error among answers, those of a transaction included."""
    executed = answers[-1] if answers and isinstance(answers[-1], list) else []
    errors = (str(answer) for answer in (*answers, *executed) if isinstance(answer, Exception))
    return next(errors, "")


def found_entries(answer: Any) -> dict[EntryId, bytes]:
    """
    Return IDs and payloads in an answer to a recovery query.

    A key that is not a stream holds nothing of ours. Where reading is forbidden, nothing can be
    found either: the messages are sent again, since twice is better than never.

    Raises
    ------
    ServerError
        If the server cannot answer now.
    """
    if isinstance(answer, Exception):
        if fate_of_error(str(answer)) is Fate.LATER and not str(answer).startswith("NOPERM"):
            raise ServerError(f"XRANGE: {answer}")
        return {}
    # `[id, [b"topic", topic, b"payload", payload, ...]]`; a foreign entry may have less.
    return {parse_entry_id(entry[0]): b"".join(entry[1][3:4]) for entry in answer}


class TrimSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    How long entries are kept.

    Attributes
    ----------
    max_age_ms : int or None
        Entries older than this are removed; None keeps all.
    interval_ns : int
        Time between two trims of a stream, in nanoseconds.
    """

    max_age_ms: int | None = None
    interval_ns: int = 60 * 1_000_000_000

    def due(self, batch: Batch, now_ns: int, now_ms: int) -> list[bytes]:
        """Return the XTRIM commands that are due for the streams of `batch`, and note them."""
        if self.max_age_ms is None:
            return []
        commands = []
        for stream in {route.stream.key: route.stream for route in batch.routes}.values():
            if not stream.trimmed_at_ns:
                stream.trimmed_at_ns = now_ns
            elif now_ns - stream.trimmed_at_ns >= self.interval_ns:
                stream.trimmed_at_ns = now_ns
                oldest = b"%d" % max(0, now_ms - self.max_age_ms)
                commands.append(command(b"XTRIM", stream.key, b"MINID", b"~", oldest))
        return commands


def _fate(answer: Any) -> Fate:
    return fate_of_error(str(answer)) if isinstance(answer, Exception) else Fate.ACCEPTED


def _queued_fate(answer: Any) -> Fate:
    # If MULTI itself was refused, the commands behind it ran one by one.
    return Fate.NOT_RUN if answer == QUEUED else _fate(answer)
