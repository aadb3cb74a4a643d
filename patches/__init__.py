"""One reversible patch for each patched module of the host."""
