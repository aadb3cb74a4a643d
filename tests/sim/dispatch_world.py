"""
One dispatcher with the queues of a node's engines, and all that happens to it, by one integer.

Dispatcher, lanes and queues are the real ones. Time, the event loop, the threads that post and
the engines are simulated. Another thread comes in where a post has just appended, where the
dispatcher's flag is taken or given up, and between two messages.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections import deque
from random import Random
from typing import TYPE_CHECKING
from typing import Any

from virtual_time import Found

from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import DispatchSettings
from nautilus_enhanced.live.data_queue import DataQueue
from nautilus_enhanced.live.dispatcher import PriorityDispatcher
from nautilus_enhanced.live.queues import EngineQueue
from nautilus_enhanced.live.scheduling import OWED_NS
from nautilus_enhanced.live.scheduling import DispatchLane


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Coroutine


US = 1_000
_READ_NS = 50
WAITING = (DispatchLane.DATA, DispatchLane.LOW)


class Message:
    """A message: when it was posted, to which queue, and what its handler does."""

    __slots__ = (
        "cost_ns",
        "follow_ups",
        "followed_ns",
        "lane",
        "may_follow",
        "number",
        "place",
        "posted_ns",
        "queue",
        "run",
        "was_first",
    )

    def __init__(self, queue: str, lane: DispatchLane, cost_ns: int, follow_ups: list[str]) -> None:
        self.queue = queue
        # The lane that its queue chooses, and where it stands.
        self.lane = self.place = lane
        self.cost_ns = cost_ns
        self.follow_ups = follow_ups
        self.number = 0
        self.posted_ns = 0
        self.run = 0
        self.was_first = False
        # Whether it may count as a part of a message that is handled: it found no backlog.
        self.may_follow = False
        self.followed_ns = 0

    def __repr__(self) -> str:
        return f"message {self.number} of {self.queue}"

    @property
    def ts_init(self) -> int:
        return self.posted_ns


class Loop:
    """Stands in for the event loop: turns, in each of which runs what was ready before."""

    def __init__(self) -> None:
        self.ready: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self.turns = 0

    def get_debug(self) -> bool:
        return False

    def create_future(self) -> asyncio.Future[None]:
        return asyncio.Future(loop=self)

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> None:
        self.ready.append((callback, args))

    call_soon_threadsafe = call_soon

    def turn(self) -> None:
        self.turns += 1
        for _ in range(len(self.ready)):
            callback, args = self.ready.popleft()
            asyncio._set_running_loop(self)
            try:
                callback(*args)
            finally:
                asyncio._set_running_loop(None)


class Flag:
    """
    Stands in for the lock that says that a drain is scheduled; others come in around it.

    Parameters
    ----------
    others : Callable[[], None]
        Has other threads do what they are to do by now.
    is_late : Callable[[], None]
        Takes the processor from the thread that gives the lock up, if others want it.
    """

    def __init__(self, others: Callable[[], None], is_late: Callable[[], None]) -> None:
        self._others = others
        self._is_late = is_late
        self._is_taken = False

    def acquire(self, _: bool) -> bool:
        self._others()
        was_taken, self._is_taken = self._is_taken, True
        self._others()
        return not was_taken

    def release(self) -> None:
        self._is_late()
        self._is_taken = False
        self._others()

    def locked(self) -> bool:
        self._others()
        return self._is_taken


class Log:
    """Stands in for an engine's logger."""

    def debug(self, _: str) -> None:
        """Say nothing."""

    warning = debug


class Engine:
    """Stands in for the engines: one handler, and their policy about exceptions."""

    # Else the process would end with the first.
    graceful_shutdown_on_exception = True

    def __init__(self, world: DispatchWorld) -> None:
        self._log = Log()
        self._clock = self
        self._world = world
        self.failures = 0

    def timestamp_ns(self) -> int:
        return self._world.now_ns

    def _handle(self, message: Message) -> None:
        self._world.handle(message)

    _handle_data = _handle

    def _handle_queue_exception(self, error: Exception, kind: str) -> None:
        self.failures += 1


# The queues of a node: name and lanes.
QUEUES = {
    "risk commands": (DispatchLane.ORDER_FLOW,),
    "execution commands": (DispatchLane.ORDER_FLOW, DispatchLane.LOW),
    "execution events": (DispatchLane.ORDER_FLOW, DispatchLane.LOW),
    "data requests": (DispatchLane.DATA,),
    "data": (DispatchLane.DATA,),
}
# Who uses the lanes that may have to wait.
USERS = {lane: [name for name, lanes in QUEUES.items() if lane in lanes] for lane in WAITING}


