"""
The thread that keeps a subscription's place in its group, and knows which streams there are.

It stays a member, takes and gives back partitions as `membership` plans, finds streams, and gives
each that this consumer is to read to a reader.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.connection.connection import ServerConnection
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.streams import registry
from nautilus_enhanced.infrastructure.messagebus.streams.commands import succeeded
from nautilus_enhanced.infrastructure.messagebus.streams.consumer import membership
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import Exchange
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
from nautilus_enhanced.infrastructure.messagebus.streams.keys import members_key
from nautilus_enhanced.infrastructure.messagebus.streams.worker import ConnectedThread


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import Selection
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.lease import Lease
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import Membership
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.reader import StreamReader
    from nautilus_enhanced.infrastructure.messagebus.streams.consumer.runners import Runner
    from nautilus_enhanced.infrastructure.messagebus.streams.settings import SubscriptionSettings
    from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


# Steps of a thousand keys in one look for streams that nobody told of.
MAX_SCAN_STEPS: Final = 50
MAX_STREAMS: Final = 100_000
# Beats in the time of a lease.
_BEATS: Final = 4
_MAX_WAIT_MS: Final = 250
# How soon to look again while something is to be given back or begun.
_SOON_MS: Final = 10
_NS_OF_MS: Final = 1_000_000


class GroupKeeper(ConnectedThread):
    """
    Keep the lease, find streams, and assign them to readers.

    Parameters
    ----------
    connect : Callable[[], BusConnection]
        Makes a connection, not yet opened.
    backoff : Backoff
        The pauses.
    figures : SubscriptionFigures
        The figures.
    settings : SubscriptionSettings
        The settings.
    selection : Selection
        Which streams are read.
    more_keys : tuple[bytes, ...]
        Streams that are read whatever the selection says.
    group, consumer : str or None
        The group and the consumer's name in it; None to read without one.
    lease : Lease
        The lease.
    runner : Runner
        Is woken when the lease was renewed.
    make_reader : Callable[[], StreamReader]
        Makes a reader, not yet started.
    clock : Clock
        The clock.
    """

    def __init__(
        self,
        connect: Callable[[], BusConnection],
        backoff: Backoff,
        figures: SubscriptionFigures,
        *,
        settings: SubscriptionSettings,
        selection: Selection,
        more_keys: tuple[bytes, ...],
        group: str | None,
        consumer: str | None,
        lease: Lease,
        runner: Runner,
        make_reader: Callable[[], StreamReader],
        clock: Clock,
    ) -> None:
        super().__init__("nt-enhanced-keeper", connect, backoff, figures)
        self._settings = settings
        self._key_patterns = selection.key_patterns()
        self._chooser = selection.chooser()
        self._more_keys = (*selection.exact_keys(), *more_keys)
        self._members_key = None if group is None else members_key(group)
        self._consumer = consumer or ""
        self._lease = lease
        self._runner = runner
        self._make_reader = make_reader
        self._clock = clock
        self._ordered = group is not None and settings.order == "topic"
        self.readers: list[StreamReader] = []
        # The streams that are selected, with their topics; which of them came after the first look.
        self._known: dict[bytes, str] = {}
        self._appeared: set[bytes] = set()
        self._begun: set[bytes] = set()
        self._streams: dict[bytes, ReadStream] = {}
        self._leaving: dict[int, list[ReadStream]] = {}
        self._held: frozenset[int] = frozenset()
        self._seen: Membership | None = None
        self._beat_at_ns = 0
        self._news_after = b""
        self._scan_at_ns = 0
        # How many looks through a server's keys are over, and how far the present one is.
        self._looks = 0
        self._cursor = b"0"
        self._has_looked = False
        # Whether streams or partitions have changed since streams were assigned.
        self._is_dirty = False

    # -- what others ask -------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Return whether all streams that were found, and are this consumer's, are read."""
        return self._has_looked and not self._leaving and all(r.is_ready for r in self.readers)

    @property
    def streams(self) -> int:
        """Return how many streams this consumer is to read."""
        return len(self._streams)

    @property
    def is_crowded(self) -> bool:
        """Return whether readers have more streams than they should."""
        return any(r.load > self._settings.streams_per_reader for r in self.readers)

    # -- the thread ------------------------------------------------------------------------------

    def connected(self, connection: BusConnection) -> None:
        """Take up the news where they are now, and look through everything."""
        key, _ = registry.news(b"", None)
        (answer,) = connection.ask([(key, command(b"XREVRANGE", key, b"+", b"-", b"COUNT", b"1"))])
        self._news_after = answer[0][0] if isinstance(answer, list) and answer else b"0-0"
        self._find_registered(connection)
        # On another server the same cursor is another place.
        self._cursor = b"0"
        self._scan_at_ns = 0

    def step(self, connection: BusConnection) -> None:
        """Beat if it is time, look for streams, and wait for news of some."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._beat_at_ns or self._may_return():
            self._beat(connection)
        if now_ns >= self._scan_at_ns:
            self._scan(connection)
            self._scan_at_ns = (
                self._clock.monotonic_ns() + self._settings.scan_interval_ms * _NS_OF_MS
            )
        self._assign()
        for reader in self.readers:
            self._interrupt(connection, reader)
        self._has_looked = True
        self._wait_for_news(connection)
        self.succeeded()

    def ended(self, connection: BusConnection) -> None:
        """Leave the group, so that others need not wait for the lease to end."""
        if self._members_key is not None:
            query = membership.beat(self._members_key, self._consumer, 0, Exchange())
            connection.ask([(self._members_key, query)])

    # -- the group -------------------------------------------------------------------------------

    def _beat(self, connection: BusConnection) -> None:
        asked_ns = self._clock.monotonic_ns()
        self._beat_at_ns = asked_ns + self._settings.lease_ms * _NS_OF_MS // _BEATS
        if self._members_key is None:
            (answer,) = connection.ask([(registry.REGISTRY, command(b"TIME"))])
            if not isinstance(answer, Exception):
                seconds, microseconds = map(int, answer)
                self._lease.set_time(asked_ns, seconds * 1_000 + microseconds // 1_000)
            self._lease.hold_forever()
            self._runner.wake()
            return
        seen = self._exchange(connection, Exchange(tuple(self._returnable())))
        if not self._ordered:
            return
        plan = membership.plan(seen, self._consumer)
        for number in plan.returned:
            if number not in self._leaving:
                self._leave(number)
        if plan.wanted:
            self._exchange(connection, Exchange(wanted=plan.wanted))

    def _exchange(self, connection: BusConnection, exchange: Exchange) -> Membership:
        """Renew the lease, give back and take partitions."""
        key = self._members_key
        assert key is not None  # noqa: S101 (the caller looked)
        asked_ns = self._clock.monotonic_ns()
        query = membership.beat(key, self._consumer, self._settings.lease_ms, exchange)
        (answer,) = connection.ask([(key, query)])
        seen = membership.parse_beat(
            succeeded(answer, "the group needs EVAL, HSET and PEXPIRE on its key")
        )
        if self._seen is None:
            self._lease.is_first = self._settings.sole_consumer or seen.members == {self._consumer}
        elif not seen.was_member and seen.made == self._seen.made:
            self._lose()
        self._seen = seen
        for number in exchange.returned:
            self._leaving.pop(number, None)
        held = seen.held_by(self._consumer)
        self._is_dirty |= held != self._held
        self._held = held
        self._lease.grant(asked_ns, self._settings.lease_ms, seen.now_ms, len(seen.members))
        self._runner.wake()
        return seen

    def _lose(self) -> None:
        """Let go of everything: this consumer counted as dead for a while."""
        self.figures.counts["lost_leases"] += 1
        self._lease.is_first = False
        for stream in (*self._streams.values(), *(s for of in self._leaving.values() for s in of)):
            stream.is_lost = True
        self._streams = {}
        self._leaving = {}
        self._is_dirty = True

    def _leave(self, number: int) -> None:
        """Read a partition no more; it is given back when nothing of it is in hand."""
        mine = [s for key, s in self._streams.items() if membership.partition_of(key) == number]
        for stream in mine:
            del self._streams[stream.key]
            stream.is_left = True
        self._leaving[number] = mine
        self._is_dirty = True
        self._runner.wake()

    def _returnable(self) -> list[int]:
        # A reader that has not looked yet may still be reading it.
        being_read = {key for reader in self.readers for key in reader.being_read}
        return [
            number
            for number, streams in self._leaving.items()
            if not any(stream.in_hand or stream.key in being_read for stream in streams)
        ]

    def _may_return(self) -> bool:
        return bool(self._leaving) and bool(self._returnable())

    # -- streams ---------------------------------------------------------------------------------

    def _find_registered(self, connection: BusConnection) -> None:
        (answer,) = connection.ask([registry.registered()])
        if isinstance(answer, list):
            self._learn(answer)
        self._learn_key(self._more_keys)

    def _learn(self, keys: Iterable[bytes]) -> None:
        """Remember those of `keys` that are selected."""
        for key in keys:
            if key in self._known or len(self._known) >= MAX_STREAMS:
                continue
            topic = self._chooser.place_of(key)
            if topic is not None:
                self._remember(key, topic)

    def _learn_key(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            if key not in self._known:
                self._remember(key, "")

    def _remember(self, key: bytes, topic: str) -> None:
        self._known[key] = topic
        self._is_dirty = True
        if self._has_looked:
            self._appeared.add(key)

    def _scan(self, connection: BusConnection) -> None:
        """Look through the server's keys, a bounded number of steps at a time."""
        looks = [(s, pattern) for s in connection.each_master() for pattern in self._key_patterns]
        steps, whole = MAX_SCAN_STEPS, 0
        while steps and whole < len(looks):
            steps -= 1
            # Where the last look ended, so that each has its turn however many keys there are.
            server, pattern = looks[self._looks % len(looks)]
            (answer,) = server.exchange(registry.scan(self._cursor, pattern), 1)
            if isinstance(answer, Exception):
                # Those that writers tell of are read all the same.
                self.figures.last_error = f"streams cannot be looked for: {answer}"
                answer = (b"0", ())
            self._cursor, keys = answer
            self._learn(keys)
            if self._cursor == b"0":
                whole += 1
                self._looks += 1

    def _assign(self) -> None:
        """Give each stream that is new to a reader, and take away those that are left."""
        if not self._is_dirty:
            return
        self._is_dirty = False
        # A server that has lost what it knew has given them to others, perhaps. What is in hand of
        # them nobody else has: it is still handled.
        for key in [key for key in self._streams if not self._is_mine(key)]:
            del self._streams[key]
        for key, topic in self._known.items():
            if key not in self._streams and self._is_mine(key):
                appeared = key in self._appeared
                # What the subscription says of the beginning is for the first time: what comes
                # back from another consumer goes on where that one was.
                begins = self._lease.is_first and key not in self._begun
                self._begun.add(key)
                self._streams[key] = ReadStream(key, topic, appeared=appeared, begins=begins)
                # Once more, after it was another's, it is a stream that is known.
                self._appeared.discard(key)
        self._distribute()

    def _is_mine(self, key: bytes) -> bool:
        if not self._ordered:
            return True
        number = membership.partition_of(key)
        return number in self._held and number not in self._leaving

    def _distribute(self) -> None:
        """Leave streams with the reader that has them, and give the others to the least loaded."""
        cap = self._settings.streams_per_reader
        loads: dict[int, dict[bytes, ReadStream]] = defaultdict(dict)
        homeless = dict(self._streams)
        for index, reader in enumerate(self.readers):
            for key, stream in reader.assigned.items():
                if homeless.get(key) is stream:
                    loads[index][key] = homeless.pop(key)
        for key, stream in homeless.items():
            indexes = range(len(self.readers))
            index = min(indexes, key=lambda i: len(loads[i]), default=0)
            if (not self.readers or len(loads[index]) >= cap) and len(
                self.readers
            ) < self._settings.max_readers:
                index = len(self.readers)
                self.readers.append(self._make_reader())
            loads[index][key] = stream
        for index, reader in enumerate(self.readers):
            if loads[index] != reader.assigned:
                reader.assign(loads[index])
            reader.start_once()

    def _interrupt(self, connection: BusConnection, reader: StreamReader) -> None:
        """Have the server answer a reader that waits, so that it sees what it is to read."""
        if (
            isinstance(connection, ServerConnection)
            and reader.must_be_interrupted
            and reader.client_id
        ):
            # Where that is forbidden, it sees it when its call has waited long enough.
            with suppress(ServerError):
                connection.exchange(command(b"CLIENT", b"UNBLOCK", b"%d" % reader.client_id), 1)

    def _wait_for_news(self, connection: BusConnection) -> None:
        """Wait until a writer tells of a stream, or something else is to be done."""
        due_ns = min(self._beat_at_ns, self._scan_at_ns) - self._clock.monotonic_ns()
        wait_ms = max(1, min(_MAX_WAIT_MS, due_ns // _NS_OF_MS))
        is_soon = bool(self._leaving) or not all(reader.is_ready for reader in self.readers)
        if is_soon:
            wait_ms = min(wait_ms, _SOON_MS)
        if isinstance(connection, ServerConnection) and not is_soon:
            _, query = registry.news(self._news_after, wait_ms)
            (answer,) = connection.exchange(query, 1)
        else:
            # An idle server waits for 100 ms where it is asked for less (`hz`).
            self.stopping.wait(wait_ms / 1_000)
            (answer,) = connection.ask([registry.news(self._news_after, None)])
        if isinstance(answer, Exception):
            # Forbidden, perhaps: scanning finds them too.
            self.stopping.wait(wait_ms / 1_000)
            return
        keys, self._news_after = registry.parse_news(answer, self._news_after)
        self._learn(keys)
