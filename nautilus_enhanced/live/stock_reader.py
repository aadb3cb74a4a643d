"""Reading of a node's external streams, as the stock bus does it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import msgspec
from nautilus_trader.common.config import msgspec_encoding_hook
from nautilus_trader.core import nautilus_pyo3

from nautilus_enhanced.config import database_of
from nautilus_enhanced.patches.kernel import BACKING_NAMES


if TYPE_CHECKING:
    from nautilus_enhanced.config import EnhancedMessageBusConfig


def make_stock_reader(kernel: Any, settings: EnhancedMessageBusConfig, url: str) -> Any:
    """
    Make the stock backing for reading ``external_streams``.

    Parameters
    ----------
    kernel : NautilusKernel
        The node's kernel.
    settings : EnhancedMessageBusConfig
        The bus configuration.
    url : str
        The URL of the server.
    """
    config = msgspec.structs.replace(
        settings.to_stock(),
        database=settings.database or database_of(url),
        # Ours is published by the writer.
        heartbeat_interval_secs=None,
        types_filter=None,
    )
    name = next(name for name in BACKING_NAMES if hasattr(nautilus_pyo3, name))
    return getattr(nautilus_pyo3, name)(
        trader_id=nautilus_pyo3.TraderId(kernel.trader_id.value),
        instance_id=nautilus_pyo3.UUID4.from_str(kernel.instance_id.value),
        config_json=msgspec.json.encode(config, enc_hook=msgspec_encoding_hook),
    )
