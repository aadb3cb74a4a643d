"""Whether an entry was ever in its stream: never said wrongly, whatever happened to the stream."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.infrastructure.messagebus.errors import ServerError
from nautilus_enhanced.infrastructure.messagebus.publishing.evidence import Evidence
from nautilus_enhanced.infrastructure.messagebus.publishing.evidence import Verdict


OURS = (5, 0)


class Stream:
    """A stream as the server keeps it, as far as it tells about it."""

    def __init__(self):
        self.entries = {}
        self.last = (0, 0)
        self.deleted_to = (0, 0)
        self.added = 0
        self.held_ours = False

    def add(self, entry_id, payload):
        if entry_id > self.last:
            self.entries[entry_id] = payload
            self.last = entry_id
            self.added += 1
            self.held_ours |= payload == b"ours"

    def delete(self, number):
        entry_id = (number, 0)
        if self.entries.pop(entry_id, None) is not None:
            self.deleted_to = max(self.deleted_to, entry_id)

    def trim(self, count):
        for entry_id in sorted(self.entries)[:count]:
            del self.entries[entry_id]

    def range(self):
        found = self.entries.get(OURS)
        return [] if found is None else [[b"%d-%d" % OURS, [b"topic", b"t", b"payload", found]]]

    def info(self, *, modern=True):
        first = min(self.entries, default=None)
        about = [
            b"length", len(self.entries),
            b"last-generated-id", b"%d-%d" % self.last,
            b"first-entry", None if first is None else [b"%d-%d" % first, [b"a", b"b"]],
        ]  # fmt: skip
        if modern:
            deleted = b"%d-%d" % self.deleted_to
            about += [b"max-deleted-entry-id", deleted, b"entries-added", self.added]
        return about


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("other"), st.integers(1, 9)),
        st.tuples(st.just("ours"), st.just(0)),
        st.tuples(st.just("delete"), st.integers(1, 9)),
        st.tuples(st.just("trim"), st.integers(1, 3)),
    ),
    max_size=12,
)


@given(steps=STEPS, modern=st.booleans())
def test_a_verdict_is_true_whatever_happened_to_the_stream(steps, modern):
    stream = Stream()
    for kind, number in steps:
        match kind:
            case "other":
                stream.add((number, 0), b"other")
            case "ours":
                stream.add(OURS, b"ours")
            case "delete":
                stream.delete(number)
            case "trim":
                stream.trim(number)
    verdict = Evidence.read(stream.range(), stream.info(modern=modern)).verdict(OURS, b"ours")
    assert (verdict is Verdict.PRESENT) == (stream.entries.get(OURS) == b"ours")
    if verdict is Verdict.NEVER_THERE:
        assert not stream.held_ours


def removed(*, others):
    stream = Stream()
    for entry_id, payload in others:
        stream.add(entry_id, payload)
    return Evidence.read(stream.range(), stream.info())


def test_numbers_that_another_writer_took_prove_that_it_was_never_there():
    one_before = [((4, 0), b"other"), ((6, 0), b"other")]
    assert removed(others=one_before).verdict(OURS, b"ours") is Verdict.NEVER_THERE
    # Nothing is older, but nothing was ever removed.
    assert removed(others=one_before[1:]).verdict(OURS, b"ours") is Verdict.NEVER_THERE
    assert removed(others=[(OURS, b"other")]).verdict(OURS, b"ours") is Verdict.NEVER_THERE


def test_who_may_not_look_knows_nothing():
    forbidden = hiredis.ReplyError("NOPERM this user may not")
    stream = Stream()
    stream.add((4, 0), b"other")
    for entries, info in [(forbidden, stream.info()), (stream.range(), forbidden)]:
        assert Evidence.read(entries, info).verdict(OURS, b"ours") is Verdict.UNKNOWN
    with pytest.raises(ServerError, match="LOADING"):
        Evidence.read(hiredis.ReplyError("LOADING"), stream.info())
