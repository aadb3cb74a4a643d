"""A subscription at work: reading, claiming, handling, acknowledging, sharing with others."""
