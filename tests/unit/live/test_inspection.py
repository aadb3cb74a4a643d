"""What a node says about itself."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

from live_engines import QueueUnderTest
from live_engines import settle
from live_engines import until
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs

from nautilus_enhanced import data_age_ms
from nautilus_enhanced import data_backlog
from nautilus_enhanced import health
from nautilus_enhanced import statistics
from nautilus_enhanced.common.flow import connect_flow
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import FlowRule
from nautilus_enhanced.infrastructure.messagebus import StreamNaming


AUDUSD = TestInstrumentProvider.default_fx_ccy("AUD/USD")


class Kernel:
    """As much of a kernel as is asked for."""

    def __init__(self, msgbus, msgbus_database=None) -> None:
        self.msgbus = msgbus
        self.msgbus_database = msgbus_database


def test_a_stock_node_has_no_figures_and_no_findings():
    node = SimpleNamespace(kernel=Kernel(object()))
    assert statistics(node).dispatcher is None
    assert statistics(node).publisher is None
    assert health(node).findings == ()
    assert data_backlog(node.kernel) is None
    assert data_age_ms(node.kernel) is None


async def test_an_enhanced_node_shows_dispatcher_and_publisher(engines_of):
    engines = engines_of(qsize=2)
    data = QueueUnderTest(engines, "data.data")
    client = BufferedMessageBusClient("redis://127.0.0.1:1", naming=StreamNaming(trader_id="T-1"))
    kernel = Kernel(engines.msgbus, SimpleNamespace(client=client))
    connect_flow(kernel, engines.dispatcher)
    client.offer("events.order.S", b"{}")
    for number in range(3):
        data.feed(SimpleNamespace(ts_init=1_000_000 * (number + 1)))
    assert statistics(kernel).publisher.published == 1
    assert statistics(kernel).dispatcher.queued["DATA"] == 3
    await asyncio.sleep(0)
    reasons = " ".join(health(kernel).reasons)
    assert "data_queue is over its capacity of 2" in reasons
    assert "the writer does not run" in reasons
    engines.start()
    await until(lambda: len(data.handled) == 3)
    assert statistics(kernel).dispatcher.served["DATA"] == 3
    client.stop(0.0)


async def test_a_strategy_sees_how_much_data_waits_and_how_old_it_is(engines_of):
    engines = engines_of()
    data = QueueUnderTest(engines, "data.data")
    kernel = Kernel(engines.msgbus)
    connect_flow(kernel, engines.dispatcher)
    seen = []
    data.react = lambda message: seen.append(
        (data_backlog(kernel), data_age_ms(kernel, lambda: 10_000_000))
    )
    engines.start()
    await settle()
    for number in range(3):
        data.feed(SimpleNamespace(ts_init=1_000_000 * (number + 1)))
    data.feed(object())
    assert data_backlog(kernel) == 4
    assert data_age_ms(kernel, lambda: 10_000_000) == 9.0
    await until(lambda: len(seen) == 4)
    # While one is handled the others wait; what has no `ts_init` has no age.
    assert seen == [(3, 8.0), (2, 7.0), (1, 0.0), (0, 0.0)]


async def test_the_handler_that_took_longest_is_named(engines_of):
    engines = engines_of(conflate_quotes=True, conflate_above=1)
    events, data = QueueUnderTest(engines, "exec.evt"), QueueUnderTest(engines, "data.data")
    engines.start()
    await asyncio.sleep(0.01)
    events.react = lambda _: time.sleep(0.02)
    events.feed("an event")
    await until(lambda: events.handled)
    found = engines.dispatcher.statistics().longest_handler
    assert (found.engine, found.queue) == ("EnhancedLiveExecutionEngine", "evt_queue")
    assert found.message_type == "str"
    assert found.took_us >= 20_000
    # A quote that waits in a slot, since another message waits too.
    data.react = lambda m: time.sleep(0.05) if isinstance(m, QuoteTick) else None
    data.feed(object())
    data.feed(TestDataStubs.quote_tick(AUDUSD))
    await until(lambda: len(data.handled) == 2)
    await asyncio.sleep(0)
    found = engines.dispatcher.statistics().longest_handler
    assert (found.engine, found.queue) == ("EnhancedLiveDataEngine", "data_queue")
    assert found.message_type == "QuoteTick"
    assert found.took_us >= 50_000


def order_event(ts_init: int):
    return SimpleNamespace(ts_init=ts_init, strategy_id=StrategyId("SLOW-1"))


async def test_order_flow_is_no_backlog_of_data_also_before_the_trader_has_started(engines_of):
    engines = engines_of(started=lambda: False)
    kernel = Kernel(engines.msgbus)
    connect_flow(kernel, engines.dispatcher)
    QueueUnderTest(engines, "exec.evt").feed(order_event(1_000_000))
    assert data_backlog(kernel) == 0
    assert data_age_ms(kernel, lambda: 10_000_000) == 0.0
    for name in ("data.data", "data.res", "data.req", "data.cmd"):
        QueueUnderTest(engines, name).feed(SimpleNamespace(ts_init=3_000_000))
    assert data_backlog(kernel) == 4
    assert data_age_ms(kernel, lambda: 10_000_000) == 7.0


async def test_a_command_to_a_sandbox_client_is_no_backlog_of_data(engines_of, monkeypatch):
    engines = engines_of()
    monkeypatch.setattr(engines.exec, "_is_simulated", lambda command: True)
    kernel = Kernel(engines.msgbus)
    connect_flow(kernel, engines.dispatcher)
    QueueUnderTest(engines, "exec.cmd").feed(SimpleNamespace(ts_init=1_000_000))
    assert engines.dispatcher.statistics().queued["DATA"] == 1
    assert data_backlog(kernel) == 0
    QueueUnderTest(engines, "data.data").feed(SimpleNamespace(ts_init=2_000_000))
    assert data_backlog(kernel) == 1
    assert data_age_ms(kernel, lambda: 10_000_000) == 8.0


async def test_demoted_quotes_are_backlog_and_have_an_age_and_demoted_orders_are_none(engines_of):
    engines = engines_of(
        rules=(
            FlowRule(flow="orders", strategy="SLOW-*"),
            FlowRule(flow="data", kinds=("quotes",), venue="SIM"),
        ),
    )
    kernel = Kernel(engines.msgbus)
    connect_flow(kernel, engines.dispatcher)
    QueueUnderTest(engines, "exec.evt").feed(order_event(1_000_000))
    assert engines.dispatcher.statistics().queued["LOW"] == 1
    assert data_backlog(kernel) == 0
    assert data_age_ms(kernel, lambda: 10_000_000) == 0.0
    data = QueueUnderTest(engines, "data.data")
    data.feed(TestDataStubs.quote_tick(AUDUSD, ts_event=4_000_000, ts_init=4_000_000))
    assert data_backlog(kernel) == 1
    assert data_age_ms(kernel, lambda: 10_000_000) == 6.0
    # What is handled next is not demoted, though it is younger.
    data.feed(SimpleNamespace(ts_init=5_000_000))
    assert data_backlog(kernel) == 2
    assert data_age_ms(kernel, lambda: 10_000_000) == 5.0


async def test_a_node_that_is_gone_leaves_nothing_behind(engines_of):
    engines = engines_of()
    kernel = Kernel(engines.msgbus)
    connect_flow(kernel, engines.dispatcher)
    component = SimpleNamespace(msgbus=engines.msgbus)
    assert data_backlog(component) == 0
    del kernel
    assert data_backlog(component) is None
