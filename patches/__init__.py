"""
One reversible patch for each patched module of NautilusTrader.

There is one: the kernel's. It is put in place when the first enhanced configuration is made,
and does nothing to a kernel with a stock configuration. A fork of NautilusTrader can have it in
its source instead: its kernel then imports `kernel_hook` from here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from typing import Any

from nautilus_enhanced.patches.kernel import KernelPatch
from nautilus_enhanced.patches.patch import Patch
from nautilus_enhanced.patches.patch import PatchState


if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = [
    "PATCHES",
    "KernelPatch",
    "Patch",
    "PatchState",
    "install",
    "kernel_hook",
    "uninstall",
]


def _is_ours(config: Any) -> bool:
    # Where nobody has imported our configuration there is none of it: stock stays without us.
    ours = sys.modules.get("nautilus_enhanced.config")
    if ours is None:
        return False
    return isinstance(getattr(config, "message_bus", None), ours.EnhancedMessageBusConfig)


def _build(*args: Any, **kwargs: Any) -> None:
    from nautilus_enhanced.live.assembly import build_kernel  # noqa: PLC0415 (only for a node)

    build_kernel(*args, **kwargs)


_KERNEL = KernelPatch(_is_ours, _build)
PATCHES: tuple[Patch, ...] = (_KERNEL,)


def kernel_hook(init: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the kernel's constructor where a fork's source says so (`nt-enhanced patches`)."""
    return _KERNEL.hook_source(init)


def install() -> None:
    """Apply all patches; doing it twice is harmless."""
    for patch in PATCHES:
        patch.apply()


def uninstall() -> None:
    """Put all originals back; kernels that were built keep what they have."""
    for patch in PATCHES:
        patch.revert()
