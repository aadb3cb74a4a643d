"""
Counts every message of a client, and looks at a sample of them.

Counting is what each quote pays, so it is a look-up and one step of a counter. That step is a
single operation of the interpreter: clients hand over messages from several threads.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections import deque
from itertools import count
from itertools import islice
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import NamedTuple

from nautilus_enhanced.adapters.statistics import MessageStatistics
from nautilus_enhanced.adapters.statistics import SpreadStatistics


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Sequence


MAX_SAMPLES: Final = 1_024
# Of market data every 16th message is looked at: a power of two, less one.
SAMPLE_MASK: Final = 15
WINDOW_NS: Final = 10_000_000_000
_NOTE_NS: Final = 1_000_000_000
# How many samples tell whether the clocks agree, how many there must be, and the share.
LATEST: Final = 64
_ENOUGH: Final = 16
_AHEAD_SHARE: Final = 0.5
_SHORTEST_NS: Final = 1_000_000_000


class Sample(NamedTuple):
    """
    The times of one message, in nanoseconds since the UNIX epoch.

    Attributes
    ----------
    ts_event : int
        When it happened, as the venue says.
    ts_init : int
        When the client made the message.
    ts_out : int
        When the client handed it over.
    """

    ts_event: int
    ts_init: int
    ts_out: int


def count_of(counter: count[int]) -> int:
    """Return how often a counter has been stepped, without stepping it."""
    # There is no other way to look at one; copying is deprecated.
    return int(repr(counter)[len("count(") : -1])


def event_time_of(samples: Sequence[Sample]) -> str:
    """
    Return what kind of time of the event the samples have.

    Returns
    -------
    {'unknown', 'none', 'seconds', 'milliseconds', 'finer'}
        The coarsest that fits all of them.
    """
    times = [s.ts_event for s in samples if s.ts_event and s.ts_event != s.ts_init]
    if not times:
        return "none" if samples else "unknown"
    if all(at % 1_000_000_000 == 0 for at in times):
        return "seconds"
    return "milliseconds" if all(at % 1_000_000 == 0 for at in times) else "finer"


def spread_of(durations_ns: Sequence[int]) -> SpreadStatistics | None:
    """Return how durations are spread; None if there are none."""
    if not durations_ns:
        return None
    ordered = sorted(durations_ns)
    p50, p95 = (ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 95))
    return SpreadStatistics(p50=p50 / 1e6, p95=p95 / 1e6, max=ordered[-1] / 1e6)


def is_mostly_ahead(times: Iterable[tuple[int, int, int]]) -> bool:
    """Return whether most of the latest samples, if they are enough, come from the future."""
    latest = list(islice(times, LATEST))
    ahead = sum(ts_event > ts_init for ts_event, ts_init, _ in latest)
    return len(latest) >= _ENOUGH and ahead > _AHEAD_SHARE * len(latest)


def describe(
    message_type: type,
    priority: str,
    total: int,
    samples: Sequence[Sample],
    *,
    is_event: bool,
    has_venue_time: bool,
) -> MessageStatistics:
    """
    Return the figures of one type of messages.

    Parameters
    ----------
    message_type : type
        The type.
    priority : str
        Its label.
    total : int
        How many there were.
    samples : Sequence[Sample]
        The times of some.
    is_event : bool
        Whether they are made when something happens: instruments are made once and sent later.
    has_venue_time : bool
        Whether the event is the venue's: that an order was submitted is the client's own.
    """
    if not is_event:
        samples = ()
    timed = [s for s in samples if s.ts_event and s.ts_event != s.ts_init] if has_venue_time else []
    return MessageStatistics(
        message_type=message_type.__name__,
        priority=priority,
        count=total,
        sampled=len(samples),
        event_time=event_time_of(samples) if has_venue_time else "none",
        latency_ms=spread_of([s.ts_init - s.ts_event for s in timed]),
        inside_ms=spread_of([s.ts_out - s.ts_init for s in samples]),
        ahead=sum(s.ts_event > s.ts_init for s in timed),
    )


class MessageMeter:
    """
    Count the messages of one client by their types.

    Any thread may count, sample and read.

    Parameters
    ----------
    time_ns : Callable[[], int], optional
        The clock that messages are stamped with.
    monotonic_ns : Callable[[], int], optional
        The clock for rates.

    Attributes
    ----------
    counts : defaultdict[type, itertools.count]
        A counter for each type. To count is to step it, which returns how many came before.
    """

    __slots__ = ("_monotonic_ns", "_next_note_ns", "_notes", "_samples", "_time_ns", "counts")

    def __init__(
        self,
        time_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.counts: defaultdict[type, count[int]] = defaultdict(count)
        self._time_ns = time_ns
        self._monotonic_ns = monotonic_ns
        self._samples: defaultdict[type, deque[tuple[int, int, int]]] = defaultdict(
            lambda: deque(maxlen=MAX_SAMPLES)
        )
        self._notes: deque[tuple[int, int]] = deque(
            [(monotonic_ns(), 0)], maxlen=WINDOW_NS // _NOTE_NS + 2
        )
        self._next_note_ns = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.total:,} messages)"

    @property
    def total(self) -> int:
        """Return the messages of all types."""
        return sum(count_of(counter) for counter in self.counts.copy().values())

    def add(self, message_type: type, amount: int) -> None:
        """Count several messages of a type."""
        deque(islice(self.counts[message_type], amount), maxlen=0)

    def sample(self, message: Any) -> None:
        """Look at a message that was counted; one without times is passed over."""
        try:
            # Not yet a `Sample`, which takes longer to make.
            times = (message.ts_event, message.ts_init, self._time_ns())
        except AttributeError:
            return
        self._samples[type(message)].append(times)

    def note(self) -> None:
        """
        Take down the total, at most once a second, so that there is a rate to be told.

        Whoever looks after the client's connections calls it; no message pays for it.
        """
        now_ns = self._monotonic_ns()
        if now_ns >= self._next_note_ns:
            self._next_note_ns = now_ns + _NOTE_NS
            self._notes.append((now_ns, self.total))

    def rate(self) -> float:
        """Return messages per second since the last note that is 10 seconds old."""
        now_ns = self._monotonic_ns()
        notes = list(self._notes)
        since_ns, before = next(
            (note for note in reversed(notes) if note[0] <= now_ns - WINDOW_NS), notes[0]
        )
        return (self.total - before) * 1e9 / max(_SHORTEST_NS, now_ns - since_ns)

    def ahead(self) -> tuple[str, ...]:
        """Return the names of the types of which most messages come from the future."""
        return tuple(
            kind.__name__
            for kind, times in self._samples.copy().items()
            if is_mostly_ahead(reversed(times.copy()))
        )

    def samples_of(self, message_type: type) -> tuple[Sample, ...]:
        """Return the samples of a type, the oldest first."""
        samples = self._samples.get(message_type)
        return () if samples is None else tuple(Sample(*s) for s in samples.copy() if s[1])
