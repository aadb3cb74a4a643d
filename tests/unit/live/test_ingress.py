"""When a node reads its external streams, and which ones it does not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
import redis
from nautilus_trader.live.node import TradingNode
from nautilus_trader.system.kernel import NautilusKernel

from nautilus_enhanced import ConnectionSettings
from nautilus_enhanced import EnhancedMessageBusConfig
from nautilus_enhanced import ExternalSettings
from nautilus_enhanced import health
from nautilus_enhanced import statistics
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus.streams.consumer.choosing import KeySelection
from nautilus_enhanced.live.attaching import engine_backlog
from nautilus_enhanced.live.attaching import preceded_by
from nautilus_enhanced.live.backing import ReadingBacking
from nautilus_enhanced.live.ingress import NodeIngress
from nautilus_enhanced.live.ingress import is_stock_callback
from nautilus_enhanced.live.ingress import own_streams
from nautilus_enhanced.live.verification import ingress_problems


NAMING = StreamNaming(trader_id="T-1", instance_id="i")


@pytest.mark.parametrize(
    ("flags", "own", "others"),
    [
        ({}, ["trader-T-1:stream", "trader-T-1:stream:x"], ["trader-T-11:stream", "T-1:stream"]),
        # Of an earlier process of the same trader.
        ({"use_instance_id": True}, ["trader-T-1:j:stream:x"], ["trader-T-2:i:stream"]),
        ({"use_trader_prefix": False}, ["T-1:stream"], ["trader-T-1:stream"]),
        ({"streams_prefix": "s"}, ["trader-T-1:s:x"], ["trader-T-1:stream"]),
        (
            {"use_trader_id": False, "use_instance_id": True},
            ["trader-i:stream"],
            ["trader-j:stream"],
        ),
    ],
)
def test_a_node_s_own_streams_are_told_from_others(flags, own, others):
    naming = StreamNaming(trader_id="T-1", instance_id="i", **flags)
    chooser = KeySelection(("*",), excluded=own_streams(naming)).chooser()
    assert [chooser.place_of(key.encode()) for key in own] == [None] * len(own)
    assert None not in [chooser.place_of(key.encode()) for key in others]


def test_the_node_that_is_installed_reads_as_expected():
    assert ingress_problems(TradingNode, NautilusKernel) == ()


def test_a_node_that_reads_in_another_way_is_told():
    class Node:
        async def run_async(self) -> None:
            self.kernel.msgbus_database.stream(self.publish_bus_message)

        def publish_bus_message(self, message) -> None:
            self.kernel.msgbus.publish(message.topic, self.kernel.deserialize(message))

    class Kernel:
        pass

    assert ingress_problems(Node, Kernel) == (
        "Node.publish_bus_message does not use _stream_processors",
        "Node.publish_bus_message does not use is_streaming_type",
        "Kernel.stop_async is missing",
    )


def test_a_method_of_somebody_else_is_not_taken_for_the_node_s_own():
    class Own(TradingNode):
        def publish_bus_message(self, bus_msg) -> None:
            pass

    assert is_stock_callback(TradingNode.publish_bus_message.__get__(object()))
    assert not is_stock_callback(Own.publish_bus_message.__get__(object()))
    assert not is_stock_callback(print)


async def test_what_stops_the_trader_stops_the_reading_before():
    order = []

    async def stop() -> str:
        order.append("stop")
        return "stopped"

    assert await preceded_by(lambda: order.append("first"), stop)() == "stopped"
    assert order == ["first", "stop"]


def test_the_backlog_of_stock_engines():
    sizes = ("cmd_qsize", "req_qsize", "res_qsize", "data_qsize", "evt_qsize")
    engine = SimpleNamespace(**dict.fromkeys(sizes, lambda: 1))
    kernel = SimpleNamespace(data_engine=engine, risk_engine=engine, exec_engine=engine)
    assert engine_backlog(kernel, None) == 8
    assert engine_backlog(kernel, SimpleNamespace(backlog=3)) == 3


class World:
    """An ingress on a server, in a kernel whose trader is told to run."""

    def __init__(self, url, *, streams=("trader-A:stream",), connection=None, **external) -> None:
        self.backlog = 0
        self.log = []
        self.trader = SimpleNamespace(is_running=False, is_disposed=False)
        self.came = []
        kernel = SimpleNamespace(
            loop=asyncio.get_running_loop(), trader=self.trader, msgbus=None, msgbus_serializer=None
        )
        external = {"scan_interval_ms": 100, "lease_ms": 1_000} | external
        self.ingress = NodeIngress(
            kernel,
            EnhancedMessageBusConfig(
                connection=connection or url,
                external_streams=streams,
                external=ExternalSettings(**external),
            ),
            url=url,
            naming=NAMING,
            backlog=lambda: self.backlog,
            log=SimpleNamespace(warning=self.log.append, error=self.log.append),
        )
        kernel.msgbus_database = ReadingBacking(None, self.ingress)
        self.kernel = kernel

    def note(self, message) -> None:
        self.came.append(int(message.payload))

    async def until(self, condition) -> None:
        async with asyncio.timeout(20.0):
            while not condition():  # noqa: ASYNC110 (threads change it)
                await asyncio.sleep(0.002)


@pytest.fixture
def url(server):
    return f"redis://127.0.0.1:{server.port}"


def write(store, *numbers):
    for number in numbers:
        store.xadd("trader-A:stream", {"topic": "events.order.S", "payload": str(number)})


async def test_it_reads_while_the_trader_runs_and_hands_back(store, url):
    write(store, 1, 2)
    world = World(url)
    future = world.ingress.stream(world.note)
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert not world.ingress.statistics().is_reading
    assert store.exists("nt-enhanced:group:node-T-1") == 0
    world.trader.is_running = True
    await world.until(lambda: world.came == [1, 2])
    assert statistics(world.kernel).ingress.published == 2
    # What stops the trader says so before.
    world.ingress.let_go()
    write(store, 3)
    world.trader.is_running = False
    assert not world.ingress.statistics().is_reading
    assert health(world.kernel).findings == ()
    await world.until(world.ingress._is_closed)
    assert world.came == [1, 2]
    # A trader is stopped for longer than it takes to notice.
    await world.until(lambda: not world.ingress._is_leaving)
    world.trader.is_running = True
    await world.until(lambda: world.came == [1, 2, 3])
    future.cancel()
    await world.until(world.ingress._is_closed)
    world.ingress.close()
    await world.until(lambda: store.xpending("trader-A:stream", "node-T-1")["pending"] == 0)


async def test_a_trader_that_stops_unsaid_gets_nothing_more(store, url):
    write(store, 1)
    world = World(url)
    world.trader.is_running = True
    world.ingress.stream(world.note)
    await world.until(lambda: world.came == [1])
    world.trader.is_running = False
    write(store, 2)
    await world.until(world.ingress._is_closed)
    assert world.came == [1]
    assert store.xpending("trader-A:stream", "node-T-1")["pending"] in {0, 1}
    world.trader.is_running = True
    await world.until(lambda: world.came == [1, 2])
    world.ingress.close()


async def test_it_pauses_while_the_engines_are_behind(store, url):
    write(store, *range(100))
    world = World(url, pause_above=10, resume_below=5)

    def note(message) -> None:
        world.note(message)
        world.backlog = 10

    world.trader.is_running = True
    world.ingress.stream(note)
    await world.until(lambda: world.ingress.statistics().is_paused)
    # After every 32nd it looks.
    paused_at = len(world.came)
    assert paused_at <= 33
    assert any("caught up" in reason for reason in health(world.kernel).reasons)
    world.backlog = 5
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert len(world.came) == paused_at
    while len(world.came) < 100:
        world.backlog = 0
        await asyncio.sleep(0.001)
    assert world.came == list(range(100))
    assert world.ingress.statistics().pauses >= 3
    world.ingress.close()


async def test_its_own_stream_by_name_is_warned_about_and_not_read(store, url):
    store.xadd("trader-T-1:stream", {"topic": "events.order.S", "payload": "0"})
    write(store, 1)
    world = World(url, streams=("trader-T-1:stream", "trader-A:stream"))
    world.trader.is_running = True
    world.ingress.stream(world.note)
    await world.until(lambda: world.came == [1])
    (warning,) = world.log
    assert "'trader-T-1:stream' is this node's own" in warning
    assert store.xinfo_groups("trader-T-1:stream") == []
    world.ingress.close()


async def test_a_node_that_names_its_own_streams_only_reads_nothing(store, url):
    world = World(url, streams=("trader-T-1:stream", "trader-T-1:stream:*"))
    world.trader.is_running = True
    world.ingress.stream(world.note)
    assert len(world.log) == 2
    assert not world.ingress.statistics().is_reading
    assert world.ingress._timer is None
    world.ingress.close()


async def test_it_reads_by_a_unix_socket_with_a_password_kept_elsewhere(
    make_server, tmp_path, monkeypatch
):
    running = make_server(port=0, unix_socket_path=str(tmp_path / "server.sock"))
    running.start()
    path = str(tmp_path / "server.sock")
    monkeypatch.setenv("NT_TEST_PASSWORD", "hunter2")
    with redis.Redis(unix_socket_path=path) as store:
        store.config_set("requirepass", "hunter2")
    with redis.Redis(unix_socket_path=path, password="hunter2", db=3) as store:
        write(store, 1, 2)
    url = f"unix://{path}?db=3"
    world = World(url, connection=ConnectionSettings(url=url, password_env="NT_TEST_PASSWORD"))
    world.trader.is_running = True
    world.ingress.stream(world.note)
    await world.until(lambda: world.came == [1, 2])
    assert "hunter2" not in repr(world.ingress)
    world.ingress.close()
    running.terminate()
