from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.clock import SystemClock
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.book import Delivery
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.handling import Handling
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.lease import Lease
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.read_stream import ReadStream
from nautilus_enhanced.infrastructure.messagebus.streams.letters import DeadLetter
from nautilus_enhanced.infrastructure.messagebus.streams.statistics import SubscriptionFigures


class Settled:
    """Keeps what is settled."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.letters: list[DeadLetter] = []

    def settle(self, source: ReadStream, ids) -> None:
        self.done.extend(ids)

    def bury(self, source: ReadStream, raw_id: bytes, letter: DeadLetter) -> None:
        self.letters.append(letter)

    def is_idle(self) -> bool:
        return True


def make(**options):
    lease, figures, settled = Lease(), SubscriptionFigures(), Settled()
    handling = Handling(
        **{"decode": None, "max_age_ms": None, "group": "g", "consumer": "c", **options},
        lease=lease,
        clock=SystemClock(),
        figures=figures,
        settling=settled,
    )
    return handling, lease, figures, settled


def delivery(published_ms: int = 1_000, payload: bytes = b"x", fields=None) -> Delivery:
    source = ReadStream(b"key", "", appeared=False)
    return Delivery("topic", payload, source, b"%d-7" % published_ms, fields or [], 0)


def test_a_message_says_where_it_is_from() -> None:
    handling, *_ = make()
    fields = [b"topic", b"topic", b"payload", b"x", b"type", b"T", b"encoding", b"Json"]
    fields += [b"gap", b"3", b"journaled_at", b"99"]
    message = handling.message_of(delivery(fields=fields), 0)
    assert message is not None
    assert (message.topic, message.payload, message.body) == ("topic", b"x", b"x")
    assert (message.stream, message.id, message.entry_id) == ("key", "1000-7", (1000, 7))
    assert (message.type, message.encoding) == ("T", "Json")
    assert (message.gap, message.journaled_at, message.deliveries) == (3, 99, 1)
    assert (message.age_ms(1_500), message.age_ms(500)) == (500, 0)


@given(
    server_ms=st.integers(0, 10_000),
    asked_ms=st.integers(0, 1_000),
    passed_ms=st.integers(0, 5_000),
    published_ms=st.integers(0, 10_000),
    max_age_ms=st.integers(1, 5_000),
)
def test_what_is_old_by_the_servers_time_is_settled_and_counted(
    server_ms, asked_ms, passed_ms, published_ms, max_age_ms
) -> None:
    handling, lease, figures, settled = make(max_age_ms=max_age_ms)
    lease.set_time(asked_ms * 1_000_000, server_ms)
    one = delivery(published_ms)
    message = handling.message_of(one, (asked_ms + passed_ms) * 1_000_000)
    is_old = server_ms + passed_ms - published_ms > max_age_ms
    assert (message is None) == is_old
    assert settled.done == ([one.raw_id] if is_old else [])
    assert figures.counts["expired"] == is_old


def test_nothing_is_old_before_the_server_said_what_time_it_is() -> None:
    handling, *_ = make(max_age_ms=1)
    assert handling.message_of(delivery(0), 10**18) is not None


def test_what_cannot_be_decoded_is_a_dead_letter_before_any_handler() -> None:
    handling, _, figures, settled = make(decode=int)
    assert handling.message_of(delivery(payload=b"five"), 0) is None
    (letter,) = settled.letters
    assert (letter.topic, letter.payload, letter.stream, letter.entry_id) == (
        "topic", b"five", "key", (1000, 7),
    )  # fmt: skip
    assert (letter.group, letter.consumer, letter.error_type) == ("g", "c", "ValueError")
    assert figures.counts["undecodable"] == 1
    message = handling.message_of(delivery(payload=b"5"), 0)
    assert message is not None
    assert message.body == 5


def test_attempts_are_counted_and_told() -> None:
    handling, _, figures, settled = make()
    one = delivery()
    for attempt in (1, 2, 3):
        message = handling.message_of(one, 0)
        assert message is not None
        assert message.deliveries == attempt
        handling.failed(one, ValueError("no"))
    assert figures.counts["failed"] == 3
    assert figures.last_failure == "topic: ValueError: no"
    handling.bury(one, ValueError("no"))
    assert settled.letters[0].deliveries == 3
    handling.handled(one)
    assert settled.done == [one.raw_id]


@pytest.mark.parametrize("share", [0.5, 0.89])
def test_a_lease_is_used_for_less_than_it_was_granted(share) -> None:
    lease = Lease()
    lease.grant(1_000_000_000, 10_000, 5, 2)
    assert lease.until_ns > 1_000_000_000 + share * 10_000_000_000
    assert lease.until_ns < 1_000_000_000 + 10_000_000_000
    assert lease.members == 2
    assert lease.server_ms(1_000_000_000 + 3_000_000) == 8
    lease.end()
    assert lease.until_ns == 0
