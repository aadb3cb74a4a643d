"""The rules of order, driven without an event loop and shown to fail on naive dispatchers."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from nautilus_enhanced.live.scheduling import AFTER_ORDER_FLOW_NS
from nautilus_enhanced.live.scheduling import MAX_FOLLOW_UPS
from nautilus_enhanced.live.scheduling import OWED_NS
from nautilus_enhanced.live.scheduling import Carrier
from nautilus_enhanced.live.scheduling import DispatchCore
from nautilus_enhanced.live.scheduling import DispatchLane


US = 1_000
SLICE_NS = 500 * US
WAITING_LANES = (DispatchLane.ORDER_FLOW, DispatchLane.DATA, DispatchLane.LOW)


class FakeClock:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


class FakeRoute:
    """Notes what it handles, in a log that all routes share; each message costs its time."""

    def __init__(self, world, lane, kind="", *, is_open=True) -> None:
        self.world = world
        self.lane = lane
        self.kind = kind or lane.name
        self.is_open = is_open
        self.closed = 0
        self.handled = 0
        self.holds_data = kind in ("data", "instrument", "low")
        self.origin = ("Engine", self.kind)
        self.receiver = self

    def handle(self, message) -> None:
        self.world.log.append((self.kind, message))
        self.world.clock.now_ns += self.world.cost_ns(message)
        reaction = self.world.reactions.pop(message, None)
        if reaction is not None:
            reaction()

    def _handle_data(self, data) -> None:
        self.handle(data)

    def on_raised(self, error) -> None:
        # What fails in a reaction fails the test.
        raise error

    def close(self) -> None:
        self.is_open = False
        self.closed += 1


class World:
    """A core with the queues of a node: who posts what, and what came out in which order."""

    def __init__(self, make_core=DispatchCore, min_share=0.05) -> None:
        self.clock = FakeClock()
        self.core = make_core(self.clock, min_share)
        self.log: list = []
        self.reactions: dict = {}
        self.cost_ns = lambda message: 10 * US
        self.commands = FakeRoute(self, DispatchLane.ORDER_FLOW, "command")
        self.events = FakeRoute(self, DispatchLane.ORDER_FLOW, "event")
        self.data = FakeRoute(self, DispatchLane.DATA, "data")
        self.instruments = FakeRoute(self, DispatchLane.DATA, "instrument")
        self.low = FakeRoute(self, DispatchLane.LOW, "low")
        self.routes = (self.commands, self.events, self.data, self.instruments, self.low)
        # As in a node: market data waits bare, everything else in envelopes.
        self.core.bulk = self.data

    def drain(self) -> None:
        while self.core.serve(SLICE_NS):
            pass

    @property
    def messages(self) -> list:
        return [message for _, message in self.log]


class NaiveDispatcher:
    """What one writes first: a lane for each kind of message, commands first, always slices."""

    RANKS = ("command", "event", "instrument", "data", "low")

    def __init__(self, clock_ns, min_share) -> None:
        self._clock_ns = clock_ns
        self._lanes = [deque() for _ in self.RANKS]

    def begin_startup(self) -> None:
        pass

    def end_startup(self) -> None:
        pass

    def release_held(self) -> None:
        pass

    def post(self, route, message) -> None:
        self._lanes[self.RANKS.index(route.kind)].append((route, message))

    def serve(self, slice_ns) -> bool:
        end_ns = self._clock_ns() + slice_ns
        while True:
            lane = next((lane for lane in self._lanes if lane), None)
            if lane is None:
                return False
            route, message = lane.popleft()
            if message is None:
                route.close()
            elif route.is_open:
                route.handle(message)
            if self._clock_ns() >= end_ns:
                return any(self._lanes)


# -- the rules -----------------------------------------------------------------------------------
# Each rule is a check of a world. It holds with our core, and a naive dispatcher breaks it:
# a check that could not fail would prove nothing.


def check_that_a_command_never_overtakes_an_order_event(make_core) -> None:
    world = World(make_core)
    world.core.post(world.events, "filled")
    world.core.post(world.commands, "close")
    world.drain()
    assert world.messages == ["filled", "close"]


def check_that_a_snapshot_and_its_changes_stay_together(make_core) -> None:
    world = World(make_core)
    for number in range(4):
        world.core.post(world.data if number % 2 else world.instruments, number)
    world.drain()
    assert world.messages == [0, 1, 2, 3]


def check_that_startup_serves_in_order_of_arrival(make_core) -> None:
    world = World(make_core)
    world.core.begin_startup()
    world.core.post(world.data, 0)
    world.core.post(world.low, 1)
    world.core.post(world.instruments, 2)
    world.core.post(world.events, 3)
    world.core.post(world.commands, 4)
    world.drain()
    assert world.messages == [0, 1, 2, 3, 4]


def check_that_startup_has_no_slices(make_core) -> None:
    world = World(make_core)
    world.core.begin_startup()
    for number in range(3_000):
        world.core.post(world.instruments, number)
    assert not world.core.serve(SLICE_NS)
    assert len(world.log) == 3_000


def check_that_a_waiting_lane_gets_its_share(make_core) -> None:
    world = World(make_core)
    spent = saturate(world, (world.commands, world.data), 40_000)
    assert spent["data"] >= 0.05 * sum(spent.values()) - OWED_NS - 10 * US


def check_that_a_closed_route_loses_nothing(make_core) -> None:
    world = World(make_core)
    world.data.is_open = False
    world.core.post(world.data, 1)
    world.drain()
    world.data.is_open = True
    world.core.release_held()
    world.drain()
    assert world.messages == [1]


RULES = (
    check_that_a_command_never_overtakes_an_order_event,
    check_that_a_snapshot_and_its_changes_stay_together,
    check_that_startup_serves_in_order_of_arrival,
    check_that_startup_has_no_slices,
    check_that_a_waiting_lane_gets_its_share,
    check_that_a_closed_route_loses_nothing,
)


def saturate(world: World, routes, turns: int) -> dict[str, int]:
    """Keep every route's lane filled for so many messages; return the time each got."""
    spent = dict.fromkeys((route.kind for route in routes), 0)
    for route in routes:
        for _ in range(2):
            world.core.post(route, route.kind)
    while len(world.log) < turns:
        seen = len(world.log)
        before_ns = world.clock.now_ns
        world.core.serve(1)  # nanosecond: one message
        assert len(world.log) == seen + 1
        kind = world.log[-1][0]
        spent[kind] += world.clock.now_ns - before_ns
        world.core.post(next(route for route in routes if route.kind == kind), kind)
    return spent


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule):
    rule(DispatchCore)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_naive_dispatcher_breaks_the_rule(rule):
    with pytest.raises(AssertionError):
        rule(NaiveDispatcher)


