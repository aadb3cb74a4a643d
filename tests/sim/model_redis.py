"""
A model of the server, as far as the bus and its consumers use it: bytes in, bytes out.

Requests are parsed as the server does, answers are written as it writes them, errors have its
words. `test_model_redis` holds it against a real server. What it does not know is an error of
the simulation (`NotImplementedError`), never a wrong answer.

It has no clock and no network: whoever drives it says what time it is and when bytes arrive.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import hiredis
from model_streams import HIGHEST
from model_streams import MAX_PART
from model_streams import ZERO
from model_streams import EntryId
from model_streams import Group
from model_streams import Stream
from model_streams import entry_reply
from model_streams import format_id
from model_streams import parse_id


if TYPE_CHECKING:
    from collections.abc import Callable


OOM = "OOM command not allowed when used memory > 'maxmemory'."
READONLY = "READONLY You can't write against a read only replica."
LOADING = "LOADING Redis is loading the dataset in memory"
MISCONF = (
    "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to "
    "disk. Commands that may modify the data set are disabled, because this instance is configured "
    "to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error "
    "option). Please check the Valkey logs for details about the RDB error."
)
NOREPLICAS = "NOREPLICAS Not enough good replicas to write."
NOAUTH = "NOAUTH Authentication required."
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
TOO_SMALL = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
_FORBIDDEN = "NOPERM User default has no permissions to run the '{}' command"
_INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
_NO_AOF = (
    "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
)  # fmt: skip

_WRITE, _DENY_OOM, _WHILE_LOADING = 1, 2, 4


class Status(bytes):
    """An answer without a length, such as OK."""


class ReplyError(Exception):
    """An error answer."""


_OK = Status(b"OK")
_QUEUED = Status(b"QUEUED")
NIL_ARRAY = object()


def encode(answer: Any) -> bytes:
    """Return an answer as RESP2."""
    kind = type(answer)
    if kind is bytes:
        return b"$%d\r\n%b\r\n" % (len(answer), answer)
    if kind is Status:
        return b"+%b\r\n" % answer
    if kind is int:
        return b":%d\r\n" % answer
    if kind is list:
        return b"*%d\r\n%b" % (len(answer), b"".join(map(encode, answer)))
    if kind is ReplyError:
        return b"-%b\r\n" % str(answer).encode()
    return b"*-1\r\n" if answer is NIL_ARRAY else b"$-1\r\n"


class Blocked(NamedTuple):
    """WAITAOF that is not answered yet."""

    units: int
    timeout_ms: int


class Session:
    """A client as the server sees it."""

    def __init__(self, client_id: int, on_closed: Callable[[], None]) -> None:
        self.client_id = client_id
        self.on_closed = on_closed
        self.is_open = True
        self.is_logged_in = False
        self.queued: list[list[bytes]] | None = None
        self.is_dirty = False
        self.backlog: deque[list[bytes]] = deque()
        self.blocked: Blocked | None = None
        # What of the log was there when this client wrote last: WAIT and WAITAOF are about that.
        self.written = 0
        self._reader = hiredis.Reader()

    def feed(self, data: bytes) -> None:
        self._reader.feed(data)
        while (request := self._reader.gets()) is not False:
            self.backlog.append(request)


class Watcher:
    """Is told what happens to entries; all of it does nothing unless it is overridden."""

    def added(self, session: Session, key: bytes, entry_id: EntryId, fields: list[bytes]) -> None:
        """Note an entry that was added."""

    def trimmed(self, key: bytes, ids: list[EntryId]) -> None:
        """Note entries that were trimmed or deleted; the stream remembers that it had them."""

    def undone(self, key: bytes, ids: list[EntryId]) -> None:
        """Note entries that went, and that nothing remembers those that went before."""


# Number of arguments, the command's name included; negative: at least so many.
_Command = tuple[Any, int, int]


class ModelServer:
    """
    One server.

    Attributes
    ----------
    now_ms : int
        The server's wall clock.
    refuses_writes : str
        The error that commands which write get now.
    is_out_of_memory, is_loading, is_frozen, is_paused : bool
        Frozen answers nothing; paused (CLIENT PAUSE WRITE) does not begin with what writes.
    forbidden : set[bytes]
        Commands that the login may not run, such as ``xadd`` or ``client|kill``.
    forbidden_keys : set[bytes]
        Keys that it may not touch.
    wants_login : bool
        Whether clients must log in first; no login is ever right.
    version : int
        6 tells less about streams than 7.
    has_aof : bool
        Whether there is a log on disk, which is written when `fsync` is called.
    replicas : int
        Replicas that have everything at once.
    """

    def __init__(self, watcher: Watcher | None = None) -> None:
        self.watcher = watcher or Watcher()
        self.now_ms = 1
        self.starts = 0
        self.data: dict[bytes, Stream | bytes] = {}
        self.sessions: dict[int, Session] = {}
        # What was written, transaction by transaction: a restart may lose the end of it.
        self.log: list[list[list[bytes]]] = []
        self.synced = 0
        self.has_aof = False
        self.replicas = 0
        self.role = b"master"
        self.refuses_writes = ""
        self.is_out_of_memory = False
        self.is_loading = False
        self.is_frozen = False
        self.is_paused = False
        self.wants_login = False
        self.forbidden: set[bytes] = set()
        self.forbidden_keys: set[bytes] = set()
        self.version = 7
        self.run_id = b""
        self._next_client_id = 0
        self._unit: list[list[bytes]] | None = None
        self._replays = False
        self._begin()

    def _begin(self) -> None:
        self.starts += 1
        self.run_id = b"%040x" % self.starts
        # A server that was restarted numbers its clients anew.
        self._next_client_id = 3
        self.refuses_writes = READONLY if self.role == b"slave" else ""

    # -- what happens to a server ----------------------------------------------------------------

    def connect(self, on_closed: Callable[[], None] = lambda: None) -> Session:
        self._next_client_id += 1
        session = Session(self._next_client_id, on_closed)
        self.sessions[session.client_id] = session
        return session

    def disconnect(self, session: Session) -> None:
        if session.is_open:
            session.is_open = False
            self.sessions.pop(session.client_id, None)
            session.on_closed()

    def receive(self, session: Session, data: bytes) -> bytes:
        """Take bytes of a client; return those of the answers that are ready."""
        if not session.is_open:
            return b""
        session.feed(data)
        return self.work(session)

    def work(self, session: Session) -> bytes:
        """Run what waits of a client, as far as that can be run now; return the answers."""
        answers = []
        while session.backlog and not self.is_frozen and session.is_open and not session.blocked:
            request = session.backlog[0]
            if self.is_paused and self._flags(session, request) & _WRITE:
                break
            session.backlog.popleft()
            answer = self._answer(session, request)
            if session.blocked is None:
                answers.append(encode(answer))
        return b"".join(answers)

    def unblock(self, session: Session, *, timed_out: bool = False) -> bytes:
        """Answer WAITAOF if its time has come; return the answers that are ready now."""
        blocked = session.blocked
        if blocked is None or not (timed_out or self.synced >= blocked.units):
            return b""
        session.blocked = None
        return encode([int(self.synced >= blocked.units), 0]) + self.work(session)

    def fsync(self) -> None:
        """Put all of the log on the disk."""
        self.synced = len(self.log)

    def restart(self, keep: int | None = None) -> None:
        """
        End and begin again, with all data or with the first `keep` transactions of the log.

        Whoever calls this closes the connections.
        """
        for session in list(self.sessions.values()):
            self.disconnect(session)
        if keep is not None:
            self.lose_after(keep)
        self.is_frozen = self.is_paused = False
        self._begin()

    def lose_after(self, keep: int) -> None:
        """Have only what the first `keep` transactions of the log made."""
        before = {key: set(of.entries) for key, of in self.data.items() if isinstance(of, Stream)}
        log, self.log, self.data = self.log[:keep], [], {}
        self.synced = min(self.synced, keep)
        self._replays = True
        nobody = Session(0, lambda: None)
        for unit in log:
            self._unit = []
            for request in unit:
                _COMMANDS[self._find(request)[0]][0](self, nobody, request)
            self.log.append(self._unit)
            self._unit = None
        self._replays = False
        for key, ids in before.items():
            stream = self.data.get(key)
            left = stream.entries if isinstance(stream, Stream) else {}
            lost = [one for one in ids if one not in left]
            self.watcher.undone(key, lost)

    def set_role(self, role: bytes) -> None:
        self.role = role
        self.refuses_writes = READONLY if role == b"slave" else ""

    def run(self, *items: bytes) -> Any:
        """Run a command of somebody else's; return the answer."""
        session = Session(0, lambda: None)
        session.is_logged_in = True
        try:
            return _COMMANDS[self._find(list(items))[0]][0](self, session, list(items))
        except ReplyError as failure:
            return failure

    # -- commands --------------------------------------------------------------------------------

    @staticmethod
    def _find(request: list[bytes]) -> tuple[bytes, _Command | None]:
        name = request[0].lower()
        if name in _CONTAINERS and len(request) > 1:
            name += b"|" + request[1].lower()
        return name, _COMMANDS.get(name)

    def _flags(self, session: Session, request: list[bytes]) -> int:
        if request[0].lower() == b"exec":
            union = 0
            for queued in session.queued or ():
                union |= self._find(queued)[1][2]
            return union | _WHILE_LOADING
        _, found = self._find(request)
        return found[2] if found else 0

    def _answer(self, session: Session, request: list[bytes]) -> Any:
        name, found = self._find(request)
        refusal = self._unknown(request, name, found)
        if not refusal and self._may_refuse:
            refusal = self._refusal(session, request, name)
        if refusal:
            if name == b"exec" and session.queued is not None:
                session.queued = None
                return ReplyError(f"EXECABORT Transaction discarded because of: {refusal}")
            session.is_dirty = session.queued is not None
            return ReplyError(refusal)
        if session.queued is not None and name not in (b"exec", b"discard"):
            if name == b"multi":
                session.is_dirty = True
                return ReplyError("ERR Command 'multi' not allowed inside a transaction")
            session.queued.append(request)
            return _QUEUED
        try:
            return found[0](self, session, request)
        except ReplyError as failure:
            return failure

    @staticmethod
    def _unknown(request: list[bytes], name: bytes, found: _Command | None) -> str:
        if found is None:
            if name.partition(b"|")[0] in _CONTAINERS and len(request) > 1:
                raise NotImplementedError(request)
            if name in _CONTAINERS:
                return f"ERR wrong number of arguments for '{name.decode()}' command"
            shown = "".join(f"'{item.decode()}' " for item in request[1:])
            return f"ERR unknown command '{request[0].decode()}', with args beginning with: {shown}"
        arity = found[1]
        if len(request) != arity if arity > 0 else len(request) < -arity:
            return f"ERR wrong number of arguments for '{name.decode()}' command"
        return ""

    def _refusal(self, session: Session, request: list[bytes], name: bytes) -> str:
        """Return why a command is not run at all: the first reason, as the server looks."""
        key = self._key(request, name) if self.forbidden_keys else None
        flags = self._flags(session, request)
        reasons = (
            (self.wants_login and not session.is_logged_in and name != b"auth", NOAUTH),
            (name in self.forbidden, _FORBIDDEN.format(name.decode())),
            (key in self.forbidden_keys, "NOPERM No permissions to access a key"),
            (self.is_out_of_memory and flags & _DENY_OOM, OOM),
            (self.refuses_writes and flags & _WRITE, self.refuses_writes),
            (self.refuses_writes == MISCONF and name == b"ping", MISCONF),
            (self.is_loading and not flags & _WHILE_LOADING, LOADING),
        )
        return next((reason for holds, reason in reasons if holds), "")

    @property
    def _may_refuse(self) -> bool:
        return bool(
            self.refuses_writes
            or self.is_out_of_memory
            or self.is_loading
            or self.wants_login
            or self.forbidden
            or self.forbidden_keys
        )

    @staticmethod
    def _key(request: list[bytes], name: bytes) -> bytes | None:
        if name == b"xreadgroup":
            return request[[item.lower() for item in request].index(b"streams") + 1]
        if name in (b"xinfo|stream", b"xgroup|create"):
            return request[2]
        return request[1] if name.startswith(b"x") else None

    def _stream(self, key: bytes) -> Stream | None:
        value = self.data.get(key)
        if isinstance(value, bytes):
            raise ReplyError(WRONGTYPE)
        return value

    def _write(self, session: Session, *request: bytes) -> None:
        """Note in the log what a command did."""
        if self._unit is not None:
            self._unit.append(list(request))
        else:
            self.log.append([list(request)])
        if not self._replays:
            session.written = len(self.log) + (self._unit is not None)

    def _multi(self, session: Session, request: list[bytes]) -> Any:
        session.queued, session.is_dirty = [], False
        return _OK

    def _discard(self, session: Session, request: list[bytes]) -> Any:
        if session.queued is None:
            raise ReplyError("ERR DISCARD without MULTI")
        session.queued = None
        return _OK

    def _exec(self, session: Session, request: list[bytes]) -> Any:
        if session.queued is None:
            raise ReplyError("ERR EXEC without MULTI")
        queued, session.queued = session.queued, None
        if session.is_dirty:
            raise ReplyError("EXECABORT Transaction discarded because of previous errors.")
        self._unit = []
        answers = []
        for one in queued:
            try:
                self._check_still_allowed(one)
                answers.append(_COMMANDS[self._find(one)[0]][0](self, session, one))
            except ReplyError as failure:
                answers.append(failure)
        unit, self._unit = self._unit, None
        if unit:
            self.log.append(unit)
        return answers

    def _check_still_allowed(self, request: list[bytes]) -> None:
        name, _ = self._find(request)
        reason = ""
        if name in self.forbidden:
            reason = "no permission to execute the command or subcommand"
        elif self._key(request, name) in self.forbidden_keys:
            reason = "no permission to touch the specified keys"
        if reason:
            raise ReplyError(
                "NOPERM ACLs rules changed between the moment the transaction was accumulated and "
                f"the EXEC call. This command is no longer allowed for the following reason: "
                f"{reason}"
            )

    def _ping(self, session: Session, request: list[bytes]) -> Any:
        return request[1] if len(request) > 1 else Status(b"PONG")

    def _auth(self, session: Session, request: list[bytes]) -> Any:
        if self.wants_login:
            raise ReplyError("WRONGPASS invalid username-password pair or user is disabled.")
        session.is_logged_in = True
        return _OK

    def _info(self, session: Session, request: list[bytes]) -> Any:
        if request[1:] == [b"server"]:
            return b"# Server\r\nredis_version:7.2.4\r\nrun_id:%b\r\n" % self.run_id
        if request[1:] == [b"replication"]:
            return b"# Replication\r\nrole:%b\r\nconnected_slaves:0\r\n" % self.role
        raise NotImplementedError(request)

    def _client_id(self, session: Session, request: list[bytes]) -> Any:
        return session.client_id

    def _client_kill(self, session: Session, request: list[bytes]) -> Any:
        if len(request) != 4 or request[2].lower() != b"id":
            raise NotImplementedError(request)
        if not request[3].isdigit():
            raise ReplyError("ERR syntax error")
        if int(request[3]) == 0:
            raise ReplyError("ERR client-id should be greater than 0")
        victim = self.sessions.get(int(request[3]))
        if victim is None or victim is session:
            return 0
        self.disconnect(victim)
        return 1

    def _wait(self, session: Session, request: list[bytes]) -> Any:
        # The model's replicas have at once what the server has.
        return self.replicas

    def _waitaof(self, session: Session, request: list[bytes]) -> Any:
        wants_disk = int(request[1]) > 0
        if wants_disk and not self.has_aof:
            raise ReplyError(_NO_AOF)
        if wants_disk and self.synced < session.written and self._unit is None:
            session.blocked = Blocked(session.written, int(request[3]))
            return None
        return [int(self.has_aof), 0]

    def _set(self, session: Session, request: list[bytes]) -> Any:
        self._drop_key(request[1])
        self.data[request[1]] = request[2]
        self._write(session, *request)
        return _OK

    def _del(self, session: Session, request: list[bytes]) -> Any:
        gone = sum([self._drop_key(key) for key in request[1:]])
        if gone:
            self._write(session, *request)
        return gone

    def _flushdb(self, session: Session, request: list[bytes]) -> Any:
        for key in list(self.data):
            self._drop_key(key)
        self._write(session, b"FLUSHDB")
        return _OK

    def _drop_key(self, key: bytes) -> bool:
        value = self.data.pop(key, None)
        if isinstance(value, Stream) and not self._replays:
            self.watcher.undone(key, list(value.entries))
        return value is not None

    def _xadd(self, session: Session, request: list[bytes]) -> Any:
        # What readers are told is answered and forgotten, since no message depends on it.
        is_news = request[1].startswith(b"nt-enhanced:")
        return b"1-0" if is_news else self._add_entry(session, request)

    def _add_entry(self, session: Session, request: list[bytes]) -> Any:
        _, key, raw_id, *fields = request
        if raw_id.upper() in (b"NOMKSTREAM", b"MAXLEN", b"MINID", b"LIMIT"):
            raise NotImplementedError(request)
        ms_only = raw_id[:-2] if raw_id.endswith(b"-*") and raw_id != b"-*" else None
        try:
            given = None if raw_id == b"*" else parse_id(ms_only or raw_id, 0)
        except ValueError:
            given = HIGHEST
            ms_only = raw_id
        if raw_id in (b"-", b"+") or ms_only == raw_id:
            raise ReplyError(_INVALID_ID)
        if len(fields) % 2:
            raise ReplyError("ERR wrong number of arguments for 'xadd' command")
        if given == ZERO and ms_only is None:
            raise ReplyError("ERR The ID specified in XADD must be greater than 0-0")
        existing = self._stream(key)
        stream = Stream() if existing is None else existing
        if stream.last_id == HIGHEST:
            raise ReplyError(
                "ERR The stream has exhausted the last possible ID, unable to add more items"
            )
        if given is None:
            entry_id = stream.next_id(self.now_ms)
        elif ms_only is not None:
            entry_id = self._in_millisecond(stream, given[0])
        else:
            entry_id = given
        if entry_id is None or entry_id <= stream.last_id:
            raise ReplyError(TOO_SMALL)
        if existing is None:
            self.data[key] = stream
        stream.add(entry_id, fields)
        if not self._replays:
            self.watcher.added(session, key, entry_id, fields)
        raw = format_id(entry_id)
        self._write(session, b"XADD", key, raw, *fields)
        return raw

    def _tell_readers(self, session: Session, request: list[bytes]) -> int:
        return 1

    @staticmethod
    def _in_millisecond(stream: Stream, ms: int) -> EntryId | None:
        """Return the ID that `ms-*` stands for."""
        last_ms, sequence = stream.last_id
        if ms < last_ms:
            return None
        if ms > last_ms:
            return ms, 0
        return (ms, sequence + 1) if sequence < MAX_PART else None

    def _xrange(self, session: Session, request: list[bytes], *, reverse: bool = False) -> Any:
        _, key, first, second, *options = request
        low, high = (second, first) if reverse else (first, second)
        if low.startswith(b"(") or high.startswith(b"("):
            raise NotImplementedError(request)
        count = None
        if options:
            if len(options) != 2 or options[0].upper() != b"COUNT":
                raise ReplyError("ERR syntax error")
            count = int(options[1])
        try:
            bounds = parse_id(low, 0), parse_id(high, MAX_PART)
        except ValueError:
            raise ReplyError(_INVALID_ID) from None
        stream = self._stream(key)
        found = [] if stream is None else stream.range(*bounds)
        return [entry_reply(*one) for one in (reversed(found) if reverse else found)][:count]

    def _xrevrange(self, session: Session, request: list[bytes]) -> Any:
        return self._xrange(session, request, reverse=True)

    def _xlen(self, session: Session, request: list[bytes]) -> Any:
        stream = self._stream(request[1])
        return 0 if stream is None else len(stream.entries)

    def _xinfo_stream(self, session: Session, request: list[bytes]) -> Any:
        stream = self._stream(request[2])
        if stream is None:
            raise ReplyError("ERR no such key")
        info = stream.info()
        if self.version < 7:
            # Nothing about what was deleted or added.
            return info[:8] + info[14:]
        return info

    def _xdel(self, session: Session, request: list[bytes]) -> Any:
        stream = self._stream(request[1])
        if stream is None:
            return 0
        try:
            ids = [parse_id(raw, 0) for raw in request[2:] if raw not in (b"-", b"+")]
        except ValueError:
            ids = []
        if len(ids) != len(request) - 2:
            raise ReplyError(_INVALID_ID)
        gone = stream.delete(ids)
        self._note_trimmed(session, request, gone)
        return len(gone)

    def _xtrim(self, session: Session, request: list[bytes]) -> Any:
        _, key, how, *rest = request
        whole_nodes = rest[0] == b"~"
        rest = rest[1:] if rest[0] in (b"~", b"=") else rest
        if len(rest) != 1 or how.upper() not in (b"MINID", b"MAXLEN"):
            raise NotImplementedError(request)
        if how.upper() == b"MAXLEN" and whole_nodes:
            raise NotImplementedError(request)
        try:
            low = parse_id(rest[0], 0)
        except ValueError:
            raise ReplyError(_INVALID_ID) from None
        stream = self._stream(key)
        if stream is None:
            return 0
        if how.upper() == b"MAXLEN":
            gone = stream.trim_to(int(rest[0]))
        else:
            gone = stream.trim_below(low, whole_nodes=whole_nodes)
        self._note_trimmed(session, request, gone)
        return len(gone)

    def _note_trimmed(self, session: Session, request: list[bytes], gone: list[EntryId]) -> None:
        if not gone:
            return
        if not self._replays:
            self.watcher.trimmed(request[1], gone)
        self._write(session, *request)

    # -- consumer groups -------------------------------------------------------------------------

    def _group(self, key: bytes, name: bytes, where: str = "") -> tuple[Stream, Group]:
        stream = self._stream(key)
        if stream is None or name not in stream.groups:
            raise ReplyError(
                f"NOGROUP No such key '{key.decode()}' or consumer group '{name.decode()}'{where}"
            )
        return stream, stream.groups[name]

    def _xgroup_create(self, session: Session, request: list[bytes]) -> Any:
        _, _, key, name, raw_id, *options = request
        if [option.upper() for option in options] not in ([], [b"MKSTREAM"]):
            raise NotImplementedError(request)
        stream = self._stream(key)
        if stream is None and not options:
            raise ReplyError(
                "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may "
                "want to use the MKSTREAM option to create an empty stream automatically."
            )
        try:
            last_id = None if raw_id == b"$" else parse_id(raw_id, 0)
        except ValueError:
            raise ReplyError(_INVALID_ID) from None
        if stream is None:
            stream = self.data[key] = Stream()
        if name in stream.groups:
            raise ReplyError("BUSYGROUP Consumer Group name already exists")
        stream.groups[name] = Group(stream.last_id if last_id is None else last_id)
        self._write(session, *request)
        return _OK

    def _xreadgroup(self, session: Session, request: list[bytes]) -> Any:
        _, _, name, consumer, *rest = request
        count = None
        if rest[0].upper() == b"COUNT":
            count, rest = int(rest[1]), rest[2:]
        if rest[0].upper() != b"STREAMS" or len(rest) != 3:
            raise NotImplementedError(request)
        _, key, raw_id = rest
        stream, group = self._group(key, name, " in XREADGROUP with GROUP option")
        if raw_id != b">":
            after = parse_id(raw_id, 0)
            mine = [
                one for one, owner in sorted(group.pending.items()) if owner == consumer
            ]  # fmt: skip
            listed = [one for one in mine if one > after][:count]
            return [[key, [entry_reply(one, stream.entries.get(one)) for one in listed]]]
        found = stream.range(after_id(group.last_id), HIGHEST)[:count]
        if not found:
            return NIL_ARRAY
        for one, _ in found:
            group.pending[one] = consumer
            group.last_id = one
        self._write(session, *request)
        return [[key, [entry_reply(*one) for one in found]]]

    def _xack(self, session: Session, request: list[bytes]) -> Any:
        stream = self._stream(request[1])
        group = None if stream is None else stream.groups.get(request[2])
        if group is None:
            return 0
        acked = sum(
            group.pending.pop(parse_id(raw, 0), None) is not None for raw in request[3:]
        )  # fmt: skip
        if acked:
            self._write(session, *request)
        return acked

    def _xpending(self, session: Session, request: list[bytes]) -> Any:
        _, group = self._group(request[1], request[2])
        pending = sorted(group.pending)
        if not pending:
            return [0, None, None, NIL_ARRAY]
        owners = sorted(set(group.pending.values()))
        counts = [
            [owner, b"%d" % list(group.pending.values()).count(owner)] for owner in owners
        ]  # fmt: skip
        return [len(pending), format_id(pending[0]), format_id(pending[-1]), counts]


