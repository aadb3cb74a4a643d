"""
Make connections to the server that a URL and settings name.

redis-py reads the URL, asks the sentinels, logs in and speaks TLS; what is said here is which
of its classes with which options, and which mistakes can be told before the first attempt.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.sentinel import Sentinel
from redis.sentinel import SentinelConnectionPool

from nautilus_enhanced.infrastructure.messagebus.connection.cluster import ClusterConnection
from nautilus_enhanced.infrastructure.messagebus.connection.cluster import SlotMap
from nautilus_enhanced.infrastructure.messagebus.connection.connection import ServerConnection
from nautilus_enhanced.infrastructure.messagebus.connection.credentials import GuardedCredentials
from nautilus_enhanced.infrastructure.messagebus.connection.credentials import PasswordSource
from nautilus_enhanced.infrastructure.messagebus.connection.urls import has_password
from nautilus_enhanced.infrastructure.messagebus.connection.urls import redact_url
from nautilus_enhanced.infrastructure.messagebus.connection.urls import service_of
from nautilus_enhanced.infrastructure.messagebus.connection.urls import split_address
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError


if TYPE_CHECKING:
    from nautilus_enhanced.infrastructure.messagebus.connection.cluster import Address
    from nautilus_enhanced.infrastructure.messagebus.settings.connection import ConnectionSettings


BusConnection = ServerConnection | ClusterConnection

_LOGIN_OPTIONS = ("username", "password", "credential_provider")


class Connector:
    """
    Make connections to one server, to the master that the sentinels name, or to a cluster.

    Parameters
    ----------
    url : str
        The server's URL.
    settings : ConnectionSettings
        How to reach it; its `url` is not used.
    credential_provider : redis.CredentialProvider, optional
        Asked for user and password at every connect.

    Raises
    ------
    ConfigurationError
        If the URL is not one, has an option that redis-py does not know, or does not go with
        the settings; or if a file or variable that they name cannot be read.
    """

    def __init__(
        self,
        url: str,
        settings: ConnectionSettings,
        credential_provider: redis.CredentialProvider | None = None,
    ) -> None:
        settings.check_with(url)
        self._name = redact_url(url)
        limits = {
            "protocol": 2,
            "socket_connect_timeout": settings.connect_timeout_ms / 1_000,
            "socket_timeout": settings.response_timeout_ms / 1_000,
            # A command that redis-py repeats on its own could be written twice.
            "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            "retry_on_timeout": False,
            "health_check_interval": 0,
        }
        if urlsplit(url).scheme == "rediss":
            limits |= _tls_options(settings)
        try:
            self._pool = redis.ConnectionPool.from_url(url, **limits)
            if self._pool.connection_kwargs.get("ssl_cert_reqs") == "none":
                # The URL said so, and there is no name to check in what is not verified.
                self._pool.connection_kwargs["ssl_check_hostname"] = False
            self._log_in_with(url, settings, credential_provider)
            if settings.sentinels:
                self._pool = _sentinel_pool(self._pool, url, settings)
            options: dict[str, Any] = self._pool.connection_kwargs
            seed = (options.get("host", "localhost"), int(options.get("port", 6379)))
            self._slots = SlotMap(seed) if settings.cluster else None
            # Some options are looked at only when a connection is made.
            self.connect()
        except ConfigurationError:
            raise
        except (redis.RedisError, TypeError, ValueError) as error:
            raise ConfigurationError(
                "connection.url", self._name, "a URL that redis-py understands", f"{error}"
            ) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name})"

    @property
    def is_verified(self) -> bool:
        """Return False if TLS is asked for without verification."""
        return bool(self._pool.connection_kwargs.get("ssl_check_hostname", True))

    def connect(self) -> BusConnection:
        """Make a connection, not yet opened."""
        if self._slots is not None:
            return ClusterConnection(self._name, self._slots, self._connect_to)
        return ServerConnection(self._name, self._make())

    def _connect_to(self, address: Address) -> ServerConnection:
        """Make a connection to a node of the cluster, not yet opened."""
        host, port = address
        return ServerConnection(f"{host}:{port}", self._make(host=host, port=port))

    def _make(self, **address: Any) -> Any:
        # Not by the pool's method, which counts, and at some point makes no more.
        return self._pool.connection_class(**(self._pool.connection_kwargs | address))

    def _log_in_with(
        self,
        url: str,
        settings: ConnectionSettings,
        provider: redis.CredentialProvider | None,
    ) -> None:
        """Have every connect ask `provider`, variable or file for the login, if there is one."""
        options = self._pool.connection_kwargs
        source = PasswordSource.of(settings, options.get("username"))
        if provider is not None:
            if source is not None or has_password(url) or options.get("username"):
                raise ConfigurationError(
                    "credential_provider",
                    type(provider).__name__,
                    "None where the URL or the settings have a user or password",
                )
            if not callable(getattr(provider, "get_credentials", None)):
                raise ConfigurationError(
                    "credential_provider", type(provider).__name__, "a redis.CredentialProvider"
                )
        if source is not None or provider is not None:
            options.pop("username", None)
            options["credential_provider"] = source or GuardedCredentials(provider)


def _tls_options(settings: ConnectionSettings) -> dict[str, Any]:
    """
    Return redis-py's options for TLS; what the URL says comes before them.

    Raises
    ------
    ConfigurationError
        If a file cannot be read or is not what it should be.
    """
    files = {
        "tls_ca_file": settings.tls_ca_file,
        "tls_cert_file": settings.tls_cert_file,
        "tls_key_file": settings.tls_key_file,
    }
    context = ssl.create_default_context()
    for name, path in files.items():
        try:
            if path is None:
                continue
            if name == "tls_ca_file":
                context.load_verify_locations(path)
            elif name == "tls_cert_file" and settings.tls_key_file is None:
                context.load_cert_chain(path)
            elif name == "tls_key_file":
                context.load_cert_chain(settings.tls_cert_file or path, path)
        except OSError as error:
            raise ConfigurationError(
                f"connection.{name}", path, "a PEM file that can be read", f"{error}"
            ) from error
    return {
        "ssl_cert_reqs": "required" if settings.tls_verify else "none",
        # Not the default of every redis-py that we allow.
        "ssl_check_hostname": settings.tls_verify,
        "ssl_ca_certs": settings.tls_ca_file,
        "ssl_certfile": settings.tls_cert_file,
        "ssl_keyfile": settings.tls_key_file,
    }


def _sentinel_pool(
    pool: redis.ConnectionPool, url: str, settings: ConnectionSettings
) -> redis.ConnectionPool:
    """Return the pool whose connections ask for the master each time that they connect."""
    uses_tls = urlsplit(url).scheme == "rediss"
    of_master = dict(pool.connection_kwargs)
    for name in ("host", "port"):
        of_master.pop(name, None)
    login = _LOGIN_OPTIONS if settings.sentinel_login else ()
    of_sentinels = {
        name: value
        for name, value in of_master.items()
        if name.startswith(("socket_", "ssl_")) or name in ("retry", *login)
    }
    # A sentinel that takes longer to answer is as good as down: there are others.
    of_sentinels["socket_timeout"] = of_master["socket_connect_timeout"]
    of_sentinels["ssl"] = uses_tls
    sentinels = [split_address("connection.sentinels", one) for one in settings.sentinels]
    # Neither has annotations in redis-py.
    manager = Sentinel(sentinels, sentinel_kwargs=of_sentinels)  # type: ignore[no-untyped-call]
    return SentinelConnectionPool(  # type: ignore[no-untyped-call]
        service_of(url), manager, ssl=uses_tls, **of_master
    )
