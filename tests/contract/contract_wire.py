"""Scenario programs: nodes that publish messages to Redis, and nodes that read them there."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from urllib.parse import urlsplit

import nautilus_trader
import redis
from contract_scenarios import bus_config
from contract_scenarios import end_at_once
from contract_scenarios import main
from nautilus_trader.config import DatabaseConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs


LIMIT_S = 60.0
VERSION = nautilus_trader.__version__


def messages() -> list:
    """Return one message of each of the more important types."""
    instrument = TestInstrumentProvider.default_fx_ccy("AUD/USD")
    order = TestExecStubs.limit_order(instrument=instrument)
    return [
        TestDataStubs.quote_tick(instrument),
        TestDataStubs.trade_tick(instrument),
        TestDataStubs.bar_5decimal(),
        TestDataStubs.order_book_delta(),
        order.init_event,
        TestEventStubs.order_submitted(order),
        TestEventStubs.order_accepted(order),
        TestEventStubs.order_filled(order, instrument, last_px=order.price),
        TestEventStubs.cash_account_state(),
    ]


def make_node(bus: str, url: str, name: str, **fields) -> TradingNode:
    at = {"database": DatabaseConfig(port=urlsplit(url).port)}
    if bus == "enhanced":
        at = {"connection": url}
    config = TradingNodeConfig(
        trader_id=TraderId(f"{name}-001"),
        logging=LoggingConfig(log_level="OFF"),
        message_bus=bus_config(bus, **at, stream_per_topic=False, **fields),
        timeout_post_stop=0.05,
        timeout_disconnection=10.0,
    )
    node = TradingNode(config)
    node.build()
    return node


def publish(bus: str, url: str, encoding: str, *, until_read: bool) -> dict:
    """Publish all messages again and again until somebody has read them, or just once."""
    node = make_node(bus, url, bus.upper(), encoding=encoding, use_trader_prefix=False)
    server = redis.Redis.from_url(url)
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        for message in messages():
            node.kernel.msgbus.publish(f"{VERSION}.{bus}.{type(message).__name__}", message)
        if not until_read or server.exists("done"):
            break
        # The stock reader begins at what comes next, at a moment that it does not tell.
        time.sleep(0.05)
    node.dispose()
    # A node publishes about itself, too.
    return {
        "entries": [
            raw_fields(fields)
            for _, fields in server.xrange(f"{bus.upper()}-001:stream")
            if fields[b"topic"].startswith(f"{VERSION}.".encode())
        ]
    }


def raw_fields(fields: dict) -> list[list[str]]:
    """Return names and values in their order, values in a form that JSON can carry."""
    return [[name.decode(), base64.b64encode(value).decode()] for name, value in fields.items()]


def read(bus: str, url: str, encoding: str, streams: list[str], topics: list[str]) -> dict:
    """Read streams until each of the topics has come, twice; say what it carried."""
    node = make_node(
        bus, url, "READER", encoding=encoding, external_streams=streams, use_trader_prefix=False
    )
    kernel = node.kernel
    came: dict[str, list[str]] = {}

    def note(topic: str):
        def handler(message) -> None:
            came.setdefault(topic, []).append(form(message))

        return handler

    for topic in topics:
        kernel.msgbus.subscribe(topic, note(topic))
    for message in messages():
        kernel.msgbus.add_streaming_type(type(message))

    async def watch() -> None:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            if all(len(came.get(topic, ())) >= 2 for topic in topics):
                break
            await asyncio.sleep(0.01)
        redis.Redis.from_url(url).set("done", "1")
        node.stop()

    loop = node.get_event_loop()
    watching = loop.create_task(watch())
    node.run()
    loop.run_until_complete(watching)
    node.dispose()
    return {"came": {topic: sorted(set(seen)) for topic, seen in came.items()}}


def expected(bus: str) -> dict:
    """Say what each message is, by its type."""
    assert bus
    return {type(one).__name__: form(one) for one in messages()}


def form(message) -> str:
    """Return what a message is, but for the event IDs, which are random."""
    return re.sub(r"event_id=[0-9a-f-]+", "event_id=", f"{type(message).__name__} {message!r}")


if __name__ == "__main__":
    main({"publish": publish, "read": read, "expected": expected})
    end_at_once()
