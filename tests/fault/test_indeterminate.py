"""Messages whose fate nobody can know: reported as such, never doubled, and no more of them."""

import asyncio
import os
import signal
import threading
import time

import pytest
from proxy import CuttingProxy

from nautilus_enhanced.infrastructure.messagebus import BufferedMessageBusClient
from nautilus_enhanced.infrastructure.messagebus import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus import IndeterminateError
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import StreamNaming
from nautilus_enhanced.infrastructure.messagebus import StreamSettings


NAMING = StreamNaming(trader_id="T-1")
FAST = ConnectionSettings(
    connect_timeout_ms=500, response_timeout_ms=2_000, reconnect_min_ms=1, reconnect_max_ms=20
)
ORDERS = "events.order.S-1"
KEY = NAMING.key(ORDERS)


def payloads(store):
    return [fields[b"payload"] for _, fields in store.xrange(KEY)]


@pytest.fixture
def proxy(server, store):
    with CuttingProxy(server.port) as running:
        yield running


@pytest.fixture
def connect(proxy):
    made = []

    def make(login="", **options):
        options = {"naming": NAMING, "connection": FAST} | options
        url = f"redis://{login}127.0.0.1:{proxy.port}"
        client = BufferedMessageBusClient(url, **options)
        made.append(client)
        assert client.start(5.0)
        return client

    yield make
    for client in made:
        client.stop(0.0)


@pytest.fixture
def forbid(store):
    """Return a function that makes a user who may do all but some commands."""

    def make(*commands):
        store.execute_command("ACL", "SETUSER", "w", "reset", "on", ">pw", "~*", "+@all", *commands)
        return "w:pw@"

    yield make
    store.execute_command("ACL", "DELUSER", "w")


def adds_up(client):
    figures = client.statistics()
    return figures.published == figures.in_flight + sum(
        lane.acknowledged + lane.rejected + lane.dropped + lane.abandoned + lane.queued
        + lane.indeterminate
        for lane in figures.lanes
    )  # fmt: skip


@pytest.fixture
def lose_an_answer(proxy, store, eventually):
    """Publish what arrives and is not confirmed; the client finds no connection after that."""

    def lose(client, messages=1):
        client.offer(ORDERS, b"before")
        assert client.flush_blocking(20.0)
        proxy.hold()
        proxy.cut_after("to_client", 0)
        on_put, client._buffers._on_put = client._buffers._on_put, lambda _: None
        for number in range(messages):
            client.offer(ORDERS, b"%d" % number)
        client._buffers._on_put = on_put
        client._writer._bell.ring()
        eventually(lambda: store.xlen(KEY) == 1 + messages)
        eventually(lambda: not client.statistics().connected)

    return lose


@pytest.mark.parametrize("case", ["trim 1", "trim 3", "delete 1", "delete 3"])
def test_what_was_removed_before_it_was_confirmed_is_not_sent_again(
    proxy, connect, store, lose_an_answer, case
):
    remove, messages = case.split()[0], int(case.split()[1])
    client = connect()
    lose_an_answer(client, messages)
    if remove == "trim":
        store.xtrim(KEY, 0, approximate=False)
    else:
        store.xdel(KEY, *(entry_id for entry_id, _ in store.xrange(KEY)[1:]))
    left = payloads(store)
    proxy.go_on()
    assert client.flush_blocking(20.0)
    assert payloads(store) == left
    figures = client.statistics()
    assert figures.lanes[MessagePriority.HIGH].indeterminate == messages
    assert (figures.second_writer, figures.lost) == (0, 0)
    assert adds_up(client)
    assert any("may or may not be in" in reason for reason in client.health().reasons)
    client.offer(ORDERS, b"after")
    assert client.flush_blocking(20.0)
    assert payloads(store) == [*left, b"after"]


async def test_whoever_waits_is_told_that_nobody_can_know(proxy, connect, store, eventually):
    client = connect()
    await client.publish(ORDERS, b"before", ack="accepted")
    proxy.hold()
    proxy.cut_after("to_client", 0)
    waiting = asyncio.ensure_future(client.publish(ORDERS, b"perhaps", ack="accepted"))
    await asyncio.to_thread(eventually, lambda: store.xlen(KEY) == 2)
    store.xtrim(KEY, 0, approximate=False)
    proxy.go_on()
    with pytest.raises(IndeterminateError, match="may or may not be in its stream"):
        await asyncio.wait_for(waiting, 10.0)


