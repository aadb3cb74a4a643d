"""
One websocket session of a Binance venue: what it asked for, and what it is sent.

There are three kinds: combined streams (``/stream``, events in an envelope that names the
stream), raw streams (``/ws``, events bare), and the WS-API (``/ws-api/v3``: requests and,
after ``userDataStream.subscribe``, user data events in an envelope that names the subscription;
``/ws-fapi/v1``: requests alone).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from enum import Enum
from typing import Any
from typing import Final
from typing import Protocol

from nautilus_enhanced.sandbox.binance.messages import compact
from nautilus_enhanced.sandbox.binance.requests import BAD_REQUEST
from nautilus_enhanced.sandbox.binance.requests import UNAUTHORIZED
from nautilus_enhanced.sandbox.binance.requests import ApiError
from nautilus_enhanced.sandbox.binance.requests import refusal
from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.connection import text_frame
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import Call
from nautilus_enhanced.sandbox.dialect import MarketFrame
from nautilus_enhanced.sandbox.dialect import Reply
from nautilus_enhanced.sandbox.dialect import Session
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.faults import FaultKind


MAX_STREAMS: Final = 1024


class SessionKind(Enum):
    """Which of the three protocols a session speaks."""

    COMBINED = "combined"
    RAW = "raw"
    WS_API = "ws-api"


class Keys(Protocol):
    """What a session asks of the exchange."""

    listen_key: str | None

    def check_key(self, api_key: str) -> None:
        """Raise `ApiError` unless an API key is let in."""
        ...

    def open_listen_key(self) -> str:
        """Return the key of the user data stream."""
        ...


class BinanceSession(Session):
    """
    Keep one session's subscriptions; decide answers and envelopes.

    Parameters
    ----------
    kind : SessionKind
        The protocol that it speaks.
    sender : FrameSender
        Its socket.
    keys : Keys
        Knows which keys are let in.
    streams : Iterable[str]
        What the URL already subscribes to.
    """

    def __init__(
        self, kind: SessionKind, sender: FrameSender, keys: Keys, *, streams: Iterable[str] = ()
    ) -> None:
        super().__init__(sender, streams)
        self.kind = kind
        self._keys = keys
        self._logged_on = False
        self._subscription_id: int | None = None
        self._subscriptions = 0

    @property
    def has_user_data(self) -> bool:
        """Return whether user data events go to it."""
        if self.kind is SessionKind.WS_API:
            return self._subscription_id is not None
        return self._keys.listen_key is not None and self._keys.listen_key in self.streams

    def receive(self, text: str, now_ns: int) -> Reply:
        """Return the answer to one message of the client."""
        return Reply(frames=[_encode(self._answer(text, now_ns // NS_PER_MS))])

    def call(self, text: str) -> Call | None:
        """Return the method that a message calls."""
        message = _read(text)
        return None if message is None else Call(name=f"WS {message.get('method')}")

    def refuse(self, text: str, kind: FaultKind) -> Reply:
        """Return an error that no rule explains, or Binance's rate limit."""
        message_id = (_read(text) or {}).get("id")
        if self.kind is not SessionKind.WS_API:
            answer = _stream_error(message_id, "Rejected: the venue was told to.")
        else:
            error = refusal(kind, is_order=False)
            answer = {"id": message_id, "status": error.status, "error": error.body()}
        return Reply(frames=[_encode(answer)])

    def encode(self, frames: Iterable[MarketFrame]) -> list[bytes]:
        """Return market events in the session's envelope, or bare."""
        if self.kind is SessionKind.COMBINED:
            return [frame.encoded for frame in frames]
        return [frame.bare for frame in frames]

    def user_frame(self, event: UserEvent) -> bytes | None:
        """Return a user data event as the session wants it, or None if it does not."""
        if not self.has_user_data:
            return None
        if self.kind is SessionKind.WS_API:
            return _encode({"subscriptionId": self._subscription_id, "event": event.payload})
        if self.kind is SessionKind.COMBINED:
            return _encode({"stream": self._keys.listen_key, "data": event.payload})
        return _encode(event.payload)

    def _answer(self, text: str, now_ms: int) -> dict[str, Any]:
        message = _read(text)
        if message is None:
            return {"code": 3, "msg": "Invalid JSON: an object is expected"}
        method, params = message.get("method"), message.get("params")
        if self.kind is SessionKind.WS_API:
            return self._answer_api(message.get("id"), method, params or {}, now_ms)
        return self._answer_streams(message.get("id"), method, params or [])

    def _answer_streams(self, message_id: Any, method: Any, params: Any) -> dict[str, Any]:
        if not isinstance(params, list) or not all(isinstance(p, str) for p in params):
            return _stream_error(
                message_id, "Invalid request: `params` must be an array of strings"
            )
        if method == "SUBSCRIBE":
            if len(self.streams.union(params)) > MAX_STREAMS:
                return _stream_error(message_id, f"Invalid request: at most {MAX_STREAMS} streams")
            self.streams.update(params)
        elif method == "UNSUBSCRIBE":
            self.streams.difference_update(params)
        elif method == "LIST_SUBSCRIPTIONS":
            return {"result": sorted(self.streams), "id": message_id}
        else:
            return _stream_error(message_id, f"Invalid request: unknown method {method}")
        return {"result": None, "id": message_id}

    def _answer_api(self, message_id: Any, method: Any, params: Any, now_ms: int) -> dict[str, Any]:
        try:
            result = self._call_api(method, params, now_ms)
        except ApiError as e:
            return {"id": message_id, "status": e.status, "error": e.body()}
        return {"id": message_id, "status": 200, "result": result, "rateLimits": []}

    def _call_api(self, method: Any, params: Any, now_ms: int) -> dict[str, Any]:
        if not isinstance(params, dict):
            raise ApiError(-1102, "Mandatory parameter 'params' was malformed.")
        calls: dict[str, Callable[[Mapping[str, Any]], dict[str, Any] | None]] = {
            "ping": lambda _: {},
            "time": lambda _: {"serverTime": now_ms},
            "session.logon": self._logon,
            "session.logout": self._logout,
            "session.status": lambda _: None,
            "userDataStream.subscribe": self._subscribe,
            "userDataStream.unsubscribe": self._unsubscribe,
            "userDataStream.start": self._start_stream,
            "userDataStream.ping": self._start_stream,
            "userDataStream.stop": self._stop_stream,
        }
        call = calls.get(method) if isinstance(method, str) else None
        if call is None:
            raise ApiError(-1000, f"{method} is not served by the loopback venue.", BAD_REQUEST)
        result = call(params)
        if result is not None:
            return result
        return {
            "apiKey": params.get("apiKey"),
            "authorizedSince": now_ms if self._logged_on else None,
            "connectedSince": now_ms,
            "returnRateLimits": False,
            "serverTime": now_ms,
        }

    def _logon(self, params: Mapping[str, Any]) -> None:
        self._keys.check_key(str(params.get("apiKey", "")))
        self._logged_on = True

    def _logout(self, _: Mapping[str, Any]) -> None:
        self._logged_on = False

    def _subscribe(self, _: Mapping[str, Any]) -> dict[str, Any]:
        if not self._logged_on:
            raise ApiError(-2015, "Session is not authenticated.", UNAUTHORIZED)
        if self._subscription_id is None:
            self._subscription_id = self._subscriptions
            self._subscriptions += 1
        return {"subscriptionId": self._subscription_id}

    def _unsubscribe(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self._subscription_id = None
        return {}

    def _start_stream(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if not self._logged_on:
            self._keys.check_key(str(params.get("apiKey", "")))
        return {"listenKey": self._keys.open_listen_key()}

    def _stop_stream(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self._keys.listen_key = None
        return {}


def _read(text: str) -> dict[str, Any] | None:
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _encode(message: Any) -> bytes:
    return text_frame(compact(message).encode())


def _stream_error(message_id: Any, msg: str) -> dict[str, Any]:
    return {"error": {"code": 2, "msg": msg}, "id": message_id}
