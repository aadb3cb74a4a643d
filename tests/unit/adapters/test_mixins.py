"""What passes through a mixin is what came in; it is noted, and nothing of ours gets out."""

from __future__ import annotations

import asyncio
import threading

import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.component import MessageBus
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.messages import DataResponse
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.live.data_client import LiveDataClient
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.enums import AccountType
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.identifiers import AccountId
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import TraderId
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.identifiers import VenueOrderId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from nautilus_enhanced.adapters import DataClientMixin
from nautilus_enhanced.adapters import ExecutionClientMixin
from nautilus_enhanced.adapters.meter import SAMPLE_MASK
from nautilus_enhanced.adapters.mixing import mix
from nautilus_enhanced.adapters.mixing import mixed_class
from nautilus_enhanced.adapters.mixins import is_observed
from nautilus_enhanced.adapters.mixins import reports_in
from nautilus_enhanced.adapters.observer import ClientObserver


VENUE = Venue("SIM")
ENDPOINTS = (
    "DataEngine.process",
    "DataEngine.response",
    "ExecEngine.process",
    "ExecEngine.reconcile_execution_report",
    "ExecEngine.reconcile_execution_mass_status",
    "Portfolio.update_account",
)


class MarketClient(LiveMarketDataClient):
    """A client of market data as adapters have it."""


class PlainDataClient(LiveDataClient):
    """One that has no market."""


class ExecClient(LiveExecutionClient):
    """One that has orders, and answers when it is asked for reports."""

    answer = ()

    async def generate_order_status_reports(self, command):
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def generate_order_status_report(self, command):
        return self.answer[0] if self.answer else None

    async def generate_fill_reports(self, command):
        return []

    async def generate_position_status_reports(self, command):
        return []


