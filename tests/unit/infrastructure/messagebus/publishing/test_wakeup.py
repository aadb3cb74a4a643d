"""The bell: nobody who may not wait is left waiting, and nobody rings without need."""

import sys
import threading
import time

import pytest

from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import IDLE
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import Doorbell
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import LaneSettings


def lane_of(interval_ms, max_messages=100):
    settings = LaneSettings(flush_interval_ms=interval_ms, max_messages=max_messages)
    return Lane(MessagePriority.NORMAL, settings)


def rings(bell, lane):
    bell.on_put(lane)
    return bell.sleep(0.0001)


@pytest.mark.parametrize("interval_ms", [0, 1, 1_000])
def test_a_writer_that_works_is_left_alone(interval_ms):
    assert not rings(Doorbell(), lane_of(interval_ms))


@pytest.mark.parametrize("interval_ms", [0, 1, 1_000])
def test_an_idle_writer_is_woken_by_anything(interval_ms):
    bell = Doorbell()
    bell.hang_up(IDLE)
    assert rings(bell, lane_of(interval_ms))


def test_a_writer_that_waits_for_one_lane_is_woken_only_by_a_more_urgent_one():
    bell = Doorbell()
    for interval_ms, woken in [(0, True), (9, True), (10, False), (100, False)]:
        bell.hang_up(10_000_000)
        assert rings(bell, lane_of(interval_ms)) is woken


def test_a_lane_that_is_half_full_wakes_the_writer():
    bell = Doorbell()
    bell.hang_up(1)
    lane = lane_of(1_000, max_messages=4)
    lane.put("topic", b"")
    assert not rings(bell, lane)
    lane.put("topic", b"")
    assert rings(bell, lane)


def test_a_writer_that_sleeps_longer_than_somebody_can_wait_is_woken():
    bell = Doorbell()
    bell.on_wait(0)
    assert not bell.sleep(0.0001)
    for wait_ns, woken in [(9, True), (10, False), (11, False)]:
        bell.hang_up(10)
        bell.on_wait(wait_ns)
        assert bell.sleep(0.0001) is woken


def test_only_the_first_put_rings():
    bell = Doorbell()
    bell.hang_up(IDLE)
    bell.on_put(lane_of(0))
    bell.on_put(lane_of(0))
    assert bell.sleep(0.0001)
    assert not bell.sleep(0.0001)


def test_taking_it_down_forgets_who_rang():
    bell = Doorbell()
    for _ in range(3):
        bell.ring()
    bell.take_down()
    assert not bell.sleep(0.0001)


class TakesDownTooLate(Doorbell):
    """Leaves the token before it takes the bell down: a mistake that the stress must find."""

    __slots__ = ()

    def on_put(self, lane):
        sleeps_ns = self._sleeps_ns
        if lane.flush_interval_ns < sleeps_ns:
            self._tokens.put(None)
            # Here others may run.
            time.sleep(0)
            self._sleeps_ns = 0


class HangsUpTooLate(Doorbell):
    """Says that the writer sleeps after it has looked and not before: another such mistake."""

    __slots__ = ()

    def hang_up(self, sleeps_ns):
        pass

    def sleep(self, timeout_s):
        time.sleep(0)
        super().hang_up(IDLE)
        return super().sleep(timeout_s)


def sleeps_through_a_put(bell, lane, patience_s):
    while not bell.sleep(patience_s):
        if len(lane):
            # As long again: its publisher may be on the way to the bell.
            return not bell.sleep(patience_s)
    return False


def stress(bell, each, patience_s):
    """
    Publish from three threads to a writer that has nothing to do nearly always.

    Returns whether it slept while a message waited.
    """
    lane, publishers = lane_of(0), 3
    is_over = threading.Event()

    def publish():
        for _ in range(each):
            lane.put("topic", b"")
            bell.on_put(lane)
            # Until the writer has everything: so each put finds it asleep or about to be.
            while len(lane) and not is_over.is_set():
                time.sleep(0)

    threads = [threading.Thread(target=publish) for _ in range(publishers)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        taken = 0
        while taken < publishers * each:
            bell.hang_up(IDLE)
            if not len(lane) and sleeps_through_a_put(bell, lane, patience_s):
                return True
            bell.take_down()
            taken += len(lane.take(100, 100))
        return False
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(before)


def test_no_wake_up_is_lost_between_many_threads():
    assert not stress(Doorbell(), each=2_000, patience_s=5.0)


@pytest.mark.parametrize("mistaken", [TakesDownTooLate, HangsUpTooLate])
def test_the_stress_finds_a_bell_that_loses_wake_ups(mistaken):
    assert stress(mistaken(), each=20_000, patience_s=0.2)
