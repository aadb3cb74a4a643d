"""Acknowledgements beyond `accepted`, on real servers: given, refused, or an error; never less."""

import os
import signal
import sys

import pytest
import redis
from proxy import CuttingProxy

from nautilus_enhanced.infrastructure.messagebus import AckUnavailableError
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import NotConfirmedError
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import StreamSettings


NAMING = StreamNaming(trader_id="T-1")
FAST = ConnectionSettings(
    connect_timeout_ms=500, response_timeout_ms=4_000, reconnect_min_ms=1, reconnect_max_ms=50
)
ORDERS = "events.order.S-1"
# `$15\r\n1700000000000-0\r\n`, the answer to one XADD.
XADD_ANSWER = 22


@pytest.fixture
def make_client():
    made = []

    def make(port, **options):
        options = {"naming": NAMING, "connection": FAST} | options
        client = BufferedMessageBusClient(f"redis://127.0.0.1:{port}", **options)
        made.append(client)
        assert client.start(5.0)
        return client

    yield make
    for client in made:
        client.stop(0.0)


@pytest.fixture
def disk_server(make_server, tmp_path):
    # With `everysec` each of these tests would wait for most of a second.
    running = make_server(appendonly="yes", appendfsync="always", data_dir=tmp_path)
    running.start()
    yield running
    running.terminate()


@pytest.fixture
def replicated(make_server, eventually, tmp_path):
    """Run a server with one replica that is in step."""
    master = make_server(config={"repl-diskless-sync-delay": 0}, data_dir=tmp_path)
    master.start()
    (tmp_path / "replica").mkdir()
    replica = make_server(replicaof=f"127.0.0.1 {master.port}", data_dir=tmp_path / "replica")
    replica.start()
    with redis.Redis(port=master.port) as look:
        eventually(lambda: look.execute_command("WAIT", 0, 0) == 1, 20.0)
    yield master, replica
    replica.terminate()
    master.terminate()


def payloads(port):
    with redis.Redis(port=port, socket_timeout=5.0) as look:
        return [fields[b"payload"] for _, fields in look.xrange(NAMING.key(ORDERS))]


@pytest.mark.parametrize("level", ["replicated", "fsynced"])
async def test_a_level_that_the_server_cannot_give_is_refused_at_once(
    level, make_client, server, store
):
    client = make_client(server.port)
    with pytest.raises(AckUnavailableError, match=f"'{level}' cannot be given now"):
        await client.publish(ORDERS, b"", ack=level)
    assert payloads(server.port) == []
    await client.publish(ORDERS, b"less was asked for", ack="accepted")
    assert len(payloads(server.port)) == 1


async def test_a_level_that_there_is_not_is_refused(make_client, server, store):
    with pytest.raises(ConfigurationError, match="'buffered', 'accepted', 'replicated', 'fsynced'"):
        await make_client(server.port).publish(ORDERS, b"", ack="forever")


async def test_more_replicas_than_there_are_is_refused(make_client, replicated):
    master, _ = replicated
    client = make_client(master.port, streams=StreamSettings(ack_replicas=2))
    with pytest.raises(AckUnavailableError, match="1 of 2 replicas"):
        await client.publish(ORDERS, b"", ack="replicated")


async def test_a_replicated_message_is_in_the_replica_when_publish_returns(make_client, replicated):
    master, replica = replicated
    client = make_client(master.port)
    for number in range(20):
        client.offer("data.x", b"among others")
        await client.publish(ORDERS, b"%d" % number, ack="replicated")
        assert payloads(replica.port)[-1] == b"%d" % number


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be frozen there")
async def test_a_replica_that_freezes_is_an_error_and_the_message_is_there_once(
    make_client, replicated
):
    master, replica = replicated
    # On a busy machine a replica that is there answers late.
    client = make_client(master.port, streams=StreamSettings(ack_timeout_ms=2_000))
    await client.publish(ORDERS, b"1", ack="replicated")
    with redis.Redis(port=replica.port) as look:
        pid = look.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(NotConfirmedError, match="not surely replicated: 0 of 1 replicas"):
            await client.publish(ORDERS, b"2", ack="replicated")
        assert payloads(master.port) == [b"1", b"2"]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert client.statistics().connects == 1


async def test_an_fsynced_message_outlives_the_server(make_client, disk_server, tmp_path):
    client = make_client(disk_server.port)
    await client.publish(ORDERS, b"outlives it", ack="fsynced")
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.aof"))
    assert b"outlives it" in kept


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (XADD_ANSWER - 5, "the connection broke, and was made anew"),
        (XADD_ANSWER + 3, "the server closed the connection"),
    ],
)
async def test_a_cut_leaves_no_false_promise_and_the_message_is_there_once(
    count, reason, make_client, disk_server, monkeypatch
):
    with CuttingProxy(disk_server.port) as proxy:
        client = make_client(proxy.port)
        await client.publish(ORDERS, b"1", ack="fsynced")
        # Its connection would be cut instead of the writer's.
        monkeypatch.setattr(client._confirmer, "require", lambda level: None)
        proxy.cut_after("to_client", count)
        with pytest.raises(NotConfirmedError, match=f"not surely fsynced: .*{reason}"):
            await client.publish(ORDERS, b"2", ack="fsynced")
        assert proxy.cuts == 1
        await client.publish(ORDERS, b"3", ack="fsynced")
        assert payloads(disk_server.port) == [b"1", b"2", b"3"]
        client.stop()
