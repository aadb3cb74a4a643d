"""
Every adapter that this NautilusTrader has: its factories make clients that can be enhanced.

One whose dependency is not installed is skipped, and named.
"""

import asyncio
import importlib
import pkgutil
import subprocess
import sys

import nautilus_trader
import nautilus_trader.adapters
import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.data.client import DataClient
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.portfolio.portfolio import Portfolio

from nautilus_enhanced.adapters import ADAPTERS
from nautilus_enhanced.adapters import DataClientMixin
from nautilus_enhanced.adapters import ExecutionClientMixin
from nautilus_enhanced.adapters import enhance
from nautilus_enhanced.adapters import mixins
from nautilus_enhanced.adapters.mixing import mixed_class
from nautilus_enhanced.adapters.registry import connect_adapters
from nautilus_enhanced.adapters.registry import registry_of
from nautilus_enhanced.adapters.table import adapter_called
from nautilus_enhanced.adapters.table import adapter_of


VERSION = nautilus_trader.__version__
HERE = [adapter for adapter in ADAPTERS if VERSION in adapter.versions]
CLIENTS = [
    (adapter, path)
    for adapter in HERE
    for path in (*adapter.data_clients, *adapter.execution_clients)
]
# Has its own clients only for the Rust runtime of 2.x, or is none.
NOT_ADAPTERS = {"_template", "env", "interactive_brokers_pyo3"}
KEY = "0x" + "11" * 32
# What 1.221.0 does not take from a config.
ENVIRONMENT = (
    "OKX_API_KEY",
    "OKX_API_SECRET",
    "OKX_API_PASSPHRASE",
    "COINBASE_INTX_PORTFOLIO_ID",
)


def key_of(adapter, path):
    return f"{adapter.name}, {path.partition(':')[2]}"


def load(adapter, path):
    try:
        return adapter.load(path)
    except ImportError as error:
        if error.name in adapter.requires:
            pytest.skip(f"{adapter.name}: nautilus_trader[{adapter.extra}] is not installed")
        raise


class Node:
    """What a registry asks of a kernel, with a real bus, cache and portfolio."""

    class Engine:
        def process(self, message):
            pass

    class Trader:
        is_disposed = False

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.clock = LiveClock()
        self.msgbus = MessageBus(TraderId("T-001"), self.clock)
        self.cache = Cache()
        self.portfolio = Portfolio(self.msgbus, self.cache, self.clock)
        self.data_engine = self.Engine()
        self.exec_engine = self.Engine()
        self.trader = self.Trader()
        self.said = []
        self.msgbus.register("DataEngine.process", self.data_engine.process)
        self.msgbus.register("ExecEngine.process", self.exec_engine.process)

    def arguments(self, name, config):
        common = {"msgbus": self.msgbus, "cache": self.cache, "clock": self.clock}
        return {"loop": self.loop, "name": name, "config": config, **common}


def config_of(adapter, client):
    """Return a config with which a factory makes a client, without a connection."""
    configs = importlib.import_module(f"nautilus_trader.adapters.{adapter.name}.config")
    side = "Data" if issubclass(client, DataClient) else "Exec"
    if adapter.name == "sandbox":
        return configs.SandboxExecutionClientConfig(
            venue="BYBIT", starting_balances=["1_000 USDT"], base_currency="USDT"
        )
    kind = next(
        kind
        for name, kind in vars(configs).items()
        if name.lower() == f"{adapter.prefix}{side}ClientConfig".lower()
    )
    known = {
        "api_key": "db-" + "k" * 29,
        "api_secret": "c2VjcmV0",
        "secret": "c2VjcmV0",
        "api_passphrase": "passphrase",
        "username": "name",
        "password": "password",
        "app_key": "key",
        "private_key": KEY,
        "passphrase": "passphrase",
        "funder": "0x" + "22" * 20,
        "wallet_address": "dydx1" + "q" * 38,
        "mnemonic": "abandon " * 11 + "about",
        "account_id": "DU1" if adapter.name == "interactive_brokers" else "1",
        "ibg_host": "127.0.0.1",
        "ibg_port": 1,
        "portfolio": "portfolio",
        "account_currency": "GBP",
        "instrument_config": None,
        "stream_host": "127.0.0.1",
        "base_url_ws": "ws://127.0.0.1:1" if adapter.name == "tardis" else None,
    }
    fields = {name: value for name, value in known.items() if name in kind.__struct_fields__}
    if adapter.name == "betfair":
        provider = importlib.import_module("nautilus_trader.adapters.betfair.providers")
        fields["instrument_config"] = provider.BetfairInstrumentProviderConfig(
            account_currency="GBP"
        )
    if adapter.name == "binance":
        enums = importlib.import_module("nautilus_trader.adapters.binance.common.enums")
        is_spot = "Spot" in client.__name__
        account = enums.BinanceAccountType
        futures = getattr(account, "USDT_FUTURES", None) or account.USDT_FUTURE
        fields["account_type"] = account.SPOT if is_spot else futures
        fields["base_url_http"] = "http://127.0.0.1:1"
    return kind(**fields)


def test_the_table_has_every_adapter_of_this_version():
    found = {module.name for module in pkgutil.iter_modules(nautilus_trader.adapters.__path__)}
    assert found - NOT_ADAPTERS == {adapter.name for adapter in HERE}


