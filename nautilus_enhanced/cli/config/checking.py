"""What a node with a configuration will run on this machine, and what stands in the way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import nautilus_trader

from nautilus_enhanced.common.features import FALLBACK_REASONS
from nautilus_enhanced.common.features import Feature
from nautilus_enhanced.common.features import FeatureState
from nautilus_enhanced.common.features import decide
from nautilus_enhanced.common.features import stock_features
from nautilus_enhanced.config import EnhancedMessageBusConfig
from nautilus_enhanced.infrastructure.messagebus.connection.credentials import PasswordSource
from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import HostError
from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
from nautilus_enhanced.live.assembly import gather_facts
from nautilus_enhanced.live.banner import server_line
from nautilus_enhanced.migration.json_text import refuse_repeated_names
from nautilus_enhanced.node_config import parse_node_config
from nautilus_enhanced.patches import PATCHES


if TYPE_CHECKING:
    from nautilus_trader.live.config import TradingNodeConfig


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was found in a node's configuration.

    Attributes
    ----------
    file : str
        The file's name.
    valid : bool
        Whether it is the configuration of a node.
    bus : str
        ``enhanced`` or ``stock``.
    nautilus_trader : str
        The installed version.
    server : str, optional
        The server's URL, redacted.
    features : tuple[FeatureState, ...]
        What will be active and what not.
    problems : tuple[str, ...]
        What is wrong, or what is switched on and cannot run here.
    """

    file: str
    valid: bool
    bus: str = "stock"
    nautilus_trader: str = nautilus_trader.__version__
    server: str | None = None
    features: tuple[FeatureState, ...] = ()
    problems: tuple[str, ...] = ()


def check_text(file: str, text: str) -> CheckResult:
    """Return what a node with the configuration in `text` will run; connects to nothing."""
    try:
        config = parse_node_config(text)
        refuse_repeated_names(text)
        _refuse_databases(config)
    except ConfigurationError as error:
        return CheckResult(file=file, valid=False, problems=(str(error),))
    bus = config.message_bus
    if not isinstance(bus, EnhancedMessageBusConfig):
        states = stock_features(nautilus_trader.__version__).states
        problems = []
        if bus is not None and bus.external_streams and bus.database is None:
            problems.append(
                f"external_streams={bus.external_streams} without `database`: the stock node "
                "fails when it starts to read them"
            )
        return CheckResult(file=file, valid=True, features=states, problems=tuple(problems))
    facts = gather_facts(PATCHES[0].original, config)
    problems = []
    try:
        decide(bus, facts)
    except HostError as error:
        problems.append(f"the node will not start: {error}")
    states = decide(msgspec.structs.replace(bus, fallback="stock"), facts).states
    if not problems:
        problems += [
            f"{state}: the stock bus will be used for it"
            for state in states
            if state.reason in FALLBACK_REASONS
        ]
    problems += _unreadable(bus.connection_settings)
    url = bus.connection_url()
    if bus.external_streams and url is None:
        problems.append(
            f"external_streams={bus.external_streams} are not read, since no server is "
            "configured: set `connection` or `database`"
        )
    if url is not None and not any(s.active for s in states if s.feature is Feature.PUBLISHER):
        line = server_line(bus, None)
        problems += [line.text] if line.is_warning else []
    return CheckResult(
        file=file,
        valid=True,
        bus="enhanced",
        server=redact_url(url) if url and "://" in url else url or None,
        features=states,
        problems=tuple(problems),
    )


def _refuse_databases(config: TradingNodeConfig) -> None:
    """Refuse the databases that a kernel refuses, with an error of its own, when it is built."""
    for name in ("message_bus", "cache"):
        database = getattr(getattr(config, name), "database", None)
        if database is not None and database.type != "redis":
            raise ConfigurationError(f"{name}.database.type", database.type, "'redis'")


def _unreadable(connection: ConnectionSettings) -> list[str]:
    """Return which secrets and files of a connection cannot be read by this process."""
    problems = []
    try:
        PasswordSource.of(connection, None)
    except ConfigurationError as error:
        problems.append(str(error))
    for name in ("tls_ca_file", "tls_cert_file", "tls_key_file"):
        path = getattr(connection, name)
        if path is not None and not os.access(path, os.R_OK):
            problems.append(str(ConfigurationError(f"connection.{name}", path, "a readable file")))
    return problems
