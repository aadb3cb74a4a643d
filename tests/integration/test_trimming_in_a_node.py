"""A node trims its own streams, and none of anybody else's, and says so."""

import json
import time
from pathlib import Path

import pytest
from node_programs import run_program

from nautilus_enhanced.infrastructure.messagebus import RedisStreamManager


HERE = Path(__file__).resolve().parent
TRIMMING = {"interval_secs": 1.0, "max_age_mins": 30}


def run_node(url, **message_bus):
    arguments = {
        "message_bus": {"connection": url, **message_bus},
        "trader_id": "TRADER-001",
    }
    done = run_program(HERE / "trimming_node.py", json.dumps(arguments), timeout_s=60.0)
    assert done.code == 0, done.output[-8000:]
    (line,) = (line for line in done.output.splitlines() if line.startswith("OUTCOME "))
    return json.loads(line.removeprefix("OUTCOME "))


@pytest.mark.parametrize("per_topic", [True, False])
def test_a_node_trims_its_own_streams(server, store, per_topic):
    of_topic = ":events.order.S-1" if per_topic else ""
    own, other = (f"trader-{name}:stream{of_topic}" for name in ("TRADER-001", "TRADER-002"))
    held = "trader-TRADER-001:stream:data.held"
    at_ms = time.time_ns() // 1_000_000 - 60 * 60_000
    for stream in (own, other, held):
        for number in range(250):
            store.xadd(stream, {"topic": "t", "payload": "p"}, id=f"{at_ms}-{number}")
    url = f"redis://127.0.0.1:{server.port}"
    with RedisStreamManager(url) as manager:
        manager.create_group(held, "g", "beginning")
        manager.read("g", "c", [held], count=10)
    reasons, figures, threads = run_node(
        url, stream_per_topic=per_topic, streams={"trimming": TRIMMING}
    )
    assert store.xlen(own) < 100
    assert store.xlen(other) == store.xlen(held) == 250
    assert figures["running"]
    assert figures["removed"] >= 150
    assert figures["gap"] == 0
    assert not reasons
    assert not any("trimmer" in name for name in threads)


def test_a_node_without_the_setting_trims_nothing(server, store):
    store.xadd("trader-TRADER-001:stream:t", {"topic": "t", "payload": "p"}, id="1-0")
    reasons, figures, _ = run_node(f"redis://127.0.0.1:{server.port}")
    assert figures is None
    assert not reasons
    assert store.xlen("trader-TRADER-001:stream:t") == 1


def test_a_node_whose_trimmer_cannot_work_says_so(server, store):
    rules = ("on", ">pass", "~*", "+@all", "-xtrim")
    store.execute_command("ACL", "SETUSER", "node", *rules)
    try:
        store.xadd("trader-TRADER-001:stream:t", {"topic": "t", "payload": "p"}, id="1-0")
        url = f"redis://node:pass@127.0.0.1:{server.port}"
        reasons, figures, _ = run_node(url, streams={"trimming": TRIMMING})
    finally:
        store.execute_command("ACL", "DELUSER", "node")
    assert figures["failed_rounds"] == 1
    assert any("may not run XTRIM" in reason for reason in reasons)
