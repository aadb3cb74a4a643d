"""What a client tells of itself: figures, statistics, health and what to do about it."""
