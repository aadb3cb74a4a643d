"""What a migration changes in the fields of a message bus: a plain function of these fields."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import NamedTuple

import msgspec

from nautilus_enhanced.config import PRESETS
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.migration.flat_names import FLAT_NAMES
from nautilus_enhanced.migration.flat_names import translate
from nautilus_enhanced.node_config import OUR_FIELDS


if TYPE_CHECKING:
    from collections.abc import Mapping

    from nautilus_enhanced.config import PresetName


# Every field that a ``DatabaseConfig`` of a supported version has, and its default. A test holds
# the names against the installed version, so that a new one is not passed over.
DATABASE_DEFAULTS: Final[dict[str, Any]] = {
    "type": "redis",
    "host": None,
    "port": None,
    "username": None,
    "password": None,
    "ssl": False,
    "timeout": 20,
    "connection_timeout": 20,
    "response_timeout": 20,
    "number_of_retries": 100,
    "exponent_base": 2,
    "max_delay": 1000,
    "factor": 2,
}
# The limits of a connection by the field of a ``DatabaseConfig``, with the allowed milliseconds.
_TIMEOUTS: Final = {
    "timeout": ("connect_timeout_ms", 60_000),
    "connection_timeout": ("connect_timeout_ms", 60_000),
    "response_timeout": ("response_timeout_ms", 600_000),
}
_RETRIES: Final = ("number_of_retries", "exponent_base", "max_delay", "factor")
_MAX_INTERVAL_MS: Final = 1_000

# What turns a feature off, by its field: what `publisher_only` writes and a migration takes out.
_OFF: Final[dict[str, Any]] = {"dispatch": None, "ingress": "stock", "serializer": "stock"}


class MigrationPlan(NamedTuple):
    """
    What is to be changed in the fields of a message bus.

    Attributes
    ----------
    remove : tuple[str, ...]
        Fields to take out.
    put : dict[str, Any]
        Fields to put in, as JSON data.
    notes : tuple[str, ...]
        What else is to be known, as sentences.
    """

    remove: tuple[str, ...]
    put: dict[str, Any]
    notes: tuple[str, ...]

    def apply(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields after the change."""
        return {k: v for k, v in given.items() if k not in self.remove} | self.put


def plan_migration(
    given: Mapping[str, Any],
    *,
    preset: PresetName | None = None,
    publisher_only: bool = False,
    stock_database_fields: tuple[str, ...] = tuple(DATABASE_DEFAULTS),
) -> MigrationPlan:
    """
    Plan the change from the fields of a stock message bus, or of an enhanced one, to enhanced.

    Every stock field stays as it is. What is put in are our settings that say the same where
    stock says it in another way, and what a preset has and the fields do not say themselves.

    Parameters
    ----------
    given : Mapping[str, Any]
        The fields as JSON data.
    preset : {'development', 'production', 'high_frequency'}, optional
        The preset to fill in.
    publisher_only : bool, default False
        If engines and serializer stay stock.
    stock_database_fields : tuple[str, ...]
        The fields of the installed ``DatabaseConfig``; others of a supported version are
        translated and taken out.

    Raises
    ------
    ConfigurationError
        If something cannot be translated.
    """
    if preset is not None and preset not in PRESETS:
        raise ConfigurationError("preset", preset, ", ".join(map(repr, PRESETS)))
    put = translate(given)
    remove = [name for name in FLAT_NAMES if name in given]
    notes = [
        f"`{name}`: {FLAT_NAMES[name]}." for name in remove if given[name] not in (None, [], ())
    ]
    _plan_database(given, put, remove, notes, stock_database_fields)
    _plan_interval(given, put, notes)
    if preset is not None:
        _plan_preset(preset, given, put, notes)
    _plan_switches(given, put, remove, notes, publisher_only=publisher_only)
    if given.get("external_streams") and "ingress" not in (given.keys() | put.keys()):
        notes.append(
            "`external_streams`: they are read by a consumer group now. The first start brings the "
            "order events that are in them, and later ones what was missed; the node's own are not "
            "read. `ingress` 'stock' reads what comes from then on, as before."
        )
    # What is there already as it should be stays where it is.
    put = {k: v for k, v in put.items() if k not in given or k in remove or given[k] != v}
    return MigrationPlan(tuple(dict.fromkeys(remove)), put, tuple(notes))


