"""
Payloads as a person can read them.

They are tried as JSON and as MessagePack, whatever the entry says of itself: NautilusTrader 1.221
says nothing, and 1.231 says JSON of what is MessagePack. Nobody's code runs for it, but with
`as_object`, which has NautilusTrader make its own objects.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any
from typing import Final

import msgspec


MAX_DECODED: Final = 4 * 1024 * 1024
_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "json": msgspec.json.decode,
    "msgpack": msgspec.msgpack.decode,
}
_FAILURES: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_DIGITS: Final = re.compile(r"\d+")


def plain(payload: bytes, encoding: str = "") -> Any:
    """
    Return a payload as JSON data: decoded, or as text, or as ``{"base64": ...}``.

    Parameters
    ----------
    payload : bytes
        The payload.
    encoding : str, default ''
        What the entry says of it: what is tried first.
    """
    if len(payload) <= MAX_DECODED:
        names = ["msgpack", "json"] if encoding.lower() == "msgpack" else ["json", "msgpack"]
        for name in names:
            try:
                decoded = _DECODERS[name](payload)
                # What JSON has no form for, such as keys that are lists, is no message.
                return msgspec.json.decode(msgspec.json.encode(decoded, enc_hook=repr))
            except _FAILURES:
                continue
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(payload).decode()}


def as_text(payload: bytes, encoding: str = "") -> str:
    """Return a payload as one line of JSON."""
    return msgspec.json.encode(plain(payload, encoding)).decode()


def as_object(payload: bytes, encoding: str = "") -> str:
    """
    Return what NautilusTrader makes of a payload, or one line of JSON where it makes nothing.

    Whoever may write the stream decides what its code is given: leave it for streams of nodes.
    """
    fields = plain(payload, encoding)
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        return as_text(payload, encoding)
    from nautilus_trader.serialization.serializer import MsgSpecSerializer  # noqa: PLC0415 (takes a second)

    times = {
        name: value
        for name, value in fields.items()
        if name.startswith("ts_") or name == "expire_time_ns"
    }
    for name, value in times.items():
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            fields[name] = int(value)
    as_iso8601 = any(isinstance(value, str) for value in times.values()) and not all(
        isinstance(fields[name], int) for name in times
    )
    try:
        serializer = MsgSpecSerializer(encoding=msgspec.json, timestamps_as_iso8601=as_iso8601)
        made = serializer.deserialize(msgspec.json.encode(fields))
    except Exception:  # noqa: BLE001 (of a payload that only claims to be one anything may come)
        return as_text(payload, encoding)
    return as_text(payload, encoding) if isinstance(made, dict) else repr(made)
