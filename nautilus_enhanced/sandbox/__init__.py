"""Loopback venues that speak the real venues' protocols, and the embedded server."""
