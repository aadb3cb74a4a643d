"""Every message has the bytes, or the error, that the stock serializer gives it."""

import decimal
from decimal import Decimal

import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from nautilus_trader.core.data import Data
from nautilus_trader.model.data import Bar
from nautilus_trader.model.data import BarType
from nautilus_trader.model.data import BookOrder
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.enums import BookAction
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import FIXED_PRECISION
from nautilus_trader.model.objects import PRICE_MAX
from nautilus_trader.model.objects import QUANTITY_MAX
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity
from nautilus_trader.serialization.base import register_serializable_type
from nautilus_trader.serialization.serializer import MsgSpecSerializer
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from nautilus_enhanced.serialization import EnhancedSerializer
from nautilus_enhanced.serialization import serializer_problems
from nautilus_enhanced.serialization import verification
from nautilus_enhanced.serialization.fields import GATHER
from nautilus_enhanced.serialization.fields import ORDER_EVENTS
from nautilus_enhanced.serialization.text import UNITS


FORMS = [(False, False), (True, False), (False, True), (True, True)]
PAIRS = [
    (MsgSpecSerializer(encoding, *form), EnhancedSerializer(encoding, *form))
    for encoding in (msgspec.json, msgspec.msgpack)
    for form in FORMS
]


def result(serializer, message):
    """Return the bytes of a message, or what is raised instead."""
    try:
        return serializer.serialize(message)
    except Exception as error:  # noqa: BLE001 (whatever it is, it must be the same)
        return type(error), str(error)


def assert_same(message):
    for stock, enhanced in PAIRS:
        assert result(enhanced, message) == result(stock, message)


# -- messages ------------------------------------------------------------------------------------

# Commas, quotes, unicode and backslashes are all possible in a symbol.
names = st.one_of(
    st.sampled_from(["BTCUSDT-PERP", "AUD/USD", "ES,1", 'A"B\\C', "日本é", "((A))_B", "x.y"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12),
)
# The host refuses other venues.
instrument_ids = st.builds(
    lambda name, venue: InstrumentId.from_str(f"{name}.{venue}"),
    names,
    st.sampled_from(["BINANCE", "SIM", "X,Y"]),
)
times = st.one_of(
    st.sampled_from([0, 1, 10**9, 2**63 - 1, 2**63, 2**64 - 1]),
    st.integers(0, 2**64 - 1),
    st.integers(1_700_000_000_000_000_000, 1_800_000_000_000_000_000),
)


@st.composite
def raws(draw, most, precision):
    """Return raw units of few or many digits, nearly up to the largest value."""
    # The host ends the process for a larger one, and its largest is a rounded float.
    most = (int(most) - 1) * 10**precision
    digits = draw(st.integers(0, 30))
    return draw(st.integers(0, min(most, 10**digits))) * UNITS[precision]


@st.composite
def prices(draw, precision=None):
    if precision is None:
        precision = draw(st.integers(0, FIXED_PRECISION))
    sign = draw(st.sampled_from([1, 1, 1, -1]))
    return Price.from_raw(sign * draw(raws(PRICE_MAX, precision)), precision)


@st.composite
def quantities(draw, precision=None, least=0):
    if precision is None:
        precision = draw(st.integers(0, FIXED_PRECISION))
    raw = max(least * UNITS[precision], draw(raws(QUANTITY_MAX, precision)))
    return Quantity.from_raw(raw, precision)


@st.composite
def quotes(draw):
    precision, size_precision = (draw(st.integers(0, FIXED_PRECISION)) for _ in range(2))
    return QuoteTick(
        draw(instrument_ids),
        draw(prices(precision)),
        draw(prices(precision)),
        draw(quantities(size_precision)),
        draw(quantities(size_precision)),
        draw(times),
        draw(times),
    )


trades = st.builds(
    TradeTick,
    instrument_ids,
    prices(),
    quantities(least=1),
    st.sampled_from(list(AggressorSide)),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=36).map(
        TradeId
    ),
    times,
    times,
)
bar_types = st.builds(
    lambda name, kind: BarType.from_str(f"{name}.BINANCE-{kind}"),
    st.sampled_from(["BTCUSDT-PERP", "AUD/USD", "ES,1", "日本é", 'A"B']),
    st.sampled_from(
        [
            "1-MINUTE-LAST-EXTERNAL",
            "100-TICK-BID-INTERNAL",
            "5-MINUTE-MID-INTERNAL@1-MINUTE-EXTERNAL",
        ]
    ),
)


