"""
Find streams: those that our writers told of, and those that a look through the keys shows.

The look is bounded: a call goes through so many keys at most, and the next goes on from there, so
that a server with millions of other keys is neither held up nor read to its end each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import LoginRefusedError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command
from nautilus_enhanced.infrastructure.messagebus.streams import registry
from nautilus_enhanced.infrastructure.messagebus.streams.commands import is_error
from nautilus_enhanced.infrastructure.messagebus.streams.manager.refusals import checked
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import parse_time_ms
from nautilus_enhanced.infrastructure.messagebus.streams.manager.upkeep import server_time


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.connection.connector import BusConnection
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.selection import StreamSelector
    from nautilus_enhanced.infrastructure.messagebus.streams.manager.session import Session


MAX_SCANNED: Final = 100_000
MAX_KNOWN: Final = registry.MAX_REGISTERED
# Looks that are remembered, each for one trader or for all.
MAX_LOOKS: Final = 64
# A writer tells of a stream about when it first writes to it: not long ago is no proof.
GRACE_MS: Final = 60_000


class FoundStreams(msgspec.Struct, frozen=True, kw_only=True):
    """
    The streams that a pattern means.

    Attributes
    ----------
    streams : tuple[str, ...]
        Their keys, sorted.
    complete : bool
        Whether all keys of the server were looked at: if not, the next call goes on.
    problems : tuple[str, ...]
        What stood in the way of a part of the search, such as a command that the login may not
        run.
    """

    streams: tuple[str, ...]
    complete: bool = True
    problems: tuple[str, ...] = ()


class _Look:
    """How far a look through the keys is, and what it has shown so far."""

    def __init__(self) -> None:
        self.cursors: dict[str, bytes] = {}
        self.known: dict[bytes, None] = {}
        self.is_complete = False

    def remember(self, keys: list[bytes]) -> None:
        for key in keys:
            self.known[key] = None
        while len(self.known) > MAX_KNOWN:
            del self.known[next(iter(self.known))]


class StreamFinder:
    """
    Find the streams that patterns mean.

    Parameters
    ----------
    session : Session
        Asks the server.
    max_scanned : int, default 100,000
        Keys that one call looks at, about.
    """

    def __init__(self, session: Session, max_scanned: int = MAX_SCANNED) -> None:
        self._session = session
        self._steps = max(1, max_scanned // registry.SCAN_COUNT)
        self._looks: dict[bytes, _Look] = {}

    def __repr__(self) -> str:
        known = sum(len(look.known) for look in self._looks.values())
        return f"{type(self).__name__}({known} streams)"

    def find(self, selector: StreamSelector, *, scan: bool = True) -> FoundStreams:
        """
        Return the streams that a selector means.

        Parameters
        ----------
        selector : StreamSelector
            Which ones.
        scan : bool, default True
            If keys are looked through. False gives those that our writers told of.

        Raises
        ------
        ServerUnreachableError
            If there was no answer.
        LoginRefusedError
            If the server refused the login.
        """
        problems: list[str] = []
        found = self._part(lambda: self._registered(selector), problems)
        complete = False
        if scan:
            look = self._look(selector.key_glob)
            scanned = self._part(lambda: self._scanned(look, selector.key_glob), problems)
            complete = look.is_complete
            found += [key for key in scanned if selector.matches(key)]
        keys = sorted({key.decode("utf-8", "backslashreplace") for key in found})
        return FoundStreams(streams=tuple(keys), complete=complete, problems=tuple(problems))

    def keys_like(self, glob: bytes) -> list[bytes]:
        """Return the keys of streams that match a glob, of about 100,000 keys looked at."""
        return list(self._scanned(_Look(), glob))

    def _part(self, search: Callable[[], list[bytes]], problems: list[str]) -> list[bytes]:
        """Return what a part of the search finds; what the server forbids is a problem only."""
        try:
            return search()
        except (ServerUnreachableError, LoginRefusedError):
            raise
        except ServerError as error:
            problems.append(str(error))
            return []

    def _registered(self, selector: StreamSelector) -> list[bytes]:
        """Return what our writers told of; what is gone is taken out."""
        key, _ = registry.registered()
        scores = command(b"ZRANGE", key, b"0", b"-1", b"WITHSCORES")
        answer, time = self._session.ask([(key, scores), (key, server_time())])
        flat = checked(answer, "ZRANGE", key)
        told = {
            stream: float(at_ms)
            for stream, at_ms in zip(flat[::2], flat[1::2], strict=True)
            if selector.matches(stream)
        }
        exist = self._session.ask([(stream, command(b"EXISTS", stream)) for stream in told])
        gone = [stream for stream, there in zip(told, exist, strict=True) if there == 0]
        if gone and not is_error(time):
            before_ms = parse_time_ms(time) - GRACE_MS
            old = [stream for stream in gone if told[stream] < before_ms]
            # Whether it may is the server's business: they are left out in any case.
            if old:
                self._session.ask([registry.forget(old)])
        return [stream for stream in told if stream not in set(gone)]

    def _look(self, glob: bytes) -> _Look:
        look = self._looks.pop(glob, None) or _Look()
        self._looks[glob] = look
        while len(self._looks) > MAX_LOOKS:
            del self._looks[next(iter(self._looks))]
        return look

    def _scanned(self, look: _Look, glob: bytes) -> list[bytes]:
        """Go on with a look, for so many steps at most, and return what it has shown so far."""
        # Seen anew from its beginning, what is gone meanwhile is found out.
        begins = not look.cursors or look.is_complete
        before = look.known
        if begins:
            look.cursors, look.known, look.is_complete = {}, {}, False
        self._session.use(lambda connection: self._scan(connection, look, glob))
        if begins and not look.is_complete:
            look.remember(list(before))
        return list(look.known)

    def _scan(self, connection: BusConnection, look: _Look, glob: bytes) -> None:
        left = self._steps
        servers = connection.each_master()
        for server in servers:
            cursor = look.cursors.get(server.name, b"0")
            if server.name in look.cursors and cursor == b"0":
                continue
            while left:
                left -= 1
                (answer,) = server.exchange(registry.scan(cursor, glob), 1)
                cursor, keys = _step(answer)
                look.remember(keys)
                look.cursors[server.name] = cursor
                if cursor == b"0":
                    break
        look.is_complete = all(look.cursors.get(server.name) == b"0" for server in servers)


def _step(answer: Any) -> tuple[bytes, list[bytes]]:
    cursor, keys = checked(answer, "SCAN", b"*")
    return bytes(cursor), keys
