"""
What consumers decide, against a real server, while they join, leave, die and are late at random.

The members here are the pure parts of a consumer (`membership`, `PendingWork`, `DeliveryBook`),
taken step by step by one thread in an order that a seed decides.
"""

import random
import time
from collections import defaultdict

import pytest

from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.connection.connector import Connector
from nautilus_enhanced.infrastructure.messagebus.streams import commands
from nautilus_enhanced.infrastructure.messagebus.streams.consumer import membership
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import Delivery
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import DeliveryBook
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.lease import Lease
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.membership import Exchange
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import PAGE
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Bury
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Claim
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import ListPending
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import PendingWork
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import Suspects


GROUP = b"g"
MEMBERS = b"members"
KEYS = [b"stream:%d" % number for number in range(10)]
LEASE_MS = 150
MAX_DELIVERIES = 6
POISON = 7


def all_held(world):
    held = [number for member in world.members for number in member.held]
    return len(held) == membership.PARTITIONS and not any(m.leaving for m in world.members)


class Member:
    """A consumer, of whom each part does a step when it is told to."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.lease = Lease()
        self.seen = None
        self.held = frozenset()
        self.leaving = {}
        self.wanted = ()
        self.streams = {}
        self.suspects = Suspects()
        self.book = DeliveryBook(lambda attempts: None if attempts >= MAX_DELIVERIES else 0.001)
        self.handling = []
        self.asleep_until = 0.0

    # -- membership

    def exchange(self, exchange):
        asked_ns = time.monotonic_ns()
        query = membership.beat(MEMBERS, self.name, LEASE_MS, exchange)
        seen = membership.parse_beat(self.world.ask(MEMBERS, query))
        if self.seen is not None and not seen.was_member:
            for stream in [
                *self.streams.values(),
                *(s for of in self.leaving.values() for s in of),
            ]:
                stream.is_lost = True
            self.streams, self.leaving = {}, {}
        for number in exchange.returned:
            self.leaving.pop(number, None)
        self.seen, self.held = seen, seen.held_by(self.name)
        self.lease.grant(asked_ns, LEASE_MS, seen.now_ms, len(seen.members))
        return seen

    def beat(self):
        """Do one of the two exchanges of a beat: others get in between."""
        if self.wanted:
            self.exchange(Exchange(wanted=self.wanted))
            self.wanted = ()
        else:
            back = [n for n, of in self.leaving.items() if not any(s.in_hand for s in of)]
            plan = membership.plan(self.exchange(Exchange(tuple(back))), self.name)
            self.wanted = plan.wanted
            for number in plan.returned:
                self.give_up(number)
        for key in KEYS:
            number = membership.partition_of(key)
            if number in self.held and number not in self.leaving and key not in self.streams:
                stream = self.streams[key] = ReadStream(key, "", appeared=False)
                stream.work, stream.is_held_up = PendingWork(MAX_DELIVERIES), True

    def give_up(self, number):
        if number not in self.leaving:
            mine = [s for k, s in self.streams.items() if membership.partition_of(k) == number]
            self.leaving[number] = mine
            for stream in mine:
                stream.is_left = True
                del self.streams[stream.key]

    def leave(self):
        self.world.ask(MEMBERS, membership.beat(MEMBERS, self.name, 0, Exchange()))

    @property
    def is_granted(self):
        return time.monotonic_ns() < self.lease.until_ns

    # -- reading

    def read(self, rng):
        if not self.is_granted or not self.streams:
            return
        stream = self.streams[rng.choice(sorted(self.streams))]
        if stream.work is not None:
            self.recover(stream)
        else:
            query = commands.read_group(GROUP, self.name.encode(), [stream.key], 3, None)
            for _, entries in self.world.ask(stream.key, query) or ():
                self.take(stream, entries)

    def recover(self, stream):
        step = stream.work.next(stream.in_hand, lambda raw: self.suspects.take(stream, raw))
        if step is None:
            stream.work, stream.is_held_up = None, False
        elif isinstance(step, ListPending):
            query = commands.list_pending(stream.key, GROUP, step.after, PAGE)
            stream.work.listed(
                commands.parse_pending(self.world.ask(stream.key, query)), stream.in_hand
            )
        elif isinstance(step, Claim | Bury):
            entries = step.entries if isinstance(step, Claim) else (step.entry,)
            counts = {entry.raw_id: entry.deliveries for entry in entries}
            query = commands.claim(stream.key, GROUP, self.name.encode(), 0, counts)
            found = [entry for entry in self.world.ask(stream.key, query) if entry]
            if isinstance(step, Claim):
                self.take(stream, found, counts)
                self.suspects.claimed(stream)
            for raw_id, fields in found if isinstance(step, Bury) else ():
                self.world.bury(stream.key, raw_id, int(fields[1]))

    def take(self, stream, entries, counts=None):
        stream.in_hand.update(raw_id for raw_id, _ in entries)
        topic = stream.name
        self.book.add(
            [
                Delivery(topic, fields[1], stream, raw_id, fields, (counts or {}).get(raw_id, 0))
                for raw_id, fields in entries
            ]
        )

    # -- handling

    def begin(self):
        while self.is_granted and (delivery := self.book.take(time.monotonic_ns())) is not None:
            source = delivery.source
            if source.is_lost or source.is_left:
                if not source.is_lost:
                    ids, tries = [delivery.raw_id], delivery.attempts
                    query = commands.give_back(source.key, GROUP, self.name.encode(), tries, ids)
                    self.world.ask(source.key, query)
                    source.in_hand.discard(delivery.raw_id)
                self.book.done(delivery)
                continue
            delivery.attempts += 1
            self.world.begun(self, delivery)
            self.handling.append(delivery)
            return

    def end(self, rng):
        if not self.handling:
            return
        delivery = self.handling.pop(rng.randrange(len(self.handling)))
        source, number = delivery.source, int(delivery.payload)
        self.world.ended(self, delivery)
        if number == POISON:
            if not self.book.failed(delivery, time.monotonic_ns()):
                if not source.is_lost:
                    self.world.bury(source.key, delivery.raw_id, number)
                    source.in_hand.discard(delivery.raw_id)
                self.book.done(delivery)
            return
        self.world.handled[source.key].append(number)
        self.world.ask(source.key, commands.acknowledge(source.key, GROUP, [delivery.raw_id]))
        source.in_hand.discard(delivery.raw_id)
        self.book.done(delivery)


class World:
    """Members, a server, and what became of each message."""

    def __init__(self, store, port, seed):
        self.store = store
        self.rng = random.Random(seed)
        self.connection = Connector(f"redis://127.0.0.1:{port}", ConnectionSettings()).connect()
        self.connection.open()
        self.members = []
        self.names = 0
        self.handled = defaultdict(list)
        self.buried = defaultdict(list)
        self.busy = {}
        self.published = 0
        for key in KEYS:
            store.xgroup_create(key, GROUP, "0", mkstream=True)

    def ask(self, key, query):
        (answer,) = self.connection.ask([(key, query)])
        return commands.succeeded(answer, "the model asked")

    def bury(self, key, raw_id, number):
        self.buried[key].append(number)
        self.ask(key, commands.acknowledge(key, GROUP, [raw_id]))

    def begun(self, member, delivery):
        other = self.busy.get(delivery.topic)
        # A call that was under way when its member was late is the exception.
        assert other is None or other not in self.members or not other.is_granted, delivery
        self.busy[delivery.topic] = member

    def ended(self, member, delivery):
        if self.busy.get(delivery.topic) is member:
            del self.busy[delivery.topic]

    def join(self):
        self.names += 1
        self.members.append(Member(self, f"member-{self.names:03d}"))

    def publish(self):
        for key in KEYS:
            self.store.xadd(key, {"n": self.published})
        self.published += 1

    def something(self):
        rng, awake = self.rng, [m for m in self.members if m.asleep_until < time.monotonic()]
        chance = rng.random()
        if len(self.members) < 2 or (chance < 0.004 and len(self.members) < 5):
            self.join()
        elif chance < 0.01 and self.published < 40:
            self.publish()
        elif chance < 0.013:
            # Killed: nobody hears of it again.
            self.members.remove(rng.choice(self.members))
        elif chance < 0.015 and awake:
            member = rng.choice(awake)
            member.leave()
            self.members.remove(member)
        elif chance < 0.018 and awake:
            rng.choice(awake).asleep_until = time.monotonic() + LEASE_MS / 1_000 * rng.uniform(
                0.5, 2
            )
        elif awake:
            self.live(rng.choice(awake))
        live = [member for member in self.members if member.is_granted]
        for at, member in enumerate(live):
            for other in live[:at]:
                assert not member.streams.keys() & other.streams.keys(), (member.name, other.name)

    def live(self, member):
        what = self.rng.random()
        if what < 0.2 or member.seen is None:
            member.beat()
        elif what < 0.5:
            member.read(self.rng)
        elif what < 0.75:
            member.begin()
        else:
            member.end(self.rng)

    def settle(self, within_s=20.0):
        """Let the members that are left finish; nobody else joins or dies."""
        until = time.monotonic() + within_s
        while not self.is_done():
            assert time.monotonic() < until, "not done"
            for member in self.members:
                self.live(member)

    def is_done(self):
        wanted = set(range(self.published)) - {POISON}
        if not all(wanted <= set(self.handled[key]) for key in KEYS):
            return False
        return all(self.store.xpending(key, GROUP)["pending"] == 0 for key in KEYS)

    def check(self):
        # Those who were killed last still count as alive for a while.
        until = time.monotonic() + 1.2 * LEASE_MS / 1_000
        while time.monotonic() < until:
            for member in self.members:
                self.live(member)
        for _ in range(8):
            for member in self.members:
                member.beat()
        # Four beats of each are enough.
        assert all_held(self)
        shares = [len(member.held) for member in self.members]
        assert max(shares) - min(shares) <= 1
        for key in KEYS:
            first = list(dict.fromkeys(self.handled[key]))
            assert first == [n for n in range(self.published) if n != POISON], key
            # Kills and lapses count as deliveries, so that an innocent one would need many.
            assert set(self.buried[key]) <= {POISON}
            assert self.published <= POISON or POISON in self.buried[key]


def play(store, port, seed):
    store.flushall()
    world = World(store, port, seed)
    try:
        for _ in range(2_500):
            world.something()
        while len(world.members) < 2:
            world.join()
        world.settle()
        world.check()
    finally:
        world.connection.close()


@pytest.mark.parametrize("seed", range(4))
def test_members_that_come_and_go_handle_all_of_it_one_at_a_time(store, server, seed):
    play(store, server.port, seed)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_many_more_members_that_come_and_go(store, server):
    for seed in range(4, 150):
        play(store, server.port, seed)
