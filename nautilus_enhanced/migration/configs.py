"""Migrates configuration objects, for nodes that are configured in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import msgspec
from nautilus_trader.common import Environment
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.common.config import MessageBusConfig

from nautilus_enhanced.config import EnhancedMessageBusConfig
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.migration.plan import changed_fields
from nautilus_enhanced.migration.plan import plan_migration
from nautilus_enhanced.node_config import OUR_FIELDS
from nautilus_enhanced.node_config import parse_message_bus


if TYPE_CHECKING:
    from collections.abc import Mapping

    from nautilus_trader.live.config import TradingNodeConfig

    from nautilus_enhanced.config import PresetName


def migrate_messagebus_config(
    stock: MessageBusConfig | Mapping[str, Any] | None,
    *,
    preset: PresetName | None = None,
    publisher_only: bool = False,
) -> EnhancedMessageBusConfig:
    """
    Return the enhanced configuration that says the same as a stock one.

    Every stock field is kept, so that ``to_stock()`` gives back what was migrated. Time limits
    of `database` become those of `connection`.

    Parameters
    ----------
    stock : MessageBusConfig or Mapping[str, Any] or None
        The stock configuration, or its fields as JSON data, flat names of early drafts included.
        None is a node that has none. One that is enhanced already is returned as it is, unless
        `preset` or `publisher_only` asks for more: then it is changed as the command
        ``nt-enhanced config migrate`` changes a file.
    preset : {'development', 'production', 'high_frequency'}, optional
        The preset to fill in where the configuration does not say it.
    publisher_only : bool, default False
        If engines and serializer stay stock.

    Raises
    ------
    ConfigurationError
        If something in it has no meaning here.
    """
    if isinstance(stock, EnhancedMessageBusConfig) and preset is None and not publisher_only:
        return stock
    given = _fields(stock) if isinstance(stock, MessageBusConfig) else dict(stock or {})
    plan = plan_migration(
        given,
        preset=preset,
        publisher_only=publisher_only,
        stock_database_fields=DatabaseConfig.__struct_fields__,
    )
    return parse_message_bus(plan.apply(given))


def migrate_trading_node_config(
    config: TradingNodeConfig,
    *,
    preset: PresetName | None = None,
    publisher_only: bool = False,
) -> TradingNodeConfig:
    """
    Return the configuration of a node with the enhanced bus, and all else as it was.

    Parameters
    ----------
    config : TradingNodeConfig
        The configuration.
    preset, publisher_only
        As for `migrate_messagebus_config`.

    Raises
    ------
    ConfigurationError
        If it is one of a backtest, or something in it has no meaning here.
    """
    if Environment(config.environment) is Environment.BACKTEST:
        raise ConfigurationError(
            "environment", "backtest", "a live or sandbox node", "A backtest has no live bus"
        )
    return msgspec.structs.replace(
        config,
        message_bus=migrate_messagebus_config(
            config.message_bus, preset=preset, publisher_only=publisher_only
        ),
    )


def _fields(stock: MessageBusConfig) -> dict[str, Any]:
    """Return the fields of a configuration in the form that JSON data has, ours if they are set."""
    known = (
        EnhancedMessageBusConfig
        if isinstance(stock, EnhancedMessageBusConfig)
        else MessageBusConfig
    )
    if set(stock.__struct_fields__) - set(known.__struct_fields__):
        raise ConfigurationError(
            "message_bus", type(stock).__name__, f"a {known.__name__}", "It has fields of its own"
        )
    fields = {name: getattr(stock, name) for name in MessageBusConfig.__struct_fields__}
    if isinstance(stock, EnhancedMessageBusConfig):
        default = EnhancedMessageBusConfig()
        fields |= {
            name: changed_fields(getattr(stock, name))
            for name in OUR_FIELDS
            if getattr(stock, name) != getattr(default, name)
        }
    if isinstance(stock.database, DatabaseConfig):
        database = stock.database
        fields["database"] = {n: getattr(database, n) for n in DatabaseConfig.__struct_fields__}
    return fields