@st.composite
def bars(draw):
    # Each price with a precision of its own, which the host allows.
    four = sorted(draw(st.lists(prices(), min_size=4, max_size=4)), key=lambda price: price.raw)
    low, *middle, high = four
    return Bar(
        draw(bar_types),
        middle[0],
        high,
        low,
        middle[1],
        draw(quantities()),
        draw(times),
        draw(times),
    )


@st.composite
def deltas(draw, instrument_id=None):
    action = draw(st.sampled_from(list(BookAction)))
    least = int(action in (BookAction.ADD, BookAction.UPDATE))
    return OrderBookDelta(
        instrument_id or draw(instrument_ids),
        action,
        None
        if action == BookAction.CLEAR
        else BookOrder(
            draw(st.sampled_from(list(OrderSide))),
            draw(prices()),
            draw(quantities(least=least)),
            draw(st.integers(0, 2**64 - 1)),
        ),
        draw(st.integers(0, 255)),
        draw(st.integers(0, 2**64 - 1)),
        draw(times),
        draw(times),
    )


@st.composite
def batches(draw):
    instrument_id = draw(instrument_ids)
    items = draw(st.lists(deltas(instrument_id), min_size=1, max_size=5))
    return OrderBookDeltas(instrument_id, items)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
words = st.text(st.characters(min_codepoint=48, max_codepoint=122), min_size=1, max_size=12)
plain = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), texts)
inside = st.dictionaries(texts, plain | st.lists(plain, max_size=3), max_size=3)


@st.composite
def order_events(draw):
    """Return any order event, from values that the event takes what it knows of."""
    maybe = st.none() | words
    # `OrderInitialized` alone has the price among its options.
    price = draw(st.none() | prices().map(str))
    values = {
        "instrument_id": draw(instrument_ids).value,
        "trader_id": f"T-{draw(words)}",
        "strategy_id": f"S-{draw(words)}",
        "client_order_id": draw(words),
        "venue_order_id": draw(words),
        "account_id": f"SIM-{draw(words)}",
        "position_id": draw(maybe),
        "trade_id": draw(words),
        "order_side": draw(st.sampled_from(["BUY", "SELL"])),
        "order_type": draw(st.sampled_from(["LIMIT", "MARKET"])),
        "quantity": str(draw(quantities(least=1))),
        "last_qty": str(draw(quantities(least=1))),
        "last_px": str(draw(prices())),
        "price": price,
        "trigger_price": draw(st.none() | prices().map(str)),
        "released_price": str(draw(prices())),
        "reason": draw(texts) or "-",
        "options": draw(inside),
        "info": draw(inside),
        "exec_algorithm_params": draw(inside),
        "linked_order_ids": draw(st.none() | st.lists(words, min_size=1, max_size=3)),
        "tags": draw(st.none() | st.lists(texts, max_size=3)),
        "reconciliation": draw(st.booleans()),
        "post_only": draw(st.booleans()),
        "ts_event": draw(times),
        "ts_init": draw(times),
    }
    return draw(st.sampled_from(ORDER_EVENTS)).from_dict(verification.VALUES | values)


