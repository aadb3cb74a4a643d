"""Topic patterns: as NautilusTrader matches them, and where its topics go by default."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.common.component import is_matching_py

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.patterns import DEFAULT_TOPIC_PRIORITIES
from nautilus_enhanced.infrastructure.messagebus.patterns import MAX_CACHED_TOPICS
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicPriorities
from nautilus_enhanced.infrastructure.messagebus.patterns import TopicTable
from nautilus_enhanced.infrastructure.messagebus.patterns import check_pattern
from nautilus_enhanced.infrastructure.messagebus.patterns import compile_pattern
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority


# The host hands C strings to its matcher, which end at a NUL. And no topic has a `*`: the
# matcher of 1.231 takes it for the pattern's own and then misses what it should match.
TEXT = st.text(st.characters(exclude_characters="\0*", exclude_categories=["Cs"]), max_size=12)
TOPICS = st.text("ab?.", max_size=8) | st.text("ab.?é\n\r\u2028[(^$\\", max_size=8) | TEXT
PATTERNS = st.text("ab*?.", max_size=8) | st.text("ab.*?é\n\r\u2028[(^$\\", max_size=8) | TEXT


def matches(pattern, topic):
    return compile_pattern(pattern).fullmatch(topic.encode()) is not None


@given(topic=TOPICS, pattern=PATTERNS)
def test_any_pattern_matches_what_the_host_matches(topic, pattern):
    assert matches(pattern, topic) == is_matching_py(topic, pattern)


@pytest.mark.parametrize("length", range(5))
def test_all_short_patterns_match_what_the_host_matches(length):
    topics = ["".join(topic) for size in range(5) for topic in product("ab?.", repeat=size)]
    for pattern in map("".join, product("ab*?", repeat=length)):
        regex = compile_pattern(pattern)
        for topic in topics:
            ours = regex.fullmatch(topic.encode()) is not None
            assert ours == is_matching_py(topic, pattern), (topic, pattern)


@given(topic=st.text("ab*", max_size=6), pattern=st.text("ab*?", max_size=6))
def test_a_star_in_a_topic_costs_no_match_that_the_host_finds(topic, pattern):
    # 1.221 finds the same, 1.231 less.
    assert matches(pattern, topic) >= is_matching_py(topic, pattern)


def test_no_pattern_takes_long_on_any_topic():
    # With a step back at each `*` the universe would end before this does.
    assert not matches("*a" * 100 + "b", "a" * 10_000)
    assert matches("*a" * 100 + "*", "a" * 10_000)


RULES = st.lists(PATTERNS, max_size=12)


@given(patterns=RULES, topic=TOPICS)
def test_a_table_finds_the_first_pattern_that_the_host_matches(patterns, topic):
    table = TopicTable([(pattern, number) for number, pattern in enumerate(patterns)], -1)
    expected = next((n for n, p in enumerate(patterns) if is_matching_py(topic, p)), -1)
    # The second answer is the remembered one.
    assert table.value_of(topic) == expected
    assert table.value_of(topic) == expected


@given(topic=TEXT.filter(bool), data=st.data())
def test_a_table_finds_patterns_made_from_the_topic(topic, data):
    patterns = []
    for _ in range(5):
        keep = data.draw(st.lists(st.sampled_from("..*?"), min_size=len(topic)))
        patterns.append(
            "".join(c if k == "." else k for c, k in zip(topic, keep, strict=False)) or "*"
        )
    test_a_table_finds_the_first_pattern_that_the_host_matches.hypothesis.inner_test(
        patterns, topic
    )


@pytest.mark.parametrize(
    "form", ["data.quotes.{}.*", "data.*.{}", "*.{}.*", "data.quotes.{}.X", "data.?uotes.{}*"]
)
def test_a_new_topic_is_held_against_few_of_many_patterns(form):
    table = TopicTable([(form.format(f"S{number:04d}"), number) for number in range(10_000)], -1)
    assert table.value_of("data.quotes.S7777.X".removesuffix(".X" * form.endswith("{}"))) == 7777
    assert table.value_of("anything.else") == -1
    assert sum(regex is not None for regex in table._regexes) <= 1


@given(topic=TEXT.filter(bool), data=st.data())
def test_a_topic_with_parts_replaced_by_wildcards_is_matched_as_by_the_host(topic, data):
    begin = data.draw(st.integers(0, len(topic)))
    end = data.draw(st.integers(begin, len(topic)))
    pattern = topic[:begin] + data.draw(st.sampled_from("*?")) + topic[end:]
    assert matches(pattern, topic) == is_matching_py(topic, pattern)


@pytest.mark.parametrize(
    ("topic", "priority"),
    [
        ("events.risk", "CRITICAL"),
        ("events.risk.BTCUSDT", "CRITICAL"),
        ("commands.system.shutdown", "CRITICAL"),
        ("commands.trading.S-1", "CRITICAL"),
        ("events.order.S-1", "HIGH"),
        ("events.fills.BTCUSDT.BINANCE", "HIGH"),
        ("events.cancels.BTCUSDT.BINANCE", "HIGH"),
        ("events.account.BINANCE-001", "HIGH"),
        ("events.position.S-1", "HIGH"),
        ("reports.execution.BINANCE", "HIGH"),
        ("data.quotes.BINANCE.BTCUSDT", "NORMAL"),
        ("anything.else", "NORMAL"),
        ("historical.data.quotes.BINANCE.BTCUSDT", "LOW"),
        ("snapshots.portfolio", "LOW"),
        ("metrics.latency", "LOW"),
        ("health:heartbeat", "LOW"),
    ],
)
def test_topics_of_the_host_get_the_priority_of_the_default_table(topic, priority):
    assert TopicPriorities(DEFAULT_TOPIC_PRIORITIES).priority_of(topic).name == priority


@pytest.mark.parametrize("row", DEFAULT_TOPIC_PRIORITIES, ids=lambda row: row[0])
def test_each_row_of_the_default_table_decides_for_topics_of_its_own(row):
    pattern, priority = row
    check_pattern("table", pattern)
    topic = pattern.replace("*", ".x" if not pattern.endswith(".*") else "x")
    matching = [other for other in DEFAULT_TOPIC_PRIORITIES if matches(other[0], topic)]
    assert matching[0] == row
    assert TopicPriorities(DEFAULT_TOPIC_PRIORITIES).priority_of(topic) is priority


def test_the_first_rule_that_matches_wins():
    rules = [("a.*", MessagePriority.LOW), ("a.b", MessagePriority.HIGH)]
    assert TopicPriorities(rules).priority_of("a.b") is MessagePriority.LOW


@given(st.text(st.characters(), max_size=8))
def test_no_text_is_an_error(topic):
    priorities = TopicPriorities(DEFAULT_TOPIC_PRIORITIES)
    assert priorities.priority_of(topic) is priorities.priority_of(topic)


def test_memory_for_topics_is_bounded():
    priorities = TopicPriorities([("x*", MessagePriority.LOW)])
    for number in range(MAX_CACHED_TOPICS + 10):
        priorities.priority_of(f"x{number}")
    assert len(priorities._cache) == MAX_CACHED_TOPICS
    assert priorities.priority_of("x beyond") is MessagePriority.LOW


@pytest.mark.parametrize("pattern", ["", "x" * 257, "a b", "a\tb", "a\nb", "a\0b", "\ud800"])
def test_a_pattern_that_can_match_no_topic_is_refused(pattern):
    with pytest.raises(ConfigurationError, match=re.escape("`priorities.topics` was")) as caught:
        check_pattern("priorities.topics", pattern)
    assert caught.value.value == pattern
    assert "1 to 256" in str(caught.value)
