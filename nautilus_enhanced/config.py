"""
The configuration of an enhanced node: what goes into ``TradingNodeConfig.message_bus``.

Pure data. Making one is what tells this package that it is wanted: it hooks the kernel then,
and never on import, so that a backtest or a notebook that imports the package is left alone.
"""

from __future__ import annotations

from typing import Any
from typing import Literal
from urllib.parse import unquote
from urllib.parse import urlsplit

import msgspec
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.common.config import msgspec_decoding_hook
from nautilus_trader.common.config import resolve_path

from nautilus_enhanced.infrastructure.messagebus.connection import database_url
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.settings import BufferSettings
from nautilus_enhanced.infrastructure.messagebus.settings import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.settings import DispatchSettings
from nautilus_enhanced.infrastructure.messagebus.settings import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus.settings import LaneSettings
from nautilus_enhanced.infrastructure.messagebus.settings import MonitoringSettings
from nautilus_enhanced.infrastructure.messagebus.settings import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus.settings import StreamSettings
from nautilus_enhanced.infrastructure.messagebus.settings import WorkerSettings
from nautilus_enhanced.infrastructure.messagebus.urls import EMBEDDED
from nautilus_enhanced.patches import install


PresetName = Literal["development", "production", "high_frequency"]


class EnhancedMessageBusConfig(MessageBusConfig, frozen=True, forbid_unknown_fields=True):
    """
    Configuration for a ``TradingNode`` on the enhanced bus.

    Every field of NautilusTrader's ``MessageBusConfig`` is kept and means the same, with one
    addition: where `buffers` is not given, `buffer_interval_ms` becomes the flush interval of
    the lanes for market data and for what can wait (1 to 1,000 ms; order flow is sent at once).

    Parameters
    ----------
    publisher : bool, default True
        If messages go to Redis by the enhanced publisher. False is the stock publisher.
    dispatch : DispatchSettings or None
        Settings of the dispatcher that serves order flow before market data. None is the
        stock engines.
    ingress : {'stock'}, default 'stock'
        Who reads `external_streams`.
    serializer : {'stock'}, default 'stock'
        Who serializes what is published.
    fallback : {'stock', 'raise'}, default 'stock'
        What happens when a feature cannot work with what is installed: run it on the stock
        bus, or refuse to start. A server that is down is no reason for either.
    buffers : BufferSettings, optional
        Settings of the four lanes.
    priorities : PrioritySettings
        Settings of the priorities outside of the node.
    durability : DurabilitySettings
        Settings of what outlives the process.
    streams : StreamSettings
        Settings of how the writer sends.
    workers : WorkerSettings
        Settings of the workers that consumers share.
    connection : ConnectionSettings or str, optional
        Settings of the connection, or just its URL, or ``'embedded'``. None takes the server
        from `database`.
    monitoring : MonitoringSettings
        Settings of what the node says about itself.

    Raises
    ------
    ConfigurationError
        If a value is outside of what is allowed, or two values contradict.
    """

    publisher: bool = True
    dispatch: DispatchSettings | None = DispatchSettings()
    ingress: Literal["stock"] = "stock"
    serializer: Literal["stock"] = "stock"
    fallback: Literal["stock", "raise"] = "stock"
    buffers: BufferSettings | None = None
    priorities: PrioritySettings = PrioritySettings()
    durability: DurabilitySettings = DurabilitySettings()
    streams: StreamSettings = StreamSettings()
    workers: WorkerSettings = WorkerSettings()
    connection: ConnectionSettings | str | None = None
    monitoring: MonitoringSettings = MonitoringSettings()

    def __post_init__(self) -> None:
        if isinstance(self.connection, str):
            msgspec.structs.force_setattr(
                self, "connection", ConnectionSettings(url=self.connection)
            )
        for name, allowed in _CHOICES.items():
            # The constructor does not check types, the JSON decoder does.
            if getattr(self, name) not in allowed:
                raise ConfigurationError(
                    f"message_bus.{name}",
                    getattr(self, name),
                    " or ".join(repr(choice) for choice in allowed),
                )
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise ConfigurationError(
                    f"message_bus.{name}",
                    getattr(self, name),
                    f"a {kind.__name__}" if isinstance(kind, type) else "settings or None",
                )
        if self.buffers is None and self.buffer_interval_ms is not None:
            LaneSettings(flush_interval_ms=self.buffer_interval_ms)
        if self.database is not None and self.connection_url(default=None) is not None:
            raise ConfigurationError(
                "message_bus.database, message_bus.connection.url",
                "both given",
                "one of the two, since each names the server",
                "Remove `database`, or leave `connection.url` out",
            )
        install()

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        if self.database is not None and self.database.password:
            # NautilusTrader 1.221 shows pieces of a password, and a short one as it is.
            values["database"] = msgspec.structs.replace(self.database, password="*****")  # noqa: S106 (a mask)
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in values.items())})"

    @classmethod
    def parse(cls, raw: bytes | str) -> EnhancedMessageBusConfig:
        """
        Return the configuration that `json` wrote, `types_filter` included.

        Raises
        ------
        msgspec.ValidationError
            If a field is unknown or has the wrong type.
        """
        return msgspec.json.decode(raw, type=cls, dec_hook=_decode)

    # -- what it says ----------------------------------------------------------------------------

    @property
    def connection_settings(self) -> ConnectionSettings:
        """Return the settings of the connection, with the defaults where none were given."""
        connection = self.connection
        return connection if isinstance(connection, ConnectionSettings) else ConnectionSettings()

    def connection_url(self, default: str | None = "") -> str | None:
        """
        Return the server's URL, ``'embedded'``, or None when no server is named.

        Parameters
        ----------
        default : str or None, default ''
            ``''`` takes the URL from `database` where `connection` has none; None does not.
        """
        url = self.connection_settings.url
        if url is None and default is not None and self.database is not None:
            return database_url(self.database)
        return url

    def buffer_settings(self) -> BufferSettings:
        """Return the settings of the lanes, those from `buffer_interval_ms` included."""
        if self.buffers is not None:
            return self.buffers
        settings = BufferSettings()
        if self.buffer_interval_ms is None:
            return settings
        return msgspec.structs.replace(
            settings,
            normal=LaneSettings(flush_interval_ms=self.buffer_interval_ms),
            low=LaneSettings(flush_interval_ms=self.buffer_interval_ms),
        )

    def to_stock(self) -> MessageBusConfig:
        """
        Return the stock configuration that comes closest.

        The server's URL becomes a ``DatabaseConfig`` where that can express it. An embedded
        server, a Unix socket or a database number it cannot: `database` is None then.
        """
        fields = {name: getattr(self, name) for name in MessageBusConfig.__struct_fields__}
        if fields["database"] is None:
            fields["database"] = database_of(self.connection_settings.url)
        return MessageBusConfig(**fields)

    # -- presets ---------------------------------------------------------------------------------

    @classmethod
    def preset(cls, name: PresetName, **overrides: Any) -> EnhancedMessageBusConfig:
        """
        Return a preset, with the fields in `overrides` instead of its own.

        Raises
        ------
        ConfigurationError
            If there is no preset of that name.
        """
        fields = _PRESETS.get(name)
        if fields is None:
            raise ConfigurationError("preset", name, ", ".join(map(repr, _PRESETS)))
        return cls(**{**fields, **overrides})

    @classmethod
    def development(cls, **overrides: Any) -> EnhancedMessageBusConfig:
        """Return the preset for a desk: an embedded server unless another one is named."""
        if overrides.get("database") is not None:
            overrides.setdefault("connection", None)
        return cls.preset("development", **overrides)

    @classmethod
    def production(cls, **overrides: Any) -> EnhancedMessageBusConfig:
        """Return the preset for real money: what cannot work refuses to start."""
        return cls.preset("production", **overrides)

    @classmethod
    def high_frequency(cls, **overrides: Any) -> EnhancedMessageBusConfig:
        """Return the preset for low latency: short slices and intervals, long lanes."""
        return cls.preset("high_frequency", **overrides)


