"""Publish under a fault, and hold what came of it against the checker."""

from __future__ import annotations

import asyncio
import itertools
import resource
import threading
import time
from typing import TYPE_CHECKING
from typing import Any

import redis
from checker import Account
from checker import Published
from checker import check
from checker import identity_of
from checker import read_streams

from nautilus_enhanced.infrastructure.messagebus import AckUnavailableError
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferFullError
from nautilus_enhanced.infrastructure.messagebus import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import IndeterminateError
from nautilus_enhanced.infrastructure.messagebus import NotAcceptedError
from nautilus_enhanced.infrastructure.messagebus import NotConfirmedError
from nautilus_enhanced.infrastructure.messagebus import StreamNaming


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from checker import Allowed
    from checker import Report
    from checker import Snapshot


NAMING = StreamNaming(trader_id="FAULT-1")
# Pauses between attempts as by default; an answer is given up sooner, to have that too in a
# test of a second.
CONNECTION = ConnectionSettings(response_timeout_ms=400)

# What outlives the process: the fixture `kept_in` sets it.
DURABILITY = DurabilitySettings()

ORDERS = ("events.order.S-1", "events.account.SIM-1")
QUOTES = ("data.quotes.BTCUSDT.BINANCE", "data.quotes.ETHUSDT.BINANCE")
LANES = dict.fromkeys(ORDERS, "HIGH") | dict.fromkeys(QUOTES, "NORMAL")

TICK_S = 0.002
# Every tick: three messages of order flow and five quotes, 4,000 messages a second.
TICK = (*ORDERS, ORDERS[0], *QUOTES, *QUOTES, QUOTES[0])
FILLER = b"x" * 150

# A call takes a microsecond. If the system takes the processor from one of our threads meanwhile,
# which has the interpreter or waits for it, that is not the call's fault; but a call that waited
# for the server would take longer than this, too.
LONGEST_CALL_S = 0.05
LONGEST_DISTURBED_S = 0.25
# The goal for publishing again after the server answers.
RESUMED_S = 2.0
FLUSH_S = 30.0
# Longer than any outage of a test.
ASK_S = 100.0


def key_of(topic: str) -> str:
    """Return the stream of a topic, as docs and the stock bus have it."""
    return f"trader-FAULT-1:stream:{topic}"


