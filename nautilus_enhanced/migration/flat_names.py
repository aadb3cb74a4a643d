"""
The flat names of early drafts of an enhanced bus, and what becomes of each.

They were never fields of NautilusTrader's. Those that have a setting here are translated; those
that have none are left out with a sentence; one is refused, since no setting means the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from urllib.parse import quote

from nautilus_enhanced.common.redaction import redacted
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


if TYPE_CHECKING:
    from collections.abc import Mapping


# What becomes of each name: docs/migration.md has the same table, and a test compares them.
FLAT_NAMES: Final[dict[str, str]] = {
    "redis_host": "It is `database.host`",
    "redis_port": "It is `database.port`",
    "redis_username": "It is `database.username`",
    "redis_password": "It is `database.password`; `connection.password_env` keeps it out of files",
    "redis_ssl": "It is `database.ssl`",
    "redis_db": "It is the path of `connection.url`, such as /3",
    "redis_url": "It is `connection.url`",
    "command_timeout": "It is `connection.response_timeout_ms`, in milliseconds",
    "connection_pool_size": (
        "There is none to set: one connection writes, since a second one would mix up the order"
    ),
    "enable_metrics": "There is none to set: figures are always counted, see `statistics(node)`",
    "enable_pattern_caching": (
        "There is none to set: the answers for 262,144 topics are always remembered"
    ),
    "client_id": "There is none to set: streams are named after the node's `trader_id`",
    "auto_scale_enabled": (
        "It is `workers`: their number goes from `min_workers` to `max_workers`, and equal numbers "
        "fix it"
    ),
    "min_workers": "It is `workers.min_workers`",
    "max_workers": "It is `workers.max_workers`",
    "default_buffer_config": (
        "It is `buffers.normal` and `buffers.low`; order flow keeps lanes that refuse when full"
    ),
    "priority_buffer_size": (
        "It is `buffers.critical.max_messages` and `buffers.high.max_messages`"
    ),
    "flush_interval_ms": "It is `buffer_interval_ms`, or for a lane `buffers.*.flush_interval_ms`",
    "publishing_topics": (
        "It is `publishing.rules`: a rule for each topic and one that keeps back the rest; order "
        "flow goes out in any case"
    ),
    "subscriptions": (
        "A node reads streams, not topics: name the streams in `external_streams`, and the topics "
        "for its data engine in `dispatch.subscriptions`"
    ),
}

_DATABASE: Final = {
    "redis_host": "host",
    "redis_port": "port",
    "redis_username": "username",
    "redis_password": "password",
    "redis_ssl": "ssl",
}
_LANE_FIELDS: Final = {
    "max_messages": "max_messages",
    "max_size": "max_messages",
    "buffer_size": "max_messages",
    "max_bytes": "max_bytes",
    "flush_interval_ms": "flush_interval_ms",
    "high_water": "high_water",
    "high_water_mark": "high_water",
    "high_watermark": "high_water",
    "low_water": "low_water",
    "low_water_mark": "low_water",
    "low_watermark": "low_water",
}


def translate(given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the fields that say the same as the flat names in `given`.

    Their values are checked where the configuration is made.

    Parameters
    ----------
    given : Mapping[str, Any]
        The fields of a `message_bus` as JSON data.

    Raises
    ------
    ConfigurationError
        If a name has no meaning here, or says something that a field beside it says too.
    """
    flat = {name: given[name] for name in FLAT_NAMES if given.get(name) is not None}
    fields: dict[str, Any] = {}
    for part in (_server(flat), _workers(flat), _lanes(flat), _topics(flat)):
        fields |= part
    for name in fields:
        if given.get(name) is not None:
            both = [old for old in flat if f"`{name}" in FLAT_NAMES[old]]
            raise ConfigurationError(
                ", ".join(f"message_bus.{old}" for old in (name, *both)),
                "all given",
                "one of them, since they say the same",
            )
    return fields


