"""Consumers in processes that are killed, stopped, or ended by what they handle."""

import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from consumers import LETTERS
from consumers import TOPICS
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

    def start(self, **options):
        words = [f"{name}={value}" for name, value in options.items()]
        command = [sys.executable, PROGRAM, str(self.port), self.path, *words]
        self.running.append(subprocess.Popen(command))
        return self.running[-1]

    def kill(self, process):
        process.kill()
        process.wait(10.0)
        self.running.remove(process)

    def stop_all(self):
        for process in list(self.running):
            process.send_signal(signal.SIGCONT)
            self.kill(process)

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


def check(processes, count, kills, *, topics=TOPICS):
    """Look that each was handled, first in order, one at a time, and again only after a kill."""
    begun, ended = processes.numbers("begin"), processes.numbers()
    for topic in topics:
        first = list(dict.fromkeys(ended[topic]))
        assert sorted(first) == list(range(count)), topic
        assert first == sorted(first), topic
    # One is in hand of each topic at a kill, and what was done just before is not yet told.
    again = sum(len(begun[topic]) for topic in topics) - count * len(topics)
    return again


@pytest.mark.parametrize(
    ("rounds", "consumers"), [(4, 2), pytest.param(200, 3, marks=pytest.mark.long)]
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
        publish(store, range(count, count + 100))
        count += 100
        seen = len(processes.lines())
        eventually(lambda: len(processes.lines()) > seen + 10)  # noqa: B023 (called at once)
        time.sleep(rng.uniform(0.0, 0.1))
        processes.kill(rng.choice(processes.running))
        processes.start(pause_s=0.001)
    eventually(lambda: processes.has(range(count)), 60.0)
    eventually(lambda: pending(store) == 0)
    again = check(processes, count, rounds)
    # A handful each time: what was with the handler, or done and not yet told.
    assert again <= rounds * 20, again
    assert store.xlen(LETTERS) == 0


def test_a_message_that_kills_becomes_a_dead_letter_and_no_other(processes, store, eventually):
    publish(store, range(200))
    deaths = 0
    # Two consumers, which a supervisor starts again.
    for _ in range(2):
        processes.start(poison=50, max_deliveries=4)

    def supervise():
        nonlocal deaths
        for process in [one for one in processes.running if one.poll() is not None]:
            processes.running.remove(process)
            deaths += 1
            processes.start(poison=50, max_deliveries=4)
        return store.xlen(LETTERS) == len(TOPICS) and pending(store) == 0

    eventually(supervise, 60.0)
    letters = [fields for _, fields in store.xrange(LETTERS)]
    assert sorted(fields[b"topic"].decode() for fields in letters) == sorted(TOPICS)
    assert {fields[b"payload"] for fields in letters} == {b"50"}
    assert {fields[b"error_type"] for fields in letters} == {b"NeverAcknowledged"}
    assert processes.has([*range(50), *range(51, 200)])
    assert deaths == 4 * len(TOPICS)
