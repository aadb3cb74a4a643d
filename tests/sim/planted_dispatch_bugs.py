"""Mistakes that somebody could make in the dispatcher, each as a patch of the real code."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from unittest import mock

from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.queues import EngineQueue
from nautilus_enhanced.live.scheduling import OWED_NS
from nautilus_enhanced.live.scheduling import DispatchCore
from nautilus_enhanced.live.scheduling import DispatchLane
from nautilus_enhanced.live.scheduling import Envelope


if TYPE_CHECKING:
    from collections.abc import Callable


PLANTED: dict[str, Callable[[], Any]] = {}


def planted(place: type, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a mistake: what takes the place of a function of the dispatcher."""

    def register(mistake: Callable[..., Any]) -> Callable[..., Any]:
        PLANTED[mistake.__name__] = lambda: mock.patch.object(place, name, mistake)
        return mistake

    return register


@planted(DispatchCore, "_next_lane")
def serve_data_before_order_flow(self):
    startup, order_flow, data, low = DispatchLane
    return next((lane for lane in (startup, data, order_flow, low) if self._lanes[lane]), None)


@planted(DispatchCore, "_next_lane")
def pay_what_is_owed_before_what_came_before_the_start(self):
    for lane in (DispatchLane.LOW, DispatchLane.DATA):
        if self._lanes[lane] and self._owed_ns[lane] >= OWED_NS:
            return lane
    return next((lane for lane in DispatchLane if self._lanes[lane]), None)


@planted(DispatchCore, "_account")
def owe_nothing_to_lanes_that_wait(self, served, spent_ns):
    pass


@planted(DispatchCore, "release_held")
def put_what_was_held_back_behind_what_came_later(self):
    for lane, held in zip(self._lanes, self._held, strict=True):
        lane.extend(held)
        held.clear()


@planted(DispatchCore, "release_held")
def put_what_was_held_back_in_front_the_wrong_way_round(self):
    for lane, held in zip(self._lanes, self._held, strict=True):
        lane.extendleft(held)
        held.clear()


_OPEN = DispatchCore._open


@planted(DispatchCore, "_open")
def forget_what_comes_to_a_closed_queue(self, entry, held):
    if type(entry) is Envelope and entry.route.is_open:
        return _OPEN(self, entry, held)
    self._opened += type(entry) is Envelope
    return False


_RUN = DispatchCore._run


@planted(DispatchCore, "_run")
def serve_without_slices(self, index, end_ns, now_ns):
    _RUN(self, index, 1 << 62, now_ns)


_POST = DispatchCore.post


@planted(DispatchCore, "post")
def give_events_a_lane_of_their_own(self, route, message):
    is_event = getattr(message, "queue", "") == "execution events"
    if is_event and route.lane is DispatchLane.ORDER_FLOW and not self.in_startup:
        _POST(self, route, message)
        # In front of all commands.
        self._lanes[DispatchLane.ORDER_FLOW].rotate(1)
    else:
        _POST(self, route, message)


@planted(PriorityDispatcher, "_drain")
def look_for_more_before_the_flag_is_cleared(self):
    if self.in_startup:
        self.check_startup()
    if self._core.serve(self._slice_ns):
        self._loop.call_soon(self._drain)
    else:
        self._scheduled.release()


@planted(PriorityDispatcher, "open")
def do_not_wake_up_when_a_queue_is_opened(self, routes):
    for route in routes:
        route.set_openings(route.openings + 1)
    self._core.release_held()


@planted(EngineQueue, "_choose")
def forget_the_lane_that_a_rule_chose(self, message):
    return self._routes[list(self._routes)[message.number % len(self._routes)]]
