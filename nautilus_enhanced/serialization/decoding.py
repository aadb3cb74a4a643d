"""Make NautilusTrader's objects of payloads in either encoding."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from nautilus_trader.serialization.serializer import MsgSpecSerializer


@lru_cache(4)
def _serializer(*, is_json: bool, times_as_text: bool) -> Any:
    encoding = msgspec.json if is_json else msgspec.msgpack
    return MsgSpecSerializer(encoding=encoding, timestamps_as_str=times_as_text)


def decode_message(payload: bytes) -> Any:
    """
    Return the object that a bus published.

    Parameters
    ----------
    payload : bytes
        The payload, JSON or msgpack.

    Returns
    -------
    Any
        The object; a dict, where the type is not registered, or none is said. Types of a user's own
        are registered by ``nautilus_trader.serialization.base.register_serializable_type``.

    Raises
    ------
    msgspec.DecodeError
        If it is neither JSON nor msgpack.
    TypeError
        If it is no map.
    """
    # A message is a map in either encoding.
    is_json = payload[:1] == b"{"
    try:
        # As a node writes them: texts of digits, or of ISO 8601.
        return _serializer(is_json=is_json, times_as_text=True).deserialize(payload)
    except TypeError:
        return _serializer(is_json=is_json, times_as_text=False).deserialize(payload)
