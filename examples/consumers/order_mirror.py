#!/usr/bin/env python3
"""
Mirror a node's order events in three processes that are killed again and again, and lose none.

    python examples/consumers/order_mirror.py
    python examples/consumers/order_mirror.py --seconds 30
    python examples/consumers/order_mirror.py --redis-url redis://localhost:6379/0

The node of `nt-enhanced demo` trades on a loopback venue. Three consumers with one group share what
it publishes about orders, fills, positions and the account, and write down each event, as a mirror
of the orders in a database would. Meanwhile one of them after the other is killed (SIGKILL) and
started again. At the end what they have written is held against what the node published: the
exit code is 0 if every event was handled, in the order of its topic. An event whose consumer was
killed after handling it and before acknowledging it is handled twice: it is counted, and a mirror
that must not do so notes IDs (see `docs/consuming.md`).

Needs `pip install 'nt-enhanced[embedded,sandbox]'`. Nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import redis

from nautilus_enhanced import EnhancedBusError
from nautilus_enhanced.cli.demo.messages import NodeProgress
from nautilus_enhanced.cli.demo.messages import NodeRequest
from nautilus_enhanced.cli.demo.messages import NodeResult
from nautilus_enhanced.cli.demo.messages import fingerprint
from nautilus_enhanced.cli.demo.messages import from_line
from nautilus_enhanced.cli.demo.messages import read_sequences
from nautilus_enhanced.cli.demo.processes import Child
from nautilus_enhanced.cli.demo.processes import Family
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams import StreamMessage
from nautilus_enhanced.infrastructure.messagebus.streams import SubscriptionSettings
from nautilus_enhanced.sandbox.binance import BinanceSpotVenueProcess
from nautilus_enhanced.sandbox.embedded import EmbeddedServer


TOPICS = ("events.order.*", "events.fills.*", "events.position.*", "events.account.*")
CONSUMERS = 3
# What a write to a database may take.
WORK_S = 0.005
LEASE_MS = 1_000
KILL_EVERY_S = (0.7, 1.7)
RESTART_AFTER_S = 0.3
NODE_GRACE_S = 60.0
CATCH_UP_S = 30.0
CLOSE_S = 5.0
POLL_S = 0.05


# -- a consumer ----------------------------------------------------------------------------------


class Mirror:
    """
    Write down each event as a line of a file.

    One write for each line: it is there as a whole or not at all, whatever kills the process.

    Parameters
    ----------
    path : Path
        The file, which all consumers share.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def handle(self, message: StreamMessage) -> None:
        """Write an event down, and be acknowledged by returning."""
        time.sleep(WORK_S)
        line = f"{os.getpid()} {fingerprint(message.topic, message.payload)} {message.topic}\n"
        os.write(self._file, line.encode())


def consume(url: str, trader_id: str, group: str, path: Path) -> None:
    """Consume until told to end."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    settings = SubscriptionSettings(
        # Others take over what a consumer had when it was not heard of for a second.
        lease_ms=LEASE_MS,
        # Being killed again and again is what happens here, and no fault of the message.
        max_deliveries=100,
    )
    with StreamClient(url, naming=StreamNaming(trader_id=trader_id)) as client:
        client.subscribe(TOPICS, Mirror(path).handle, group=group, settings=settings)
        # Whoever started this may be gone as well.
        parent = os.getppid()
        while not ended.wait(1.0) and os.getppid() == parent:
            pass


class Consumers:
    """
    The consumers' processes, and who kills them.

    Parameters
    ----------
    *arguments : str
        What a consumer is started with.
    """

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, str(Path(__file__)), "--consume", *arguments]
        self._processes = [self._start() for _ in range(CONSUMERS)]
        # Which one and when makes no difference to anything that must stay secret.
        self._random = random.Random()  # noqa: S311 (above)
        self._kill_at = time.monotonic() + KILL_EVERY_S[1]
        self._restart_at: dict[int, float] = {}
        self.kills = 0

    def __enter__(self) -> Consumers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command)  # noqa: S603 (this file)

    def act(self) -> None:
        """Kill or restart one, if it is time to."""
        now = time.monotonic()
        for index in [index for index, due in self._restart_at.items() if due <= now]:
            del self._restart_at[index]
            self._processes[index] = self._start()
        if now >= self._kill_at:
            self._kill_at = now + self._random.uniform(*KILL_EVERY_S)
            alive = [index for index in range(CONSUMERS) if index not in self._restart_at]
            index = self._random.choice(alive)
            self._processes[index].kill()
            self._processes[index].wait()
            self._restart_at[index] = now + RESTART_AFTER_S
            self.kills += 1

    def restart_all(self) -> None:
        """Have all of them run, and kill no more."""
        for index in self._restart_at:
            self._processes[index] = self._start()
        self._restart_at = {}

    def finish(self) -> None:
        """Ask all to end, and wait for it."""
        for process in self._processes:
            process.terminate()
        until = time.monotonic() + CLOSE_S
        for process in self._processes:
            process.wait(max(0.1, until - time.monotonic()))


# -- the node ------------------------------------------------------------------------------------


def start_node(family: Family, venue: Any, url: str, trader_id: str, **request: Any) -> Child:
    """Start the demo's node, which notes what it publishes."""
    venues = {"binance": venue.address}
    asked = NodeRequest(
        bus="enhanced", trader_id=trader_id, server_url=url, venues=venues, **request
    )
    module = "nautilus_enhanced.cli.demo.node"
    return family.start("node", module, msgspec.json.encode(asked).decode())


