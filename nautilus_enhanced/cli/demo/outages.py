"""What an outage of the server is: planned from a seed, noted when it was, and looked at after."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Final
from typing import NamedTuple

import msgspec


# All in seconds. The first one comes when the strategy trades, and the last one is over before
# it ends, so that publishing is seen to resume.
FIRST_AT_S: Final = (1.5, 2.5)
EVERY_S: Final = (2.0, 3.0)
DOWN_S: Final = (0.5, 2.0)
# A publisher that waits up to a second between two attempts gets its chance.
MIN_UP_S: Final = 1.25
UP_AT_END_S: Final = 1.5
# There is time for one outage at least, whatever the seed.
MIN_TRADING_S: Final = FIRST_AT_S[1] + DOWN_S[1] + UP_AT_END_S


class PlannedOutage(NamedTuple):
    """When to kill the server, in seconds from the start of trading, and for how long."""

    at_s: float
    down_s: float

    @property
    def ends_at_s(self) -> float:
        """Return when to start the server again."""
        return self.at_s + self.down_s


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """
    What happened: the server was killed, and another process came up in its place.

    Attributes
    ----------
    at_s : float
        When it was killed, in seconds from the start of trading.
    killed_at_ns, answered_at_ns : int
        When it was killed and when it first answered again, by the system's monotonic clock.
    killed_pid, started_pid : int
        The server's processes.
    entries_before, entries_after : int
        Entries in the run's streams, read just before the kill and just after the restart.
    """

    at_s: float
    killed_at_ns: int
    answered_at_ns: int
    killed_pid: int
    started_pid: int
    entries_before: int
    entries_after: int

    @property
    def down_s(self) -> float:
        """Return for how many seconds the server did not answer."""
        return (self.answered_at_ns - self.killed_at_ns) / 1e9


class PublisherSample(msgspec.Struct, frozen=True, array_like=True):
    """What the enhanced publisher said of itself, by the system's monotonic clock."""

    monotonic_ns: int
    acknowledged: int
    waiting: int


def plan_outages(seed: int, seconds: float) -> list[PlannedOutage]:
    """
    Return the outages of a run, the same ones for the same seed.

    Parameters
    ----------
    seed : int
        Selects them.
    seconds : float
        For how long the strategy trades.
    """
    rng = random.Random(seed)  # noqa: S311 (guards no secret)
    planned: list[PlannedOutage] = []
    at_s = rng.uniform(*FIRST_AT_S)
    while True:
        outage = PlannedOutage(round(at_s, 3), round(rng.uniform(*DOWN_S), 3))
        if outage.ends_at_s > seconds - UP_AT_END_S:
            return planned
        planned.append(outage)
        at_s = max(at_s + rng.uniform(*EVERY_S), outage.ends_at_s + MIN_UP_S)


def growth_times(samples: Iterable[PublisherSample]) -> list[int]:
    """Return when messages were acknowledged: at each sample that has more than the one before."""
    times = []
    most: int | None = None
    for sample in samples:
        if most is not None and sample.acknowledged > most:
            times.append(sample.monotonic_ns)
        most = sample.acknowledged
    return times


def resumed_after_ms(outages: list[Outage], arrivals_ns: list[int]) -> list[float | None]:
    """
    Return how long each outage outlasted itself: from the server's answer to the next arrival.

    Parameters
    ----------
    outages : list[Outage]
        The outages, in order.
    arrivals_ns : list[int]
        When messages arrived, by the same clock.

    Returns
    -------
    list[float or None]
        Milliseconds; None where nothing arrived before the next outage, or the end.
    """
    resumed: list[float | None] = []
    ends_ns = [*(outage.killed_at_ns for outage in outages[1:]), math.inf]
    for outage, end_ns in zip(outages, ends_ns, strict=False):
        start_ns = outage.answered_at_ns
        first_ns = min((ns for ns in arrivals_ns if start_ns <= ns < end_ns), default=None)
        resumed.append(None if first_ns is None else round((first_ns - start_ns) / 1e6, 1))
    return resumed
