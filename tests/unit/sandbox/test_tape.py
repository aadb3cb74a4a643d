from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.market import Trade
from nautilus_enhanced.sandbox.tape import MAX_PRINTS
from nautilus_enhanced.sandbox.tape import CandleFeed
from nautilus_enhanced.sandbox.tape import Tape
from nautilus_enhanced.sandbox.tape import candles


prints = st.lists(
    st.tuples(st.integers(0, 700), st.integers(1, 9), st.integers(1, 5), st.booleans()),
    min_size=1,
    max_size=40,
)


def tape_of(rows):
    tape, time_ms = Tape(), 0
    for number, (gap_ms, price, size, maker) in enumerate(rows, start=1):
        time_ms += gap_ms
        trade = Trade(
            due_ns=0,
            trade_id=number,
            price=Decimal(price),
            size=Decimal(size),
            buyer_is_maker=maker,
        )
        tape.on_trade(trade, time_ms * 1_000_000)
    return tape


@given(prints)
def test_candles_hold_each_trade_once_and_follow_each_other(rows):
    tape = tape_of(rows)
    made = candles(tape.prints, 1000)
    assert sum(c.count for c in made) == len(rows)
    assert sum(c.volume for c in made) == tape.session.volume
    for candle in made:
        assert candle.open_ms % 1000 == 0
        assert candle.close_ms == candle.open_ms + 999
        inside = [p.trade for p in tape.prints if candle.open_ms <= p.time_ms <= candle.close_ms]
        assert (candle.open, candle.close) == (inside[0].price, inside[-1].price)
        assert candle.high == max(t.price for t in inside)
        assert candle.low == min(t.price for t in inside)
        assert candle.buy_volume == sum(t.size for t in inside if not t.buyer_is_maker)
    assert [c.open_ms for c in made] == sorted({c.open_ms for c in made})


@given(prints)
def test_a_candle_is_closed_once_and_never_changes_then(rows):
    feed, closed = CandleFeed(1000), []
    tape = tape_of(rows)
    for print_ in tape.prints:
        closed += [candle for candle, is_closed in feed.on_print(print_) if is_closed]
    made = candles(tape.prints, 1000)
    assert closed == made[:-1]


def test_the_tape_is_bounded():
    assert len(tape_of([(1, 1, 1, False)] * (MAX_PRINTS + 5)).prints) == MAX_PRINTS
