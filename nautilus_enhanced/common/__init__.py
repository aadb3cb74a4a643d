"""What components, actors and tools share."""