# -- properties ----------------------------------------------------------------------------------


def set_open(world: World, is_open: bool) -> None:
    for route in world.routes:
        route.is_open = is_open
    if is_open:
        world.core.release_held()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("post"), st.integers(0, 4)),
        st.tuples(st.just("react"), st.integers(0, 4)),
        st.tuples(st.just("serve"), st.sampled_from([1, 15 * US, 60 * US, SLICE_NS])),
        st.tuples(st.just("close"), st.integers(0, 4)),
        st.tuples(st.just("open"), st.integers(0, 4)),
        st.tuples(st.just("begin_startup"), st.none()),
        st.tuples(st.just("end_startup"), st.none()),
    ),
    max_size=60,
)


def play(world: World, steps) -> dict[object, int]:
    """Carry out the steps; return when each message was posted."""
    posted: dict[object, int] = {}

    def post(index: int) -> int:
        number = len(posted)
        posted[number] = index
        world.core.post(world.routes[index], number)
        return number

    for step, value in steps:
        if step == "post":
            post(value)
        elif step == "react":
            # A handler that posts: the order comes from inside the dispatcher.
            world.reactions[post(value)] = lambda value=value: post(value)
        elif step == "serve":
            world.core.serve(value)
        elif step == "close":
            world.routes[value].is_open = False
        elif step == "open":
            world.routes[value].is_open = True
            world.core.release_held()
        else:
            getattr(world.core, step)()
    set_open(world, True)
    world.drain()
    return posted


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost_and_nothing_comes_twice(steps):
    world = World()
    posted = play(world, steps)
    assert sorted(world.messages) == list(posted)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_each_queue_is_first_in_first_out_whatever_happens(steps):
    world = World()
    play(world, steps)
    for route in world.routes:
        handled = [message for kind, message in world.log if kind == route.kind]
        assert handled == sorted(handled)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_order_flow_is_one_first_in_first_out_whatever_the_slices_and_starts(steps):
    steps = [step for step in steps if step[0] not in ("open", "close")]
    world = World()
    play(world, steps)
    handled = [message for kind, message in world.log if kind in ("command", "event")]
    assert handled == sorted(handled)


