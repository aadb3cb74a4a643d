"""The command ``nt-enhanced config``: check, migrate and revert a node's JSON file."""