MESSAGES = {
    "quotes": quotes(),
    "trades": trades,
    "bars": bars(),
    "deltas": deltas(),
    "batches": batches(),
    "order events": order_events(),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_form_of_every_message_has_the_stock_bytes(kind):
    @settings(max_examples=400, deadline=None)
    @given(MESSAGES[kind])
    def check(message):
        assert type(message) in GATHER
        assert_same(message)

    check()


# Nothing that the host ends the process for, in the order of the fields below.
numbers = st.integers(-(2**96), 2**96)


@settings(max_examples=500, deadline=None)
@given(
    odd=st.integers(0, 3),
    raw=numbers | st.integers(0, 10**24),
    precision=st.integers(0, FIXED_PRECISION),
    plain_raw=st.integers(0, 10**6),
)
def test_one_number_that_is_not_what_it_should_be_has_the_stock_bytes(
    odd, raw, precision, plain_raw
):
    # Raw values with more decimals than the precision says: the host rounds them.
    raws = [plain_raw * UNITS[precision]] * 4
    raws[odd] = raw if odd < 2 else abs(raw)
    values = [*raws[:2], precision, precision, *raws[2:], precision, precision]
    assert_same(QuoteTick.from_raw(QUOTE.instrument_id, *values, 1, 2))


@settings(max_examples=500, deadline=None)
@given(
    odd=st.integers(0, 4),
    raw=st.integers(0, 10**24) | st.integers(0, 2**96),
    precision=st.integers(0, FIXED_PRECISION),
)
def test_one_odd_number_of_a_bar_has_the_stock_bytes(odd, raw, precision):
    # The prices are equal but for the odd one, which is where the host lets it be.
    least, most = 0, max(10**10 * UNITS[0], raw - raw % UNITS[0] + UNITS[0])
    plain_raw = {1: least, 2: most}.get(odd, raw)
    price = Price.from_raw(plain_raw - plain_raw % UNITS[precision], precision)
    prices_ = [price] * 4
    if odd in (1, 2):
        prices_[odd] = Price.from_raw(raw, precision)
    elif odd < 4:
        # Opened or closed in the middle of a wide bar.
        prices_ = [Price.from_raw(raw, precision)] * 4
        prices_[1], prices_[2] = Price.from_raw(most, 0), Price.from_raw(least, 0)
        prices_[3 - odd] = Price.from_raw(least, 0)
    volume = Quantity.from_raw(raw if odd == 4 else 0, precision)
    bar_type = BarType.from_str("A.B-1-MINUTE-LAST-EXTERNAL")
    assert_same(Bar(bar_type, *prices_, volume, 1, 2))


@pytest.mark.parametrize("digits", [27, 28, 29, 30])
def test_the_largest_numbers_have_the_stock_bytes(digits):
    # From 29 digits on the host's serializer rounds them, and its text of a tick or bar would
    # end the process.
    raw = min(10**digits, (int(PRICE_MAX) - 1) * UNITS[0]) - 7
    price = Price.from_raw(raw, FIXED_PRECISION)
    volume = Quantity.from_raw(raw, FIXED_PRECISION)
    one = Quantity.from_raw(UNITS[0], FIXED_PRECISION)
    bar_type = BarType.from_str("A.B-1-MINUTE-LAST-EXTERNAL")
    assert_same(Bar(bar_type, price, price, price, price, one, 1, 2))
    assert_same(Bar(bar_type, *[Price.from_raw(0, 0)] * 4, volume, 1, 2))
    assert_same(QuoteTick(QUOTE.instrument_id, price, price, one, one, 1, 2))
    small = Price.from_raw(1, FIXED_PRECISION)
    assert_same(QuoteTick(QUOTE.instrument_id, small, small, volume, one, 1, 2))
    trade_id = TradeId("1")
    assert_same(TradeTick(QUOTE.instrument_id, price, volume, AggressorSide.BUYER, trade_id, 1, 2))
    order = BookOrder(OrderSide.BUY, price, volume, 1)
    assert_same(OrderBookDelta(QUOTE.instrument_id, BookAction.ADD, order, 0, 1, 1, 2))


# -- what goes a short way, and what does not ----------------------------------------------------

SAMPLES = {type(sample).__name__: sample for sample in verification.make_samples()}
QUOTE = SAMPLES["QuoteTick"]


def test_there_is_a_sample_of_each_type_and_all_have_the_stock_bytes():
    assert [type(sample) for sample in SAMPLES.values()] == list(GATHER)
    assert len(ORDER_EVENTS) == 16
    assert serializer_problems() == ()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_usual_message_goes_the_short_way(name):
    # Otherwise the bytes would be right and the serializer useless.
    sample = SAMPLES[name]
    for stamp in (int, str):
        assert msgspec.json.encode(GATHER[type(sample)](sample, stamp))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_can_be_read_back(name):
    for _, enhanced in PAIRS:
        read = enhanced.deserialize(enhanced.serialize(SAMPLES[name]))
        assert type(read) is type(SAMPLES[name])


class QuoteSubclass(QuoteTick):
    pass


class Registered(Data):
    def __init__(self, value):
        self.value = value

    ts_event = 5
    ts_init = 6


def test_what_users_registered_is_written_as_they_said():
    register_serializable_type(
        Registered,
        lambda data: {"type": "Registered", "value": data.value, "ts_init": data.ts_init},
        lambda values: Registered(values["value"]),
    )
    assert_same(Registered(7))
    _, enhanced = PAIRS[1]
    assert enhanced.serialize(Registered(7)) == b'{"type":"Registered","value":7,"ts_init":"6"}'
    assert enhanced.deserialize(enhanced.serialize(Registered(7))).value == 7


def test_a_subclass_is_what_stock_makes_of_it():
    subclass = QuoteSubclass.__new__(QuoteSubclass)
    subclass.__setstate__(QUOTE.__getstate__())
    assert_same(subclass)
    # The host looks types up by name.
    namesake = type("QuoteTick", (QuoteTick,), {})
    message = namesake.__new__(namesake)
    message.__setstate__(QUOTE.__getstate__())
    assert_same(message)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "own", "ts_event": 1, "ts_init": None, "expire_time_ns": 3},
        "text",
        1,
        1.5,
        True,
        None,
        object(),
        TestInstrumentProvider.btcusdt_binance(),
        TestEventStubs.cash_account_state(),
    ],
    ids=lambda message: type(message).__name__,
)
def test_everything_else_is_what_stock_makes_of_it(message):
    # A dictionary is changed in place by the host's serializer.
    for stock, enhanced in PAIRS:
        twins = [dict(message) if isinstance(message, dict) else message for _ in range(2)]
        assert result(enhanced, twins[0]) == result(stock, twins[1])
        assert twins[0] == twins[1]


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.50"),
        pd.Timestamp(5, tz="UTC"),
        pd.Timedelta(7),
        InstrumentId.from_str("A.B"),
        {1, 2},
        float("nan"),
        2**64,
        "\ud800",
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_venue_put_into_a_fill_is_what_stock_makes_of_it(value):
    fill = type(SAMPLES["OrderFilled"])
    assert_same(fill.from_dict(verification.VALUES | {"info": {"value": value}}))