class Rig:
    """A real bus whose endpoints keep what they get."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.clock = LiveClock()
        self.bus = MessageBus(TraderId("T-001"), self.clock)
        self.cache = Cache()
        self.got = []
        self.said = []
        for endpoint in ENDPOINTS:
            self.bus.register(endpoint, lambda m, e=endpoint: self.got.append((e, m)))

    def data(self, kind=MarketClient):
        extra = {} if kind is PlainDataClient else {"instrument_provider": InstrumentProvider()}
        return kind(
            loop=self.loop,
            client_id=ClientId("SIM"),
            venue=VENUE,
            msgbus=self.bus,
            cache=self.cache,
            clock=self.clock,
            **extra,
        )

    def execution(self, kind=ExecClient):
        client = kind(
            loop=self.loop,
            client_id=ClientId("SIM"),
            venue=VENUE,
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=USD,
            instrument_provider=InstrumentProvider(),
            msgbus=self.bus,
            cache=self.cache,
            clock=self.clock,
        )
        client._set_account_id(AccountId("SIM-000"))
        return client

    def observed(self, client):
        observer = ClientObserver("SIM", "data", type(client).__name__, self.said.append)
        client.__class__ = mixed_class(type(client))
        client.observe_with(observer)
        return client


@pytest.fixture
def rig():
    made = Rig()
    yield made
    made.loop.close()


def answers_of(client):
    """Call everything that answers a request, as adapters do, and once by name."""
    instrument = TestInstrumentProvider.default_fx_ccy("AUD/USD")
    rest = (UUID4(), None, None, {})
    client._handle_instrument(instrument, *rest)
    client._handle_instruments(VENUE, [instrument], *rest)
    client._handle_quote_ticks(instrument.id, [TestDataStubs.quote_tick()], *rest)
    client._handle_trade_ticks(instrument.id, [], *rest)
    bar = TestDataStubs.bar_5decimal()
    client._handle_bars(
        bar_type=bar.bar_type,
        bars=[bar],
        correlation_id=UUID4(),
        start=None,
        end=None,
        params=None,
    )


def test_data_is_what_it_was_and_is_counted(rig):
    client = rig.observed(rig.data())
    quotes = [TestDataStubs.quote_tick(ts_event=at, ts_init=at + 1) for at in range(1, 41)]
    trade = TestDataStubs.trade_tick()
    for quote in quotes:
        client._handle_data(quote)
    client._handle_data_py(trade)
    assert [endpoint for endpoint, _ in rig.got] == ["DataEngine.process"] * 41
    assert all(got is sent for (_, got), sent in zip(rig.got, [*quotes, trade], strict=True))
    told = client.observer.statistics()
    assert (told.count_of("QuoteTick"), told.count_of("TradeTick")) == (40, 1)
    assert told.count_of("Bar") == 0
    row = told.messages[0]
    assert row.sampled == len(range(0, 40, SAMPLE_MASK + 1))
    assert row.priority == "NORMAL"
    assert rig.said == []


def test_compiled_code_calls_the_mixin_too(rig):
    # `generate_order_*` is compiled, and ends in `_send_order_event`.
    client = rig.observed(rig.execution())
    order = TestExecStubs.limit_order()
    client.generate_order_submitted(
        order.strategy_id, order.instrument_id, order.client_order_id, 1
    )
    ((endpoint, event),) = rig.got
    assert endpoint == "ExecEngine.process"
    assert event.client_order_id == order.client_order_id
    told = client.observer.statistics()
    assert told.count_of("OrderSubmitted") == 1
    assert told.messages[0].priority == "HIGH"
    assert told.messages[0].event_time == "none"


def test_every_answer_is_one_response(rig):
    stock, ours = rig.data(), rig.observed(rig.data())
    answers_of(stock)
    theirs, rig.got = [(e, type(m), m.data_type) for e, m in rig.got], []
    answers_of(ours)
    assert [(e, type(m), m.data_type) for e, m in rig.got] == theirs
    assert ours.observer.statistics().count_of("DataResponse") == len(theirs) == 5
    assert all(kind is DataResponse for _, kind, _ in theirs)


def test_a_client_without_a_market_has_less_to_wrap(rig):
    client = rig.observed(rig.data(PlainDataClient))
    client._handle_data(TestDataStubs.quote_tick())
    assert client.observer.statistics().count == 1
    assert not is_observed(type(client), "_handle_bars")
    assert not hasattr(client, "_handle_bars")


def test_events_states_and_reports_are_what_they_were(rig):
    client = rig.observed(rig.execution())
    order = TestExecStubs.limit_order()
    accepted = TestEventStubs.order_accepted(order)
    state = TestEventStubs.cash_account_state()
    report = status_report()
    client._send_order_event(accepted)
    client._send_account_state(state)
    client._send_order_status_report(report)
    assert [m for _, m in rig.got] == [accepted, state, report]
    told = client.observer.statistics()
    assert {row.message_type: row.count for row in told.messages} == {
        "OrderAccepted": 1,
        "AccountState": 1,
        "OrderStatusReport": 1,
    }


def status_report():
    order = TestExecStubs.limit_order()
    return OrderStatusReport(
        account_id=AccountId("SIM-000"),
        instrument_id=order.instrument_id,
        venue_order_id=VenueOrderId("1"),
        client_order_id=order.client_order_id,
        order_side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        order_status=OrderStatus.ACCEPTED,
        price=order.price,
        quantity=order.quantity,
        filled_qty=Quantity.zero(),
        report_id=UUID4(),
        ts_accepted=0,
        ts_last=0,
        ts_init=0,
    )


async def test_reports_that_are_asked_for_are_noted_and_errors_pass():
    rig = Rig()
    client = rig.observed(rig.execution())
    report = status_report()
    client.answer = [report, report]
    assert await client.generate_order_status_reports(None) is client.answer
    assert await client.generate_order_status_report(None) is report
    client.answer = []
    assert await client.generate_order_status_report(None) is None
    client.answer = ValueError("the venue said no")
    with pytest.raises(ValueError, match="the venue said no"):
        await client.generate_order_status_reports(None)
    told = client.observer.statistics()
    assert (told.reports.requests, told.reports.failures) == (4, 1)
    assert told.reports.reports == {"OrderStatusReport": 3}
    # Nothing was sent.
    assert told.messages == ()
    assert told.errors == 0
    rig.loop.close()


async def test_a_mass_status_is_one_report_and_has_what_it_is_made_of():
    rig = Rig()
    client = rig.observed(rig.execution())
    status = await client.generate_mass_status()
    assert status.client_id == ClientId("SIM")
    told = client.observer.statistics()
    assert told.reports.reports == {"ExecutionMassStatus": 1}
    assert told.reports.requests == 4
    rig.loop.close()


async def test_a_request_that_is_cancelled_is_a_failure():
    rig = Rig()
    client = rig.observed(rig.execution())
    task = asyncio.ensure_future(client.generate_order_status_reports(None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert client.observer.statistics().reports.failures == 1
    rig.loop.close()


def test_connections_are_noted_and_the_client_knows(rig):
    for client in (rig.observed(rig.data()), rig.observed(rig.execution())):
        client._set_connected()
        assert client.is_connected
        client._set_connected(True)
        client._set_connected(False)
        assert not client.is_connected
        told = client.observer.statistics().connection
        assert (told.connected, told.connects, told.disconnects) == (False, 1, 1)


def test_an_error_of_ours_never_reaches_the_adapter_and_is_told_once(rig, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("ours")

    data, execution = rig.observed(rig.data()), rig.observed(rig.execution())
    for client in (data, execution):
        observer = client.observer
        for part, name in (
            (type(observer.meter), "sample"),
            (type(observer.meter), "add"),
            (type(observer), "note_request"),
            (type(observer.connection), "note_connected"),
        ):
            monkeypatch.setattr(part, name, fail)
        client.observe_with(observer)
    quote, state = TestDataStubs.quote_tick(), TestEventStubs.cash_account_state()
    data._handle_data(quote)
    answers_of(data)
    data._set_connected(True)
    execution._send_account_state(state)
    execution._set_connected(True)
    assert rig.loop.run_until_complete(execution.generate_fill_reports(None)) == []
    assert len(rig.got) == 7
    assert rig.got[0][1] is quote
    assert data.is_connected
    assert execution.is_connected
    assert data.observer.statistics().errors == 7
    assert execution.observer.statistics().last_error == "RuntimeError: ours"
    assert len(rig.said) == 2
    assert "report this as a bug" in rig.said[0]


def test_an_error_of_the_engine_s_does_reach_the_adapter(rig):
    def refuse(_):
        raise KeyError("theirs")

    rig.bus = MessageBus(TraderId("T-001"), rig.clock)
    rig.bus.register("DataEngine.process", refuse)
    client = rig.observed(rig.data())
    stock = rig.data()
    outcomes = []
    for sender in (stock, client):
        try:
            sender._handle_data(TestDataStubs.quote_tick())
            outcomes.append(None)
        except KeyError as error:
            outcomes.append(str(error))
    # A compiled method may keep it for itself; ours does what it does.
    assert outcomes[0] == outcomes[1]
    assert client.observer.statistics().errors == 0


def test_without_an_observer_nothing_happens(rig):
    client = mixed_class(MarketClient)(
        loop=rig.loop,
        client_id=ClientId("SIM"),
        venue=VENUE,
        msgbus=rig.bus,
        cache=rig.cache,
        clock=rig.clock,
        instrument_provider=InstrumentProvider(),
    )
    client._handle_data(TestDataStubs.quote_tick())
    answers_of(client)
    client._set_connected(True)
    assert client.observer is None
    assert len(rig.got) == 6


def test_on_a_stock_bus_a_client_stays_as_it_is(rig):
    client = rig.data()
    assert mix(client, None) is client
    assert type(client) is MarketClient


def test_a_subclass_of_a_mixed_class_counts_once(rig):
    class Mine(mixed_class(MarketClient)):
        def _handle_data(self, data):
            super()._handle_data(data)

    class MineToo(Mine):
        pass

    client = rig.data()
    client.__class__ = MineToo
    client.observe_with(ClientObserver("SIM", "data", "MineToo", rig.said.append))
    client._handle_data(TestDataStubs.quote_tick())
    assert client.observer.statistics().count == 1
    assert len(rig.got) == 1


def test_a_user_s_class_that_names_the_mixin_first_is_observed_as_a_whole(rig):
    seen = []

    class Theirs(MarketClient):
        def _handle_data(self, data):
            seen.append(data)
            super()._handle_data(data)

    class Mine(DataClientMixin, Theirs):
        pass

    client = rig.data(Mine)
    client.observe_with(ClientObserver("SIM", "data", "Mine", rig.said.append))
    client._handle_data(TestDataStubs.quote_tick())
    assert client.observer.statistics().count == len(seen) == len(rig.got) == 1


def test_data_from_several_threads_is_counted_whole(rig):
    client = rig.observed(rig.data())
    quote = TestDataStubs.quote_tick()

    def send():
        for _ in range(5_000):
            client._handle_data(quote)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.observer.statistics().count == len(rig.got) == 15_000


def test_a_twin_is_made_once_and_of_clients_only():
    assert mixed_class(MarketClient) is mixed_class(MarketClient)
    assert mixed_class(MarketClient).__mro__[1:3] == (DataClientMixin, DataClientMixin.__mro__[1])
    assert issubclass(mixed_class(ExecClient), ExecutionClientMixin)
    with pytest.raises(TypeError, match="dict is no data client and no execution client"):
        mixed_class(dict)


@pytest.mark.parametrize(
    ("result", "reports"), [(None, ()), ([1, 2], (1, 2)), ((), ()), ("one", ("one",))]
)
def test_what_a_request_returns_is_some_one_or_none(result, reports):
    assert reports_in(result) == reports