def preemptions() -> int:
    """Return how often the system took the processor from a thread of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def make_client(port: int, login: str = "", **options: Any) -> BufferedMessageBusClient:
    """Make a client that is not started."""
    options = {"naming": NAMING, "connection": CONNECTION, "durability": DURABILITY} | options
    return BufferedMessageBusClient(f"redis://{login}127.0.0.1:{port}", **options)


class Load(threading.Thread):
    """
    Start a client and publish with it, from one thread, until told to stop.

    Attributes
    ----------
    calls : list[tuple[str, bytes, bool]]
        Topic, payload and whether it was taken, of each call.
    longest_s, longest_disturbed_s : float
        The longest call, and the longest while the system took the processor from a thread of
        this process.
    """

    def __init__(self, client: BufferedMessageBusClient, name: str = "one") -> None:
        super().__init__(name=f"load {name}", daemon=True)
        self.client = client
        self.publisher = name
        self.calls: list[tuple[str, bytes, bool]] = []
        self.longest_s = 0.0
        self.longest_disturbed_s = 0.0
        self._halt = threading.Event()

    def run(self) -> None:
        clock, calls = time.perf_counter, self.calls
        # The thread that starts the client is the one that publishes without a lock.
        self.client.start(0.0)
        prefix = self.publisher.encode()
        offer = self.client.offer
        due = clock()
        for tick in itertools.count():
            if self._halt.wait(max(0.0, due - clock())):
                return
            # After a pause of the machine: go on at the same rate, without a burst.
            due = max(due + TICK_S, clock() - 10 * TICK_S)
            preempted, longest_s = preemptions(), 0.0
            for at, topic in enumerate(TICK):
                payload = b"%b/%d.%d %b" % (prefix, tick, at, FILLER)
                begin = clock()
                taken = offer(topic, payload)
                longest_s = max(longest_s, clock() - begin)
                calls.append((topic, payload, taken))
            if preemptions() == preempted:
                self.longest_s = max(self.longest_s, longest_s)
            else:
                self.longest_disturbed_s = max(self.longest_disturbed_s, longest_s)

    def finish(self) -> None:
        """End publishing."""
        self._halt.set()
        self.join(10.0)
        assert not self.is_alive()

    def published(self) -> list[Published]:
        """Return the calls so far."""
        return [
            Published(
                topic=topic,
                payload=payload,
                lane=LANES[topic],
                publisher=self.publisher,
                taken=taken,
            )
            for topic, payload, taken in list(self.calls)
        ]


class Asker(threading.Thread):
    """
    Publish order flow and wait for each acknowledgement, one message of each level at a time.

    Each level has a stream of its own.
    """

    def __init__(
        self, client: BufferedMessageBusClient, levels: Sequence[str], name: str = "one"
    ) -> None:
        super().__init__(name=f"asker {name}", daemon=True)
        self.client = client
        self.levels = levels
        self.publisher = name
        self.calls: list[Published] = []
        # What a call was begun with: it may be in its stream before the call has ended.
        self.begun: dict[str, list[bytes]] = {level: [] for level in levels}
        self._halt = threading.Event()

    def run(self) -> None:
        asyncio.run(self._ask_all())

    async def _ask_all(self) -> None:
        await asyncio.gather(*(self._ask_one(level) for level in self.levels))

    async def _ask_one(self, level: str) -> None:
        topic = self.topic(level)
        for number in itertools.count():
            if self._halt.is_set():
                return
            payload = b"%b/%b/%d %b" % (self.publisher.encode(), level.encode(), number, FILLER)
            self.begun[level].append(identity_of(payload))
            taken, outcome = True, "given"
            try:
                asked = self.client.publish(topic, payload, ack=level)  # type: ignore[arg-type]
                await asyncio.wait_for(asked, ASK_S)
            except ClientClosedError:
                return
            except BufferFullError:
                taken, outcome = False, ""
            except AckUnavailableError:
                taken, outcome = False, "unavailable"
            except NotAcceptedError:
                outcome = "not accepted"
            except IndeterminateError:
                outcome = "indeterminate"
            except NotConfirmedError:
                outcome = "not confirmed"
            self.calls.append(
                Published(
                    topic=topic,
                    payload=payload,
                    lane="HIGH",
                    publisher=self.publisher,
                    taken=taken,
                    ack=level,
                    outcome=outcome,  # type: ignore[arg-type]
                )
            )
            await asyncio.sleep(0.005)

    @staticmethod
    def topic(level: str) -> str:
        """Return where the messages of a level go."""
        return f"events.order.{level}"

    def finish(self) -> None:
        """End asking, once the last answers are there."""
        self._halt.set()
        self.join(ASK_S + 5.0)
        assert not self.is_alive()

    def outcomes(self, level: str) -> set[str]:
        """Return how asking for a level has ended so far."""
        return {call.outcome for call in list(self.calls) if call.ack == level}

    def given(self, level: str) -> int:
        """Return how often a level was given so far."""
        return sum(call.outcome == "given" and call.ack == level for call in list(self.calls))


class Run:
    """
    A client under load; use it as a context.

    Parameters
    ----------
    client : BufferedMessageBusClient
        The client, not started.
    levels : Sequence[str]
        The acknowledgements that somebody waits for meanwhile.
    name : str
        The publisher's name.
    """

    def __init__(
        self,
        client: BufferedMessageBusClient,
        levels: Sequence[str] = ("accepted",),
        name: str = "one",
    ) -> None:
        self.client = client
        self.name = name
        self.load = Load(client, name)
        self.asker = Asker(client, levels, name)
        self.looks: list[Snapshot] = []
        self.resumed_s: float | None = None

    def __enter__(self) -> Run:
        self.load.start()
        self.asker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.load._halt.set()
        self.asker._halt.set()
        self.client.stop(0.0)
        self.load.finish()
        self.asker.finish()

    @property
    def acknowledged(self) -> int:
        return self.client.statistics().acknowledged

    def wait_for(self, condition: Callable[[], object], within_s: float = 10.0) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {within_s} s: {self.client}"
            time.sleep(0.002)

    def wait_for_more(self, count: int = 200, within_s: float = 10.0) -> float:
        """Wait until the server has confirmed `count` more; return how long it took."""
        begin = time.monotonic()
        goal = self.acknowledged + count
        while self.acknowledged < goal:
            waited = time.monotonic() - begin
            assert waited < within_s, f"{self.acknowledged - goal} after {waited} s: {self.client}"
            time.sleep(0.002)
        return time.monotonic() - begin

    def resumes(self, within_s: float = RESUMED_S) -> float:
        """Check that the server, which answers since now, gets messages again soon."""
        self.resumed_s = self.wait_for_more(1, within_s)
        return self.resumed_s

    def look(self, port: int) -> Snapshot:
        """Read what is there by now: nobody may see any of it under another ID later."""
        with redis.Redis(port=port, socket_timeout=10.0) as store:
            self.looks.append(read_streams(store))
        return self.looks[-1]

    def sent(self) -> dict[str, list[bytes]]:
        """Return the identities of what was published so far, for each stream."""
        found = {key_of(Asker.topic(level)): list(of) for level, of in self.asker.begun.items()}
        for message in self.load.published():
            found.setdefault(key_of(message.topic), []).append(message.identity)
        return found

    def stop_publishing(self) -> None:
        """Publish no more, and wait until all of it has its fate."""
        self.load.finish()
        assert self.client.flush_blocking(FLUSH_S), repr(self.client)
        self.asker.finish()
        assert self.client.flush_blocking(FLUSH_S), repr(self.client)

    def finish(self, port: int, allowed: Sequence[Allowed] = ()) -> Report:
        """End publishing and check everything; return what the checker said."""
        return finish([self], port, allowed)


def finish(runs: Sequence[Run], port: int, allowed: Sequence[Allowed] = ()) -> Report:
    """End all publishing and check everything that has come to one server."""
    for run in runs:
        run.stop_publishing()
    with redis.Redis(port=port, socket_timeout=10.0) as store:
        held = read_streams(store)
    report = check(
        [call for run in runs for call in (*run.load.published(), *run.asker.calls)],
        held,
        {run.name: Account.of(run.client.statistics()) for run in runs},
        key_of=key_of,
        looks=[look for run in runs for look in run.looks],
        allowed=allowed,
    )
    longest_s = max(run.load.longest_s for run in runs)
    disturbed_s = max(run.load.longest_disturbed_s for run in runs)
    resumed = next((f", again after {r.resumed_s:.2f} s" for r in runs if r.resumed_s), "")
    # Shown by `pytest -rP`, and where a test fails.
    longest = f"{longest_s * 1e3:.2f} ms, disturbed {disturbed_s * 1e3:.2f} ms"
    print(f"{report}\nlongest call {longest}{resumed}")  # noqa: T201
    assert report.is_clean, str(report)
    assert longest_s < LONGEST_CALL_S, longest
    assert disturbed_s < LONGEST_DISTURBED_S, longest
    return report
