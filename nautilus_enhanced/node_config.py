"""
Reads the configuration of a node from JSON, with the enhanced bus or the stock one.

NautilusTrader marks what it imports by a ``path`` of the form ``module:Class``; so does this. A
`message_bus` is an enhanced one if it has ``"path": "nautilus_enhanced:EnhancedMessageBusConfig"``
beside its fields, or a field that only ours has. The fields stand beside the path, not in a
``config`` of their own: NautilusTrader 1.221 ignores what it does not know, and so runs the stock
bus with the same server if it is given such a file.
"""

from __future__ import annotations

import difflib
import re
from typing import Any
from typing import Final
from typing import TypeGuard

import msgspec
import msgspec.inspect
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.live.config import TradingNodeConfig

from nautilus_enhanced.common.redaction import redacted
from nautilus_enhanced.config import EnhancedMessageBusConfig
from nautilus_enhanced.config import decoding_hook
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


PATH_FIELD: Final = "path"
CONFIG_PATH: Final = "nautilus_enhanced:EnhancedMessageBusConfig"
CONFIG_PATHS: Final = (CONFIG_PATH, EnhancedMessageBusConfig.fully_qualified_name())
STOCK_FIELDS: Final = tuple(MessageBusConfig.__struct_fields__)
OUR_FIELDS: Final = tuple(
    name for name in EnhancedMessageBusConfig.__struct_fields__ if name not in STOCK_FIELDS
)

_PLACE: Final = re.compile(r"^(?P<text>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(.*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(.*)`$")
_EXPECTED: Final = re.compile(r"^Expected (.*?)(?:, got .*)?$")
_BYTE: Final = re.compile(r"^(?P<text>.*) \(byte (?P<byte>\d+)\)$")
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def parse_node_config(raw: bytes | str) -> TradingNodeConfig:
    """
    Return the configuration of a node, in the place of ``TradingNodeConfig.parse``.

    A `message_bus` of ours is read as an `EnhancedMessageBusConfig`, `types_filter` included;
    everything else is read by NautilusTrader.

    Parameters
    ----------
    raw : bytes or str
        The JSON.

    Raises
    ------
    ConfigurationError
        If it is not JSON, or a field in it is unknown or not as allowed; the sentence has the
        path of the field.
    """
    document = decode_document(raw)
    _check_trader_id(document.get("trader_id"))
    message_bus = document.get("message_bus")
    check_flat_names(message_bus)
    if not is_enhanced(message_bus):
        return _parse_stock(document)
    ours = parse_message_bus(message_bus)
    stock = _parse_stock({key: value for key, value in document.items() if key != "message_bus"})
    return msgspec.structs.replace(stock, message_bus=ours)


def decode_document(raw: bytes | str) -> dict[str, Any]:
    """
    Return the JSON object in `raw`.

    Raises
    ------
    ConfigurationError
        If it is not one.
    """
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = _BYTE.match(str(error))
        where, text = "not JSON", str(error)
        if found is not None:
            head = (raw.encode() if isinstance(raw, str) else raw)[: int(found["byte"])]
            line, column = head.count(b"\n") + 1, len(head) - head.rfind(b"\n")
            where, text = f"not JSON at line {line}, column {column}", found["text"]
        raise ConfigurationError("file", where, "a JSON object", text) from None
    if not isinstance(document, dict):
        raise ConfigurationError("file", type(document).__name__, "a JSON object")
    return document


def is_enhanced(message_bus: object) -> TypeGuard[dict[str, Any]]:
    """Return whether the `message_bus` of a JSON document is one of ours."""
    return isinstance(message_bus, dict) and any(
        name in message_bus for name in (PATH_FIELD, *OUR_FIELDS)
    )


def parse_message_bus(message_bus: dict[str, Any]) -> EnhancedMessageBusConfig:
    """
    Return the enhanced configuration in a `message_bus` of a JSON document.

    Raises
    ------
    ConfigurationError
        If a field in it is unknown or not as allowed.
    """
    fields = dict(message_bus)
    path = fields.pop(PATH_FIELD, CONFIG_PATH)
    if path not in CONFIG_PATHS:
        raise ConfigurationError("message_bus.path", path, repr(CONFIG_PATH))
    if "config" in fields:
        raise ConfigurationError(
            "message_bus.config",
            "given",
            "fields beside `path`",
            "Take them out of `config` and write them beside `path`",
        )
    try:
        return msgspec.convert(fields, EnhancedMessageBusConfig, dec_hook=decoding_hook)
    except msgspec.ValidationError as error:
        raise as_sentence(
            error, fields, EnhancedMessageBusConfig, "message_bus"
        ) from error.__cause__


def check_flat_names(message_bus: object) -> None:
    """
    Refuse the flat names of early drafts, which NautilusTrader 1.221 would ignore in silence.

    Raises
    ------
    ConfigurationError
        If one is there.
    """
    from nautilus_enhanced.migration.flat_names import FLAT_NAMES  # noqa: PLC0415 (it needs us)

    fields = message_bus if isinstance(message_bus, dict) else {}
    for name, value in fields.items():
        if name in FLAT_NAMES:
            raise ConfigurationError(
                f"message_bus.{name}",
                redacted(value, name),
                "no field of that name",
                f"{FLAT_NAMES[name]}. `nt-enhanced config migrate` rewrites it",
            )


