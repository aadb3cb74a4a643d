"""A run for people: a page with tables, plots and where curves bend."""
