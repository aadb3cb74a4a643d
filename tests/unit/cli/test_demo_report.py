import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.cli.demo.messages import Comparison
from nautilus_enhanced.cli.demo.messages import ConsumerProgress
from nautilus_enhanced.cli.demo.messages import ConsumerResult
from nautilus_enhanced.cli.demo.messages import NodeResult
from nautilus_enhanced.cli.demo.messages import OrderEventSeen
from nautilus_enhanced.cli.demo.messages import compare
from nautilus_enhanced.cli.demo.messages import fingerprint
from nautilus_enhanced.cli.demo.messages import from_line
from nautilus_enhanced.cli.demo.messages import percentile
from nautilus_enhanced.cli.demo.messages import to_line
from nautilus_enhanced.cli.demo.report import judge
from nautilus_enhanced.cli.demo.report import order_event_latency
from nautilus_enhanced.cli.demo.report import table
from nautilus_enhanced.cli.demo.report import verdict


LANES = ("CRITICAL", "HIGH", "NORMAL", "LOW")
PUSHES = [
    {"client_order_id": "O-1", "execution_type": "NEW", "trade_id": -1, "monotonic_ns": 1_000_000},
    {"client_order_id": "O-1", "execution_type": "TRADE", "trade_id": 7, "monotonic_ns": 2_000_000},
]
SEEN = [
    OrderEventSeen(
        client_order_id="O-1", execution_type="NEW", trade_id=-1, monotonic_ns=1_500_000
    ),
    OrderEventSeen(
        client_order_id="O-1", execution_type="TRADE", trade_id=7, monotonic_ns=6_000_000
    ),
]


def node_result(**changes):
    result = NodeResult(
        quotes=10,
        trades=2,
        orders_submitted=3,
        orders_filled=1,
        orders_rejected=1,
        orders_canceled=1,
        published={"CRITICAL": 0, "HIGH": 4, "NORMAL": 12, "LOW": 0},
        acknowledged={"CRITICAL": 0, "HIGH": 4, "NORMAL": 14, "LOW": 0},
        features=["dispatch", "publisher"],
        order_events=SEEN,
    )
    return msgspec.structs.replace(result, **changes)


def report(bus="enhanced", comparison=None, consumer=None, pushes=PUSHES, **changes):
    return judge(
        bus=bus,
        server="embedded",
        seconds=1.0,
        node=node_result(**changes),
        consumer=consumer
        or ConsumerResult(consumed=18, streams=4, by_type={}, undecodable=0, out_of_order=0),
        comparison=comparison or Comparison(lost=0, duplicated=0, unwitnessed=2),
        pushes=pushes,
        bursts=1,
    )


def consumed(**changes):
    result = ConsumerResult(consumed=18, streams=4, by_type={}, undecodable=0, out_of_order=0)
    return msgspec.structs.replace(result, **changes)


# -- counting what was lost and doubled ----------------------------------------------------------

TALLIES = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 5))


@given(TALLIES)
def test_what_arrives_as_it_was_published_is_neither_lost_nor_doubled(tally):
    assert compare(tally, tally) == Comparison(lost=0, duplicated=0, unwitnessed=0)


@given(TALLIES, st.data())
def test_each_message_that_is_missing_counts_once(tally, data):
    arrived = {key: data.draw(st.integers(0, n)) for key, n in tally.items()}
    found = compare(tally, {key: n for key, n in arrived.items() if n})
    assert found.lost == sum(tally.values()) - sum(arrived.values())
    assert found.duplicated == 0


@given(TALLIES, st.data())
def test_each_message_that_came_too_often_counts_once(tally, data):
    extra = {key: data.draw(st.integers(0, 3)) for key in tally}
    found = compare(tally, {key: n + extra[key] for key, n in tally.items()})
    assert found.duplicated == sum(extra.values())
    assert found.lost == 0


def test_a_message_from_before_the_witness_is_not_doubled_unless_it_came_twice():
    assert compare({}, {"early": 1}) == Comparison(lost=0, duplicated=0, unwitnessed=1)
    assert compare({}, {"early": 3}).duplicated == 2


@given(st.text(), st.binary(), st.text(), st.binary())
def test_messages_differ_in_their_fingerprint_when_topic_or_payload_do(a, x, b, y):
    same = fingerprint(a.replace("\0", ""), x) == fingerprint(b.replace("\0", ""), y)
    assert same == ((a.replace("\0", ""), x) == (b.replace("\0", ""), y))


# -- latency -------------------------------------------------------------------------------------


def test_latency_is_from_the_venues_push_to_the_strategys_callback():
    latency = order_event_latency(PUSHES, SEEN)
    assert (latency.events, latency.p50, latency.p99, latency.max) == (2, 0.5, 4.0, 4.0)


def test_events_that_the_venue_did_not_push_are_left_out():
    assert order_event_latency([], SEEN).events == 0
    assert order_event_latency([], SEEN).p99 is None


@given(st.lists(st.floats(0, 1e6), min_size=1).map(sorted), st.floats(0.01, 1.0))
def test_a_percentile_is_a_value_with_that_share_at_or_below_it(values, share):
    value = percentile(values, share)
    assert value in values
    assert sum(v <= value for v in values) >= share * len(values)


def test_there_is_no_percentile_of_nothing():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


# -- verdict -------------------------------------------------------------------------------------


def test_a_run_without_losses_and_with_fills_is_ok():
    good = report()
    assert good.ok
    assert good.problems == []
    assert verdict([good]).startswith("OK: 1 orders filled and 16 messages published, none lost")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"orders_filled": 0}, "no order was filled"),
        ({"comparison": Comparison(lost=3, duplicated=0, unwitnessed=0)}, "3 messages were lost"),
        ({"comparison": Comparison(lost=0, duplicated=2, unwitnessed=0)}, "2 messages were doub"),
        ({"consumer": consumed(out_of_order=1)}, "1 messages were out of order"),
        ({"consumer": consumed(undecodable=5)}, "5 messages could not be decoded"),
        ({"pushes": []}, "no order event reached the strategy"),
        ({"features": ["publisher"]}, "the feature dispatch was not active"),
        ({"acknowledged": dict.fromkeys(LANES, 0)}, "the server did not acknowledge everything"),
    ],
)
def test_anything_else_fails_and_says_why(changes, problem):
    bad = report(**changes)
    assert not bad.ok
    assert any(text.startswith(problem) for text in bad.problems)
    assert verdict([bad]).startswith(f"Failed: enhanced: {problem}")


def test_the_stock_bus_needs_no_acknowledgements_and_no_features():
    assert report("stock", acknowledged=dict.fromkeys(LANES, 0), features=[]).ok


def test_two_runs_stand_side_by_side():
    both = [report("stock", acknowledged=dict.fromkeys(LANES, 0), features=[]), report()]
    rows = {row[0]: row[1:] for row in table(both)}
    assert rows[""] == ("stock", "enhanced")
    assert rows["acknowledged"] == ("never", "18")
    assert "on the stock bus in 0.5 ms and 4.0 ms" in verdict(both)


# -- lines between processes ---------------------------------------------------------------------


def test_a_message_survives_its_line():
    assert from_line(to_line(node_result())) == node_result()
    assert from_line(to_line(ConsumerProgress(consumed=3))) == ConsumerProgress(consumed=3)


def test_a_line_of_a_log_is_no_message():
    assert from_line('{"type":"node_result"}') is None
