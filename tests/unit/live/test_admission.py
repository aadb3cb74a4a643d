"""What is let into a node, when reading pauses, and how often something is said."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced import AllowRule
from nautilus_enhanced.infrastructure.messagebus.patterns import compile_pattern
from nautilus_enhanced.live.admission import AllowList
from nautilus_enhanced.live.admission import SparseLog
from nautilus_enhanced.live.admission import is_to_pause
from nautilus_enhanced.live.admission import type_of


FILLED = msgspec.json.encode({"type": "OrderFilled", "more": [1, {"type": "Other"}]})
NAMES = st.sampled_from(["OrderFilled", "QuoteTick", "Other"])
PATTERNS = st.sampled_from(["*", "data.*", "events.*", "data.quotes.?", "trader-A*", "trader-?"])
TOPICS = st.sampled_from(["data.quotes.X", "events.order.S", "other"])
STREAMS = st.sampled_from(["trader-A", "trader-A:stream", "else"])
RULES = st.lists(
    st.builds(AllowRule, topic=PATTERNS, stream=PATTERNS, types=st.lists(NAMES).map(tuple))
)


def matches(pattern, text):
    return compile_pattern(pattern).fullmatch(text.encode()) is not None


@given(RULES, TOPICS, STREAMS, NAMES, st.sampled_from([msgspec.json, msgspec.msgpack]))
def test_what_one_rule_matches_is_let_in_and_nothing_else(rules, topic, stream, name, encoding):
    payload = encoding.encode({"value": 1, "type": name})
    refusal = AllowList(rules).refusal(topic, stream, payload)
    is_allowed = not rules or any(
        matches(rule.topic, topic)
        and matches(rule.stream, stream)
        and (not rule.types or name in rule.types)
        for rule in rules
    )
    assert (refusal is None) == is_allowed


def test_a_refusal_names_the_type_only_where_that_is_what_is_not_allowed():
    rules = [AllowRule(topic="events.*", types=("OrderCanceled",))]
    allowed = AllowList(rules)
    assert allowed.refusal("data.x", "s", FILLED) == "topic 'data.x'"
    assert allowed.refusal("events.x", "s", FILLED) == "type 'OrderFilled' on topic 'events.x'"


def test_the_payload_is_not_looked_at_without_need():
    assert AllowList([]).refusal("t", "s", b"\xc1") is None
    assert AllowList([AllowRule(topic="t")]).refusal("t", "s", b"\xc1") is None
    with pytest.raises(msgspec.MsgspecError):
        AllowList([AllowRule(types=("A",))]).refusal("t", "s", b"\xc1")


@pytest.mark.parametrize("encoding", [msgspec.json, msgspec.msgpack])
def test_the_type_of_a_payload(encoding):
    assert type_of(encoding.encode({"a": 1, "type": "Bar"})) == "Bar"
    assert type_of(encoding.encode({"a": 1})) == ""
    for other in ([1], "Bar", {"type": 1}):
        with pytest.raises(msgspec.MsgspecError):
            type_of(encoding.encode(other))


@given(st.lists(st.integers(0, 100)), st.integers(1, 100), st.integers(1, 100))
def test_it_pauses_at_the_upper_bound_and_goes_on_below_the_lower_one(depths, one, other):
    resume_below, pause_above = sorted((one, other))
    is_paused = False
    for depth in depths:
        before = is_paused
        is_paused = is_to_pause(
            depth, is_paused=is_paused, pause_above=pause_above, resume_below=resume_below
        )
        if depth >= pause_above:
            assert is_paused
        elif depth < resume_below:
            assert not is_paused
        else:
            assert is_paused is before


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5))), st.integers(1, 10))
def test_each_event_is_said_once_or_still_to_be_said(events, interval_ns):
    log, now_ns, said, last = SparseLog(interval_ns), 0, 0, {}
    for kind, step_ns in events:
        now_ns += step_ns
        count = log.count(kind, now_ns)
        said += count
        if count:
            assert kind not in last or now_ns - last[kind] >= interval_ns
            last[kind] = now_ns
    assert said + sum(silent for _, silent in log._said.values()) == len(events)


def test_kinds_without_end_are_said_as_one():
    log = SparseLog(10, max_kinds=2)
    assert [log.count(str(number), 0) for number in range(5)] == [1, 1, 1, 0, 0]
    assert log.count("0", 0) == 0
    assert len(log._said) == 3
