"""Look after streams and groups from any Python process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nautilus_enhanced.infrastructure.messagebus.streams.keys import dead_letter_key
from nautilus_enhanced.infrastructure.messagebus.streams.keys import members_key
from nautilus_enhanced.infrastructure.messagebus.streams.keys import retry_key
from nautilus_enhanced.infrastructure.messagebus.streams.manager.administration import ALIVE_MS
from nautilus_enhanced.infrastructure.messagebus.streams.manager.administration import (
    DeletedConsumer,
)
from nautilus_enhanced.infrastructure.messagebus.streams.manager.administration import (
    GroupAdministrator,
)
from nautilus_enhanced.infrastructure.messagebus.streams.manager.batches import BatchReader
from nautilus_enhanced.infrastructure.messagebus.streams.manager.batches import ClaimedMessages
from nautilus_enhanced.infrastructure.messagebus.streams.manager.finding import MAX_SCANNED
from nautilus_enhanced.infrastructure.messagebus.streams.manager.finding import FoundStreams
from nautilus_enhanced.infrastructure.messagebus.streams.manager.finding import StreamFinder
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import MAX_COUNTED
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import GroupStatus
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import Inspector
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import StreamStatus
from nautilus_enhanced.infrastructure.messagebus.streams.manager.inspecting import require_group
from nautilus_enhanced.infrastructure.messagebus.streams.manager.letterbox import Letterbox
from nautilus_enhanced.infrastructure.messagebus.streams.manager.letterbox import LetterboxStatus
from nautilus_enhanced.infrastructure.messagebus.streams.manager.letterbox import RequeuedLetters
from nautilus_enhanced.infrastructure.messagebus.streams.manager.selection import (
    DEFAULT_STREAMS_PREFIX,
)
from nautilus_enhanced.infrastructure.messagebus.streams.manager.selection import StreamSelector
from nautilus_enhanced.infrastructure.messagebus.streams.manager.session import Session
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_execution import TrimExecutor
from nautilus_enhanced.infrastructure.messagebus.streams.manager.trimming_settings import (
    TrimmingSettings,
)


if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping
    from collections.abc import Sequence

    import redis

    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import EntryId
    from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
    from nautilus_enhanced.infrastructure.messagebus.streams.commands import PendingEntry
    from nautilus_enhanced.infrastructure.messagebus.streams.entries import StreamMessage
    from nautilus_enhanced.infrastructure.messagebus.streams.letters import DeadLetter
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimOutcome
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.trim_plan import TrimPlan
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import ConsumerFacts
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import PendingSummary


class RedisStreamManager:
    """
    Look after streams and groups: find, inspect, read, acknowledge, take over, clean up.

    Synchronous; may be used by any number of threads, which take turns on one connection. It is
    made with the first call, and again when it broke: a call that may be done twice is then
    repeated once, and one that may not (reading from a group, taking over, giving back dead
    letters) raises a `ServerUnreachableError` that says so. A server of stock nodes will do.

    Parameters
    ----------
    url : str
        The server's URL.
    connection : ConnectionSettings, optional
        How to reach it; its `url` is not used.
    credential_provider : redis.CredentialProvider, optional
        Asked for user and password at every connect.
    max_scanned : int, default 100,000
        Keys that one search for streams looks at, about; the next goes on from there.

    Raises
    ------
    ConfigurationError
        If the URL is not one, or does not go with the settings.

    Notes
    -----
    All methods raise `ServerUnreachableError` if there is no answer in time, `LoginRefusedError`
    if the server refuses the login, `ServerError` with a sentence if it refuses a command,
    `ConfigurationError` for a value that is not allowed, and `ClientClosedError` once closed.
    """

    def __init__(
        self,
        url: str,
        *,
        connection: ConnectionSettings | None = None,
        credential_provider: redis.CredentialProvider | None = None,
        max_scanned: int = MAX_SCANNED,
    ) -> None:
        self._session = Session(url, connection, credential_provider)
        self._finder = StreamFinder(self._session, max_scanned)
        self._inspector = Inspector(self._session)
        self._groups = GroupAdministrator(self._session, self._inspector)
        self._batches = BatchReader(self._session)
        self._trimming = TrimExecutor(self._session, self._inspector)
        self._letters = Letterbox(self._session, self._finder, self._inspector)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session.name})"

    def __enter__(self) -> RedisStreamManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection for good; another thread's call ends with an error."""
        self._session.close()

    # -- streams ---------------------------------------------------------------------------------

    def find_streams(
        self,
        pattern: str = "*",
        *,
        trader_id: str | None = None,
        streams_prefix: str | None = DEFAULT_STREAMS_PREFIX,
        scan: bool = True,
    ) -> FoundStreams:
        """
        Return the streams whose topic, or whose key, matches a pattern.

        Those that our publishers told of are known at once, and taken off the list when they are
        gone; those of stock publishers are found among the keys of the server.

        Parameters
        ----------
        pattern : str, default '*'
            The pattern, with ``*`` and ``?``, such as ``'data.*.BINANCE.*'``.
        trader_id : str, optional
            Only the streams of this trader.
        streams_prefix : str, optional
            How the keys of streams end that carry all topics of a node: they may have messages
            that are meant, so they are returned for every pattern. ``stream`` by default, as
            nodes call them. None returns them only where their key matches.
        scan : bool, default True
            If keys are looked through.
        """
        selector = StreamSelector(pattern, trader_id=trader_id, streams_prefix=streams_prefix)
        return self._finder.find(selector, scan=scan)

    def count_entries(self, stream: str, *, before: EntryId) -> tuple[int, bool]:
        """
        Return how many entries stand before an ID, and whether there are no more than those.

        The server does not know: they are read to be counted, and no more than 10,000.
        """
        count = self._inspector.count_after(stream.encode(), (0, 0), before)
        return count, count < MAX_COUNTED

    def server_time_ms(self, stream: str = "") -> int:
        """Return milliseconds since the UNIX epoch by the clock of the server of a stream."""
        return self._inspector.now_ms(stream.encode())

    def stream_status(self, *streams: str) -> list[StreamStatus]:
        """Return length, IDs, idle time and memory of streams; those that are gone are left out."""
        return self._inspector.streams(streams)

    # -- groups ----------------------------------------------------------------------------------

    def group_status(self, *streams: str) -> list[GroupStatus]:
        """Return lag, pending entries and idle time of each group of streams."""
        return self._inspector.groups(streams)

    def consumers(self, stream: str, group: str) -> list[ConsumerFacts]:
        """Return the consumers of a group of a stream, dead ones included."""
        return self._groups.consumers(stream, group)

    def group_memory_bytes(self, group: str) -> dict[str, int]:
        """
        Return the bytes that the keys of a group take, by key.

        Those are its dead letters, what is to be tried again, and its members. What it has
        pending is part of the streams that it reads, and of their memory.
        """
        keys = (dead_letter_key(group), retry_key(group), members_key(group))
        sizes = {key.decode(): self._inspector.memory_bytes(key) for key in keys}
        return {key: size for key, size in sizes.items() if size is not None}

    def create_group(self, stream: str, group: str, start: str = "now") -> bool:
        """
        Make a group, and the stream if there is none yet.

        Parameters
        ----------
        stream, group : str
            The stream's key and the group's name.
        start : str, default 'now'
            ``'now'``, ``'beginning'``, or the ID of an entry, behind which it begins.

        Returns
        -------
        bool
            Whether it was made; False if there is one of that name, which stays as it is.
        """
        return self._groups.create(stream, group, start)

    def recreate_group(
        self,
        stream: str,
        group: str,
        start: str = "now",
        *,
        force: bool = False,
        alive_ms: int = ALIVE_MS,
    ) -> int:
        """
        Make a group anew, whether or not there is one, and return what it forgets.

        Raises
        ------
        GroupInUseError
            As `delete_group` does.
        """
        return self._groups.recreate(stream, group, start, force=force, alive_ms=alive_ms)

    def delete_group(
        self, stream: str, group: str, *, force: bool = False, alive_ms: int = ALIVE_MS
    ) -> int:
        """
        Delete a group of a stream, and return how many pending entries it forgets.

        Parameters
        ----------
        stream, group : str
            The stream's key and the group's name.
        force : bool, default False
            If it is deleted in any case.
        alive_ms : int, default 60,000
            A consumer that asked for something within so many milliseconds is alive. Before
            Redis 7.2 the server notices only one that got something.

        Raises
        ------
        GroupInUseError
            If a consumer is alive, or entries are pending, and it is not forced.
        """
        return self._groups.delete(stream, group, force=force, alive_ms=alive_ms)

    def delete_consumer(
        self,
        stream: str,
        group: str,
        consumer: str,
        *,
        heir: str | None = None,
        alive_ms: int = ALIVE_MS,
    ) -> DeletedConsumer:
        """
        Delete a consumer of a group, and give to another one what it has in hand.

        Parameters
        ----------
        stream, group, consumer : str
            The stream's key, the group's and the consumer's name.
        heir : str, optional
            Who gets what it has read and not acknowledged.
        alive_ms : int, default 60,000
            A consumer that asked for something within so many milliseconds is alive.

        Raises
        ------
        GroupInUseError
            If it is alive, or has entries in hand and there is no heir.
        """
        return self._groups.delete_consumer(stream, group, consumer, heir, alive_ms=alive_ms)

    # -- messages --------------------------------------------------------------------------------

    def read(
        self,
        group: str,
        consumer: str,
        streams: Sequence[str],
        *,
        count: int = 100,
        wait_ms: int = 0,
    ) -> list[StreamMessage]:
        """
        Read what nobody of a group has read: to be handled, and acknowledged after that.

        Parameters
        ----------
        group, consumer : str
            Who reads.
        streams : sequence of str
            The keys of the streams, each of which has the group.
        count : int, default 100
            Messages of each stream at most (1 to 10,000).
        wait_ms : int, default 0
            Milliseconds to wait for the first message (0 to 60,000), looking again each 20 ms.
            Other threads are served meanwhile.
        """
        return self._batches.read(group, consumer, streams, count, wait_ms)

    def read_after(
        self, positions: Mapping[str, EntryId], *, count: int = 100
    ) -> list[StreamMessage]:
        """
        Read without a group: nobody notices, and nothing is to be acknowledged.

        Parameters
        ----------
        positions : Mapping[str, tuple[int, int]]
            The keys of streams, with the ID behind which to read in each.
        count : int, default 100
            Messages of each stream at most (1 to 10,000).
        """
        return self._batches.read_after(positions, count)

    def acknowledge(self, group: str, messages: Iterable[StreamMessage]) -> int:
        """Say that messages were handled; return how many of them were pending until now."""
        return self._batches.acknowledge(group, messages)

    def pending_summary(self, stream: str, group: str) -> PendingSummary:
        """Return how many entries a group of a stream has pending, and who has them."""
        states = self._inspector.states([stream.encode()])
        return require_group(states, stream, group).pending[group]

    def pending(
        self, stream: str, group: str, *, after: EntryId = (0, 0), count: int = 100
    ) -> list[PendingEntry]:
        """Return entries that a group has pending, from an ID on, 10,000 at most."""
        return self._batches.pending(group, stream, after, count)

    def claim_idle(
        self, stream: str, group: str, consumer: str, *, min_idle_ms: int, count: int = 100
    ) -> ClaimedMessages:
        """
        Take over what a consumer of the group read and left.

        Parameters
        ----------
        stream, group, consumer : str
            The stream's key, the group's name, and who takes over.
        min_idle_ms : int
            Milliseconds since it was read: longer than any handler takes.
        count : int, default 100
            Entries at most (1 to 10,000).
        """
        return self._batches.claim_idle(group, consumer, stream, min_idle_ms, count)

    # -- trimming --------------------------------------------------------------------------------

    def plan_trim(
        self, streams: Sequence[str], settings: TrimmingSettings | None = None
    ) -> list[TrimPlan]:
        """
        Return what of streams may go, and what holds the rest back, without removing anything.

        A group without a consumer counts as just made. `StreamTrimmer`, which looks again and
        again, remembers since when.

        Parameters
        ----------
        streams : sequence of str
            The keys of the streams; those that do not exist are left out.
        settings : TrimmingSettings, optional
            How long entries stay.
        """
        keys = [stream.encode() for stream in streams]
        return self._trimming.plan(keys, settings or TrimmingSettings())

    def trim(self, plans: Sequence[TrimPlan]) -> list[TrimOutcome]:
        """
        Carry out plans of `plan_trim`, and return what became of each.

        Not repeated when the connection breaks: what was removed until then is not told.
        """
        return self._trimming.run(plans)

    # -- dead letters ----------------------------------------------------------------------------

    def dead_letter_groups(self) -> list[LetterboxStatus]:
        """Return the groups that have dead letters, and how many."""
        return self._letters.groups()

    def dead_letters(
        self, group: str, *, after: EntryId | None = None, count: int = 100
    ) -> list[DeadLetter]:
        """Return the dead letters of a group, the oldest first, 10,000 at most."""
        return self._letters.letters(group, after, count)

    def dead_letter(self, group: str, letter_id: EntryId) -> DeadLetter:
        """
        Return one dead letter.

        Raises
        ------
        ConfigurationError
            If the group has none of that ID.
        """
        return self._letters.letter(group, letter_id)

    def requeue_dead_letters(self, group: str, letter_ids: Sequence[EntryId]) -> RequeuedLetters:
        """
        Give dead letters back to their group, which tries them again.

        Each is added to the group's retry stream before it is deleted, so that none is lost; if
        the connection breaks between the two, some are in both, and the error says so.

        Raises
        ------
        ServerError
            If so many wait to be tried again that others would be pushed out.
        """
        return self._letters.requeue(group, letter_ids)

    def purge_dead_letters(self, group: str, letter_ids: Sequence[EntryId] | None = None) -> int:
        """Throw dead letters away for good, all by default, and return how many."""
        return self._letters.purge(group, letter_ids)
