"""Rules and conflation on real engines."""

from __future__ import annotations

import asyncio
import sys
import time
from types import SimpleNamespace

import pytest
from live_engines import QueueUnderTest
from live_engines import settle
from live_engines import until
from nautilus_trader.common.actor import Actor
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.aggregation import TickBarAggregator
from nautilus_trader.data.client import MarketDataClient
from nautilus_trader.data.messages import SubscribeBars
from nautilus_trader.data.messages import SubscribeQuoteTicks
from nautilus_trader.execution.emulator import OrderEmulator
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import ClientId
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.model.identifiers import Symbol
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.instruments import SyntheticInstrument
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs

from nautilus_enhanced.infrastructure.messagebus import FlowRule


AUDUSD = TestInstrumentProvider.default_fx_ccy("AUD/USD")
EURUSD = TestInstrumentProvider.default_fx_ccy("EUR/USD")


def quote(instrument, number: int) -> QuoteTick:
    return QuoteTick(
        instrument_id=instrument.id,
        bid_price=instrument.make_price(1.0),
        ask_price=instrument.make_price(1.1),
        bid_size=instrument.make_qty(1),
        ask_size=instrument.make_qty(1),
        ts_event=number,
        ts_init=number,
    )


def order_message(name: str, strategy: str):
    return SimpleNamespace(
        name=name,
        strategy_id=StrategyId(strategy),
        instrument_id=AUDUSD.id,
        client_order_id=None,
        client_id=None,
    )


async def test_data_that_a_rule_demotes_is_handled_after_all_other(engines_of):
    rule = FlowRule(flow="data", kinds=("quotes",), instrument="AUD*")
    engines = engines_of(rules=(rule,))
    data = QueueUnderTest(engines, "data.data")
    trade = TestDataStubs.trade_tick(AUDUSD)
    demoted = [quote(AUDUSD, 1), quote(AUDUSD, 3)]
    for message in (demoted[0], quote(EURUSD, 2), demoted[1], trade):
        data.feed(message)
    assert data.statistics.queued == 4
    engines.start()
    await until(lambda: len(data.handled) == 4)
    assert data.handled[:2] == [quote(EURUSD, 2), trade]
    assert data.handled[2:] == demoted
    await until(lambda: data.statistics.handled == 4)
    assert data.statistics.handled_by_priority == {"NORMAL": 2, "LOW": 2}
    assert data.statistics.queued == 0


async def test_what_a_rule_demoted_is_drained_on_stop_too(engines_of):
    engines = engines_of(rules=(FlowRule(flow="data"),))
    data = QueueUnderTest(engines, "data.data")
    engines.start()
    await asyncio.sleep(0)
    for number in range(50):
        data.feed(quote(AUDUSD, number))
    engines.stop()
    await until(lambda: data.task() is None or data.task().done())
    assert [q.ts_init for q in data.handled] == list(range(50))


async def test_the_messages_of_a_demoted_strategys_orders_stay_in_their_order(engines_of):
    engines = engines_of(rules=(FlowRule(flow="orders", strategy="SLOW-*"),))
    order = []
    queues = {
        name: QueueUnderTest(engines, name)
        for name in ("risk.cmd", "exec.cmd", "exec.evt", "data.data")
    }
    for queue in queues.values():
        queue.react = lambda message: order.append(getattr(message, "name", "quote"))
    queues["risk.cmd"].feed(order_message("slow submit", "SLOW-1"))
    queues["exec.cmd"].feed(order_message("slow cancel", "SLOW-1"))
    queues["data.data"].feed(quote(AUDUSD, 1))
    queues["exec.evt"].feed(order_message("slow fill", "SLOW-1"))
    queues["risk.cmd"].feed(order_message("quick submit", "QUICK-1"))
    engines.start()
    await until(lambda: len(order) == 5)
    assert order == ["quick submit", "quote", "slow submit", "slow cancel", "slow fill"]