def test_what_is_only_found_at_the_second_look_is_accepted(
    proxy, connect, forbid, store, lose_an_answer
):
    client = connect(forbid("-xrange"))
    lose_an_answer(client)
    proxy.go_on()
    # Reading is allowed again when it was refused the first time.
    looked = threading.Event()
    look = client._writer._look

    def allow_and_look(connection):
        store.execute_command("ACL", "SETUSER", "w", "+xrange")
        looked.set()
        look(connection)

    client._writer._look = allow_and_look
    assert client.flush_blocking(20.0)
    assert looked.is_set()
    assert payloads(store) == [b"before", b"0"]
    assert client.statistics().acknowledged == 2
    assert client.statistics().found_after_reconnect == 1


@pytest.fixture(params=["-xrange", "-xinfo", "-@all +xadd"])
def forbidden_login(request, forbid):
    return request.param, forbid(*request.param.split())


def test_a_login_that_may_not_look_doubles_nothing(
    proxy, connect, store, lose_an_answer, forbidden_login
):
    forbidden, login = forbidden_login
    client = connect(login)
    lose_an_answer(client)
    proxy.go_on()
    assert client.flush_blocking(20.0)
    assert payloads(store) == [b"before", b"0"]
    figures = client.statistics()
    unknown = 0 if forbidden == "-xinfo" else 1
    assert (figures.indeterminate, figures.acknowledged) == (unknown, 2 - unknown)


def test_a_login_that_may_not_look_loses_nothing_that_never_arrived(proxy, connect, forbid, store):
    client = connect(forbid("-xrange"))
    client.offer(ORDERS, b"before")
    assert client.flush_blocking(20.0)
    proxy.cut_after("to_server", 0)
    client.offer(ORDERS, b"0")
    assert client.flush_blocking(20.0)
    assert payloads(store) == [b"before", b"0"]
    assert (client.statistics().indeterminate, client.statistics().resent) == (0, 1)


def test_a_refusal_after_a_lost_answer_doubles_nothing(
    proxy, connect, forbid, store, lose_an_answer
):
    client = connect(forbid("-xrange"))
    lose_an_answer(client)
    try:
        store.config_set("maxmemory", 1)
        proxy.go_on()
        deadline = time.monotonic() + 30.0
        while not client.statistics().retrying_ms:
            assert time.monotonic() < deadline
    finally:
        store.config_set("maxmemory", 0)
    assert client.flush_blocking(20.0)
    assert payloads(store) == [b"before", b"0"]
    assert client.statistics().indeterminate == 1
    assert client.statistics().retrying_ms == 0


def test_ids_that_another_writer_took_meanwhile_are_no_reason_to_give_up(
    proxy, connect, store, eventually
):
    client = connect()
    client.offer(ORDERS, b"before")
    assert client.flush_blocking(20.0)
    proxy.hold()
    proxy.cut_after("to_server", 0)
    client.offer(ORDERS, b"never arrived")
    eventually(lambda: not client.statistics().connected)
    store.xadd(KEY, {"topic": "t", "payload": "other"}, id=f"{int(time.time() * 1_000) + 5_000}-0")
    proxy.go_on()
    assert client.flush_blocking(20.0)
    assert payloads(store) == [b"before", b"other", b"never arrived"]
    figures = client.statistics()
    assert (figures.indeterminate, figures.second_writer) == (0, 1)


def test_a_server_that_was_emptied_meanwhile_gets_it_again(proxy, connect, store, lose_an_answer):
    client = connect()
    lose_an_answer(client)
    store.flushall()
    proxy.go_on()
    assert client.flush_blocking(20.0)
    assert payloads(store) == [b"0"]
    assert (client.statistics().indeterminate, client.statistics().acknowledged) == (0, 2)


async def test_what_is_in_flight_when_closing_gives_up_is_indeterminate(make_server, eventually):
    server = make_server()
    server.start()
    slow = ConnectionSettings(response_timeout_ms=60_000)
    client = BufferedMessageBusClient(
        f"redis://127.0.0.1:{server.port}",
        naming=NAMING,
        connection=slow,
        streams=StreamSettings(batch_messages=4),
    )
    client.start(5.0)
    await client.publish(ORDERS, b"", ack="accepted")
    process = server._process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        waiting = asyncio.ensure_future(client.publish(ORDERS, b"", ack="accepted"))
        await asyncio.to_thread(eventually, lambda: client.statistics().in_flight == 1)
        for _ in range(10):
            client.offer(ORDERS, b"never sent")
        await client.close(0.3)
        with pytest.raises(IndeterminateError):
            await asyncio.wait_for(waiting, 5.0)
        high = client.statistics().lanes[MessagePriority.HIGH]
        assert (high.acknowledged, high.indeterminate, high.abandoned) == (1, 1, 10)
        assert adds_up(client)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    server.stop()