def follow(family: Family, node: Child, consumers: Consumers, limit_s: float) -> NodeResult:
    """Kill consumers as long as the node trades, and return what it did."""
    until = time.monotonic() + limit_s
    result: NodeResult | None = None
    is_trading = False
    while time.monotonic() < until:
        if is_trading and result is None:
            consumers.act()
        line = family.next_line(POLL_S)
        if line is None:
            continue
        if line.text is None:
            if result is not None:
                return result
            sys.exit(f"the node ended early: {node.errors()[-2_000:]}")
        message = from_line(line.text)
        if isinstance(message, NodeProgress) and not is_trading:
            is_trading = True
            print("the node trades; consumers are killed and started again", flush=True)
        elif isinstance(message, NodeResult):
            result = message
    sys.exit("the node did not finish in time")


# -- the proof -----------------------------------------------------------------------------------


def catch_up(path: Path, published: dict[str, list[str]]) -> bool:
    """Wait until all was handled that was published; return whether it was."""
    wanted = Counter(one for sequence in published.values() for one in sequence)
    until = time.monotonic() + CATCH_UP_S
    while time.monotonic() < until:
        if wanted <= Counter(digest for _, digest, _ in read_mirror(path)):
            return True
        time.sleep(POLL_S)
    return False


def read_mirror(path: Path) -> list[tuple[str, str, str]]:
    """Return process, fingerprint and topic of each event that was handled."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(process, digest, topic) for process, digest, topic in map(str.split, lines)]


def selected(published: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return what of the node's messages the consumers have asked for."""
    beginnings = tuple(pattern.rstrip("*") for pattern in TOPICS)
    return {topic: all_of for topic, all_of in published.items() if topic.startswith(beginnings)}


def verdict(published: dict[str, list[str]], mirror: list[tuple[str, str, str]], kills: int) -> int:
    """Say in words what came of it; return the exit code."""
    expected = Counter(digest for sequence in published.values() for digest in sequence)
    handled = Counter(digest for _, digest, _ in mirror)
    missing = expected - handled
    firsts: defaultdict[str, list[str]] = defaultdict(list)
    seen: set[str] = set()
    for _, digest, topic in mirror:
        # One that comes again comes after it was handled once: only the first time has a place.
        if digest in expected and digest not in seen:
            seen.add(digest)
            firsts[topic].append(digest)
    reordered = [t for t, all_of in published.items() if firsts[t] != list(dict.fromkeys(all_of))]
    orders = sum(len(s) for topic, s in published.items() if topic.startswith("events.order."))
    twice = sum((handled - expected).values())
    workers = len({process for process, _, _ in mirror})
    print(
        f"published: {expected.total():,} events on {len(published)} topics, "
        f"{orders:,} of them order events\n"
        f"handled: {(expected & handled).total():,} of them, by {workers} processes\n"
        f"killed: {kills} times\n"
        f"missing: {missing.total():,}\n"
        f"handled again: {twice:,}, whose consumer was killed before it had acknowledged them\n"
        f"topics out of order: {len(reordered)}"
    )
    if not orders or not kills:
        print("FAILED: there was nothing to prove: give it more --seconds")
        return 1
    if missing or reordered:
        print("FAILED: see above")
        return 1
    print("OK: every order event was handled")
    return 0


def clean_up(url: str, trader_id: str, group: str) -> None:
    """Remove what this has made on a server that others use too."""
    with redis.Redis.from_url(url) as store:
        for pattern in (f"trader-{trader_id}:*", f"nt-enhanced:*:{group}"):
            for key in store.scan_iter(match=pattern, count=1_000):
                store.zrem("nt-enhanced:streams", key)
                store.unlink(key)


def check_server(url: str) -> None:
    """Say at once if there is no server."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5.0, socket_connect_timeout=5.0) as store:
            store.ping()
    except (redis.RedisError, ValueError) as error:
        sys.exit(f"{url} does not answer: {error}. Name a server with --redis-url.")


def run(redis_url: str, seconds: float) -> int:
    """Run node and consumers, and return the exit code."""
    token = secrets.token_hex(3).upper()
    trader_id, group = f"MIRROR-{token}", f"order-mirror-{token}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="order-mirror-")))
        url = redis_url
        if redis_url == "embedded":
            url = stack.enter_context(EmbeddedServer()).url
        else:
            check_server(url)
            stack.callback(clean_up, url, trader_id, group)
        venue = stack.enter_context(BinanceSpotVenueProcess(burst_size=200))
        family = stack.enter_context(Family(folder))
        path = folder / "mirror"
        consumers = stack.enter_context(Consumers(url, trader_id, group, str(path)))
        print(f"{CONSUMERS} consumers with the group {group}; starting the node", flush=True)
        witness = folder / "published.json"
        node = start_node(
            family,
            venue,
            url,
            trader_id,
            seconds=seconds,
            witness_path=str(witness),
            log_dir=str(folder),
        )
        follow(family, node, consumers, seconds + NODE_GRACE_S)
        published = selected(read_sequences(witness))
        consumers.restart_all()
        print("the node has ended; consumers finish what is left", flush=True)
        catch_up(path, published)
        consumers.finish()
        return verdict(published, read_mirror(path), consumers.kills)


def main() -> int:
    """Read the command line and run."""
    if sys.argv[1:2] == ["--consume"]:
        url, trader_id, group, path = sys.argv[2:]
        consume(url, trader_id, group, Path(path))
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--redis-url", default="embedded", help="default: an embedded server")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to trade: 15")
    options = parser.parse_args()
    try:
        return run(options.redis_url, options.seconds)
    except EnhancedBusError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
