"""Scenario program: external streams that a node reads with a group of its own."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import msgspec
import redis
from contract_parts import Session
from contract_parts import quote_at
from contract_parts import until
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import Trader
from contract_scenarios import bus_config
from contract_scenarios import end_at_once
from contract_scenarios import main
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.events import OrderSubmitted
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.serialization.serializer import MsgSpecSerializer

from nautilus_enhanced import AllowRule
from nautilus_enhanced import DispatchSettings
from nautilus_enhanced import ExternalSettings
from nautilus_enhanced import StartRule
from nautilus_enhanced import health
from nautilus_enhanced import statistics


STREAM = "trader-ELSEWHERE-001:stream"
OWN = "trader-CONTRACT-001:stream"
ORDERS = "events.order.AWAY-001"
QUOTES = f"data.quotes.SIM.{INSTRUMENT_ID.symbol}"
# Streams that are not there yet are found by looking through the keys.
SOON = ExternalSettings(scan_interval_ms=100)
ENCODINGS = {"json": msgspec.json, "msgpack": msgspec.msgpack}


def event(number: int) -> OrderSubmitted:
    return OrderSubmitted(
        TraderId("ELSEWHERE-001"),
        StrategyId("AWAY-001"),
        INSTRUMENT_ID,
        ClientOrderId(f"O-{number}"),
        AccountId("SIM-001"),
        UUID4(),
        number,
        number,
    )


def number_of(message) -> int:
    return int(message.client_order_id.value.removeprefix("O-"))


class Writer:
    """Writes as other nodes do: in turn as 1.221, as 1.231, and in either encoding."""

    def __init__(self, url: str) -> None:
        self.server = redis.Redis.from_url(url)
        self.written = 0

    def write(self, topic: str, message, stream: str = STREAM) -> None:
        encoding = ("json", "msgpack")[self.written % 2]
        serializer = MsgSpecSerializer(ENCODINGS[encoding], timestamps_as_str=True)
        payload = message if isinstance(message, bytes) else serializer.serialize(message)
        fields = {"topic": topic, "payload": payload}
        if self.written % 4 >= 2:
            fields = {
                "topic": topic,
                "type": type(message).__name__,
                "payload": payload,
                "encoding": encoding.title(),
            }
        self.server.xadd(stream, fields)
        self.written += 1


class Node:
    """A node with a subscriber to events of orders and quotes from elsewhere."""

    def __init__(self, bus: str, at_event=None, strategy=None, streams=(STREAM,), **fields) -> None:
        self.events: list[int] = []
        self.quotes: list[str] = []
        self.processed: list[str] = []
        self.at_event = at_event or (lambda _: None)
        # A node that is disposed closes its loop, and there may be another node after it.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self.session = Session(
            bus,
            *([] if strategy is None else [strategy]),
            loop=loop,
            message_bus=bus_config(bus, external_streams=list(streams), **fields),
        )
        self.node = self.session.node
        self.kernel = self.session.kernel
        msgbus = self.kernel.msgbus
        msgbus.add_streaming_type(OrderSubmitted)
        msgbus.add_streaming_type(QuoteTick)
        msgbus.subscribe("events.order.*", self.on_event)
        msgbus.subscribe("data.quotes.*", self.on_quote)
        self.node.add_stream_processor(lambda m: self.processed.append(type(m).__name__))

    def on_event(self, message) -> None:
        number = number_of(message)
        self.at_event(number)
        self.events.append(number)

    def on_quote(self, tick) -> None:
        self.quotes.append(str(tick.bid_price))

    @property
    def figures(self):
        return statistics(self.node).ingress

    async def ready(self) -> None:
        ingress = self.kernel.msgbus_database.ingress
        await until(
            lambda: ingress._subscription is not None and ingress._subscription.is_ready,
            "the streams are read",
        )

    def run(self, play) -> None:
        self.session.run(play)
        self.cached = self.kernel.cache.quote_tick_count(INSTRUMENT_ID)
        self.node.dispose()


def resume(bus: str, url: str, **fields) -> dict:
    """Run a node, write while it is away, run it again; with messages that it cannot have."""
    writer = Writer(url)
    external = ExternalSettings(
        max_deliveries=3,
        retry_min_ms=1,
        scan_interval_ms=100,
        allow=(
            AllowRule(topic="data.*"),
            AllowRule(topic="health*"),
            AllowRule(
                topic="events.order.*", stream="trader-ELSEWHERE*", types=("OrderSubmitted",)
            ),
        ),
    )
    fields = {"connection": url, "external": external, "streams": ("trader-*",), **fields}
    first = Node(bus, **fields)

    async def play() -> None:
        await first.ready()
        for number in range(8):
            writer.write(ORDERS, event(number))
            writer.write(QUOTES, quote_at(100.0 + number))
        await until(lambda: len(first.events) == len(first.quotes) == 8, "all has come")

    first.run(play)
    for number in range(8, 16):
        writer.write(ORDERS, event(number))
        writer.write(QUOTES, quote_at(100.0 + number))

    def refuse(number: int) -> None:
        if number == 100:
            raise ValueError("not this one")

    second = Node(bus, refuse, **fields)
    told: dict = {}

    async def play_again() -> None:
        await second.ready()
        await until(lambda: len(second.events) == 8, "what was missed has come")
        writer.write(ORDERS, b"no message")
        writer.write("events.order.POISON-001", event(100))
        writer.write("health:heartbeat", b"2025-01-01T00:00:00Z")
        writer.write("commands.shutdown", event(101))
        writer.write(ORDERS, quote_at(1.0))
        writer.write(QUOTES, {"type": "Unheard", "value": 1})
        writer.write(ORDERS, event(102), stream=OWN)
        writer.write(ORDERS, event(16))
        writer.write(QUOTES, quote_at(116.0))
        await until(
            lambda: second.figures.subscription.dead_lettered == 2 and 16 in second.events,
            "the stream has gone on",
        )
        await until(lambda: second.figures.subscription.in_hand == 0, "all is handled")
        told["reading"] = second.figures.is_reading
        told["reasons"] = list(health(second.node).reasons)

    second.run(play_again)
    figures = second.figures
    groups = writer.server.xinfo_groups(STREAM)
    return {
        "first": [first.events, first.quotes],
        "second": [second.events, second.quotes],
        "processed": sorted(set(second.processed)),
        "figures": msgspec.to_builtins(figures),
        "group": groups[0]["name"].decode(),
        "pending": groups[0]["pending"],
        "letters": [
            fields[b"error_type"].decode()
            for _, fields in writer.server.xrange(f"nt-enhanced:dlq:{figures.group}")
        ],
        "own_groups": len(writer.server.xinfo_groups(OWN)),
        "own_keys": [key.decode() for key in writer.server.keys(f"{OWN}*")],
        **told,
    }


def sequence(bus: str, url: str, path: str, until_number: int, kill_at: int = -1) -> dict:
    """Note each event in a file; end the process within the handler of one of them."""

    def note(number: int) -> None:
        with Path(path).open("a") as file:
            file.write(f"{number}\n")
        if number == kill_at:
            os._exit(7)

    node = Node(bus, note, connection=url, external=ExternalSettings(lease_ms=500))

    async def play() -> None:
        await until(lambda: until_number in node.events, "the last one has come")

    node.run(play)
    return {"seen": node.events}


def backpressure(bus: str, url: str, messages: int) -> dict:
    """Write quotes for the data engine faster than a strategy handles them."""
    writer = Writer(url)
    trader = Trader()
    seen: list[str] = []
    deepest = 0

    def at_quote(tick) -> None:
        nonlocal deepest
        seen.append(str(tick.bid_price))
        deepest = max(deepest, node.kernel.data_engine.data_qsize())
        # Longer than it takes to read and queue the next one.
        end_ns = time.perf_counter_ns() + 200_000
        while time.perf_counter_ns() < end_ns:
            pass

    trader.at_quote = at_quote
    node = Node(
        bus,
        strategy=trader,
        connection=url,
        dispatch=DispatchSettings(subscriptions=("data.quotes.*",), slice_us=2_000),
        external=ExternalSettings(
            pause_above=64, resume_below=16, start=(StartRule(pattern="data.*", start="resume"),)
        ),
    )
    for number in range(messages):
        writer.write(QUOTES, quote_at(1.0 + number / 100))

    async def play() -> None:
        await until(lambda: len(seen) == messages, "all quotes are handled")
        # The loop has run all the while, and still does.
        await asyncio.sleep(0)

    node.run(play)
    return {
        "seen": seen,
        "sent": [f"{1.0 + number / 100:.2f}" for number in range(messages)],
        "deepest": deepest,
        "figures": msgspec.to_builtins(node.figures),
        "cached": node.cached,
    }


def by_itself(bus: str, url: str) -> dict:
    """Read with our consumers and nothing else of ours."""
    writer = Writer(url)
    node = Node(
        bus, connection=url, publisher=False, dispatch=None, serializer="stock", external=SOON
    )

    async def play() -> None:
        await node.ready()
        writer.write(ORDERS, event(1))
        await until(lambda: node.events, "it has come")

    node.run(play)
    return {
        "events": node.events,
        "backing": type(node.kernel.msgbus_database).__name__,
        "engine": type(node.kernel.data_engine).__name__,
        "pending": writer.server.xinfo_groups(STREAM)[0]["pending"],
        "published": len(writer.server.keys(f"{OWN}*")),
    }


def stopped_trader(bus: str, url: str) -> dict:
    """Stop the trader behind the node's back, write, and start it again."""
    writer = Writer(url)
    node = Node(bus, connection=url, external=SOON)
    told: dict = {}

    async def play() -> None:
        await node.ready()
        writer.write(ORDERS, event(1))
        await until(lambda: node.events == [1], "it has come")
        node.node.trader.stop()
        writer.write(ORDERS, event(2))
        await until(lambda: not node.figures.is_reading, "reading has ended")
        told["while_stopped"] = list(node.events)
        node.node.trader.resume()
        await until(lambda: node.events == [1, 2], "the other one has come too")

    node.run(play)
    return {"events": node.events, "failed": node.figures.failed, **told}


if __name__ == "__main__":
    main(
        {
            "resume": resume,
            "sequence": sequence,
            "backpressure": backpressure,
            "by_itself": by_itself,
            "stopped_trader": stopped_trader,
        }
    )
    end_at_once()
