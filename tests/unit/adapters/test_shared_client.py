"""Interactive Brokers: what goes past the two clients' methods is noted; nothing is changed."""

from __future__ import annotations

import asyncio

import pytest
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs

from nautilus_enhanced.adapters.endpoints import EndpointTap
from nautilus_enhanced.adapters.interactive_brokers import shared
from nautilus_enhanced.adapters.interactive_brokers.shared import SharedClientMixin
from nautilus_enhanced.adapters.interactive_brokers.shared import attach
from nautilus_enhanced.adapters.observer import ClientObserver


ENDPOINT = "DataEngine.process"
AUD = TestInstrumentProvider.default_fx_ccy("AUD/USD")
EUR = TestInstrumentProvider.default_fx_ccy("EUR/USD")


class Shared:
    """As Interactive Brokers' shared client hands on data and tells of its connection."""

    def __init__(self, bus):
        self.bus = bus
        self.done = []

    async def _handle_data(self, data):
        self.bus.send(endpoint=ENDPOINT, msg=data)

    def _degrade(self):
        self.done.append("degrade")

    def _resume(self):
        self.done.append("resume")


class ExecClient:
    """As its execution client sends instruments, meanwhile."""

    def __init__(self, bus, shared):
        self._client = shared
        self.bus = bus

    async def generate_position_status_reports(self, command):
        await asyncio.sleep(0)
        self.bus.send(endpoint=ENDPOINT, msg=AUD)
        await asyncio.sleep(0)
        return [command]

    async def _handle_position_update(self, position):
        self.bus.send(endpoint=ENDPOINT, msg=EUR)
        raise KeyError(position)


class Registry:
    def __init__(self, bus):
        self.got = []
        self._tap = EndpointTap(self.take)
        bus.register(ENDPOINT, self.take)
        self._tap.install(bus, ENDPOINT)

    def take(self, message):
        self.got.append(message)

    def tap(self, endpoint):
        assert endpoint == ENDPOINT
        return self._tap


class Setting:
    def __init__(self):
        self.bus = MessageBus(TraderId("T-001"), LiveClock())
        self.registry = Registry(self.bus)
        self.shared = Shared(self.bus)
        self.execution = ExecClient(self.bus, self.shared)
        self.data = type("DataClient", (), {"_client": self.shared})()
        self.said = []
        self.observers = {
            side: ClientObserver("IB", side, side, self.said.append)
            for side in ("data", "execution")
        }
        for side in self.observers:
            attach(getattr(self, side), self.observers[side], self.registry)
            self.observers[side].connection.note_connected(connected=True)

    def told(self, side):
        return self.observers[side].statistics()


@pytest.fixture
def setting():
    return Setting()


async def test_market_data_is_the_data_client_s(setting):
    quotes = [TestDataStubs.quote_tick() for _ in range(3)]
    for quote in quotes:
        await setting.shared._handle_data(quote)
    assert setting.registry.got == quotes
    assert setting.told("data").count_of("QuoteTick") == 3
    assert setting.told("execution").count == 0


async def test_instruments_of_the_execution_client_are_its_own(setting):
    async def data_client_sends():
        setting.bus.send(endpoint=ENDPOINT, msg=EUR)

    reports, _ = await asyncio.gather(
        setting.execution.generate_position_status_reports("command"), data_client_sends()
    )
    assert reports == ["command"]
    with pytest.raises(KeyError, match="position"):
        await setting.execution._handle_position_update("position")
    setting.bus.send(endpoint=ENDPOINT, msg=AUD)
    assert setting.registry.got == [EUR, AUD, EUR, AUD]
    assert {row.message_type: row.count for row in setting.told("execution").messages} == {
        "CurrencyPair": 2
    }
    assert setting.told("data").count == 0


def test_a_lost_connection_is_both_sides(setting):
    setting.shared._resume()
    setting.shared._degrade()
    for side in ("data", "execution"):
        assert setting.told(side).connection.down == ("_client",)
    setting.shared._resume()
    for side in ("data", "execution"):
        assert setting.told(side).connection.down == ()
        assert setting.told(side).connection.reconnects == 1
    assert setting.shared.done == ["resume", "degrade", "resume"]


