"""``nt-enhanced streams`` against streams of our client and of stock nodes of both versions."""

import base64
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from nautilus_enhanced.cli import app
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import DeadLetter
from nautilus_enhanced.infrastructure.messagebus import RedisStreamManager
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.streams.letters import encode_letter


RECORDED = json.loads((Path(__file__).parents[1] / "contract/wire_entries.json").read_text())
ORDERS, QUOTES = "trader-T-1:stream:events.order.S-1", "trader-T-1:stream:data.quotes.B"
OTHER, COMBINED = "trader-T-2:stream:events.order.S-9", "trader-T-3:stream"
GROUP = "risk"
PASSWORD = "hunter2-hunter2"


class Outcome:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def data(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(server, monkeypatch, capsys):
    """Return a function that runs the command in this process, without a terminal."""
    monkeypatch.setenv("NT_ENHANCED_REDIS_URL", f"redis://127.0.0.1:{server.port}")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["nt-enhanced", "streams", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            app.run()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(ended.value.code or 0, captured.out, captured.err)

    return call


def start(server, *arguments, stdin=subprocess.DEVNULL):
    """Run the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "nautilus_enhanced.cli", "streams", *map(str, arguments)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"NT_ENHANCED_REDIS_URL": f"redis://127.0.0.1:{server.port}"},
    )


def add(store, stream, number, topic=None, entry_id="*", **more):
    topic = topic or stream.rpartition(":")[2]
    payload = json.dumps({"type": "T", "n": number})
    return store.xadd(
        stream, {"topic": topic, "type": "T", "payload": payload, **more}, id=entry_id
    )


@pytest.fixture
def streams(store):
    """Write a few messages as stock 1.221, stock 1.231 and our client do."""
    ids = (f"{time.time_ns() // 1_000_000 - 1_000 + number}-0" for number in range(6))
    store.xadd(ORDERS, {"topic": "events.order.S-1", "payload": '{"type":"T","n":0}'}, id=next(ids))
    add(store, ORDERS, 1, entry_id=next(ids), encoding="Json")
    add(store, QUOTES, 2, entry_id=next(ids), encoding="json")
    add(store, OTHER, 3, entry_id=next(ids))
    add(store, COMBINED, 4, topic="events.order.S-7", entry_id=next(ids))
    add(store, COMBINED, 5, topic="data.quotes.C", entry_id=next(ids))
    return store


# -- list, groups, lag ----------------------------------------------------------------------------


def test_it_lists_what_there_is(run, streams):
    done = run("list")
    assert done.code == 0, done.err
    head, *rows, total = done.out.splitlines()
    assert head.split()[:2] == ["stream", "entries"]
    assert [row.split()[0] for row in rows] == [QUOTES, ORDERS, OTHER, COMBINED]
    assert total.startswith("4 streams, 6 entries, ")
    (found,) = run("list", "events.order.*", "--trader", "T-1", "--json").data
    assert (found["stream"], found["length"], found["groups"]) == (ORDERS, 2, 0)
    assert found["memory_bytes"] > 0
    assert found["last_id"].partition("-")[0].isdigit()


def test_nothing_is_an_exit_code_of_its_own(run, store):
    done = run("list", "nothing.*")
    assert (done.code, done.out) == (1, "No stream matches 'nothing.*'.\n")
    assert run("list", "--json").data == []
    assert run("groups").code == 1
    done = run("lag")
    assert (done.code, done.out) == (0, "No group.\n")


def test_it_shows_groups_and_how_far_behind_they_are(run, streams, server):
    with RedisStreamManager(f"redis://127.0.0.1:{server.port}") as manager:
        manager.create_group(ORDERS, GROUP, "beginning")
        manager.create_group(ORDERS, "idle", "now")
        manager.read(GROUP, "worker-1", [ORDERS], count=1)
    done = run("groups", "--consumers")
    assert done.code == 0
    assert f"{ORDERS} {GROUP}: worker-1 has 1 pending, asked " in done.out
    data = {one["group"]: one for one in run("groups", "--consumers", "--json").data}
    assert (data[GROUP]["pending"], data[GROUP]["lag"], data["idle"]["lag"]) == (1, 1, 0)
    assert [one["name"] for one in data[GROUP]["members"]] == ["worker-1"]
    assert data[GROUP]["oldest_pending"] == data[GROUP]["last_delivered"]
    assert [one["group"] for one in run("lag", "--json").data] == [GROUP, "idle"]
    assert "never" in run("lag", "--group", "idle").out
    behind = run("lag", "--above", "1")
    assert behind.code == 1
    assert GROUP in behind.out
    assert "idle" not in behind.out
    assert run("lag", "--above", "2").code == 0


# -- tail -----------------------------------------------------------------------------------------


def test_it_shows_messages_of_all_traders_by_topic(run, streams):
    done = run("tail", "events.order.*", "--from-start", "--no-follow")
    assert done.code == 0, done.err
    assert [line.split(" ", 2)[2] for line in done.out.splitlines()] == [
        'events.order.S-1 {"type":"T","n":0}',
        'events.order.S-1 {"type":"T","n":1}',
        'events.order.S-9 {"type":"T","n":3}',
        'events.order.S-7 {"type":"T","n":4}',
    ]
    assert "\x1b" not in done.out
    lines = run("tail", "*", "--from-start", "--no-follow", "--json", "--trader", "T-3").lines
    assert [(one["topic"], one["payload"]["n"]) for one in lines] == [
        ("events.order.S-7", 4),
        ("data.quotes.C", 5),
    ]
    assert lines[0]["stream"] == COMBINED
    assert len(run("tail", "--from-start", "--count", "2", "--json").lines) == 2


def standing(manager):
    return [(one.pending, one.lag, one.last_delivered) for one in manager.group_status(ORDERS)]


def test_it_begins_where_it_is_told_to(run, streams, server):
    with RedisStreamManager(f"redis://127.0.0.1:{server.port}") as manager:
        manager.create_group(ORDERS, GROUP, "beginning")
        manager.read(GROUP, "c", [ORDERS], count=1)
        before = standing(manager)
        done = run("tail", "events.order.S-1", "--group", GROUP, "--no-follow", "--json")
        assert [one["payload"]["n"] for one in done.lines] == [1]
        # Nobody notices.
        assert standing(manager) == before
    assert not run("tail", "--no-follow", "--json").lines
    assert len(run("tail", "--no-follow", "--json", "--since", "1h").lines) == 6
    assert not run("tail", "--no-follow", "--json", "--since", "2100-01-01").lines
    done = run("tail", "--since", "1h", "--from-start")
    assert done.code == 2
    assert "--since" in done.err
    assert "allowed: 90s, 10m" in run("tail", "--since", "soon").err


@pytest.mark.parametrize("version", sorted(RECORDED))
@pytest.mark.parametrize("kind", ["stock json", "stock msgpack", "enhanced msgpack"])
def test_what_nodes_wrote_becomes_the_objects_of_nautilus_trader(run, store, version, kind):
    names = []
    for entry in RECORDED[version][kind]:
        fields = {name: base64.b64decode(value) for name, value in entry}
        store.xadd("trader-T-1:stream", fields)
        names.append(fields["topic"].decode())
    done = run("tail", "--from-start", "--no-follow", "--objects")
    assert done.code == 0
    shown = [line.split(" ", 2)[2] for line in done.out.splitlines()]
    assert len(shown) == len(names) > 5
    for name, line in zip(names, shown, strict=True):
        topic, body = line.split(" ", 1)
        assert topic == name
        assert body.startswith(f"{name.rpartition('.')[2]}(")


@pytest.mark.timeout(60)
def test_it_follows_finds_new_streams_and_ends_with_ctrl_c(server, store, eventually):
    add(store, ORDERS, 0)
    store.config_resetstat()
    process = start(server, "tail", "events.*", "--json")
    try:
        # It has begun when it shows something; what it shows first is not the first.
        numbers = iter(range(1, 10_000))

        def shows_something():
            add(store, ORDERS, next(numbers))
            time.sleep(0.02)
            return store.info("commandstats").get("cmdstat_xread", {}).get("calls", 0) > 0

        eventually(shows_something)
        last = next(numbers)
        add(store, ORDERS, last)
        while json.loads(process.stdout.readline())["payload"]["n"] != last:
            pass
        add(store, OTHER, 77)
        line = json.loads(process.stdout.readline())
        assert (line["stream"], line["payload"]["n"]) == (OTHER, 77)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10.0)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        process.kill()
        process.wait(10.0)


def test_who_reads_may_go_away(server, store):
    for number in range(200):
        add(store, ORDERS, number)
    process = start(server, "tail", "--from-start")
    try:
        assert process.stdout.readline()
        process.stdout.close()
        add(store, ORDERS, 0)
        assert process.wait(20.0) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait(10.0)


def test_a_payload_cannot_talk_to_the_terminal(run, store):
    store.xadd(ORDERS, {"topic": "events.\x1b[2J", "payload": b"\x1b]0;x\x07\x9b31m"})
    done = run("tail", "*", "--from-start", "--no-follow")
    assert done.code == 0
    assert all(line.isprintable() for line in done.out.splitlines())
    assert "\\x1b[2J" in done.out


def test_our_client_is_shown_with_what_it_marks(run, server, store):
    client = BufferedMessageBusClient(
        f"redis://127.0.0.1:{server.port}",
        naming=StreamNaming(trader_id="T-1"),
        encoding="msgpack",
    )
    assert client.start(5.0)
    client.offer("events.order.S-1", b"\x81\xa1n\x07")
    assert client.flush_blocking(5.0)
    client.stop(1.0)
    (line,) = run("tail", "events.*", "--from-start", "--no-follow", "--json").lines
    assert line["payload"] == {"n": 7}


# -- trim -----------------------------------------------------------------------------------------


@pytest.fixture
def old(store, server):
    at_ms = time.time_ns() // 1_000_000 - 3_600_000
    for stream in (ORDERS, QUOTES):
        for number in range(300):
            store.xadd(stream, {"topic": "t", "payload": "p"}, id=f"{at_ms}-{number}")
    with RedisStreamManager(f"redis://127.0.0.1:{server.port}") as manager:
        manager.create_group(ORDERS, GROUP, "beginning")
        manager.read(GROUP, "c", [ORDERS], count=1)
    return store


def test_trimming_is_shown_and_done_only_if_it_is_agreed_to(run, old):
    for options in ([], ["--dry-run"], ["--json"]):
        done = run("trim", *options)
        assert done.code == 0
        assert "Nothing was removed" in done.out + done.err
        assert old.xlen(ORDERS) == old.xlen(QUOTES) == 300
    text = run("trim", "--dry-run").out
    assert f"{QUOTES}: of 300 entries 300 from before " in text
    assert f"group {GROUP} needs what is from " in text
    (quotes, orders) = run("trim", "--dry-run", "--json").data
    assert (quotes["too_old"], quotes["held_by"]) == (300, None)
    assert (orders["too_old"], orders["held_by"]) == (0, GROUP)
    done = run("trim", "--yes")
    assert done.code == 0
    assert "entries were removed." in done.out
    assert old.xlen(QUOTES) < 100
    assert old.xlen(ORDERS) == 300


@pytest.mark.parametrize(("answer", "left"), [("n", 300), ("y", 0)])
def test_on_a_terminal_it_is_asked(server, old, answer, left):
    ours, theirs = pty.openpty()
    process = start(server, "trim", "data.*", stdin=theirs)
    try:
        os.write(ours, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=30.0)
        assert "Remove it from 1 streams? [y/N]" in out
        assert process.returncode == 0
        assert old.xlen(QUOTES) == left
    finally:
        process.kill()
        process.wait(10.0)
        os.close(ours)
        os.close(theirs)


def test_trimming_beyond_what_a_group_needs_is_told(run, old):
    done = run("trim", "events.*", "--max-entries", "10", "--hard-cap", "50", "--yes", "--json")
    (orders,) = done.data
    assert (orders["over_hard_cap"], orders["too_many"]) == (250, 290)
    assert (orders["removed"], orders["gap"]) == (250, 250)
    assert "250 of them still needed by a group" in done.err
    assert old.xlen(ORDERS) == 50


def test_what_trim_does_not_allow_is_said(run, old):
    assert "was 0, allowed: 1 to 525,600" in run("trim", "--max-age", "0").err
    done = run("trim", "--dry-run", "--yes")
    assert done.code == 2
    assert "No stream matches" in run("trim", "nothing").out


# -- dlq ------------------------------------------------------------------------------------------


@pytest.fixture
def letters(store, server):
    """Return the IDs of three dead letters."""
    connection = store.connection_pool.get_connection()
    ids = []
    for number in range(3):
        letter = DeadLetter(
            topic="events.order.S-1",
            payload=b'{"type":"T","n":%d}' % number,
            stream=ORDERS,
            entry_id=(5, number),
            group=GROUP,
            consumer="c",
            error="no such instrument",
            error_type="KeyError",
            deliveries=3,
            failed_at=1_700_000_000_000_000_000,
        )
        connection.send_packed_command([encode_letter(letter)[1]])
        ids.append(connection.read_response().decode())
    store.connection_pool.release(connection)
    return ids


def test_dead_letters_are_listed_and_shown(run, letters):
    assert run("dlq", "list").out == f"{GROUP}: 3 dead letters\n"
    assert run("dlq", "list", "--json").data == [{"group": GROUP, "letters": 3}]
    listed = run("dlq", "list", GROUP)
    assert listed.code == 0
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == letters
    assert "KeyError: no such instrument" in listed.out
    assert f"--after {letters[1]}" in run("dlq", "list", GROUP, "--count", "2").out
    (last,) = run("dlq", "list", GROUP, "--after", letters[1], "--json").data
    assert (last["letter_id"], last["payload"]) == (letters[2], {"type": "T", "n": 2})
    shown = run("dlq", "show", GROUP, letters[0])
    assert shown.code == 0
    assert '{"type":"T","n":0}' in shown.out
    assert f"5-0 in {ORDERS}" in shown.out
    assert run("dlq", "show", GROUP, letters[0], "--json").data["entry_id"] == "5-0"
    missing = run("dlq", "show", GROUP, "1-1")
    assert missing.code == 1
    assert "a dead letter of risk" in missing.err
    assert run("dlq", "show", GROUP, "nonsense").code == 2
    assert "has no dead letters" in run("dlq", "list", "nobody").out


def test_dead_letters_are_given_back_and_thrown_away_only_if_it_is_agreed_to(run, letters, store):
    dead, retry = f"nt-enhanced:dlq:{GROUP}", f"nt-enhanced:retry:{GROUP}"
    for verb in ("requeue", "purge"):
        assert "--yes goes on" in run("dlq", verb, GROUP, "--all").err
        assert run("dlq", verb, GROUP, "--yes").code == 2
        assert run("dlq", verb, GROUP, "--all", letters[0]).code == 2
    assert (store.xlen(dead), store.xlen(retry)) == (3, 0)
    done = run("dlq", "requeue", GROUP, letters[1], "--yes")
    assert (done.code, done.out) == (0, "1 dead letters were given back.\n")
    assert (store.xlen(dead), store.xlen(retry)) == (2, 1)
    done = run("dlq", "requeue", GROUP, letters[1], letters[0], "--yes", "--json")
    assert (done.code, done.data) == (1, {"done": 1, "missing": 1})
    done = run("dlq", "purge", GROUP, "--all", "--yes")
    assert (done.code, done.out) == (0, "1 dead letters were thrown away.\n")
    assert (store.xlen(dead), store.xlen(retry)) == (0, 2)
    assert run("dlq", "list").out == "No group has dead letters.\n"
    assert run("dlq", "purge", GROUP, "--all", "--yes").out.startswith("0 dead")


# -- trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [["list"], ["tail"], ["groups"], ["lag"], ["trim"], ["dlq", "list"], ["dlq", "list", "g"]],
)
def test_a_server_that_is_not_there_is_a_sentence(run, free_port, words):
    url = f"redis://:{PASSWORD}@127.0.0.1:{free_port()}"
    done = run(*words, "--redis-url", url)
    assert done.code == 2
    assert "cannot be reached" in done.err
    assert PASSWORD not in done.err + done.out


def test_what_the_login_may_not_do_is_a_sentence(run, streams, server):
    rules = ("on", ">pass", "~trader-*", "+@read", "+info", "+client", "+time", "-scan")
    streams.execute_command("ACL", "SETUSER", "reader", *rules)
    try:
        url = f"redis://reader:pass@127.0.0.1:{server.port}"
        done = run("list", "--redis-url", url)
        assert done.code == 1
        assert "may not run SCAN" in done.err
        done = run("dlq", "list", "g", "--redis-url", url)
        assert done.code == 2
        assert "may not run XRANGE" in done.err
    finally:
        streams.execute_command("ACL", "DELUSER", "reader")


def test_a_tail_gives_up_when_nobody_answers_for_too_long(make_server):
    server = make_server()
    server.start()
    with redis.Redis(port=server.port) as store:
        add(store, ORDERS, 0)
        process = start(server, "tail", "--from-start", "--timeout", "0.5")
    try:
        assert process.stdout.readline()
        server.terminate()
        _, err = process.communicate(timeout=30.0)
        assert process.returncode == 2
        assert "trying again" in err
        assert "Error: " in err
    finally:
        process.kill()
        process.wait(10.0)


def test_wrong_input_is_a_sentence(run, store):
    assert "1 to 256 printable" in run("list", "a b").err
    assert "`trader_id`" in run("list", "--trader", "a b").err
    assert "connection.url" in run("list", "--redis-url", "http://x").err
    assert run("nonsense").code == 2


@pytest.mark.parametrize("words", [[], ["tail"], ["trim"], ["dlq"], ["lag"]])
def test_the_help_has_examples_and_exit_codes(run, words):
    done = run(*words, "--help")
    assert done.code == 0
    assert "Examples:" in done.out
    assert "Exits with 0" in done.out
