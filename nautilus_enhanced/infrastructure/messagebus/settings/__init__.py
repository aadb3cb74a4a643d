"""The settings of the bus: plain data that refuses what cannot be."""
