"""
A loopback venue: its sockets and its clock, in the words of a dialect.

Beside what the real venue serves it has ``/loopback/...``: figures, and faults on demand.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterable
from typing import Any
from typing import Final

from aiohttp import WSMsgType
from aiohttp import web

from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.control import Control
from nautilus_enhanced.sandbox.dialect import GARBAGE
from nautilus_enhanced.sandbox.dialect import Answer
from nautilus_enhanced.sandbox.dialect import Dialect
from nautilus_enhanced.sandbox.dialect import Request
from nautilus_enhanced.sandbox.dialect import Session
from nautilus_enhanced.sandbox.errors import VenueError
from nautilus_enhanced.sandbox.faults import FaultInjector
from nautilus_enhanced.sandbox.faults import FaultRule
from nautilus_enhanced.sandbox.faults import Target
from nautilus_enhanced.sandbox.faults import Verdict
from nautilus_enhanced.sandbox.hub import SessionHub
from nautilus_enhanced.sandbox.listener import READ_BYTES
from nautilus_enhanced.sandbox.listener import Entrance
from nautilus_enhanced.sandbox.listener import FramingError
from nautilus_enhanced.sandbox.listener import PlainSocket
from nautilus_enhanced.sandbox.listener import stream_protocol
from nautilus_enhanced.sandbox.market import MarketSource
from nautilus_enhanced.sandbox.matching import MatchingEngine
from nautilus_enhanced.sandbox.pump import MarketPump
from nautilus_enhanced.sandbox.statistics import OrderPush
from nautilus_enhanced.sandbox.statistics import VenueStatistics


SEND_BUFFER_BYTES: Final = 16 * 1024 * 1024
MAX_REQUEST_BYTES: Final = 64 * 1024
CLOSE_TIMEOUT_S: Final = 1.0
# Venues close a session that has not answered a ping for a minute; aiohttp waits for half of
# its heartbeat.
HEARTBEAT_S: Final = 120.0


class LoopbackVenue:
    """
    Serve a venue on the loopback interface, for one instrument and one account.

    Parameters
    ----------
    source : MarketSource
        The market. It begins to flow at the first subscription to a stream with data.
    dialect : Dialect
        What the venue speaks.
    plain_socket : PlainSocket, optional
        The socket of a venue that is not spoken to over HTTP, at the same port.
    host : str
        The address to listen on.
    port : int
        The port to listen on; 0 for any that is free.
    send_buffer_bytes : int
        What may wait for each session. A session that lets more pile up is cut off, and counted
        as a slow reader: the market waits for nobody.
    faults : Iterable[FaultRule]
        What goes wrong.
    fault_seed : int
        Selects what goes wrong by chance.

    Notes
    -----
    An async context manager: it starts on entry and closes on exit.
    """

    def __init__(
        self,
        source: MarketSource,
        dialect: Dialect,
        *,
        plain_socket: PlainSocket | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        send_buffer_bytes: int = SEND_BUFFER_BYTES,
        faults: Iterable[FaultRule] = (),
        fault_seed: int = 1,
    ) -> None:
        self.faults = FaultInjector(faults, seed=fault_seed)
        self._source = source
        self._dialect = dialect
        self._plain_socket = plain_socket
        self._host = host
        self._port = port
        self._send_buffer_bytes = send_buffer_bytes
        self._hub = SessionHub(dialect, self.faults)
        self._pump = MarketPump(source, dialect, self._hub)
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        where = f"{self._host}:{self._port}" if self._runner else "closed"
        symbol = self._source.instrument.symbol
        return f"{type(self).__name__}({symbol}, {where}, sessions={len(self._hub.sessions)})"

    async def __aenter__(self) -> LoopbackVenue:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def source(self) -> MarketSource:
        """Return the market."""
        return self._source

    @property
    def dialect(self) -> Dialect:
        """Return what the venue speaks, and with it the account and its orders."""
        return self._dialect

    @property
    def engine(self) -> MatchingEngine:
        """Return what matches."""
        return self._dialect.engine

    @property
    def port(self) -> int:
        """Return the port: after `start` the one that was found."""
        return self._port

    @property
    def addresses(self) -> dict[str, str]:
        """Return the venue's URLs by the names that clients know."""
        return self._dialect.addresses(f"{self._host}:{self._port}")

    @property
    def http_url(self) -> str:
        """Return the base URL of the REST API."""
        return self.addresses["http_url"]

    @property
    def ws_url(self) -> str:
        """Return the base URL of the websockets with market data; empty where there are none."""
        return self.addresses.get("ws_url", "")

    @property
    def ws_api_url(self) -> str:
        """Return the URL of the websocket that takes requests; empty where there is none."""
        return self.addresses.get("ws_api_url", "")

    def statistics(self) -> VenueStatistics:
        """Return the figures as they are now."""
        counts, hub = self._dialect.counts, self._hub
        return VenueStatistics(
            quotes_sent=sum(hub.sent[name] for name in self._dialect.quote_streams),
            trades_sent=sum(hub.sent[name] for name in self._dialect.trade_streams),
            bursts=self._pump.bursts,
            orders_received=counts.received,
            orders_accepted=counts.accepted,
            orders_rejected=counts.rejected,
            fills=counts.fills,
            cancels=counts.cancels,
            amends=counts.amends,
            expired=counts.expired,
            connections=len(hub.sessions),
            connections_total=hub.sessions_total,
            user_sessions=sum(session.has_user_data for session in hub.sessions),
            slow_readers=hub.slow_readers,
            pushes_dropped=hub.pushes_total - len(hub.pushes),
            market_running=self._pump.is_running,
            faults=sum(count for _, count in self.faults.counts()),
            delayed=hub.delayed,
            sent_early=hub.sent_early,
        )

    def pushes(self) -> tuple[OrderPush, ...]:
        """Return the last `MAX_PUSHES` order events that were written to a session."""
        return tuple(self._hub.pushes)

    def drop(self, target: Target) -> int:
        """
        Cut the sessions that get market data, or messages about the account, at once.

        Returns
        -------
        int
            How many there were.
        """
        return self._hub.drop(target)

    async def start(self) -> None:
        """
        Listen; return when connections are taken.

        Raises
        ------
        VenueError
            If the venue is started already, or the address cannot be listened on.
        """
        if self._runner is not None:
            raise VenueError("The venue is started already; close it first.")
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        for path, kind in self._dialect.sockets.items():
            app.router.add_get(path, functools.partial(self._serve_session, kind))
        Control(self).add_to(app)
        app.router.add_route("*", "/{path:.*}", self._serve_request)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_TIMEOUT_S)
        await runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                functools.partial(self._protocol, runner.server), self._host, self._port
            )
        except OSError as e:
            await runner.cleanup()
            raise VenueError(
                f"The venue cannot listen on {self._host}:{self._port} ({e.strerror or e}); "
                "choose another port, or 0 for any that is free.",
            ) from None
        self._port = self._server.sockets[0].getsockname()[1]
        self._runner = runner

    async def close(self) -> None:
        """Close all sessions and stop listening, within seconds; closing twice is fine."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        try:
            self._hub.close()
            await self._pump.stop()
            if self._server is not None:
                self._server.close()
            closers = list(self._hub.sessions.values())
            await asyncio.gather(*(close() for close in closers), return_exceptions=True)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            await runner.cleanup()

    def _protocol(self, http: Any) -> asyncio.BaseProtocol:
        """Return what a new connection is spoken to with."""
        plain = self._plain_socket
        if plain is None:
            protocol: asyncio.BaseProtocol = http()
            return protocol
        serve = functools.partial(self._serve_stream, plain)
        return Entrance(plain.greeting, functools.partial(stream_protocol, serve), http)

    async def _serve_request(self, http: web.Request) -> web.Response:
        request = await _read(http)
        is_order = self._dialect.is_order(request)
        verdict = self.faults.verdict(request.name, is_order=is_order)
        if verdict.delay_ms:
            await asyncio.sleep(verdict.delay_ms / 1000)
        if verdict.refuse is not None:
            answer = self._dialect.refusal(verdict.refuse, is_order=is_order)
        else:
            answer = self._dialect.handle(request)
        # No venue promises an order between an answer and its events; the events come first.
        self._hub.push(answer.events)
        if verdict.drop and http.transport is not None:
            http.transport.abort()
        if verdict.garbage:
            return web.Response(body=GARBAGE, content_type="application/json")
        return _response(answer)

    async def _serve_session(self, kind: str, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT_S,
            heartbeat=HEARTBEAT_S,
            compress=False,
            max_msg_size=MAX_REQUEST_BYTES,
        )
        await ws.prepare(request)
        transport = request.transport
        if transport is None:
            return ws  # The client left during the handshake.
        named = request.match_info.get("streams") or ""
        if not named:
            # Names come in the query too, under one key or another.
            named = "/".join(request.query.values())
        session = self._dialect.session(
            kind,
            FrameSender(transport, limit_bytes=self._send_buffer_bytes),
            [name for name in named.split("/") if name],
        )
        self._hub.add(session, functools.partial(ws.close, code=1001, message=b"closing"))
        try:
            self._begin_market()
            async for message in ws:
                if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    continue
                await self._serve_message(session, message.data)
        finally:
            self._hub.remove(session)
        return ws

    async def _serve_stream(
        self, plain: PlainSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (streams are served in tasks)
        self._tasks.add(task)
        framing = plain.framing()
        sender = FrameSender(writer.transport, limit_bytes=self._send_buffer_bytes)
        session = self._dialect.session(plain.kind, sender, ())

        async def close() -> None:
            writer.close()

        self._hub.add(session, close)
        try:
            while data := await reader.read(READ_BYTES):
                for message in framing.feed(data):
                    await self._serve_message(session, message)
        except (ConnectionError, FramingError):
            sender.abort()
        finally:
            self._hub.remove(session)
            self._tasks.discard(task)
            writer.close()

    async def _serve_message(self, session: Session, text: str | bytes) -> None:
        call = session.call(text)
        verdict, delay_ms = Verdict(), 0
        if call is not None:
            verdict = self.faults.verdict(call.name, is_order=call.is_order)
            delay_ms = max(verdict.delay_ms, call.takes_ms)
        if delay_ms:
            # What the client sends meanwhile waits behind it.
            await asyncio.sleep(delay_ms / 1000)
        if verdict.refuse is not None:
            reply = session.refuse(text, verdict.refuse)
        else:
            reply = session.receive(text, time.time_ns())
        if verdict.drop:
            session.sender.abort()
        session.sender.send([session.garbage] if verdict.garbage else reply.frames)
        if reply.is_last:
            session.sender.close()
        self._begin_market()
        self._hub.push(reply.events)

    def _begin_market(self) -> None:
        if self._hub.refresh():
            self._pump.begin()


async def _read(http: web.Request) -> Request:
    params = dict(http.query)
    if http.content_type == "application/x-www-form-urlencoded":
        params |= {name: str(value) for name, value in (await http.post()).items()}
    return Request(
        method=http.method,
        path=http.path,
        params=params,
        headers={name.lower(): value for name, value in http.headers.items()},
        body=await http.read(),
        now_ns=time.time_ns(),
    )


def _response(answer: Answer) -> web.Response:
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)
