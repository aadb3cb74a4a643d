"""
One websocket session of an OKX venue: what it asked for, and what it is sent.

There are three kinds: ``public`` for market data, ``private`` for orders and messages about the
account, ``business`` for candles, and for orders that wait for a price, of which there are none
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any
from typing import Final
from typing import Protocol

from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.connection import text_frame
from nautilus_enhanced.sandbox.dialect import Call
from nautilus_enhanced.sandbox.dialect import Reply
from nautilus_enhanced.sandbox.dialect import Session
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.faults import FaultKind
from nautilus_enhanced.sandbox.okx.market_messages import compact
from nautilus_enhanced.sandbox.okx.requests import ApiError
from nautilus_enhanced.sandbox.okx.requests import read_json
from nautilus_enhanced.sandbox.okx.requests import refusal
from nautilus_enhanced.sandbox.okx.streams import channel_name
from nautilus_enhanced.sandbox.okx.trading import Outcome


MAX_CHANNELS: Final = 480
PING: Final = "ping"
_CONNECTION: Final = "a4d3ae55"
_USER_CHANNELS: Final = frozenset({"orders", "account", "positions"})
_NS_PER_US: Final = 1_000


class SessionKind(Enum):
    """Which of the three sockets a session is at."""

    PUBLIC = "public"
    PRIVATE = "private"
    BUSINESS = "business"


class Venue(Protocol):
    """What a session asks of the exchange."""

    def check_key(self, api_key: str) -> None:
        """Raise `ApiError` unless an API key is let in."""
        ...

    def begin_anew(self, name: str) -> None:
        """Let a channel that was subscribed to again begin with the whole book."""
        ...

    def first_message(self, channel: str, now_ns: int) -> dict[str, Any] | None:
        """Return what a channel sends as soon as it is subscribed to, or None."""
        ...

    def is_command(self, name: object) -> bool:
        """Return whether there is a command of that name."""
        ...

    def run(self, name: str, commands: Sequence[Any], now_ns: int) -> Outcome:
        """Run commands about orders."""
        ...


class OKXSession(Session):
    """
    Keep one session's channels; decide answers.

    Parameters
    ----------
    kind : SessionKind
        The socket that it is at.
    sender : FrameSender
        Its socket.
    venue : Venue
        Knows which keys are let in, and runs commands.
    """

    def __init__(self, kind: SessionKind, sender: FrameSender, venue: Venue) -> None:
        super().__init__(sender)
        self.kind = kind
        self._venue = venue
        self._logged_in = False
        # What messages about the account name, by channel: the client's own words.
        self._user_channels: dict[str, dict[str, Any]] = {}

    @property
    def has_user_data(self) -> bool:
        """Return whether messages about the account go to it."""
        return bool(self._user_channels)

    def receive(  # noqa: PLR0911 (one return for each kind of message)
        self, text: str, now_ns: int
    ) -> Reply:
        """Return the answer to one message of the client."""
        if text == PING:
            return Reply(frames=[text_frame(b"pong")])
        message = read_json(text)
        if not isinstance(message, dict):
            return Reply(frames=[_error("60012", "Illegal request", None)])
        op, args = message.get("op"), message.get("args")
        if not isinstance(args, list):
            return Reply(frames=[_error("60013", "Invalid args", message.get("id"))])
        if self._venue.is_command(op):
            return self._run(message, args, now_ns)
        if op == "login":
            return Reply(frames=[self._login(args)])
        if op == "subscribe":
            return Reply(frames=[f for arg in args for f in self._subscribe(arg, now_ns)])
        if op == "unsubscribe":
            return Reply(frames=[self._unsubscribe(arg) for arg in args])
        return Reply(frames=[_error("60012", "Illegal request", message.get("id"))])

    def call(self, text: str) -> Call | None:
        """Return the operation that a message asks for."""
        message = read_json(text) if text != PING else None
        if not isinstance(message, dict):
            return None
        op = message.get("op")
        return Call(name=f"WS {op}", is_order=self._venue.is_command(op))

    def refuse(self, text: str, kind: FaultKind) -> Reply:
        """Return an error that no rule explains, or OKX's rate limit."""
        message = read_json(text)
        if not isinstance(message, dict):
            return Reply()
        op = message.get("op")
        is_order = self._venue.is_command(op)
        error = refusal(kind, is_order=is_order)
        if not is_order:
            return Reply(frames=[_error(error.code, error.msg, message.get("id"))])
        data = [
            {
                "clOrdId": str(arg.get("clOrdId") or ""),
                "ordId": str(arg.get("ordId") or ""),
                "sCode": error.code,
                "sMsg": error.msg,
                "tag": "",
            }
            for arg in message.get("args") or []
            if isinstance(arg, dict)
        ]
        answer = {"id": message.get("id"), "op": op, "code": "1", "msg": error.msg, "data": data}
        return Reply(frames=[_encode(answer)])

    def user_frame(self, event: UserEvent) -> bytes | None:
        """Return a message about the account, or None if the session does not want it."""
        arg = self._user_channels.get(event.name)
        return None if arg is None else _encode({"arg": arg, "data": [event.payload]})

    def _run(self, message: dict[str, Any], args: Sequence[Any], now_ns: int) -> Reply:
        if not self._logged_in or self.kind is not SessionKind.PRIVATE:
            return Reply(frames=[_error("60011", "Please log in", message.get("id"))])
        op = str(message["op"])
        outcome = self._venue.run(op, args, now_ns)
        answer = {
            "id": message.get("id"),
            "op": op,
            "code": outcome.code,
            "msg": outcome.msg,
            "data": outcome.data,
            "inTime": str(now_ns // _NS_PER_US),
            "outTime": str(now_ns // _NS_PER_US),
        }
        return Reply(frames=[_encode(answer)], events=outcome.events)

    def _login(self, args: Sequence[Any]) -> bytes:
        first = args[0] if args and isinstance(args[0], dict) else {}
        try:
            self._venue.check_key(str(first.get("apiKey") or ""))
        except ApiError:
            return _error("60005", "Invalid apiKey", None)
        self._logged_in = True
        return _encode({"event": "login", "code": "0", "msg": "", "connId": _CONNECTION})

    def _subscribe(self, arg: Any, now_ns: int) -> list[bytes]:
        channel = arg.get("channel") if isinstance(arg, dict) else None
        if not isinstance(channel, str):
            return [_error("60012", "Illegal request", None)]
        if channel in _USER_CHANNELS and not self._logged_in:
            return [_error("60011", "Please log in", None)]
        name = channel_name(channel, str(arg.get("instId") or ""))
        if len(self.streams | {name}) > MAX_CHANNELS:
            return [_error("60014", f"At most {MAX_CHANNELS} channels", None)]
        frames = [_encode({"event": "subscribe", "arg": arg, "connId": _CONNECTION})]
        if channel in _USER_CHANNELS:
            self._user_channels[channel] = arg
        else:
            self.streams.add(name)
            self._venue.begin_anew(name)
        first = self._venue.first_message(channel, now_ns)
        if first is not None:
            frames.append(_encode({"arg": arg, "data": [first]}))
        return frames

    def _unsubscribe(self, arg: Any) -> bytes:
        channel = arg.get("channel") if isinstance(arg, dict) else None
        if not isinstance(channel, str):
            return _error("60012", "Illegal request", None)
        self._user_channels.pop(channel, None)
        self.streams.discard(channel_name(channel, str(arg.get("instId") or "")))
        return _encode({"event": "unsubscribe", "arg": arg, "connId": _CONNECTION})


def _encode(message: Any) -> bytes:
    return text_frame(compact(message).encode())


def _error(code: str, msg: str, message_id: Any) -> bytes:
    answer = {"event": "error", "code": code, "msg": msg, "connId": _CONNECTION}
    if message_id is not None:
        answer["id"] = message_id
    return _encode(answer)
