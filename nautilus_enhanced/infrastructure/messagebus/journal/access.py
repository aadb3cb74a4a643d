"""What the writer has of the journal: one object, also where there is none."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING
from typing import Concatenate
from typing import ParamSpec
from typing import TypeVar

from nautilus_enhanced.infrastructure.messagebus.journal.keeper import JournalKeeper
from nautilus_enhanced.infrastructure.messagebus.journal.recovery import Recovered
from nautilus_enhanced.infrastructure.messagebus.publishing.sources import LaneSource


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from nautilus_enhanced.infrastructure.messagebus.connection.connection import Identity
    from nautilus_enhanced.infrastructure.messagebus.journal.journal import Journal
    from nautilus_enhanced.infrastructure.messagebus.monitoring.statistics import JournalStatistics
    from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import PriorityBuffers
    from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
    from nautilus_enhanced.infrastructure.messagebus.publishing.sources import Source
    from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
    from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings


P = ParamSpec("P")
T = TypeVar("T")

# Between two attempts to get a journal that another process still has.
_TRY_AGAIN_S = 0.05


class NoJournal:
    """Keep nothing: what is not sent is lost with the process."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def attach(self, buffers: PriorityBuffers) -> Sequence[Source]:
        """Return where the writer takes messages from."""
        return [LaneSource(lane) for lane in buffers.lanes]

    def wrap(self, on_put: Callable[[Lane], None]) -> Callable[[Lane], None]:
        """Return what is called after each put, given what else is."""
        return on_put

    def open(self, wait: Callable[[float], bool]) -> None:
        """
        Open the journal, on the writer's thread.

        Parameters
        ----------
        wait : Callable[[float], bool]
            Waits for so many seconds; returns whether not to go on.
        """

    def recovered(self, routes: RouteTable) -> Recovered:
        """Return what an earlier process had begun to send."""
        return Recovered()

    def note(self, batches: Sequence[Batch], identity: Identity | None) -> None:
        """Write what must be written before `batches` are sent."""

    def settled(self, batch: Batch) -> None:
        """Note that the fate of all messages of a batch is known."""

    def connected(self) -> None:
        """Note that the server answers."""

    def disconnected(self, batches: Sequence[Batch]) -> None:
        """Note that it does not, with what the writer holds."""

    def begin_wait(self) -> None:
        """Note that the writer is about to wait for the server."""

    def end_wait(self) -> None:
        """Note that it is back."""

    def finish(self, batches: Sequence[Batch]) -> None:
        """Write what is left, for the next process, with what the writer holds."""

    def keeps(self, lane: Lane, number: int) -> bool:
        """Return whether a message will be sent by the next process."""
        return False

    def close(self) -> None:
        """Let go of the journal."""

    def save(self, timeout_s: float) -> bool:
        """Write at once what is to outlive the process; return whether it is written."""
        return False

    def is_synced(self, lane: Lane) -> bool:
        """Return whether every message of a lane is on this machine's disk before it is sent."""
        return False

    @property
    def unwritten(self) -> int:
        """Return the messages that should have been written and could not be."""
        return 0

    def has_written(self, lane: Lane, published: int) -> bool:
        """Return whether the first `published` messages of a lane are written, or were tried."""
        return True

    def call_when_written(self, on_written: Callable[[], None]) -> None:
        """Have `on_written` called when messages were written or could not be; must not wait."""

    def statistics(self) -> JournalStatistics | None:
        """Return the journal's figures, or None without one."""
        return None


def _never_in_the_way(
    method: Callable[Concatenate[WriterJournal, P], T],
) -> Callable[Concatenate[WriterJournal, P], T]:
    """Have a mistake of ours end the journal, not publishing: what stands for none answers then."""

    @wraps(method)
    def call(self: WriterJournal, /, *arguments: P.args, **named: P.kwargs) -> T:
        try:
            return method(self, *arguments, **named)
        except Exception as error:  # noqa: BLE001 (`fail` logs it)
            self.fail(error)
            answer: T = getattr(NoJournal, method.__name__)(self, *arguments, **named)
            return answer

    return call


