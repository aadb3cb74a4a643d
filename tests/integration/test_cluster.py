"""A cluster of three masters: each stream on its node, slots that move, nodes that die."""

import contextlib
import itertools
import threading

import pytest
import redis
from redis.crc import key_slot

from nautilus_enhanced.infrastructure.messagebus import AckUnavailableError
from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import RedisStreamManager
from nautilus_enhanced.infrastructure.messagebus import StreamClient
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus import TrimmingSettings


NAMING = StreamNaming(trader_id="T-1")
FAST = ConnectionSettings(
    cluster=True,
    connect_timeout_ms=500,
    response_timeout_ms=1_000,
    reconnect_min_ms=1,
    reconnect_max_ms=50,
)
TOPICS = [f"events.order.S-{number}" for number in range(30)]
SLOTS = 16_384


class Cluster:
    """Three masters, each with a third of the slots."""

    def __init__(self, servers, eventually):
        self._eventually = eventually
        self.servers = servers
        self.stores = [
            redis.Redis(port=server.port, socket_timeout=5.0, decode_responses=False)
            for server in servers
        ]
        self.ids = [store.execute_command("CLUSTER", "MYID").decode() for store in self.stores]

    def is_whole(self):
        return all(
            b"cluster_state:ok" in store.execute_command("CLUSTER", "INFO")
            and b"cluster_slots_ok:16384" in store.execute_command("CLUSTER", "INFO")
            for store in self.stores
        )

    def owner(self, slot):
        """Return the index of the master that serves a slot, or None if the nodes disagree."""
        owners = {self._owner_as_seen_by(store, slot) for store in self.stores}
        return owners.pop() if len(owners) == 1 else None

    def _owner_as_seen_by(self, store, slot):
        for first, last, master, *_ in store.execute_command("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return self.ids.index(master[2].decode())
        return None

    def epochs(self):
        """Return the number of the last change of slots that each node has heard of."""
        infos = [store.execute_command("CLUSTER", "INFO") for store in self.stores]
        return {info.partition(b"cluster_current_epoch:")[2].split()[0] for info in infos}

    def payloads(self, topic):
        """Return what is in a stream, wherever it is; on one node only."""
        found = []
        for store in self.stores:
            with contextlib.suppress(redis.RedisError):
                found += [fields[b"payload"] for _, fields in store.xrange(NAMING.key(topic))]
        return found

    def migrate(self, slot, target):
        """Move a slot to another master as cluster tools do, with all keys in it."""
        # Nodes that have not yet heard of the last move may take back a slot, and delete the keys
        # in it. Nobody can do anything about that but the one who moves them.
        self._eventually(lambda: self.owner(slot) is not None and len(self.epochs()) == 1, 20.0)
        source = self.owner(slot)
        if source == target:
            return
        here, there = self.stores[source], self.stores[target]
        there.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[source])
        here.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[target])
        port = self.servers[target].port
        while keys := here.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            for key in keys:
                here.execute_command("MIGRATE", "127.0.0.1", port, key, 0, 5_000)
        others = [store for store in self.stores if store not in (there, here)]
        for store in (there, here, *others):
            store.execute_command("CLUSTER", "SETSLOT", slot, "NODE", self.ids[target])


@pytest.fixture(scope="module")
def start_node(make_server, free_port):
    def start():
        bus_port = free_port()
        options = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": 2_000,
            # The default is the port and 10,000, which a random port may not leave room for.
            "cluster-port": bus_port,
            # Else a replica waits five seconds for others before it gets anything.
            "repl-diskless-sync-delay": 0,
        }
        server = make_server(**options)
        server.start()
        return server, bus_port

    return start


