#!/usr/bin/env python3
"""
Print what a node publishes, decoded: a consumer in a process of its own.

    python examples/consumers/print_stream.py --redis-url redis://localhost:6379/0
    python examples/consumers/print_stream.py --match 'trader-EXAMPLE-001:stream:events.*'
    python examples/consumers/print_stream.py --from-start --count 20

Works with what an enhanced node and a stock node publish. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import msgspec
import redis
from nautilus_trader.serialization.serializer import MsgSpecSerializer


FIND_EVERY_S = 1.0
BLOCK_MS = 200


def decode(fields: dict[bytes, bytes]) -> Any:
    """Return the message of an entry as one of NautilusTrader's objects."""
    payload = fields[b"payload"]
    if fields[b"topic"].startswith(b"health:"):
        return payload.decode()
    # JSON objects begin with a brace, msgpack maps never do.
    encoding = msgspec.json if payload.startswith(b"{") else msgspec.msgpack
    return MsgSpecSerializer(encoding=encoding, timestamps_as_str=True).deserialize(payload)


def main() -> None:
    """Read until the count is reached, or until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--redis-url", default="redis://localhost:6379/0")
    parser.add_argument("--match", default="trader-*", help="which stream keys (default: trader-*)")
    parser.add_argument("--from-start", action="store_true", help="print what is there already too")
    parser.add_argument("--count", type=int, help="stop after this many messages")
    options = parser.parse_args()

    try:
        client = redis.Redis.from_url(options.redis_url, socket_timeout=10.0)
        client.ping()
    except (redis.RedisError, ValueError) as error:
        sys.exit(f"{options.redis_url} does not answer: {error}. Name a server with --redis-url.")

    positions: dict[bytes, bytes] = {}
    found_at = float("-inf")
    printed = 0
    while options.count is None or printed < options.count:
        if time.monotonic() - found_at >= FIND_EVERY_S:
            # What appears later is read from its beginning: nothing is missed in between.
            is_first_look = found_at == float("-inf")
            begin = b"$" if is_first_look and not options.from_start else b"0-0"
            for key in client.scan_iter(match=options.match, count=1_000, _type="stream"):
                if key not in positions:
                    last = client.xrevrange(key, count=1) if begin == b"$" else []
                    positions[key] = last[0][0] if last else b"0-0"
            found_at = time.monotonic()
        if not positions:
            time.sleep(BLOCK_MS / 1_000)
            continue
        answer: Any = client.xread(positions, count=100, block=BLOCK_MS)
        for key, entries in answer or []:
            for entry_id, fields in entries:
                positions[key] = entry_id
                if options.count is None or printed < options.count:
                    print(f"{fields[b'topic'].decode()}: {decode(fields)}", flush=True)
                    printed += 1


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