POSTS = st.tuples(st.sampled_from(["post", "react"]), st.integers(0, 4))
STARTS = st.tuples(st.sampled_from(["begin_startup", "end_startup"]), st.none())
SERVES = st.tuples(st.just("serve"), st.sampled_from([1, 60 * US, SLICE_NS]))


@given(
    st.lists(POSTS, max_size=20),
    st.lists(st.one_of(POSTS, POSTS, SERVES, STARTS), max_size=40),
    st.lists(st.integers(1, 1_000), min_size=1, max_size=8),
)
@settings(max_examples=500, deadline=None)
def test_every_lane_is_first_in_first_out_however_long_its_handlers_take(early, steps, costs_us):
    # Also when the trader has started before everything from before is served.
    world = World()
    world.cost_ns = lambda message: costs_us[message % len(costs_us)] * US
    play(world, [("begin_startup", None), *early, ("end_startup", None), *steps])
    for kinds in (("command", "event"), ("data", "instrument"), ("low",)):
        handled = [message for kind, message in world.log if kind in kinds]
        assert handled == sorted(handled)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_order_flow_keeps_its_order_when_all_of_it_stops_and_starts_together(steps):
    # As a node does: its engines stop and start together.
    world = World()
    count = 0
    for step, value in steps:
        if step in ("post", "react"):
            world.core.post(world.routes[value], count)
            count += 1
        elif step == "serve":
            world.core.serve(value)
        elif step in ("close", "open"):
            set_open(world, step == "open")
        else:
            getattr(world.core, step)()
    set_open(world, True)
    world.drain()
    for kinds in (("command", "event"), ("data", "instrument")):
        handled = [message for kind, message in world.log if kind in kinds]
        assert handled == sorted(handled)


@given(
    st.lists(st.integers(1, 400), min_size=3, max_size=3),
    st.sampled_from([0.01, 0.05, 0.2]),
)
@settings(max_examples=60, deadline=None)
def test_a_waiting_lane_gets_its_share_of_the_time_in_the_long_run(costs_us, min_share):
    world = World(min_share=min_share)
    routes = (world.commands, world.data, world.low)
    cost = {route.kind: us * US for route, us in zip(routes, costs_us, strict=True)}
    world.cost_ns = cost.__getitem__
    spent = saturate(world, routes, 3_000)
    total = sum(spent.values())
    # Beginning and end: what is owed is paid in pieces, and a handler is not interrupted.
    slack_ns = OWED_NS + 2 * max(cost.values())
    for kind in ("data", "low"):
        assert spent[kind] >= min_share * total - slack_ns, (kind, spent)


@given(st.lists(st.integers(1, 400), min_size=2, max_size=2))
@settings(max_examples=60, deadline=None)
def test_a_waiting_lane_gets_no_more_than_its_share_and_one_handler(costs_us):
    world = World()
    routes = (world.commands, world.data)
    cost = {route.kind: us * US for route, us in zip(routes, costs_us, strict=True)}
    world.cost_ns = cost.__getitem__
    spent = saturate(world, routes, 3_000)
    assert spent["data"] <= 0.06 * sum(spent.values()) + OWED_NS + 2 * max(cost.values())


def test_a_lane_with_one_slow_message_at_a_time_does_not_take_more_than_its_share():
    # The lane is empty while its only message is handled and for a moment after: the debt must
    # outlive that.
    world = World()
    world.cost_ns = {"slow": 10_000 * US, "fast": 10 * US}.__getitem__
    spent = {"command": 0, "data": 0}
    for turn in range(20_000):
        if not world.core.depth(DispatchLane.ORDER_FLOW):
            world.core.post(world.commands, "fast")
        if turn % 10 == 0 and not world.core.depth(DispatchLane.DATA):
            world.core.post(world.data, "slow")
        before_ns = world.clock.now_ns
        world.core.serve(1)
        spent[world.log[-1][0]] += world.clock.now_ns - before_ns
    assert spent["data"] <= 0.06 * sum(spent.values()) + 10_000 * US


def test_a_lane_that_did_not_wait_is_owed_nothing():
    world = World()
    for number in range(1_000):
        world.core.post(world.commands, number)
    world.drain()
    world.log.clear()
    world.core.post(world.data, "data")
    world.core.post(world.commands, "command")
    world.drain()
    assert world.messages == ["command", "data"]


