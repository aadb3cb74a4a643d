"""
Nodes with NautilusTrader's Binance clients on loopback venues (`test_adapters_in_a_node.py`).

It is given a JSON object: names of nodes, and what bus and factories they have. They run one after
the other, each with a venue of its own that plays the same market, and go through the same orders;
what their strategies saw, and what is told of the clients, is printed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from urllib.parse import urlsplit
from urllib.parse import urlunsplit

import msgspec
import nautilus_trader
from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.binance.factories import BinanceLiveExecClientFactory
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.common.config import ImportableFactoryConfig
from nautilus_trader.config import LiveExecEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.trading.strategy import Strategy

from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import features
from nautilus_enhanced import health
from nautilus_enhanced import statistics
from nautilus_enhanced.adapters import DataClientMixin
from nautilus_enhanced.adapters import ExecutionClientMixin
from nautilus_enhanced.adapters import enhance
from nautilus_enhanced.sandbox import GeneratedMarket
from nautilus_enhanced.sandbox.binance import BinanceSpotVenue
from nautilus_enhanced.sandbox.binance import data_client_config
from nautilus_enhanced.sandbox.binance import exec_client_config


INSTRUMENT_ID = InstrumentId.from_str("BTCUSDT.BINANCE")
STEP_TIMEOUT_S = 40.0
COMPARED = 40


async def until(condition, what):
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.02)


class DroppingProxy:
    """Passes bytes on to a venue, and drops all connections when it is told to."""

    def __init__(self, url):
        self._parts = urlsplit(url)
        self._writers = set()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return urlunsplit(self._parts._replace(netloc=f"127.0.0.1:{port}"))

    async def _serve(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection(
            self._parts.hostname, self._parts.port
        )
        self._writers |= {writer, far_writer}
        await asyncio.gather(
            self._pass(reader, far_writer), self._pass(far_reader, writer), return_exceptions=True
        )
        self._writers -= {writer, far_writer}

    async def _pass(self, reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    def drop(self):
        for writer in list(self._writers):
            writer.transport.abort()


class Watcher(Strategy):
    def on_start(self):
        self.seen = {}
        self.quotes, self.trades = [], []
        self.subscribe_quote_ticks(INSTRUMENT_ID)
        self.subscribe_trade_ticks(INSTRUMENT_ID)

    def on_stop(self):
        self.unsubscribe_quote_ticks(INSTRUMENT_ID)
        self.unsubscribe_trade_ticks(INSTRUMENT_ID)

    def on_quote_tick(self, tick):
        values = (tick.bid_price, tick.ask_price, tick.bid_size, tick.ask_size)
        self.quotes.append([str(value) for value in values])

    def on_trade_tick(self, tick):
        self.trades.append([str(value) for value in (tick.price, tick.size, tick.trade_id)])

    def on_order_event(self, event):
        name = type(event).__name__
        if name != "OrderInitialized":
            self.seen.setdefault(str(event.client_order_id), []).append(name)


def bus_of(options):
    if options["bus"] == "stock":
        return None
    return EnhancedMessageBusConfig(**options.get("fields", {}))


def node_config(options, urls):
    clients = {"http_url": urls["http_url"]}
    execution = exec_client_config(**clients, ws_url=urls["user_url"], ws_api_url=urls["user_url"])
    if options.get("sandbox"):
        execution = SandboxExecutionClientConfig(
            venue="BINANCE",
            starting_balances=["1_000_000 USDT", "10 BTC"],
            account_type="CASH",
            oms_type="NETTING",
        )
    return TradingNodeConfig(
        trader_id=TraderId("TESTER-001"),
        logging=LoggingConfig(log_level="WARNING", log_colors=False),
        message_bus=bus_of(options),
        data_clients={"BINANCE": data_client_config(**clients, ws_url=urls["ws_url"])},
        exec_clients={"BINANCE": execution},
        exec_engine=LiveExecEngineConfig(
            reconciliation=not options.get("sandbox"), reconciliation_startup_delay_secs=0
        ),
        timeout_connection=30,
        timeout_reconciliation=20,
        timeout_portfolio=20,
        timeout_disconnection=10,
        timeout_post_stop=0.2,
    )


def add_factories(node, options):
    data, execution = BinanceLiveDataClientFactory, BinanceLiveExecClientFactory
    if options.get("sandbox"):
        execution = SandboxLiveExecClientFactory
    if options.get("factories") == "enhanced":
        data, execution = enhance(data), enhance(execution)
    node.add_data_client_factory("BINANCE", data)
    node.add_exec_client_factory("BINANCE", execution)
    if options.get("factories") == "importable":
        # As a node's builder makes them from a file: instances, and not classes.
        for side, kept in (("Data", "_data_factories"), ("Exec", "_exec_factories")):
            path = f"nautilus_enhanced.adapters.binance:EnhancedBinanceLive{side}ClientFactory"
            getattr(node._builder, kept)["BINANCE"] = ImportableFactoryConfig(path=path).create()


async def trade(watcher):
    """Go through an order that is cancelled, one that is filled, and one that is rejected."""
    instrument = watcher.cache.instrument(INSTRUMENT_ID)
    quantity = instrument.make_qty(0.001)
    orders = {}
    make = watcher.order_factory

    def submit(name, order):
        orders[name] = order
        watcher.submit_order(order)

    def has(name, event):
        return event in watcher.seen.get(str(orders[name].client_order_id), [])

    def limit(price, **rest):
        price = instrument.make_price(price)
        return make.limit(INSTRUMENT_ID, OrderSide.BUY, quantity, price, **rest)

    submit("far", limit(40_000.0))
    await until(lambda: has("far", "OrderAccepted"), "accepted")
    watcher.cancel_order(orders["far"])
    await until(lambda: has("far", "OrderCanceled"), "canceled")
    submit("market", make.market(INSTRUMENT_ID, OrderSide.SELL, quantity))
    await until(lambda: has("market", "OrderFilled"), "filled")
    submit("crossing", limit(60_000.0, post_only=True))
    await until(lambda: has("crossing", "OrderRejected"), "rejected")
    return {name: watcher.seen[str(order.client_order_id)] for name, order in orders.items()}


def figures_of(node):
    return {
        side: msgspec.to_builtins(figures)
        for side in ("data", "execution")
        for figures in statistics(node).adapters
        if figures.side == side
    }


async def drop(node, watcher, proxies):
    """Drop all sockets, and wait until both sides have theirs again."""
    for proxy in proxies:
        proxy.drop()

    def reconnects():
        return [f["connection"]["reconnects"] for f in figures_of(node).values()]

    await until(lambda: all(reconnects()), "reconnected")
    seen = len(watcher.quotes)
    await until(lambda: len(watcher.quotes) > seen, "quotes after the reconnect")


def mixed(node):
    """Return the sides on which the node's client is a mixed one."""
    kinds = {"data": DataClientMixin, "execution": ExecutionClientMixin}
    live = (LiveMarketDataClient, LiveExecutionClient)
    clients = [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, live) and thing._msgbus is node.kernel.msgbus
    ]
    return [side for side, kind in kinds.items() if any(isinstance(c, kind) for c in clients)]


