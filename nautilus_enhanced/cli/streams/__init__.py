"""The command ``nt-enhanced streams``: look into streams and their groups, and clean up."""
