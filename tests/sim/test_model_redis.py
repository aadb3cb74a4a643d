"""The model of the server answers as a real server does, byte for byte where that is possible."""

from __future__ import annotations

import socket
from contextlib import closing

import hiredis
import pytest
import redis
from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from model_redis import MISCONF
from model_redis import NOREPLICAS
from model_redis import ModelServer

from nautilus_enhanced.infrastructure.messagebus.publishing.wire import command


KEYS = [b"s", b"t", b"text"]


def words(text: str) -> list[bytes]:
    return text.encode().split()


def one_of(text: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from(words(text))


def like(*parts: str | st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """Draw a command: of words, separated by spaces, and of what a strategy draws."""
    drawn = [
        st.just(words(part)) if isinstance(part, str) else part.map(lambda item: [item])
        for part in parts
    ]
    return st.tuples(*drawn).map(lambda lists: [item for items in lists for item in items])


def scripts(*texts: str) -> st.SearchStrategy[list[bytes]]:
    return st.sampled_from([words(text) for text in texts])


keys = st.sampled_from(KEYS)
groups = one_of("g h")
values = st.sampled_from([b"", b"1", b"payload"])
ids = one_of("0-0 0-1 1-1 1-2 2-0 2 3-7 5-5 7-1 x 1-x")
bounds = ids | one_of("- +")
xadd = like("XADD", keys, ids | one_of("* 9-* 1-*"), values, values)
commands = st.one_of(
    xadd,
    xadd,
    xadd,
    like("XADD", keys, ids, values, values, values, values),
    like("XRANGE", keys, bounds, bounds),
    like("XRANGE", keys, "- + COUNT 2"),
    like("XREVRANGE", keys, bounds, bounds),
    like("XREVRANGE", keys, "+ - COUNT 1"),
    like("XINFO STREAM", keys),
    like("XTRIM", keys, "MINID", one_of("~ ="), ids),
    like("XTRIM", keys, "MAXLEN", one_of("0 1 2")),
    like("XDEL", keys, ids),
    like("XLEN", keys),
    like("DEL", keys),
    like("SET text", values),
    scripts("MULTI", "MULTI", "EXEC", "EXEC", "DISCARD", "PING", "FLUSHDB"),
    scripts("NONSENSE a", "XADD s 1-1", "XADD s 1-1 a b c", "xinfo stream", "XRANGE s -"),
    scripts("WAIT 0 1", "WAITAOF 0 0 1", "WAITAOF 1 0 1", "CLIENT KILL ID 0", "CLIENT KILL ID x"),
    like("XGROUP CREATE", keys, groups, one_of("$ 0 1-1")),
    like("XGROUP CREATE", keys, groups, "$ MKSTREAM"),
    like("XREADGROUP GROUP", groups, one_of("c d"), "COUNT 2 STREAMS", keys, one_of("> 0")),
    like("XACK", keys, groups, one_of("1-1 1-2 2-0")),
    like("XPENDING", keys, groups),
)


class Pair:
    """A connection to the real server and one to the model, which are told the same."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5.0)
        self._real, self._modelled = hiredis.Reader(), hiredis.Reader()
        self.model = ModelServer()
        self._session = self.model.connect()

    def close(self) -> None:
        self._socket.close()

    def real(self, *items: bytes):
        self._socket.sendall(command(*items))
        while (answer := self._real.gets()) is False:
            self._real.feed(self._socket.recv(65_536))
        return answer

    def both(self, *items: bytes):
        answer = self.real(*items)
        self._set_clock(answer)
        self._modelled.feed(self.model.receive(self._session, command(*items)))
        modelled = self._modelled.gets()
        assert comparable(modelled) == comparable(answer), items
        return answer

    def _set_clock(self, answer) -> None:
        """Have the model live at the time by which the server numbered what it was given."""
        for one in answer if isinstance(answer, list) else [answer]:
            ms = one.partition(b"-")[0] if isinstance(one, bytes) else b""
            if ms.isdigit() and len(ms) == 13:
                self.model.now_ms = int(ms)


# How the server keeps its streams in memory.
INTERNAL = {b"radix-tree-keys", b"radix-tree-nodes"}


def comparable(answer):
    if isinstance(answer, Exception):
        return type(answer), str(answer)
    if isinstance(answer, list):
        pairs = list(zip(answer[::2], answer[1::2], strict=False))
        if pairs and pairs[0][0] == b"length":
            return [comparable(value) for name, value in pairs if name not in INTERNAL]
        return [comparable(one) for one in answer]
    return answer


@pytest.fixture
def pair(server):
    with closing(Pair(server.port)) as made:
        yield made


@settings(max_examples=300)
@given(st.lists(commands, max_size=30))
@example([words(text) for text in ("MULTI", "XADD s 1-1 a b", "XADD s 1-1 a b", "EXEC")])
@example([words(text) for text in ("MULTI", "NONSENSE a", "EXEC")])
def test_the_model_answers_as_the_server_does(server, script):
    with closing(Pair(server.port)) as pair:
        pair.both(b"FLUSHDB")
        for items in script:
            pair.both(*items)
        pair.both(b"DISCARD")
        for key in KEYS:
            pair.both(b"XRANGE", key, b"-", b"+")
            pair.both(b"XINFO", b"STREAM", key)


def test_trimming_by_whole_nodes(pair):
    pair.both(b"FLUSHDB")
    for number in range(1, 251):
        pair.both(b"XADD", b"s", b"%d-0" % number, b"a", b"b")
    for low in (b"50", b"101", b"150", b"201", b"251"):
        pair.both(b"XTRIM", b"s", b"MINID", b"~", low)
        pair.both(b"XINFO", b"STREAM", b"s")


# -- refusals ------------------------------------------------------------------------------------


XADD = (b"XADD", b"s", b"9-1", b"a", b"b")


@pytest.fixture
def fresh(pair):
    pair.both(b"FLUSHDB")
    pair.both(b"XADD", b"s", b"1-1", b"a", b"b")
    return pair


@pytest.fixture
def tell(server):
    """Return a function that tells the real server something, and takes it back in the end."""
    with redis.Redis(port=server.port, socket_timeout=5.0) as other:
        taken_back = []

        def do(text, back):
            other.execute_command(*text.split())
            taken_back.append(back)

        yield do
        for back in taken_back:
            other.execute_command(*back.split())


def refused(pair) -> None:
    """Ask for everything that the bus may get a refusal to, alone and in a transaction."""
    pair.both(*XADD)
    pair.both(b"PING")
    pair.both(b"XRANGE", b"s", b"-", b"+")
    pair.both(b"XINFO", b"STREAM", b"s")
    pair.both(b"XTRIM", b"s", b"MINID", b"~", b"1")
    pair.both(b"XGROUP", b"CREATE", b"s", b"g", b"$")
    pair.both(b"MULTI")
    pair.both(*XADD)
    pair.both(b"XRANGE", b"s", b"-", b"+")
    pair.both(b"EXEC")
    pair.both(b"XRANGE", b"s", b"-", b"+")


def test_refusals_for_want_of_memory(fresh, tell):
    tell("CONFIG SET maxmemory 1", back="CONFIG SET maxmemory 0")
    fresh.model.is_out_of_memory = True
    refused(fresh)


def test_refusals_for_want_of_replicas(fresh, tell):
    tell("CONFIG SET min-replicas-to-write 1", back="CONFIG SET min-replicas-to-write 0")
    fresh.model.refuses_writes = NOREPLICAS
    refused(fresh)


def test_refusals_of_a_replica(fresh, tell):
    tell("REPLICAOF 127.0.0.1 1", back="REPLICAOF NO ONE")
    fresh.model.set_role(b"slave")
    refused(fresh)
    told = fresh.real(b"INFO", b"replication").split()
    assert b"role:slave" in told
    assert b"role:slave" in fresh.model.run(b"INFO", b"replication").split()


@pytest.mark.parametrize("name", [b"xadd", b"xrange", b"xinfo|stream", b"exec", b"client|kill"])
def test_refusals_of_a_command(fresh, tell, name):
    tell(f"ACL SETUSER default -{name.decode()}", back="ACL SETUSER default +@all")
    fresh.model.forbidden = {name}
    refused(fresh)
    fresh.both(b"CLIENT", b"KILL", b"ID", b"0")


def test_refusals_of_a_key(fresh, tell):
    tell("ACL SETUSER default resetkeys ~t", back="ACL SETUSER default allkeys")
    fresh.model.forbidden_keys = {b"s"}
    refused(fresh)
    fresh.both(b"XADD", b"t", b"1-1", b"a", b"b")


@pytest.mark.parametrize(
    ("on", "off", "condition"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", {"is_out_of_memory": True}),
        (
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
            {"refuses_writes": NOREPLICAS},
        ),
        (
            "ACL SETUSER default resetkeys ~t",
            "ACL SETUSER default allkeys",
            {"forbidden_keys": {b"s"}},
        ),
        ("ACL SETUSER default -xadd", "ACL SETUSER default +@all", {"forbidden": {b"xadd"}}),
    ],
)
def test_a_refusal_that_begins_within_a_transaction(fresh, tell, on, off, condition):
    fresh.both(b"MULTI")
    fresh.both(*XADD)
    tell(on, back=off)
    vars(fresh.model).update(condition)
    fresh.both(b"EXEC")
    fresh.both(b"XRANGE", b"s", b"-", b"+")


def test_refusals_while_the_disk_takes_no_snapshot(make_server, tmp_path, eventually):
    server = make_server(data_dir=tmp_path, save="3600 1")
    server.start()
    with closing(Pair(server.port)) as pair:
        pair.both(b"XADD", b"s", b"1-1", b"a", b"b")
        # A folder in the place of the file.
        (tmp_path / "dump.rdb").mkdir()
        pair.real(b"BGSAVE")
        eventually(lambda: b"rdb_last_bgsave_status:err" in pair.real(b"INFO", b"persistence"))
        pair.model.refuses_writes = MISCONF
        refused(pair)


# -- what no property test can do with a server that is shared -----------------------------------


def test_a_killed_client_gets_nothing_any_more():
    server = ModelServer()
    first, second = server.connect(), server.connect()
    kill = command(b"CLIENT", b"KILL", b"ID", b"%d" % first.client_id)
    assert server.receive(second, kill) == b":1\r\n"
    assert server.receive(first, command(*XADD)) == b""
    assert server.data == {}


def test_a_request_may_come_in_pieces():
    server = ModelServer()
    session = server.connect()
    raw = command(*XADD)
    assert server.receive(session, raw[:9]) == b""
    assert server.receive(session, raw[9:] + raw[:5]) == b"$3\r\n9-1\r\n"


def test_a_restart_loses_whole_transactions_only():
    server = ModelServer()
    session = server.connect()
    server.receive(session, command(*XADD))
    batch = [command(b"XADD", b"s", b"9-%d" % number, b"a", b"b") for number in (2, 3)]
    server.receive(session, command(b"MULTI") + b"".join(batch) + command(b"EXEC"))
    run_id = server.run_id
    server.restart(keep=1)
    assert run_id != server.run_id
    assert server.run(b"XLEN", b"s") == 1
    assert server.run(b"XINFO", b"STREAM", b"s")[11] == 1  # entries-added


def test_waitaof_is_answered_when_the_log_is_on_the_disk():
    server = ModelServer()
    server.has_aof = True
    session = server.connect()
    waitaof = command(b"WAITAOF", b"1", b"0", b"100")
    answers = server.receive(session, command(*XADD) + waitaof + command(b"PING"))
    assert answers == b"$3\r\n9-1\r\n"
    assert server.unblock(session) == b""
    server.fsync()
    assert server.unblock(session) == b"*2\r\n:1\r\n:0\r\n+PONG\r\n"
    server.receive(session, command(b"XADD", b"s", b"9-2", b"a", b"b"))
    assert server.receive(session, waitaof) == b""
    assert server.unblock(session, timed_out=True) == b"*2\r\n:0\r\n:0\r\n"


def test_a_frozen_server_answers_when_it_goes_on_and_a_paused_one_only_reads():
    server = ModelServer()
    session = server.connect()
    server.is_frozen = True
    assert server.receive(session, command(b"PING")) == b""
    server.is_frozen, server.is_paused = False, True
    assert server.receive(session, command(*XADD)) == b"+PONG\r\n"
    server.is_paused = False
    assert server.work(session) == b"$3\r\n9-1\r\n"
