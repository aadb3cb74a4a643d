"""Which batch is sent next: in order, all of it once, urgent messages soon, IDs rising."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing import wire
from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import PriorityBuffers
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Fate
from nautilus_enhanced.infrastructure.messagebus.publishing.outbox import Outbox
from nautilus_enhanced.infrastructure.messagebus.publishing.outbox import batch_limit
from nautilus_enhanced.infrastructure.messagebus.publishing.outbox import plan_batch
from nautilus_enhanced.infrastructure.messagebus.publishing.sources import LaneSource
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings
from nautilus_enhanced.infrastructure.messagebus.settings.streams import StreamSettings


HIGH, NORMAL, LOW = MessagePriority.HIGH, MessagePriority.NORMAL, MessagePriority.LOW
LONG_AFTER_NS = 10**12
QUEUES = st.lists(st.integers(0, 400), min_size=4, max_size=4)
LIMITS = st.integers(4, 300)


class World:
    """An outbox, the writer's part played by hand, and a server that notes what it takes."""

    def __init__(self, *, batch=4, one_stream=False) -> None:
        naming = StreamNaming(trader_id="T", stream_per_topic=not one_stream)
        self.routes = RouteTable(naming, "Json")
        self.buffers = PriorityBuffers(BufferSettings(), self, lambda lane: None)
        settings = StreamSettings(batch_messages=batch)
        self.outbox = Outbox(
            [LaneSource(lane) for lane in self.buffers.lanes], self.routes, settings
        )
        self.in_flight = Batch()
        self.now_ns = LONG_AFTER_NS
        self.now_ms = 1_000
        self.published: dict[MessagePriority, list[bytes]] = {p: [] for p in MessagePriority}
        self.taken: list[tuple[MessagePriority, bytes]] = []
        self.last_ids: dict[bytes, tuple[int, int]] = {}

    def priority_of(self, topic: str) -> MessagePriority:
        return MessagePriority[topic.partition(".")[0]]

    def publish(self, priority: MessagePriority) -> None:
        payload = b"%d" % sum(map(len, self.published.values()))
        self.published[priority].append(payload)
        assert self.buffers.publish(f"{priority.name}.{len(payload)}", payload)

    def send(self) -> None:
        """Send a batch, unless one is in flight, and prepare the next."""
        if not self.in_flight:
            self.in_flight = self.outbox.take(self.now_ns)
        if not self.in_flight:
            return
        for stream in self.in_flight.unknown_streams():
            stream.last_id = self.last_ids.get(stream.key, (0, 0))
        self.in_flight.number(self.now_ms)
        self.outbox.prepare(self.now_ns, self.now_ms)

    def answer(self, fates: list[Fate] | None = None) -> None:
        """Let the server take what is in flight, or as much of it as `fates` say."""
        batch = self.in_flight
        if not batch.ids:
            return
        fates = fates or [Fate.ACCEPTED] * len(batch)
        rows = zip(batch.lanes, batch.payloads, batch.routes, batch.ids, fates, strict=True)
        for lane, payload, route, entry_id, fate in rows:
            if fate is Fate.ACCEPTED:
                assert entry_id > self.last_ids.get(route.stream.key, (0, 0))
                self.last_ids[route.stream.key] = entry_id
                self.taken.append((lane.priority, payload))
        _, again, _ = batch.split(fates)
        if again:
            self.outbox.renumber()
        self.in_flight = again

    def finish(self) -> None:
        self.now_ns += LONG_AFTER_NS
        while self.in_flight or not self.outbox.is_empty:
            self.send()
            self.answer()

    def of(self, priority: MessagePriority) -> list[bytes]:
        return [payload for taken, payload in self.taken if taken is priority]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(MessagePriority), st.integers(1, 6)),
        st.tuples(st.just("send"), st.integers(0, 20_000_000)),
        st.tuples(st.just("answer"), st.sampled_from(["all", "refused", "behind"])),
    ),
    max_size=60,
)


@given(steps=STEPS, one_stream=st.booleans(), batch=st.integers(1, 7))
def test_each_lane_is_sent_once_and_in_order_whatever_is_refused(steps, one_stream, batch):
    world = World(batch=batch, one_stream=one_stream)
    for step in steps:
        match step:
            case ("publish", priority, count):
                for _ in range(count):
                    world.publish(priority)
            case ("send", passed_ns):
                world.now_ns += passed_ns
                world.now_ms += passed_ns // 1_000_000
                world.send()
            case ("answer", "all"):
                world.answer()
            case ("answer", kind):
                fate = Fate.LATER if kind == "refused" else Fate.BEHIND
                world.answer([fate] * len(world.in_flight))
    world.finish()
    for priority in MessagePriority:
        assert world.of(priority) == world.published[priority]