async def test_behind_a_backlog_only_the_latest_quote_of_an_instrument_is_kept(engines_of):
    engines = engines_of(conflate_quotes=True, conflate_above=10)
    data = QueueUnderTest(engines, "data.data")
    engines.start()
    await settle()
    for number in range(1_000):
        data.feed(quote(AUDUSD if number % 2 else EURUSD, number))
    trade = TestDataStubs.trade_tick(AUDUSD)
    data.feed(trade)
    assert data.statistics.queued == 13
    await until(lambda: data.handled[-1:] == [trade] if len(data.handled) == 13 else False)
    # Ten wait before conflation begins; then each instrument has one place.
    assert [q.ts_init for q in data.handled[:-1]] == [*range(10), 998, 999]
    await until(lambda: data.statistics.handled == 13)
    assert data.statistics.conflated == 1_000 - 12
    assert data.statistics.queued == 0


async def test_quotes_stay_in_order_when_the_backlog_falls_below_the_limit_and_rises_again(
    engines_of,
):
    engines = engines_of(conflate_quotes=True, conflate_above=2)
    data = QueueUnderTest(engines, "data.data")
    engines.start()
    await settle()
    core = engines.dispatcher._core
    trade = TestDataStubs.trade_tick(AUDUSD)
    for message in (trade, trade, quote(AUDUSD, 1)):
        data.feed(message)
    # One message at a time: the quote in its slot becomes all that waits, below the limit.
    core.serve(0)
    core.serve(0)
    data.feed(quote(AUDUSD, 2))
    data.feed(trade)
    # Above the limit again: the third must not take the place of the first, before the second.
    data.feed(quote(AUDUSD, 3))
    await until(lambda: data.statistics.queued == 0)
    numbers = [q.ts_init for q in data.handled if isinstance(q, QuoteTick)]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 3
    figures = data.statistics
    assert figures.posted == 6
    assert figures.handled + figures.conflated == figures.posted


async def test_without_the_option_every_quote_is_handled(engines_of):
    engines = engines_of()
    data = QueueUnderTest(engines, "data.data")
    engines.start()
    for number in range(5_000):
        data.feed(quote(AUDUSD, number))
    await until(lambda: len(data.handled) == 5_000)
    assert data.statistics.conflated == 0


class SandboxLike:
    """Subscribes as a sandbox execution client does."""

    def on_data(self, data) -> None:
        pass


def aggregator_handler():
    bar_type = BarType.from_str("AUD/USD.SIM-100-TICK-BID-INTERNAL")
    return TickBarAggregator(AUDUSD, bar_type, lambda bar: None).handle_quote_tick


def emulator_handler(engines):
    emulator = OrderEmulator(engines.portfolio, engines.msgbus, engines.cache, engines.clock)
    return emulator.handle_quote_tick


@pytest.mark.parametrize(
    ("topic", "make_handler", "allowed"),
    [
        ("data.quotes.SIM.AUD/USD", lambda _: Actor().handle_quote_tick, True),
        ("data.quotes.SIM.AUD/USD", lambda _: aggregator_handler(), False),
        ("data.quotes.SIM.AUD/USD", emulator_handler, False),
        ("data.*.SIM.*", lambda _: SandboxLike().on_data, False),
        ("data.*.OTHER.*", lambda _: SandboxLike().on_data, True),
        ("data.quotes.*", lambda _: lambda quote: None, False),
    ],
)
async def test_quotes_are_not_conflated_where_somebody_needs_each(
    engines_of, topic, make_handler, allowed
):
    engines = engines_of(conflate_quotes=True, conflate_above=1)
    # The portfolio is subscribed to all quotes and needs the latest only.
    assert engines.data.may_conflate(AUDUSD.id)
    engines.msgbus.subscribe(topic, make_handler(engines))
    assert engines.data.may_conflate(InstrumentId.from_str("AUD/USD.SIM")) is allowed


async def test_who_subscribes_behind_a_backlog_and_needs_each_quote_gets_each_from_then_on(
    engines_of,
):
    engines = engines_of(conflate_quotes=True, conflate_above=1)
    engines.start()
    await asyncio.sleep(0.01)
    for number in range(5):
        engines.data.process(quote(AUDUSD, number))
    got = []
    engines.msgbus.subscribe("data.quotes.SIM.AUD/USD", got.append)
    for number in range(5, 100):
        engines.data.process(quote(AUDUSD, number))
    await until(lambda: got and got[-1].ts_init == 99)
    # What was superseded before has a place no more; nothing is after.
    assert [tick.ts_init for tick in got] == [0, 4, *range(5, 100)]
    engines.msgbus.unsubscribe("data.quotes.SIM.AUD/USD", got.append)
    for number in range(100):
        engines.data.process(quote(AUDUSD, number))
    await until(lambda: engines.data.data_queue.queued == 0)
    assert engines.data.data_queue.conflated == 3 + 98