@pytest.mark.parametrize("digits", [3, 6, 10, 27, 28, 50])
@pytest.mark.parametrize("rounding", [decimal.ROUND_HALF_EVEN, decimal.ROUND_UP])
def test_decimals_that_a_user_made_shorter_are_shorter_here_too(digits, rounding):
    with decimal.localcontext() as context:
        context.prec = digits
        context.rounding = rounding
        for sample in SAMPLES.values():
            assert_same(sample)


def test_another_encoding_is_left_to_stock():
    class Reversed:
        @staticmethod
        def encode(obj, enc_hook=None):
            return msgspec.json.encode(obj, enc_hook=enc_hook)[::-1]

        @staticmethod
        def decode(raw):
            return msgspec.json.decode(raw[::-1])

    stock, enhanced = (kind(Reversed, True) for kind in (MsgSpecSerializer, EnhancedSerializer))
    assert enhanced.serialize(QUOTE) == stock.serialize(QUOTE)
    assert enhanced.deserialize(enhanced.serialize(QUOTE)) == QUOTE


def test_the_serializer_is_one_for_the_host():
    serializer = EnhancedSerializer(msgspec.json, timestamps_as_str=True)
    assert isinstance(serializer, MsgSpecSerializer)
    assert serializer.timestamps_as_str
    assert not serializer.timestamps_as_iso8601


# -- the check before it is used -----------------------------------------------------------------


@pytest.fixture
def fresh_check():
    serializer_problems.cache_clear()
    yield
    serializer_problems.cache_clear()


@pytest.mark.usefixtures("fresh_check")
def test_a_type_that_is_written_differently_is_found(monkeypatch):
    monkeypatch.setitem(GATHER, Bar, lambda *_: {"type": "Bar"})
    assert serializer_problems() == ("the enhanced serializer writes Bar differently",)


@pytest.mark.usefixtures("fresh_check")
def test_a_type_that_cannot_be_written_is_found(monkeypatch):
    def fail(*_):
        raise AttributeError("gone")

    monkeypatch.setitem(GATHER, QuoteTick, fail)
    (problem,) = serializer_problems()
    assert "fails on QuoteTick" in problem
    assert "gone" in problem


@pytest.mark.usefixtures("fresh_check")
def test_samples_that_cannot_be_made_are_a_problem(monkeypatch):
    monkeypatch.delitem(verification.VALUES, "instrument_id")
    (problem,) = serializer_problems()
    assert "cannot be made" in problem
