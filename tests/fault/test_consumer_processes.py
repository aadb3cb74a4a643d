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
from consumers import LETTERS
from consumers import TOPICS
from consumers import key_of
from consumers import pending
from consumers import publish


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
        self.maker = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)

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
        words = [line.split() for line in self.path.read_text().splitlines()]
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


def check(processes, count, *, without=frozenset(), topics=TOPICS):
    """Look that each was handled, and first in order; return how often one was begun again."""
    begun, ended = processes.numbers("begin"), processes.numbers()
    for topic in topics:
        first = list(dict.fromkeys(ended[topic]))
        wanted = [number for number in range(count) if (topic, number) not in without]
        assert sorted(first) == wanted, topic
        assert first == wanted, topic
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
        publish(store, range(count, count + 50))
        count += 50
        seen = len(processes.lines())
        eventually(lambda: len(processes.lines()) > seen + 10)  # noqa: B023 (called at once)
        time.sleep(rng.uniform(0.0, 0.1))
        processes.kill(rng.choice(processes.running))
        processes.start(pause_s=0.001)
    eventually(lambda: processes.has(range(count)), 60.0)
    eventually(lambda: pending(store) == 0)
    again = check(processes, count)
    # A handful each time: what was with the handler, or done and not yet told.
    assert again <= rounds * 20, again
    assert store.xlen(LETTERS) == 0


def test_a_message_that_kills_becomes_a_dead_letter_and_no_other(processes, store, eventually):
    poison = {"poison": f"{TOPICS[1]}:50", "max_deliveries": 4}
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
    assert deaths == 4
    check(processes, 200, without={(TOPICS[1], 50)})


def test_a_message_that_kills_takes_no_innocent_one_of_another_stream_with_it(
    processes, store, eventually
):
    # Its stream is the first one, so that it kills before anything of the others is handled.
    topics = [f"events.order.S-{number}" for number in range(8)]
    store.zadd("nt-enhanced:streams", {key_of(topic): at for at, topic in enumerate(topics)})
    poison = {"poison": f"{topics[0]}:0", "max_deliveries": 4, "pause_s": 0.01}
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