@pytest.fixture(scope="module")
def cluster(start_node, eventually):
    servers, bus_ports = zip(*(start_node() for _ in range(3)), strict=True)
    made = Cluster(list(servers), eventually)
    bounds = [SLOTS * third // 3 for third in range(4)]
    for store, (first, end) in zip(made.stores, itertools.pairwise(bounds), strict=True):
        store.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
    for server, bus_port in zip(servers[1:], bus_ports[1:], strict=True):
        made.stores[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, bus_port)
    eventually(made.is_whole, 30.0)
    yield made
    for store in made.stores:
        store.close()
    for server in servers:
        server.terminate()


@pytest.fixture
def client(cluster):
    for store in cluster.stores:
        store.flushall()
    made = BufferedMessageBusClient(
        f"redis://127.0.0.1:{cluster.servers[0].port}", naming=NAMING, connection=FAST
    )
    assert made.start(5.0)
    yield made
    made.stop(0.0)


def numbered(count):
    return [b"%d" % number for number in range(count)]


def test_every_stream_is_on_its_node_and_in_order(cluster, client):
    for number in numbered(200):
        for topic in TOPICS:
            assert client.offer(topic, number)
    assert client.flush_blocking(20.0)
    assert all(cluster.payloads(topic) == numbered(200) for topic in TOPICS)
    assert all(store.dbsize() > 0 for store in cluster.stores)
    assert client.statistics().connects == 1


def test_everything_arrives_once_however_often_the_nodes_drop_us(cluster, client):
    rounds = 40
    for number in range(rounds):
        for part, topic in itertools.product(range(3), TOPICS):
            assert client.offer(topic, b"%d" % (number * 3 + part))
        for store in cluster.stores[number % 3 :]:
            store.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert client.flush_blocking(20.0)
    for topic in TOPICS:
        assert cluster.payloads(topic) == numbered(rounds * 3)
    figures = client.statistics()
    assert figures.connects > 1
    assert figures.second_writer == 0


@pytest.mark.parametrize("kills", [False, True])
def test_slots_that_move_while_we_publish_lose_and_double_nothing(
    cluster, client, eventually, kills
):
    done = threading.Event()
    counts = itertools.count()
    published = 0

    def publish():
        nonlocal published
        while not done.is_set():
            number = b"%d" % next(counts)
            for topic in TOPICS:
                while not client.offer(topic, number):
                    done.wait(0.001)
            published += 1
            done.wait(0.0005)

    publishing = threading.Thread(target=publish)
    publishing.start()
    try:
        for round_ in range(3):
            for index, topic in enumerate(TOPICS):
                slot = key_slot(NAMING.key(topic).encode())
                cluster.migrate(slot, (index + round_) % 3)
                if kills:
                    store = cluster.stores[index % 3]
                    store.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    finally:
        done.set()
        publishing.join(10.0)
    assert client.flush_blocking(30.0)
    eventually(cluster.is_whole)
    for topic in TOPICS:
        assert cluster.payloads(topic) == numbered(published)
    assert client.statistics().second_writer == 0


def test_a_new_stream_in_a_slot_that_is_moving_goes_where_it_will_be(cluster, client):
    """The server asks for it there: a transaction of several messages follows."""
    topic = "events.order.moving"
    slot = key_slot(NAMING.key(topic).encode())
    source = cluster.owner(slot)
    target = (source + 1) % 3
    here, there = cluster.stores[source], cluster.stores[target]
    there.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.ids[source])
    here.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.ids[target])
    try:
        for number in numbered(300):
            assert client.offer(topic, number)
        assert client.flush_blocking(10.0)
        assert here.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
        assert there.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
    finally:
        others = [store for store in cluster.stores if store not in (there, here)]
        for store in (there, here, *others):
            store.execute_command("CLUSTER", "SETSLOT", slot, "NODE", cluster.ids[target])
    assert cluster.payloads(topic) == numbered(300)


async def test_an_acknowledgement_is_given_by_every_node_or_not_at_all(cluster, client):
    with pytest.raises(AckUnavailableError, match="0 of 1 replicas"):
        await client.publish(TOPICS[0], b"", ack="replicated")
    with pytest.raises(AckUnavailableError, match="appendonly"):
        await client.publish(TOPICS[0], b"", ack="fsynced")
    try:
        for store in cluster.stores[1:]:
            store.config_set("appendonly", "yes")
        with pytest.raises(AckUnavailableError, match="appendonly"):
            await client.publish(TOPICS[0], b"", ack="fsynced")
        cluster.stores[0].config_set("appendonly", "yes")
        for topic in TOPICS[:6]:
            await client.publish(topic, b"on disk", ack="fsynced")
            assert cluster.payloads(topic) == [b"on disk"]
    finally:
        for store in cluster.stores:
            store.config_set("appendonly", "no")


def test_a_slot_that_nobody_serves_is_waited_for(cluster, client, eventually):
    topic = TOPICS[0]
    slot = key_slot(NAMING.key(topic).encode())
    owner = cluster.owner(slot)
    for store in cluster.stores:
        store.execute_command("CLUSTER", "DELSLOTS", slot)
    client.offer(topic, b"waits")
    eventually(lambda: "CLUSTERDOWN" in client.statistics().last_error)
    assert not client.flush_blocking(0.0)
    cluster.stores[owner].execute_command("CLUSTER", "ADDSLOTS", slot)
    assert client.flush_blocking(20.0)
    eventually(cluster.is_whole, 20.0)
    assert cluster.payloads(topic) == [b"waits"]