# -- slices --------------------------------------------------------------------------------------


def test_a_slice_begins_no_message_after_its_end_and_handles_at_least_one():
    world = World()
    for number in range(100):
        world.core.post(world.data, number)
    assert world.core.serve(95 * US)
    assert len(world.log) == 10
    assert world.core.serve(0)
    assert len(world.log) == 11


def test_order_flow_that_arrives_during_a_slice_is_served_next():
    world = World()
    for number in range(10):
        world.core.post(world.data, number)
    world.reactions[2] = lambda: world.core.post(world.commands, "command")
    world.drain()
    assert world.messages.index("command") == 3


def longest(world: World) -> tuple:
    found = world.core.longest_handler
    return found.took_ns // US, found.route.kind, found.message_type


class Carries(Carrier):
    carried_type = "Carried"


@given(
    st.lists(
        st.tuples(st.sampled_from(["data", "instruments", "events", "low"]), st.integers(1, 900)),
        min_size=1,
    ),
    st.sampled_from([50 * US, SLICE_NS]),
)
def test_the_longest_handler_is_found_whatever_it_handles_and_wherever_it_stands(posts, slice_ns):
    world = World()
    costs = [us * 1_000 + number for number, (_, us) in enumerate(posts)]
    world.cost_ns = costs.__getitem__
    for number, (route, _) in enumerate(posts):
        world.core.post(getattr(world, route), number)
    while world.core.serve(slice_ns):
        pass
    number = costs.index(max(costs))
    kind = getattr(world, posts[number][0]).kind
    assert world.core.longest_handler.took_ns == costs[number]
    assert longest(world)[1:] == (kind, "int")


def test_a_handler_of_the_startup_is_not_the_longest_and_neither_is_what_is_held_back():
    world = World()
    assert world.core.longest_handler is None
    world.cost_ns = {"slow": 9_000 * US, "quick": 7 * US}.get
    world.core.begin_startup()
    world.core.post(world.data, "slow")
    world.drain()
    assert world.core.longest_handler is None
    world.core.end_startup()
    world.data.is_open = world.instruments.is_open = False
    for route in (world.data, world.instruments):
        for _ in range(100):
            world.core.post(route, "slow")
    world.core.post(world.low, None)
    world.core.post(world.events, "quick")
    world.drain()
    assert longest(world) == (7, "event", "str")


def test_the_longest_handler_names_what_a_message_carries():
    world = World()
    world.core.post(world.instruments, Carries())
    world.drain()
    assert longest(world) == (10, "instrument", "Carried")


def test_serve_returns_false_when_only_closed_routes_are_left():
    world = World()
    world.data.is_open = False
    world.core.post(world.data, 1)
    assert not world.core.serve(SLICE_NS)
    assert not world.core.has_work()
    assert world.core.depth(DispatchLane.DATA) == 1


# -- startup -------------------------------------------------------------------------------------


def test_what_came_before_the_end_of_startup_goes_first():
    world = World()
    world.core.begin_startup()
    world.core.post(world.data, "early data")
    world.core.end_startup()
    world.core.post(world.commands, "late command")
    world.drain()
    assert world.messages == ["early data", "late command"]


@pytest.mark.parametrize("late", ["data", "low"])
def test_what_came_before_the_end_of_startup_goes_first_however_long_it_takes(late):
    world = World()
    world.cost_ns = lambda _message: 1_000 * US
    world.core.begin_startup()
    for number in range(10):
        world.core.post(world.data if number % 2 else world.low, number)
    world.core.end_startup()
    world.core.post(getattr(world, late), 10)
    world.drain()
    assert world.messages == list(range(11))


def test_what_startup_took_is_owed_to_nobody():
    world = World()
    world.core.begin_startup()
    for number in range(1_000):
        world.core.post(world.instruments, number)
    world.core.end_startup()
    for number in range(100):
        world.core.post(world.data, f"data {number}")
    while world.core.depth(DispatchLane.STARTUP):
        world.core.serve(SLICE_NS)
    world.core.post(world.commands, "command")
    world.log.clear()
    world.drain()
    assert world.messages.index("command") == 0


