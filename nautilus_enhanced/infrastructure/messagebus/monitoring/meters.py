"""
What a client measures of itself: rates over the last 10 seconds, and how long messages take.

Neither costs the thread that publishes more than a countdown: rates are differences of counters
that there are anyway, and latency is measured on about one message in each batch.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING
from typing import Final

import msgspec


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.contracts import Clock


NS_PER_S: Final = 1_000_000_000
WINDOW_NS: Final = 10 * NS_PER_S
MAX_SAMPLES: Final = 1_024

# How far apart the totals are that are kept of the window.
_STEP_NS: Final = NS_PER_S // 2
# A rate of the first moments would be noise: it is taken over a second at least.
_SHORTEST_NS: Final = NS_PER_S


class Totals(msgspec.Struct, frozen=True):
    """
    What a client did since its start.

    Attributes
    ----------
    delivered : int
        Messages that the server confirmed.
    lost : int
        Messages that will never reach the server.
    bytes_sent : int
        Bytes written to the socket.
    published : int
        Messages taken in.
    """

    delivered: int = 0
    lost: int = 0
    bytes_sent: int = 0
    published: int = 0


class Rates(msgspec.Struct, frozen=True):
    """
    What a client did in the last 10 seconds.

    Attributes
    ----------
    messages_per_second : float
        Messages that the server confirmed.
    bytes_per_second : float
        Bytes written to the socket.
    error_rate : float
        Share, 0 to 1, of the lost messages among those whose fate was decided.
    published_per_second : float
        Messages taken in.
    """

    messages_per_second: float
    bytes_per_second: float
    error_rate: float
    published_per_second: float = 0.0

    def drain_estimate_s(self, waiting: int) -> float | None:
        """Return seconds until nothing of `waiting` messages waits; None if it gets no less."""
        if not waiting:
            return 0.0
        shrinks_by = self.messages_per_second - self.published_per_second
        return waiting / shrinks_by if shrinks_by > 0.0 else None


class RateMeter:
    """
    Tell what was done in the last 10 seconds, to within half a second.

    One thread may call `note`, any thread `rates`.

    Parameters
    ----------
    begin_ns : int
        The time, by a monotonic clock in nanoseconds, at which all totals were zero.
    """

    def __init__(self, begin_ns: int) -> None:
        self._begin_ns = begin_ns
        self._notes: deque[tuple[int, Totals]] = deque(
            [(begin_ns, Totals())], maxlen=WINDOW_NS // _STEP_NS + 2
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._notes)} notes)"

    def note(self, now_ns: int, totals: Totals) -> None:
        """Take down the totals; call it whenever they changed."""
        notes = self._notes
        # The last note is always the latest. It stays as it is once it is a step behind.
        if len(notes) > 1 and now_ns - notes[-2][0] < _STEP_NS:
            notes[-1] = (now_ns, totals)
        else:
            notes.append((now_ns, totals))

    def rates(self, now_ns: int, totals: Totals) -> Rates:
        """Return the rates, given the time and the totals of now."""
        span_ns = max(_SHORTEST_NS, min(WINDOW_NS, now_ns - self._begin_ns))
        # The totals at the start of the window: those noted last before it.
        notes = list(self._notes)
        before = [noted for at_ns, noted in notes if at_ns <= now_ns - span_ns]
        base = before[-1] if before else notes[0][1]
        delivered = totals.delivered - base.delivered
        lost = totals.lost - base.lost
        return Rates(
            messages_per_second=delivered * NS_PER_S / span_ns,
            bytes_per_second=(totals.bytes_sent - base.bytes_sent) * NS_PER_S / span_ns,
            error_rate=lost / (lost + delivered) if lost else 0.0,
            published_per_second=(totals.published - base.published) * NS_PER_S / span_ns,
        )


class LatencyMeter:
    """
    Keep how long the last 1,024 measured messages took, from put to acknowledged.

    Parameters
    ----------
    clock : Clock
        The clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._monotonic_ns = clock.monotonic_ns
        # When it ended, how long it took, and for how many messages it stands.
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=MAX_SAMPLES)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._samples)} samples)"

    def probe(self, weight: int) -> Callable[[bool | None], None]:
        """
        Begin to measure a message that stands for `weight` messages; return its receipt.

        The receipt is called with whether the server accepted it; only then it counts.
        """
        return partial(self._end, self._monotonic_ns(), weight)

    def _end(self, begin_ns: int, weight: int, accepted: bool | None) -> None:
        if accepted:
            now_ns = self._monotonic_ns()
            self._samples.append((now_ns, now_ns - begin_ns, weight))

    def latencies_ms(self) -> tuple[float, float]:
        """Return mean and 95th percentile of the last 10 seconds in milliseconds; 0 if none."""
        since_ns = self._monotonic_ns() - WINDOW_NS
        recent = sorted(
            (took, weight) for at, took, weight in self._samples.copy() if at > since_ns
        )
        total = sum(weight for _, weight in recent)
        if not total:
            return 0.0, 0.0
        mean_ns = sum(took * weight for took, weight in recent) / total
        counted = 0
        for took, weight in recent:
            counted += weight
            if counted >= 0.95 * total:
                return mean_ns / 1e6, took / 1e6
        raise AssertionError("the weights add up to their sum")
