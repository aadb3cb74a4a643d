"""What a node had buffered when an engine ended the process is in its journal."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.journal import inspect


HERE = Path(__file__).resolve().parent
NAMING = StreamNaming(trader_id="CONTRACT-001")


def run_node(url, durability, orders):
    arguments = {"url": url, "durability": durability, "orders": orders}
    # No empty part, which would be the checkout.
    path = filter(None, (os.environ.get("PYTHONPATH"), str(HERE.parent / "contract")))
    return subprocess.run(
        [sys.executable, str(HERE / "journal_node.py"), json.dumps(arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )


@pytest.mark.parametrize("high", ["spill", "always"])
def test_order_events_outlive_an_engine_that_ends_the_process(
    server, store, tmp_path, high, free_port
):
    durability = {"critical": high, "high": high, "directory": str(tmp_path)}
    done = run_node(f"redis://127.0.0.1:{free_port()}", durability, 40)
    assert done.returncode == 1, done.stdout[-4000:] + done.stderr[-4000:]
    assert "FILLED" in done.stdout, done.stderr[-4000:]
    filled = int(re.search(r"FILLED (\d+)", done.stdout).group(1))
    assert filled == 40
    (path,) = tmp_path.glob("*.journal")
    contents, _ = inspect(path)
    # Initialized, submitted, accepted and filled at least, and nobody has it any more.
    assert contents.lanes[1].messages >= 4 * filled
    assert contents.holder == ""
    client = BufferedMessageBusClient(
        f"redis://127.0.0.1:{server.port}",
        naming=NAMING,
        durability=DurabilitySettings(**durability),
    )
    client.start(5.0)
    assert client.flush_blocking(10.0)
    client.stop()
    (key,) = (key for key in store.keys("*events.order.*"))
    assert count_fills(store, key) == filled


def count_fills(store: redis.Redis, key: bytes) -> int:
    # In either encoding.
    return sum(b"OrderFilled" in fields[b"payload"] for _, fields in store.xrange(key))
