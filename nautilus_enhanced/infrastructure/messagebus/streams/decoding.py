"""Make objects of payloads, without knowing who wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


if TYPE_CHECKING:
    from collections.abc import Callable


# In msgpack a byte below this one is a number by itself, and nothing follows it; JSON is made of
# them (https://github.com/msgpack/msgpack/blob/master/spec.md).
_NO_NUMBER: Final = 0x80


def decoder_of(decode: Any) -> Callable[[bytes], Any] | None:
    """
    Return what decodes a payload.

    Parameters
    ----------
    decode : {'raw', 'plain', 'nautilus'}, type, Callable[[bytes], Any], or None
        ``raw`` or None leaves the bytes; ``plain`` makes dicts and lists of JSON or msgpack;
        ``nautilus`` makes NautilusTrader's own objects; a type that msgspec knows, such as a
        Struct, is made and checked by msgspec; a function is called with the payload.

    Returns
    -------
    Callable[[bytes], Any] or None
        The decoder. It raises what it likes for what it cannot decode.

    Raises
    ------
    ConfigurationError
        If it is none of these.
    """
    if decode is None or decode == "raw":
        return None
    if decode == "plain":
        return _of_type(Any)
    if decode == "nautilus":
        # Only who asks for its objects needs NautilusTrader.
        from nautilus_enhanced.serialization.decoding import decode_message  # noqa: PLC0415 (above)

        return decode_message
    if isinstance(decode, type):
        try:
            return _of_type(decode)
        except TypeError as error:
            raise ConfigurationError(
                "decode", decode.__name__, "a type that msgspec can decode", str(error)
            ) from error
    if callable(decode):
        return decode  # type: ignore[no-any-return]  # whatever it returns
    raise ConfigurationError(
        "decode", decode, "'raw', 'plain', 'nautilus', a type, or a function of the payload"
    )


def is_json(payload: bytes) -> bool:
    """
    Return whether a payload is JSON, rather than msgpack.

    A payload of one byte, which may be a digit of the one and a number of the other, is msgpack.
    """
    return not payload or (len(payload) > 1 and payload[0] < _NO_NUMBER)


def _of_type(kind: Any) -> Callable[[bytes], Any]:
    from_json = msgspec.json.Decoder(kind).decode
    from_msgpack = msgspec.msgpack.Decoder(kind).decode

    def decode(payload: bytes) -> Any:
        return from_json(payload) if is_json(payload) else from_msgpack(payload)

    return decode
