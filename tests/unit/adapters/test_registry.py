"""What cannot be put in place leaves a client that works, and is told."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.live.data_client import LiveDataClient
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import TraderId

from nautilus_enhanced.adapters import mixing
from nautilus_enhanced.adapters.mixing import mix
from nautilus_enhanced.adapters.registering import watch_registrations
from nautilus_enhanced.adapters.registry import connect_adapters
from nautilus_enhanced.adapters.registry import registry_of
from nautilus_enhanced.adapters.table import Adapter
from nautilus_enhanced.live.inspection import health
from nautilus_enhanced.live.inspection import statistics


class Engine:
    def __init__(self):
        self.clients = []

    def process(self, message):
        pass

    def register_client(self, client):
        self.clients.append(client)


class Portfolio:
    def update_account(self, state):
        pass


class Trader:
    is_disposed = False


class Kernel:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.loop.close()
        self.clock = LiveClock()
        self.msgbus = MessageBus(TraderId("T-001"), self.clock)
        self.msgbus_database = None
        self.data_engine, self.exec_engine = Engine(), Engine()
        self.portfolio, self.trader = Portfolio(), Trader()


@pytest.fixture
def kernel():
    return Kernel()


@pytest.fixture
def said():
    return []


@pytest.fixture
def registry(kernel, said):
    return connect_adapters(kernel, said.append)


class Client(LiveDataClient):
    """Of a user's own."""


def make(kernel, kind=Client):
    from nautilus_trader.cache.cache import Cache  # noqa: PLC0415 (here only)

    return kind(
        loop=kernel.loop,
        client_id=ClientId("MINE"),
        venue=None,
        msgbus=kernel.msgbus,
        cache=Cache(),
        clock=kernel.clock,
    )


def test_a_registry_is_that_of_its_bus_and_goes_with_its_kernel(said):
    kernel = Kernel()
    registry = connect_adapters(kernel, said.append)
    assert registry_of(kernel.msgbus) is registry
    assert registry_of(Kernel().msgbus) is None
    gone, key = weakref.ref(registry), kernel.msgbus
    del kernel, registry
    gc.collect()
    assert gone() is None
    assert registry_of(key) is None


def test_clients_that_are_registered_are_observed_once(kernel, registry, said):
    watch_registrations(kernel.data_engine, registry)
    client = make(kernel)
    kernel.data_engine.register_client(client)
    assert kernel.data_engine.clients == [client]
    assert mix(client, registry) is client
    (told,) = statistics(kernel).adapters
    assert (told.client_id, told.side, told.client_type) == ("MINE", "data", "Client")
    assert health(kernel).findings == ()
    assert said == []


def test_what_is_no_client_is_registered_all_the_same(kernel, registry, said):
    watch_registrations(kernel.exec_engine, registry)
    kernel.exec_engine.register_client("not a client")
    assert kernel.exec_engine.clients == ["not a client"]
    assert statistics(kernel).adapters == ()
    (sentence,) = said
    assert "str could not be enhanced: TypeError" in sentence
    (finding,) = health(kernel).findings
    assert "str could not be enhanced" in finding.reason


def test_a_class_of_another_layout_stays_as_it_is(kernel, registry, said, monkeypatch):
    client = make(kernel)
    monkeypatch.setattr(mixing, "mixed_class", lambda _: int)
    assert mix(client, registry) is client
    assert type(client) is Client
    assert "could not be enhanced" in said[0]
    assert registry.statistics() == ()


def test_what_is_enhanced_in_part_is_told(kernel, registry, said, monkeypatch):
    wrong = Adapter(name="mine", prefix="Mine", attach="nautilus_enhanced.adapters.sandbox")
    monkeypatch.setattr(mixing, "adapter_of", lambda _: wrong)
    client = make(kernel)
    mix(client, registry)
    assert len(registry.statistics()) == 1
    assert "Client is enhanced only in part: AttributeError" in said[0]
    assert len(health(kernel).findings) == 1


def test_a_tap_is_put_in_place_once(kernel, registry):
    kernel.msgbus.register("DataEngine.process", kernel.data_engine.process)
    assert registry.tap("DataEngine.process") is registry.tap("DataEngine.process")
    with pytest.raises(KeyError):
        registry.tap("ExecEngine.process")
