import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.cli.demo.chaos_report import report_chaos
from nautilus_enhanced.cli.demo.latency import order_event_latency
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
from nautilus_enhanced.cli.demo.outages import Outage
from nautilus_enhanced.cli.demo.outages import PublisherSample
from nautilus_enhanced.cli.demo.report import judge
from nautilus_enhanced.cli.demo.report import judged
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
        features=["adapters", "dispatch", "publisher"],
        filled_by_venue={"binance": 1},
        order_events=SEEN,
    )
    return msgspec.structs.replace(result, **changes)


def report(bus="enhanced", comparison=None, consumer=None, pushes=PUSHES, chaos=None, **changes):
    return judge(
        bus=bus,
        server="embedded",
        seconds=1.0,
        node=node_result(**changes),
        consumer=consumer
        or ConsumerResult(consumed=18, streams=4, by_type={}, undecodable=0, out_of_order=0),
        comparison=comparison or Comparison(lost=0, duplicated=0, unwitnessed=2),
        pushes=pushes if isinstance(pushes, dict) else {"binance": pushes},
        bursts=1,
        chaos=chaos,
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


def test_events_of_certain_periods_can_be_measured_alone():
    # By the time of the push: the second one.
    latency = order_event_latency(PUSHES, SEEN, [(0, 10), (1_900_000, 2_100_000)])
    assert (latency.events, latency.max) == (1, 4.0)
    assert order_event_latency(PUSHES, SEEN, []).events == 0


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
        ({"filled_by_venue": {"binance": 0}}, "no order was filled"),
        ({"comparison": Comparison(lost=3, duplicated=0, unwitnessed=0)}, "3 messages were lost"),
        ({"comparison": Comparison(lost=0, duplicated=2, unwitnessed=0)}, "2 messages were doub"),
        ({"consumer": consumed(out_of_order=1)}, "1 messages were out of order"),
        ({"consumer": consumed(undecodable=5)}, "5 messages could not be decoded"),
        ({"pushes": []}, "no order event reached the strategy"),
        ({"features": ["adapters", "publisher"]}, "the feature dispatch was not active"),
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


# -- outages -------------------------------------------------------------------------------------

OUTAGE = Outage(
    at_s=1.5,
    killed_at_ns=900_000,
    answered_at_ns=1_500_900_000,
    killed_pid=7,
    started_pid=8,
    entries_before=5,
    entries_after=6,
)
SAMPLES = [PublisherSample(800_000, 5, 0), PublisherSample(1_000_000_000, 5, 12),
           PublisherSample(1_700_900_000, 9, 8), PublisherSample(1_800_000_000, 18, 0)]  # fmt: skip
STORED = {f"{i}": 1 for i in range(18)}


def chaos_report(outages=(OUTAGE,), samples=SAMPLES, arrivals_ns=(), consumed=STORED):
    return report_chaos(
        outages=list(outages),
        samples=list(samples),
        arrivals_ns=list(arrivals_ns),
        stored=STORED,
        consumed=consumed,
        node=node_result(),
        consumer=consumed_in_outages(),
        pushes=PUSHES,
    )


def consumed_in_outages():
    return consumed(reconnects=1)


def test_the_report_of_outages_has_what_was_noted():
    found = chaos_report()
    assert (found.down_s, found.stored, found.waiting_max) == (1.5, 18, 12)
    assert found.resumed_ms_max == found.outages[0].resumed_ms == 200.0
    assert (found.outages[0].killed_pid, found.outages[0].started_pid) == (7, 8)
    assert (found.consumer_missed, found.consumer_doubled) == (0, 0)
    assert found.consumer_reconnects == 1
    assert found.order_event_latency_down_ms.events == 2


def test_on_the_stock_bus_the_entries_tell_when_publishing_resumed():
    assert chaos_report(samples=[], arrivals_ns=[1, 1_600_900_000]).resumed_ms_max == 100.0
    nothing = chaos_report(samples=[])
    assert (nothing.resumed_ms_max, nothing.waiting_max) == (None, None)


def test_outages_without_a_loss_are_ok_and_the_verdict_says_how_many():
    good = report(chaos=chaos_report())
    assert good.ok
    assert verdict([good]).startswith(
        "OK: 0 lost, 0 doubled of 16 messages in 1 outage of the server (1.5 s); "
        "publishing resumed within 200 ms; order events"
    )


@pytest.mark.parametrize(
    ("chaos", "problem"),
    [
        (chaos_report(outages=[]), "the server was not killed once"),
        (chaos_report(samples=SAMPLES[:2]), "publishing did not resume after the last outage"),
        (chaos_report(consumed={"1": 2}), "the consumer missed 17 messages of the streams and go"),
        (
            chaos_report([msgspec.structs.replace(OUTAGE, entries_after=3)]),
            "the server itself lost 2 messages that it had confirmed",
        ),
    ],
)
def test_outages_that_show_nothing_or_too_much_fail(chaos, problem):
    bad = report(chaos=chaos)
    assert not bad.ok
    assert bad.problems[0].startswith(problem)
    assert verdict([bad]).startswith(f"Failed: enhanced: {problem}")


def test_messages_out_of_their_order_in_the_streams_fail():
    found = Comparison(lost=0, duplicated=0, unwitnessed=0, out_of_order=4)
    assert report(comparison=found, chaos=chaos_report()).problems == [
        "4 messages were out of order"
    ]


def lossy(bus):
    return report(
        bus,
        comparison=Comparison(lost=9, duplicated=0, unwitnessed=0),
        chaos=chaos_report(samples=[] if bus == "stock" else SAMPLES),
    )


def test_what_outages_do_to_the_stock_bus_is_shown_and_does_not_decide():
    both = [lossy("stock"), report(chaos=chaos_report())]
    assert judged(both) == both[1:]
    assert verdict(both).startswith("OK: 0 lost, 0 doubled")
    assert verdict(both).endswith(" The stock bus lost 9 of 16.")
    rows = {row[0]: row[1:] for row in table(both)}
    assert rows["outages of the server / in all"] == ("1 / 1.5 s", "1 / 1.5 s")
    assert rows["messages waiting at most"] == ("not told", "12")
    assert rows["publishing resumed within"] == ("never", "200 ms")
    assert rows["lost / doubled"] == ("9 / 0", "0 / 0")
    assert rows["  while the server was away, p99"] == ("4.00 ms", "4.00 ms")


@pytest.mark.parametrize(
    ("reports", "judged_bus"),
    [
        ([report("stock", chaos=chaos_report()), lossy("enhanced")], "enhanced"),
        ([lossy("stock")], "stock"),
    ],
)
def test_what_is_lost_on_the_bus_that_decides_fails(reports, judged_bus):
    assert [one.bus for one in judged(reports)] == [judged_bus]
    assert verdict(reports).startswith(f"Failed: {judged_bus}: 9 messages were lost")


def test_without_outages_both_buses_decide():
    both = [report("stock"), report()]
    assert judged(both) == both
    assert "outages of the server / in all" not in {row[0] for row in table(both)}


# -- lines between processes ---------------------------------------------------------------------


def test_a_message_survives_its_line():
    assert from_line(to_line(node_result())) == node_result()
    assert from_line(to_line(ConsumerProgress(consumed=3))) == ConsumerProgress(consumed=3)


def test_a_line_of_a_log_is_no_message():
    assert from_line('{"type":"node_result"}') is None


# -- several venues ------------------------------------------------------------------------------

LATE = [
    {"client_order_id": "B-1", "execution_type": "TRADE", "trade_id": 7, "monotonic_ns": 1_000_000}
]
SEEN_LATE = OrderEventSeen(
    client_order_id="B-1", execution_type="TRADE", trade_id=7, monotonic_ns=41_000_000
)


def on_two(**changes):
    return report(
        pushes={"binance": PUSHES, "okx": LATE},
        **{"filled_by_venue": {"binance": 1, "okx": 1}, "order_events": [*SEEN, SEEN_LATE]}
        | changes,
    )


def test_latencies_are_told_for_all_venues_and_for_each():
    found = on_two()
    assert found.ok
    assert found.venues == ["binance", "okx"]
    assert found.order_event_latency_ms.events == 3
    assert found.order_event_latency_ms.max == 40.0
    each = found.order_event_latency_by_venue_ms
    assert (each["binance"].p99, each["okx"].p99) == (4.0, 40.0)
    rows = dict(table([found]))
    assert rows["  on okx, p99"] == "40.00 ms"
    assert "  on binance, p99" not in dict(table([report()]))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"filled_by_venue": {"binance": 1, "okx": 0}}, "no order was filled on okx"),
        ({"order_events": SEEN}, "no order event on okx reached the strategy"),
    ],
)
def test_each_venue_has_to_work(changes, problem):
    assert on_two(**changes).problems == [problem]
