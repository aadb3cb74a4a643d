"""
Migrates the text of a node's JSON file, and brings it back.

Only members of `message_bus` are put in or taken out; all else stays as it is written, what
nobody here knows included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import NamedTuple

from nautilus_trader.common.config import DatabaseConfig

from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.migration.json_text import find
from nautilus_enhanced.migration.json_text import put_in
from nautilus_enhanced.migration.json_text import refuse_repeated_names
from nautilus_enhanced.migration.json_text import replace_value
from nautilus_enhanced.migration.json_text import skip_space
from nautilus_enhanced.migration.json_text import take_out
from nautilus_enhanced.migration.plan import DATABASE_DEFAULTS
from nautilus_enhanced.migration.plan import lost_on_the_way_back
from nautilus_enhanced.migration.plan import plan_migration
from nautilus_enhanced.node_config import CONFIG_PATH
from nautilus_enhanced.node_config import CONFIG_PATHS
from nautilus_enhanced.node_config import PATH_FIELD
from nautilus_enhanced.node_config import decode_document
from nautilus_enhanced.node_config import is_enhanced
from nautilus_enhanced.node_config import parse_message_bus
from nautilus_enhanced.node_config import parse_node_config


if TYPE_CHECKING:
    from nautilus_enhanced.config import PresetName


BUS: Final = "message_bus"
# A field of stock's that stock writes to a file and cannot read from one.
UNREADABLE: Final = "types_filter"


class FileChange(NamedTuple):
    """
    The text of a file after a change.

    Attributes
    ----------
    text : str
        The text.
    notes : tuple[str, ...]
        What else is to be known, as sentences.
    """

    text: str
    notes: tuple[str, ...] = ()


def migrate_text(
    text: str, *, preset: PresetName | None = None, publisher_only: bool = False
) -> FileChange:
    """
    Return a node's file with the enhanced bus; doing it twice changes nothing more.

    Parameters
    ----------
    text : str
        The JSON of a ``TradingNodeConfig``.
    preset, publisher_only
        As for `migrate_messagebus_config`.

    Raises
    ------
    ConfigurationError
        If the file, or what would become of it, is not a configuration of a node.
    """
    document = decode_document(text)
    refuse_repeated_names(text)
    given = document.get(BUS)
    if given is not None and not isinstance(given, dict):
        raise ConfigurationError(BUS, given, "an object, or null")
    if document.get("environment") == "backtest":
        raise ConfigurationError(
            "environment", "backtest", "a live or sandbox node", "A backtest has no live bus"
        )
    plan = plan_migration(
        given or {},
        preset=preset,
        publisher_only=publisher_only,
        stock_database_fields=DatabaseConfig.__struct_fields__,
    )
    text = _with_bus_object(text)
    for name in plan.remove:
        if name not in plan.put:
            text = take_out(text, _bus_start(text), name)
    if given is None or PATH_FIELD not in given:
        text = put_in(text, _bus_start(text), PATH_FIELD, CONFIG_PATH, first=True)
    for name, value in plan.put.items():
        member = find(text, _bus_start(text), name)
        if member is None:
            text = put_in(text, _bus_start(text), name, value)
        else:
            text = replace_value(text, member, value)
    parse_node_config(text)
    return FileChange(text, plan.notes)


def revert_text(text: str, originals: tuple[str, ...] = ()) -> FileChange:
    """
    Return a node's file with the stock bus.

    What a migration put in is taken out, which gives back the original to the byte, if it had a
    `message_bus` with fields. One of `originals` is given back as it is where it says the same.

    Parameters
    ----------
    text : str
        The JSON of a node with an enhanced bus.
    originals : tuple[str, ...], default ()
        Texts that the file may have had before it was migrated, likeliest first.

    Raises
    ------
    ConfigurationError
        If the file is not a configuration of a node.
    """
    document = decode_document(text)
    refuse_repeated_names(text)
    message_bus = document.get(BUS)
    if not is_enhanced(message_bus):
        return FileChange(text)
    if message_bus.get(PATH_FIELD, CONFIG_PATH) not in CONFIG_PATHS:
        parse_message_bus(message_bus)  # says what is wrong with it
    reverted, notes = _take_ours_out(text, message_bus)
    for original in originals:
        if _says_the_same(original, reverted):
            note = "The original is given back as it was"
            if message_bus.get(UNREADABLE):
                note = f"{note}, and NautilusTrader cannot read its `{BUS}.{UNREADABLE}`: remove it"
            return FileChange(original, (f"{note}.",))
    if message_bus.get(UNREADABLE):
        reverted = take_out(reverted, _bus_start(reverted), UNREADABLE)
        notes = (
            *notes,
            f"`{BUS}.{UNREADABLE}` is taken out, since NautilusTrader cannot read it from a file: "
            "unless the code that starts the node sets it, these types are published too.",
        )
    parse_node_config(reverted)
    return FileChange(reverted, notes)


def _take_ours_out(text: str, message_bus: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    lost = lost_on_the_way_back(message_bus)
    notes = []
    if lost:
        notes.append(
            f"Settings of the enhanced bus only, taken out: {', '.join(f'`{n}`' for n in lost)}."
        )
    database, more = _stock_server(message_bus)
    notes.extend(more)
    for name in (PATH_FIELD, *lost):
        text = take_out(text, _bus_start(text), name)
    if database is not None:
        given = find(text, _bus_start(text), "database")
        fields = {
            name: getattr(database, name)
            for name in DatabaseConfig.__struct_fields__
            if getattr(database, name) != DATABASE_DEFAULTS.get(name)
        }
        if given is None:
            text = put_in(text, _bus_start(text), "database", fields)
        else:
            text = replace_value(text, given, fields)
    if not set(message_bus) - {PATH_FIELD, *lost} and database is None:
        text = take_out(text, skip_space(text, 0), BUS)
    return text, tuple(notes)


def _stock_server(message_bus: dict[str, Any]) -> tuple[DatabaseConfig | None, list[str]]:
    """Return the `database` to put in, if one is, and what is lost of the way to the server."""
    is_named = message_bus.get("database") is not None
    # Nothing else counts, so a mistake in it must not stand in the way back.
    fields = {k: v for k, v in message_bus.items() if k in ("database", "connection")}
    try:
        config = parse_message_bus(fields | {"publisher": False})
    except ConfigurationError:
        if is_named:
            return None, []
        raise
    # A secret that was kept out of the file stays out of it.
    url, settings = config.connection_url(), config.connection_settings
    database, _ = config.stock_server(with_password=False)
    notes = []
    if is_named and settings.beyond_stock:
        names = ", ".join(f"`connection.{name}`" for name in settings.beyond_stock)
        notes.append(
            f"`database` stays as it is, but a stock configuration has nothing like {names}: the "
            "stock publisher must reach the server without."
        )
    elif database is None and url is not None:
        notes.append(
            f"A stock configuration cannot name the server of `connection` "
            f"({redact_url(url) if '://' in url else url}): the node publishes nowhere until "
            "`database` names one."
        )
    elif database is not None and not is_named:
        notes.append("`database` names the server that `connection.url` named.")
    if database is not None and not database.password and settings.password_place is not None:
        notes.append(
            f"The password that `connection.{settings.password_place}` keeps elsewhere is not "
            "written into the file: without `database.password` the server refuses the stock "
            "publisher, which does not say so."
        )
    return None if is_named else database, notes


def _says_the_same(original: str, reverted: str) -> bool:
    """Return whether two stock files differ in how they are written only."""
    try:
        document = decode_document(original)
    except ConfigurationError:
        return False
    if is_enhanced(document.get(BUS)):
        return False
    return _essence(document) == _essence(decode_document(reverted))


def _essence(document: dict[str, Any]) -> dict[str, Any]:
    # A bus without fields and no bus are the same to the kernel.
    return {k: v for k, v in document.items() if k != BUS or v}


def _with_bus_object(text: str) -> str:
    """Return the text with an object as its message bus, which may be empty."""
    root = skip_space(text, 0)
    member = find(text, root, BUS)
    if member is None:
        return put_in(text, root, BUS, {})
    return replace_value(text, member, {}) if text[member.value_start] != "{" else text


def _bus_start(text: str) -> int:
    member = find(text, skip_space(text, 0), BUS)
    if member is None:
        raise ConfigurationError(BUS, None, "an object")
    return member.value_start
