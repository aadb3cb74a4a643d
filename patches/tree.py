"""The tree of a fork: where its modules are, whether the hook fits them, and writing them back."""

from __future__ import annotations

import difflib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import PatchVerificationError
from nautilus_enhanced.patches import source
from nautilus_enhanced.patches.kernel import kernel_problems
from nautilus_enhanced.patches.kernel import kernel_serializer_problems


if TYPE_CHECKING:
    from collections.abc import Callable


PACKAGE: Final = "nautilus_trader"
KERNEL: Final = Path("system", "kernel.py")
ENGINES: Final = {
    "LiveDataEngine": Path("live", "data_engine.py"),
    "LiveRiskEngine": Path("live", "risk_engine.py"),
    "LiveExecutionEngine": Path("live", "execution_engine.py"),
}


class ForkTree:
    """
    A copy of NautilusTrader's source, as a fork or an installed package has it.

    Parameters
    ----------
    root : Path
        The folder that holds ``nautilus_trader``, or that folder itself.

    Raises
    ------
    ConfigurationError
        If there is no kernel in it.
    """

    def __init__(self, root: Path) -> None:
        nested = root / PACKAGE
        self.package = nested if nested.is_dir() else root
        self.kernel = self.package / KERNEL
        if not self.kernel.is_file():
            raise ConfigurationError(
                "--tree",
                str(root),
                f"a folder that holds {PACKAGE}/{KERNEL}",
                "Name the folder of your fork's checkout",
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.package})"

    @property
    def name(self) -> str:
        """Return the name of the module that is changed, as diffs have it."""
        return f"{PACKAGE}/{KERNEL.as_posix()}"

    def state(self) -> source.HookState:
        """
        Return whether the hook is in the tree.

        Raises
        ------
        PatchVerificationError
            If the kernel cannot be parsed or is none.
        """
        return source.hook_state(self._read(self.kernel))

    def kernel_problems(self) -> tuple[str, ...]:
        """Return why the kernel cannot be hooked, as sentences; nothing of the tree is run."""
        kernel = self._class(self.kernel, source.CLASS)
        return kernel_problems(getattr(kernel, source.METHOD, None))

    def part_problems(self) -> tuple[str, ...]:
        """Return what parts of the bus would run as stock on this tree, and why."""
        from nautilus_enhanced.live.verification import engine_problems  # noqa: PLC0415 (heavy)

        kernel = self._class(self.kernel, source.CLASS)
        engines = {
            name: self._class(self.package / path, name)
            for name, path in ENGINES.items()
            if (self.package / path).is_file()
        }
        problems = engine_problems({name: one for name, one in engines.items() if one is not None})
        return problems + kernel_serializer_problems(getattr(kernel, source.METHOD, None))

    def diff(self) -> str:
        """
        Return what `apply` would change, as a unified diff; empty if the hook is there.

        Raises
        ------
        PatchVerificationError
            If the tree is not one that can be hooked.
        """
        before = self._read(self.kernel)
        after = self._hooked(before)
        lines = difflib.unified_diff(
            source.lines_of(before),
            source.lines_of(after),
            f"a/{self.name}",
            f"b/{self.name}",
        )
        return "".join(lines)

    def apply(self) -> bool:
        """
        Put the hook in; False if it is there, and then nothing is written.

        Raises
        ------
        PatchVerificationError
            If the tree is not one that can be hooked; it is as it was.
        """
        return self._rewrite(self._hooked)

    def revert(self) -> bool:
        """
        Take the hook out; False if there is none, and then nothing is written.

        Raises
        ------
        PatchVerificationError
            If the hook is not as it was put in; the tree is as it was.
        """
        return self._rewrite(source.unhooked)

    def _hooked(self, before: bytes) -> bytes:
        problems = self.kernel_problems()
        if problems:
            raise PatchVerificationError("; ".join(problems))
        return source.hooked(before)

    def _rewrite(self, change: Callable[[bytes], bytes]) -> bool:
        if not self.kernel.resolve().is_relative_to(self.package.resolve()):
            # It would be changed for whoever else uses it.
            raise PatchVerificationError("it is a link to a file outside of the tree")
        before = self._read(self.kernel)
        after = change(before)
        if after == before:
            return False
        _replace(self.kernel, after)
        return True

    def _class(self, path: Path, name: str) -> Any:
        try:
            return source.code_of(self._read(path), name)
        except PatchVerificationError as error:
            if path == self.kernel:
                raise
            raise PatchVerificationError(f"{path.relative_to(self.package)}: {error}") from None

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise PatchVerificationError(f"{path} cannot be read: {error.strerror}") from None


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; it keeps its mode."""
    mode = path.stat().st_mode
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
