"""
Lay a tree with a kernel of its own over the installed NautilusTrader, without copying it.

``python patched_tree.py FOLDER`` makes ``FOLDER/nautilus_trader``: links to everything that is
installed, and a copy of the one module that `nt-enhanced patches` changes. With FOLDER first on
the path, Python imports that tree.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from pathlib import Path


def installed_package() -> Path:
    """Return where NautilusTrader is installed, whatever is on the path before it."""
    distribution = importlib.metadata.distribution("nautilus_trader")
    return Path(str(distribution.locate_file("nautilus_trader"))).resolve()


def lay_over(folder: Path) -> Path:
    """Make the tree in `folder` and return the path of its kernel."""
    installed, package = installed_package(), folder / "nautilus_trader"
    system = package / "system"
    system.mkdir(parents=True)
    link_all(installed, package, but="system")
    link_all(installed / "system", system, but="kernel.py")
    kernel = system / "kernel.py"
    shutil.copyfile(installed / "system" / "kernel.py", kernel)
    return kernel


def link_all(source: Path, target: Path, *, but: str) -> None:
    for entry in source.iterdir():
        if entry.name not in {but, "__pycache__"}:
            (target / entry.name).symlink_to(entry)


if __name__ == "__main__":
    lay_over(Path(sys.argv[1]))
