"""One session of a TWS venue: its client, what it asked for, and what it is sent."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Final
from typing import Protocol
from typing import TypeAlias

from google.protobuf.message import DecodeError
from ibapi.message import IN
from ibapi.message import OUT
from ibapi.protobuf.AccountSummaryEnd_pb2 import AccountSummaryEnd
from ibapi.protobuf.AccountSummaryRequest_pb2 import AccountSummaryRequest
from ibapi.protobuf.CancelOrderRequest_pb2 import CancelOrderRequest
from ibapi.protobuf.HistoricalDataRequest_pb2 import HistoricalDataRequest
from ibapi.protobuf.ManagedAccounts_pb2 import ManagedAccounts
from ibapi.protobuf.MarketDataRequest_pb2 import MarketDataRequest
from ibapi.protobuf.MarketDepthRequest_pb2 import MarketDepthRequest
from ibapi.protobuf.NextValidId_pb2 import NextValidId
from ibapi.protobuf.PlaceOrderRequest_pb2 import PlaceOrderRequest
from ibapi.protobuf.PositionEnd_pb2 import PositionEnd
from ibapi.protobuf.RealTimeBarsRequest_pb2 import RealTimeBarsRequest
from ibapi.protobuf.StartApiRequest_pb2 import StartApiRequest
from ibapi.protobuf.TickByTickRequest_pb2 import TickByTickRequest
from ibapi.protobuf.TickReqParams_pb2 import TickReqParams
from ibapi.protobuf.TickSnapshotEnd_pb2 import TickSnapshotEnd

from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.dialect import Call
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.dialect import Reply
from nautilus_enhanced.sandbox.dialect import Session
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.interactive_brokers.accounts import BrokerAccount
from nautilus_enhanced.sandbox.interactive_brokers.answers import Answers
from nautilus_enhanced.sandbox.interactive_brokers.contracts import Listing
from nautilus_enhanced.sandbox.interactive_brokers.messages import NO_REQUEST
from nautilus_enhanced.sandbox.interactive_brokers.messages import error
from nautilus_enhanced.sandbox.interactive_brokers.messages import time_text
from nautilus_enhanced.sandbox.interactive_brokers.requests import CANCEL_UNKNOWN
from nautilus_enhanced.sandbox.interactive_brokers.requests import CLIENT_ID_IN_USE
from nautilus_enhanced.sandbox.interactive_brokers.requests import INVALID_REQUEST
from nautilus_enhanced.sandbox.interactive_brokers.requests import MAX_RATE
from nautilus_enhanced.sandbox.interactive_brokers.requests import MAX_TICKERS
from nautilus_enhanced.sandbox.interactive_brokers.requests import NO_SECURITY
from nautilus_enhanced.sandbox.interactive_brokers.requests import NO_SECURITY_TEXT
from nautilus_enhanced.sandbox.interactive_brokers.requests import NO_TICKER
from nautilus_enhanced.sandbox.interactive_brokers.requests import NOT_PROCESSED
from nautilus_enhanced.sandbox.interactive_brokers.requests import RATE_TEXT
from nautilus_enhanced.sandbox.interactive_brokers.requests import REJECTED
from nautilus_enhanced.sandbox.interactive_brokers.requests import TICKS_REFUSED
from nautilus_enhanced.sandbox.interactive_brokers.requests import ApiError
from nautilus_enhanced.sandbox.interactive_brokers.streams import TICK_BY_TICK
from nautilus_enhanced.sandbox.interactive_brokers.streams import MarketChannels
from nautilus_enhanced.sandbox.interactive_brokers.streams import TickFrame
from nautilus_enhanced.sandbox.interactive_brokers.trading import Addressed
from nautilus_enhanced.sandbox.interactive_brokers.trading import Outcome
from nautilus_enhanced.sandbox.interactive_brokers.trading import Trading
from nautilus_enhanced.sandbox.interactive_brokers.wire import SERVER_VERSION
from nautilus_enhanced.sandbox.interactive_brokers.wire import addressed
from nautilus_enhanced.sandbox.interactive_brokers.wire import client_versions
from nautilus_enhanced.sandbox.interactive_brokers.wire import encode
from nautilus_enhanced.sandbox.interactive_brokers.wire import frame
from nautilus_enhanced.sandbox.interactive_brokers.wire import request_id_of
from nautilus_enhanced.sandbox.interactive_brokers.wire import server_greeting
from nautilus_enhanced.sandbox.interactive_brokers.wire import split


MAX_SUBSCRIPTIONS: Final = 100
MAX_SUMMARIES: Final = 2
# A number that no message has, and fields that are none.
GARBAGE: Final = frame(150, b"\xff\xff\xff")
NOTICES: Final = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefil"),
)
NAMES: Final = {number: name for name, number in vars(OUT).items() if isinstance(number, int)}
_ORDERS: Final = frozenset({OUT.PLACE_ORDER, OUT.CANCEL_ORDER, OUT.REQ_GLOBAL_CANCEL})

_Handler: TypeAlias = Callable[[bytes, int], Reply]


class Venue(Protocol):
    """What a session asks of the exchange."""

    listing: Listing
    channels: MarketChannels
    trading: Trading
    account: BrokerAccount
    answers: Answers

    def admit(self, client_id: int, session: TwsSession) -> bool:
        """Return whether a client with that ID is let in: one at a time is."""
        ...


@dataclass(kw_only=True, slots=True)
class _Asked:
    """Remember what the client asked for, by the IDs of its requests."""

    streams: dict[int, tuple[str, ...]] = field(default_factory=dict)
    summaries: dict[int, tuple[str, ...]] = field(default_factory=dict)
    positions: bool = False


class TwsSession(Session):
    """
    Keep one client's requests; decide answers.

    Parameters
    ----------
    sender : FrameSender
        Its socket.
    venue : Venue
        Knows the rest.
    """

    def __init__(self, sender: FrameSender, venue: Venue) -> None:
        super().__init__(sender)
        self.client_id: int | None = None
        self._venue = venue
        self._greeted = False
        self._asked = _Asked()
        self._handlers: Mapping[int, _Handler] = {
            OUT.REQ_IDS: self._ids,
            OUT.REQ_MANAGED_ACCTS: self._accounts,
            OUT.PLACE_ORDER: self._place,
            OUT.CANCEL_ORDER: self._cancel,
            OUT.REQ_GLOBAL_CANCEL: self._cancel_all,
            OUT.REQ_POSITIONS: self._positions,
            OUT.CANCEL_POSITIONS: self._no_positions,
            OUT.REQ_ACCOUNT_SUMMARY: self._summary,
            OUT.CANCEL_ACCOUNT_SUMMARY: self._no_summary,
            OUT.REQ_MKT_DATA: self._market_data,
            OUT.REQ_TICK_BY_TICK_DATA: self._tick_by_tick,
            OUT.REQ_MKT_DEPTH: self._depth,
            OUT.REQ_REAL_TIME_BARS: self._real_time_bars,
            OUT.REQ_HISTORICAL_DATA: self._history,
            OUT.CANCEL_MKT_DATA: self._unsubscribe,
            OUT.CANCEL_TICK_BY_TICK_DATA: self._unsubscribe,
            OUT.CANCEL_MKT_DEPTH: self._unsubscribe,
            OUT.CANCEL_REAL_TIME_BARS: self._unsubscribe,
            OUT.CANCEL_HISTORICAL_DATA: self._unsubscribe,
        }

    @property
    def has_user_data(self) -> bool:
        """Return whether messages about the account go to it."""
        return self.client_id is not None

    @property
    def garbage(self) -> bytes:
        """Return a message that TWS does not have."""
        return GARBAGE

    def receive(self, text: bytes, now_ns: int) -> Reply:
        """Return the answer to one message of the client."""
        if not self._greeted:
            return self._greet(text, now_ns)
        found = split(text)
        if found is None:
            return _failed(NO_REQUEST, INVALID_REQUEST, _invalid("not protobuf"), now_ns)
        number, fields = found
        try:
            return self._answer(number, fields, now_ns)
        except DecodeError:
            return _failed(NO_REQUEST, INVALID_REQUEST, _invalid("not readable"), now_ns)
        except ApiError as e:
            return _failed(request_id_of(fields), e.code, e.text, now_ns)

    def call(self, text: bytes) -> Call | None:
        """Return the request that a message is; the greeting is none."""
        found = split(text) if self._greeted else None
        if found is None:
            return None
        number = found[0]
        return Call(name=f"TWS {NAMES.get(number, number)}", is_order=number in _ORDERS)

    def refuse(self, text: bytes, kind: FaultKind) -> Reply:
        """Return an error that no rule explains, or TWS's rate limit."""
        number, fields = split(text) or (0, b"")
        about = request_id_of(fields)
        if kind is FaultKind.RATE_LIMIT:
            return _failed(NO_REQUEST, MAX_RATE, RATE_TEXT, 0)
        if number == OUT.PLACE_ORDER:
            text_ = "Order rejected - reason:The venue was told to."
            return _failed(about, REJECTED, text_, 0)
        if number == OUT.CANCEL_ORDER:
            text_ = f"OrderId {about} that needs to be cancelled is not found."
            return _failed(about, CANCEL_UNKNOWN, text_, 0)
        return _failed(about, INVALID_REQUEST, _invalid("the venue was told to"), 0)

    def encode(self, frames: Iterable[MarketFrame]) -> list[bytes]:
        """Return market data, once for each request that they answer."""
        return [
            addressed(number, fields, request_id)
            for market_frame in frames
            if isinstance(market_frame, TickFrame)
            for request_id in self._requests_of(market_frame.stream)
            for number, fields in market_frame.messages
        ]

    def user_frame(self, event: UserEvent) -> bytes | None:
        """Return a message about the account, or None if the session does not want it."""
        if event.name == "position":
            frame_: bytes = event.payload
            return frame_ if self._asked.positions else None
        if event.name == "accountSummary":
            return b"".join(self._summary_frames()) or None
        to: Addressed = event.payload
        return to.frame if to.client_id == self.client_id else None

    def _greet(self, text: bytes, now_ns: int) -> Reply:
        versions = client_versions(text)
        if versions is None or not versions[0] <= SERVER_VERSION <= versions[1]:
            # A client that knows no protobuf would not understand a sentence about it.
            return Reply(is_last=True)
        self._greeted = True
        return Reply(frames=[server_greeting(time_text(now_ns))])

    def _answer(self, number: int, fields: bytes, now_ns: int) -> Reply:
        if number == OUT.START_API:
            return self._start(fields, now_ns)
        if self.client_id is None:
            return _failed(NO_REQUEST, INVALID_REQUEST, _invalid("START_API comes first"), now_ns)
        handler = self._handlers.get(number)
        if handler is not None:
            return handler(fields, now_ns)
        answers = self._venue.answers
        if answers.answers(number):
            return Reply(frames=answers.answer(number, fields, self.client_id, now_ns))
        cause = f"{NAMES.get(number, number)} is not served by the loopback venue"
        return _failed(request_id_of(fields), INVALID_REQUEST, _invalid(cause), now_ns)

    def _start(self, fields: bytes, now_ns: int) -> Reply:
        client_id = StartApiRequest.FromString(fields).clientId
        if not self._venue.admit(client_id, self):
            text = "Unable to connect as the client id is already in use. Retry with a unique id."
            refused = error(NO_REQUEST, CLIENT_ID_IN_USE, text, now_ns)
            return Reply(frames=[refused], is_last=True)
        self.client_id = client_id
        notices = [error(NO_REQUEST, code, text, now_ns) for code, text in NOTICES]
        return Reply(frames=[*self._account_frames(), self._next_id(), *notices])

    def _ids(self, _: bytes, __: int) -> Reply:
        return Reply(frames=[self._next_id()])

    def _accounts(self, _: bytes, __: int) -> Reply:
        return Reply(frames=self._account_frames())

    def _next_id(self) -> bytes:
        next_id = self._venue.trading.next_order_id(self.client_id or 0)
        return encode(IN.NEXT_VALID_ID, NextValidId(orderId=next_id))

    def _account_frames(self) -> list[bytes]:
        name = self._venue.trading.messages.account_name
        return [encode(IN.MANAGED_ACCTS, ManagedAccounts(accountsList=name))]

    # -- orders ----------------------------------------------------------------------------------

    def _place(self, fields: bytes, now_ns: int) -> Reply:
        request = PlaceOrderRequest.FromString(fields)
        return _reply(self._venue.trading.place(self.client_id or 0, request, now_ns))

    def _cancel(self, fields: bytes, now_ns: int) -> Reply:
        order_id = CancelOrderRequest.FromString(fields).orderId
        return _reply(self._venue.trading.cancel(self.client_id or 0, order_id, now_ns))

    def _cancel_all(self, _: bytes, now_ns: int) -> Reply:
        return _reply(self._venue.trading.cancel_all(now_ns))

    # -- the account -----------------------------------------------------------------------------

    def _positions(self, _: bytes, __: int) -> Reply:
        self._asked.positions = True
        venue, end = self._venue, encode(IN.POSITION_END, PositionEnd())
        if not venue.account.position:
            return Reply(frames=[end])
        return Reply(frames=[venue.trading.messages.position(venue.account), end])

    def _no_positions(self, _: bytes, __: int) -> Reply:
        self._asked.positions = False
        return Reply()

    def _summary(self, fields: bytes, now_ns: int) -> Reply:
        request = AccountSummaryRequest.FromString(fields)
        summaries = self._asked.summaries
        if len(summaries.keys() | {request.reqId}) > MAX_SUMMARIES:
            cause = "Maximum number of account summary requests exceeded"
            raise ApiError(NOT_PROCESSED, f"Error processing request.-'bW' : cause - {cause}")
        tags = tuple(tag.strip() for tag in request.tags.split(","))
        summaries[request.reqId] = tags
        end = encode(IN.ACCOUNT_SUMMARY_END, AccountSummaryEnd(reqId=request.reqId))
        return Reply(frames=[*self._summary_frames(request.reqId), end])

    def _no_summary(self, fields: bytes, _: int) -> Reply:
        self._asked.summaries.pop(request_id_of(fields), None)
        return Reply()

    def _summary_frames(self, only: int | None = None) -> Iterator[bytes]:
        venue = self._venue
        for request_id, tags in self._asked.summaries.items():
            if only in {None, request_id}:
                yield from venue.trading.messages.summary(venue.account, request_id, tags)

    # -- market data -----------------------------------------------------------------------------

    def _market_data(self, fields: bytes, now_ns: int) -> Reply:
        request, channels = MarketDataRequest.FromString(fields), self._venue.channels
        tick = format(self._venue.listing.instrument.tick_size, "f")
        params = TickReqParams(
            reqId=request.reqId, minTick=tick, bboExchange="9c0001", snapshotPermissions=3
        )
        first = encode(IN.TICK_REQ_PARAMS, params)
        names = (channels.quotes, channels.lasts)
        if not request.snapshot:
            return self._subscribe(request, names, now_ns, first)
        self._check_contract(request.contract)
        ticks = self._first_ticks(request.reqId, names, now_ns)
        end = encode(IN.TICK_SNAPSHOT_END, TickSnapshotEnd(reqId=request.reqId))
        return Reply(frames=[first, *ticks, end])

    def _tick_by_tick(self, fields: bytes, now_ns: int) -> Reply:
        request = TickByTickRequest.FromString(fields)
        kind = request.tickType
        trades = kind in {"Last", "AllLast"}
        if kind not in TICK_BY_TICK or (trades and self._venue.listing.is_forex):
            text = f"Failed to request tick-by-tick data.-'{kind}' is not available."
            raise ApiError(TICKS_REFUSED, text)
        return self._subscribe(request, (self._venue.channels.name_of(kind),), now_ns)

    def _depth(self, fields: bytes, now_ns: int) -> Reply:
        request = MarketDepthRequest.FromString(fields)
        return self._subscribe(request, (self._venue.channels.depth,), now_ns)

    def _real_time_bars(self, fields: bytes, now_ns: int) -> Reply:
        request = RealTimeBarsRequest.FromString(fields)
        if request.whatToShow != "TRADES":
            raise ApiError(INVALID_REQUEST, _invalid(f"no bars of type {request.whatToShow}"))
        return self._subscribe(request, (self._venue.channels.bars,), now_ns)

    def _history(self, fields: bytes, now_ns: int) -> Reply:
        request = HistoricalDataRequest.FromString(fields)
        frames = self._venue.answers.history(request, now_ns)
        if not request.keepUpToDate:
            return Reply(frames=frames)
        name = self._venue.channels.updates(request.barSizeSetting)
        return self._subscribe(request, (name,), now_ns, *frames)

    def _subscribe(
        self, request: Any, names: tuple[str, ...], now_ns: int, *frames: bytes
    ) -> Reply:
        self._check_contract(request.contract)
        streams = self._asked.streams
        if len(streams.keys() | {request.reqId}) > MAX_SUBSCRIPTIONS:
            raise ApiError(MAX_TICKERS, "Max number of tickers has been reached")
        streams[request.reqId] = names
        self._note_streams()
        return Reply(frames=[*frames, *self._first_ticks(request.reqId, names, now_ns)])

    def _unsubscribe(self, fields: bytes, now_ns: int) -> Reply:
        request_id = request_id_of(fields)
        if self._asked.streams.pop(request_id, None) is None:
            text = f"Can't find EId with tickerId:{request_id}"
            return _failed(request_id, NO_TICKER, text, now_ns)
        self._note_streams()
        return Reply()

    def _check_contract(self, contract: Any) -> None:
        if not self._venue.listing.matches(contract):
            raise ApiError(NO_SECURITY, NO_SECURITY_TEXT)

    def _first_ticks(self, request_id: int, names: Iterable[str], now_ns: int) -> list[bytes]:
        return [
            addressed(number, fields, request_id)
            for name in names
            for number, fields in self._venue.channels.first_ticks(name, now_ns)
        ]

    def _note_streams(self) -> None:
        self.streams = {name for names in self._asked.streams.values() for name in names}

    def _requests_of(self, stream: str) -> Sequence[int]:
        return [number for number, names in self._asked.streams.items() if stream in names]


def _invalid(cause: str) -> str:
    return f"Error validating request.-'bW' : cause - {cause}"


def _failed(about: int, code: int, text: str, now_ns: int) -> Reply:
    return Reply(frames=[error(about, code, text, now_ns)])


def _reply(outcome: Outcome) -> Reply:
    return Reply(frames=outcome.frames, events=outcome.events)
