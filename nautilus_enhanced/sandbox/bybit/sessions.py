"""
One websocket session of a Bybit venue: what it asked for, and what it is sent.

There are three kinds: public (``/v5/public/<category>``: market data), private (``/v5/private``:
after ``auth``, topics about the account) and trade (``/v5/trade``: after ``auth``, orders).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from typing import Any
from typing import Final
from typing import Protocol

from nautilus_enhanced.sandbox.bybit.market_messages import compact
from nautilus_enhanced.sandbox.bybit.requests import INVALID_KEY
from nautilus_enhanced.sandbox.bybit.requests import NOT_SUPPORTED
from nautilus_enhanced.sandbox.bybit.requests import OK
from nautilus_enhanced.sandbox.bybit.requests import PARAMETER_ERROR
from nautilus_enhanced.sandbox.bybit.requests import ApiError
from nautilus_enhanced.sandbox.bybit.requests import refusal
from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.connection import text_frame
from nautilus_enhanced.sandbox.dialect import NS_PER_MS
from nautilus_enhanced.sandbox.dialect import Call
from nautilus_enhanced.sandbox.dialect import Reply
from nautilus_enhanced.sandbox.dialect import Session
from nautilus_enhanced.sandbox.dialect import UserEvent
from nautilus_enhanced.sandbox.faults import FaultKind


MAX_TOPICS: Final = 1024
PRIVATE_TOPICS: Final = frozenset({"order", "execution", "position", "wallet"})
CONNECTION_ID: Final = "loopback"
# NautilusTrader 1.231's client notes which order a request is about after it has sent it, and
# loses a reject that comes sooner: of those within a fraction of a millisecond, one in twenty.
ORDER_MS: Final = 3


class SessionKind(Enum):
    """Which of the three protocols a session speaks."""

    PUBLIC = "public"
    PRIVATE = "private"
    TRADE = "trade"


class Exchange(Protocol):
    """What a session asks of the exchange."""

    def check_key(self, api_key: str) -> None:
        """Raise `ApiError` unless an API key is let in."""
        ...

    def carries(self, stream: str) -> bool:
        """Return whether a topic carries market data."""
        ...

    def first(self, topic: str, now_ms: int) -> str | None:
        """Return what a session gets as it subscribes to a topic."""
        ...

    def order_call(
        self, op: str, params: dict[str, Any], now_ns: int
    ) -> tuple[dict[str, Any], dict[str, Any], Sequence[UserEvent]]:
        """Carry out ``order.create`` and the like; return result, more of it, and events."""
        ...


class BybitSession(Session):
    """
    Keep one session's subscriptions; decide answers and envelopes.

    Parameters
    ----------
    kind : SessionKind
        The protocol that it speaks.
    sender : FrameSender
        Its socket.
    exchange : Exchange
        Carries out what it asks for.
    """

    def __init__(self, kind: SessionKind, sender: FrameSender, exchange: Exchange) -> None:
        super().__init__(sender)
        self.kind = kind
        self._exchange = exchange
        self._is_let_in = kind is SessionKind.PUBLIC
        self._topics: set[str] = set()
        self._pushes = 0

    @property
    def has_user_data(self) -> bool:
        """Return whether it has subscribed to messages about the account."""
        return bool(self._topics)

    def receive(  # noqa: PLR0911 (one return for each kind of message)
        self, text: str, now_ns: int
    ) -> Reply:
        """Return the answer to one message of the client."""
        message = _read(text)
        if message is None:
            return Reply(frames=[self._failure({}, "Params Error")])
        op, now_ms = str(message.get("op")), now_ns // NS_PER_MS
        if op == "ping":
            return Reply(frames=[self._pong(message, now_ms)])
        if op == "auth":
            return Reply(frames=[self._let_in(message)])
        if not self._is_let_in:
            return Reply(frames=[self._failure(message, "Request not authorized", INVALID_KEY)])
        if self.kind is SessionKind.TRADE:
            return self._trade(op, message, now_ns)
        if op not in {"subscribe", "unsubscribe"}:
            return Reply(frames=[self._failure(message, f"Invalid op: {op}")])
        return Reply(frames=self._subscribe(op, message, now_ms))

    def call(self, text: str) -> Call | None:
        """Return the operation that a message asks for."""
        message = _read(text)
        if message is None:
            return None
        op = str(message.get("op"))
        is_order = op.startswith("order.")
        return Call(name=f"WS {op}", is_order=is_order, takes_ms=ORDER_MS if is_order else 0)

    def refuse(self, text: str, kind: FaultKind) -> Reply:
        """Return an error that no rule explains, or Bybit's rate limit."""
        error = refusal(kind)
        return Reply(frames=[self._failure(_read(text) or {}, error.msg, error.code)])

    def user_frame(self, event: UserEvent) -> bytes | None:
        """Return a message about the account in its topic's envelope."""
        if event.name not in self._topics:
            return None
        self._pushes += 1
        envelope = {
            "id": f"{CONNECTION_ID}-{self._pushes}",
            "topic": event.name,
            "creationTime": event.payload["creationTime"],
            "data": [event.payload["data"]],
        }
        return _encode(envelope)

    def _let_in(self, message: dict[str, Any]) -> bytes:
        said = message.get("args")
        key = str(said[0]) if isinstance(said, list) and said else ""
        try:
            self._exchange.check_key(key)
        except ApiError as error:
            return self._failure(message, error.msg, error.code)
        self._is_let_in = True
        if self.kind is SessionKind.TRADE:
            answer = {"retCode": OK, "retMsg": "OK", "op": "auth", "connId": CONNECTION_ID}
            return _encode(answer)
        return _encode({"success": True, "ret_msg": "", "op": "auth", "conn_id": CONNECTION_ID})

    def _pong(self, message: dict[str, Any], now_ms: int) -> bytes:
        if self.kind is SessionKind.PUBLIC:
            answer = {"success": True, "ret_msg": "pong", "op": "ping", "conn_id": CONNECTION_ID}
        elif self.kind is SessionKind.PRIVATE:
            answer = {"op": "pong", "args": [str(now_ms)], "conn_id": CONNECTION_ID}
        else:
            answer = {"retCode": OK, "op": "pong", "data": [str(now_ms)], "connId": CONNECTION_ID}
        return _encode(answer | _request_id(message, "req_id"))

    def _subscribe(self, op: str, message: dict[str, Any], now_ms: int) -> list[bytes]:
        said = message.get("args")
        topics = [str(topic) for topic in said] if isinstance(said, list) else []
        unknown = [topic for topic in topics if not self._is_topic(topic)]
        if not topics or unknown:
            return [self._failure(message, f"Invalid topic: {','.join(unknown)}")]
        mine = self.streams if self.kind is SessionKind.PUBLIC else self._topics
        if op == "unsubscribe":
            mine.difference_update(topics)
        elif len(mine | set(topics)) > MAX_TOPICS:
            return [self._failure(message, f"At most {MAX_TOPICS} topics")]
        else:
            mine.update(topics)
        answer = {"success": True, "ret_msg": "", "conn_id": CONNECTION_ID, "op": op}
        frames = [_encode(answer | _request_id(message, "req_id"))]
        if op == "subscribe" and self.kind is SessionKind.PUBLIC:
            whole = (self._exchange.first(topic, now_ms) for topic in topics)
            frames += [text_frame(text.encode()) for text in whole if text is not None]
        return frames

    def _is_topic(self, topic: str) -> bool:
        if self.kind is SessionKind.PRIVATE:
            return topic in PRIVATE_TOPICS
        return self._exchange.carries(topic)

    def _trade(self, op: str, message: dict[str, Any], now_ns: int) -> Reply:
        said = message.get("args")
        params = said[0] if isinstance(said, list) and said else None
        try:
            if not isinstance(params, dict):
                raise ApiError(  # noqa: TRY301 (one place makes errors into answers)
                    PARAMETER_ERROR, "params error: args is missing"
                )
            data, rest, events = self._exchange.order_call(op, params, now_ns)
        except ApiError as error:
            return Reply(frames=[self._failure(message, error.msg, error.code)])
        answer = self._answer(message, OK, "OK") | {"data": data, "retExtInfo": rest}
        return Reply(frames=[_encode(answer)], events=events)

    def _failure(self, message: dict[str, Any], msg: str, code: int = NOT_SUPPORTED) -> bytes:
        if self.kind is SessionKind.TRADE:
            return _encode(self._answer(message, code, msg))
        answer = {"success": False, "ret_msg": msg, "conn_id": CONNECTION_ID}
        return _encode(answer | {"op": message.get("op", "")} | _request_id(message, "req_id"))

    def _answer(self, message: dict[str, Any], code: int, msg: str) -> dict[str, Any]:
        answer = {
            "retCode": code,
            "retMsg": msg,
            "op": message.get("op", ""),
            "data": {},
            "retExtInfo": {},
            "header": {},
            "connId": CONNECTION_ID,
        }
        return answer | _request_id(message, "reqId")


def _request_id(message: dict[str, Any], name: str) -> dict[str, Any]:
    return {name: message[name]} if name in message else {}


def _read(text: str) -> dict[str, Any] | None:
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _encode(message: Any) -> bytes:
    return text_frame(compact(message).encode())
