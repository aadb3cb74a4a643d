"""``nt-enhanced journal``: what waits is shown and sent, and nothing is taken from who has it."""

import json
import os
import subprocess
import sys

import pytest

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus import StreamNaming


NAMING = StreamNaming(trader_id="TRADER-001")
ORDERS, QUOTES = "events.order.A", "data.quotes.Q"
PASSWORD = "hunter2-hunter2"


def run(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "nautilus_enhanced.cli", "journal", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
        env=os.environ | environment,
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "nt-enhanced"


@pytest.fixture
def make_client(folder, free_port):
    def make(encoding="msgpack"):
        return BufferedMessageBusClient(
            f"redis://127.0.0.1:{free_port()}",
            naming=NAMING,
            encoding=encoding,
            durability=DurabilitySettings(high="always", normal="spill", directory=str(folder)),
            connection=ConnectionSettings(connect_timeout_ms=100),
        )

    return make


@pytest.fixture
def journal(make_client, folder):
    client = make_client()
    client.start(0.1)
    for number in range(100):
        client.offer(ORDERS, b"%d" % number)
        client.offer(QUOTES, b"%d" % number)
    client.stop(0.1)
    return folder / "TRADER-001-stream.journal"


def test_it_shows_what_waits(journal, tmp_path):
    done = run("show", XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 0
    assert f"{journal}: 200 messages of TRADER-001 wait" in done.stdout
    assert "HIGH" in done.stdout
    assert "NORMAL" in done.stdout
    assert "CRITICAL" not in done.stdout
    (found,) = json.loads(run("show", journal, "--json").stdout)
    assert found["lanes"][1] | {"oldest_ns": 0} == {
        "priority": "HIGH",
        "messages": 100,
        "maybe_sent": 0,
        "oldest_ns": 0,
    }
    assert found["encoding"] == "MsgPack"


def test_it_sends_what_waits_once(journal, server, store):
    url = f"redis://127.0.0.1:{server.port}"
    dry = run("drain", journal, "--redis-url", url, "--dry-run")
    assert dry.returncode == 0
    assert "Nothing was sent." in dry.stdout
    assert store.dbsize() == 0
    done = run("drain", journal, "--redis-url", url)
    assert done.returncode == 0, done.stderr
    assert "200 messages were sent, 0 were there already, 0 are left." in done.stdout
    for topic in (ORDERS, QUOTES):
        entries = [fields for _, fields in store.xrange(NAMING.key(topic))]
        assert [int(fields[b"payload"]) for fields in entries] == list(range(100))
        assert {fields[b"encoding"] for fields in entries} == {b"MsgPack"}
    again = run("drain", journal, "--redis-url", url, "--json")
    assert json.loads(again.stdout) == {"sent": 0, "found": 0, "left": 0, "lost": 0, "unknown": 0}
    assert store.xlen(NAMING.key(ORDERS)) == 100


def test_a_server_that_is_not_there_leaves_everything(journal, free_port):
    url = f"redis://:{PASSWORD}@127.0.0.1:{free_port()}"
    done = run("drain", journal, NT_ENHANCED_REDIS_URL=url)
    assert done.returncode == 2
    assert "cannot be reached" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert "200 messages" in run("show", journal).stdout


def test_a_journal_in_use_is_shown_and_not_taken(make_client, folder):
    client = make_client()
    client.start(0.1)
    client.offer(ORDERS, b"1")
    assert client.save(5.0)
    path = folder / "TRADER-001-stream.journal"
    shown = run("show", path)
    assert f"in use by process {os.getpid()}" in shown.stdout
    assert "1 messages" in shown.stdout
    done = run("drain", path, "--redis-url", "redis://localhost")
    assert done.returncode == 2
    assert f"in use by process {os.getpid()}" in done.stderr
    client.stop(0.0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "there is no file"), (b"a letter" * 200, "is no journal that can be read")],
)
def test_what_is_no_journal_is_said(tmp_path, content, sentence):
    path = tmp_path / "x.journal"
    if content is not None:
        path.write_bytes(content)
    for arguments in (("show", path), ("drain", path, "--redis-url", "redis://localhost")):
        done = run(*arguments)
        assert done.returncode == 2
        assert sentence in done.stderr
    assert content is None or path.read_bytes() == content


def test_no_journal_at_all_is_no_error(tmp_path):
    done = run("show", XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 0
    assert done.stdout == f"No journal in {tmp_path / 'nt-enhanced'}.\n"


def test_a_bad_url_is_a_sentence(journal):
    done = run("drain", journal, "--redis-url", f"redis://:{PASSWORD}@host:port")
    assert done.returncode == 2
    assert PASSWORD not in done.stderr


def test_help_has_examples():
    assert "nt-enhanced journal drain" in run("--help").stdout