class DispatchWorld:
    """
    A dispatcher, five queues, and the threads that post to them.

    Parameters
    ----------
    seed : int
        Decides everything.
    trace : list[str], optional
        Gets a line for each thing that happens.
    """

    def __init__(self, seed: int, trace: list[str] | None = None) -> None:
        rng = self.rng = Random(seed)
        self.trace = trace
        self.now_ns = 1_000_000_000
        self.loop = Loop()
        self.engine = Engine(self)
        self.settings = DispatchSettings(
            slice_us=rng.choice([50, 250, 500]), min_share=rng.choice([0.05, 0.05, 0.2])
        )
        self.has_started = rng.random() < 0.6
        self._began_unstarted = not self.has_started
        self.costs_us = rng.choice([(1, 5), (1, 40), (5, 300)])
        # Enough order flow for what the other lanes are owed to be more than they may wait.
        self.is_flooded = self.costs_us == (1, 5) and rng.random() < 0.1
        if self.is_flooded:
            self.settings = DispatchSettings(min_share=0.2)
        self.dispatcher = PriorityDispatcher(
            self.loop, self.settings, lambda: self.has_started, self.clock_ns
        )
        self.core = self.dispatcher._core
        flag = self.dispatcher._scheduled = Flag(self._others_act, self._lose_processor)
        self.dispatcher.is_scheduled = flag.locked
        self.maxsize = rng.choice([10_000, 10_000, 4])
        self.queues = {name: self._queue(name, lanes) for name, lanes in QUEUES.items()}
        self.longest_ns = self.costs_us[1] * US
        self.has_follow_ups = rng.random() < 0.5
        self.fails = rng.random() < 0.2
        # What is to be done, by whoever, at a time or soon after it.
        self._acts: list[tuple[int, Callable[[], None]]] = []
        self._depth = 0
        self._lost_ns = 0
        self._runs: dict[str, list[Coroutine[Any, Any, None]]] = defaultdict(list)
        self._openings: defaultdict[str, int] = defaultdict(int)
        self._posted = self._handled = self._offered = 0
        self._last: defaultdict[Any, int] = defaultdict(int)
        # Messages that no message in front of them counts as its part, and what the others took.
        self._backlog = dict.fromkeys(WAITING, 0)
        self._followed_ns = 0
        # Of the time since a lane waits: how much there was, and how much it got.
        self._spent = {lane: [0, 0] for lane in WAITING}
        self._has_paused = False
        self._plan()

    def say(self, *words: Any) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.now_ns / US:14.2f} {' '.join(map(str, words))}")

    def _queue(self, name: str, lanes: tuple[DispatchLane, ...]) -> EngineQueue:
        if name == "data":
            return DataQueue(
                self.engine,
                qname=name,
                kind=name,
                dispatcher=self.dispatcher,
                maxsize=self.maxsize,
            )
        return EngineQueue(
            self.engine,
            qname=name,
            handler="_handle",
            kind=name,
            lanes=lanes,
            dispatcher=self.dispatcher,
            maxsize=self.maxsize,
            never_refuses=DispatchLane.ORDER_FLOW in lanes,
            choose_lane=(lambda message: message.lane) if len(lanes) > 1 else None,
        )

    def _plan(self) -> None:
        rng = self.rng
        horizon_ns = rng.choice([300, 2_000, 20_000]) * US
        begin_ns = self.now_ns
        for name in QUEUES:
            self._on_loop_at(begin_ns + rng.choice([0, 0, horizon_ns // 4]), self._start, name)
        if not self.has_started:
            self._on_loop_at(begin_ns + rng.randrange(horizon_ns), self._trader_starts)
        if self.is_flooded:
            for name in ["data", "execution events"] + 350 * ["risk commands"]:
                self._at(begin_ns + horizon_ns, self._post, name)
        for _ in range(rng.randint(2, 8)):
            name = rng.choice(list(QUEUES))
            size = rng.choice([1, 1, 2, 6, 30])
            at_ns = begin_ns + rng.randrange(horizon_ns)
            gap_ns = rng.choice([0, 0, 1, 20]) * US
            for number in range(size):
                self._at(at_ns + number * gap_ns, self._post, name)
        for _ in range(rng.choice([0, 0, 1, 2])):
            name = rng.choice(list(QUEUES))
            at_ns = begin_ns + rng.randrange(horizon_ns)
            self._on_loop_at(at_ns, rng.choice([self._stop, self._stop, self._halt]), name)
            if rng.random() < 0.8:
                self._on_loop_at(at_ns + rng.choice([0, 10, 1_000]) * US, self._start, name)
        self._acts.sort(key=lambda act: -act[0])

    def _at(self, at_ns: int, do: Callable[..., None], *args: Any) -> None:
        """Have a thread do something at a time."""
        self._acts.append((at_ns, lambda: do(*args)))

    def _on_loop_at(self, at_ns: int, do: Callable[..., None], *args: Any) -> None:
        """Have the event loop do something at a time."""
        self._at(at_ns, self.loop.call_soon_threadsafe, do, *args)

    # -- what happens ----------------------------------------------------------------------------

    def clock_ns(self) -> int:
        """Tell the time to the dispatcher; between two messages other threads act."""
        self.now_ns += _READ_NS
        self._others_act()
        return self.now_ns

    def _others_act(self) -> None:
        """Have other threads do what they are to do by now, at most two within each other."""
        while self._acts and self._acts[-1][0] <= self.now_ns and self._depth < 2:
            if self._depth and self.rng.random() < 0.5:
                return
            _, do = self._acts.pop()
            self._depth += 1
            running = asyncio._get_running_loop()
            asyncio._set_running_loop(None)
            try:
                do()
            finally:
                asyncio._set_running_loop(running)
                self._depth -= 1

    def _lose_processor(self) -> None:
        """Let somebody act who would have acted soon."""
        if self._acts and self.rng.random() < 0.5:
            soon_ns = self._acts[-1][0] - self.now_ns
            if 0 < soon_ns <= 50 * US:
                self.now_ns += soon_ns
                self._lost_ns += soon_ns
        self._others_act()

    def _post(self, name: str) -> None:
        rng = self.rng
        lanes = QUEUES[name]
        lane = lanes[-1] if rng.random() < 0.3 else lanes[0]
        cost_ns = rng.randint(*self.costs_us) * US
        follow_ups = []
        if self.has_follow_ups and rng.random() < 0.2:
            follow_ups = rng.choices(list(QUEUES), k=rng.choice([1, 1, 3]))
        self._enqueue(Message(name, lane, cost_ns, follow_ups))

    def _enqueue(self, message: Message) -> None:
        queue = self.queues[message.queue]
        self._offered += 1
        message.posted_ns = self.now_ns - self._lost_ns
        is_open = queue.is_open
        message.run = self._openings[message.queue] if is_open else -1
        if self.dispatcher.in_startup and not self.has_started:
            message.place = DispatchLane.STARTUP
        elif message.lane is DispatchLane.ORDER_FLOW and is_open:
            ahead = (DispatchLane.STARTUP, DispatchLane.ORDER_FLOW)
            message.was_first = not any(map(self.core.depth, ahead))
        elif message.place in WAITING:
            backlog = self._backlog[message.place]
            message.may_follow = not (backlog and self.core._lanes[message.place])
            self._backlog[message.place] += not message.may_follow
        message.followed_ns = self._followed_ns
        self._posted += 1
        message.number = self._posted
        queue.enqueue(message)

    def _trader_starts(self) -> None:
        self.say("the trader starts")
        self.has_started = True

    def _start(self, name: str) -> None:
        self.say("start", name)
        self._openings[name] += 1
        self._has_paused = True
        coroutine = self.queues[name].run()
        coroutine.send(None)
        self._runs[name].append(coroutine)

    def _stop(self, name: str) -> None:
        self.say("stop", name)
        self._openings[name] += 1
        self.queues[name].put_nowait(None)

    def _halt(self, name: str) -> None:
        self.say("halt", name)
        self._openings[name] += 1
        self._has_paused = True
        self.queues[name].halt()

    def handle(self, message: Message) -> None:
        """Do what a handler does, and check that it is this message's turn."""
        self.say("handle", message, message.place.name)
        self._check_turn(message)
        self._handled += 1
        self.now_ns += message.cost_ns
        if message.may_follow:
            self._followed_ns += message.cost_ns + US
        elif message.place in WAITING:
            self._backlog[message.place] -= 1
        for name in message.follow_ups:
            self._post_follow_up(name)
        self._note_served(message)
        if self.fails and self.rng.random() < 0.1:
            raise ValueError("a mistake of a handler")

    def _post_follow_up(self, name: str) -> None:
        lanes = QUEUES[name]
        cost_ns = self.rng.randint(*self.costs_us) * US
        self._enqueue(Message(name, lanes[0], cost_ns, []))

    # -- checks ----------------------------------------------------------------------------------

    def _check_turn(self, message: Message) -> None:
        if asyncio._get_running_loop() is not self.loop:
            raise Found(f"{message} is handled where handlers must not run")
        # What a closed queue holds back comes in its old order, but behind others.
        was_held = message.run != self._openings[message.queue]
        for where in (message.place, (message.queue, message.lane)):
            is_lane = where is message.place
            if message.number < self._last[where] and not (is_lane and was_held):
                raise Found(f"{message} comes behind number {self._last[where]} of {where}")
            self._last[where] = max(self._last[where], message.number)
        if message.was_first and not was_held and not self._began_unstarted:
            waited_ns = self.now_ns - self._lost_ns - message.posted_ns
            # What counts as a part of a message goes before it, and what the others are owed.
            allowed_ns = self.settings.slice_us * US + 3 * (self.longest_ns + US)
            allowed_ns += self._followed_ns - message.followed_ns
            if waited_ns > allowed_ns:
                raise Found(f"{message} waited for {waited_ns / US} us, not {allowed_ns / US}")

    def _note_served(self, message: Message) -> None:
        """Check that each lane that waits gets its share of the time."""
        share = self.settings.min_share
        # What it is owed comes in pieces, and what it got too much before is paid back.
        # Order flow is not interrupted within a slice.
        slack_ns = OWED_NS + 3 * (self.longest_ns + US) + self._followed_ns
        slack_ns += share * self.settings.slice_us * US
        for lane, spent in self._spent.items():
            # Nothing is owed while what came before the trader's start is served.
            lanes, is_early = self.core._lanes, message.place is DispatchLane.STARTUP
            waits = lanes[lane] and all(self.queues[name].is_open for name in USERS[lane])
            if not waits or self.core.in_startup or self._has_paused or is_early:
                spent[:] = 0, 0
                continue
            spent[0] += message.cost_ns
            spent[1] += message.cost_ns if message.place is lane else 0
            if spent[1] < share * spent[0] - slack_ns:
                raise Found(f"{lane.name} got {spent[1] / US} us of {spent[0] / US}")

    # -- running it ------------------------------------------------------------------------------

    def run(self) -> None:
        """Live through it; raises `Found` if anything is not as it should be."""
        loop, core = self.loop, self.core
        for _ in range(20_000):
            self._others_act()
            self._check_slices()
            if loop.ready:
                self.now_ns += US
                loop.turn()
                self._has_paused = False
            elif core.has_work():
                raise Found("messages wait and nobody is going to serve them")
            elif self._acts:
                self.now_ns = max(self.now_ns, self._acts[-1][0])
            else:
                break
        else:
            raise Found("it goes on and on")
        self._check_end()

    def _check_slices(self) -> None:
        if self._began_unstarted:
            # Startup knows no slices, and may end within one.
            return
        slice_ns = self.settings.slice_us * US
        pieces = 1 + self.has_follow_ups
        if self.core.longest_slice_ns > slice_ns + pieces * (self.longest_ns + 4 * US):
            raise Found(f"a slice took {self.core.longest_slice_ns / US} us")

    def _check_end(self) -> None:
        statistics = self.dispatcher.statistics()
        refused = sum(queue.refused for queue in statistics.queues)
        queued = sum(queue.queued for queue in statistics.queues)
        handled = sum(queue.handled for queue in statistics.queues)
        if handled != self._handled or self._offered != handled + queued + refused:
            raise Found(f"{self._offered} were posted, handled {self._handled}: {statistics}")
        for name, queue in self.queues.items():
            if queue.is_open and queue.queued:
                raise Found(f"{name} is open and holds {queue.queued}")
        if refused and self.maxsize > 1_000:
            raise Found(f"{refused} were refused")
        for runs in self._runs.values():
            for coroutine in runs:
                coroutine.close()
