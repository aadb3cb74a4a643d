"""Which node serves what, where a redirection leads, and a batch in parts."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from nautilus_enhanced.infrastructure.messagebus.connection.cluster import ClusterConnection
from nautilus_enhanced.infrastructure.messagebus.connection.cluster import SlotMap
from nautilus_enhanced.infrastructure.messagebus.connection.cluster import parse_redirection
from nautilus_enhanced.infrastructure.messagebus.errors import ServerUnreachableError
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Fate
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import fate_of_error
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import RouteTable
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import StreamNaming


SEED = ("seed", 7_000)
LAST = 16_383
CUTS = st.lists(st.integers(1, LAST), unique=True, max_size=6).map(sorted)


def answer_of(cuts):
    """Return an answer to CLUSTER SLOTS with a node for each range between the cuts."""
    bounds = [0, *cuts, LAST + 1]
    return [
        [first, end - 1, [b"10.0.0.%d" % index, 7_000 + index, b"id", []]]
        for index, (first, end) in enumerate(itertools.pairwise(bounds))
    ]


@given(cuts=CUTS, key=st.binary(max_size=20))
def test_a_key_is_served_where_the_answer_says(cuts, key):
    slots = SlotMap(SEED)
    assert slots.node_of(key) is None
    slots.learn(answer_of(cuts), "seed")
    index = sum(cut <= key_slot(key) for cut in cuts)
    assert slots.node_of(key) == (f"10.0.0.{index}", 7_000 + index)
    assert len(slots.masters) == len(cuts) + 1
    slots.move(key_slot(key), ("new", 1))
    assert slots.node_of(key) == ("new", 1)


@given(cuts=CUTS, times=st.integers(1, 10))
def test_every_node_that_is_known_is_asked_first_at_some_time(cuts, times):
    slots = SlotMap(SEED)
    assert slots.seeds() == [SEED]
    for _ in range(times):
        slots.learn(answer_of(cuts), "seed")
    asked = [slots.seeds() for _ in range(len(cuts) + 2)]
    assert {seeds[0] for seeds in asked} == slots.masters | {SEED}
    assert all(set(seeds) == slots.masters | {SEED} for seeds in asked)


def test_a_range_that_nobody_serves_and_a_host_that_is_left_out():
    slots = SlotMap(SEED)
    slots.learn([[0, LAST - 1, [b"", 7_001, b"id"]]], "answering")
    assert slots.masters == {("answering", 7_001)}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("MOVED 3999 10.0.0.1:6381", ("MOVED", 3999, ("10.0.0.1", 6381))),
        ("ASK 0 node.example:1", ("ASK", 0, ("node.example", 1))),
        ("MOVED 16383 ::1:6381", ("MOVED", 16383, ("::1", 6381))),
        ("MOVED 3999 :6381", ("MOVED", 3999, ("answering", 6381))),
        ("CLUSTERDOWN The cluster is down", None),
        ("EXECABORT Transaction discarded because of previous errors.", None),
        ("MOVED", None),
        ("", None),
    ],
)
def test_where_a_redirection_leads(error, expected):
    assert parse_redirection(error, "answering") == expected


@pytest.mark.parametrize("code", ["MOVED 1 h:1", "ASK 1 h:1", "TRYAGAIN x", "CLUSTERDOWN x"])
def test_what_a_node_does_not_serve_is_sent_again(code):
    assert fate_of_error(code) is Fate.LATER


class Lane:
    pass


@given(topics=st.lists(st.sampled_from("abcd"), max_size=20))
def test_the_parts_of_a_batch_are_the_batch(topics):
    routes = RouteTable(StreamNaming(trader_id="T"), "Json")
    batch = Batch()
    for number, topic in enumerate(topics):
        batch.add(Lane(), ((topic, b"%d" % number, None),), (routes.route(topic),))
        batch.ids.append((number, 0))
    parts = batch.by_stream()
    assert len(parts) == len(set(topics))
    for key, part, positions in parts:
        assert positions == sorted(positions)
        assert {route.stream.key for route in part.routes} == {key}
        assert part.payloads == [batch.payloads[position] for position in positions]
        assert part.ids == [batch.ids[position] for position in positions]
    assert sorted(p for _, _, positions in parts for p in positions) == list(range(len(topics)))


class DeadNode:
    def __init__(self, address):
        self.address = address
        self.bytes_sent = 0

    def open(self, *, replica_allowed):
        raise ServerUnreachableError(f"{self.address[0]} is down")

    def close(self):
        pass


def test_without_any_node_the_error_names_those_that_were_tried():
    slots = SlotMap(SEED)
    slots.learn(answer_of([1]), "seed")
    connection = ClusterConnection("redis://seed", slots, DeadNode)
    with pytest.raises(ServerUnreachableError) as caught:
        connection.open()
    assert all(f"{host} is down" in str(caught.value) for host, _ in slots.masters | {SEED})
    assert connection.bytes_sent == 0


class LiveNode:
    """A node that says whether an old connection is surely gone."""

    bytes_sent = 0

    def __init__(self, sure):
        self.sure = sure
        self.ended = []

    def open(self, *, replica_allowed):
        pass

    def end_previous(self, identity):
        self.ended.append(identity)
        return self.sure


@pytest.mark.parametrize("sure", [True, False])
def test_old_connections_are_ended_on_every_node_that_still_serves_a_slot(sure):
    slots = SlotMap(SEED)
    slots.learn(answer_of([8_000]), "seed")
    first, second = sorted(slots.masters)
    nodes = {first: LiveNode(True), second: LiveNode(sure)}
    connection = ClusterConnection("redis://seed", slots, nodes.__getitem__)
    gone = ("no-master-any-more", 1)
    identity = tuple((address, address[0]) for address in (second, gone, first))
    assert connection.end_previous(identity) is sure
    assert [node.ended for node in nodes.values()] == [[first[0]], [second[0]]]


def test_an_old_connection_to_a_node_that_is_down_may_still_be_there():
    slots = SlotMap(SEED)
    slots.learn(answer_of([]), "seed")
    (master,) = slots.masters
    connection = ClusterConnection("redis://seed", slots, DeadNode)
    assert connection.end_previous(((master, "identity"),)) is False
