"""
The configuration of an enhanced node: what goes into ``TradingNodeConfig.message_bus``.

Pure data. Making one is what tells this package that it is wanted: it hooks the kernel then,
and never on import, so that a backtest or a notebook that imports the package is left alone.
"""

from __future__ import annotations

from typing import Any
from typing import Literal
from typing import NamedTuple
from typing import get_args
from urllib.parse import unquote
from urllib.parse import urlsplit

import msgspec
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.common.config import MessageBusConfig
from nautilus_trader.common.config import msgspec_decoding_hook
from nautilus_trader.common.config import resolve_path

from nautilus_enhanced.infrastructure.messagebus.connection.credentials import PasswordSource
from nautilus_enhanced.infrastructure.messagebus.connection.urls import EMBEDDED
from nautilus_enhanced.infrastructure.messagebus.connection.urls import database_url
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.publishing.rules import check_publishing
from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings
from nautilus_enhanced.infrastructure.messagebus.settings.dispatch import DispatchSettings
from nautilus_enhanced.infrastructure.messagebus.settings.durability import DurabilitySettings
from nautilus_enhanced.infrastructure.messagebus.settings.external import ExternalSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import BufferSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import LaneSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import MonitoringSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PrioritySettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import PublishingSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import WorkerSettings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range
from nautilus_enhanced.infrastructure.messagebus.settings.streams import StreamSettings
from nautilus_enhanced.patches import install


PresetName = Literal["development", "production", "high_frequency"]