class QuietClient(MarketDataClient):
    """Connects to nothing."""

    def subscribe_quote_ticks(self, command) -> None:
        pass


def quiet_client(engines) -> QuietClient:
    return QuietClient(
        client_id=ClientId("SIM"),
        venue=Venue("SIM"),
        msgbus=engines.msgbus,
        cache=engines.cache,
        clock=engines.clock,
    )


async def test_an_aggregator_whose_subscription_waits_gets_every_quote_that_comes_behind_it(
    engines_of,
):
    engines = engines_of(conflate_quotes=True, conflate_above=1)
    engines.cache.add_instrument(AUDUSD)
    engines.data.register_client(quiet_client(engines))
    bars = []
    engines.msgbus.subscribe("data.bars.*", bars.append)
    engines.start()
    await asyncio.sleep(0.01)
    for number in range(5):
        engines.data.process(quote(AUDUSD, number))
    bar_type = BarType.from_str("AUD/USD.SIM-10-TICK-BID-INTERNAL")
    engines.data.execute(
        SubscribeBars(bar_type, ClientId("SIM"), Venue("SIM"), UUID4(), 0),
    )
    for number in range(100):
        engines.data.process(quote(AUDUSD, number))
    await until(lambda: engines.data.data_queue.queued == 0)
    assert len(bars) == 10


async def test_quotes_of_the_components_of_a_synthetic_instrument_are_not_conflated(engines_of):
    # The data engine makes its quotes on its own, without a subscription to theirs.
    engines = engines_of(conflate_quotes=True, conflate_above=1)
    components = [
        TestInstrumentProvider.btcusdt_binance(),
        TestInstrumentProvider.ethusdt_binance(),
    ]
    for instrument in components:
        engines.cache.add_instrument(instrument)
    synthetic = SyntheticInstrument(
        Symbol("PAIR"),
        5,
        [instrument.id for instrument in components],
        " - ".join(instrument.id.value for instrument in components),
        0,
        0,
    )
    engines.cache.add_synthetic(synthetic)
    made = []
    engines.msgbus.subscribe("data.quotes.SYNTH.*", made.append)
    engines.start()
    await asyncio.sleep(0.01)
    assert engines.data.may_conflate(components[0].id)
    engines.data.execute(SubscribeQuoteTicks(synthetic.id, None, Venue("SYNTH"), UUID4(), 0))
    for number in range(50):
        for instrument in components:
            engines.data.process(quote(instrument, number))
    await until(lambda: engines.data.data_queue.queued == 0)
    # One for each quote of either, as soon as there is one of both.
    assert len(made) == 99
    assert not any(engines.data.may_conflate(instrument.id) for instrument in components)
    assert engines.data.may_conflate(AUDUSD.id)


@pytest.mark.parametrize("dispatch", [{}, {"conflate_quotes": True, "conflate_above": 50}])
async def test_quotes_from_several_threads_are_handled_or_counted_and_wake_the_engine(
    engines_of, dispatch
):
    engines = engines_of(**dispatch)
    data = QueueUnderTest(engines, "data.data")
    engines.start()
    await settle()
    per_thread = 4_000
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def feed(instrument) -> None:
        for number in range(per_thread):
            data.feed(quote(instrument, number))
            if number % 50 == 0:
                # Let the engine run dry, so that the next quote has to wake it.
                time.sleep(0.0005)

    try:
        await asyncio.gather(*(asyncio.to_thread(feed, i) for i in (AUDUSD, EURUSD)))
        await until(lambda: data.statistics.queued == 0)
    finally:
        sys.setswitchinterval(interval)
    await until(lambda: data.statistics.handled + data.statistics.conflated == 2 * per_thread)
    for instrument in (AUDUSD, EURUSD):
        numbers = [q.ts_init for q in data.handled if q.instrument_id == instrument.id]
        assert numbers == sorted(numbers)
        assert numbers[-1] == per_thread - 1
        if not dispatch:
            assert numbers == list(range(per_thread))
