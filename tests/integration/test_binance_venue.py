"""
NautilusTrader's own Binance spot clients, in a stock node, against the loopback venue.

Venue and node are processes of their own: a node may end its process, and it has one logging
system. This file is also the node's program.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest
from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.binance.factories import BinanceLiveExecClientFactory
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced.sandbox.binance import data_client_config
from nautilus_enhanced.sandbox.binance import exec_client_config


INSTRUMENT_ID = InstrumentId.from_str("BTCUSDT.BINANCE")
NODE_TIMEOUT_S = 90
STEP_TIMEOUT_S = 40.0


@contextmanager
def running_venue(*arguments):
    command = [sys.executable, "-m", "nautilus_enhanced.cli", "venue", "binance-spot"]
    command += ["--json", "--exit-with-stdin"]
    process = subprocess.Popen(
        [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def fetch(url, method="GET", **parameters):
    query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
    request = urllib.request.Request(url + query, method=method, headers={"X-MBX-APIKEY": "k"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


@pytest.fixture(scope="module")
def outcome():
    """What a node and the venue say after a session with every kind of order."""
    with running_venue("--burst-size", "200", "--burst-interval-s", "0.5") as urls:
        fetch(
            urls["http_url"] + "/api/v3/order",
            "POST",
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.00100",
            price="30000.00",
            newClientOrderId="O-from-before",
        )
        before = fetch(urls["http_url"] + "/loopback/statistics")
        node = subprocess.run(
            [sys.executable, __file__, json.dumps(urls)],
            capture_output=True,
            text=True,
            timeout=NODE_TIMEOUT_S,
            check=False,
        )
        assert node.returncode == 0, node.stdout[-4000:] + node.stderr[-4000:]
        deadline = time.monotonic() + 30
        while fetch(urls["http_url"] + "/loopback/statistics")["connections"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield {
            "before": before,
            "node": json.loads(node.stdout.splitlines()[-1]),
            "venue": fetch(urls["http_url"] + "/loopback/statistics"),
            "pushes": fetch(urls["http_url"] + "/loopback/pushes"),
        }


def test_the_market_waits_for_the_first_subscription(outcome):
    assert outcome["before"]["quotes_sent"] == 0
    assert not outcome["before"]["market_running"]


def test_the_instrument_is_the_venue_s(outcome):
    assert outcome["node"]["instrument"] == ["BTCUSDT.BINANCE", "0.01", "0.00001"]


def test_quotes_and_trades_arrive(outcome):
    assert outcome["node"]["quotes"] >= 5
    assert outcome["node"]["trades"] >= 1
    assert outcome["venue"]["quotes_sent"] >= outcome["node"]["quotes"]
    assert outcome["venue"]["bursts"] >= 1


def test_reconciliation_finds_the_order_from_before(outcome):
    assert "O-from-before" in outcome["node"]["open_at_start"]


@pytest.mark.parametrize(
    ("order", "events"),
    [
        ("far", ["OrderSubmitted", "OrderAccepted", "OrderPendingCancel", "OrderCanceled"]),
        ("near", ["OrderSubmitted", "OrderAccepted", "OrderFilled"]),
        ("market", ["OrderSubmitted", "OrderAccepted", "OrderFilled"]),
        ("crossing", ["OrderSubmitted", "OrderRejected"]),
    ],
)
def test_the_events_of_an_order(outcome, order, events):
    assert outcome["node"]["events"][order] == events


def test_the_reason_of_the_reject_is_binance_s(outcome):
    assert "-2010" in outcome["node"]["reject_reason"]


def test_balances_follow_the_fills(outcome):
    node = outcome["node"]
    # A buy and a sell of the same quantity: what is gone are commissions, here in both assets.
    assert float(node["balances"]["BTC"]) == pytest.approx(10 - 0.001 * 0.001)
    assert 999_000 < float(node["balances"]["USDT"]) < 1_000_000


def test_the_venue_counted_the_same(outcome):
    venue = outcome["venue"]
    assert venue["orders_received"] == 5
    assert venue["orders_accepted"] == 4
    assert venue["orders_rejected"] == 1
    assert venue["fills"] == 2
    assert venue["cancels"] == 1
    assert venue["slow_readers"] == 0


def test_every_order_event_has_a_time_of_push(outcome):
    pushes = outcome["pushes"]
    types = [push["execution_type"] for push in pushes]
    assert sorted(types) == ["CANCELED", "NEW", "NEW", "NEW", "TRADE", "TRADE"]
    times = [push["monotonic_ns"] for push in pushes]
    assert times == sorted(times)
    assert all(push["client_order_id"].startswith("O-") for push in pushes)


async def until(condition, what):
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.02)


class Watcher(Strategy):
    quotes = trades = 0
    last_bid = None

    def on_start(self):
        self.seen = {}
        self.reject_reason = ""
        self.open_at_start = [str(o.client_order_id) for o in self.cache.orders_open()]
        self.subscribe_quote_ticks(INSTRUMENT_ID)
        self.subscribe_trade_ticks(INSTRUMENT_ID)

    def on_stop(self):
        self.unsubscribe_quote_ticks(INSTRUMENT_ID)
        self.unsubscribe_trade_ticks(INSTRUMENT_ID)

    def on_quote_tick(self, tick):
        self.quotes += 1
        self.last_bid = float(tick.bid_price)

    def on_trade_tick(self, tick):
        self.trades += 1

    def on_order_event(self, event):
        name = type(event).__name__
        if name != "OrderInitialized":
            self.seen.setdefault(str(event.client_order_id), []).append(name)
        if name == "OrderRejected":
            self.reject_reason = event.reason


def node_config(urls):
    common = {"http_url": urls["http_url"], "ws_url": urls["ws_url"]}
    return TradingNodeConfig(
        trader_id=TraderId("TESTER-001"),
        logging=LoggingConfig(log_level="WARNING", log_colors=False),
        data_clients={"BINANCE": data_client_config(**common)},
        exec_clients={"BINANCE": exec_client_config(**common, ws_api_url=urls["ws_api_url"])},
        exec_engine=LiveExecEngineConfig(reconciliation=True, reconciliation_startup_delay_secs=0),
        timeout_connection=30,
        timeout_reconciliation=20,
        timeout_portfolio=20,
        timeout_disconnection=10,
        timeout_post_stop=0.2,
    )


async def run_node(urls):
    node = TradingNode(node_config(urls))
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", BinanceLiveExecClientFactory)
    watcher = Watcher()
    node.trader.add_strategy(watcher)
    node.build()
    task = asyncio.get_running_loop().create_task(node.run_async())
    await until(lambda: watcher.quotes >= 5 and watcher.trades >= 1, "market data")

    instrument = watcher.cache.instrument(INSTRUMENT_ID)
    quantity = instrument.make_qty(0.001)
    orders = {}

    def submit(name, order):
        orders[name] = order
        watcher.submit_order(order)

    def has(name, event):
        return event in watcher.seen.get(str(orders[name].client_order_id), [])

    make = watcher.order_factory

    def limit(price, **options):
        price = instrument.make_price(price)
        return make.limit(INSTRUMENT_ID, OrderSide.BUY, quantity, price, **options)

    submit("far", limit(40_000.0))
    await until(lambda: has("far", "OrderAccepted"), "accepted")
    watcher.cancel_order(orders["far"])
    await until(lambda: has("far", "OrderCanceled"), "canceled")
    submit("near", limit(watcher.last_bid - 0.10))
    await until(lambda: has("near", "OrderFilled"), "filled by the market's moves")
    submit("market", make.market(INSTRUMENT_ID, OrderSide.SELL, quantity))
    await until(lambda: has("market", "OrderFilled"), "filled at once")
    submit("crossing", limit(60_000.0, post_only=True))
    await until(lambda: has("crossing", "OrderRejected"), "rejected")

    account = node.portfolio.account(Venue("BINANCE"))

    def total(currency):
        held = {str(k): v.total.as_double() for k, v in account.balances().items()}
        return held[currency]

    await until(lambda: abs(total("BTC") - 9.999999) < 1e-9, "balances")
    found = {
        "instrument": [
            str(instrument.id),
            str(instrument.price_increment),
            str(instrument.size_increment),
        ],
        "quotes": watcher.quotes,
        "trades": watcher.trades,
        "open_at_start": watcher.open_at_start,
        "events": {n: watcher.seen[str(o.client_order_id)] for n, o in orders.items()},
        "reject_reason": watcher.reject_reason,
        "balances": {name: str(total(name)) for name in ("BTC", "USDT")},
    }
    await node.stop_async()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run_node(json.loads(sys.argv[1])))), flush=True)  # noqa: T201 (its parent reads it)
    # The host's threads may outlive the loop; the result is out, and nothing is left to save.
    os._exit(0)
