"""Errors of the loopback venues: a branch of the one tree."""

from __future__ import annotations

from nautilus_enhanced.infrastructure.messagebus.errors import ConfigurationError
from nautilus_enhanced.infrastructure.messagebus.errors import EnhancedBusError


class SandboxError(EnhancedBusError):
    """A loopback venue, or what it was asked to replay."""


class VenueError(SandboxError, RuntimeError):
    """A loopback venue cannot start or serve: the sentence says why and what to do about it."""


class FaultError(SandboxError, ConfigurationError):
    """A fault that a venue was asked to show is none: the sentence says what is allowed."""
