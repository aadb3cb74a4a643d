"""The settings of the connection: which server, how to reach it, and how long to wait."""

from __future__ import annotations

from typing import Any
from typing import Final
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from nautilus_enhanced.common.redaction import is_variable_name
from nautilus_enhanced.infrastructure.messagebus.connection.urls import EMBEDDED
from nautilus_enhanced.infrastructure.messagebus.connection.urls import check_url
from nautilus_enhanced.infrastructure.messagebus.connection.urls import has_password
from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.connection.urls import split_address
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import Settings
from nautilus_enhanced.infrastructure.messagebus.settings.publishing import check_range


_TLS_FILES: Final = ("tls_ca_file", "tls_cert_file", "tls_key_file")
_PASSWORDS: Final = ("password_env", "password_file")


class ConnectionSettings(Settings, frozen=True, kw_only=True):
    """
    Settings of the connection to the server.

    Parameters
    ----------
    url : str, optional
        ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user, password and database number
        as redis-py reads them; or ``embedded`` for a Valkey server that starts and stops with
        the node (extra ``embedded``). None takes host, port and login of the bus configuration's
        `database`.
    sentinels : tuple[str, ...], default ()
        The sentinels to ask for the master, each as ``host:port``. The URL's host is then the
        name of the service, and its scheme, login and database are those of the master.
    sentinel_login : bool, default False
        If the sentinels ask for the same login as the master.
    cluster : bool, default False
        If the server is a node of a cluster, which tells about the other nodes.
    password_env, password_file : str, optional
        The environment variable, or the file, that holds the password, so that no URL needs
        to. Read at every connect, so that a password can be replaced while the node runs. A
        line break at the end of the file is left out.
    tls_ca_file : str, optional
        The PEM file with the certificates of the authorities to trust instead of the system's.
    tls_cert_file, tls_key_file : str, optional
        The PEM files with the certificate that we show and with its key.
    tls_verify : bool, default True
        If the server's certificate and the name in it are verified. False is for a test
        server: whoever sits in between can read and change everything. It is warned about.
    connect_timeout_ms : int, default 1,000
        Milliseconds to wait for a connection (10 to 60,000).
    response_timeout_ms : int, default 5,000
        Milliseconds to wait for an answer before the connection counts as broken (10 to
        600,000).
    reconnect_min_ms : int, default 50
        The first and shortest bound of the random pause between attempts (1 to 60,000).
    reconnect_max_ms : int, default 1,000
        The longest bound of that pause, which doubles with each attempt (`reconnect_min_ms` to
        60,000).

    Raises
    ------
    ConfigurationError
        If a value is outside of what is allowed, or two values contradict.
    """

    url: str | None = None
    sentinels: tuple[str, ...] = ()
    sentinel_login: bool = False
    cluster: bool = False
    password_env: str | None = None
    password_file: str | None = None
    tls_ca_file: str | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    tls_verify: bool = True
    connect_timeout_ms: int = 1_000
    response_timeout_ms: int = 5_000
    reconnect_min_ms: int = 50
    reconnect_max_ms: int = 1_000

    def __post_init__(self) -> None:
        for name in ("url", *_PASSWORDS, *_TLS_FILES):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                # What it is instead is not shown: it may hold a password.
                raise ConfigurationError(f"connection.{name}", type(value).__name__, "a string")
        if self.password_env is not None and not is_variable_name(self.password_env):
            raise ConfigurationError(
                "connection.password_env",
                self.password_env,
                "the name of a variable, of letters, digits and underscores",
                "The password itself goes into the environment of the node, under that name",
            )
        for sentinel in self.sentinels:
            split_address("connection.sentinels", sentinel)
        if self.url is not None:
            self.check_with(self.url)
        check_range("connection.connect_timeout_ms", self.connect_timeout_ms, 10, 60_000, " ms")
        check_range("connection.response_timeout_ms", self.response_timeout_ms, 10, 600_000, " ms")
        check_range("connection.reconnect_min_ms", self.reconnect_min_ms, 1, 60_000, " ms")
        check_range(
            "connection.reconnect_max_ms",
            self.reconnect_max_ms,
            self.reconnect_min_ms,
            60_000,
            " ms",
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec's own would show the password in a traceback printed by rich.
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        if self.url is not None and self.url != EMBEDDED:
            values["url"] = redact_url(self.url)
        return list(values.items())

    @property
    def is_plain(self) -> bool:
        """Return whether the URL alone says everything about how to reach the server."""
        return not self.beyond_stock and not self.password_place

    @property
    def beyond_stock(self) -> tuple[str, ...]:
        """Return the names of what is set here and the stock publisher has nothing like."""
        return tuple(self._given("sentinels", "cluster", *_TLS_FILES, "tls_verify"))

    @property
    def password_place(self) -> str | None:
        """Return the name of the setting that says where the password is kept, if one does."""
        return next(iter(self._given(*_PASSWORDS)), None)

    def check_with(self, url: str) -> None:
        """
        Refuse `url` as the server's if it does not go with these settings.

        Raises
        ------
        ConfigurationError
            If it is not a URL, or a setting cannot be kept with it.
        """
        if url == EMBEDDED:
            self._refuse(
                "sentinels", "cluster", "sentinel_login", *_PASSWORDS, *_TLS_FILES, "tls_verify",
                where="`url` is 'embedded'",
            )  # fmt: skip
            return
        check_url("connection.url", url)
        parts = urlsplit(url)
        if parts.scheme != "rediss":
            self._refuse(
                *_TLS_FILES, "tls_verify",
                where=f"`url` begins with {parts.scheme}://",
                remedy="TLS is asked for by a URL that begins with rediss://",
            )  # fmt: skip
        if parts.scheme == "unix":
            self._refuse("sentinels", "cluster", where="`url` is a Unix socket")
        if self.tls_key_file is not None and self.tls_cert_file is None:
            self._refuse("tls_key_file", where="there is no `tls_cert_file`")
        if has_password(url):
            self._refuse(*_PASSWORDS, where="`url` has a password")
        if self.password_env is not None:
            self._refuse("password_file", where="there is a `password_env`")
        if self.cluster:
            self._refuse("sentinels", where="`cluster` is on")
            database = parts.path.strip("/") or parse_qs(parts.query).get("db", ["0"])[0]
            if database.lstrip("0"):
                raise ConfigurationError(
                    "connection.url", redact_url(url), "database 0 where `cluster` is on"
                )
        if not self.sentinels:
            self._refuse("sentinel_login", where="there are no `sentinels`")
        elif parts.port is not None:
            raise ConfigurationError(
                "connection.url",
                redact_url(url),
                "a URL without a port where `sentinels` are given",
                "Its host is the name of the service, and the sentinels know the address",
            )

    def _given(self, *names: str) -> list[str]:
        defaults = dict(zip(self.__struct_fields__, self.__struct_defaults__, strict=True))
        return [name for name in names if getattr(self, name) != defaults[name]]

    def _refuse(self, *names: str, where: str, remedy: str = "") -> None:
        for name in self._given(*names):
            raise ConfigurationError(
                f"connection.{name}", getattr(self, name), f"nothing where {where}", remedy
            )
