"""
Let the environments of one interpreter share a folder.

An environment with NautilusTrader weighs close to 1 GB. tox makes a folder anew when it finds
that an environment of another name used it before; the runner below gives all environments of a
folder the same name in tox's notes, so that `py312-stock` and `py312-enhanced` share one.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from tox.plugin import impl
from tox.tox_env.info import Info
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner


if TYPE_CHECKING:
    from collections.abc import Iterator

    from tox.tox_env.register import ToxEnvRegister


class SharedInfo(Info):
    """The notes of a shared folder: they do not hold the name of one environment."""

    @contextmanager
    def compare(
        self, value: Any, section: str, sub_section: str | None = None
    ) -> Iterator[tuple[bool, Any]]:
        """Compare as tox does, but with the folder's name for the environment's."""
        if isinstance(value, dict) and "name" in value:
            value = {**value, "name": Path(self._path).parent.name}
        with super().compare(value, section, sub_section) as result:
            yield result


class SharedVirtualEnvRunner(VirtualEnvRunner):
    """Run in a virtual environment that other environments use too."""

    @staticmethod
    def id() -> str:
        """Return the name under which tox.ini asks for this runner."""
        return "shared-virtualenv"

    @property
    def cache(self) -> Info:
        """Return the notes about the folder."""
        return SharedInfo(self.env_dir)


@impl
def tox_register_tox_env(register: ToxEnvRegister) -> None:
    """Tell tox about the runner."""
    register.add_run_env(SharedVirtualEnvRunner)