def test_a_client_leads_to_its_adapter():
    assert adapter_of(dict) is None
    assert adapter_of(DataClient) is None
    binance = adapter_called("binance")
    spot = binance.load("spot.data:BinanceSpotDataClient")
    assert adapter_of(spot) is binance
    assert adapter_of(type("Mine", (spot,), {})) is binance
    with pytest.raises(KeyError):
        adapter_called("nowhere")


@pytest.mark.parametrize(
    "adapter", [a for a in HERE if a.requires], ids=lambda adapter: adapter.name
)
def test_what_an_adapter_requires_is_named_if_it_is_missing(adapter):
    if adapter.name == "dydx" and VERSION != "1.221.0":
        pytest.skip("it is in Rust since")
    # In a process of its own, in which nothing of it is imported yet.
    code = f"""
import sys
from nautilus_enhanced.adapters.table import adapter_called

adapter = adapter_called({adapter.name!r})
sys.modules.update(dict.fromkeys(adapter.requires))
try:
    adapter.load_factory(adapter.data_factory)
except ImportError as error:
    assert error.name in adapter.requires, error.name
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert f"pip install 'nautilus_trader[{adapter.extra}]'" in done.stdout


@pytest.mark.parametrize("adapter", HERE, ids=lambda adapter: adapter.name)
def test_its_factories_are_those_of_the_package(adapter):
    names = [name for name in (adapter.data_factory, adapter.execution_factory) if name]
    module = None
    for name in names:
        factory = load(adapter, f"{adapter.factories}:{name}")
        module = importlib.import_module(factory.__module__)
        twin = enhance(factory)
        assert issubclass(twin, factory)
        assert twin.__name__ == factory.__name__ == twin().__name__
    theirs = {
        name
        for name in vars(module)
        if name.endswith(("LiveDataClientFactory", "LiveExecClientFactory"))
        and not name.startswith("Live")
    }
    assert theirs == {adapter.names_1221.get(n, n) if VERSION == "1.221.0" else n for n in names}


@pytest.mark.parametrize(
    ("adapter", "path"), CLIENTS, ids=[key_of(adapter, path) for adapter, path in CLIENTS]
)
async def test_what_its_factory_makes_is_enhanced(adapter, path, monkeypatch):
    stock = load(adapter, path)
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "any")
    if adapter.name == "interactive_brokers":
        # It would try to connect.
        shared = adapter.load("client:InteractiveBrokersClient")
        monkeypatch.setattr(shared, "start", lambda _: None)
    is_data = issubclass(stock, DataClient)
    factory = adapter.load_factory(adapter.data_factory if is_data else adapter.execution_factory)
    node = Node()
    connect_adapters(node, node.said.append)
    arguments = node.arguments("NAME", config_of(adapter, stock))
    if adapter.name == "sandbox":
        arguments["portfolio"] = node.portfolio
    try:
        client = enhance(factory).create(**arguments)
        assert node.said == []
        assert type(client) is mixed_class(stock)
        assert isinstance(client, stock)
        assert isinstance(client, DataClientMixin if is_data else ExecutionClientMixin)
        (figures,) = registry_of(node.msgbus).statistics()
        assert figures.client_id == str(client.id)
        assert figures.client_type == stock.__name__
        assert figures.side == ("data" if is_data else "execution")
        assert (figures.count, figures.errors) == (0, 0)
        # Each of the methods that messages go through is observed.
        sinks = mixins.DATA_SINKS if is_data else mixins.EXECUTION_SINKS
        for name in (*sinks, mixins.CONNECTION_SINK):
            assert hasattr(type(client), name) == hasattr(stock, name)
            if hasattr(stock, name):
                assert mixins.is_observed(type(client), name), name
        if VERSION == "1.231.0":
            check_links(adapter, client)
    finally:
        forget(adapter)


def check_links(adapter, client):
    """Check that what is watched of its connections is there, on this side or the other."""
    hooked = [name for name, method in adapter.hooks if hasattr(owner_of(client, name), method)]
    sockets = [name for name in adapter.sockets if name in vars(client)]
    assert hooked or sockets or not (adapter.hooks or adapter.sockets)
    for name, method in adapter.hooks:
        method_of = vars(owner_of(client, name)).get(method) if name in hooked else None
        assert name not in hooked or method_of is None or hasattr(method_of, "__wrapped__")
    SEEN.update((adapter.name, name) for name in (*hooked, *sockets))


SEEN = set()


def owner_of(client, name):
    return getattr(client, name, None) if name else client


@pytest.mark.skipif(VERSION != "1.231.0", reason="the table's names are those of 1.231.0")
def test_what_is_watched_is_on_one_of_its_clients():
    # After the clients were made, above.
    made = {name for name, _ in SEEN}
    for adapter in HERE:
        if adapter.name in made:
            for name in (*(name for name, _ in adapter.hooks), *adapter.sockets):
                assert (adapter.name, name) in SEEN


def forget(adapter):
    """Clear what the factories of an adapter keep from one client to the next."""
    module = importlib.import_module(f"nautilus_trader.adapters.{adapter.name}.{adapter.factories}")
    for value in vars(module).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
    getattr(module, "IB_CLIENTS", {}).clear()
    getattr(module, "IB_INSTRUMENT_PROVIDERS", {}).clear()