def test_what_was_held_back_since_startup_goes_before_what_the_last_slice_led_to():
    world = World()
    world.instruments.is_open = False
    world.core.begin_startup()
    world.core.post(world.instruments, "early")
    world.drain()
    world.core.end_startup()
    # A tick whose slice is over when it has led to another message of the same queue.
    world.cost_ns = lambda _message: 2 * SLICE_NS
    world.reactions["tick"] = lambda: world.core.post(world.instruments, "late")
    world.core.post(world.data, "tick")
    assert world.core.serve(SLICE_NS)
    world.instruments.is_open = True
    world.core.release_held()
    world.drain()
    assert world.messages == ["tick", "early", "late"]


def test_startup_that_ends_inside_a_handler_has_slices_from_then_on():
    world = World()
    world.core.begin_startup()
    for number in range(1_000):
        world.core.post(world.data, number)
    world.reactions[500] = world.core.end_startup
    assert world.core.serve(SLICE_NS)
    assert len(world.log) == 501


def test_an_order_event_left_from_before_a_second_start_is_served_before_its_commands():
    world = World()
    for route in world.routes:
        route.is_open = False
    world.core.post(world.data, "old data")
    world.core.post(world.events, "old event")
    world.drain()
    world.core.begin_startup()
    for route in world.routes:
        route.is_open = True
    world.core.release_held()
    world.core.post(world.commands, "new command")
    world.drain()
    assert world.messages.index("old event") < world.messages.index("new command")
    assert world.messages.index("old data") < world.messages.index("new command")


# -- closed routes and sentinels -----------------------------------------------------------------


@pytest.mark.parametrize("in_startup", [False, True])
def test_what_a_closed_route_held_back_goes_before_what_came_later(in_startup):
    world = World()
    if in_startup:
        world.core.begin_startup()
    world.data.is_open = False
    for number in range(3):
        world.core.post(world.data, number)
        world.core.post(world.instruments, f"other {number}")
    world.drain()
    assert world.messages == ["other 0", "other 1", "other 2"]
    world.core.post(world.data, 3)
    world.data.is_open = True
    world.core.release_held()
    world.drain()
    assert world.messages[3:] == [0, 1, 2, 3]


def test_the_sentinel_stops_at_its_place_and_only_its_own_route():
    world = World()
    world.core.post(world.commands, 1)
    world.core.post(world.commands, None)
    world.core.post(world.commands, 2)
    world.core.post(world.events, 3)
    world.drain()
    assert world.messages == [1, 3]
    assert world.commands.closed == 1
    assert world.core.depth(DispatchLane.ORDER_FLOW) == 1


def test_a_handler_that_raises_keeps_the_rest_and_the_figures():
    world = World()
    world.reactions[1] = _interrupt
    for number in range(3):
        world.core.post(world.data, number)
    with pytest.raises(KeyboardInterrupt):
        world.core.serve(SLICE_NS)
    assert world.core.served[DispatchLane.DATA] == 2
    world.drain()
    assert world.messages == [0, 1, 2]
    assert world.core.served[DispatchLane.DATA] == 3


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_depth_counts_messages_and_not_their_routes():
    world = World()
    for lane_route in (world.commands, world.data, world.low):
        world.core.post(lane_route, 1)
        world.core.post(lane_route, 2)
    assert [world.core.depth(lane) for lane in WAITING_LANES] == [2, 2, 2]


