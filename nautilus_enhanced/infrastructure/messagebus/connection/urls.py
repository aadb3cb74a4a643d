"""The URL of a server: what is one, and how to show it."""

from __future__ import annotations

from typing import Final
from typing import Protocol
from urllib.parse import parse_qs
from urllib.parse import quote
from urllib.parse import unquote
from urllib.parse import urlsplit

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


EMBEDDED: Final = "embedded"
URL_SCHEMES: Final = ("redis", "rediss", "unix")


class DatabaseLike(Protocol):
    """The parts of NautilusTrader's ``DatabaseConfig`` that name a server."""

    @property
    def host(self) -> str | None:
        """Return the host."""

    @property
    def port(self) -> int | None:
        """Return the port."""

    @property
    def username(self) -> str | None:
        """Return the user's name."""

    @property
    def password(self) -> str | None:
        """Return the password."""

    @property
    def ssl(self) -> bool:
        """Return whether to use TLS."""


def database_url(database: DatabaseLike) -> str:
    """Return the URL of the server that a stock database configuration names."""
    scheme = "rediss" if database.ssl else "redis"
    login = ""
    if database.username or database.password:
        login = f"{quote(database.username or '', '')}:{quote(database.password or '', '')}@"
    host = database.host or "127.0.0.1"
    if ":" in host and not host.startswith("["):
        # An IPv6 address.
        host = f"[{host}]"
    return f"{scheme}://{login}{host}:{database.port or 6379}"


def check_url(field: str, url: str) -> None:
    """
    Refuse a URL that names no server.

    Raises
    ------
    ConfigurationError
        If scheme, host, port or path do not fit.
    """
    allowed = f"'{EMBEDDED}' or a URL such as 'redis://localhost:6379/0'"
    remedy = f"The schemes are {', '.join(f'{scheme}://' for scheme in URL_SCHEMES)}"
    shown = redact_url(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # The text of the error may quote a piece of a password.
        raise ConfigurationError(field, shown, allowed, remedy) from None
    named = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in URL_SCHEMES or not named or port == 0:
        raise ConfigurationError(field, shown, allowed, remedy)
    if parts.scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        raise ConfigurationError(
            field, shown, allowed, "The path is the number of the database, such as /0"
        )


def split_address(field: str, address: str) -> tuple[str, int]:
    """
    Return host and port of an address such as ``host:26379`` or ``[::1]:26379``.

    Raises
    ------
    ConfigurationError
        If it is not one.
    """
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or address != parts.netloc or "@" in address:
        # Who writes a URL here may have put a password in it.
        shown = "***" if "@" in address else address
        raise ConfigurationError(field, shown, "addresses such as 'host:26379'")
    return host, port


def has_password(url: str) -> bool:
    """Return whether `url` has a password, before the host or among its options."""
    parts = urlsplit(url)
    return bool(parts.password) or "password" in parse_qs(parts.query)


def service_of(url: str) -> str:
    """Return the host of `url` as it is written, which for sentinels names the service."""
    return unquote(urlsplit(url).netloc.rpartition("@")[2])


def redact_url(url: str) -> str:
    """
    Return `url` with its password, wherever it stands, replaced by ``***``.

    What cannot be told apart for sure, such as a password with a bare ``/`` or ``@`` in it, is
    hidden as a whole.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "***"
    location, question_mark, query = rest.partition("?")
    authority, slash, path = location.partition("/")
    login, at, host = authority.rpartition("@")
    if any(mark in part for mark in "@#" for part in (host, path, query)) or (
        # Without a login and with what is not a port, it may be a login cut short.
        not at and ":" in host.rpartition("]")[2] and not host.rpartition(":")[2].isdecimal()
    ):
        return f"{scheme}://***"
    user, colon, _ = login.partition(":")
    pairs = "&".join(
        f"{pair.partition('=')[0]}=***" if "password" in unquote(pair).lower() else pair
        for pair in query.split("&")
    )
    return (
        f"{scheme}://{user}{':***' if colon else ''}{at}{host}{slash}{path}{question_mark}{pairs}"
    )
