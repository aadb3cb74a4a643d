"""
Mistakes that somebody could make in the client, each as a patch of the real code.

They are what shows that the simulation looks where it should: a check that no mistake can fail
is none.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any
from unittest import mock

from nautilus_enhanced.infrastructure.messagebus.connection.backoff import Backoff
from nautilus_enhanced.infrastructure.messagebus.connection.connection import ServerConnection
from nautilus_enhanced.infrastructure.messagebus.publishing import delivery
from nautilus_enhanced.infrastructure.messagebus.publishing.acknowledgement import Confirmations
from nautilus_enhanced.infrastructure.messagebus.publishing.buffers import FlushGoal
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Batch
from nautilus_enhanced.infrastructure.messagebus.publishing.delivery import Fate
from nautilus_enhanced.infrastructure.messagebus.publishing.evidence import Evidence
from nautilus_enhanced.infrastructure.messagebus.publishing.evidence import Verdict
from nautilus_enhanced.infrastructure.messagebus.publishing.lanes import Lane
from nautilus_enhanced.infrastructure.messagebus.publishing.outbox import Outbox
from nautilus_enhanced.infrastructure.messagebus.publishing.wakeup import Doorbell
from nautilus_enhanced.infrastructure.messagebus.publishing.wire import Stream
from nautilus_enhanced.infrastructure.messagebus.publishing.writer import StreamWriter


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator


PLANTED: dict[str, Callable[[], Any]] = {}


def planted(place: type | Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a mistake: what takes the place of a function of the client."""

    def register(mistake: Callable[..., Any]) -> Callable[..., Any]:
        kind = property if isinstance(getattr(place, name), property) else lambda one: one
        PLANTED[mistake.__name__] = lambda: mock.patch.object(place, name, kind(mistake))
        return mistake

    return register


# -- after a broken connection -------------------------------------------------------------------


@planted(StreamWriter, "_recover")
def resend_under_new_ids_without_asking_what_arrived(self, connection):
    self._in_flight.renumber()
    self._must_recover = False


@planted(StreamWriter, "_recover")
def forget_the_batch_that_was_in_flight(self, connection):
    self._in_flight = Batch()
    self._must_recover = False


_WITHOUT = Batch.without


@planted(Batch, "without")
def renumber_what_was_perhaps_sent(self, found):
    present, missing = _WITHOUT(self, found)
    missing.renumber()
    missing.is_resent = False
    return present, missing


@planted(Batch, "without")
def take_whatever_has_the_id_for_ours(self, found):
    theirs: dict[bytes, dict[Any, bytes]] = {key: {} for key in found}
    for route, entry_id, payload in zip(self.routes, self.ids, self.payloads, strict=True):
        key = route.stream.key
        if entry_id in found.get(key, {}):
            theirs[key][entry_id] = payload
    return _WITHOUT(self, theirs)


@planted(Evidence, "verdict")
def take_what_was_trimmed_for_never_sent(self, entry_id, payload):
    is_there = entry_id in (self.entries or {})
    return Verdict.PRESENT if is_there else Verdict.NEVER_THERE


@planted(StreamWriter, "_abandon_batch")
def call_unsent_what_was_sent(self):
    batch, self._in_flight = self._in_flight, Batch()
    batch.abandon()
    self._must_recover = False
    self._outbox.abandon()
    for lane in self._buffers.lanes:
        lane.write_off()


# -- answers -------------------------------------------------------------------------------------

_FATE_OF_ERROR, _FATES = delivery.fate_of_error, Batch.fates


@planted(delivery, "fate_of_error")
def give_up_on_what_a_replica_refuses(message):
    return Fate.NEVER if message.startswith("READONLY") else _FATE_OF_ERROR(message)


@planted(delivery, "fate_of_error")
def take_a_used_id_for_a_message_that_is_there(message):
    fate = _FATE_OF_ERROR(message)
    return Fate.ACCEPTED if fate is Fate.BEHIND else fate


