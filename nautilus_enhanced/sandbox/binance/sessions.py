"""
One websocket session of the Binance spot venue: what it asked for, and what it is sent.

There are three kinds: combined streams (``/stream``, events in an envelope that names the
stream), raw streams (``/ws``, events bare), and the WS-API (``/ws-api/v3``, requests and, after
``userDataStream.subscribe``, user data events in an envelope that names the subscription).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from enum import Enum
from typing import Any
from typing import Final

from nautilus_enhanced.sandbox.binance.exchange import UserEvent
from nautilus_enhanced.sandbox.binance.requests import BAD_REQUEST
from nautilus_enhanced.sandbox.binance.requests import UNAUTHORIZED
from nautilus_enhanced.sandbox.binance.requests import ApiError
from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.connection import text_frame


MAX_STREAMS: Final = 1024


class SessionKind(Enum):
    """Which of the three protocols a session speaks."""

    COMBINED = "/stream"
    RAW = "/ws"
    WS_API = "/ws-api/v3"


class MarketFrame:
    """
    One market event as a frame, encoded before it is due.

    Parameters
    ----------
    stream : str
        The name of its stream.
    payload : str
        The event as JSON.
    """

    __slots__ = ("_payload", "combined", "stream")

    def __init__(self, stream: str, payload: str) -> None:
        self.stream = stream
        self.combined = text_frame(f'{{"stream":"{stream}","data":{payload}}}'.encode())
        self._payload = payload

    @property
    def raw(self) -> bytes:
        """Return the frame without the envelope, which few ask for."""
        return text_frame(self._payload.encode())


class Session:
    """
    Keep one session's subscriptions; decide answers and envelopes.

    Parameters
    ----------
    kind : SessionKind
        The protocol that it speaks.
    sender : FrameSender
        Its socket.
    check_key : Callable[[str], None]
        Raises `ApiError` unless an API key is let in.
    streams : Iterable[str]
        What the URL already subscribes to.
    """

    def __init__(
        self,
        kind: SessionKind,
        sender: FrameSender,
        *,
        check_key: Callable[[str], None],
        streams: Iterable[str] = (),
    ) -> None:
        self.kind = kind
        self.sender = sender
        self.streams = set(streams)
        self._check_key = check_key
        self._logged_on = False
        self._subscription_id: int | None = None
        self._subscriptions = 0

    def answer(self, text: str, now_ms: int) -> dict[str, Any]:
        """Return the answer to one message of the client."""
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return {"code": 3, "msg": "Invalid JSON: an object is expected"}
        method, params = message.get("method"), message.get("params")
        if self.kind is SessionKind.WS_API:
            return self._answer_api(message.get("id"), method, params or {}, now_ms)
        return self._answer_streams(message.get("id"), method, params or [])

    def encode(self, frames: Iterable[MarketFrame]) -> list[bytes]:
        """Return market events in the session's envelope, or bare."""
        if self.kind is SessionKind.COMBINED:
            return [frame.combined for frame in frames]
        return [frame.raw for frame in frames]

    def user_frame(self, event: UserEvent, listen_key: str | None) -> bytes | None:
        """Return a user data event as the session wants it, or None if it does not."""
        message: dict[str, Any]
        if self.kind is SessionKind.WS_API:
            if self._subscription_id is None:
                return None
            message = {"subscriptionId": self._subscription_id, "event": event.payload}
        elif listen_key is None or listen_key not in self.streams:
            return None
        elif self.kind is SessionKind.COMBINED:
            message = {"stream": listen_key, "data": event.payload}
        else:
            message = event.payload
        return encode(message)

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
        if method == "session.logon":
            self._check_key(str(params.get("apiKey", "")))
            self._logged_on = True
        elif method == "session.logout":
            self._logged_on = False
        elif method == "userDataStream.subscribe":
            if not self._logged_on:
                raise ApiError(-2015, "Session is not authenticated.", UNAUTHORIZED)
            if self._subscription_id is None:
                self._subscription_id = self._subscriptions
                self._subscriptions += 1
            return {"subscriptionId": self._subscription_id}
        elif method == "userDataStream.unsubscribe":
            self._subscription_id = None
            return {}
        elif method == "time":
            return {"serverTime": now_ms}
        elif method == "ping":
            return {}
        elif method != "session.status":
            raise ApiError(-1000, f"{method} is not served by the loopback venue.", BAD_REQUEST)
        return {
            "apiKey": params.get("apiKey"),
            "authorizedSince": now_ms if self._logged_on else None,
            "connectedSince": now_ms,
            "returnRateLimits": False,
            "serverTime": now_ms,
        }


def encode(message: Any) -> bytes:
    """Return a message as a frame of compact JSON."""
    return text_frame(json.dumps(message, separators=(",", ":")).encode())


def _stream_error(message_id: Any, msg: str) -> dict[str, Any]:
    return {"error": {"code": 2, "msg": msg}, "id": message_id}
