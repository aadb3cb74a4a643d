"""Errors of the loopback venues."""

from __future__ import annotations


class VenueError(RuntimeError):
    """A loopback venue cannot start or serve: the sentence says why and what to do about it."""
