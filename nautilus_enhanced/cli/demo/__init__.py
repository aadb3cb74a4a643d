"""``nt-enhanced demo``: venue, server, node and consumer, each a process, and a verdict."""
