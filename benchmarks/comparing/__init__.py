"""Runs beside each other: the ratios of releases that are kept, and which of them changed."""
