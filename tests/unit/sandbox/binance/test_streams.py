import json
from decimal import Decimal

import pytest

from nautilus_enhanced.sandbox.binance.futures_messages import FuturesMessages
from nautilus_enhanced.sandbox.binance.spot_messages import SpotMessages
from nautilus_enhanced.sandbox.binance.streams import INTERVALS_MS
from nautilus_enhanced.sandbox.binance.streams import FuturesStreams
from nautilus_enhanced.sandbox.binance.streams import SpotStreams
from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade


D = Decimal
INSTRUMENT = Instrument(base="BTC", quote="USDT", tick_size=D("0.1"), step_size=D("0.001"))


def quote(bid="100.0", size="1"):
    return Quote(due_ns=0, bid=D(bid), ask=D(bid) + D("0.1"), bid_size=D(size), ask_size=D(size))


def trade(number, price="100.0"):
    return Trade(due_ns=0, trade_id=number, price=D(price), size=D("0.5"), buyer_is_maker=False)


@pytest.fixture
def spot():
    return SpotStreams(SpotMessages(INSTRUMENT))


@pytest.fixture
def futures():
    return FuturesStreams(FuturesMessages(INSTRUMENT))


def sent(streams, event, now_ms=0):
    prepared = streams.prepare(event)
    if isinstance(event, Quote):
        streams.on_quote(event)
    frames = streams.frames(event, prepared, now_ms * 1_000_000)
    return [(frame.stream, json.loads(frame._bare)) for frame in frames]


def test_only_what_is_wanted_is_made(spot):
    assert sent(spot, quote()) == sent(spot, trade(1)) == []
    spot.select(frozenset({"btcusdt@bookTicker", "btcusdt@trade", "btcusdt@forceOrder", "key"}))
    ((stream, payload),) = sent(spot, quote())
    assert (stream, payload["u"], payload["b"]) == ("btcusdt@bookTicker", 2, "100.0")
    ((stream, payload),) = sent(spot, trade(2), 7)
    assert (stream, payload["t"], payload["T"]) == ("btcusdt@trade", 2, 7)


@pytest.mark.parametrize(
    "stream",
    [
        "btcusdt@bookTicker", "btcusdt@trade", "btcusdt@aggTrade", "btcusdt@ticker",
        "btcusdt@depth", "btcusdt@depth@100ms", "btcusdt@depth@1000ms", "btcusdt@depth5",
        "btcusdt@depth20@100ms", *(f"btcusdt@kline_{interval}" for interval in INTERVALS_MS),
    ],
)  # fmt: skip
def test_the_streams_of_spot(spot, stream):
    assert spot.carries(stream)


@pytest.mark.parametrize(
    "stream",
    [
        "ethusdt@trade", "btcusdt@depth@250ms", "btcusdt@depth7", "btcusdt@kline_2s",
        "btcusdt@markPrice", "btcusdt@", "", "loopbackListenKey1",
    ],
)  # fmt: skip
def test_what_is_no_stream_of_spot(spot, stream):
    assert not spot.carries(stream)


@pytest.mark.parametrize(
    "stream",
    [
        "btcusdt@markPrice", "btcusdt@markPrice@1s", "!markPrice@arr", "!markPrice@arr@1s",
        "btcusdt@depth@0ms", "btcusdt@depth@250ms", "btcusdt@depth10@500ms",
    ],
)  # fmt: skip
def test_the_streams_of_futures(futures, stream):
    assert futures.carries(stream)


def test_changes_of_the_book_join_a_snapshot(spot):
    spot.select(frozenset({"btcusdt@depth@100ms"}))
    sent(spot, quote("99.0"), 1_000)
    assert sent(spot, quote("99.5"), 1_050) == []
    book = spot.book.snapshot()
    ((_, payload),) = sent(spot, quote("100.0"), 1_100)
    assert (payload["U"], payload["u"], book.update_id) == (2, 3, 2)
    bids = dict(map(tuple, payload["b"]))
    assert bids["100.0"] == "1.000"
    assert bids["98.5"] == "0.000"


def test_changes_that_nobody_wants_are_not_piled_up(futures):
    for number in range(1_000):
        sent(futures, quote(f"{100 + number}.0"), number * 10)
    futures.select(frozenset({"btcusdt@depth@0ms"}))
    ((_, payload),) = sent(futures, quote("1100.0"), 10_000)
    assert payload["pu"] == payload["U"] - 1 == 1000
    assert len(payload["b"]) == 20


def test_each_name_of_a_diff_stream_gets_all_changes(spot):
    both = frozenset({"btcusdt@depth", "btcusdt@depth@1000ms"})
    spot.select(both)
    assert {stream for stream, _ in sent(spot, quote(), 5_000)} == both


def test_candles_close(spot):
    spot.select(frozenset({"btcusdt@kline_1s"}))
    sent(spot, trade(1), 1_000)
    sent(spot, trade(2, "101.0"), 1_500)
    (_, closed), (_, begun) = sent(spot, trade(3, "99.0"), 2_100)
    assert (closed["k"]["x"], closed["k"]["o"], closed["k"]["c"]) == (True, "100.0", "101.0")
    assert (closed["k"]["t"], closed["k"]["T"], closed["k"]["n"]) == (1_000, 1_999, 2)
    assert (begun["k"]["x"], begun["k"]["o"]) == (False, "99.0")


def test_the_ticker_comes_once_a_second(spot):
    spot.select(frozenset({"btcusdt@ticker"}))
    assert sent(spot, quote(), 1_000) == []
    sent(spot, trade(1), 1_000)
    ((_, payload),) = sent(spot, quote(), 1_100)
    assert (payload["c"], payload["n"], payload["b"]) == ("100.0", 1, "100.0")
    assert sent(spot, quote(), 1_900) == []
    assert len(sent(spot, quote(), 2_100)) == 1


def test_partial_books(spot, futures):
    spot.select(frozenset({"btcusdt@depth5@100ms"}))
    ((_, payload),) = sent(spot, quote(), 1_000)
    assert (len(payload["bids"]), payload["lastUpdateId"]) == (5, 1)
    futures.select(frozenset({"btcusdt@depth5@100ms"}))
    ((_, payload),) = sent(futures, quote(), 1_000)
    assert (len(payload["b"]), payload["u"], payload["e"]) == (5, 1, "depthUpdate")


def test_mark_prices(futures):
    futures.select(frozenset({"btcusdt@markPrice@1s", "!markPrice@arr"}))
    found = dict(sent(futures, quote(), 28_800_001))
    assert found["btcusdt@markPrice@1s"]["p"] in {"100.0", "100.1"}
    assert found["btcusdt@markPrice@1s"]["T"] == 57_600_000
    assert [mark["s"] for mark in found["!markPrice@arr"]] == ["BTCUSDT"]
    assert [name for name, _ in sent(futures, quote(), 28_801_001)] == ["btcusdt@markPrice@1s"]


def test_a_stream_that_was_there_goes_on_when_another_joins(spot):
    spot.select(frozenset({"btcusdt@kline_1s"}))
    sent(spot, trade(1), 1_000)
    spot.select(frozenset({"btcusdt@kline_1s", "btcusdt@trade"}))
    sent(spot, trade(2), 1_100)
    candles = [p for _, p in sent(spot, trade(3), 2_000) if p["e"] == "kline"]
    assert candles[0]["k"]["n"] == 2
