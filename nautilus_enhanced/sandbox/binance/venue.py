"""
The Binance spot venue's sockets and its clock.

What is decided is in `exchange.py` and `sessions.py`; here it is received, sent and timed. The
streams ``<symbol>@bookTicker`` and ``<symbol>@trade`` carry data; any other is acknowledged
and stays silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import time
from collections import deque
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from typing import TypeAlias

from aiohttp import WSMsgType
from aiohttp import web

from nautilus_enhanced.sandbox.binance.exchange import SpotExchange
from nautilus_enhanced.sandbox.binance.exchange import UserEvent
from nautilus_enhanced.sandbox.binance.protocol import NS_PER_MS
from nautilus_enhanced.sandbox.binance.sessions import MarketFrame
from nautilus_enhanced.sandbox.binance.sessions import Session
from nautilus_enhanced.sandbox.binance.sessions import SessionKind
from nautilus_enhanced.sandbox.binance.sessions import encode
from nautilus_enhanced.sandbox.binance.statistics import MAX_PUSHES
from nautilus_enhanced.sandbox.binance.statistics import OrderPush
from nautilus_enhanced.sandbox.binance.statistics import VenueStatistics
from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.errors import VenueError
from nautilus_enhanced.sandbox.market import MarketEvent
from nautilus_enhanced.sandbox.market import MarketSource
from nautilus_enhanced.sandbox.market import Quote
from nautilus_enhanced.sandbox.matching import MatchingEngine


DEFAULT_BALANCES: Final = MappingProxyType({"BTC": Decimal(10), "USDT": Decimal(1_000_000)})
DEFAULT_ASSET_BALANCE: Final = Decimal(1_000_000)
SEND_BUFFER_BYTES: Final = 16 * 1024 * 1024
MAX_REQUEST_BYTES: Final = 64 * 1024
CLOSE_TIMEOUT_S: Final = 1.0
# Binance closes a session that has not answered a ping for a minute; aiohttp waits for half of
# its heartbeat.
HEARTBEAT_S: Final = 120.0
CHUNK_EVENTS: Final = 256
# asyncio's own high-water mark: where a transport asks its writers to pause.
PAUSE_BYTES: Final = 64 * 1024
# Below this a timer is no more exact than going on at once.
TIMER_GRAIN_NS: Final = 500_000

# An event and its frame, or None where the frame can only be made when it is sent.
_Prepared: TypeAlias = tuple[MarketEvent, MarketFrame | None]

logger = logging.getLogger(__name__)


class BinanceSpotVenue:
    """
    Serve Binance spot on the loopback interface, for one symbol and one account.

    Parameters
    ----------
    source : MarketSource
        The market. It begins to flow at the first subscription to a stream with data.
    host : str
        The address to listen on.
    port : int
        The port to listen on; 0 for any that is free.
    balances : Mapping[str, Decimal], optional
        What the account has at first; by default plenty of base and quote asset.
    api_key : str, optional
        The only API key that is let in; by default any is. Signatures are not checked.
    send_buffer_bytes : int
        What may wait for each session. A session that lets more pile up is cut off, and counted
        as a slow reader: the market waits for nobody.

    Notes
    -----
    An async context manager: it starts on entry and closes on exit.
    """

    def __init__(
        self,
        source: MarketSource,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        balances: Mapping[str, Decimal] | None = None,
        api_key: str | None = None,
        send_buffer_bytes: int = SEND_BUFFER_BYTES,
    ) -> None:
        instrument = source.instrument
        if balances is None:
            assets = (instrument.base, instrument.quote)
            balances = {a: DEFAULT_BALANCES.get(a, DEFAULT_ASSET_BALANCE) for a in assets}
        self._source = source
        self._host = host
        self._port = port
        self._send_buffer_bytes = send_buffer_bytes
        self._exchange = SpotExchange(
            MatchingEngine(instrument, balances=balances), api_key=api_key
        )
        symbol = instrument.symbol.lower()
        self._quote_stream, self._trade_stream = f"{symbol}@bookTicker", f"{symbol}@trade"
        self._runner: web.AppRunner | None = None
        self._market: asyncio.Task[None] | None = None
        self._sessions: dict[Session, web.WebSocketResponse] = {}
        self._pushes: deque[OrderPush] = deque(maxlen=MAX_PUSHES)
        self._pushes_total = 0
        self._update_id = 0
        self._sent = {self._quote_stream: 0, self._trade_stream: 0}
        self._bursts = 0
        self._sessions_total = 0
        self._slow_readers = 0

    def __repr__(self) -> str:
        where = f"{self._host}:{self._port}" if self._runner else "closed"
        symbol = self._source.instrument.symbol
        return f"{type(self).__name__}({symbol}, {where}, sessions={len(self._sessions)})"

    async def __aenter__(self) -> BinanceSpotVenue:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def source(self) -> MarketSource:
        """Return the market."""
        return self._source

    @property
    def port(self) -> int:
        """Return the port: after `start` the one that was found."""
        return self._port

    @property
    def http_url(self) -> str:
        """Return the base URL of the REST API."""
        return f"http://{self._host}:{self._port}"

    @property
    def ws_url(self) -> str:
        """Return the base URL of the market streams, and of listenKey user streams."""
        return f"ws://{self._host}:{self._port}"

    @property
    def ws_api_url(self) -> str:
        """Return the URL of the WS-API."""
        return f"{self.ws_url}{SessionKind.WS_API.value}"

    def statistics(self) -> VenueStatistics:
        """Return the figures as they are now."""
        counts = self._exchange.counts
        return VenueStatistics(
            quotes_sent=self._sent[self._quote_stream],
            trades_sent=self._sent[self._trade_stream],
            bursts=self._bursts,
            orders_received=counts.received,
            orders_accepted=counts.accepted,
            orders_rejected=counts.rejected,
            fills=counts.fills,
            cancels=counts.cancels,
            expired=counts.expired,
            connections=len(self._sessions),
            connections_total=self._sessions_total,
            slow_readers=self._slow_readers,
            pushes_dropped=self._pushes_total - len(self._pushes),
            market_running=self._market is not None and not self._market.done(),
        )

    def pushes(self) -> tuple[OrderPush, ...]:
        """Return the last `MAX_PUSHES` order events that were written to a session."""
        return tuple(self._pushes)

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
        for path, kind in (
            ("/stream", SessionKind.COMBINED),
            ("/ws", SessionKind.RAW),
            ("/ws/{streams:.+}", SessionKind.RAW),
            ("/ws-api/v3", SessionKind.WS_API),
        ):
            app.router.add_get(path, functools.partial(self._serve_session, kind))
        app.router.add_get("/loopback/statistics", self._serve_statistics)
        app.router.add_get("/loopback/pushes", self._serve_pushes)
        app.router.add_route("*", "/{path:.*}", self._serve_rest)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_TIMEOUT_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as e:
            await runner.cleanup()
            raise VenueError(
                f"The venue cannot listen on {self._host}:{self._port} ({e.strerror or e}); "
                "choose another port, or 0 for any that is free.",
            ) from None
        self._port = runner.addresses[0][1]
        self._runner = runner

    async def close(self) -> None:
        """Close all sessions and stop listening, within seconds; closing twice is fine."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        try:
            if self._market is not None:
                self._market.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._market
            await asyncio.gather(
                *(ws.close(code=1001, message=b"closing") for ws in self._sessions.values()),
                return_exceptions=True,
            )
        finally:
            await runner.cleanup()

    async def _serve_rest(self, request: web.Request) -> web.Response:
        params = dict(request.query)
        if request.content_type == "application/x-www-form-urlencoded":
            params |= {name: str(value) for name, value in (await request.post()).items()}
        answer = self._exchange.handle(
            request.method,
            request.path,
            params,
            api_key=request.headers.get("X-MBX-APIKEY", ""),
            now_ns=time.time_ns(),
        )
        # Binance promises no order between an answer and its events; the events come first.
        self._push(answer.events)
        return web.json_response(answer.body, status=answer.status)

    async def _serve_statistics(self, _: web.Request) -> web.Response:
        return web.json_response(asdict(self.statistics()))

    async def _serve_pushes(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(push) for push in self._pushes])

    async def _serve_session(
        self, kind: SessionKind, request: web.Request
    ) -> web.WebSocketResponse:
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
        named = request.match_info.get("streams") or request.query.get("streams", "")
        session = Session(
            kind,
            FrameSender(transport, limit_bytes=self._send_buffer_bytes),
            check_key=self._exchange.check_key,
            streams=[name for name in named.split("/") if name],
        )
        self._sessions[session] = ws
        self._sessions_total += 1
        try:
            self._begin_market(session)
            async for message in ws:
                if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    continue
                answer = session.answer(message.data, time.time_ns() // NS_PER_MS)
                session.sender.send([encode(answer)])
                self._begin_market(session)
        finally:
            del self._sessions[session]
            self._slow_readers += session.sender.overflowed
        return ws

    def _begin_market(self, session: Session) -> None:
        if self._market is None and not session.streams.isdisjoint(self._sent):
            self._market = asyncio.get_running_loop().create_task(self._run_market())

    async def _run_market(self) -> None:
        try:
            start_ns = time.monotonic_ns()
            since_turn = 0
            for due_ns, events in itertools.groupby(self._source, key=lambda event: event.due_ns):
                prepared = await self._prepare(events)
                wait_ns = start_ns + due_ns - time.monotonic_ns()
                since_turn += len(prepared)
                if wait_ns > TIMER_GRAIN_NS:
                    await asyncio.sleep(wait_ns / 1e9)
                    since_turn = 0
                elif since_turn > CHUNK_EVENTS:
                    await asyncio.sleep(0)
                    since_turn = 0
                self._bursts += sum(isinstance(event, Quote) for event, _ in prepared) > 1
                await self._send_market(prepared)
        except Exception:
            logger.exception("The market of %r has ended", self)
            raise

    async def _prepare(self, events: Iterable[MarketEvent]) -> list[_Prepared]:
        """Encode what is due next while there is still time, so that a burst leaves at once."""
        prepared: list[_Prepared] = []
        for event in events:
            frame = None
            if isinstance(event, Quote):
                self._update_id += 1
                payload = self._exchange.messages.book_ticker(self._update_id, event)
                frame = MarketFrame(self._quote_stream, payload)
            prepared.append((event, frame))
            if len(prepared) % CHUNK_EVENTS == 0:
                await asyncio.sleep(0)
        return prepared

    async def _send_market(self, prepared: Sequence[_Prepared]) -> None:
        """Match and send the events of one instant, giving way only to a transport that asks."""
        waiting: list[MarketFrame] = []
        for event, encoded in prepared:
            now_ns = time.time_ns()
            fills: Sequence[UserEvent] = ()
            frame = encoded
            if isinstance(event, Quote):
                fills = self._exchange.on_quote(event, now_ns=now_ns)
            else:
                # A trade carries the time at which it leaves.
                payload = self._exchange.messages.trade(event, now_ns // NS_PER_MS)
                frame = MarketFrame(self._trade_stream, payload)
            if frame is not None:
                waiting.append(frame)
            if fills or len(waiting) == CHUNK_EVENTS:
                self._write(waiting)
                self._push(fills)
                waiting.clear()
                if any(session.sender.waiting_bytes > PAUSE_BYTES for session in self._sessions):
                    await asyncio.sleep(0)
        self._write(waiting)

    def _write(self, frames: Sequence[MarketFrame]) -> None:
        for session in self._sessions:
            if session.streams.isdisjoint(self._sent):
                continue
            wanted = [frame for frame in frames if frame.stream in session.streams]
            if wanted and session.sender.send(session.encode(wanted)):
                for frame in wanted:
                    self._sent[frame.stream] += 1

    def _push(self, events: Iterable[UserEvent]) -> None:
        for event in events:
            written_ns = 0
            for session in self._sessions:
                frame = session.user_frame(event, self._exchange.listen_key)
                if frame is None:
                    continue
                now_ns = time.monotonic_ns()
                if session.sender.send([frame]):
                    written_ns = written_ns or now_ns
            if event.execution_type and written_ns:
                push = OrderPush(
                    client_order_id=event.client_order_id,
                    execution_type=event.execution_type,
                    trade_id=event.trade_id,
                    monotonic_ns=written_ns,
                )
                self._pushes.append(push)
                self._pushes_total += 1
