import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.sandbox import FaultError
from nautilus_enhanced.sandbox.faults import MAX_RULES
from nautilus_enhanced.sandbox.faults import TARGETS
from nautilus_enhanced.sandbox.faults import FaultInjector
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.faults import FaultRule
from nautilus_enhanced.sandbox.faults import Passage
from nautilus_enhanced.sandbox.faults import Target


MESSAGES = (Target.MARKET, Target.USER)


@st.composite
def rules(draw, kinds=tuple(FaultKind), targets=tuple(Target)):
    kind = draw(st.sampled_from(kinds))
    return FaultRule(
        kind=kind,
        on=draw(st.sampled_from([t for t in targets if t in TARGETS[kind]])),
        match=draw(st.sampled_from(["", "a"])),
        after=draw(st.integers(0, 5)),
        every=draw(st.integers(1, 4)),
        chance=draw(st.sampled_from([0.0, 0.5, 1.0])),
        times=draw(st.integers(0, 4)),
        ms=draw(st.integers(0, 1000)),
    )


names = st.sampled_from(["a", "b", "ab"])
traffic = st.lists(st.tuples(st.sampled_from(MESSAGES), names), max_size=60)


def played(active, messages, seed=1):
    """What is sent for each target, in order, and how often a connection was cut."""
    injector = FaultInjector(active, seed=seed)
    sent = {target: [] for target in MESSAGES}
    drops = 0
    for number, (target, name) in enumerate(messages):
        passage = injector.passage(target, name, number)
        drops += passage.drop
        sent[target] += passage.items
    for target in MESSAGES:
        sent[target] += injector.flush(target)
    return sent, drops, injector


without_drops = st.lists(
    rules(
        kinds=[k for k in FaultKind if TARGETS[k] & set(MESSAGES) and k is not FaultKind.DROP],
        targets=MESSAGES,
    ),
    max_size=5,
)


@given(without_drops, traffic)
def test_nothing_is_lost_unless_a_connection_is_cut(active, messages):
    sent, drops, _ = played(active, messages)
    assert drops == 0
    for target in MESSAGES:
        expected = {n for n, (to, _) in enumerate(messages) if to is target}
        assert {item for item in sent[target] if item is not None} == expected


@given(without_drops, traffic)
def test_a_message_is_overtaken_by_one_other_at_most(active, messages):
    sent, _, _ = played(active, messages)
    for target in MESSAGES:
        order = list(dict.fromkeys(item for item in sent[target] if item is not None))
        expected = sorted(order)
        for place, item in enumerate(order):
            assert abs(expected.index(item) - place) <= 1


@given(st.lists(rules(), max_size=5), traffic, st.integers(0, 3))
def test_the_same_rules_seed_and_traffic_give_the_same_faults(active, messages, seed):
    assert played(active, messages, seed)[0] == played(active, messages, seed)[0]


@given(rules(), traffic)
def test_a_rule_acts_only_where_and_as_often_as_it_says(rule, messages):
    _, _, injector = played([rule], messages)
    ((_, acted),) = injector.counts()
    passed = sum(to is rule.on and rule.match in name for to, name in messages)
    behind = max(0, passed - rule.after)
    most = -(-behind // rule.every)
    if rule.times:
        most = min(most, rule.times)
    if rule.chance == 1:
        assert acted == most
    else:
        assert acted <= (most if rule.chance else 0)


@given(st.lists(rules(), max_size=5), st.lists(st.tuples(names, st.booleans()), max_size=40))
def test_a_request_is_refused_only_by_a_rule_about_it(active, requests):
    injector = FaultInjector(active)
    refusing = {FaultKind.REJECT, FaultKind.RATE_LIMIT}
    for name, is_order in requests:
        verdict = injector.verdict(name, is_order=is_order)
        about = {Target.REQUEST, Target.ORDER} if is_order else {Target.REQUEST}
        able = {rule.kind for rule in active if rule.on in about and rule.match in name}
        assert verdict.refuse is None or verdict.refuse in able & refusing
        assert not verdict.drop or FaultKind.DROP in able
        assert not verdict.garbage or FaultKind.GARBAGE in able
        assert not verdict.delay_ms or FaultKind.DELAY in able


@given(rules())
def test_a_rule_reads_back_what_it_says(rule):
    assert FaultRule.parse(str(rule)) == rule


@given(st.text(max_size=40))
def test_any_text_is_a_rule_or_an_error_that_says_what_is_allowed(text):
    rule = said = None
    try:
        rule = FaultRule.parse(text)
    except FaultError as error:
        said = str(error)
    if rule is None:
        assert "allowed: " in said
    else:
        assert FaultRule.parse(str(rule)) == rule


def test_a_fault_that_is_none_is_a_configuration_error():
    assert issubclass(FaultError, ConfigurationError)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("explode:on=market", "delay, drop, duplicate"),
        ("drop", "market, order, request, user"),
        ("drop:on=disk", "market, order, request, user"),
        ("reject:on=market", "order, request"),
        ("duplicate:on=order", "market, user"),
        ("drop:on=market,often=1", "after="),
        ("drop:on=market,every=0", "1 to"),
        ("drop:on=market,every=-1", "a whole number"),
        ("drop:on=market,chance=2", "0 to 1"),
        ("drop:on=market,chance=nan", "0 to 1"),
        ("drop:on=market,chance=often", "0 to 1"),
        ("delay:on=user,ms=60001", "0 to 60,000"),
    ],
)
def test_a_mistake_gets_a_sentence(text, said):
    with pytest.raises(FaultError) as caught:
        FaultRule.parse(text)
    assert said in str(caught.value)
    assert "drop:on=market,after=100,times=1" in str(caught.value)


def test_reordering_swaps_two_neighbours():
    injector = FaultInjector([FaultRule.parse("reorder:on=user,after=1,times=1,ms=50")])
    passages = [injector.passage(Target.USER, "x", n) for n in range(4)]
    assert passages == [
        Passage(items=(0,)),
        Passage(hold_ms=50),
        Passage(items=(2, 1)),
        Passage(items=(3,)),
    ]


def test_garbage_comes_before_the_message_and_duplicates_behind():
    injector = FaultInjector(
        [FaultRule.parse("garbage:on=market"), FaultRule.parse("duplicate:on=market")]
    )
    assert injector.passage(Target.MARKET, "x", 1).items == (None, 1, 1)


def test_what_is_held_is_lost_with_the_connection():
    injector = FaultInjector(
        [FaultRule.parse("reorder:on=user,times=1"), FaultRule.parse("drop:on=user,after=1")]
    )
    assert injector.passage(Target.USER, "x", 1).hold_ms == 100
    assert injector.passage(Target.USER, "x", 2).drop
    assert injector.flush(Target.USER) == ()


def test_rules_are_bounded_and_can_be_taken_away():
    rule = FaultRule.parse("drop:on=market")
    injector = FaultInjector([rule] * MAX_RULES)
    with pytest.raises(FaultError, match="at most 100"):
        injector.add(rule)
    assert not injector.is_quiet(Target.MARKET)
    assert injector.is_quiet(Target.USER)
    injector.clear()
    assert injector.is_quiet(Target.MARKET)
    assert injector.counts() == []
