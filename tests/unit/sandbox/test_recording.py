import itertools
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from nautilus_enhanced.sandbox import Quote
from nautilus_enhanced.sandbox import RecordedMarket
from nautilus_enhanced.sandbox import RecordingError
from nautilus_enhanced.sandbox import Trade


QUOTES = """timestamp,bid,ask,bid_size,ask_size
2024-01-01 00:00:00.000+00:00,100.10,100.20,1.5,2.25
2024-01-01 00:00:00.500+00:00,100.15,100.20,1.5,2.25
2024-01-01 00:00:02.000+00:00,100.10,100.25,1.5,2.25
"""
SHARED = Path(__file__).resolve().parents[4] / "shared" / "market_data"


def write(folder, text, name="ethusdt-quotes.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_quotes_from_csv(tmp_path):
    market = RecordedMarket.open(write(tmp_path, QUOTES))
    assert market.instrument.symbol == "ETHUSDT"
    assert market.instrument.tick_size == Decimal("0.01")
    assert market.instrument.step_size == Decimal("0.01")
    assert [e.due_ns for e in market] == [0, 500_000_000, 2_000_000_000]
    assert next(iter(market)).bid == Decimal("100.10")


def test_speed_divides_time(tmp_path):
    market = RecordedMarket.open(write(tmp_path, QUOTES), speed=10)
    assert [e.due_ns for e in market] == [0, 50_000_000, 200_000_000]


def test_a_loop_goes_on_in_time(tmp_path):
    market = RecordedMarket.open(write(tmp_path, QUOTES), loop=True)
    dues = [e.due_ns for e in itertools.islice(market, 10)]
    assert dues == sorted(dues)
    assert dues[3] == 3_000_000_000


def test_trades_from_parquet_bring_quotes_to_match_against(tmp_path):
    path = tmp_path / "trades.parquet"
    pd.DataFrame(
        {
            "timestamp": pd.to_datetime([1, 2], unit="ms", utc=True),
            "price": [10.5, 10.25],
            "quantity": [0.125, 1.0],
            "buyer_maker": [True, False],
        }
    ).to_parquet(path)
    market = RecordedMarket.open(path, symbol="ETH/BTC", loop=True)
    events = list(itertools.islice(market, 8))
    assert [type(e) for e in events] == [Quote, Trade] * 4
    assert events[1].buyer_is_maker
    assert events[0].bid == events[1].price
    assert events[2].ask == events[3].price
    assert [e.trade_id for e in events if isinstance(e, Trade)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("times", "gap_ns"),
    [
        (("1700000000", "1700000001"), 1_000_000_000),
        (("1700000000000", "1700000000001"), 1_000_000),
        (("1700000000000000", "1700000000000001"), 1_000),
        (("1700000000000000000", "1700000000000000500"), 500),
        (("20200101 170000065", "20200101 170000165"), 100_000_000),
    ],
)
def test_a_headerless_file_and_its_times(tmp_path, times, gap_ns):
    text = "".join(f"{t},1.1212,1.1213,0\n" for t in times)
    market = RecordedMarket.open(write(tmp_path, text), symbol="EUR/USD")
    first, second = market
    assert second.due_ns - first.due_ns == gap_ns
    assert first.bid_size == 1
    assert market.instrument.tick_size == Decimal("0.0001")


HEAD = "timestamp,bid,ask\n"
GOOD = "2024-01-01 00:00:01,1.1,1.2\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "corrupt or empty"),
        (HEAD, "no rows"),
        ("a,b\n1,2\n", "columns `a, b`"),
        (HEAD + GOOD + "2024-01-01 00:00:02,1.3,1.2\n", "row 2, column `bid`, is 1.3"),
        (HEAD + GOOD + "2024-01-01 00:00:00,1.1,1.2\n", "row 2, column `timestamp`, is earlier"),
        (HEAD + GOOD + "2024-01-01 00:00:02,,1.2\n", "row 2, column `bid`, is `nan`"),
        (HEAD + GOOD + "2024-01-01 00:00:02,1.1,x\n", "row 2, column `ask`, is `x`"),
        (HEAD + GOOD + "2024-01-01 00:00:02,-1,1.2\n", "row 2, column `bid`, is `-1`"),
        (HEAD + GOOD + "yesterday,1.1,1.2\n", "row 2, column `timestamp`, is `yesterday`"),
        (HEAD + "2024-01-01 00:00:02,inf,1.2\n", "row 1, column `bid`, is `inf`"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, text, said):
    path = write(tmp_path, text)
    with pytest.raises(RecordingError, match="Recording") as raised:
        RecordedMarket.open(path)
    sentence = str(raised.value)
    assert str(path) in sentence
    assert said in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_a_corrupt_file_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"PAR1\x00\xff\xfe\x80 not a table")
    with pytest.raises(RecordingError, match="Recording"):
        RecordedMarket.open(path)


def test_a_missing_file_a_folder_and_an_odd_ending_are_refused(tmp_path):
    with pytest.raises(RecordingError, match="does not exist"):
        RecordedMarket.open(tmp_path / "none.csv")
    with pytest.raises(RecordingError, match="is not a file"):
        RecordedMarket.open(tmp_path)
    with pytest.raises(RecordingError, match=r"ending `\.txt`"):
        RecordedMarket.open(write(tmp_path, QUOTES, "x.txt"))
    with pytest.raises(RecordingError, match="speed 0"):
        RecordedMarket.open(write(tmp_path, QUOTES), speed=0)
    with pytest.raises(RecordingError, match="symbol `mystery`"):
        RecordedMarket.open(write(tmp_path, QUOTES, "mystery.csv"))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings of ../shared are not there")
@pytest.mark.parametrize(
    ("name", "symbol", "tick", "count"),
    [
        ("btcusdt-quotes.parquet", None, "0.01", 451),
        ("btcusdt-trades.parquet", None, "0.01", 2 * 2001),
        ("usdjpy-ticks.csv", None, "0.001", 1000),
        ("quote_tick_data.csv", "EUR/USD", "0.00001", 9500),
    ],
)
def test_the_shared_recordings_open(name, symbol, tick, count):
    market = RecordedMarket.open(SHARED / name, symbol=symbol)
    assert len(market.events) == count
    assert market.instrument.tick_size == Decimal(tick)
