"""
The acknowledgement levels, and how the server is asked for those beyond ``accepted``.

================  ==============================================================================
level             the message is
================  ==============================================================================
``buffered``      in its lane, in this process
``accepted``      in its stream, in the server's memory
``replicated``    in the memory of so many replicas too (WAIT)
``fsynced``       on the server's disk (WAITAOF; Redis 7.2 or Valkey, with ``appendonly yes``)
================  ==============================================================================

WAIT and WAITAOF are about what was written before on the same connection, so the writer sends them
right behind a batch in which somebody asked. No level is ever replaced by a lower one: one that
cannot be given is refused before anything is sent, and one that was not given is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Literal

from nautilus_enhanced.infrastructure.messagebus.errors import AckUnavailableError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable

    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock


AckLevel = Literal["buffered", "accepted", "replicated", "fsynced"]
ConfirmedLevel = Literal["replicated", "fsynced"]

ACK_LEVELS: Final = ("buffered", "accepted", "replicated", "fsynced")
CONFIRMED_LEVELS: Final[tuple[ConfirmedLevel, ...]] = ("replicated", "fsynced")

# For how long an answer to whether a level can be given is believed.
_BELIEVED_NS: Final = 1_000_000_000


class Confirmer:
    """
    Know how to ask for the levels beyond ``accepted``, and whether they can be given.

    Parameters
    ----------
    connect : Callable[[], BusConnection]
        Makes a connection, not yet opened, to look whether a level can be given.
    replicas : int
        Replicas that must have a message for ``replicated``.
    timeout_ms : int
        Milliseconds that the server may take.
    clock : Clock
        The clock.
    """

    def __init__(
        self,
        connect: Callable[[], BusConnection],
        replicas: int,
        timeout_ms: int,
        clock: Clock,
    ) -> None:
        self._connect = connect
        self._replicas = replicas
        self._timeout_ms = timeout_ms
        self._monotonic_ns = clock.monotonic_ns
        self._given_at_ns: dict[ConfirmedLevel, int] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._replicas} replicas, {self._timeout_ms} ms)"

    def require(self, level: ConfirmedLevel) -> None:
        """
        Make sure that the server can give a level now; asks it at most once a second.

        Blocks until it has answered, on a connection of its own.

        Raises
        ------
        AckUnavailableError
            If it cannot, or cannot be asked.
        """
        given_ns = self._given_at_ns.get(level)
        if given_ns is not None and self._monotonic_ns() - given_ns < _BELIEVED_NS:
            return
        connection = self._connect()
        try:
            connection.open()
            # Nothing was written on this connection, so it is answered at once.
            answers = connection.confirm(self.command(level, timeout_ms=1), 1)
        except ServerError as error:
            raise AckUnavailableError(f"{level!r} cannot be given now: {error}") from error
        finally:
            connection.close()
        problem = self.problem_of_any(level, (answer for (answer,) in answers))
        if problem:
            raise AckUnavailableError(f"{level!r} cannot be given now: {problem}")
        self._given_at_ns[level] = self._monotonic_ns()

    def doubt(self, level: ConfirmedLevel) -> None:
        """Ask the server again before the next promise."""
        self._given_at_ns.pop(level, None)

    def command(self, level: ConfirmedLevel, timeout_ms: int | None = None) -> bytes:
        """Return the command that waits for a level."""
        timeout = b"%d" % (self._timeout_ms if timeout_ms is None else timeout_ms)
        if level == "replicated":
            return command(b"WAIT", b"%d" % self._replicas, timeout)
        return command(b"WAITAOF", b"1", b"0", timeout)

    def problem_of_any(self, level: ConfirmedLevel, answers: Iterable[Any]) -> str:
        """Return why one of the servers does not give the level, or an empty string."""
        return next(filter(None, (self.problem(level, answer) for answer in answers)), "")

    def problem(self, level: ConfirmedLevel, answer: Any) -> str:
        """Return why an answer to `command` does not give the level, or an empty string."""
        if isinstance(answer, Exception):
            return str(answer)
        if level == "replicated":
            if answer >= self._replicas:
                return ""
            return f"{answer} of {self._replicas} replicas have it"
        # `[servers that have it on disk here, replicas that have]`
        return "" if answer[0] >= 1 else "the server's disk does not have it"


class Confirmations:
    """
    Those who wait for more than acceptance of a message that the server has accepted.

    Used on the writer's thread only.

    Parameters
    ----------
    confirmer : Confirmer, optional
        Knows how to ask; without it nobody can wait for more.
    """

    def __init__(self, confirmer: Confirmer | None) -> None:
        self._confirmer = confirmer
        self._waiting: list[tuple[ConfirmedLevel, Callable[[str], None]]] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._waiting)} waiting)"

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, level: ConfirmedLevel, tell: Callable[[str], None]) -> None:
        """Have `tell` called with what stands against the level, an empty string for nothing."""
        self._waiting.append((level, tell))

    def fetch(self, connection: BusConnection) -> None:
        """
        Ask the server behind what was written, wait for its answers, and tell them.

        Raises
        ------
        ServerError
            If it did not answer; that was told, too.
        """
        confirmer = self._confirmer
        assert confirmer is not None  # noqa: S101 (who asks for a level has made one)
        levels = tuple(dict.fromkeys(level for level, _ in self._waiting))
        try:
            commands = b"".join(confirmer.command(level) for level in levels)
            answers = connection.confirm(commands, len(levels))
        except Exception as error:
            self.give_up(str(error))
            raise
        told, self._waiting = self._waiting, []
        problems = {
            level: confirmer.problem_of_any(level, of_each_server)
            for level, of_each_server in zip(levels, zip(*answers, strict=True), strict=True)
        }
        for level, tell in told:
            tell(problems[level])

    def give_up(self, reason: str) -> None:
        """Tell all who wait that it cannot be known."""
        told, self._waiting = self._waiting, []
        for _, tell in told:
            tell(reason)
