"""What is in the streams, held against what was published."""

from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.cli.demo.messages import Comparison
from nautilus_enhanced.cli.demo.messages import fingerprint
from nautilus_enhanced.cli.demo.messages import read_sequences
from nautilus_enhanced.cli.demo.messages import tally_of
from nautilus_enhanced.cli.demo.messages import write_sequences
from nautilus_enhanced.cli.demo.streams import compare_streams
from nautilus_enhanced.cli.demo.streams import count_entries
from nautilus_enhanced.cli.demo.streams import count_out_of_order
from nautilus_enhanced.cli.demo.streams import read_streams


# Fingerprints are of topic and payload, so that topics share none; within one they may repeat.
SEQUENCES = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.integers(0, 9).map(str), max_size=12)
).map(lambda d: {topic: [topic + digest for digest in seq] for topic, seq in d.items()})
NOTHING = Comparison(lost=0, duplicated=0, unwitnessed=0)


@given(SEQUENCES)
def test_streams_as_they_were_published_are_without_fault(published):
    assert compare_streams(published, published) == NOTHING


@given(SEQUENCES, st.randoms())
def test_what_is_missing_is_lost_and_leaves_the_rest_in_order(published, rng):
    unique = {topic: list(dict.fromkeys(seq)) for topic, seq in published.items()}
    stored = {topic: [d for d in seq if rng.random() < 0.5] for topic, seq in unique.items()}
    found = compare_streams(unique, stored)
    missing = sum(map(len, unique.values())) - sum(map(len, stored.values()))
    assert found == Comparison(lost=missing, duplicated=0, unwitnessed=0)


@given(SEQUENCES, st.data())
def test_what_is_sent_again_is_doubled(published, data):
    stored = {topic: list(seq) for topic, seq in published.items()}
    doubled = 0
    for sequence in stored.values():
        again = data.draw(st.integers(0, len(sequence)))
        sequence.extend(sequence[len(sequence) - again :])
        doubled += again
    found = compare_streams(published, stored)
    assert (found.lost, found.duplicated) == (0, doubled)


def test_what_overtook_is_out_of_order():
    assert count_out_of_order(["a", "b", "c"], ["b", "a", "c"]) == 1
    assert count_out_of_order(["a", "b", "c"], ["c", "a", "b"]) == 2
    # The same message twice, published and stored in that order.
    assert count_out_of_order(["a", "b", "a"], ["a", "b", "a"]) == 0
    # The second "b" has no place of its own: it is doubled, which is told elsewhere.
    assert count_out_of_order(["a", "b", "c"], ["a", "b", "c", "b"]) == 0
    assert count_out_of_order([], ["early"]) == 0


def test_an_order_is_that_of_a_topic():
    published = {"one": ["1a", "1b"], "other": ["2a"]}
    assert compare_streams(published, {"other": ["2a"], "one": ["1a", "1b"]}) == NOTHING
    assert compare_streams(published, {"one": ["1b", "1a"], "other": ["2a"]}).out_of_order == 1


def test_messages_from_before_the_witness_are_no_fault():
    assert compare_streams({"t": ["a"]}, {"t": ["early", "a"]}) == Comparison(
        lost=0, duplicated=0, unwitnessed=1
    )


def test_sequences_survive_the_disk(tmp_path):
    published = {"one": ["a", "b", "a"], "other": []}
    write_sequences(tmp_path / "x.json", published)
    assert read_sequences(tmp_path / "x.json") == published
    assert tally_of(published) == {"a": 2, "b": 1}


def test_streams_are_read_from_a_server_by_topic_and_page(server, store, monkeypatch):
    monkeypatch.setattr("nautilus_enhanced.cli.demo.streams.PAGE", 2)
    for i in range(5):
        store.xadd("trader-T-1:stream:a", {"topic": "a", "payload": f"{i}"}, id=f"{1_000 + i}-0")
    store.xadd("trader-T-1:stream:b", {"topic": "b", "payload": "x"}, id="3000-1")
    store.xadd("trader-T-10:stream:b", {"topic": "b", "payload": "y"})
    url = server.connection_url
    assert count_entries(url, "T-1") == 6
    stored = read_streams(url, "T-1")
    assert stored.by_topic == {
        "a": [fingerprint("a", f"{i}".encode()) for i in range(5)],
        "b": [fingerprint("b", b"x")],
    }
    assert sorted(stored.times_ms) == [1_000, 1_001, 1_002, 1_003, 1_004, 3_000]
    first_ns, *_, last_ns = sorted(stored.arrivals_ns())
    assert last_ns - first_ns == 2_000_000_000
    assert sum(stored.tally.values()) == 6
