"""
The journal between lanes and a stream, stopped at any moment: nothing lost, nothing doubled.

A process is played in steps, with the real lanes, outbox, journal and file; what the server has
is a list. A crash throws everything away but the file and that list.
"""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import StreamSettings
from nautilus_enhanced.infrastructure.messagebus.clock import SystemClock
from nautilus_enhanced.infrastructure.messagebus.journal.journal import Journal
from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import PriorityBuffers
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.publishing.outbox import Outbox
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable


NAMING = StreamNaming(trader_id="T", stream_per_topic=False)
TOPICS = {
    MessagePriority.HIGH: "events.order.A",
    MessagePriority.NORMAL: "data.quotes.Q",
    MessagePriority.LOW: "health:x",
}
DURABILITY = {"high": "always", "normal": "spill", "low": "memory"}
# Longer than any lane gathers.
STEP_NS = 1_000_000_000

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(list(TOPICS)), st.integers(1, 6)),
        st.tuples(st.just("tend"), st.booleans(), st.booleans()),
        st.tuples(st.just("prepare")),
        st.tuples(
            st.just("send"),
            st.sampled_from(["answered", "no answer", "not sent", "crash", "crash before"]),
        ),
        st.tuples(st.just("disconnect")),
        st.tuples(st.just("crash")),
        st.tuples(st.just("close")),
    ),
    max_size=40,
)


class Server:
    """One stream: entry IDs and payloads, in order."""

    def __init__(self):
        self.entries = []

    @property
    def last_id(self):
        return self.entries[-1][0] if self.entries else (0, 0)

    def add(self, batch):
        for entry_id, payload in zip(batch.ids, batch.payloads, strict=True):
            assert entry_id > self.last_id
            self.entries.append((entry_id, payload))

    def found(self, batch):
        return {route.stream.key: dict(self.entries) for route in batch.routes}


class Process:
    """What a client is made of, without its threads and its socket."""

    def __init__(self, folder, server):
        self.server = server
        self.time_ns = 1 << 60
        buffers = BufferSettings(low=LaneSettings(flush_interval_ms=0))
        self.buffers = PriorityBuffers(buffers, PrioritySettings().policy(), lambda _: None)
        durability = DurabilitySettings(**DURABILITY, directory=str(folder))
        self.journal = Journal(folder / "x.journal", durability, NAMING, "Json", SystemClock())
        sources = self.journal.attach(self.buffers, buffers)
        self.routes = RouteTable(NAMING, "Json")
        self.outbox = Outbox(sources, self.routes, StreamSettings(batch_messages=5))
        assert self.journal.try_open()
        assert self.journal.statistics().state == "open"
        recovered = self.journal.recovered(self.routes)
        self.in_flight = recovered.in_flight
        self.outbox.restore(recovered.unsent)
        self.recover()

    def recover(self):
        if not self.in_flight:
            return
        present, missing = self.in_flight.without(self.server.found(self.in_flight))
        self.in_flight = missing
        self.settle(present)

    def settle(self, batch):
        self.journal.settled(batch)
        batch.settle(accepted=True)

    def in_hand(self):
        return self.in_flight, self.outbox.prepared

    def number(self, batch):
        if not batch.ids:
            for stream in batch.unknown_streams():
                stream.last_id = self.server.last_id
        batch.number(5)

    def now_ns(self):
        self.time_ns += STEP_NS
        return self.time_ns

    def prepare(self):
        self.outbox.prepare(self.now_ns(), 5, lambda _: None)
        self.journal.note(self.in_hand(), (b"run", 1))

    def send(self, outcome):
        if not self.in_flight:
            self.in_flight = self.outbox.take(self.now_ns())
        batch = self.in_flight
        if not batch:
            return
        if batch.ids and batch.ids[0] <= self.server.last_id:
            # Others went ahead of a batch that was to be sent again; it never arrived.
            batch.renumber()
            for route in batch.routes:
                route.stream.last_id = self.server.last_id
        self.number(batch)
        if outcome == "crash before":
            return
        self.journal.note(self.in_hand(), (b"run", 1))
        if outcome == "not sent":
            _, self.in_flight = batch.without({})
            return
        self.server.add(batch)
        if outcome == "answered":
            self.in_flight = Batch()
            self.settle(batch)
        elif outcome == "no answer":
            self.recover()

    def tend(self, is_connected, is_busy):
        self.journal.is_connected, self.journal.is_busy = is_connected, is_busy
        self.journal._flush_at_ns = 0
        self.journal.tend()

    def crash(self):
        self.journal._file.close()

    def close(self):
        self.journal.finish(self.in_hand())
        self.journal.close()


def on_disk(process):
    """Return the payloads that are on disk and not settled."""
    found = set()
    for _, _, row in process.journal._file.rows():
        for stored in row.stored:
            settled = process.journal._ledger.lanes[stored.lane].settled
            found |= {
                payload
                for number, payload in enumerate(stored.payloads, stored.first)
                if number not in settled
            }
    return found


@profile(max_examples=150)
@given(STEPS)
def test_what_was_written_is_sent_once_and_in_order_whenever_the_process_ends(steps):
    with tempfile.TemporaryDirectory() as folder:
        play(Path(folder), steps)


def play(folder, steps):
    server = Server()
    process = Process(folder, server)
    put = dict.fromkeys(TOPICS, 0)
    required = set()
    for kind, *what in steps:
        if kind == "put":
            priority, count = what
            for _ in range(count):
                process.buffers.publish(
                    TOPICS[priority], b"%b-%d" % (priority.name.encode(), put[priority])
                )
                put[priority] += 1
        elif kind == "tend":
            process.tend(*what)
        elif kind == "prepare":
            process.prepare()
        elif kind == "send":
            process.send(*what)
        elif kind == "disconnect":
            process.journal.is_connected = False
            process.journal.keep(process.in_hand())
        ends = kind in ("crash", "close") or (kind == "send" and what[0].startswith("crash"))
        required |= on_disk(process)
        if kind == "close":
            # All that can be kept is.
            waiting = {
                payload
                for lane in process.buffers.lanes
                if lane.priority != MessagePriority.LOW
                for _, payload, _ in lane._entries
            }
            process.close()
            required |= waiting
        if ends:
            process.crash()
            process = Process(folder, server)
    for _ in range(500):
        process.send("answered")
    process.close()
    payloads = [payload for _, payload in server.entries]
    assert len(set(payloads)) == len(payloads)
    assert required <= set(payloads)
    for priority in TOPICS:
        of_lane = [p for p in payloads if p.startswith(priority.name.encode())]
        numbers = [int(payload.rpartition(b"-")[2]) for payload in of_lane]
        assert numbers == sorted(numbers)
    # Nothing is left for the next process.
    last = Process(folder, server)
    assert not last.in_flight
    assert last.outbox.is_empty
    last.crash()
