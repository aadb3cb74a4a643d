"""
What to send, what to send again, and what an answer means: decided here, without I/O.

Exactly once, for the one writer of a stream. Entry IDs are made by the writer, and the server
refuses an ID that is not above the stream's last one. One batch is in flight; nothing follows
until its fate is known. A batch is one transaction (MULTI ... EXEC), so a refusal in the middle
cannot leave a hole. After a broken connection the server is asked which of the batch's IDs are
in (XRANGE) and only the rest is sent again, with the old IDs. Only what the server answered
with an error gets a new ID; if it was sent before, not without a look whether it was in its
stream (`evidence`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from enum import auto
from enum import unique
from itertools import compress
from itertools import repeat
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Entry
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import Route
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import Stream
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import bulk_head
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import decimal
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import parse_entry_id


MULTI: Final = command(b"MULTI")
EXEC: Final = command(b"EXEC")
QUEUED: Final = b"QUEUED"

# The number of a message that is not in the journal.
NOT_JOURNALED: Final = -1

# What the answers of a transaction are when each is the ID of an entry.
_ALL_IDS: Final = {bytes}

# Answers that say "not now" rather than "not this". Source: the server's error codes,
# https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors and `server.c`.
_LATER_CODES: Final = frozenset(
    {
        "ASK",
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "MOVED",
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
# Those among them that say that this is not the server to send it to any more.
DEMOTED_CODES: Final = ("READONLY", "MASTERDOWN", "CLUSTERDOWN")
# What a NOPERM about a key says, in all versions: that of a command names the command instead.
_KEY_FORBIDDEN: Final = re.compile(r"NOPERM .*access (a key|one of the keys|the '.*' key)")
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


def fate_of_error(message: str) -> Fate:
    """Return what the text of an error answer to XADD means for its message."""
    if _BEHIND_PHRASE in message:
        return Fate.BEHIND
    if _KEY_FORBIDDEN.match(message):
        # One stream that the login may not write must not silence all others.
        return Fate.NEVER
    return Fate.LATER if message.partition(" ")[0] in _LATER_CODES else Fate.NEVER


class Batch:
    """
    The messages in flight: sent together, their fate decided together.

    Attributes
    ----------
    entries : list[tuple[str, bytes, Callable[[bool], None] | None]]
        The messages, as they were taken from their lanes.
    routes : list[Route]
        Stream and command parts of each message.
    ids : list[tuple[int, int]]
        The entry ID of each message; empty while the batch is to be numbered (again).
    is_resent : bool
        Whether it was sent before, under these IDs, and got no answer.
    numbers : list[int]
        The number of each message in the journal, -1 for one that is not in it.
    is_journaled : bool
        Whether any is.
    noted_ids : list[tuple[int, int]] or None
        The IDs that the journal knows of.
    """

    __slots__ = (
        "_encoded",
        "_parts",
        "_runs",
        "entries",
        "ids",
        "is_journaled",
        "is_resent",
        "noted_ids",
        "numbers",
        "routes",
    )

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.routes: list[Route] = []
        self.ids: list[EntryId] = []
        self.is_resent = False
        self.numbers: list[int] = []
        self.is_journaled = False
        self.noted_ids: list[EntryId] | None = None
        # Messages of one lane come together: a lane and their number for each run of them.
        self._runs: list[tuple[Lane, int]] = []
        self._encoded: bytes | None = None
        self._parts: list[tuple[bytes, Batch, list[int]]] | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} messages, {len(self.ids)} numbered)"

    @property
    def lanes(self) -> list[Lane]:
        """Return where each message came from."""
        return [lane for lane, count in self._runs for _ in range(count)]

    @property
    def sources(self) -> set[Lane]:
        """Return the lanes that messages came from."""
        return {lane for lane, _ in self._runs}

    @property
    def payloads(self) -> list[bytes]:
        """Return what each message carries."""
        return [payload for _, payload, _ in self.entries]

    def add(
        self,
        lane: Lane,
        entries: Sequence[Entry],
        routes: Sequence[Route],
        numbers: Sequence[int] = (),
    ) -> None:
        """
        Append messages of one lane, with the route of each.

        Parameters
        ----------
        lane : Lane
            The lane.
        entries : Sequence[tuple]
            The messages.
        routes : Sequence[Route]
            Their routes.
        numbers : Sequence[int], optional
            Their numbers in the journal, if they are in it.
        """
        self.entries += entries
        self.routes += routes
        if numbers:
            self.is_journaled = True
        self.numbers += numbers or repeat(NOT_JOURNALED, len(entries))
        self._runs.append((lane, len(entries)))

    def settle(self, *, accepted: bool | None) -> None:
        """
        Count all messages, and tell whom it concerns.

        Parameters
        ----------
        accepted : bool or None
            True if they are in their streams, False if they are refused for good, None if that
            cannot be known.
        """
        for lane, count in self._runs:
            if accepted is None:
                lane.indeterminate += count
            elif accepted:
                lane.acknowledged += count
            else:
                lane.rejected += count
        self._tell(accepted)

    def abandon(self) -> None:
        """Count all messages as abandoned and tell whom it concerns."""
        for lane, count in self._runs:
            lane.abandoned += count
        self._tell(False)

    def _tell(self, accepted: bool | None) -> None:
        for _, _, receipt in self.entries:
            if receipt is not None:
                receipt(accepted)

    def select(self, chosen: Sequence[bool]) -> Batch:
        """Return the chosen messages, in their order and without IDs."""
        part = Batch()
        for lane, entry, route, number, is_chosen in zip(
            self.lanes, self.entries, self.routes, self.numbers, chosen, strict=True
        ):
            if is_chosen:
                part.add(lane, (entry,), (route,), (number,) if number >= 0 else ())
        return part

    def by_stream(self) -> list[tuple[bytes, Batch, list[int]]]:
        """
        Return, for each stream, its key, its messages with their IDs, and their positions.

        Made once for each numbering.
        """
        if self._parts is not None:
            return self._parts
        parts: dict[bytes, tuple[Batch, list[int]]] = {}
        columns = zip(self.lanes, self.entries, self.routes, self.ids, strict=True)
        for position, (lane, entry, route, entry_id) in enumerate(columns):
            part, positions = parts.setdefault(route.stream.key, (Batch(), []))
            part.add(lane, (entry,), (route,))
            part.ids.append(entry_id)
            positions.append(position)
        self._parts = [(key, part, positions) for key, (part, positions) in parts.items()]
        return self._parts

    @property
    def streams(self) -> set[Stream]:
        """Return the streams that the messages go to."""
        return {route.stream for route in self.routes}

    def unknown_streams(self) -> list[Stream]:
        """Return the streams whose last ID must be asked for before numbering."""
        streams = dict.fromkeys(route.stream for route in self.routes)
        return [stream for stream in streams if stream.last_id is None]

    def number(self, now_ms: int) -> None:
        """Give each message an entry ID, unless they have theirs already."""
        if not self.ids:
            self._encoded = self._parts = None
            self.ids = [route.stream.next_id(now_ms) for route in self.routes]

    def renumber(self) -> None:
        """Forget the entry IDs."""
        self.ids = []

    def encode(self) -> tuple[bytes, int]:
        """Return the commands and how many answers they get; made once for each numbering."""
        if self._encoded is None:
            self._encoded = self._encode()
        return self._encoded, 1 if len(self) == 1 else len(self) + 2

    def _encode(self) -> bytes:
        pieces = [] if len(self) == 1 else [MULTI]
        written_ms, begin, begin_length = -1, b"", 0
        for route, (_, payload, _), (milliseconds, sequence) in zip(
            self.routes, self.entries, self.ids, strict=True
        ):
            if milliseconds != written_ms:
                # The same for most of a batch: writing numbers costs more than all else here.
                written_ms, begin = milliseconds, b"%d-" % milliseconds
                begin_length = len(begin)
            end = decimal(sequence)
            pieces += (
                route.head,
                bulk_head(begin_length + len(end)),
                begin,
                end,
                route.middle,
                bulk_head(len(payload)),
                payload,
                route.tail,
            )
        if len(self) > 1:
            pieces.append(EXEC)
        return b"".join(pieces)

    def fates(self, answers: Sequence[Any]) -> list[Fate]:
        """Return the fate of each message, given the answers to `encode`."""
        if len(answers) == 1:
            return [_fate(answers[0])]
        executed = answers[-1]
        if isinstance(executed, list):
            if set(map(type, executed)) == _ALL_IDS:
                return [Fate.ACCEPTED] * len(executed)
            return [_fate(answer) for answer in executed]
        # The transaction was refused: whoever was refused at queueing is the cause.
        queued = [_queued_fate(answer) for answer in answers[1:-1]]
        if all(fate is Fate.NOT_RUN for fate in queued):
            return [Fate.LATER] * len(queued)
        return queued

    def split(self, fates: Sequence[Fate]) -> tuple[Batch, Batch, Batch]:
        """
        Return the messages that are accepted, to be sent again, and refused for good.

        What is to be sent again keeps its IDs if this was not the first time: it may have been
        in its stream, so that under a new ID it could be there twice.
        """
        if fates.count(Fate.ACCEPTED) == len(self):
            return self, Batch(), Batch()
        settled = (Fate.ACCEPTED, Fate.NEVER)
        accepted, never = (self.select([f is fate for f in fates]) for fate in settled)
        is_left = [fate not in settled for fate in fates]
        again = self.select(is_left)
        if self.is_resent:
            again.ids = list(compress(self.ids, is_left))
            again.is_resent = True
        for route, fate in zip(self.routes, fates, strict=True):
            if fate is Fate.BEHIND:
                route.stream.last_id = None
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
        is_there = [
            found.get(route.stream.key, {}).get(entry_id) == payload
            for route, entry_id, (_, payload, _) in zip(
                self.routes, self.ids, self.entries, strict=True
            )
        ]
        is_missing = [not there for there in is_there]
        present, missing = self.select(is_there), self.select(is_missing)
        present.ids = list(compress(self.ids, is_there))
        missing.ids = list(compress(self.ids, is_missing))
        missing.is_resent = True
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
    found either; under its old ID a message is not taken twice.

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


def _fate(answer: Any) -> Fate:
    return fate_of_error(str(answer)) if isinstance(answer, Exception) else Fate.ACCEPTED


def _queued_fate(answer: Any) -> Fate:
    # If MULTI itself was refused, the commands behind it ran one by one.
    return Fate.NOT_RUN if answer == QUEUED else _fate(answer)