def _parse_stock(document: dict[str, Any]) -> TradingNodeConfig:
    try:
        config: TradingNodeConfig = TradingNodeConfig.parse(msgspec.json.encode(document))
    except msgspec.ValidationError as error:
        raise as_sentence(error, document, TradingNodeConfig) from None
    except (ValueError, TypeError, KeyError) as error:
        # What a constructor of NautilusTrader's says, without a path.
        raise ConfigurationError("file", "refused", "a TradingNodeConfig", str(error)) from None
    return config


def _check_trader_id(trader_id: object) -> None:
    """Refuse what would end the process: NautilusTrader's Rust part aborts on such a name."""
    if not isinstance(trader_id, str) or not trader_id:
        return
    name, _, tag = trader_id.rpartition("-")
    if not (name and tag and trader_id.isascii()):
        raise ConfigurationError(
            "trader_id", trader_id, "a name and a tag with a hyphen between, such as 'TRADER-001'"
        )


# -- errors --------------------------------------------------------------------------------------


def as_sentence(
    error: msgspec.ValidationError, document: Any, kind: type, root: str = ""
) -> ConfigurationError:
    """
    Return what msgspec found in a document as an error that names field, value and allowed.

    Parameters
    ----------
    error : msgspec.ValidationError
        What was found.
    document : Any
        What was decoded.
    kind : type
        What it was decoded as.
    root : str, default ''
        The path of `document` in the file.
    """
    found = _PLACE.match(str(error))
    text, inner = (str(error), "") if found is None else (found["text"], found["path"] or "")
    place = f"{root}{inner}".lstrip(".")
    cause = error.__cause__
    if isinstance(cause, ConfigurationError):
        return ConfigurationError(
            ", ".join(_join(place, part) for part in cause.field.split(", ")),
            cause.value,
            cause.allowed,
            cause.remedy,
        )
    unknown, missing = _UNKNOWN.match(text), _MISSING.match(text)
    if unknown is not None:
        # Its value is not shown: a password whose field is misspelled is one all the same.
        name = unknown[1]
        return ConfigurationError(
            f"{place}.{name}".lstrip("."), "given", "no field of that name", _did_you_mean(name)
        )
    if missing is not None:
        return ConfigurationError(
            f"{place}.{missing[1]}".lstrip("."), None, "a value, since it is required"
        )
    value = redacted(_value_at(document, inner), _last_name(place))
    expected = _EXPECTED.match(text)
    allowed, remedy = "what NautilusTrader can read", text
    if expected is not None:
        allowed, remedy = expected[1], ""
    elif text.startswith("Decoding objects of type "):
        # What msgspec says next is about a class, not about the file.
        allowed = "nothing in a file with the stock bus, since NautilusTrader cannot read it"
        remedy = "Remove the field, and set it in the code that starts the node"
    elif choices := _choices(kind, inner):
        allowed, remedy = ", ".join(map(repr, choices)), ""
    return ConfigurationError(place or "file", value, allowed, remedy)


def _choices(kind: type, path: str) -> list[Any]:
    """Return the values that the field at `path` can have, if they are so many and no more."""
    found = _arms(msgspec.inspect.type_info(kind))
    for name, index in _STEP.findall(path):
        found = [
            arm for one in found for inner in _inside(one, name, index) for arm in _arms(inner)
        ]
    choices: list[Any] = []
    for one in found:
        if isinstance(one, msgspec.inspect.LiteralType):
            choices.extend(one.values)
        elif isinstance(one, msgspec.inspect.EnumType):
            choices.extend(member.value for member in one.cls)
    return choices


def _arms(kind: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    """Return what a type can be."""
    return list(kind.types) if isinstance(kind, msgspec.inspect.UnionType) else [kind]


def _inside(kind: msgspec.inspect.Type, name: str, index: str) -> list[msgspec.inspect.Type]:
    """Return the types of what has a name or an index in a value of a type."""
    if name and isinstance(kind, msgspec.inspect.StructType):
        return [field.type for field in kind.fields if field.encode_name == name]
    if index and isinstance(kind, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
        return [kind.item_type]
    if index and isinstance(kind, msgspec.inspect.DictType):
        return [kind.value_type]
    return []


def _join(place: str, field: str) -> str:
    """Return a field's full path from the place of its object and its own, which overlap."""
    steps = [step for step in re.sub(r"\[[^\]]*\]", "", place).split(".") if step]
    own = field.split(".")
    for length in range(min(len(steps), len(own)), 0, -1):
        if steps[-length:] == own[:length]:
            own = own[length:]
            break
    return ".".join([part for part in (place, *own) if part])


def _value_at(document: Any, path: str) -> Any:
    value = document
    for name, index in _STEP.findall(path):
        try:
            value = value[name] if name else value[int(index)]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return value


def _last_name(place: str) -> str:
    names = [name for name, _ in _STEP.findall(place) if name]
    return names[-1] if names else ""


def _did_you_mean(name: str) -> str:
    known = (*EnhancedMessageBusConfig.__struct_fields__, *TradingNodeConfig.__struct_fields__)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f"Did you mean `{close[0]}`?" if close else ""