async def test_an_error_of_ours_stays_with_us(setting, monkeypatch):
    for name in ("note_lost", "note_regained"):
        monkeypatch.setattr(shared.ConnectionTracker, name, lambda *_: 1 / 0)
    monkeypatch.setattr(type(setting.observers["data"].meter), "sample", lambda *_: 1 / 0)
    setting.shared._degrade()
    setting.shared._resume()
    quote = TestDataStubs.quote_tick()
    await setting.shared._handle_data(quote)
    assert setting.shared.done == ["degrade", "resume"]
    assert setting.registry.got == [quote]
    assert setting.told("data").errors == 3
    assert len(setting.said) == 2


def test_the_shared_client_of_a_later_node_has_new_observers(setting):
    later = ClientObserver("IB", "data", "data", setting.said.append)
    before = type(setting.shared)
    attach(setting.data, later, setting.registry)
    assert type(setting.shared) is before
    assert type(setting.shared).__mro__[1] is SharedClientMixin
    asyncio.run(setting.shared._handle_data(TestDataStubs.quote_tick()))
    assert later.statistics().count == 1
    assert setting.told("data").count == 0


class Queued(Shared):
    """With the queues of the real one, and the task that empties them."""

    def __init__(self, bus):
        super().__init__(bus)
        self._internal_msg_queue, self._msg_handler_task_queue = asyncio.Queue(), asyncio.Queue()
        self._internal_msg_queue_processor_task = None
        self._is_ib_connected = asyncio.Event()


async def test_what_waits_inside_of_it_is_told_to_both_sides(setting):
    assert setting.told("data").waiting is None
    setting.shared = setting.data._client = setting.execution._client = Queued(setting.bus)
    for side, observer in setting.observers.items():
        attach(getattr(setting, side), observer, setting.registry)
    setting.shared._internal_msg_queue.put_nowait(b"1")
    setting.shared._msg_handler_task_queue.put_nowait(b"2")
    for side in ("data", "execution"):
        assert setting.told(side).waiting == 2
        setting.observers[side].connection.note_connected(connected=False)
        assert setting.told(side).waiting is None


async def test_an_inbox_that_cannot_be_looked_into_is_left_alone(setting):
    observer = setting.observers["data"]
    observer.inbox = lambda: 1 / 0
    assert setting.told("data").waiting is None
    assert observer.condition().inbox is None
    assert setting.told("data").errors == 1


async def test_a_client_that_hears_nothing_any_more_is_found():
    """As an unreadable message leaves the real client."""
    module = pytest.importorskip("nautilus_trader.adapters.interactive_brokers.client.client")
    pytest.importorskip("ibapi.protobuf", reason="an ibapi that knows no protobuf")
    decoder = pytest.importorskip("ibapi.decoder")
    clock = LiveClock()
    bus = MessageBus(TraderId("T-001"), clock)
    loop = asyncio.get_running_loop()
    real = module.InteractiveBrokersClient(loop, bus, None, clock, client_id=1)
    observer = ClientObserver("IB", "data", "data", print)
    observer.connection.note_connected(connected=True)
    shared.share(real, observer)
    real._eclient.serverVersion_ = 213
    real._eclient.decoder = decoder.Decoder(real._eclient.wrapper, 213)
    real._is_ib_connected.set()
    assert observer.condition().inbox == (0, True)
    real._internal_msg_queue.put_nowait((1 + 200).to_bytes(4, "big") + b"\xff\xff")
    real._internal_msg_queue.put_nowait(b"one more")
    real._start_internal_msg_queue_processor()
    assert observer.condition().inbox == (2, True)
    with pytest.raises(Exception, match="Error parsing message"):
        await asyncio.wait_for(real._internal_msg_queue_processor_task, 10)
    assert observer.condition().inbox == (1, False)
    # A connection that is lost is found otherwise.
    real._is_ib_connected.clear()
    assert observer.condition().inbox == (1, True)
    real._msg_handler_processor_task.cancel()
