"""Labels by type and lanes by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.common.component import is_matching_py
from nautilus_trader.common.messages import TradingStateChanged
from nautilus_trader.data.messages import RequestQuoteTicks
from nautilus_trader.data.messages import SubscribeQuoteTicks
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.execution.messages import SubmitOrderList
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import OrderBookDepth10
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.events import OrderAccepted
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.events import PositionOpened
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import StrategyId
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs

from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import FlowRule
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import DATA_KINDS
from nautilus_enhanced.live.labels import instrument_of
from nautilus_enhanced.live.labels import kind_of_type
from nautilus_enhanced.live.labels import priority_of_type
from nautilus_enhanced.live.rules import FlowRules
from nautilus_enhanced.live.scheduling import DispatchLane


AUDUSD = TestInstrumentProvider.default_fx_ccy("AUD/USD")
SYMBOLS = st.text("ABC-/", min_size=1, max_size=4)
PATTERNS = st.text("ABC-/.*?", min_size=1, max_size=5)


class OfStrategy:
    """A command or an event of an order, as far as a rule looks at it."""

    def __init__(self, strategy: str, instrument: str) -> None:
        self.strategy_id = StrategyId(strategy)
        self.instrument_id = InstrumentId.from_str(instrument)


@pytest.mark.parametrize(
    ("message_type", "priority"),
    [
        (SubmitOrder, MessagePriority.CRITICAL),
        (SubmitOrderList, MessagePriority.CRITICAL),
        (CancelOrder, MessagePriority.CRITICAL),
        (TradingStateChanged, MessagePriority.CRITICAL),
        (OrderAccepted, MessagePriority.HIGH),
        (OrderFilled, MessagePriority.HIGH),
        (PositionOpened, MessagePriority.HIGH),
        (AccountState, MessagePriority.HIGH),
        (FillReport, MessagePriority.HIGH),
        (QuoteTick, MessagePriority.NORMAL),
        (OrderBookDeltas, MessagePriority.NORMAL),
        (SubscribeQuoteTicks, MessagePriority.NORMAL),
        (RequestQuoteTicks, MessagePriority.NORMAL),
        (dict, MessagePriority.NORMAL),
    ],
)
def test_the_label_of_a_message_goes_by_its_type(message_type, priority):
    assert priority_of_type(message_type) is priority


@pytest.mark.parametrize(
    ("message_type", "kind"),
    [
        (QuoteTick, "quotes"),
        (TradeTick, "trades"),
        (Bar, "bars"),
        (OrderBookDelta, "book"),
        (OrderBookDeltas, "book"),
        (OrderBookDepth10, "book"),
        (CurrencyPair, "instruments"),
        (dict, "other"),
    ],
)
def test_the_types_of_a_book_are_one_kind(message_type, kind):
    assert kind_of_type(message_type) == kind
    assert kind in DATA_KINDS


@pytest.mark.parametrize(
    ("message", "instrument_id"),
    [
        (TestDataStubs.quote_tick(AUDUSD), AUDUSD.id),
        (TestDataStubs.bar_5decimal(), TestDataStubs.bar_5decimal().bar_type.instrument_id),
        (AUDUSD, AUDUSD.id),
        (object(), None),
    ],
)
def test_the_instrument_of_a_message_is_found(message, instrument_id):
    assert instrument_of(message) == instrument_id


def test_without_rules_nothing_is_demoted():
    rules = FlowRules(())
    assert not rules.has_data_rules
    assert not rules.has_order_rules
    assert rules.lane_of_data(TestDataStubs.quote_tick(AUDUSD)) is DispatchLane.DATA
    assert rules.lane_of_order(OfStrategy("S-1", "A.B")) is DispatchLane.ORDER_FLOW


def test_the_first_rule_that_matches_decides():
    rules = FlowRules(
        [
            FlowRule(flow="data", kinds=("quotes",), instrument="AUD*", priority="normal"),
            FlowRule(flow="data", kinds=("quotes", "trades"), venue="SIM"),
        ]
    )
    eurusd = InstrumentId.from_str("EUR/USD.SIM")
    assert rules.lane_of_kind(QuoteTick, AUDUSD.id) is DispatchLane.DATA
    assert rules.lane_of_kind(TradeTick, AUDUSD.id) is DispatchLane.LOW
    assert rules.lane_of_kind(QuoteTick, eurusd) is DispatchLane.LOW
    assert rules.lane_of_kind(Bar, eurusd) is DispatchLane.DATA
    assert rules.lane_of_kind(QuoteTick, InstrumentId.from_str("EUR/USD.X")) is DispatchLane.DATA


@given(st.lists(st.tuples(PATTERNS, st.sampled_from(["low", "normal"])), max_size=4), SYMBOLS)
def test_all_messages_of_a_book_get_the_same_lane_whatever_the_rules(patterns, symbol):
    rules = FlowRules(
        FlowRule(flow="data", kinds=("book",) if index % 2 else (), instrument=p, priority=priority)
        for index, (p, priority) in enumerate(patterns)
    )
    instrument_id = InstrumentId.from_str(f"{symbol}.V")
    book = {
        rules.lane_of_kind(kind, instrument_id)
        for kind in (OrderBookDelta, OrderBookDeltas, OrderBookDepth10)
    }
    assert len(book) == 1


@given(st.lists(st.tuples(PATTERNS, PATTERNS), max_size=4), SYMBOLS, SYMBOLS)
def test_rules_for_orders_match_as_the_host_matches_and_are_constant_per_order(
    patterns, symbol, name
):
    rules = FlowRules(
        FlowRule(flow="orders", strategy=strategy, instrument=instrument)
        for strategy, instrument in patterns
    )
    message = OfStrategy(f"{name}-001", f"{symbol}.V")
    demoted = any(
        is_matching_py(message.strategy_id.value, strategy)
        and is_matching_py(message.instrument_id.value, instrument)
        for strategy, instrument in patterns
    )
    lane = DispatchLane.LOW if demoted else DispatchLane.ORDER_FLOW
    assert rules.lane_of_order(message) is lane
    assert rules.lane_of_order(OfStrategy(f"{name}-001", f"{symbol}.V")) is lane


def test_an_order_flow_message_of_no_strategy_is_never_demoted():
    rules = FlowRules([FlowRule(flow="orders")])
    assert rules.lane_of_order(object()) is DispatchLane.ORDER_FLOW


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"flow": "orders", "kinds": ("quotes",)}, "a command would overtake an event of the same"),
        ({"flow": "data", "kinds": ("OrderBookDelta",)}, "Name 'book' for all types of a book"),
        ({"flow": "data", "kinds": ("ticks",)}, "was 'ticks', allowed: 'quotes'"),
        ({"flow": "data", "strategy": "S-*"}, "Market data belongs to no strategy"),
        ({"flow": "both"}, "`dispatch.rules.flow` was 'both', allowed: 'data', 'orders'"),
        ({"flow": "data", "priority": "high"}, "`dispatch.rules.priority` was 'high'"),
        ({"flow": "data", "instrument": "a b"}, "`dispatch.rules.instrument` was 'a b'"),
    ],
)
def test_a_rule_that_would_break_an_order_is_refused_with_the_reason(fields, sentence):
    with pytest.raises(ConfigurationError) as refused:
        FlowRule(**fields)
    assert sentence in str(refused.value)