@planted(Batch, "fates")
def ignore_a_refused_transaction(self, answers):
    if isinstance(answers[-1], Exception):
        return [Fate.ACCEPTED] * len(self)
    return _FATES(self, answers)


@planted(Batch, "fates")
def look_only_at_the_first_answer_of_a_transaction(self, answers):
    executed = answers[-1]
    if isinstance(executed, list) and not isinstance(executed[0], Exception):
        return [Fate.ACCEPTED] * len(self)
    return _FATES(self, answers)


@planted(Confirmations, "fetch")
def promise_the_disk_before_it_was_asked(self, connection):
    self.give_up("")


# -- order ---------------------------------------------------------------------------------------


@planted(Stream, "next_id")
def follow_the_wall_clock_back(self, now_ms):
    last_ms, sequence = self.last_id
    self.last_id = (last_ms, sequence + 1) if now_ms == last_ms else (now_ms, 0)
    return self.last_id


_TAKE, _DELIVER = Lane.take, ServerConnection.deliver


@planted(Lane, "take")
def put_back_what_was_too_much_at_the_wrong_end(self, max_messages, max_bytes):
    taken = _TAKE(self, max_messages, 1 << 62)
    while sum(len(payload) for _, payload, _ in taken) > max_bytes and len(taken) > 1:
        entry = taken.pop()
        self._entries.append(entry)
        self.taken -= 1
        self._bytes_out -= len(entry[1])
    return taken


@planted(Outbox, "take")
def send_newer_urgent_messages_before_those_prepared(self, now_ns):
    prepared, self._prepared = self._prepared, Batch()
    newer = self._collect(now_ns)
    if not newer:
        return prepared
    newer.renumber()
    prepared.renumber()
    self._prepared = prepared
    return newer


@planted(ServerConnection, "deliver")
def have_two_batches_in_flight(self, batch, meanwhile):
    commands, answers = batch.encode()
    self.send(commands)
    meanwhile()
    outbox = meanwhile.args[0]
    second = outbox._prepared
    if not second.ids:
        return batch.fates(self.receive(answers)), "refused"
    outbox._prepared = Batch()
    more_commands, more_answers = second.encode()
    self.send(more_commands)
    fates = batch.fates(self.receive(answers))
    of_second = second.fates(self.receive(more_answers))
    second.settle(accepted=of_second.count(Fate.ACCEPTED) == len(second))
    return fates, "refused"


@planted(Outbox, "renumber")
def keep_the_ids_of_what_comes_after_a_refused_batch(self):
    pass


# -- waiting and closing -------------------------------------------------------------------------


@planted(Doorbell, "on_put")
def wake_the_writer_for_full_lanes_only(self, lane):
    if self._sleeps_ns and len(lane) >= lane.half_full:
        self._sleeps_ns = 0
        self._tokens.put(None)


@planted(Backoff, "failed")
def connect_again_without_a_pause(self):
    return 0.0


@planted(StreamWriter, "_pause")
def pause_for_longer_than_was_said(self, pause_s):
    self._abort.wait(20 * pause_s)


@planted(Batch, "abandon")
def tell_nobody_that_a_message_was_abandoned(self):
    for lane, count in self._runs:
        lane.abandoned += count


# -- lanes ---------------------------------------------------------------------------------------


@planted(Lane, "has_room")
def fill_lanes_beyond_their_bytes(self, size):
    return len(self._entries) < self._max_messages


@planted(Lane, "drop_oldest")
def drop_without_counting(self):
    if self._entries:
        self._entries.popleft()
        return True
    return False


@planted(FlushGoal, "is_reached")
def call_flushed_what_has_only_left_its_lane(self):
    return self._lane.removed >= self._published


@contextmanager
def plant(name: str) -> Iterator[None]:
    """Have the client make a mistake."""
    with PLANTED[name]():
        yield