def test_after_order_flow_the_slice_ends_soon_but_data_gets_a_part_of_it():
    world = World()
    for number in range(100):
        world.core.post(world.data, number)
    world.core.post(world.commands, "command")
    assert world.core.serve(SLICE_NS)
    assert world.messages == ["command", *range(AFTER_ORDER_FLOW_NS // (10 * US))]
    begin_ns = world.clock.now_ns
    assert world.core.serve(SLICE_NS)
    assert world.clock.now_ns - begin_ns == SLICE_NS


# -- what a message leads to -----------------------------------------------------------------------


def leads_to_an_order_and_a_bar(world) -> None:
    world.core.post(world.commands, "order")
    world.core.post(world.instruments, "bar")


def test_without_a_backlog_the_bar_of_a_tick_comes_before_the_order_of_the_tick():
    world = World()
    world.reactions["tick"] = lambda: leads_to_an_order_and_a_bar(world)
    world.reactions["bar"] = lambda: world.core.post(world.data, "bar of bars")
    world.core.post(world.data, "tick")
    world.drain()
    assert world.messages == ["tick", "bar", "bar of bars", "order"]


def test_behind_a_backlog_the_order_of_a_tick_comes_before_its_bar():
    world = World()
    world.reactions["tick"] = lambda: leads_to_an_order_and_a_bar(world)
    for message in ("tick", "next tick"):
        world.core.post(world.data, message)
    world.drain()
    assert world.messages == ["tick", "order", "next tick", "bar"]


@pytest.mark.parametrize("bars", [1, 3])
def test_the_bars_of_a_tick_come_before_its_order_also_when_its_handlers_outlast_a_slice(bars):
    world = World()
    world.cost_ns = lambda _message: 2 * SLICE_NS

    def lead() -> None:
        world.core.post(world.commands, "order")
        for number in range(bars):
            world.core.post(world.instruments, f"bar {number}")

    world.reactions["tick"] = lead
    world.core.post(world.data, "tick")
    assert world.core.serve(SLICE_NS)
    # Between two slices the event loop had its turn.
    world.core.post(world.events, "event")
    world.drain()
    assert world.messages == ["tick", *(f"bar {n}" for n in range(bars)), "order", "event"]


def test_what_a_slice_left_goes_first_up_to_a_bound():
    world = World()
    world.cost_ns = lambda message: 2 * SLICE_NS if message == "tick" else US

    def lead() -> None:
        world.core.post(world.commands, "order")
        for number in range(1_000):
            world.core.post(world.data, number)

    world.reactions["tick"] = lead
    world.core.post(world.data, "tick")
    assert world.core.serve(SLICE_NS)
    world.core.post(world.events, "event")
    world.drain()
    assert world.messages[1 + MAX_FOLLOW_UPS :][:2] == ["order", "event"]
    assert len(world.messages) == 1_003


@pytest.mark.parametrize("follow_ups", [1, 3, 1_000])
@pytest.mark.parametrize("route", ["data", "low"])
def test_an_order_event_that_comes_between_slices_waits_for_nothing_that_a_slice_left(
    route, follow_ups
):
    # No order of the tick's own waited when the slice ended, so nothing is to come before one.
    world = World()
    world.cost_ns = lambda _message: 2 * SLICE_NS
    lane = getattr(world, route)
    world.reactions["tick"] = lambda: [world.core.post(lane, n) for n in range(follow_ups)]
    world.core.post(lane, "tick")
    assert world.core.serve(SLICE_NS)
    world.core.post(world.events, "event")
    world.drain()
    assert world.messages[:2] == ["tick", "event"]


def test_an_order_event_that_comes_between_slices_stays_behind_an_order_that_waited():
    # The slice ends before the second bar of the tick; the first one has led to an order.
    world = World()
    world.cost_ns = lambda message: 2 * SLICE_NS if message == "bar 0" else US
    world.reactions["tick"] = lambda: [
        world.core.post(world.instruments, f"bar {n}") for n in range(2)
    ]
    world.reactions["bar 0"] = lambda: world.core.post(world.commands, "order")
    world.core.post(world.data, "tick")
    assert world.core.serve(SLICE_NS)
    world.core.post(world.events, "event")
    world.drain()
    assert world.messages == ["tick", "bar 0", "bar 1", "order", "event"]


def test_a_chain_without_end_holds_up_order_flow_for_a_slice_and_the_bound():
    world = World()

    def lead_to_another() -> None:
        number = len(world.log)
        if number == 1:
            world.core.post(world.commands, "order")
        if number < 500:
            world.reactions[number] = lead_to_another
            world.core.post(world.data, number)

    world.reactions["tick"] = lead_to_another
    world.core.post(world.data, "tick")
    world.drain()
    assert world.messages.index("order") == SLICE_NS // (10 * US) + MAX_FOLLOW_UPS
    assert len(world.messages) == len(set(world.messages)) == 500


class StallingClock(FakeClock):
    """The system takes the processor away, for longer than a slice, when it is asked the time."""

    def __init__(self, stalls) -> None:
        super().__init__()
        self.stalls = iter(stalls)

    def __call__(self) -> int:
        self.now_ns += 2 * SLICE_NS if next(self.stalls, False) else 0
        return self.now_ns


# Who leads to what: each message names one before it, and is market data or of an order. What an
# order leads to is of an order.
LED_TO = st.lists(st.tuples(st.integers(0, 1_000), st.booleans()), max_size=40)


def children_of(led_to) -> tuple[dict[int, list[int]], set[int]]:
    """Return what each message leads to, and which of them are market data; 0 is the tick."""
    children: dict[int, list[int]] = {0: []}
    data = {0}
    for number, (choice, is_data) in enumerate(led_to, 1):
        parent = choice % number
        children[number] = []
        children[parent].append(number)
        if is_data and parent in data:
            data.add(number)
    return children, data


def as_on_stock(children, data) -> list[int]:
    """Return the order of a bus on which the task of market data empties its queue first."""
    order: list[int] = []
    waiting, orders = deque([0]), deque()
    while waiting or orders:
        message = waiting.popleft() if waiting else orders.popleft()
        order.append(message)
        for child in children[message]:
            (waiting if child in data else orders).append(child)
    return order


@given(LED_TO, st.lists(st.booleans(), max_size=120))
@settings(max_examples=500)
def test_without_a_backlog_the_order_is_stock_s_wherever_slices_end(led_to, stalls):
    world = World()
    world.clock = StallingClock(stalls)
    world.core = DispatchCore(world.clock, 0.05)
    world.core.bulk = world.data
    children, data = children_of(led_to)

    def post(number: int) -> None:
        world.reactions[number] = lambda: [post(child) for child in children[number]]
        world.core.post(world.data if number in data else world.commands, number)

    post(0)
    world.drain()
    assert world.messages == as_on_stock(children, data)


@pytest.mark.parametrize("first", ["commands", "data"])
def test_a_chain_without_end_leaves_those_behind_it_their_share(first):
    world = World()
    route, kind = getattr(world, first), {"commands": "command", "data": "data"}[first]
    spent = {kind: 0, "low": 0}

    def go_on() -> None:
        number = len(world.log)
        world.reactions[number] = go_on
        world.core.post(route, number)

    world.reactions["begin"] = go_on
    world.core.post(route, "begin")
    for number in range(100_000):
        world.core.post(world.low, f"low {number}")
    while len(world.log) < 20_000:
        world.core.serve(SLICE_NS)
    for served, _ in world.log:
        spent[served] += 10 * US
    assert spent["low"] >= 0.05 * sum(spent.values()) - OWED_NS - SLICE_NS


# -- the bulk route ------------------------------------------------------------------------------


@given(
    st.lists(
        st.sampled_from(
            ["data", "instruments", "events", "low", "sentinel", "serve", "close", "open", "start"]
        ),
        max_size=60,
    )
)
def test_the_depth_of_the_bulk_is_what_was_posted_and_not_handled(steps):
    world = World()
    posted = 0
    for number, step in enumerate(steps):
        if step == "serve":
            world.core.serve(25 * US)
        elif step == "close":
            world.data.is_open = False
        elif step == "open":
            world.data.is_open = True
            world.core.release_held()
        elif step == "start":
            (world.core.end_startup if world.core.in_startup else world.core.begin_startup)()
        elif step == "sentinel":
            world.core.post(world.low, None)
            world.low.is_open = True
        else:
            world.core.post(getattr(world, step), number)
            posted += step == "data"
        handled = sum(kind == "data" for kind, _ in world.log)
        assert world.core.bulk_depth == posted - handled
        assert world.data.handled == handled
        assert world.core.bulk_depth_max <= posted


def test_the_sentinel_of_the_bulk_stops_it_at_its_place():
    world = World()
    for message in (1, None, 2):
        world.core.post(world.data, message)
    world.drain()
    assert world.messages == [1]
    assert world.data.closed == 1
    assert world.core.bulk_depth == 1


def test_the_oldest_data_of_a_lane_can_be_looked_at_whatever_stands_before_it():
    world = World()
    assert world.core.oldest_data_in(DispatchLane.DATA) is None
    world.core.post(world.instruments, "enveloped")
    world.core.post(world.data, "bare")
    assert world.core.oldest_data_in(DispatchLane.DATA) == "enveloped"
    world.core.serve(1)
    assert world.core.oldest_data_in(DispatchLane.DATA) == "bare"
    world.core.begin_startup()
    assert world.core.oldest_data_in(DispatchLane.DATA) is None
    world.drain()
    for route, message in ((world.events, "event"), (world.low, None)):
        world.core.post(route, message)
    assert world.core.oldest_data_in(DispatchLane.STARTUP) is None
    world.core.post(world.low, "demoted")
    assert world.core.oldest_data_in(DispatchLane.STARTUP) == "demoted"
