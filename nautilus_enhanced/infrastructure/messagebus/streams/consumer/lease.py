"""For how long this consumer may count on what it holds."""

from __future__ import annotations

from typing import Final


# Of the time that the server grants, so much is used: clocks do not run at quite the same speed.
_SHARE: Final = 0.9
_FOREVER: Final = 2**63


class Lease:
    """
    What the server last granted, by this process's monotonic clock.

    A process that was stopped for a while finds out here, before it does anything, that its time
    is up: asking the server first would be too late.

    Attributes
    ----------
    until_ns : int
        Until when it holds.
    is_first : bool
        Whether no other consumer of the group was alive when this one started.
    members : int
        Consumers of the group that were alive.
    offset_ms : int or None
        What to add to the monotonic clock, in milliseconds, to have the server's time.
    """

    __slots__ = ("is_first", "members", "offset_ms", "until_ns")

    def __init__(self) -> None:
        self.until_ns = 0
        self.is_first = True
        self.members = 0
        self.offset_ms: int | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(until_ns={self.until_ns}, members={self.members})"

    def grant(self, asked_ns: int, lease_ms: int, server_ms: int, members: int) -> None:
        """
        Note that the server granted a lease.

        Parameters
        ----------
        asked_ns : int
            When it was asked, by the monotonic clock: it granted it later.
        lease_ms : int
            For how long.
        server_ms : int
            Its time then, in milliseconds since the UNIX epoch.
        members : int
            Consumers that are alive.
        """
        self.until_ns = asked_ns + int(lease_ms * 1_000_000 * _SHARE)
        self.members = members
        self.set_time(asked_ns, server_ms)

    def set_time(self, asked_ns: int, server_ms: int) -> None:
        """Note the server's time."""
        self.offset_ms = server_ms - asked_ns // 1_000_000

    def server_ms(self, now_ns: int) -> int | None:
        """Return the server's time in milliseconds since the UNIX epoch; None if not known yet."""
        return None if self.offset_ms is None else now_ns // 1_000_000 + self.offset_ms

    def hold_forever(self) -> None:
        """Count on everything: without a group nobody else takes anything over."""
        self.until_ns = _FOREVER

    def end(self) -> None:
        """Count on nothing any more."""
        self.until_ns = 0