class WriterJournal(NoJournal):
    """
    Give the writer a journal, and the thread that tends it.

    Parameters
    ----------
    journal : Journal
        The journal.
    settings : BufferSettings
        The settings of the lanes.
    """

    def __init__(self, journal: Journal, settings: BufferSettings) -> None:
        self._journal = journal
        self._settings = settings
        self._keeper = JournalKeeper(journal)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._journal!r})"

    def attach(self, buffers: PriorityBuffers) -> Sequence[Source]:
        """Return where the writer takes messages from: the journal before the lanes."""
        return self._journal.attach(buffers, self._settings)

    def wrap(self, on_put: Callable[[Lane], None]) -> Callable[[Lane], None]:
        """Return what is called after each put: also what wakes the keeper, where that counts."""
        tell_keeper, is_always = self._keeper.on_put, self._journal.is_always

        def both(lane: Lane) -> None:
            on_put(lane)
            if lane.priority in is_always:
                tell_keeper(lane)

        return both if is_always else on_put

    def fail(self, error: Exception) -> None:
        """Go on without the journal, because of a mistake of ours."""
        self._journal.fail(error)

    @_never_in_the_way
    def open(self, wait: Callable[[float], bool]) -> None:
        """Open the journal and tend it; an earlier process may have it for a while."""
        while not self._journal.try_open():
            if wait(_TRY_AGAIN_S):
                return
        self._keeper.start()

    @_never_in_the_way
    def recovered(self, routes: RouteTable) -> Recovered:
        """Return what an earlier process had begun to send."""
        return self._journal.recovered(routes)

    @_never_in_the_way
    def note(self, batches: Sequence[Batch], identity: Identity | None) -> None:
        """Write what must be written before `batches` are sent."""
        self._journal.note(batches, identity)

    @_never_in_the_way
    def settled(self, batch: Batch) -> None:
        """Note that the fate of all messages of a batch is known."""
        self._journal.settled(batch)

    def connected(self) -> None:
        """Note that the server answers."""
        self._journal.is_connected = True
        self._keeper.rest()

    @_never_in_the_way
    def disconnected(self, batches: Sequence[Batch]) -> None:
        """Note that it does not, and write what the writer holds."""
        self._journal.is_connected = False
        self._journal.keep(batches)
        self._keeper.watch()

    def begin_wait(self) -> None:
        """Have the keeper write what comes until `end_wait`."""
        self._journal.is_busy = True
        self._keeper.watch()

    def end_wait(self) -> None:
        """Write oneself again."""
        self._journal.is_busy = False
        if self._journal.is_connected:
            self._keeper.rest()

    @_never_in_the_way
    def finish(self, batches: Sequence[Batch]) -> None:
        """Write what is left, for the next process, with what the writer holds."""
        self._keeper.stop()
        self._journal.finish(batches)

    @_never_in_the_way
    def keeps(self, lane: Lane, number: int) -> bool:
        """Return whether a message will be sent by the next process."""
        return self._journal.keeps(lane, number)

    @_never_in_the_way
    def close(self) -> None:
        """Let another process have the journal."""
        self._journal.close()

    @_never_in_the_way
    def save(self, timeout_s: float) -> bool:
        """Write at once what is to outlive the process; return whether it is written."""
        return self._keeper.save(timeout_s)

    def is_synced(self, lane: Lane) -> bool:
        """Return whether every message of a lane is on this machine's disk before it is sent."""
        return self._journal.is_synced(lane)

    @property
    def unwritten(self) -> int:
        """Return the messages that should have been written and could not be."""
        return self._journal.unwritten

    def has_written(self, lane: Lane, published: int) -> bool:
        """Return whether the first `published` messages of a lane are written, or were tried."""
        return self._journal.has_written(lane, published)

    def call_when_written(self, on_written: Callable[[], None]) -> None:
        """Have `on_written` called when messages were written or could not be; must not wait."""
        self._journal.on_written = on_written

    def statistics(self) -> JournalStatistics | None:
        """Return the journal's figures."""
        return self._journal.statistics()