def changed_fields(settings: Any) -> Any:
    """Return settings as JSON data, without what the defaults say."""
    if not isinstance(settings, msgspec.Struct):
        return msgspec.to_builtins(settings)
    fields = {}
    for field in msgspec.structs.fields(type(settings)):
        value = getattr(settings, field.name)
        default = (
            field.default_factory()
            if field.default_factory is not msgspec.NODEFAULT
            else field.default
        )
        if value != default:
            fields[field.name] = changed_fields(value)
    return fields


def _plan_database(
    given: Mapping[str, Any],
    put: dict[str, Any],
    remove: list[str],
    notes: list[str],
    stock_fields: tuple[str, ...],
) -> None:
    database = given.get("database")
    if not isinstance(database, dict):
        return
    kind = database.get("type", "redis")
    if kind != "redis":
        raise ConfigurationError("message_bus.database.type", kind, "'redis'")
    limits: dict[str, int] = {}
    for name, (field, most) in _TIMEOUTS.items():
        seconds = database.get(name)
        if seconds is None or seconds == DATABASE_DEFAULTS[name]:
            continue
        if isinstance(seconds, bool) or not isinstance(seconds, int):
            raise ConfigurationError(f"message_bus.database.{name}", seconds, "whole seconds")
        limits[field] = min(max(seconds * 1_000, 10), most)
        if limits[field] != seconds * 1_000:
            notes.append(
                f"`database.{name}` was {seconds} s: `connection.{field}` is {limits[field]:,} "
                "ms, the nearest that is allowed."
            )
    if limits and "connection" in put:
        put["connection"] = limits | put["connection"]
    elif limits and given.get("connection") is None:
        put["connection"] = limits
        if "connection" in given:
            remove.append("connection")
    retries = [n for n in _RETRIES if database.get(n) not in (None, DATABASE_DEFAULTS[n])]
    if retries:
        notes.append(
            f"`database.{', '.join(retries)}`: only the stock publisher gives up; ours tries "
            "without end, with pauses from `connection.reconnect_min_ms` to `reconnect_max_ms`."
        )
    foreign = [n for n in database if n in DATABASE_DEFAULTS and n not in stock_fields]
    if foreign:
        remove.append("database")
        put["database"] = {k: v for k, v in database.items() if k not in foreign}
        notes.append(
            f"`database.{', '.join(foreign)}`: the installed NautilusTrader has no such field, "
            "so it is taken out."
        )


def _plan_interval(given: Mapping[str, Any], put: dict[str, Any], notes: list[str]) -> None:
    interval = given.get("buffer_interval_ms")
    if not isinstance(interval, int) or interval <= _MAX_INTERVAL_MS:
        return
    if given.get("buffers") is None and "buffers" not in put:
        longest = {"flush_interval_ms": _MAX_INTERVAL_MS}
        put["buffers"] = {"normal": dict(longest), "low": dict(longest)}
        notes.append(
            f"`buffer_interval_ms` was {interval:,}: lanes wait for {_MAX_INTERVAL_MS:,} ms at "
            "most, so `buffers` says that."
        )


def _plan_preset(
    preset: PresetName, given: Mapping[str, Any], put: dict[str, Any], notes: list[str]
) -> None:
    for name, value in PRESETS[preset].items():
        has_server = name == "connection" and (
            given.get("database") is not None or "database" in put
        )
        if has_server or given.get(name) is not None or name in put:
            if not (name in given and given[name] == changed_fields(value)):
                notes.append(
                    f"`{name}` of the preset '{preset}' is left out: "
                    f"the file names {'a server' if has_server else 'its own'}."
                )
        else:
            put[name] = changed_fields(value)
            if name == "buffers" and given.get("buffer_interval_ms") is not None:
                notes.append(
                    "`buffer_interval_ms` is for the stock publisher only now: the preset's "
                    "`buffers` say how long ours waits."
                )


def _plan_switches(
    given: Mapping[str, Any],
    put: dict[str, Any],
    remove: list[str],
    notes: list[str],
    *,
    publisher_only: bool,
) -> None:
    if given.get("publisher") is False:
        remove.append("publisher")
    for name, off in _OFF.items():
        if publisher_only:
            if given.get(name, off) != off:
                notes.append(f"`{name}` is switched off: the settings it had are gone.")
            if name in given:
                remove.append(name)
            put[name] = off
        elif name in given and given[name] == off:
            remove.append(name)


def lost_on_the_way_back(message_bus: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the fields that a stock configuration cannot have."""
    return tuple(name for name in message_bus if name in OUR_FIELDS)
