"""
What most benchmarks import, imported once for all of their processes, and left to them as it is.

A full collection of the garbage collector looks at all that NautilusTrader's imports have left, for
70 ms: in a consumer, which needs none of it, that would be most of a p99.
"""

from __future__ import annotations

import gc

import nautilus_trader.live.node
import nautilus_trader.test_kit.providers
import nautilus_trader.test_kit.stubs.data  # noqa: F401 (as above)
import uvloop  # noqa: F401 (as above)

import nautilus_enhanced.infrastructure.messagebus.streams
import nautilus_enhanced.live  # noqa: F401 (as above)


gc.collect()
# The processes that are forked from this one do not look at it.
gc.freeze()
