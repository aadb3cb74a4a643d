"""
One reversible patch for each patched module of NautilusTrader.

There is one: the kernel's. It is put in place when the first enhanced configuration is made,
and does nothing to a kernel with a stock configuration.
"""

from __future__ import annotations

from typing import Any

from nautilus_enhanced.patches.kernel import KernelPatch
from nautilus_enhanced.patches.patch import Patch


__all__ = ["PATCHES", "KernelPatch", "Patch", "install", "uninstall"]


def _is_ours(config: Any) -> bool:
    from nautilus_enhanced.config import EnhancedMessageBusConfig  # noqa: PLC0415 (it imports us)

    return isinstance(getattr(config, "message_bus", None), EnhancedMessageBusConfig)


def _build(*args: Any, **kwargs: Any) -> None:
    from nautilus_enhanced.live.assembly import build_kernel  # noqa: PLC0415 (only for a node)

    build_kernel(*args, **kwargs)


PATCHES: tuple[Patch, ...] = (KernelPatch(_is_ours, _build),)


def install() -> None:
    """Apply all patches; doing it twice is harmless."""
    for patch in PATCHES:
        patch.apply()


def uninstall() -> None:
    """Put all originals back; kernels that were built keep what they have."""
    for patch in PATCHES:
        patch.revert()
