"""
Compare what was published with what the server holds, and with what the publisher says.

It knows nothing of how messages get there: what was published (in order, each payload with an
identity of its own), what the clients' counters say, what a journal says it keeps, and the
entries as the server gives them out. What a row of the fault matrix lets be lost is said to it
as a rule; everything else that does not fit is a finding.

Take counters and entries when nothing moves: after a flush, or when the client is closed. Of
messages that nobody waited for, counters are all there is: among as many as are indeterminate one
may be lost unseen, so a report says how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from itertools import pairwise
from typing import Any
from typing import Literal


# What `publish` with an acknowledgement ended with; empty where none was asked for. What was
# unavailable was not sent at all.
Outcome = Literal["", "given", "not confirmed", "not accepted", "indeterminate", "unavailable"]
PAGE = 5_000
EXAMPLES = 5

Identity = bytes
Place = tuple[str, tuple[int, int]]


def identity_of(payload: bytes) -> Identity:
    """Return what tells a message from all others: its payload up to the first space."""
    return payload.partition(b" ")[0]


@dataclass(frozen=True, kw_only=True)
class Published:
    """One call of `publish` or `offer`; those of one topic are given in the order of the calls."""

    topic: str
    payload: bytes
    lane: str
    publisher: str = ""
    # False if the call said that the message was not taken.
    taken: bool = True
    ack: str = "buffered"
    outcome: Outcome = ""

    @property
    def identity(self) -> Identity:
        return identity_of(self.payload)

    @property
    def level(self) -> str:
        """Return what the publisher was told that it may rely on."""
        if self.outcome == "given":
            return self.ack
        return "accepted" if self.outcome == "not confirmed" else "buffered"


@dataclass(frozen=True)
class Stored:
    """An entry as the server has it."""

    entry_id: tuple[int, int]
    topic: bytes
    payload: bytes

    @property
    def identity(self) -> Identity:
        return identity_of(self.payload)


Snapshot = Mapping[str, Sequence[Stored]]


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What a client says of one of its lanes."""

    published: int = 0
    acknowledged: int = 0
    dropped: int = 0
    refused: int = 0
    rejected: int = 0
    abandoned: int = 0
    indeterminate: int = 0
    queued: int = 0

    @property
    def settled(self) -> int:
        return self.acknowledged + self.rejected + self.abandoned + self.indeterminate

    @property
    def gone(self) -> int:
        """Return what it says has never been in a stream."""
        return self.dropped + self.rejected + self.abandoned + self.queued


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a client says of itself."""

    lanes: Mapping[str, Counters]
    in_flight: int = 0

    @classmethod
    def of(cls, statistics: Any) -> Account:
        """Read a client's statistics."""
        names = Counters.__dataclass_fields__
        return cls(
            lanes={
                lane.priority: Counters(**{name: getattr(lane, name) for name in names})
                for lane in statistics.lanes
            },
            in_flight=statistics.in_flight,
        )


@dataclass(frozen=True, kw_only=True)
class MayLose:
    """
    Let the server lose what it had: one run of each stream.

    Attributes
    ----------
    why : str
        What is to blame.
    of : Mapping[str, Sequence[bytes]]
        What may be lost of each stream, in its order; nothing else may.
    part : {'front', 'back'}
        Where the run is: from the first on, or up to the last.
    spared : int
        So many behind a run at the back may be there: they were in flight, and sent again.
    protects : tuple[str, ...]
        The acknowledgements that protect from it.
    """

    why: str
    of: Mapping[str, Sequence[Identity]]
    part: Literal["front", "back"]
    spared: int = 0
    protects: tuple[str, ...] = ()

    def admits(self, key: str, absent: Sequence[Identity]) -> bool:
        """Return whether `absent`, which are of this stream and in its order, may be."""
        if not absent:
            return True
        had = list(self.of.get(key, ()))
        if absent[0] not in had:
            return False
        begin = had.index(absent[0])
        if had[begin : begin + len(absent)] != list(absent):
            return False
        behind = len(had) - begin - len(absent)
        return begin == 0 if self.part == "front" else behind <= self.spared


