"""What most benchmarks import, imported once for all of their processes."""

from __future__ import annotations

import nautilus_trader.live.node
import nautilus_trader.test_kit.providers
import nautilus_trader.test_kit.stubs.data  # noqa: F401 (as above)
import uvloop  # noqa: F401 (as above)

import nautilus_enhanced.infrastructure.messagebus.streams
import nautilus_enhanced.live  # noqa: F401 (as above)
