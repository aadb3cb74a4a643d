"""
One client and all that happens to it, decided by one integer.

The client, its lanes, writer, delivery and connection are the real ones. Time, the network, the
server and the threads that publish are simulated, in the thread of the test.
"""

from __future__ import annotations

import atexit
from collections import deque
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING
from typing import Any
from unittest import mock

import troubles
from callers import Caller
from ledger import Ledger
from model_redis import ModelServer
from network import Link
from network import connector
from virtual_time import MS
from virtual_time import Event
from virtual_time import Found
from virtual_time import S
from virtual_time import Thread
from virtual_time import Timeline
from virtual_time import Tokens

from nautilus_enhanced.infrastructure.messagebus import client as client_module
from nautilus_enhanced.infrastructure.messagebus.client import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus.errors import BufferFullError
from nautilus_enhanced.infrastructure.messagebus.errors import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import FlushGoal
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import LaneSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishingSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishRule
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import UrgentLaneSettings
from nautilus_enhanced.infrastructure.messagebus.settings.streams import StreamSettings


if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane


TOPICS = {
    "events.order.S-1": MessagePriority.HIGH,
    "commands.trading": MessagePriority.CRITICAL,
    "data.quotes.BINANCE.BTCUSDT": MessagePriority.NORMAL,
    "data.trades.BINANCE.ETHUSDT": MessagePriority.NORMAL,
    "snapshots.position": MessagePriority.LOW,
}

# Publishing must go on within this time of the server's answering.
RESUMES_NS = 2 * S
# Attempts to connect in a second: the pauses are 25, 50, 100 ... ms on average.
MOST_ATTEMPTS = 25
# Requests in a second, beyond those that messages need.
MOST_SENDS = 120