class StockServer(NamedTuple):
    """
    What the stock publisher can know of a server.

    Attributes
    ----------
    database : DatabaseConfig or None
        The server as a stock configuration names it; None if it cannot, or there is none.
    obstacle : str
        What stands in the way where it cannot and that is not the URL itself.
    """

    database: DatabaseConfig | None
    obstacle: str = ""


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
    ingress : {'enhanced', 'stock'}, default 'enhanced'
        Who reads `external_streams`: consumers with a group, which keep the node's place, or the
        stock reader, which reads what comes from now on.
    serializer : {'enhanced', 'stock'}, default 'enhanced'
        Who serializes what is published, and what the cache writes to its database. The bytes
        are the same.
    adapters : {'none', 'data', 'all'}, default 'none'
        Which clients of venue adapters have their messages and connections counted and
        measured, whatever factories make them: none, data clients, or execution clients, too.
        Those of enhanced factories always have.
    fallback : {'stock', 'raise'}, default 'stock'
        What happens when a feature cannot work with what is installed: run it on the stock
        bus, or refuse to start. A server that is down is no reason for either.
    buffers : BufferSettings, optional
        Settings of the four lanes.
    priorities : PrioritySettings
        Settings of the priorities outside of the node.
    publishing : PublishingSettings
        What the publisher keeps back, and what it sends only a sample of.
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
    external : ExternalSettings
        Settings of how `external_streams` are read where `ingress` is ``'enhanced'``.

    Raises
    ------
    ConfigurationError
        If a value is outside of what is allowed, or two values contradict.
    """

    publisher: bool = True
    dispatch: DispatchSettings | None = DispatchSettings()
    ingress: Literal["enhanced", "stock"] = "enhanced"
    serializer: Literal["enhanced", "stock"] = "enhanced"
    adapters: Literal["none", "data", "all"] = "none"
    fallback: Literal["stock", "raise"] = "stock"
    buffers: BufferSettings | None = None
    priorities: PrioritySettings = PrioritySettings()
    publishing: PublishingSettings = PublishingSettings()
    durability: DurabilitySettings = DurabilitySettings()
    streams: StreamSettings = StreamSettings()
    workers: WorkerSettings = WorkerSettings()
    connection: ConnectionSettings | str | None = None
    monitoring: MonitoringSettings = MonitoringSettings()
    external: ExternalSettings = ExternalSettings()

    def __post_init__(self) -> None:
        if isinstance(self.connection, str):
            msgspec.structs.force_setattr(
                self, "connection", ConnectionSettings(url=self.connection)
            )
        for name, allowed in _CHOICES.items():
            # The constructor does not check types, the JSON decoder does.
            value = getattr(self, name)
            if name == "encoding" and isinstance(value, str):
                # The kernel does not mind the case.
                value = value.lower()
            if value not in allowed:
                raise ConfigurationError(
                    f"message_bus.{name}",
                    getattr(self, name),
                    " or ".join(repr(choice) for choice in allowed),
                )
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                settings = (get_args(kind) or (kind,))[0].__name__
                or_none = " or None" if isinstance(None, kind) else ""
                raise ConfigurationError(
                    f"message_bus.{name}", getattr(self, name), f"a {settings}{or_none}"
                )
        self._check_stock_fields()
        self._check_subscriptions()
        self._check_trimming()
        if self.publishing.rules:
            check_publishing(self.publishing, self.priorities.policy())
        if self.autotrim_mins is not None:
            check_range("message_bus.autotrim_mins", self.autotrim_mins, 0, 2**32 - 1, " minutes")
        if self.heartbeat_interval_secs is not None:
            check_range(
                "message_bus.heartbeat_interval_secs",
                self.heartbeat_interval_secs,
                1,
                2**16 - 1,
                " s",
            )
        if self.buffers is None and self.buffer_interval_ms is not None:
            check_range("message_bus.buffer_interval_ms", self.buffer_interval_ms, 0, 1_000, " ms")
        if self.database is not None and self.connection_url(default=None) is not None:
            raise ConfigurationError(
                "message_bus.database, message_bus.connection.url",
                "both given",
                "one of the two, since each names the server",
                "Remove `database`, or leave `connection.url` out",
            )
        if self.publisher or (self.ingress == "enhanced" and self.external_streams):
            self._check_server()
        install()

    def _check_stock_fields(self) -> None:
        """Refuse what would be an error of NautilusTrader's own, without a name, at the start."""
        database, streams = self.database, self.external_streams
        if database is not None and database.type != "redis":
            raise ConfigurationError("message_bus.database.type", database.type, "'redis'")
        if streams is not None and not (
            isinstance(streams, list | tuple) and all(isinstance(name, str) for name in streams)
        ):
            raise ConfigurationError(
                "message_bus.external_streams", streams, "a list of names of streams, or None"
            )

    def _check_subscriptions(self) -> None:
        subscriptions = () if self.dispatch is None else self.dispatch.subscriptions
        if subscriptions and not (self.external_streams and self.publisher):
            raise ConfigurationError(
                "message_bus.dispatch.subscriptions",
                subscriptions,
                "subscriptions on a node that reads `external_streams`, with `publisher` True",
                "Name the streams that bring the data, or leave the subscriptions out",
            )

    def _check_trimming(self) -> None:
        if self.streams.trimming is None:
            return
        if not self.publisher:
            raise ConfigurationError(
                "message_bus.streams.trimming",
                "given",
                "null where `publisher` is False",
                "The stock publisher trims by `autotrim_mins`; or run a StreamTrimmer elsewhere",
            )
        if self.autotrim_mins:
            raise ConfigurationError(
                "message_bus.autotrim_mins",
                self.autotrim_mins,
                "nothing where `streams.trimming` is given",
                "It goes by age alone, whoever still needs an entry: say the age as "
                "`streams.trimming.max_age_mins`",
            )

    def _check_server(self) -> None:
        """
        Refuse a server that does not go with the settings, or with the external streams.

        Raises
        ------
        ConfigurationError
            If it does not.
        """
        url = self.connection_url()
        if not url:
            return
        self.connection_settings.check_with(url)
        if self.external_streams and self.ingress == "stock" and not self.stock_can_read():
            raise ConfigurationError(
                "message_bus.external_streams",
                self.external_streams,
                "nothing with this `connection`",
                "External streams are read by the stock reader, which knows redis:// and "
                "rediss:// with host, port and login, and no Unix socket, database number, "
                "sentinels, cluster, TLS files or password from elsewhere. With "
                "`ingress='enhanced'` they are read by ours, which know all of these",
            )

    def stock_can_read(self) -> bool:
        """Return whether the stock reader can read from the server beside our publisher."""
        url = self.connection_url()
        return self.connection_settings.is_plain and (
            url == EMBEDDED or database_of(url or None) is not None
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec's own would show the passwords in a traceback printed by rich.
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        if self.database is not None and self.database.password:
            # NautilusTrader 1.221 shows pieces of a password, and a short one as it is.
            values["database"] = msgspec.structs.replace(self.database, password="*****")  # noqa: S106 (a mask)
        return list(values.items())

    @classmethod
    def parse(cls, raw: bytes | str) -> EnhancedMessageBusConfig:
        """
        Return the configuration that `json` wrote, `types_filter` included.

        Raises
        ------
        msgspec.ValidationError
            If a field is unknown or has the wrong type.
        """
        return msgspec.json.decode(raw, type=cls, dec_hook=decoding_hook)

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

        The server becomes a ``DatabaseConfig`` where that can express it, and a password that
        `connection` keeps elsewhere is read and put into it. An embedded server, a Unix socket,
        a database number, sentinels, a cluster, TLS files or `tls_verify` False it cannot
        express: `database` is None then, and also where the password cannot be read, since
        the stock publisher says nothing of a server that refuses it.
        """
        fields = {name: getattr(self, name) for name in MessageBusConfig.__struct_fields__}
        return MessageBusConfig(**{**fields, "database": self.stock_server().database})

    def stock_server(self, *, with_password: bool = True) -> StockServer:
        """
        Return the server as far as a stock configuration can name it.

        Parameters
        ----------
        with_password : bool, default True
            If a password that `connection` keeps elsewhere is read and put in.
        """
        settings = self.connection_settings
        database = self.database or database_of(settings.url)
        if database is None:
            return StockServer(None)
        if settings.beyond_stock:
            return StockServer(None, ", ".join(f"`connection.{n}`" for n in settings.beyond_stock))
        if not with_password or database.password:
            return StockServer(database)
        try:
            source = PasswordSource.of(settings, database.username)
        except ConfigurationError as error:
            return StockServer(None, error.remedy)
        if source is None:
            return StockServer(database)
        password = source.get_credentials()[-1]
        return StockServer(msgspec.structs.replace(database, password=password))

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
        fields = PRESETS.get(name)
        if fields is None:
            raise ConfigurationError("preset", name, ", ".join(map(repr, PRESETS)))
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
    "ingress": ("enhanced", "stock"),
    "serializer": ("enhanced", "stock"),
    "adapters": ("none", "data", "all"),
    "fallback": ("stock", "raise"),
    "encoding": ("json", "msgpack"),
}
_KINDS: dict[str, Any] = {
    "database": DatabaseConfig | None,
    "dispatch": DispatchSettings | None,
    "buffers": BufferSettings | None,
    "priorities": PrioritySettings,
    "publishing": PublishingSettings,
    "durability": DurabilitySettings,
    "streams": StreamSettings,
    "workers": WorkerSettings,
    "connection": ConnectionSettings | None,
    "monitoring": MonitoringSettings,
    "external": ExternalSettings,
}
PRESETS: dict[str, dict[str, Any]] = {
    "development": {"connection": ConnectionSettings(url=EMBEDDED)},
    "production": {
        "fallback": "raise",
        "streams": StreamSettings(close_timeout_ms=15_000),
        "durability": DurabilitySettings(
            critical="always", high="always", normal="spill", fsync=True
        ),
    },
    "high_frequency": {
        "fallback": "raise",
        "dispatch": DispatchSettings(slice_us=100),
        "buffers": BufferSettings(
            normal=LaneSettings(flush_interval_ms=1, max_messages=1_000_000, max_bytes=512 * 2**20),
        ),
    },
}


def decoding_hook(kind: type, value: Any) -> Any:
    """
    Read a type by its path, which stock writes and does not read, and all else as stock.

    Raises
    ------
    ConfigurationError
        If a path leads to no type.
    """
    if kind is not type or isinstance(value, type):
        return value if isinstance(value, kind) else msgspec_decoding_hook(kind, value)
    try:
        found = resolve_path(value)
    except (AttributeError, ImportError, ValueError):
        found = value
    if not isinstance(found, type):
        raise ConfigurationError(
            "types_filter", value, "paths of types such as 'nautilus_trader.model.data:QuoteTick'"
        )
    return found


def database_of(url: str | None) -> DatabaseConfig | None:
    """Return the stock configuration of the server at `url`, or None if it cannot express it."""
    if url is None or url == EMBEDDED:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or parts.path.strip("/") not in ("", "0"):
        return None
    if parts.query:
        # An option of redis-py's, such as another database or a file.
        return None
    return DatabaseConfig(
        host=parts.hostname,
        port=parts.port,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ssl=parts.scheme == "rediss",
    )