def test_the_next_batch_is_encoded_while_one_is_in_flight():
    world = World(batch=3)
    for _ in range(9):
        world.publish(NORMAL)
    # Where the stream is not known yet, there is no number.
    world.send()
    assert len(world.outbox) == 3
    world.answer()
    world.send()
    assert len(world.outbox) == 3
    world.answer()
    assert len(world.outbox.take(world.now_ns).ids) == 3


def test_urgent_messages_go_alone_and_before_what_was_prepared():
    world = World()
    for _ in range(12):
        world.publish(NORMAL)
    world.send()
    world.publish(HIGH)
    world.answer()
    world.send()
    assert [lane.priority for lane in world.in_flight.lanes] == [HIGH]
    world.answer()
    # Not twice in a row, or market data would never go out.
    world.publish(HIGH)
    world.send()
    assert [lane.priority for lane in world.in_flight.lanes] == [NORMAL] * 4


def test_urgent_messages_do_not_keep_others_waiting_for_ever():
    world = World()
    for _ in range(40):
        world.publish(LOW)
    for _ in range(40):
        world.publish(HIGH)
        world.send()
        world.answer()
    assert len(world.of(LOW)) >= 15


def test_what_shares_a_stream_is_numbered_after_what_goes_before_it():
    world = World(one_stream=True)
    for _ in range(8):
        world.publish(NORMAL)
    world.send()
    world.answer()
    world.publish(NORMAL)
    world.send()
    world.publish(HIGH)
    world.finish()
    assert sorted(world.last_ids.values()) == [max(world.last_ids.values())]


def test_nothing_is_prepared_while_the_routes_are_full(monkeypatch):
    monkeypatch.setattr(wire, "MAX_ROUTES", 1)
    world = World()
    for _ in range(8):
        world.publish(NORMAL)
    world.send()
    assert len(world.outbox) == 0
    world.finish()
    assert world.of(NORMAL) == world.published[NORMAL]


def test_what_was_prepared_is_abandoned_and_counted():
    world = World()
    for _ in range(8):
        world.publish(NORMAL)
    world.send()
    assert len(world.outbox) == 4
    world.outbox.abandon()
    assert world.buffers.lanes[NORMAL].abandoned == 4
    assert world.outbox.is_empty


def test_a_lane_is_due_by_its_interval_and_at_once_when_closing():
    world = World()
    world.publish(NORMAL)
    world.send()
    world.answer()
    world.publish(NORMAL)
    assert not world.outbox.take(world.now_ns)
    assert world.outbox.due_in_ns(world.now_ns) == 10_000_000
    assert world.outbox.shortest_interval_ns() == 10_000_000
    world.outbox.is_closing = True
    assert world.outbox.due_in_ns(world.now_ns) == 0
    assert len(world.outbox.take(world.now_ns)) == 1


@given(queued=QUEUES, limit=st.integers(1, 300))
def test_a_batch_is_within_its_limit_and_leaves_no_room_unused(queued, limit):
    shares = plan_batch(queued, limit)
    assert len(shares) == len(queued)
    assert all(0 <= share <= waiting for share, waiting in zip(shares, queued, strict=True))
    assert sum(shares) == min(limit, sum(queued))


@given(queued=QUEUES, limit=LIMITS)
def test_no_waiting_lane_is_left_out(queued, limit):
    shares = plan_batch(queued, limit)
    for share, waiting in zip(shares, queued, strict=True):
        assert share >= min(waiting, max(1, limit // 16))


@given(queued=QUEUES, limit=LIMITS)
def test_a_lane_gets_more_than_its_minimum_only_when_more_urgent_ones_have_all(queued, limit):
    shares = plan_batch(queued, limit)
    minimum = max(1, limit // 16)
    for index, share in enumerate(shares):
        if share > minimum:
            assert shares[:index] == queued[:index]


@given(queued=st.integers(0, 10**6), most=st.integers(1, 4_096))
def test_a_batch_is_small_until_there_is_a_backlog_and_never_above_its_bound(queued, most):
    limit = batch_limit(queued, most)
    assert 1 <= limit <= most
    if queued <= 1_000:
        assert limit <= 64
    if queued >= 16 * most:
        assert limit == most
    assert batch_limit(queued + 1, most) >= limit
