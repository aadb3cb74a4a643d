"""Requests and replies over a real server."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING
from typing import Any

import msgspec
import pytest
import redis

from nautilus_enhanced.infrastructure.messagebus import ClientClosedError
from nautilus_enhanced.infrastructure.messagebus import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus import Envelope
from nautilus_enhanced.infrastructure.messagebus import MessagePriority
from nautilus_enhanced.infrastructure.messagebus import Request
from nautilus_enhanced.infrastructure.messagebus import RequestFailedError
from nautilus_enhanced.infrastructure.messagebus import RequestTimeoutError
from nautilus_enhanced.infrastructure.messagebus import StreamClient
from nautilus_enhanced.infrastructure.messagebus import SubscriptionSettings
from nautilus_enhanced.infrastructure.messagebus.streams.requests.envelope import encode_envelope


if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.timeout(60)

QUICK = SubscriptionSettings(
    lease_ms=600, retry_min_ms=5, retry_max_ms=20, max_deliveries=3, scan_interval_ms=100
)


@pytest.fixture
def url(store: redis.Redis) -> str:
    return f"redis://127.0.0.1:{store.connection_pool.connection_kwargs['port']}"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (it may become true in another thread)
            await asyncio.sleep(0.001)


async def test_a_request_gets_its_reply(url) -> None:
    def double(request: Request) -> int:
        return 2 * request.body

    async with StreamClient(url) as service, StreamClient(url) as asker:
        service.respond("math.double", double, group="math", decode="plain", settings=QUICK)
        replies = await asyncio.gather(
            *(asker.request("math.double", number, decode=int) for number in range(20))
        )
        assert replies == [2 * number for number in range(20)]
        assert await asker.request("math.double", msgspec.msgpack.encode(4)) == b"\x08"


async def test_a_pattern_is_answered_for_topics_nobody_has_asked_about_before(url) -> None:
    async def answer(request: Request) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"topic": request.topic, "priority": request.envelope.priority}

    async with StreamClient(url) as service, StreamClient(url) as asker:
        responding = service.respond("positions.*", answer, group="risk", settings=QUICK)
        assert await responding.ready()
        reply = await asker.request(
            "positions.S-1", None, priority=MessagePriority.CRITICAL, decode="plain"
        )
    assert reply == {"topic": "positions.S-1", "priority": 0}


async def test_a_handler_in_threads_may_block(url) -> None:
    settings = msgspec.structs.replace(QUICK, run_in="threads", threads=2, order="none")
    together = threading.Barrier(2, timeout=10)

    def answer(request: Request) -> int:
        together.wait()
        return threading.get_ident()

    async with StreamClient(url) as service, StreamClient(url) as asker:
        service.respond("slow", answer, group="g", settings=settings)
        replies = await asyncio.gather(*(asker.request("slow", n, decode=int) for n in range(2)))
    assert threading.get_ident() not in replies
    assert len(set(replies)) == 2


async def test_what_a_handler_raises_the_requester_gets(url) -> None:
    def answer(request: Request) -> object:
        if request.body == 1:
            raise LookupError("no such order")
        return object()

    async with StreamClient(url) as service, StreamClient(url) as asker:
        responding = service.respond("q", answer, group="g", decode=int, settings=QUICK)
        with pytest.raises(RequestFailedError, match="LookupError: no such order") as caught:
            await asker.request("q", 1)
        assert caught.value.error_type == "LookupError"
        with pytest.raises(RequestFailedError, match="TypeError"):
            await asker.request("q", 2)
        with pytest.raises(RequestFailedError, match="ValidationError"):
            await asker.request("q", "not a number")
        # It is an answer, and no trouble of the responder's.
        assert responding.statistics().failed == 0


async def test_a_reply_that_is_not_as_expected_is_an_error(url) -> None:
    async with StreamClient(url) as service, StreamClient(url) as asker:
        service.respond("q", lambda _: "text", group="g", settings=QUICK)
        with pytest.raises(RequestFailedError, match="cannot be decoded"):
            await asker.request("q", 1, decode=int)


async def test_without_a_reply_it_ends_in_time_and_a_late_one_is_counted(url, store) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def answer(request: Request) -> int:
        begun.set()
        await go_on.wait()
        return 1

    async with StreamClient(url) as service, StreamClient(url) as asker:
        service.respond("q", answer, group="g", settings=QUICK)
        before = time.monotonic()
        with pytest.raises(RequestTimeoutError, match=r"no reply on 'q' after 0\.3 s"):
            await asker.request("q", 1, timeout=0.3)
        assert time.monotonic() - before >= 0.3
        assert begun.is_set()
        go_on.set()
        await until(lambda: asker.request_statistics().late_replies == 1)
        assert asker.request_statistics().replies == 0
        assert asker.request_statistics().waiting == 0


async def test_a_request_that_is_sent_again_is_answered_once(url) -> None:
    calls: list[int] = []
    gate = asyncio.Event()

    async def answer(request: Request) -> int:
        calls.append(request.envelope.retry_count)
        await gate.wait()
        return len(calls)

    async with StreamClient(url) as service, StreamClient(url) as asker:
        service.respond("q", answer, group="g", settings=QUICK)
        asking = asyncio.create_task(asker.request("q", 1, timeout=0.3, retries=20, decode=int))
        await until(lambda: calls)
        await asyncio.sleep(0.7)
        gate.set()
        assert await asking == 1
        # The tries that came meanwhile are answered from memory.
        await until(lambda: asker.request_statistics().late_replies >= 2)
        figures = service.request_statistics()
        assert figures.answered == 1
        assert figures.repeated >= 2
    assert calls == [0]


async def test_a_process_that_takes_over_answers_from_what_was_kept(url, store) -> None:
    calls: list[str] = []

    def answer(name: str) -> Callable[[Request], str]:
        return lambda request: calls.append(name) or name

    request = Envelope(
        message_id="m-1",
        kind="request",
        topic="q",
        source="me",
        callback_topic="nt-enhanced:replies:me",
        created_at=time.time_ns(),
        sent_at=time.time_ns(),
        ttl_ms=60_000,
    )
    for name, retry_count in (("first", 0), ("second", 1)):
        async with StreamClient(url) as service:
            service.respond("q", answer(name), group="g", settings=QUICK)
            again = msgspec.structs.replace(request, retry_count=retry_count)
            fields = {"topic": "q", "payload": encode_envelope(again)}
            store.xadd("nt-enhanced:requests:q", fields)
            count = retry_count + 1
            await until(lambda count=count: store.xlen("nt-enhanced:replies:me") == count)
    assert calls == ["first"]
    replies = [fields[b"payload"] for _, fields in store.xrange("nt-enhanced:replies:me")]
    assert replies[0] == replies[1]
    assert 0 < store.pttl("nt-enhanced:replies:me") <= 3_600_000


async def test_what_is_past_its_time_or_for_others_is_not_answered(url, store) -> None:
    calls: list[str] = []

    def send(message_id: str, **more: Any) -> None:
        request = Envelope(
            message_id=message_id,
            kind="request",
            topic="q",
            source="me",
            created_at=0,
            **{"sent_at": 0, **more},
        )
        store.xadd("nt-enhanced:requests:q", {"topic": "q", "payload": encode_envelope(request)})

    # Sent again long after it was made, by its sender's own clock, whatever ours says.
    send("old", ttl_ms=1_000, sent_at=2_000_000_000)
    send("other", destinations=("another group",))
    send("ours", destinations=("g",), ttl_ms=60_000)
    async with StreamClient(url) as service:
        service.respond(
            "q", lambda r: calls.append(r.envelope.message_id), group="g", settings=QUICK
        )
        await until(lambda: calls)
        figures = service.request_statistics()
        assert (figures.answered, figures.expired, figures.not_ours) == (1, 1, 1)
    assert calls == ["ours"]


async def test_closing_ends_requests_with_an_error(url) -> None:
    asker = StreamClient(url)
    asking = asyncio.create_task(asker.request("nobody", 1, timeout=30))
    await until(lambda: asker._requester is not None and asker._requester._waiting)
    await asker.close()
    with pytest.raises(ClientClosedError):
        await asking
    with pytest.raises(ClientClosedError):
        await asker.request("nobody", 1)


async def test_cancelling_a_request_leaves_nothing_waiting(url) -> None:
    async with StreamClient(url) as asker:
        asking = asyncio.create_task(asker.request("nobody", 1, timeout=30))
        await until(lambda: asker._requester is not None and asker._requester._waiting)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert not asker._requester._waiting


async def test_more_than_a_socket_takes_at_once_arrives_whole(url) -> None:
    bodies = [bytes([number]) * 5_000_000 for number in range(4)]
    async with StreamClient(url) as service, StreamClient(url) as asker:
        service.respond("q", lambda r: r.body[::-1], group="g", settings=QUICK)
        assert await asker.request("q", b"warm") == b"mraw"
        replies = await asyncio.gather(*(asker.request("q", body) for body in bodies))
    assert replies == bodies


async def test_requests_survive_the_connections_that_carry_them(url, store) -> None:
    calls: dict[int, int] = {}

    def answer(request: Request) -> int:
        calls[request.body] = calls.get(request.body, 0) + 1
        return 2 * request.body

    async with StreamClient(url) as service, StreamClient(url) as asker:
        service.respond("q", answer, group="g", decode=int, settings=QUICK)
        for number in range(30):
            asking = asyncio.create_task(
                asker.request("q", number, timeout=1.0, retries=10, decode=int)
            )
            if number % 10 == 5:
                await asyncio.sleep(0)
                store.client_kill_filter(_type="normal", skipme=True)
            assert await asking == 2 * number
    assert calls == dict.fromkeys(range(30), 1)


async def test_what_the_server_refuses_is_told_and_given_up_in_time(url, store) -> None:
    store.execute_command("ACL", "SETUSER", "limited", "on", ">pw", "~*", "&*", "+@all", "-xadd")
    address = url.replace("redis://", "redis://limited:pw@")
    async with StreamClient(address) as asker:
        with pytest.raises(RequestTimeoutError):
            await asker.request("q", 1, timeout=0.2)
        sender = asker._sender
        await until(lambda: "NOPERM" in sender.figures.last_error)
        # Past its time it is not tried again.
        await until(sender.is_idle)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"topic": "a.*"}, "topic"),
        ({"topic": ""}, "topic"),
        ({"timeout": 0.0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"decode": 7}, "decode"),
    ],
)
async def test_a_mistake_gets_a_sentence(url, wrong, field) -> None:
    async with StreamClient(url) as asker:
        with pytest.raises(ConfigurationError) as caught:
            await asker.request(**{"topic": "q", "message": 1, **wrong})
    assert caught.value.field == field
