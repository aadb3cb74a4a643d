"""The nt-enhanced command."""