def replicates(store, master_id):
    try:
        store.execute_command("CLUSTER", "REPLICATE", master_id)
    except redis.ResponseError:
        return False  # it has not heard of its master yet
    return True


@pytest.mark.timeout(120)
def test_a_node_that_dies_is_replaced_by_its_replica(cluster, client, start_node, eventually):
    """The last test of this module: the cluster is another one after it."""
    victim = 1
    master = cluster.stores[victim]
    server, bus_port = start_node()
    replica = redis.Redis(port=server.port, socket_timeout=5.0)
    cluster.stores[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, bus_port)
    eventually(lambda: replicates(replica, cluster.ids[victim]), 20.0)
    eventually(lambda: replica.info("replication")["master_link_status"] == "up", 20.0)
    # The others must know the replica too, since they elect it.
    eventually(
        lambda: all(store.execute_command("CLUSTER", "NODES").count(b"\n") == 4
                    for store in cluster.stores), 20.0
    )  # fmt: skip
    for number in numbered(100):
        for topic in TOPICS:
            assert client.offer(topic, number)
    assert client.flush_blocking(20.0)
    assert master.execute_command("WAIT", 1, 5_000) == 1
    cluster.servers[victim].terminate()
    for number in range(100, 200):
        for topic in TOPICS:
            assert client.offer(topic, b"%d" % number)
    assert client.flush_blocking(60.0)
    cluster.stores[victim] = replica
    for topic in TOPICS:
        assert cluster.payloads(topic) == numbered(200)


def test_the_manager_finds_and_reads_streams_on_every_node(cluster, client):
    for topic in TOPICS:
        assert client.offer(topic, b"1")
    assert client.flush_blocking(20.0)
    keys = tuple(sorted(NAMING.key(topic) for topic in TOPICS))
    with RedisStreamManager(
        f"redis://127.0.0.1:{cluster.servers[0].port}", connection=FAST, max_scanned=1_000
    ) as manager:
        # One step of a look goes to one node.
        found = [manager.find_streams("events.order.*") for _ in range(3)]
        assert [one.complete for one in found] == [False, False, True]
        assert found[-1].streams == keys
        for key in keys:
            assert manager.create_group(key, "g", "beginning")
        messages = manager.read("g", "c", keys)
        assert sorted(message.stream for message in messages) == list(keys)
        assert manager.acknowledge("g", messages) == len(keys)
        assert {one.pending for one in manager.group_status(*keys)} == {0}
        assert [one.length for one in manager.stream_status(*keys)] == [1] * len(keys)
        again = manager.read_after(dict.fromkeys(keys, (0, 0)))
        assert sorted(message.stream for message in again) == list(keys)
        # All is handled, so that nothing holds it back.
        outcomes = manager.trim(manager.plan_trim(keys, TrimmingSettings(hard_cap_entries=1)))
        assert {(one.removed, one.gap) for one in outcomes} == {(0, 0)}
        assert client.offer(TOPICS[0], b"2")
        assert client.flush_blocking(20.0)
        outcomes = manager.trim(manager.plan_trim(keys, TrimmingSettings(hard_cap_entries=1)))
        assert sum(one.removed for one in outcomes) == 1


@pytest.mark.parametrize("group", [None, "risk"])
def test_a_subscription_reads_the_streams_of_all_nodes_in_order(cluster, client, eventually, group):
    handled = {topic: [] for topic in TOPICS}
    url = f"redis://127.0.0.1:{cluster.servers[0].port}"
    settings = SubscriptionSettings(lease_ms=1_000, scan_interval_ms=200)
    with StreamClient(url, naming=NAMING, connection=FAST) as consumer:
        subscription = consumer.subscribe(
            "events.order.*",
            lambda message: handled[message.topic].append(message.payload),
            group=group,
            settings=settings,
        )
        assert subscription.wait_until_ready(10.0)
        for number in numbered(100):
            for topic in TOPICS:
                assert client.offer(topic, number)
        eventually(lambda: all(len(numbers) >= 100 for numbers in handled.values()), 20.0)
        # Nodes that drop us cost nothing, and no order.
        for store in cluster.stores if group else ():
            store.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for number in numbered(200)[100:]:
            for topic in TOPICS:
                assert client.offer(topic, number)
        eventually(lambda: all(len(numbers) >= 200 for numbers in handled.values()), 20.0)
        if group:
            eventually(lambda: subscription.statistics().acknowledged >= 200 * len(TOPICS))
    assert all(numbers == numbered(200) for numbers in handled.values())
