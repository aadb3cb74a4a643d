"""A master, its replica and their sentinels: the writer follows a failover."""

import contextlib
import signal

import pytest
import redis
from redis.sentinel import Sentinel

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import StreamNaming


NAMING = StreamNaming(trader_id="T-1")
FAST = {
    "connect_timeout_ms": 500,
    "response_timeout_ms": 1_000,
    "reconnect_min_ms": 1,
    "reconnect_max_ms": 50,
}
ORDERS = "events.order.S-1"
SERVICE = "Trading-bus"


class Group:
    """One service of two servers and the sentinels that watch over it."""

    def __init__(self, servers, sentinels):
        self.servers = servers
        self.sentinels = sentinels
        self.manager = Sentinel([("127.0.0.1", port) for port in sentinels], socket_timeout=2.0)

    @property
    def addresses(self):
        return tuple(f"127.0.0.1:{port}" for port in self.sentinels)

    def master_port(self):
        with contextlib.suppress(redis.RedisError):
            return self.manager.discover_master(SERVICE)[1]

    def has_replica(self):
        return bool(self.manager.discover_slaves(SERVICE))

    def fail_over(self):
        """Ask for another master; return whether the sentinel will see to it."""
        with redis.Redis(port=self.sentinels[0], socket_timeout=2.0) as client:
            try:
                client.execute_command("SENTINEL", "FAILOVER", SERVICE)
            except redis.ResponseError:
                return False  # it has not looked at the replica yet
        return True


def knows_all(port, others):
    with redis.Redis(port=port, socket_timeout=2.0) as client:
        state = client.sentinel_masters().get(SERVICE, {})
        return state.get("num-other-sentinels") == others and state.get("num-slaves") == 1


@pytest.fixture
def group(request, make_server, start_sentinel, eventually):
    count = request.param
    # Else a master waits five seconds for more replicas before it sends anything to one.
    servers = [make_server(**{"repl-diskless-sync-delay": 0}) for _ in range(2)]
    for server in servers:
        server.start()
    master, replica = servers
    with redis.Redis(port=replica.port) as client:
        client.replicaof("127.0.0.1", master.port)
        eventually(lambda: client.info("replication")["master_link_status"] == "up", 20.0)
    sentinels = [start_sentinel(SERVICE, master.port, quorum=count // 2 + 1) for _ in range(count)]
    made = Group(servers, sentinels)
    eventually(lambda: all(knows_all(port, count - 1) for port in sentinels), 30.0)
    yield made
    for server in servers:
        server.terminate()


@pytest.fixture
def client(group):
    made = BufferedMessageBusClient(
        f"redis://{SERVICE}",
        naming=NAMING,
        connection=ConnectionSettings(sentinels=group.addresses, **FAST),
    )
    assert made.start(5.0)
    yield made
    made.stop(0.0)


def payloads(port):
    with redis.Redis(port=port, socket_timeout=2.0) as store:
        return [fields[b"payload"] for _, fields in store.xrange(NAMING.key(ORDERS))]


def numbered(count):
    return [b"%d" % number for number in range(count)]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("group", [1], indirect=True)
def test_a_planned_failover_is_followed_and_everything_arrives_once(group, client, eventually):
    old = group.master_port()
    for server in group.servers:
        with redis.Redis(port=server.port) as store:
            # Else the old master goes on accepting until it is told that it is none any more.
            store.config_set("min-replicas-to-write", 1)
    for number in numbered(500):
        client.offer(ORDERS, number)
    assert client.flush_blocking(10.0)
    # What is not replicated when the master changes is lost with it, whoever wrote it.
    with redis.Redis(port=old) as master:
        assert master.wait(1, 5_000) == 1
    eventually(group.fail_over, 30.0)
    eventually(lambda: group.master_port() not in (None, old), 30.0)
    for number in range(500, 1_000):
        client.offer(ORDERS, b"%d" % number)
    assert client.flush_blocking(30.0)
    assert payloads(group.master_port()) == numbered(1_000)
    assert client.statistics().second_writer == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("group", [3], indirect=True)
def test_a_master_that_dies_is_replaced_and_nothing_is_doubled(group, client, eventually):
    old = group.master_port()
    (dying,) = [server for server in group.servers if server.port == old]
    with redis.Redis(port=old) as master:
        # Nothing is accepted that the replica has not had a chance to get.
        master.config_set("min-replicas-to-write", 1)
    for number in numbered(200):
        client.offer(ORDERS, number)
    assert client.flush_blocking(10.0)
    with redis.Redis(port=old) as master:
        assert master.wait(1, 5_000) == 1
    dying._process.send_signal(signal.SIGSTOP)
    for number in range(200, 400):
        client.offer(ORDERS, b"%d" % number)
    try:
        eventually(lambda: group.master_port() not in (None, old), 60.0)
        assert client.flush_blocking(30.0)
    finally:
        dying._process.send_signal(signal.SIGCONT)
    assert payloads(group.master_port()) == numbered(400)
    # The old master comes back, is made a replica, and adds nothing of what it still had to read.
    with redis.Redis(port=old, socket_timeout=5.0) as returned:
        eventually(lambda: returned.info("replication")["role"] == "slave", 30.0)
        eventually(lambda: returned.info("replication")["master_link_status"] == "up", 30.0)
    assert payloads(old) == numbered(400)
    assert payloads(group.master_port()) == numbered(400)


def test_a_service_that_no_sentinel_knows_is_named(start_sentinel, server):
    port = start_sentinel(SERVICE, server.port, quorum=1)
    client = BufferedMessageBusClient(
        "redis://unheard-of",
        naming=NAMING,
        connection=ConnectionSettings(sentinels=("127.0.0.1:1", f"127.0.0.1:{port}"), **FAST),
    )
    try:
        assert not client.start(5.0)
        assert "No master found for 'unheard-of'" in client.statistics().last_error
    finally:
        client.stop(0.0)
