import json
import zlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.market import Instrument
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.okx.market_messages import MarketMessages
from nautilus_enhanced.sandbox.okx.streams import BOOK_MS
from nautilus_enhanced.sandbox.okx.streams import INTERVALS_MS
from nautilus_enhanced.sandbox.okx.streams import MarketChannels
from nautilus_enhanced.sandbox.okx.units import Units


D = Decimal
INSTRUMENT = Instrument(base="BTC", quote="USDT", tick_size=D("0.1"), step_size=D("0.001"))
NAME = "BTC-USDT-SWAP"


def quote(bid="100.0", size="1"):
    return Quote(due_ns=0, bid=D(bid), ask=D(bid) + D("0.1"), bid_size=D(size), ask_size=D(size))


def trade(number, price="100.0", *, buyer_is_maker=False):
    return Trade(
        due_ns=0,
        trade_id=number,
        price=D(price),
        size=D("0.5"),
        buyer_is_maker=buyer_is_maker,
    )


def make():
    return MarketChannels(MarketMessages(Units(instrument=INSTRUMENT, is_spot=False)))


@pytest.fixture
def channels():
    return make()


def sent(channels, event, now_ms=0):
    if isinstance(event, Quote):
        channels.on_quote(event)
    frames = channels.frames(event, now_ms * 1_000_000)
    return [json.loads(frame.encoded[frame.encoded.index(b'{"') :]) for frame in frames]


def test_only_what_is_wanted_is_made(channels):
    assert sent(channels, quote()) == sent(channels, trade(1)) == []
    channels.select(frozenset({f"bbo-tbt:{NAME}", f"trades:{NAME}", "trades:ETH-USDT", "orders:"}))
    (message,) = sent(channels, quote(), 5)
    assert message["arg"] == {"channel": "bbo-tbt", "instId": NAME}
    best = message["data"][0]
    assert best["asks"] == [["100.1", "100", "0", "1"]]
    assert (best["bids"][0][0], best["ts"], best["seqId"]) == ("100", "5", 2)
    (message,) = sent(channels, trade(2, buyer_is_maker=True), 7)
    told = message["data"][0]
    assert (told["tradeId"], told["sz"], told["side"], told["ts"]) == ("2", "50", "sell", "7")


@pytest.mark.parametrize(
    ("channel", "carries"),
    [
        *((name, True) for name in ("bbo-tbt", "trades", "trades-all", "mark-price", *BOOK_MS)),
        *((f"candle{interval}", True) for interval in INTERVALS_MS),
        ("candle7m", False),
        ("funding-rate", False),
    ],
)
def test_which_channels_carry_data(channels, channel, carries):
    assert channels.carries(f"{channel}:{NAME}") is carries
    assert not channels.carries(f"{channel}:ETH-USDT-SWAP")
    assert not channels.carries(channel)


def test_candles_close(channels):
    channels.select(frozenset({f"candle1s:{NAME}"}))
    sent(channels, trade(1), 0)
    closed, new = (m["data"][0] for m in sent(channels, trade(2, "101"), 1_000))
    assert (closed[0], closed[4], closed[5], closed[8]) == ("0", "100", "50", "1")
    assert (new[0], new[1], new[8]) == ("1000", "101", "0")


def test_mark_prices_come_at_most_five_times_a_second(channels):
    channels.select(frozenset({f"mark-price:{NAME}"}))
    times = [now for now in range(200, 800, 50) if sent(channels, quote(), now)]
    assert times == [200, 400, 600]


def test_a_channel_goes_on_when_another_is_added(channels):
    channels.select(frozenset({f"books:{NAME}"}))
    assert sent(channels, quote())[0]["action"] == "snapshot"
    channels.select(frozenset({f"books:{NAME}", f"trades:{NAME}"}))
    assert sent(channels, quote("101"), 500)[0]["action"] == "update"


@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["1", "2"])), min_size=1, max_size=60)
)
def test_a_copy_of_the_book_is_right_after_each_message(quotes):
    channels = make()
    channels.select(frozenset({f"books:{NAME}"}))
    copy, last_id = {"bids": {}, "asks": {}}, None
    for number, (bid, size) in enumerate(quotes):
        for message in sent(channels, quote(str(bid), size), number * 40):
            data = message["data"][0]
            if message["action"] == "snapshot":
                assert data["prevSeqId"] == -1
            else:
                assert data["prevSeqId"] == last_id
            last_id = data["seqId"]
            for side, levels in copy.items():
                levels.update({price: size for price, size, _, _ in data[side]})
                for price in [price for price, size in levels.items() if size == "0"]:
                    del levels[price]
            bids = sorted(copy["bids"].items(), key=lambda level: -D(level[0]))
            asks = sorted(copy["asks"].items(), key=lambda level: D(level[0]))
            book = channels.book.snapshot()
            assert [(D(p), D(s) / 100) for p, s in bids] == book.bids
            assert [(D(p), D(s) / 100) for p, s in asks] == book.asks
            turns = []
            for level in range(max(len(bids), len(asks))):
                turns += [":".join(side[level]) for side in (bids, asks) if level < len(side)]
            number_ = zlib.crc32(":".join(turns).encode())
            assert data["checksum"] % 2**32 == number_
