"""The nt-enhanced command."""

from __future__ import annotations


__all__ = ["main"]


def main() -> None:
    """Run the command; imported late, so that ``--help`` is quick."""
    from nautilus_enhanced.cli.app import run  # noqa: PLC0415 (see above)

    run()
