"""What to send, what an answer means, and what is sent again."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.priority import MessagePriority
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Fate
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import fate_of_error
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import first_error
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import found_entries
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import LaneSettings


def make_batch(topics=("a", "b", "a"), routes=None, ids=True):
    routes = routes or RouteTable(StreamNaming(trader_id="T"), "Json")
    lane = Lane(MessagePriority.HIGH, LaneSettings())
    batch = Batch()
    for number, topic in enumerate(topics):
        route = routes.route(topic)
        route.stream.last_id = route.stream.last_id or (0, 0)
        batch.add(lane, [(topic, b"%d" % number, None)], [route])
    if ids:
        batch.number(1_000)
    return batch


@given(
    messages=st.lists(
        st.tuples(st.text(st.characters(), max_size=8), st.binary(max_size=3_000)), min_size=1
    ),
    start=st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)),
)
def test_a_batch_is_read_back_with_ids_and_fields_in_order(messages, start):
    routes = RouteTable(StreamNaming(trader_id="T-1"), "MsgPack")
    batch = Batch()
    for topic, payload in messages:
        routes.route(topic).stream.last_id = start
        batch.add(
            Lane(MessagePriority.LOW, LaneSettings()),
            [(topic, payload, None)],
            [routes.route(topic)],
        )
    batch.number(1_000)
    encoded, answers = batch.encode()
    reader = hiredis.Reader()
    reader.feed(encoded)
    commands = [reader.gets() for _ in range(answers)]
    assert reader.gets() is False
    if len(messages) > 1:
        assert (commands.pop(0), commands.pop()) == ([b"MULTI"], [b"EXEC"])
    raw_topics = [topic.encode("utf-8", "backslashreplace") for topic, _ in messages]
    assert commands == [
        [
            b"XADD", b"trader-T-1:stream:" + topic, b"%d-%d" % entry_id,
            b"topic", topic, b"payload", payload, b"type", b"", b"encoding", b"MsgPack",
        ]
        for topic, (_, payload), entry_id in zip(raw_topics, messages, batch.ids, strict=True)
    ]  # fmt: skip


def error(text):
    return hiredis.ReplyError(text)


BEHIND = error("ERR The ID specified in XADD is equal or smaller than the target stream top item")
WRONGTYPE = error("WRONGTYPE Operation against a key holding the wrong kind of value")
OOM = error("OOM command not allowed when used memory > 'maxmemory'.")
ABORT = error("EXECABORT Transaction discarded because of previous errors.")
OK, Q = b"OK", b"QUEUED"


@pytest.mark.parametrize(
    ("answers", "fates"),
    [
        ([OK, Q, Q, Q, [b"1-0", b"1-0", b"1-1"]], "ACCEPTED ACCEPTED ACCEPTED"),
        ([OK, Q, Q, Q, [b"1-0", WRONGTYPE, b"1-1"]], "ACCEPTED NEVER ACCEPTED"),
        ([OK, Q, Q, Q, [BEHIND, b"1-0", BEHIND]], "BEHIND ACCEPTED BEHIND"),
        ([OK, Q, OOM, OOM, ABORT], "NOT_RUN LATER LATER"),
        ([OK, Q, Q, Q, error("EXECABORT Transaction discarded because of: OOM x")],
         "LATER LATER LATER"),
        ([OK, Q, Q, Q, error("READONLY You can't write")], "LATER LATER LATER"),
        ([OK, Q, error("ERR unknown command"), Q, ABORT], "NOT_RUN NEVER NOT_RUN"),
        # MULTI was refused, so the commands ran one by one.
        ([error("NOPERM x"), b"1-0", b"1-0", b"1-1", error("ERR EXEC without MULTI")],
         "ACCEPTED ACCEPTED ACCEPTED"),
        ([error("NOPERM x"), b"1-0", OOM, WRONGTYPE, error("ERR EXEC without MULTI")],
         "ACCEPTED LATER NEVER"),
        ([error("LOADING x")] * 4 + [ABORT], "LATER LATER LATER"),
    ],
)  # fmt: skip
def test_answers_to_a_transaction_tell_the_fate_of_each_message(answers, fates):
    assert [fate.name for fate in make_batch().fates(answers)] == fates.split()


@pytest.mark.parametrize(
    ("answer", "fate"),
    [(b"1-0", "ACCEPTED"), (OOM, "LATER"), (BEHIND, "BEHIND"), (WRONGTYPE, "NEVER")],
)
def test_the_answer_to_a_single_message_tells_its_fate(answer, fate):
    assert [f.name for f in make_batch("a").fates([answer])] == [fate]


@pytest.mark.parametrize(
    "code",
    ["BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM",
     "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "UNBLOCKED", "WRONGPASS"],
)  # fmt: skip
def test_not_now_is_not_never(code):
    assert fate_of_error(f"{code} some words") is Fate.LATER
    assert fate_of_error(f"ERR {code}") is Fate.NEVER


@pytest.mark.parametrize(
    ("words", "fate"),
    [
        # Redis 6, Redis 7 and Valkey, Valkey in scripts; and what is about no key.
        ("this user has no permissions to access one of the keys used as arguments", Fate.NEVER),
        ("No permissions to access a key", Fate.NEVER),
        ("User a has no permissions to access the 'trader-T:stream:x' key", Fate.NEVER),
        ("User a key has no permissions to run the 'xadd' command", Fate.LATER),
        ("No permissions to access database", Fate.LATER),
    ],
)
def test_a_key_that_may_not_be_written_is_refused_for_good(words, fate):
    assert fate_of_error(f"NOPERM {words}") is fate


TOPICS = st.lists(st.sampled_from("abc"), min_size=1, max_size=12)


@given(topics=TOPICS, data=st.data())
def test_splitting_keeps_every_message_once_and_in_order(topics, data):
    batch = make_batch(topics)
    fates = [data.draw(st.sampled_from(list(Fate))) for _ in topics]
    accepted, again, never = batch.split(fates)

    def payloads(*wanted):
        return [
            payload for payload, fate in zip(batch.payloads, fates, strict=True) if fate in wanted
        ]

    assert accepted.payloads == payloads(Fate.ACCEPTED)
    assert never.payloads == payloads(Fate.NEVER)
    assert again.payloads == payloads(Fate.NOT_RUN, Fate.LATER, Fate.BEHIND)
    assert again.ids == []
    behind = {batch.routes[i].stream for i, fate in enumerate(fates) if fate is Fate.BEHIND}
    assert {route.stream for route in batch.routes if route.stream.last_id is None} == behind


@given(topics=TOPICS, again=st.data())
def test_a_new_number_is_above_all_that_were_used(topics, again):
    batch = make_batch(topics)
    old = list(batch.ids)
    _, rest, _ = batch.split([Fate.LATER] * len(topics))
    rest.number(again.draw(st.integers(0, 2_000)))
    for topic in set(topics):
        of_topic = [index for index, other in enumerate(topics) if other == topic]
        numbers = [old[i] for i in of_topic] + [rest.ids[i] for i in of_topic]
        assert numbers == sorted(set(numbers))


def test_a_batch_that_has_its_numbers_keeps_them():
    batch = make_batch()
    before = list(batch.ids)
    batch.number(5_000)
    assert batch.ids == before


@given(topics=TOPICS, data=st.data())
def test_what_the_server_has_is_not_sent_again_and_the_rest_keeps_its_number(topics, data):
    batch = make_batch(topics)
    here = [data.draw(st.sampled_from(["ours", "foreign", "absent"])) for _ in topics]
    found = {}
    for index, state in enumerate(here):
        payload = batch.payloads[index] if state == "ours" else b"of somebody else"
        if state != "absent":
            key = batch.routes[index].stream.key
            found.setdefault(key, {})[batch.ids[index]] = payload
    present, missing = batch.without(found)
    for part, inside in ((present, True), (missing, False)):
        indices = [index for index, state in enumerate(here) if (state == "ours") is inside]
        assert part.payloads == [batch.payloads[index] for index in indices]
        assert part.ids == [batch.ids[index] for index in indices]


def test_recovery_asks_each_stream_once_for_the_range_of_its_numbers():
    queries = make_batch(("a", "b", "a", "a")).recovery_queries()
    assert [key for key, _ in queries] == [b"trader-T:stream:a", b"trader-T:stream:b"]
    assert b"$6\r\n1000-0\r\n$6\r\n1000-2\r\n" in queries[0][1]


def test_answers_to_recovery_are_read():
    entries = [[b"5-1", [b"topic", b"t", b"payload", b"p", b"type", b""]], [b"6-0", [b"x", b"y"]]]
    assert found_entries(entries) == {(5, 1): b"p", (6, 0): b""}
    assert found_entries(WRONGTYPE) == {}
    assert found_entries(error("NOPERM no")) == {}
    with pytest.raises(ServerError, match="LOADING"):
        found_entries(error("LOADING the dataset"))


def test_unknown_streams_are_found_even_when_one_key_has_two():
    # It must not happen; if it does, nobody's number may be missing.
    one, two = (
        RouteTable(StreamNaming(trader_id="T"), "J"),
        RouteTable(StreamNaming(trader_id="T"), "J"),
    )
    batch = make_batch(("a",), routes=one, ids=False)
    batch.add(batch.lanes[0], [("a", b"", None)], [two.route("a")])
    one.route("a").stream.last_id = None
    assert len(batch.unknown_streams()) == 2


def test_settling_counts_and_tells():
    told = []
    lane = Lane(MessagePriority.HIGH, LaneSettings())
    route = RouteTable(StreamNaming(trader_id="T"), "Json").route("a")
    for action in ("accepted", "rejected", "abandoned"):
        batch = Batch()
        batch.add(lane, [("a", b"", told.append), ("a", b"", None)], [route, route])
        if action == "abandoned":
            batch.abandon()
        else:
            batch.settle(accepted=action == "accepted")
    assert (lane.acknowledged, lane.rejected, lane.abandoned) == (2, 2, 2)
    assert told == [True, False, False]


def test_the_first_error_is_found_inside_a_transaction_too():
    assert first_error([OK, Q, [b"1-0", WRONGTYPE]]).startswith("WRONGTYPE")
    assert first_error([OK, OOM, ABORT]).startswith("OOM")
    assert first_error([b"1-0"]) == ""