class World:
    """
    A client, a server and their troubles.

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
        self.time = Timeline(rng, preempted=rng.choice([0.0, 0.01, 0.05]))
        self.ledger = Ledger()
        self.server = ModelServer(self.ledger)
        self.links: list[Link] = []
        self.on_thaw: list[Callable[[], None]] = []
        # Of the network.
        self._latency_ns = rng.choice([50_000, 200_000, 1 * MS, 4 * MS])
        self.splits_answers = rng.random() < 0.2
        self.drops_packets = self.refuses_connections = self.is_down = False
        self.response_timeout_ns = rng.choice([300, 1_000, 5_000]) * MS
        self.connect_timeout_ns = rng.choice([100, 1_000]) * MS
        self._troubles: deque[Callable[[Link, bytes], None]] = deque()
        self.quick_follow_up: Callable[[], None] | None = None
        # What the world did, which decides what is allowed.
        self.may_reject = False
        self.may_not_know = False
        self.is_cut_short = False
        self.conditions = 0
        self._is_over = False
        self._is_healed = False
        self._settled_before = 0
        self._attempts: deque[int] = deque()
        self._sends: deque[int] = deque()
        self._number = 0
        self._callers: list[Caller] = []
        self._goals: list[tuple[FlushGoal, Lane, list[Caller]]] = []
        self.loss = rng.choice(["nothing", "nothing", "tail", "everything"])
        self._make_server()
        self._make_client()
        self._plan()

    def say(self, *words: Any) -> None:
        if self.trace is not None:
            at_s = (self.time.now_ns - 1_000 * S) / S
            self.trace.append(f"{at_s:12.6f} {' '.join(map(str, words))}")

    # -- making it -------------------------------------------------------------------------------

    def _make_server(self) -> None:
        rng, server = self.rng, self.server
        server.version = 6 if rng.random() < 0.1 else 7
        self.levels = ["accepted"]
        if rng.random() < 0.15:
            server.has_aof = True
            server.replicas = rng.randint(0, 2)
            self.levels += ["fsynced", "replicated"]
        if rng.random() < 0.15:
            # For the whole run; what may be forbidden for a while is among the troubles.
            names = rng.choice([(b"client|kill",), (b"client|id",), (b"info", b"client|kill")])
            server.forbidden.update(names)
        self.may_kill = not server.forbidden

    def _make_client(self) -> None:
        rng = self.rng
        urgent = self._lane(UrgentLaneSettings, rng.choice([0, 0, 0, 1]))
        others = [self._lane(LaneSettings, rng.choice([0, 10, 10, 100])) for _ in range(2)]
        heartbeat = 1 if rng.random() < 0.05 else None
        self.ledger.has_heartbeats = heartbeat is not None
        rules = PublishRule(pattern="data.quotes.*", max_per_second=rng.choice([5.0, 100.0]))
        self.topics = dict(rng.sample(sorted(TOPICS.items()), rng.randint(1, 4)))
        self.naming = StreamNaming(trader_id="T", stream_per_topic=rng.random() < 0.8)
        self.keys = sorted({self.naming.key(topic).encode() for topic in self.topics})
        samples = rng.random() < 0.1
        if samples and not self.naming.stream_per_topic:
            # What is held comes behind newer messages of other topics.
            self.ledger.disordered.update(self.keys)
        with mock.patch.object(client_module, "Connector", connector(self)):
            self.client = BufferedMessageBusClient(
                "redis://simulated",
                naming=self.naming,
                buffers=BufferSettings(
                    critical=urgent, high=urgent, normal=others[0], low=others[1]
                ),
                publishing=PublishingSettings(rules=(rules,)) if samples else None,
                streams=StreamSettings(
                    batch_messages=rng.choice([1, 4, 16, 64, 256]),
                    batch_bytes=rng.choice([1_024, 262_144]),
                    ack_timeout_ms=rng.choice([100, 2_000]),
                ),
                connection=ConnectionSettings(
                    response_timeout_ms=self.response_timeout_ns // MS,
                    connect_timeout_ms=self.connect_timeout_ns // MS,
                ),
                autotrim_mins=1 if rng.random() < 0.05 else None,
                heartbeat_interval_secs=heartbeat,
                clock=self.time,
            )
        writer = self.writer = self.client._writer
        self.thread = writer._thread = Thread()
        writer._abort = Event(self.time)
        writer._bell._tokens = Tokens(self.time)
        writer._backoff._rng = rng
        self.lanes = self.client._buffers.lanes

    def _lane(self, kind: type[LaneSettings], interval_ms: int) -> LaneSettings:
        rng = self.rng
        overflow = rng.choice(["refuse", "drop_oldest"])
        if rng.random() < 0.2:
            return kind(
                flush_interval_ms=interval_ms,
                max_messages=rng.randint(1, 30),
                max_bytes=rng.choice([1_024, 100_000]),
                overflow=overflow,
            )
        return kind(flush_interval_ms=interval_ms, overflow=overflow)

    def _plan(self) -> None:
        """Decide who publishes when, and what goes wrong when."""
        rng = self.rng
        horizon_ns = rng.choice([200, 1_000, 3_000]) * MS
        for _ in range(rng.randint(1, 7)):
            size = rng.choice([1, 1, 2, 4, 12, 40])
            self.time.after(rng.randrange(horizon_ns), self._burst, size)
        for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 5])):
            trouble = rng.choices(troubles.ALL, troubles.WEIGHTS)[0]
            self.time.after(rng.randrange(horizon_ns), self._act, trouble)
        if self.client._writer._trim.max_age_ms and rng.random() < 0.5:
            # Long enough for a second trim.
            self.time.after(61 * S, self._burst, 3)
            horizon_ns = 62 * S
        if rng.random() < 0.3:
            limit_s = rng.choice([0.0, 0.05, 0.5, 5.0])
            self.time.after(rng.randrange(horizon_ns), self._begin_to_close, limit_s)
        self.time.after(horizon_ns, self._end_of_troubles)

    def _act(self, trouble: Callable[[World], None]) -> None:
        if not self.client.is_closed or self.rng.random() < 0.5:
            self.say("trouble:", trouble.__name__)
            trouble(self)

    # -- running it ------------------------------------------------------------------------------

    def run(self) -> None:
        """Live through it; raises `Found` if anything is not as it should be."""
        client = self.client
        try:
            client.start(0.0)
            # As if some of the publishing threads were others than the one that started it.
            for lane in self.lanes:
                lane._put.home_ident *= self.rng.random() < 0.7
            self.writer._run()
            self.thread.has_ended = True
            self.say("the writer has ended")
            if not client.is_closed:
                raise Found(f"the writer ended by itself: {self.writer.last_error}")
            # What was late arrives still.
            self.time.wait(20 * S)
            self._check_end()
        finally:
            atexit.unregister(client.stop)

    def _check_end(self) -> None:
        figures = self.client.statistics()
        self.say(figures)
        if figures.crash:
            raise Found(f"the writer failed: {figures.crash}")
        self.ledger.check_end(figures)
        for caller in self._callers:
            if not caller.is_done:
                raise Found(f"{caller} waits for ever")
        unknown = sum(lane.indeterminate for lane in figures.lanes)
        may_not_know = (
            self.is_cut_short
            or self.may_not_know
            or self.ledger.removed_from
            or (self.server.version < 7 and self.ledger.disordered)
        )
        if unknown and not may_not_know:
            raise Found(f"nothing allows that {unknown} are indeterminate")
        if figures.second_writer and not self.ledger.disordered:
            raise Found("a second writer was seen where there is none")
        if any(lane.rejected for lane in figures.lanes) and not self.may_reject:
            raise Found(f"nothing allows that messages are rejected: {figures.last_rejection}")
        if any(lane.abandoned for lane in figures.lanes) and not self.is_cut_short:
            raise Found("messages were abandoned though there was time to send them")
        if self.server.data and figures.retrying_ms:
            raise Found("it has ended and retries")

    # -- publishing ------------------------------------------------------------------------------

    def _burst(self, size: int) -> None:
        if self.client.is_closed:
            self._publish_to_closed()
            return
        self.say("publish", size)
        for _ in range(size):
            self.time.now_ns += self.rng.randint(500, 5_000)
            self._publish()
        self._look()
        if self.rng.random() < 0.2:
            waiting = [caller for caller in self._callers if caller.waits_in is not None]
            self._goals += [(FlushGoal(lane), lane, waiting) for lane in self.lanes]

    def _publish(self) -> None:
        rng, client, ledger = self.rng, self.client, self.ledger
        topic = rng.choice(list(self.topics))
        self._number += 1
        payload = b"%d" % self._number
        if rng.random() < 0.1:
            payload = payload.ljust(rng.choice([100, 600, 1_100]))
        how = rng.random()
        lane = self.topics[topic] if how < 0.9 else MessagePriority(rng.randrange(4))
        message = ledger.publish(self._number, payload, lane)
        ledger.offered += 1
        if how < 0.6:
            client.offer(topic, payload)
        elif how < 0.7:
            with suppress(BufferFullError):
                client.publish_nowait(topic, payload)
        else:
            level = rng.choice(self.levels)
            # Somebody has asked within the last second whether it can be given.
            client._confirmer._given_at_ns[level] = self.time.now_ns
            caller = Caller(self.time, ledger, message, level)
            self._callers.append(caller)
            caller.begin(client.publish(topic, payload, priority=lane, ack=level))

    def _publish_to_closed(self) -> None:
        if self.client.offer("commands.trading", b"too late"):
            raise Found("a closed client took a message")
        try:
            self.client.publish_nowait("commands.trading", b"too late")
        except ClientClosedError:
            return
        raise Found("a closed client took a message")

    def _look(self) -> None:
        """Check what must hold at any time."""
        for lane, settings in zip(self.lanes, self._lane_settings(), strict=True):
            if len(lane) > settings[0] or lane.queued_bytes > settings[1]:
                raise Found(f"beyond its bounds: {lane}")
        self.ledger.check_figures(self.client.statistics())
        for reached in [goal for goal in self._goals if goal[0].is_reached]:
            self._goals.remove(reached)
            # It is counted before it is told, so they know a little later.
            self.time.after(60 * MS, self._check_flushed, *reached[1:])
        if self.rng.random() < 0.02:
            # That they can be asked at any time.
            repr(self.client)
            self.client.health()
            self.client.get_metrics()
            self.client.health_check()

    def _lane_settings(self) -> list[tuple[int, int]]:
        return [(lane._max_messages, lane._max_bytes) for lane in self.lanes]

    @staticmethod
    def _check_flushed(lane: Lane, waiting: list[Caller]) -> None:
        if any(one.waits_in is lane.priority for one in waiting):
            raise Found(f"flushed, and not all know their fate: {lane}, {waiting}")

    # -- the network -----------------------------------------------------------------------------

    def latency_ns(self) -> int:
        return int(self._latency_ns * (0.5 + self.rng.random()))

    def lateness_ns(self) -> int:
        """Return how late bytes are that are late, which half of the time they are not."""
        return self.rng.choice([0, 0, 20 * MS, 300 * MS, 1_500 * MS, 8_000 * MS])

    def add_trouble(self, trouble: Callable[[Link, bytes], None]) -> None:
        """Have something go wrong with the next request of the writer."""
        self._troubles.append(trouble)

    def next_trouble(self, data: bytes) -> Callable[[Link, bytes], None] | None:
        # Most often when there is something to lose.
        if not self._troubles or (b"XADD" not in data and self.rng.random() < 0.7):
            return None
        trouble = self._troubles.popleft()
        self.say("on the way:", trouble.__name__, data[:60])
        if self.quick_follow_up is not None:
            self.time.after(self.rng.choice([0, 2, 30, 300]) * MS, self.quick_follow_up)
            self.quick_follow_up = None
        return trouble

    def note_send(self) -> None:
        self._count(self._sends, MOST_SENDS + 3 * self._number, "requests")

    def note_attempt(self) -> None:
        self.say("connect")
        self._count(self._attempts, MOST_ATTEMPTS, "attempts to connect")

    def _count(self, times: deque[int], most: int, what: str) -> None:
        times.append(self.time.now_ns)
        while times[0] < self.time.now_ns - S:
            times.popleft()
        if len(times) > most:
            raise Found(f"{len(times)} {what} in a second")

    def note_closed(self) -> None:
        self.say("the client closed a connection:", self.writer.last_error)
        self.time.after(0, self.look_healed)

    def watch_blocked(self, link: Link) -> None:
        """Answer WAITAOF when its time is up or the log is on the disk."""
        blocked = link.session.blocked
        if blocked is None:
            return

        def give_up() -> None:
            if link.session.blocked is blocked:
                link.bring_back(self.server.unblock(link.session, timed_out=True))

        self.time.after(blocked.timeout_ms * MS, give_up)
        if self.rng.random() < 0.8:
            self.time.after(self.rng.randrange(S), self._fsync)

    def _fsync(self) -> None:
        self.server.fsync()
        for link in self._open_links():
            link.bring_back(self.server.unblock(link.session))

    def _open_links(self) -> list[Link]:
        return [link for link in self.links if link.session.is_open]

    # -- the server ------------------------------------------------------------------------------

    def crash(self) -> None:
        """End the server, and start it again after a while."""
        if self.is_down:
            return
        rng, server = self.rng, self.server
        self.is_down = True
        keep = None
        if server.has_aof and self.loss != "nothing":
            keep = rng.randint(server.synced, len(server.log))
        elif self.loss == "tail":
            keep = rng.randint(0, len(server.log))
        elif self.loss == "everything":
            keep = 0
        self.say("the server ends; of its log is left", keep, "of", len(server.log))
        self.ledger.crashes = True
        server.restart(keep)
        self.ledger.crashes = False
        self.on_thaw.clear()
        loads_ns = rng.choice([0, 0, 200 * MS])
        self.conditions += 1
        self.time.after(rng.choice([5, 200, 1_500]) * MS, self._is_up_again, loads_ns)

    def _is_up_again(self, loads_ns: int) -> None:
        self.say("the server is up again")
        self.is_down = False
        self.server.is_loading = loads_ns > 0
        self.time.after(loads_ns, self._has_loaded)

    def _has_loaded(self) -> None:
        self.server.is_loading = False
        self.condition_over()

    def work_off(self) -> None:
        """Have the server go on with what it has got meanwhile, in any order of its clients."""
        links = self._open_links()
        self.rng.shuffle(links)
        for link in links:
            link.bring_back(self.server.work(link.session))
            self.watch_blocked(link)
        ends, self.on_thaw = self.on_thaw, []
        for end in ends:
            end()

    # -- the end of the troubles -----------------------------------------------------------------

    def condition_over(self) -> None:
        self.conditions -= 1
        self.look_healed()

    def _end_of_troubles(self) -> None:
        self.say("no more troubles")
        self._is_over = True
        self._troubles.clear()
        self.look_healed()

    def look_healed(self) -> None:
        """Begin to count the time when all is well, as far as the client can know."""
        if self._is_healed or not self._is_over or self.conditions or self.client.is_closed:
            return
        if any(link.is_in_trouble for link in self.links):
            self.time.after(100 * MS, self.look_healed)
            return
        self.say("all is well")
        self._is_healed = True
        # So that there is something to wait for, be it only a wake-up.
        self._burst(self.rng.randint(1, 2))
        self._settled_before = self._settled
        allowed_ns = RESUMES_NS
        if not self.may_kill:
            # It waits for the old connection to end by itself.
            allowed_ns += S
        if self.ledger.disordered:
            # What was refused because of another writer is sent again after one more pause.
            allowed_ns += S
        if len(self.levels) > 1:
            # A batch may wait for the disk.
            allowed_ns += 2 * S
        if self._pending:
            self.time.after(allowed_ns, self._check_resumed, allowed_ns)
        self.time.after(allowed_ns, self._finish, 120)

    @property
    def _settled(self) -> int:
        return sum(lane.settled for lane in self.lanes)

    @property
    def _pending(self) -> int:
        return sum(len(lane) + lane.taken - lane.settled for lane in self.lanes)

    def _check_resumed(self, allowed_ns: int) -> None:
        if self._settled == self._settled_before:
            raise Found(
                f"nothing was published within {allowed_ns / S} s: {self.writer.last_error}"
            )

    def _finish(self, tries: int) -> None:
        if self.client.is_closed:
            return
        if self._pending and tries:
            self.time.after(S, self._finish, tries - 1)
            return
        if self._pending:
            raise Found(f"all is well, and {self._pending} are not sent: {self.lanes}")
        self._begin_to_close(5.0)

    def _begin_to_close(self, limit_s: float) -> None:
        """Do what closing does until it waits for the thread."""
        if self.client.is_closed:
            return
        self.say("close within", limit_s, "s")
        self.thread.seems_ended = True
        self.client.stop(limit_s)
        self.thread.seems_ended = False
        self.time.after(round(limit_s * S), self._go_on_closing)

    def _go_on_closing(self) -> None:
        """Do what closing does when the thread has not ended in time."""
        if self.thread.is_alive():
            self.say("time is up")
            self.is_cut_short = True
            self.client.stop(0.0)
            self.time.after(S + self.connect_timeout_ns, self._check_ended)

    def _check_ended(self) -> None:
        if self.thread.is_alive():
            raise Found("the writer goes on though it was told to end")
