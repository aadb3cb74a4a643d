"""
Make sure that streams have their group, and know from where they are read.

What to do is decided in `starting`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import format_entry_id
from nautilus_enhanced.infrastructure.messagebus.streams import commands
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import FIRST_ID
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import first_position
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import plan_group
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import regained_position


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.barring import BarredStreams
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.starting import StartTable
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


# Streams, or entries, that are looked after in one go.
AT_ONCE: Final = 100


class GroupCare:
    """
    Find and make the group of streams.

    Parameters
    ----------
    group, consumer : str
        The group and the consumer's name in it; empty to read without one.
    ordered : bool
        Whether each stream is read by one consumer at a time.
    starts : StartTable
        Tells where reading begins.
    barred : BarredStreams
        Notes which streams the server refuses.
    figures : SubscriptionFigures
        The figures.
    look_after : Callable[[ReadStream], None]
        Called for a stream whose group is there: somebody may have left something in it.
    """

    def __init__(
        self,
        group: str,
        consumer: str,
        *,
        ordered: bool,
        starts: StartTable,
        barred: BarredStreams,
        figures: SubscriptionFigures,
        look_after: Callable[[ReadStream], None],
    ) -> None:
        self._group_name = group
        self._group = group.encode()
        self._consumer = consumer.encode()
        self._ordered = ordered
        self._starts = starts
        self._barred = barred
        self._figures = figures
        self.look_after = look_after

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._group_name})"

    def prepare_all(self, connection: BusConnection, streams: Sequence[ReadStream]) -> None:
        """Find or make the group of streams, or the place where they are read from."""
        for at in range(0, len(streams), AT_ONCE):
            self._prepare(connection, streams[at : at + AT_ONCE])

    def _prepare(self, connection: BusConnection, streams: Sequence[ReadStream]) -> None:
        facts = connection.ask([(s.key, commands.stream_info(s.key)) for s in streams])
        groups = (
            connection.ask([(s.key, commands.group_info(s.key)) for s in streams])
            if self._group
            else [[]] * len(streams)
        )
        queries, of = [], []
        for stream, about, known in zip(streams, facts, groups, strict=True):
            if self._barred.refused(stream, about, f"{stream.name} cannot be read"):
                continue
            facts_of = _facts(about)
            start = self._starts.of(stream.topic)
            last_id = FIRST_ID if facts_of is None else facts_of.last_id
            if not stream.appeared and stream.begins:
                stream.skip_to = last_id
            if not self._group:
                stream.read_to = first_position(start, last_id, appeared=stream.appeared)
                stream.is_prepared = True
                continue
            plan = plan_group(
                start,
                facts_of,
                self._group_of(known),
                appeared=stream.appeared,
                first_of_group=stream.begins,
            )
            stream.read_to = plan.position
            if plan.destroy:
                queries.append((stream.key, commands.destroy_group(stream.key, self._group)))
                of.append(stream)
            if plan.create:
                queries.append(self._creation(stream))
                of.append(stream)
        answers = connection.ask(queries) if queries else []
        for stream, answer in zip(of, answers, strict=True):
            self._is_made(stream, answer)
        for stream in streams:
            if not stream.is_prepared and not self._barred.holds(stream):
                stream.is_prepared = True
                self.look_after(stream)

    def _group_of(self, answer: Any) -> commands.GroupFacts | None:
        if isinstance(answer, Exception):
            return None
        return next((g for g in commands.parse_groups(answer) if g.name == self._group_name), None)

    def _is_made(self, stream: ReadStream, answer: Any) -> bool:
        """Return whether a group was made, rather than there; the stream may be refused, too."""
        if commands.is_error(answer, commands.GROUP_EXISTS):
            return False
        what = f"the group of {stream.name} cannot be made"
        if self._barred.refused(stream, answer, what):
            return False
        commands.succeeded(answer, what)
        return True

    def _creation(self, stream: ReadStream) -> tuple[bytes, bytes]:
        start = format_entry_id(stream.read_to)
        return stream.key, commands.create_group(stream.key, self._group, start)

    def regain(self, connection: BusConnection, streams: Sequence[ReadStream]) -> None:
        """Make groups that are gone once more, and go on where reading was."""
        for at in range(0, len(streams), AT_ONCE):
            some = streams[at : at + AT_ONCE]
            answers = connection.ask([(s.key, commands.group_info(s.key)) for s in some])
            lost = [
                stream
                for stream, answer in zip(some, answers, strict=True)
                if self._group_of(answer) is None
            ]
            if lost:
                self._make_again(connection, lost)
            if not self._ordered:
                # Another consumer may have made the group again, with what was in its hand alone.
                forced = [query for s in some if s not in lost for query in self._forced(s)]
                connection.ask(forced)

    def _make_again(self, connection: BusConnection, lost: list[ReadStream]) -> None:
        facts = connection.ask([(s.key, commands.stream_info(s.key)) for s in lost])
        known = []
        for stream, about in zip(lost, facts, strict=True):
            if not self._barred.refused(stream, about, f"{stream.name} cannot be read"):
                stream.read_to = regained_position(stream.read_to, _facts(about))
                known.append(stream)
        # Told together, so that no group is made without what is in hand.
        queries: list[tuple[ReadStream, tuple[bytes, bytes]]] = []
        for stream in known:
            queries.append((stream, self._creation(stream)))
            queries += [(stream, forced) for forced in self._forced(stream)]
        answers = connection.ask([query for _, query in queries])
        for (stream, query), answer in zip(queries, answers, strict=True):
            if query == self._creation(stream) and self._is_made(stream, answer):
                self._figures.counts["groups_created"] += 1

    def _forced(self, stream: ReadStream) -> list[tuple[bytes, bytes]]:
        """
        Return what makes that which is in hand pending again, in a group that did not know it.

        Else it would be lost with this process. An entry that is gone the server leaves out.
        """
        ids = list(stream.in_hand)
        stream.force(ids)
        return [
            (
                stream.key,
                commands.keep(
                    stream.key,
                    self._group,
                    self._consumer,
                    [*ids[at : at + AT_ONCE], b"FORCE"],
                ),
            )
            for at in range(0, len(ids), AT_ONCE)
        ]


def _facts(answer: Any) -> commands.StreamFacts | None:
    """Return what is known of a stream; None if there is none."""
    if commands.is_error(answer, "ERR no such key"):
        return None
    return commands.parse_stream(commands.succeeded(answer, "a stream cannot be looked at"))
