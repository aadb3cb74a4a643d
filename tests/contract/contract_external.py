"""Scenario program: market data of an external stream, with and without a subscribed engine."""

from __future__ import annotations

import asyncio
import itertools

import redis
from contract_parts import Session
from contract_parts import quote_at
from contract_parts import trade_at
from contract_parts import until
from contract_scenarios import INSTRUMENT_ID
from contract_scenarios import Market
from contract_scenarios import Trader
from contract_scenarios import bus_config
from contract_scenarios import end_at_once
from contract_scenarios import main
from contract_scenarios import quote
from nautilus_trader.model.data import BarType

from nautilus_enhanced import statistics
from nautilus_enhanced.infrastructure.messagebus import DispatchSettings


STREAM = "elsewhere"
QUOTES = f"data.quotes.SIM.{INSTRUMENT_ID.symbol}"
TRADES = f"data.trades.SIM.{INSTRUMENT_ID.symbol}"
BARS = BarType.from_str(f"{INSTRUMENT_ID}-2-TICK-BID-INTERNAL")


class Reader(Trader):
    """Notes what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.bars: list[str] = []
        self.at_quote = self.note
        self.at_bar = lambda bar: self.bars.append(str(bar.close))

    def on_start(self) -> None:
        super().on_start()
        self.subscribe_bars(BARS)

    def note(self, tick) -> None:
        self.seen.append(str(tick.bid_price))
        if len(self.seen) == 10:
            self.market()


def external(bus: str, url: str, subscriptions: list[str], ingress: str) -> dict:
    """Write quotes and trades to a stream that the node reads; say what became of them."""
    Market.fills = True
    trader = Reader()
    session = Session(
        bus,
        trader,
        message_bus=bus_config(
            bus,
            connection=url,
            external_streams=[STREAM],
            ingress=ingress,
            dispatch=DispatchSettings(subscriptions=tuple(subscriptions)),
        ),
    )
    kernel = session.kernel
    server = redis.Redis.from_url(url)
    serialize = kernel.msgbus_serializer.serialize
    sent: list[str] = []

    def write(topic: str, payload: bytes) -> None:
        server.xadd(STREAM, {"topic": topic, "payload": payload})

    def has_come() -> bool:
        return len(trader.seen) >= 20 and bool(trader.events)

    # Without a subscription nobody is told: then what came shows in nothing but the time.
    is_told = any("quotes" in pattern for pattern in subscriptions)
    most = 2_000 if is_told else 200

    async def play() -> None:
        # The stock reader begins at what comes next, at a moment that it does not tell.
        for number in itertools.takewhile(lambda n: not has_come() and n < most, itertools.count()):
            write(QUOTES, b"no message")
            tick = quote_at(100.0 + number / 100)
            sent.append(str(tick.bid_price))
            write(QUOTES, serialize(tick))
            write(TRADES, serialize(trade_at(50.0)))
            await asyncio.sleep(0.01)
        if is_told:
            await until(has_come, "the quotes have come")
        # One of the venue's own, which is published as ever.
        Market.data.feed(quote(99.0))
        await until(lambda: "99.00" in trader.seen, "the venue's quote has come")

    session.run(play)
    cached = kernel.cache.quote_ticks(INSTRUMENT_ID)
    figures = statistics(session.node).dispatcher
    session.node.dispose()
    keys = [key for key in server.keys("*") if key.endswith(QUOTES.encode())]
    return {
        "sent": sent,
        "seen": trader.seen,
        "bars": trader.bars,
        "cached": [str(tick.bid_price) for tick in reversed(cached)],
        "trades": kernel.cache.trade_tick_count(INSTRUMENT_ID),
        "events": sorted(trader.events.values()),
        "published": [
            fields[b"payload"].decode("latin-1") for key in keys for _, fields in server.xrange(key)
        ],
        "queue": next(
            {"posted": queue.posted, "handled": queue.handled, "queued": queue.queued}
            for queue in figures.queues
            if queue.queue == "data_queue"
        ),
    }


if __name__ == "__main__":
    main({"external": external})
    end_at_once()