@dataclass(frozen=True, kw_only=True)
class MayDisorder:
    """Let entries of streams that two wrote to be in any order."""

    why: str


Allowed = MayLose | MayDisorder


@dataclass(frozen=True)
class Finding:
    """Something that must not be."""

    kind: str
    count: int
    where: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f": {', '.join(self.examples)}" if self.examples else ""
        return f"{self.kind} x {self.count:,} ({self.where}){shown}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the comparison found; `allowed` is what a rule let pass."""

    published: int
    present: int
    indeterminate: int
    findings: tuple[Finding, ...]
    allowed: tuple[Finding, ...] = ()

    @property
    def is_clean(self) -> bool:
        return not self.findings

    @property
    def kinds(self) -> set[str]:
        return {finding.kind for finding in self.findings}

    def allowed_count(self, kind: str) -> int:
        return sum(finding.count for finding in self.allowed if finding.kind == kind)

    def __str__(self) -> str:
        lines = [
            f"{self.published:,} published, {self.present:,} there, "
            f"{self.indeterminate:,} indeterminate",
            *map(str, self.findings),
            *(f"allowed: {finding}" for finding in self.allowed),
        ]
        return "\n".join(lines)


def read_streams(store: Any) -> dict[str, list[Stored]]:
    """Return all entries of all streams of a server, as it gives them out."""
    found: dict[str, list[Stored]] = {}
    for key in store.scan_iter(_type="stream"):
        if key.startswith(b"nt-enhanced:"):
            # What readers are told of streams.
            continue
        entries = found[key.decode()] = []
        begin = b"-"
        while page := store.execute_command("XRANGE", key, begin, "+", "COUNT", PAGE):
            for raw_id, fields in page:
                milliseconds, _, sequence = raw_id.partition(b"-")
                entry_id = (int(milliseconds), int(sequence))
                entries.append(Stored(entry_id, fields[b"topic"], fields[b"payload"]))
            begin = b"(" + page[-1][0]
    return found


def identities(snapshot: Snapshot) -> dict[str, list[Identity]]:
    """Return what each stream has, in its order."""
    return {key: [entry.identity for entry in entries] for key, entries in snapshot.items()}


def check(
    published: Iterable[Published],
    held: Snapshot,
    accounts: Mapping[str, Account | None],
    *,
    key_of: Callable[[str], str],
    looks: Sequence[Snapshot] = (),
    kept: Iterable[bytes] = (),
    allowed: Sequence[Allowed] = (),
) -> Report:
    """
    Compare.

    Parameters
    ----------
    published : Iterable[Published]
        All calls of all publishers.
    held : Snapshot
        What the server holds at the end.
    accounts : Mapping[str, Account or None]
        What each publisher says of itself, by its name; None of one that was killed.
    key_of : Callable[[str], str]
        The stream that a topic belongs in.
    looks : Sequence[Snapshot]
        What was seen in the streams before: an entry that was there under another ID, and has
        been trimmed since, was delivered twice all the same.
    kept : Iterable[bytes]
        Payloads that a journal keeps and has yet to send.
    allowed : Sequence[MayLose or MayDisorder]
        What this fault may do.
    """
    return _Comparison(
        list(published), held, accounts, key_of, list(looks), list(kept), list(allowed)
    ).report()


