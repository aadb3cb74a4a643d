"""Publish numbers from a process that may be killed: run by the tests of the journal."""

from __future__ import annotations

import json
import sys
import time

import msgspec

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import BufferSettings
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import LaneSettings
from nautilus_enhanced.infrastructure.messagebus import StreamNaming


TOPICS = ("events.order.A", "events.order.B", "data.quotes.Q")


def say(line: str) -> None:
    """Write a line that the test reads at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Publish from `first`, each number on each topic, and say on stdout how far it is."""
    options = json.loads(sys.argv[1])
    client = BufferedMessageBusClient(
        options["url"],
        naming=StreamNaming(trader_id="T", stream_per_topic=options.get("per_topic", True)),
        buffers=BufferSettings(
            normal=msgspec.convert(options.get("normal", {}), LaneSettings),
        ),
        durability=msgspec.convert(options["durability"], DurabilitySettings),
        connection=ConnectionSettings(
            connect_timeout_ms=500,
            response_timeout_ms=1_000,
            reconnect_min_ms=1,
            reconnect_max_ms=20,
        ),
    )
    client.start(options.get("wait_s", 2.0))
    number = options["first"]
    end = number + options["count"]
    while number < end:
        for topic in options.get("topics", TOPICS):
            assert client.offer(topic, b"%d" % number)
        # Only what is older than this long must outlive the process.
        say(f"put {number} {time.monotonic_ns()}")
        number += 1
        time.sleep(options.get("pause_s", 0.001))
    if options.get("then") == "wait":
        say("waiting")
        time.sleep(60.0)
    say(f"flushed {client.flush_blocking(options.get('flush_s', 20.0))}")
    client.stop()
    figures = client.statistics()
    say("figures " + msgspec.json.encode(figures).decode())


if __name__ == "__main__":
    main()