def _server(flat: Mapping[str, Any]) -> dict[str, Any]:
    database = {field: flat[name] for name, field in _DATABASE.items() if name in flat}
    number, url, timeout = (flat.get(name) for name in ("redis_db", "redis_url", "command_timeout"))
    connection: dict[str, Any] = {}
    if url is not None:
        if database or number is not None:
            raise ConfigurationError(
                "message_bus.redis_url", redacted(url), "nothing beside `redis_host` and the like"
            )
        connection["url"] = url
    elif number not in {None, 0}:
        # A stock configuration cannot name a database number; a URL can.
        connection["url"] = _url(database, number)
        database = {}
    if timeout is not None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise ConfigurationError("message_bus.command_timeout", timeout, "a number of seconds")
        connection["response_timeout_ms"] = round(timeout * 1_000)
    return {
        name: fields
        for name, fields in (("database", database), ("connection", connection))
        if fields
    }


def _url(database: Mapping[str, Any], number: Any) -> str:
    user, password = (str(database.get(name) or "") for name in ("username", "password"))
    login = f"{quote(user, '')}:{quote(password, '')}@" if user or password else ""
    scheme = "rediss" if database.get("ssl") else "redis"
    host, port = database.get("host") or "127.0.0.1", database.get("port") or 6379
    return f"{scheme}://{login}{host}:{port}/{number}"


def _workers(flat: Mapping[str, Any]) -> dict[str, Any]:
    workers = {name: flat[name] for name in ("min_workers", "max_workers") if name in flat}
    if flat.get("auto_scale_enabled") is False and "max_workers" in workers:
        workers["min_workers"] = workers["max_workers"]
    return {"workers": workers} if workers else {}


def _lanes(flat: Mapping[str, Any]) -> dict[str, Any]:
    interval = flat.get("flush_interval_ms")
    shared = _lane(flat["default_buffer_config"]) if "default_buffer_config" in flat else {}
    buffers: dict[str, Any] = {}
    if interval is not None and (shared or interval == 0):
        shared.setdefault("flush_interval_ms", interval)
    if shared:
        buffers = {"normal": shared, "low": {"flush_interval_ms": 100, **shared}}
    if "priority_buffer_size" in flat:
        size = flat["priority_buffer_size"]
        urgent = {"max_messages": size, "flush_interval_ms": 0, "overflow": "refuse"}
        buffers = {"critical": urgent, "high": urgent, **buffers}
        if interval is not None and not shared:
            buffers |= {lane: {"flush_interval_ms": interval} for lane in ("normal", "low")}
    if buffers:
        return {"buffers": buffers}
    return {} if interval is None else {"buffer_interval_ms": interval}


def _lane(config: Any) -> dict[str, Any]:
    if not isinstance(config, dict):
        raise ConfigurationError("message_bus.default_buffer_config", config, "an object")
    for name in config:
        if name not in _LANE_FIELDS:
            raise ConfigurationError(
                f"message_bus.default_buffer_config.{name}",
                redacted(config[name], name),
                f"the fields {', '.join(_LANE_FIELDS)}",
                "What a full lane does is `buffers.normal.overflow`",
            )
    return {_LANE_FIELDS[name]: value for name, value in config.items()}


def _topics(flat: Mapping[str, Any]) -> dict[str, Any]:
    if flat.get("subscriptions"):
        raise ConfigurationError(
            "message_bus.subscriptions",
            flat["subscriptions"],
            "no field of that name",
            FLAT_NAMES["subscriptions"],
        )
    topics = flat.get("publishing_topics")
    if not topics:
        return {}
    if not isinstance(topics, list | tuple):
        raise ConfigurationError("message_bus.publishing_topics", topics, "a list of topics")
    rules = [{"pattern": topic} for topic in topics]
    return {"publishing": {"rules": [*rules, {"pattern": "*", "publish": False}]}}
