"""Outages as they are planned: the demo's server is killed and started again while it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from typing import Final
from typing import Literal
from typing import NamedTuple
from typing import Protocol

import msgspec

from nautilus_enhanced.cli.demo.outages import MIN_UP_S
from nautilus_enhanced.cli.demo.outages import Outage
from nautilus_enhanced.cli.demo.outages import PlannedOutage


if TYPE_CHECKING:
    from collections.abc import Callable


IDLE_S: Final = 3_600.0
# A kill that would be later than this, on a machine that is busy, is left out: the server is to
# be up when the strategy stops.
MAX_LAG_S: Final = 1.0


class ChaosEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was just done to the server.

    Attributes
    ----------
    kind : {'killed', 'answers'}
        Whether it was killed, or answers again.
    elapsed_s : float
        Seconds since trading began.
    number, of : int
        Which outage of how many.
    pid : int
        The process that was killed or started.
    down_s : float
        For how long it is to be away, or was.
    """

    kind: Literal["killed", "answers"]
    elapsed_s: float
    number: int
    of: int
    pid: int
    down_s: float


class KillableServer(Protocol):
    """What is needed of the embedded server."""

    pid: int

    def kill(self) -> None:
        """End it as a crash does."""

    def restart(self) -> int:
        """Start it again; return when it answered, by the system's monotonic clock."""
        ...


class _Kill(NamedTuple):
    """The kill that is not followed by a restart yet."""

    at_s: float
    at_ns: int
    pid: int
    entries: int


class Chaos:
    """
    Kill and restart the server by a plan; call `act` when the time of `due_in_s` has passed.

    There is no thread: whoever follows the children calls, so that an interruption finds
    nothing half done.

    Parameters
    ----------
    server : KillableServer
        The server.
    planned : list[PlannedOutage]
        The plan.
    count_entries : Callable[[], int]
        Counts the entries in the run's streams.
    on_event : Callable[[ChaosEvent], None]
        Called after each kill and restart.
    now_ns : Callable[[], int]
        The system's monotonic clock.
    """

    def __init__(
        self,
        server: KillableServer,
        planned: list[PlannedOutage],
        count_entries: Callable[[], int],
        on_event: Callable[[ChaosEvent], None],
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._server = server
        self._planned = planned
        self._count_entries = count_entries
        self._on_event = on_event
        self._now_ns = now_ns
        self._began_at_ns: int | None = None
        self._kill: _Kill | None = None
        self.outages: list[Outage] = []

    def begin(self, elapsed_s: float) -> None:
        """Say that trading began `elapsed_s` seconds ago; only the first time counts."""
        if self._began_at_ns is None:
            self._began_at_ns = self._now_ns() - int(elapsed_s * 1e9)

    def due_in_s(self) -> float:
        """Return the seconds until there is something to do; a long time if there is nothing."""
        if self._began_at_ns is None or len(self.outages) == len(self._planned):
            return IDLE_S
        planned = self._planned[len(self.outages)]
        if self._kill is None:
            return max(0.0, planned.at_s - self._elapsed_s(), MIN_UP_S - self._up_s())
        # From the kill as it was: an outage is as long as it was planned, if it began late too.
        return max(0.0, planned.down_s - (self._now_ns() - self._kill.at_ns) / 1e9)

    def act(self) -> None:
        """Do what is due, if anything is."""
        if self.due_in_s() > 0.0:
            return
        if self._kill is not None:
            self._restart_server()
        elif self._elapsed_s() - self._planned[len(self.outages)].at_s > MAX_LAG_S:
            self._planned = self._planned[: len(self.outages)]
        else:
            self._kill_server()

    def end(self) -> None:
        """Do nothing more, and have the server up for what comes after."""
        if self._kill is not None:
            self._restart_server()
        self._planned = self._planned[: len(self.outages)]

    def _kill_server(self) -> None:
        entries = self._count_entries()
        self._kill = _Kill(self._elapsed_s(), self._now_ns(), self._server.pid, entries)
        self._server.kill()
        planned = self._planned[len(self.outages)]
        self._tell("killed", self._kill.pid, planned.down_s, len(self.outages) + 1)

    def _restart_server(self) -> None:
        assert self._kill is not None  # noqa: S101 (the caller looked)
        answered_at_ns = self._server.restart()
        outage = Outage(
            at_s=self._kill.at_s,
            killed_at_ns=self._kill.at_ns,
            answered_at_ns=answered_at_ns,
            killed_pid=self._kill.pid,
            started_pid=self._server.pid,
            entries_before=self._kill.entries,
            entries_after=self._count_entries(),
        )
        self._kill = None
        self.outages.append(outage)
        self._tell("answers", outage.started_pid, outage.down_s, len(self.outages))

    def _tell(
        self, kind: Literal["killed", "answers"], pid: int, down_s: float, number: int
    ) -> None:
        self._on_event(
            ChaosEvent(
                kind=kind,
                elapsed_s=self._elapsed_s(),
                number=number,
                of=len(self._planned),
                pid=pid,
                down_s=down_s,
            )
        )

    def _up_s(self) -> float:
        if not self.outages:
            return IDLE_S
        return (self._now_ns() - self.outages[-1].answered_at_ns) / 1e9

    def _elapsed_s(self) -> float:
        assert self._began_at_ns is not None  # noqa: S101 (nothing is due before)
        return (self._now_ns() - self._began_at_ns) / 1e9
