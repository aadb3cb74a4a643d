"""Connections are watched by being told, and by asking sockets, real ones among them."""

from __future__ import annotations

import asyncio
import time

import nautilus_trader
import pytest
from aiohttp import web
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.core.nautilus_pyo3 import WebSocketClient
from nautilus_trader.core.nautilus_pyo3 import WebSocketConfig

from nautilus_enhanced.adapters import links
from nautilus_enhanced.adapters.links import LinkPoll
from nautilus_enhanced.adapters.links import LinkWatch
from nautilus_enhanced.adapters.links import hook_reconnects
from nautilus_enhanced.adapters.links import is_up
from nautilus_enhanced.adapters.links import sockets_of
from nautilus_enhanced.adapters.observer import ClientObserver


VERSION = nautilus_trader.__version__


class Socket:
    def __init__(self, up=False):
        self.up = up

    def is_active(self):
        return self.up


class Owner:
    calls = 0

    def on_reconnect(self, number=0):
        self.calls += 1
        return number

    async def reconnect(self):
        return "done"


class Client:
    def __init__(self):
        self.owner = Owner()
        self.one = Socket()
        self.many = {"a": Socket(), "b": Socket()}
        self.later = None
        self.other = object()

    async def _reconnect(self):
        return "client"


@pytest.fixture
def observer():
    return ClientObserver("SIM", "data", "Client", pytest.fail)


def reconnects(observer):
    return observer.statistics().connection.reconnects


def test_a_hook_tells_and_does_what_was_done(observer):
    client = Client()
    hooks = (("owner", "on_reconnect"), ("owner", "missing"), ("missing", "on_reconnect"))
    assert hook_reconnects(client, hooks, observer) == 1
    assert client.owner.on_reconnect(3) == 3
    assert client.owner.on_reconnect(number=4) == 4
    assert client.owner.calls == reconnects(observer) == 2


async def test_a_hook_of_the_client_s_own_may_be_a_coroutine(observer):
    client = Client()
    assert hook_reconnects(client, (("", "_reconnect"), ("owner", "reconnect")), observer) == 2
    assert await client._reconnect() == "client"
    assert await client.owner.reconnect() == "done"
    assert reconnects(observer) == 2


def test_an_error_in_a_hook_stays_with_us(monkeypatch):
    said = []
    observer = ClientObserver("SIM", "data", "Client", said.append)
    client = Client()
    hook_reconnects(client, (("owner", "on_reconnect"),), observer)
    monkeypatch.setattr(type(observer.connection), "note_reconnect", lambda _: 1 / 0)
    assert client.owner.on_reconnect(5) == 5
    assert (observer.statistics().errors, len(said)) == (1, 1)


def test_sockets_are_found_where_they_are_now():
    client = Client()
    names = ("one", "many", "later", "missing")
    assert [name for name, _ in sockets_of(client, names)] == ["one", "many[a]", "many[b]"]
    client.later = Socket()
    assert [name for name, _ in sockets_of(client, names)][-1] == "later"
    assert is_up(client.one) is False
    assert is_up(client.other) is None


def test_what_was_up_is_lost_and_what_was_lost_is_regained(observer):
    client = Client()
    watch = LinkWatch(client, ("one", "many", "other"), observer)
    client.one.up = True
    watch.ask()
    observer.connection.note_connected(connected=True)
    # Not up yet is not lost.
    watch.ask()
    assert observer.statistics().connection.down == ()
    client.one.up = False
    client.many["a"].up = True
    watch.ask()
    watch.ask()
    assert observer.statistics().connection.down == ("one",)
    client.one.up, client.many["a"].up = True, False
    watch.ask()
    assert observer.statistics().connection.down == ("many[a]",)
    assert reconnects(observer) == 1
    observer.connection.note_connected(connected=False)
    watch.ask()
    observer.connection.note_connected(connected=True)
    watch.ask()
    assert observer.statistics().connection.down == ()


def test_a_socket_that_cannot_be_asked_is_our_error():
    said = []
    observer = ClientObserver("SIM", "data", "Client", said.append)
    observer.connection.note_connected(connected=True)
    client = Client()
    client.one.is_active = lambda: 1 / 0
    LinkWatch(client, ("one",), observer).ask()
    assert observer.statistics().last_error == "ZeroDivisionError: division by zero"


async def test_a_node_is_asked_until_it_is_over(observer, monkeypatch):
    monkeypatch.setattr(links, "POLL_INTERVAL_S", 0.01)
    over = []
    client = Client()
    asked = []
    client.one.is_active = lambda: bool(asked.append(1)) or True
    observer.connection.note_connected(connected=True)
    poll = LinkPoll(asyncio.get_running_loop(), lambda: bool(over))
    poll.add(LinkWatch(client, ("one",), observer))
    await until(lambda: len(asked) >= 3)
    over.append(True)
    await until(lambda: poll._timer is None)
    assert poll._watches == []


async def until(condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def connect_python_s(loop, url):
    fields = {"url": url, "headers": [], "reconnect_delay_initial_ms": 300}

    def handle(_):
        pass

    if VERSION == "1.221.0":
        config = WebSocketConfig(**fields, handler=handle)
        return await WebSocketClient.connect(config=config)
    return await WebSocketClient.connect(
        loop_=loop, config=WebSocketConfig(**fields), handler=handle
    )


async def connect_bybit_s(loop, url):
    if VERSION == "1.221.0":
        pytest.skip("Bybit's is in Rust since")
    client = nautilus_pyo3.BybitWebSocketClient.new_public(
        product_type=nautilus_pyo3.BybitProductType.LINEAR,
        environment=nautilus_pyo3.BybitEnvironment.MAINNET,
        url=url,
    )
    await client.connect(loop, lambda _: None)
    return client


@pytest.mark.parametrize("connect", [connect_python_s, connect_bybit_s])
async def test_a_socket_of_the_rust_side_says_when_it_is_down(connect, observer):
    opened = []

    async def serve(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        opened.append(request)
        async for _ in socket:
            pass
        return socket

    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    client = Client()
    client.one = await connect(asyncio.get_running_loop(), f"ws://127.0.0.1:{port}/ws")
    try:
        watch = LinkWatch(client, ("one",), observer)
        observer.connection.note_connected(connected=True)

        def told():
            watch.ask()
            return observer.statistics().connection

        await until(lambda: is_up(client.one) and len(opened) == 1)
        told()
        # It comes back within milliseconds if it can: too soon to be asked in between.
        await site.stop()
        opened[0].transport.abort()
        await until(lambda: told().down == ("one",))
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await until(lambda: told().reconnects == 1)
        assert told().down == ()
        assert len(opened) == 2
    finally:
        await (client.one.close() if hasattr(client.one, "close") else client.one.disconnect())
        await runner.cleanup()
