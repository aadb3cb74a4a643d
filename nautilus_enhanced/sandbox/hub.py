"""
The sessions of a loopback venue: who gets what, with the faults that it is asked to show.

What goes wrong is decided in `faults.py`; here it is done to sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections import deque
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import TypeAlias

from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import Dialect
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.dialect import Session
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.faults import FaultInjector
from nautilus_enhanced.sandbox.faults import Target
from nautilus_enhanced.sandbox.outlet import Outlet
from nautilus_enhanced.sandbox.statistics import MAX_PUSHES
from nautilus_enhanced.sandbox.statistics import OrderPush


NS_PER_S: Final = 1_000_000_000
# asyncio's own high-water mark: where a transport asks its writers to pause.
PAUSE_BYTES: Final = 64 * 1024

# Takes leave of a client and closes its socket.
Closer: TypeAlias = Callable[[], Awaitable[Any]]


class SessionHub:
    """
    Write to the sessions that want it.

    Parameters
    ----------
    dialect : Dialect
        The venue's words.
    injector : FaultInjector
        Decides what goes wrong.

    Attributes
    ----------
    sent : Counter[str]
        Frames by stream.
    """

    def __init__(self, dialect: Dialect, injector: FaultInjector) -> None:
        self.sessions: dict[Session, Closer] = {}
        self.sessions_total = 0
        self.slow_readers = 0
        self.sent: Counter[str] = Counter()
        self.pushes: deque[OrderPush] = deque(maxlen=MAX_PUSHES)
        self.pushes_total = 0
        self._dialect = dialect
        self._injector = injector
        self._outlets: dict[Target, Outlet[Any]] = {t: Outlet() for t in Target}
        self._timers: dict[Target, asyncio.TimerHandle] = {}
        self._flushes: dict[Target, asyncio.TimerHandle] = {}

    @property
    def delayed(self) -> int:
        """Return how many messages faults keep back."""
        return sum(len(outlet) for outlet in self._outlets.values())

    @property
    def sent_early(self) -> int:
        """Return how many of them were too many."""
        return sum(outlet.sent_early for outlet in self._outlets.values())

    @property
    def is_congested(self) -> bool:
        """Return whether a transport asks its writers to pause."""
        return any(session.sender.waiting_bytes > PAUSE_BYTES for session in self.sessions)

    def add(self, session: Session, closer: Closer) -> None:
        """Take a session in."""
        self.sessions[session] = closer
        self.sessions_total += 1

    def remove(self, session: Session) -> None:
        """Let a session go."""
        del self.sessions[session]
        self.slow_readers += session.sender.overflowed
        self.refresh()

    def refresh(self) -> bool:
        """Tell the dialect what is subscribed to; return whether any of it carries data."""
        wanted = frozenset(name for session in self.sessions for name in session.streams)
        self._dialect.select(wanted)
        return any(self._dialect.carries(name) for name in wanted)

    def write(self, frames: Sequence[MarketFrame]) -> None:
        """Send market data to whoever is subscribed to it."""
        if self._is_quiet(Target.MARKET):
            self._write_now(frames)
            return
        for frame in frames:
            self._send(Target.MARKET, frame.stream, frame)

    def push(self, events: Iterable[UserEvent]) -> None:
        """Send messages about the account to whoever is subscribed to them."""
        if self._is_quiet(Target.USER):
            for event in events:
                self._push_now(event)
            return
        for event in events:
            self._send(Target.USER, f"{event.name} {event.execution_type}", event)

    def drop(self, target: Target) -> int:
        """Cut the sessions that get such messages, without a word; return how many."""
        found = [session for session in self.sessions if self._gets(session, target)]
        for session in found:
            session.sender.abort()
        return len(found)

    def close(self) -> None:
        """Forget what faults keep back."""
        for timer in (*self._timers.values(), *self._flushes.values()):
            timer.cancel()
        self._timers.clear()
        self._flushes.clear()

    def _gets(self, session: Session, target: Target) -> bool:
        if target is Target.USER:
            return session.has_user_data
        return any(self._dialect.carries(name) for name in session.streams)

    def _is_quiet(self, target: Target) -> bool:
        return self._injector.is_quiet(target) and not self._outlets[target]

    def _send(self, target: Target, name: str, item: MarketFrame | UserEvent) -> None:
        passage = self._injector.passage(target, name, item)
        if passage.drop:
            self.drop(target)
            return
        if passage.hold_ms:
            self._schedule(self._flushes, target, passage.hold_ms / 1000, self._flush)
        due_ns = time.monotonic_ns() + passage.delay_ms * NS_PER_MS
        self._outlets[target].add(passage.items, due_ns)
        self._serve(target)

    def _flush(self, target: Target) -> None:
        self._flushes.pop(target, None)
        self._outlets[target].add(self._injector.flush(target), time.monotonic_ns())
        self._serve(target)

    def _serve(self, target: Target) -> None:
        outlet = self._outlets[target]
        for item in outlet.take(time.monotonic_ns()):
            if item is None:
                self._write_garbage(target)
            elif isinstance(item, MarketFrame):
                self._write_now([item])
            else:
                self._push_now(item)
        due_ns = outlet.next_due_ns()
        if due_ns is not None and target not in self._timers:
            wait_s = max(0, due_ns - time.monotonic_ns()) / NS_PER_S
            self._schedule(self._timers, target, wait_s, self._wake)

    def _wake(self, target: Target) -> None:
        self._timers.pop(target, None)
        self._serve(target)

    def _schedule(
        self,
        timers: dict[Target, asyncio.TimerHandle],
        target: Target,
        wait_s: float,
        act: Any,
    ) -> None:
        old = timers.pop(target, None)
        if old is not None:
            old.cancel()
        timers[target] = asyncio.get_running_loop().call_later(wait_s, act, target)

    def _write_garbage(self, target: Target) -> None:
        for session in self.sessions:
            if self._gets(session, target):
                session.sender.send([session.garbage])

    def _write_now(self, frames: Sequence[MarketFrame]) -> None:
        for session in self.sessions:
            if not session.streams:
                continue
            wanted = [frame for frame in frames if frame.stream in session.streams]
            if wanted and session.sender.send(session.encode(wanted)):
                self.sent.update(frame.stream for frame in wanted)

    def _push_now(self, event: UserEvent) -> None:
        written_ns = 0
        for session in self.sessions:
            frame = session.user_frame(event)
            if frame is None:
                continue
            now_ns = time.monotonic_ns()
            if session.sender.send([frame]):
                written_ns = written_ns or now_ns
        if event.execution_type and written_ns:
            push = OrderPush(
                client_order_id=event.client_order_id,
                execution_type=event.execution_type,
                trade_id=event.trade_id,
                monotonic_ns=written_ns,
            )
            self.pushes.append(push)
            self.pushes_total += 1
