"""Whether what a benchmark needs is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util


def is_missing(module: str) -> bool:
    """Return whether a module cannot be imported here."""
    return importlib.util.find_spec(module) is None


def version_of(distribution: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
