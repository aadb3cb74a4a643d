"""Errors of the loopback venues: a branch of the one tree."""

from __future__ import annotations

from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError


class SandboxError(EnhancedBusError):
    """A loopback venue, or what it was asked to replay."""


class VenueError(SandboxError, RuntimeError):
    """A loopback venue cannot start or serve: the sentence says why and what to do about it."""
