"""
From a stock configuration to an enhanced one, and back: objects, JSON data and files.

What is decided is in `plan`, a plain function of the fields; the rest applies it.
"""

from nautilus_enhanced.migration.configs import migrate_messagebus_config
from nautilus_enhanced.migration.configs import migrate_trading_node_config
from nautilus_enhanced.migration.node_file import FileChange
from nautilus_enhanced.migration.node_file import migrate_text
from nautilus_enhanced.migration.node_file import revert_text


__all__ = [
    "FileChange",
    "migrate_messagebus_config",
    "migrate_text",
    "migrate_trading_node_config",
    "revert_text",
]
