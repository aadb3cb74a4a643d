"""Requests over streams, and what answers them."""