@dataclass
class _Comparison:
    published: list[Published]
    held: Snapshot
    accounts: Mapping[str, Account | None]
    key_of: Callable[[str], str]
    looks: list[Snapshot]
    kept: list[bytes]
    rules: list[Allowed]
    findings: list[Finding] = field(default_factory=list)
    allowed: list[Finding] = field(default_factory=list)

    def report(self) -> Report:
        self.known = {message.identity: message for message in self.published}
        if len(self.known) != len(self.published):
            raise ValueError("two published messages have the same identity")
        self.present = {entry.identity for entries in self.held.values() for entry in entries}
        self.in_journal = set(map(identity_of, self.kept))
        self._look_at_entries()
        self._look_at_places()
        self._look_at_journal()
        self._look_at_order()
        self._look_at_outcomes()
        self._look_at_losses()
        return Report(
            published=sum(message.taken for message in self.published),
            present=len(self.present & self.known.keys()),
            indeterminate=sum(
                lane.indeterminate
                for account in self.accounts.values()
                if account is not None
                for lane in account.lanes.values()
            ),
            findings=tuple(self.findings),
            allowed=tuple(self.allowed),
        )

    def _note(self, kind: str, where: str, messages: Sequence[Any], count: int = 0) -> None:
        if messages or count:
            shown = tuple(_shown(message) for message in messages[:EXAMPLES])
            self.findings.append(Finding(kind, count or len(messages), where, shown))

    def _all_entries(self) -> Iterator[tuple[str, Stored]]:
        for snapshot in (*self.looks, self.held):
            for key, entries in snapshot.items():
                for entry in entries:
                    yield key, entry

    def _look_at_entries(self) -> None:
        """Each entry is one that was published, whole, and in its own stream."""
        wrong: dict[tuple[str, str], dict[Identity, None]] = defaultdict(dict)
        for key, entry in self._all_entries():
            message = self.known.get(entry.identity)
            if message is None:
                wrong["phantom", key][entry.identity] = None
                continue
            if not message.taken:
                wrong["refused but there", key][entry.identity] = None
            if entry.payload != message.payload or entry.topic != message.topic.encode():
                wrong["altered", key][entry.identity] = None
            if key != self.key_of(message.topic):
                wrong["wrong stream", key][entry.identity] = None
        for (kind, key), found in wrong.items():
            self._note(kind, key, list(found))

    def _look_at_places(self) -> None:
        """Each message was in one place only, now and before."""
        places: dict[Identity, set[Place]] = defaultdict(set)
        times: Counter[Identity] = Counter()
        for key, entry in self._all_entries():
            places[entry.identity].add((key, entry.entry_id))
        for entries in self.held.values():
            times.update(entry.identity for entry in entries)
        self._note("doubled", "now", [one for one, count in times.items() if count > 1])
        before = [one for one, at in places.items() if len(at) > 1 and times[one] <= 1]
        self._note("doubled", "seen before elsewhere", before)

    def _look_at_journal(self) -> None:
        kept = Counter(map(identity_of, self.kept))
        self._note("doubled", "journal", [one for one, count in kept.items() if count > 1])
        self._note("phantom", "journal", [one for one in kept if one not in self.known])
        altered = [
            payload
            for payload in self.kept
            if identity_of(payload) in self.known
            and self.known[identity_of(payload)].payload != payload
        ]
        self._note("altered", "journal", [identity_of(payload) for payload in altered])

    def _look_at_order(self) -> None:
        """What one publisher put into one lane is in its stream in that order."""
        position = {message.identity: at for at, message in enumerate(self.published)}
        for key, entries in self.held.items():
            of_source: dict[tuple[str, str], list[Identity]] = defaultdict(list)
            for one in dict.fromkeys(entry.identity for entry in entries):
                if one in self.known:
                    message = self.known[one]
                    of_source[message.publisher, message.lane].append(one)
            for (publisher, lane), found in of_source.items():
                late = [
                    after for before, after in pairwise(found) if position[after] < position[before]
                ]
                where = f"{key}, {publisher or 'the publisher'}, {lane}"
                rule = next((one for one in self.rules if isinstance(one, MayDisorder)), None)
                if late and rule is not None:
                    self.allowed.append(Finding("out of order", len(late), rule.why))
                else:
                    self._note("out of order", where, late)

    def _look_at_outcomes(self) -> None:
        """Who was told that a message is not there must not find it."""
        told = [
            message.identity
            for message in self.published
            if message.outcome == "not accepted" and message.identity in self.present
        ]
        self._note("there against its outcome", "not accepted", told)

    def _look_at_losses(self) -> None:
        absent = [
            message
            for message in self.published
            if message.taken and message.identity not in self.present
        ]
        self._excused = self._excuse(absent)
        promised = [
            message.identity
            for message in absent
            if message.level != "buffered" and message.identity not in self._excused
        ]
        self._note("acknowledged but absent", "told to who waited", promised)
        for publisher, account in self.accounts.items():
            if account is not None:
                self._look_at_account(publisher, account, absent)
                continue
            left = self._unexcused(message for message in absent if message.publisher == publisher)
            self._note("lost", f"{publisher}, which was killed", left)
        unknown = {message.publisher for message in self.published} - self.accounts.keys()
        self._note("no account", "publishers", sorted(unknown))

    def _excuse(self, absent: Sequence[Published]) -> set[Identity]:
        """Return what is absent because of the fault, as far as a rule has it."""
        excused: set[Identity] = set()
        for rule in self.rules:
            if not isinstance(rule, MayLose):
                continue
            for key, had in rule.of.items():
                missing = {message.identity: message for message in absent}
                lost = [one for one in had if one in missing]
                protected = any(missing[one].level in rule.protects for one in lost)
                if lost and not protected and rule.admits(key, lost):
                    excused.update(lost)
                    self.allowed.append(Finding("lost", len(lost), f"{rule.why}, {key}"))
        return excused

    def _unexcused(self, absent: Iterable[Published]) -> list[Identity]:
        return [
            message.identity
            for message in absent
            if message.identity not in self._excused and message.identity not in self.in_journal
        ]

    def _look_at_account(
        self, publisher: str, account: Account, absent: Sequence[Published]
    ) -> None:
        ours = [message for message in self.published if message.publisher == publisher]
        flying = account.in_flight
        published = sum(lane.published for lane in account.lanes.values())
        accounted = flying + sum(
            lane.settled + lane.dropped + lane.queued for lane in account.lanes.values()
        )
        if published != accounted:
            self._miscount(publisher, f"{published} published, {accounted} accounted for")
        strangers = {message.lane for message in ours} - account.lanes.keys()
        self._note("no account", f"{publisher} lanes", sorted(strangers))
        for name, lane in account.lanes.items():
            where = f"{publisher} {name}".strip()
            of_lane = [message for message in ours if message.lane == name]
            taken = [message for message in of_lane if message.taken]
            there = sum(message.identity in self.present for message in taken)
            excused = sum(message.identity in self._excused for message in taken)
            gone = [m for m in absent if m.publisher == publisher and m.lane == name]
            if lane.published != len(taken):
                self._miscount(where, f"{lane.published} published, {len(taken)} were")
            refused = sum(not m.taken and m.outcome != "unavailable" for m in of_lane)
            if lane.refused != refused:
                self._miscount(where, f"{lane.refused} refused, {refused} were")
            if lane.acknowledged > there + excused:
                text = f"{where}: {lane.acknowledged} counted, {there} there"
                self._note("acknowledged but absent", text, [], lane.acknowledged - there - excused)
            if there + excused > lane.acknowledged + lane.indeterminate + flying:
                self._miscount(where, f"{there} there, {lane.acknowledged} acknowledged")
            if lane.gone > len(gone) - excused:
                self._miscount(where, f"{lane.gone} never sent, {len(gone)} are absent")
            left = self._unexcused(gone)
            # Which of them those are that the counters tell of is not known.
            told = lane.gone + lane.indeterminate + flying
            if len(left) > told:
                self._note("lost", where, left, len(left) - told)

    def _miscount(self, where: str, text: str) -> None:
        self.findings.append(Finding("miscounted", 1, f"{where}: {text}"))


def _shown(message: Any) -> str:
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)