def after_id(entry_id: EntryId) -> EntryId:
    """Return the ID that comes next."""
    ms, sequence = entry_id
    return (ms, sequence + 1) if sequence < MAX_PART else (ms + 1, 0)


_CONTAINERS = frozenset({b"client", b"xinfo", b"xgroup"})
_COMMANDS: dict[bytes, _Command] = {
    b"multi": (ModelServer._multi, 1, _WHILE_LOADING),
    b"exec": (ModelServer._exec, 1, _WHILE_LOADING),
    b"discard": (ModelServer._discard, 1, _WHILE_LOADING),
    b"ping": (ModelServer._ping, -1, 0),
    b"auth": (ModelServer._auth, -2, _WHILE_LOADING),
    b"info": (ModelServer._info, -1, _WHILE_LOADING),
    b"client|id": (ModelServer._client_id, 2, _WHILE_LOADING),
    b"client|kill": (ModelServer._client_kill, -3, _WHILE_LOADING),
    b"wait": (ModelServer._wait, 3, 0),
    b"waitaof": (ModelServer._waitaof, 4, 0),
    b"zadd": (ModelServer._tell_readers, -4, _WRITE | _DENY_OOM),
    b"zremrangebyrank": (ModelServer._tell_readers, 4, _WRITE),
    b"set": (ModelServer._set, 3, _WRITE | _DENY_OOM),
    b"del": (ModelServer._del, -2, _WRITE),
    b"flushdb": (ModelServer._flushdb, 1, _WRITE),
    b"xadd": (ModelServer._xadd, -5, _WRITE | _DENY_OOM),
    b"xrange": (ModelServer._xrange, -4, 0),
    b"xrevrange": (ModelServer._xrevrange, -4, 0),
    b"xlen": (ModelServer._xlen, 2, 0),
    b"xinfo|stream": (ModelServer._xinfo_stream, 3, 0),
    b"xdel": (ModelServer._xdel, -3, _WRITE),
    b"xtrim": (ModelServer._xtrim, -4, _WRITE),
    b"xgroup|create": (ModelServer._xgroup_create, -5, _WRITE | _DENY_OOM),
    b"xreadgroup": (ModelServer._xreadgroup, -7, _WRITE),
    b"xack": (ModelServer._xack, -4, _WRITE),
    b"xpending": (ModelServer._xpending, 3, 0),
}
