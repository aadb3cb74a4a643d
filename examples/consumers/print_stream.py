#!/usr/bin/env python3
"""
Print what a node publishes, decoded: a consumer in a process of its own.

    python examples/consumers/print_stream.py --redis-url redis://localhost:6379/0
    python examples/consumers/print_stream.py --topics 'events.order.*' --trader EXAMPLE-001
    python examples/consumers/print_stream.py --from-start --count 20

Works with what an enhanced node and a stock node publish. Without a group it disturbs nobody and
acknowledges nothing. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import sys
import threading
from typing import Any

import redis

from nautilus_enhanced import EnhancedBusError
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.streams import StreamClient
from nautilus_enhanced.infrastructure.messagebus.streams import StreamMessage
from nautilus_enhanced.serialization.decoding import decode_message


def decode(payload: bytes) -> Any:
    """Return one of NautilusTrader's objects, or the text of what is none of them."""
    try:
        return decode_message(payload)
    except Exception:  # noqa: BLE001 (a heartbeat is a time, and another process may write anything)
        return payload.decode("utf-8", "backslashreplace")


def main() -> None:
    """Print until the count is reached, or until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--redis-url", default="redis://localhost:6379/0")
    parser.add_argument("--topics", nargs="+", default=["*"], help="patterns (default: all topics)")
    parser.add_argument("--trader", default="*", help="a trader ID (default: all)")
    parser.add_argument("--from-start", action="store_true", help="print what is there already too")
    parser.add_argument("--count", type=int, help="stop after this many messages")
    options = parser.parse_args()

    try:
        with redis.Redis.from_url(options.redis_url, socket_timeout=10.0) as store:
            store.ping()
    except (redis.RedisError, ValueError) as error:
        sys.exit(f"{options.redis_url} does not answer: {error}. Name a server with --redis-url.")

    printed = 0
    has_enough = threading.Event()

    def show(message: StreamMessage) -> None:
        nonlocal printed
        if not has_enough.is_set():
            print(f"{message.topic}: {message.body}", flush=True)
            printed += 1
            if printed == options.count:
                has_enough.set()

    try:
        naming = StreamNaming(trader_id=options.trader)
        with StreamClient(options.redis_url, naming=naming) as client:
            start = "beginning" if options.from_start else "now"
            client.subscribe(options.topics, show, start=start, decode=decode)
            has_enough.wait()
    except EnhancedBusError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