async def run_node(options):
    market = GeneratedMarket(seed=7, quotes_per_s=200.0, trades_per_s=20.0)
    async with BinanceSpotVenue(market) as venue:
        urls = {name: getattr(venue, name) for name in ("http_url", "ws_url", "ws_api_url")}
        return await run_on(urls, options)


async def run_on(urls, options):
    proxies = [DroppingProxy(urls["ws_url"])]
    # Up to 1.221 the user's data comes from where the market's does.
    user_url = urls["ws_url" if nautilus_trader.__version__ == "1.221.0" else "ws_api_url"]
    proxies.append(DroppingProxy(user_url))
    proxied = {
        "http_url": urls["http_url"],
        "ws_url": await proxies[0].start(),
        "user_url": await proxies[1].start(),
    }
    node = TradingNode(node_config(options, proxied))
    add_factories(node, options)
    watcher = Watcher()
    node.trader.add_strategy(watcher)
    node.build()
    task = asyncio.get_running_loop().create_task(node.run_async())
    await until(lambda: hasattr(watcher, "quotes") and len(watcher.quotes) >= COMPARED, "quotes")
    await until(lambda: watcher.trades, "trades")
    found = {"events": await trade(watcher), "mixed": mixed(node), "trades": watcher.trades[:]}
    if options.get("drop"):
        await drop(node, watcher, proxies)
    found |= {
        "quotes": watcher.quotes[:COMPARED],
        "adapters_feature": str(features(node)["adapters"].reason),
        "findings": [finding.reason for finding in health(node).findings],
    }
    await node.stop_async()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    found["seen"] = {"quotes": len(watcher.quotes), "trades": len(watcher.trades)}
    found["figures"] = figures_of(node)
    return found


if __name__ == "__main__":
    found = {name: asyncio.run(run_node(node)) for name, node in json.loads(sys.argv[1]).items()}
    print(json.dumps(found), flush=True)  # noqa: T201 (its parent reads it)
    # The host's threads may outlive the loop; the result is out, and nothing is left to save.
    os._exit(0)
