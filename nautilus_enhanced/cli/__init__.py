"""The nt-enhanced command."""

from __future__ import annotations

import sys


__all__ = ["main"]


def main() -> None:
    """Run the command; imported late, so that ``--help`` is quick."""
    try:
        from nautilus_enhanced.cli.app import run  # noqa: PLC0415 (see above)

        run()
    except KeyboardInterrupt:
        # Ctrl-C while modules are still being imported: nothing has been started yet.
        sys.exit(130)
