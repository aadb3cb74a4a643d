import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nautilus_enhanced.sandbox.listener import Entrance
from nautilus_enhanced.sandbox.listener import stream_protocol


GREETING = b"API\0"


class FakeTransport:
    def __init__(self):
        self.protocol = None
        self.aborted = False

    def set_protocol(self, protocol):
        self.protocol = protocol

    def abort(self):
        self.aborted = True


class Noting:
    """A protocol that notes what it is told."""

    def __init__(self):
        self.transport = None
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data


def entered(parts, timeout_s=10.0):
    """What a client that says this is handed to: the plain protocol, the other one, or none."""
    plain, other, transport = Noting(), Noting(), FakeTransport()

    async def enter():
        entrance = Entrance(GREETING, lambda: plain, lambda: other, timeout_s=timeout_s)
        entrance.connection_made(transport)
        for part in parts:
            (transport.protocol or entrance).data_received(part)
        if timeout_s < 1:
            await asyncio.sleep(timeout_s * 3)
        entrance.connection_lost(None)

    asyncio.run(enter())
    return plain, other, transport


@given(rest=st.binary(max_size=10), cut=st.integers(1, 4))
def test_a_client_with_the_greeting_goes_to_the_plain_socket(rest, cut):
    said = GREETING + rest
    plain, other, transport = entered([said[:cut], said[cut:]])
    assert transport.protocol is plain
    assert plain.transport is transport
    assert plain.received == said
    assert other.transport is None


@given(said=st.binary(min_size=4, max_size=10).filter(lambda s: not s.startswith(GREETING)))
def test_any_other_client_goes_to_http(said):
    plain, other, transport = entered([said[:1], said[1:]])
    assert transport.protocol is other
    assert other.received == said
    assert plain.transport is None


@pytest.mark.parametrize("parts", [[], [b"A"], [b"AP", b"I"]])
def test_a_client_that_says_too_little_is_cut_off_in_time(parts):
    *_, transport = entered(parts)
    assert transport.protocol is None
    assert not transport.aborted
    *_, transport = entered(parts, timeout_s=0.02)
    assert transport.aborted


def test_a_client_that_was_handed_on_is_not():
    *_, transport = entered([b"GET /"], timeout_s=0.02)
    assert not transport.aborted


async def test_a_stream_is_served_with_what_was_said_before():
    heard = []

    async def serve(reader, writer):
        heard.append(await reader.readexactly(8))
        writer.write(b"bye")
        writer.close()

    def entrance():
        return Entrance(GREETING, lambda: stream_protocol(serve), Noting)

    server = await asyncio.get_running_loop().create_server(entrance, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"API\0")
    await writer.drain()
    writer.write(b"rest")
    assert await asyncio.wait_for(reader.read(), 10) == b"bye"
    assert heard == [b"API\0rest"]
    writer.close()
    server.close()
