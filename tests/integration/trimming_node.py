"""
A node that trims its own streams: ``python trimming_node.py JSON``; prints what it did, as JSON.

It trades nothing: the trimmer begins when the kernel is built, and ends with it.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import msgspec
from nautilus_trader.live.node import TradingNode

from nautilus_enhanced import health
from nautilus_enhanced import parse_node_config
from nautilus_enhanced import statistics


def run(message_bus: dict, trader_id: str) -> None:
    fields = {
        "trader_id": trader_id,
        "logging": {"log_level": "ERROR"},
        "message_bus": {"serializer": "enhanced", **message_bus},
    }
    node = TradingNode(parse_node_config(json.dumps(fields)))
    deadline = time.monotonic() + 30.0
    while (figures := statistics(node).trimming) is not None and not figures.rounds:
        if time.monotonic() > deadline or figures.last_error:
            break
        time.sleep(0.01)
    said = [list(health(node).reasons), msgspec.to_builtins(figures)]
    node.dispose()
    threads = [thread.name for thread in threading.enumerate()]
    sys.stdout.write(f"OUTCOME {json.dumps([*said, threads])}\n")


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
