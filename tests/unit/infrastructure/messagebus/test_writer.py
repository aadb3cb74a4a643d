"""The writer's waiting: decisions that a race would need luck to show."""

import pytest

from nautilus_enhanced.infrastructure.messagebus.backoff import Backoff
from nautilus_enhanced.infrastructure.messagebus.clock import SystemClock
from nautilus_enhanced.infrastructure.messagebus.delivery import TrimSettings
from nautilus_enhanced.infrastructure.messagebus.settings import StreamSettings
from nautilus_enhanced.infrastructure.messagebus.wire import RouteTable
from nautilus_enhanced.infrastructure.messagebus.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.writer import StreamWriter


class BetweenDropAndAppend:
    """A lane that another thread empties to make room, after the writer's first look at it."""

    half_full = 1

    def __init__(self, interval_ms):
        self.flush_interval_ns = interval_ms * 1_000_000
        self.is_urgent = interval_ms == 0
        self._lengths = iter([1])

    def __len__(self):
        return next(self._lengths, 0)


class Buffers:
    def __init__(self, lane):
        self.lanes = (lane,)

    def __len__(self):
        return 1  # so that it does not look after the connection


class RecordingBell:
    def __init__(self):
        self.said_ns = self.slept_ns = 0

    def hang_up(self, sleeps_ns):
        self.said_ns = sleeps_ns

    def sleep(self, timeout_s):
        self.slept_ns = timeout_s * 1e9
        return True

    def take_down(self):
        pass


@pytest.mark.parametrize("interval_ms", [0, 1, 10, 1_000])
def test_the_writer_never_sleeps_longer_than_it_said(interval_ms):
    writer = StreamWriter(
        connect=lambda: pytest.fail("it is not to connect"),
        routes=RouteTable(StreamNaming(trader_id="T"), "Json"),
        settings=StreamSettings(),
        trim=TrimSettings(),
        backoff=Backoff(1.0, 1.0),
        clock=SystemClock(),
        on_settled=lambda: None,
    )
    bell = writer._bell = RecordingBell()
    writer._wait(Buffers(BetweenDropAndAppend(interval_ms)))
    # What the bell was told is above the lane's interval or as long as the sleep: so a message
    # that does not ring waits no longer than it may.
    assert bell.said_ns > 0
    assert bell.slept_ns <= bell.said_ns + 1
    assert bell.slept_ns <= max(1, interval_ms * 1_000_000) + 1