_CHOICES: dict[str, tuple[Any, ...]] = {
    "publisher": (True, False),
    "ingress": ("stock",),
    "serializer": ("stock",),
    "fallback": ("stock", "raise"),
    "encoding": ("json", "msgpack"),
}
_KINDS: dict[str, Any] = {
    "dispatch": DispatchSettings | None,
    "buffers": BufferSettings | None,
    "priorities": PrioritySettings,
    "durability": DurabilitySettings,
    "streams": StreamSettings,
    "workers": WorkerSettings,
    "connection": ConnectionSettings | None,
    "monitoring": MonitoringSettings,
}
_PRESETS: dict[str, dict[str, Any]] = {
    "development": {"connection": ConnectionSettings(url=EMBEDDED)},
    "production": {"fallback": "raise", "streams": StreamSettings(close_timeout_ms=15_000)},
    "high_frequency": {
        "fallback": "raise",
        "dispatch": DispatchSettings(slice_us=200),
        "buffers": BufferSettings(
            normal=LaneSettings(flush_interval_ms=1, max_messages=1_000_000, max_bytes=512 * 2**20),
        ),
    },
}


def _decode(kind: type, value: Any) -> Any:
    """Read a type by its path, which stock writes and does not read, and all else as stock."""
    return resolve_path(value) if kind is type else msgspec_decoding_hook(kind, value)


def database_of(url: str | None) -> DatabaseConfig | None:
    """Return the stock configuration of the server at `url`, or None if it cannot express it."""
    if url is None or url == EMBEDDED:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or parts.path.strip("/") not in ("", "0"):
        return None
    return DatabaseConfig(
        host=parts.hostname,
        port=parts.port,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ssl=parts.scheme == "rediss",
    )
