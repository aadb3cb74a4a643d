"""
The patch of ``nautilus_trader.system.kernel``: who builds the bus and the engines.

The kernel names the classes it builds as globals of its module. For a configuration of ours the
kernel's own code runs with a *copy* of these globals, in which the names are factories. Nothing
global is swapped: a stock kernel that somebody builds at the same moment is a stock kernel.
"""

from __future__ import annotations

import threading
from types import FunctionType
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.patches.patch import MethodWrap
from nautilus_enhanced.patches.patch import PatchState
from nautilus_enhanced.patches.patch import verification_error


if TYPE_CHECKING:
    from collections.abc import Callable


ENGINE_NAMES: Final = ("LiveDataEngine", "LiveRiskEngine", "LiveExecutionEngine")
BUS_NAME: Final = "MessageBus"
SERIALIZER_NAME: Final = "MsgSpecSerializer"
BINDINGS_NAME: Final = "nautilus_pyo3"
BACKING_NAMES: Final = ("RedisMessageBusBacking", "RedisMessageBusDatabase")
PARAMETERS: Final = ("self", "name", "config", "loop", "loop_sig_callback")
# On a constructor that was hooked in the source of a fork.
SOURCE_HOOK: Final = "__nt_enhanced_source_hook__"


def kernel_problems(init: Any) -> tuple[str, ...]:
    """
    Return what is not as expected in the kernel's constructor, as sentences.

    Parameters
    ----------
    init : Callable
        The original ``NautilusKernel.__init__``.
    """
    code = getattr(init, "__code__", None)
    if code is None:
        return ("NautilusKernel.__init__ is not a Python function",)
    problems = []
    parameters = code.co_varnames[: code.co_argcount]
    if parameters != PARAMETERS:
        problems.append(f"NautilusKernel.__init__ takes {parameters}, expected {PARAMETERS}")
    problems.extend(_unused(code, (*ENGINE_NAMES, BUS_NAME, BINDINGS_NAME)))
    if not any(name in code.co_names for name in BACKING_NAMES):
        problems.append(f"NautilusKernel.__init__ builds none of {BACKING_NAMES}")
    return tuple(problems)


def kernel_serializer_problems(init: Any) -> tuple[str, ...]:
    """
    Return why the kernel's constructor cannot be given another serializer, as sentences.

    By itself, since the rest of the bus does without.

    Parameters
    ----------
    init : Callable
        The original ``NautilusKernel.__init__``.
    """
    return _unused(getattr(init, "__code__", None), (SERIALIZER_NAME,))


def _unused(code: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    unused = [name for name in names if name not in getattr(code, "co_names", ())]
    return (f"NautilusKernel.__init__ does not use {', '.join(unused)}",) if unused else ()


class Bindings:
    """Stand in for the module of Rust bindings, with other classes under some names."""

    def __init__(self, module: Any, replacements: dict[str, Any]) -> None:
        self._module = module
        self._replacements = replacements

    def __getattr__(self, name: str) -> Any:
        replacement = self._replacements.get(name)
        return getattr(self._module, name) if replacement is None else replacement


def run_with_globals(
    init: Callable[..., Any],
    replacements: dict[str, Any],
    *args: Any,
    **kwargs: Any,
) -> None:
    """
    Run a function's own code with some of its globals replaced, and nothing else changed.

    Parameters
    ----------
    init : Callable
        The function.
    replacements : dict[str, Any]
        The globals to replace.
    """
    function: Any = init
    scoped = FunctionType(
        function.__code__,
        {**function.__globals__, **replacements},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    scoped.__kwdefaults__ = function.__kwdefaults__
    scoped(*args, **kwargs)


class KernelPatch:
    """
    Route kernels with a configuration of ours to `build`.

    Parameters
    ----------
    is_ours : Callable[[Any], bool]
        Tells whether a kernel's configuration is one of ours.
    build : Callable
        Builds such a kernel: called with the original constructor, the kernel and the
        constructor's arguments.
    """

    module = "nautilus_trader.system.kernel"
    purpose = "lets a configuration decide which bus and engines a kernel builds"

    def __init__(
        self,
        is_ours: Callable[[Any], bool],
        build: Callable[..., None],
    ) -> None:
        self._is_ours = is_ours
        self._build = build
        self._lock = threading.Lock()
        self._wrap: MethodWrap | None = None

    def problems(self) -> tuple[str, ...]:
        """Return what is not as the patch expects, as sentences; empty if it fits."""
        return kernel_problems(self.original)

    @property
    def original(self) -> Callable[..., Any]:
        """Return the kernel's own constructor."""
        if self._wrap is not None:
            return self._wrap.original
        from nautilus_trader.system.kernel import NautilusKernel  # noqa: PLC0415 (on demand)

        kernel: Any = NautilusKernel
        init: Any = kernel.__init__
        original: Callable[..., Any] = init.__wrapped__ if hasattr(init, SOURCE_HOOK) else init
        return original

    @property
    def state(self) -> PatchState:
        """Return whether the change is in place, and who made it."""
        if self._wrap is not None:
            return PatchState.RUN_TIME
        from nautilus_trader.system.kernel import NautilusKernel  # noqa: PLC0415 (on demand)

        kernel: Any = NautilusKernel
        return PatchState.SOURCE if hasattr(kernel.__init__, SOURCE_HOOK) else PatchState.ABSENT

    def is_applied(self) -> bool:
        """Return whether the change is in place."""
        return self.state is not PatchState.ABSENT

    def hook_source(self, init: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the constructor of a fork whose source asks for it; `apply` then stands back."""
        wrapper = self._make_wrapper(init)
        setattr(wrapper, SOURCE_HOOK, True)
        return wrapper

    def apply(self) -> None:
        """
        Put the change in place; doing it twice is harmless.

        Does nothing where the source has the hook already, as in a fork that was patched.

        Raises
        ------
        PatchVerificationError
            If there is no kernel to wrap. Anything less fails later and falls back.
        """
        with self._lock:
            if self._wrap is not None:
                return
            try:
                from nautilus_trader.system.kernel import NautilusKernel  # noqa: PLC0415 (on demand)
            except ImportError as error:
                raise verification_error(f"{self.module} has no NautilusKernel: {error}") from error
            kernel: Any = NautilusKernel
            if hasattr(kernel.__init__, SOURCE_HOOK):
                return
            wrap = MethodWrap(NautilusKernel, "__init__", self._make_wrapper)
            wrap.apply()
            self._wrap = wrap

    def revert(self) -> None:
        """
        Put the original back; doing it twice is harmless.

        A hook in the source stays: `nt-enhanced patches revert` takes it away.

        Raises
        ------
        PatchVerificationError
            If somebody else wrapped the constructor after us: theirs must go first.
        """
        with self._lock:
            if self._wrap is None:
                return
            if not self._wrap.revert():
                raise verification_error(
                    "NautilusKernel.__init__ was wrapped again by somebody else: "
                    "take that away first",
                )
            self._wrap = None

    def _make_wrapper(self, original: Callable[..., Any]) -> Callable[..., Any]:
        is_ours, build = self._is_ours, self._build

        def __init__(  # noqa: N807 (it becomes the kernel's)
            self: Any,
            name: Any,
            config: Any,
            *args: Any,
            **kwargs: Any,
        ) -> None:
            if is_ours(config):
                build(original, self, name, config, *args, **kwargs)
            else:
                original(self, name, config, *args, **kwargs)

        __init__.__doc__ = original.__doc__
        __init__.__wrapped__ = original  # type: ignore[attr-defined]  # as functools.wraps does
        return __init__
