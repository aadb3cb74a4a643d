"""Consumers in processes that are killed, stopped, or ended by what they handle."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest
from consumers import GROUP
from consumers import LETTERS
from consumers import MEMBERS
from consumers import TOPICS
from consumers import key_of
from consumers import pending
from consumers import publish

from nautilus_enhanced.infrastructure.messagebus.streams.consumer.recovery import PAGE


# So many that each of a few consumers gets some.
MANY = tuple(f"events.order.M-{number}" for number in range(12))
PROGRAM = Path(__file__).with_name("consuming.py")


class Processes:
    """Consumers in processes of their own, and what all of them have written down."""

    def __init__(self, port, path):
        self.port = port
        self.path = path
        self.running = []
        path.touch()
        command = [sys.executable, PROGRAM, str(port), path]
        pipe = subprocess.PIPE
        # An interpreter that was told to be safe does not look beside its script.
        folders = filter(None, (str(PROGRAM.parent), os.environ.get("PYTHONPATH")))
        env = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
        self.maker = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, bufsize=1, env=env
        )

    def start(self, **options):
        words = [f"{name}={value}" for name, value in options.items()]
        self.maker.stdin.write(" ".join(words) + "\n")
        self.running.append(int(self.maker.stdout.readline()))
        return self.running[-1]

    def is_alive(self, pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self, pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        while self.is_alive(pid):
            time.sleep(0.001)
        self.running.remove(pid)

    def stop_all(self):
        for pid in list(self.running):
            self.kill(pid)
        self.maker.communicate(timeout=10.0)

    def lines(self):
        """Return what was written: begin or end, who, when, topic and number."""
        # The last one may be half there.
        words = [line.split() for line in self.path.read_text().split("\n")[:-1]]
        return [(what, who, int(at), topic, int(n)) for what, who, at, topic, n in words]

    def numbers(self, what="end"):
        """Return the numbers of each topic, in the order of the lines."""
        found = defaultdict(list)
        for kind, _, _, topic, number in self.lines():
            if kind == what:
                found[topic].append(number)
        return found

    def has(self, numbers, topics=TOPICS):
        found = self.numbers()
        return all(set(numbers) <= set(found[topic]) for topic in topics)


@pytest.fixture
def processes(make_store, tmp_path):
    made = Processes(make_store().port, tmp_path / "handled")
    yield made
    made.stop_all()


@pytest.fixture
def store(processes, look):
    return look(processes)


def check(processes, count, *, without=frozenset(), topics=TOPICS, ordered=True):
    """Look that each was handled, and first in order; return how often one was begun again."""
    begun, ended = processes.numbers("begin"), processes.numbers()
    for topic in topics:
        first = list(dict.fromkeys(ended[topic]))
        wanted = [number for number in range(count) if (topic, number) not in without]
        assert sorted(first) == wanted, topic
        assert first == wanted or not ordered, topic
    return sum(len(begun[topic]) for topic in topics) - count * len(topics)


@pytest.mark.parametrize(
    ("rounds", "consumers"), [(3, 2), pytest.param(200, 3, marks=pytest.mark.long)]
)
@pytest.mark.timeout(1_200)
def test_consumers_that_are_killed_again_and_again_handle_every_message(
    processes, store, eventually, rounds, consumers
):
    rng = random.Random(rounds)
    count = 0
    for _ in range(consumers):
        processes.start(pause_s=0.001)
    for _ in range(rounds):
        publish(store, range(count, count + 20))
        count += 20
        seen = len(processes.lines())
        eventually(lambda: len(processes.lines()) > seen + 10)  # noqa: B023 (called at once)
        time.sleep(rng.uniform(0.0, 0.1))
        processes.kill(rng.choice(processes.running))
        processes.start(pause_s=0.001)
    eventually(lambda: processes.has(range(count)), 60.0 + rounds)
    eventually(lambda: pending(store) == 0)
    again = check(processes, count)
    # A handful each time: what was with the handler, or done and not yet told.
    assert again <= rounds * 20, again
    assert store.xlen(LETTERS) == 0


def test_a_message_that_kills_becomes_a_dead_letter_and_no_other(processes, store, eventually):
    poison = {"poison": f"{TOPICS[1]}:50", "max_deliveries": 3}
    deaths = 0
    publish(store, range(200))
    # Two consumers, which a supervisor starts again.
    for _ in range(2):
        processes.start(**poison)

    def supervise():
        nonlocal deaths
        for pid in [one for one in processes.running if not processes.is_alive(one)]:
            processes.running.remove(pid)
            deaths += 1
            processes.start(**poison)
        return store.xlen(LETTERS) >= 1 and pending(store) == 0

    eventually(supervise, 60.0)
    ((_, letter),) = store.xrange(LETTERS)
    assert letter[b"topic"].decode() == TOPICS[1]
    assert letter[b"payload"] == b"50"
    assert letter[b"error_type"] == b"NeverAcknowledged"
    assert deaths == 3
    check(processes, 200, without={(TOPICS[1], 50)})


def test_a_message_that_kills_takes_no_innocent_one_of_another_stream_with_it(
    processes, store, eventually
):
    # Its stream is the first one, so that it kills before anything of the others is handled.
    topics = [f"events.order.S-{number}" for number in range(8)]
    store.zadd("nt-enhanced:streams", {key_of(topic): at for at, topic in enumerate(topics)})
    poison = {"poison": f"{topics[0]}:0", "max_deliveries": 3, "pause_s": 0.01}
    publish(store, range(20), topics)
    processes.start(**poison)

    def supervise():
        if not processes.is_alive(processes.running[0]):
            processes.running.clear()
            processes.start(**poison)
        return store.xlen(LETTERS) and processes.has(range(20), topics[1:])

    eventually(supervise, 40.0)
    eventually(lambda: pending(store, topics) == 0)
    assert [fields[b"topic"] for _, fields in store.xrange(LETTERS)] == [topics[0].encode()]
    check(processes, 20, without={(topics[0], 0)}, topics=topics)


# -- stopped -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["topic", "none"])
def test_a_consumer_that_is_stopped_past_its_lease_lets_go(processes, store, eventually, order):
    stopped = processes.start(pause_s=0.002, order=order)
    eventually(lambda: store.hlen(MEMBERS) > 0)
    publish(store, range(200))
    eventually(lambda: len(processes.lines()) > 50)
    os.kill(stopped, signal.SIGSTOP)
    other = processes.start(order=order)
    eventually(lambda: processes.has(range(200)))
    publish(store, range(200, 300))
    eventually(lambda: processes.has(range(300)))
    eventually(lambda: pending(store) == 0)
    continued_ns = time.monotonic_ns()
    os.kill(stopped, signal.SIGCONT)
    # It is a member again, and gets its share.
    eventually(lambda: len(members(store)) == 2)
    publish(store, range(300, 400))
    eventually(lambda: processes.has(range(400)) and pending(store) == 0)
    after = [line for line in processes.lines() if line[2] > continued_ns]
    late = [(what, n) for what, who, _, _, n in after if who == str(stopped) and n < 300]
    # The one call that was under way.
    assert [what for what, _ in late] in ([], ["end"], ["begin", "end"]), late
    assert str(other) in {who for _, who, *_ in processes.lines()}
    # What was handled in the last milliseconds was not acknowledged yet, at 2 ms each.
    assert check(processes, 400, ordered=order == "topic") <= 10
    assert store.xlen(LETTERS) == 0


def members(store):
    return [name for name in store.hkeys(MEMBERS) if name.startswith(b"m:")]


@pytest.mark.parametrize("rounds", [3, pytest.param(30, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_who_is_stopped_while_it_waits_is_not_given_what_another_one_reads(
    processes, store, eventually, rounds
):
    # The lease is shorter than a call to the server may wait for entries.
    pids = [processes.start(lease_ms=300, response_timeout_ms=4_000) for _ in range(2)]
    eventually(lambda: len(members(store)) == 2)
    publish(store, range(1), MANY)
    eventually(lambda: processes.has(range(1), MANY))
    count = 1
    for number in range(rounds):
        stopped = pids[number % 2]
        os.kill(stopped, signal.SIGSTOP)
        eventually(lambda: len(members(store)) == 1)
        for _ in range(20):
            publish(store, range(count, count + 1), MANY)
            count += 1
            time.sleep(0.01)
        os.kill(stopped, signal.SIGCONT)
        eventually(lambda: len(members(store)) == 2)
        eventually(lambda: processes.has(range(count), MANY))  # noqa: B023 (called at once)
    check(processes, count, topics=MANY)


# -- the same name -------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["topic", "none"])
def test_consumers_of_the_same_name_share_like_others(processes, store, eventually, order):
    for _ in range(2):
        processes.start(consumer="worker-1", pause_s=0.001, order=order)
    eventually(lambda: len(members(store)) == 2)
    for begin in range(0, 60, 20):
        publish(store, range(begin, begin + 20), MANY)
        eventually(lambda: processes.has(range(begin + 20), MANY))  # noqa: B023 (called at once)
    eventually(lambda: pending(store, MANY) == 0)
    assert check(processes, 60, topics=MANY, ordered=order == "topic") == 0
    assert len({who for _, who, *_ in processes.lines()}) == 2


def test_a_backlog_that_is_taken_over_twice_is_not_taken_for_what_kills(
    processes, store, eventually
):
    topic = TOPICS[:1]
    publish(store, range(2_000), topic)
    for _ in range(3):
        pid = processes.start(pause_s=0.001)
        seen = len(processes.lines())
        eventually(lambda: len(processes.lines()) > seen + 400)  # noqa: B023 (called at once)
        processes.kill(pid)
    entries = store.xpending_range(key_of(topic[0]), GROUP, "-", "+", 10_000)
    # What is delivered more often is handled one by one.
    assert sum(entry["times_delivered"] > 1 for entry in entries) <= 2 * PAGE
